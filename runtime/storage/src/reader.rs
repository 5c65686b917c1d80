//! Reading what is in the log.
//!
//! Owns: open segments, the cache of small blobs, and that bytes which are not what they should be are never handed
//! out. Does not know: which place belongs to which digest.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use bytes::Bytes;
use memmap2::Mmap;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use wasmill_model::port::StoreError;
use wasmill_model::{BlobRef, Digest, Hasher};

use crate::error::{failed, is_of_the_host};
use crate::packed::Packed;
use crate::place::Place;
use crate::record::{HEADER_BYTES, Header, Key, Kind};
use crate::{platform, segment};

/// The largest blob that is kept in memory, in bytes.
const CACHED_BYTES_MAX: u64 = 64 << 10;

/// Larger blobs are digested once in a process, smaller ones whenever they are read: that costs no more than finding
/// them.
const CHECKED_ALWAYS_BYTES_MAX: usize = 16 << 10;

/// Longer bodies are mapped instead of copied.
const COPIED_BYTES_MAX: u32 = 64 << 10;

/// How many large blobs are remembered as right; after that, all are digested again.
const CHECKED_MAX: usize = 1 << 16;

/// How many segments are open at once: some systems allow a process 256 files.
const OPEN_MAX: usize = 64;

/// How much of a body is read at once where it is only looked at.
const PIECE_BYTES: usize = 256 << 10;

/// What of a blob is kept in memory costs this beside its content, roughly.
const CACHE_ENTRY_BYTES: u64 = 96;

/// What the cache of small blobs did since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// How often a blob was there.
    pub hits: u64,
    /// How often it was not.
    pub misses: u64,
    /// How many blobs are there now.
    pub blobs: u64,
    /// How many bytes they take.
    pub bytes: u64,
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<Digest, Bytes> for ByBytes {
    fn weight(&self, _: &Digest, content: &Bytes) -> u64 {
        content.len() as u64 + CACHE_ENTRY_BYTES
    }
}

/// A segment that is open for reading.
#[derive(Debug)]
struct Opened {
    file: File,
    map: OnceLock<Option<Bytes>>,
}

/// Reads from the log.
#[derive(Debug)]
pub(crate) struct Reader {
    log: PathBuf,
    segments: RwLock<HashMap<u32, Arc<Opened>>>,
    cache: Cache<Digest, Bytes, ByBytes>,
    checked: Mutex<HashSet<Digest>>,
}

impl Reader {
    pub(crate) fn new(log: PathBuf, cache_bytes: usize) -> Self {
        let (bytes, entries) = (cache_bytes as u64, (cache_bytes / 1024).clamp(64, 1 << 16));
        Self {
            log,
            segments: RwLock::default(),
            cache: Cache::with_weighter(entries, bytes, ByBytes),
            checked: Mutex::default(),
        }
    }

    /// Has small blobs take so much memory at most.
    pub(crate) fn limit_cache(&self, bytes: usize) {
        self.cache.set_capacity(bytes as u64);
    }

    /// A blob that was read or written lately.
    pub(crate) fn cached(&self, digest: &Digest) -> Option<Bytes> {
        self.cache.get(digest)
    }

    /// Keeps a blob in memory, if it is small.
    pub(crate) fn keep(&self, digest: &Digest, content: &Bytes) {
        if content.len() as u64 <= CACHED_BYTES_MAX {
            self.cache.insert(*digest, content.clone());
        }
    }

    /// Forgets a blob.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.cache.remove(digest);
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }

    pub(crate) fn cache_stats(&self) -> CacheStats {
        CacheStats {
            hits: self.cache.hits(),
            misses: self.cache.misses(),
            blobs: self.cache.len() as u64,
            bytes: self.cache.weight(),
        }
    }

    /// Whether content was found to be what it is named after, by this process.
    pub(crate) fn was_checked(&self, digest: &Digest) -> bool {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    /// Makes sure that content is what it is named after.
    pub(crate) fn check(&self, digest: &Digest, content: &Bytes) -> Result<(), StoreError> {
        let checked = || self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if content.len() > CHECKED_ALWAYS_BYTES_MAX && checked().contains(digest) {
            return Ok(());
        }
        if BlobRef::of(content).digest != *digest {
            return Err(StoreError::Damaged { digest: *digest, wrong: "its content has another digest".to_owned() });
        }
        if content.len() > CHECKED_ALWAYS_BYTES_MAX {
            let mut checked = checked();
            if checked.len() >= CHECKED_MAX {
                checked.clear();
            }
            checked.insert(*digest);
        }
        Ok(())
    }

    /// Whether an entry begins at a place, without looking at its body.
    pub(crate) fn has_entry(&self, kind: Kind, key: &Key, place: &Place) -> Result<bool, StoreError> {
        let Some(opened) = self.open(place.segment)? else { return Ok(false) };
        let mut bytes = [0; HEADER_BYTES];
        if !read_exact(&opened.file, &mut bytes, u64::from(place.offset)).map_err(reading(place))? {
            return Ok(false);
        }
        let end = u64::from(place.offset) + HEADER_BYTES as u64 + u64::from(place.body_bytes);
        let header = Header::decode(&bytes).filter(|header| header.kind == kind && header.key == *key);
        let is_it = header.is_some_and(|header| header.body_bytes == place.body_bytes);
        Ok(is_it && end <= opened.file.metadata().map_err(reading(place))?.len())
    }

    /// The digest and the length of what lies where a body should be, read in pieces and not mapped. `None` where nothing is.
    pub(crate) fn digest_of(&self, place: &Place) -> Result<Option<BlobRef>, StoreError> {
        if place.is_packed() {
            let body = self.body(place)?;
            let mut hasher = Hasher::new();
            let unpacked = body.as_deref().and_then(Packed::parse);
            return Ok(unpacked.and_then(|packed| packed.each(|chunk| hasher.update(chunk))).map(|()| hasher.finish()));
        }
        let Some(opened) = self.open(place.segment)? else { return Ok(None) };
        let (mut hasher, mut buffer) = (Hasher::new(), vec![0; PIECE_BYTES]);
        let (mut offset, mut left) = (u64::from(place.offset) + HEADER_BYTES as u64, place.body_bytes as usize);
        while left > 0 {
            buffer.truncate(left);
            if !read_exact(&opened.file, &mut buffer, offset).map_err(reading(place))? {
                return Ok(None);
            }
            hasher.update(&buffer);
            offset += buffer.len() as u64;
            left -= buffer.len();
        }
        Ok(Some(hasher.finish()))
    }

    /// The body of another entry. `None` where there is no such entry.
    pub(crate) fn entry(&self, kind: Kind, key: &Key, place: &Place) -> Result<Option<Bytes>, StoreError> {
        let Some(opened) = self.open(place.segment)? else { return Ok(None) };
        let mut bytes = vec![0; HEADER_BYTES + place.body_bytes as usize];
        if !read_exact(&opened.file, &mut bytes, u64::from(place.offset)).map_err(reading(place))? {
            return Ok(None);
        }
        let header = Header::decode(&bytes).filter(|header| header.kind == kind && header.key == *key);
        let is_right = header.is_some_and(|header| header.body(&bytes).is_some());
        Ok(is_right.then(|| Bytes::from(bytes).slice(HEADER_BYTES..)))
    }

    /// What lies where a body should be, whatever it is. `None` where nothing is.
    pub(crate) fn body(&self, place: &Place) -> Result<Option<Bytes>, StoreError> {
        let Some(opened) = self.open(place.segment)? else { return Ok(None) };
        let start = place.offset as usize + HEADER_BYTES;
        if place.body_bytes > COPIED_BYTES_MAX
            && let Some(map) = opened.map.get_or_init(|| map(&opened.file))
            && start + place.body_bytes as usize <= map.len()
        {
            return Ok(Some(map.slice(start..start + place.body_bytes as usize)));
        }
        let mut bytes = vec![0; place.body_bytes as usize];
        let offset = u64::from(place.offset) + HEADER_BYTES as u64;
        let is_there = read_exact(&opened.file, &mut bytes, offset).map_err(reading(place))?;
        Ok(is_there.then(|| bytes.into()))
    }

    /// Closes a segment, so that its file can be removed.
    pub(crate) fn close(&self, id: u32) {
        self.segments.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn open(&self, id: u32) -> Result<Option<Arc<Opened>>, StoreError> {
        if let Some(opened) = self.segments.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Some(Arc::clone(opened)));
        }
        let path = segment::path(&self.log, id);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(format!("open `{}`", path.display()))(error)),
        };
        let opened = Arc::new(Opened { file, map: OnceLock::new() });
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        if segments.len() >= OPEN_MAX {
            // Whoever reads in one still has it.
            segments.clear();
        }
        segments.insert(id, Arc::clone(&opened));
        Ok(Some(opened))
    }
}

fn reading(place: &Place) -> impl FnOnce(io::Error) -> StoreError + use<> {
    failed(format!("read segment {} of the log", place.segment))
}

/// Fills `bytes` from `offset` on, or says that there are not so many, or that the disk cannot read them any more.
fn read_exact(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<bool> {
    while !bytes.is_empty() {
        match platform::read_at(file, bytes, offset) {
            Ok(0) => return Ok(false),
            Ok(read) => {
                bytes = bytes.get_mut(read..).unwrap_or_default();
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_of_the_host(&error) => return Err(error),
            Err(error) => {
                tracing::error!(%error, "the disk cannot read a part of the store's log");
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Maps a segment. `None` where the system does not want to: then its entries are copied.
fn map(file: &File) -> Option<Bytes> {
    #[expect(unsafe_code, reason = "mapping a segment is the only way to read a blob in it without copying it")]
    // SAFETY: a segment is one of our own files, in a folder that only we write to. What is read of the mapping was
    // written before its place was known to anybody, and an entry never changes; the file is only ever cut behind its
    // last entry.
    let map = unsafe { Mmap::map(file) };
    map.ok().map(Bytes::from_owner)
}
