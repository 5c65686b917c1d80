//! Blobs by digest: small ones in the log, large ones in files of their own.
//!
//! Owns: where a blob goes by its size, whether it is packed, and what happens when one turns out to be damaged. Does not know: trees, or
//! who refers to a blob.

use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use wasmill_model::port::{BlobStore, Growth, StoreError};
use wasmill_model::{BlobRef, Digest};

use crate::error::{failed, on_index};
use crate::files::{self, TempFile};
use crate::intake::{Intake, PIECE_BYTES, take_in_whole};
use crate::log::{Beside, Entry};
use crate::packed::{self, Packed};
use crate::place::Place;
use crate::record::Kind;
use crate::tail::Found;
use crate::{Shared, Storage, live};

/// Blobs that are smaller are added to the log again where they might be in it: that is cheaper than looking.
const LOOKED_UP_BYTES_MIN: usize = 4 << 10;

/// Blobs that are larger are always looked up first: digesting one takes far longer.
const ADDED_AGAIN_BYTES_MAX: usize = 64 << 10;

/// Between the two, it depends on what came before: after so many in a row that were new, only one of [`SAMPLED`] is looked up, as
/// with a million blobs there that takes as long as digesting 8 KiB. Where one in fifty is not new, it is rare that so many are.
const NEW_IN_A_ROW: u32 = 64;
const SAMPLED: u32 = 16;

impl BlobStore for Storage {
    fn get(&self, blob: &BlobRef) -> Result<Bytes, StoreError> {
        if *blob == BlobRef::EMPTY {
            return Ok(Bytes::new());
        }
        if let Some(content) = self.shared.reader.cached(&blob.digest) {
            check_size(blob, content.len() as u64)?;
            return Ok(content);
        }
        let mut place = self.rely_on_blob(&blob.digest)?;
        loop {
            let error = match self.content_at(blob, place.as_ref()) {
                Err(error @ (StoreError::Missing(_) | StoreError::Damaged { .. })) => error,
                content => return content,
            };
            // A collection may have moved it, or another process found this copy damaged and put it again.
            self.refresh_now()?;
            let now = self.rely_on_blob(&blob.digest)?;
            if now == place {
                // What there is no trace of is lost as well: somebody refers to it. A reference may also be wrong.
                let is_reference_wrong = match &place {
                    Some(place) => place.size_bytes != blob.size_bytes && self.is_right(&blob.digest, place)?,
                    None => false,
                };
                if !is_reference_wrong && self.lose(&blob.digest, place.as_ref(), blob.size_bytes)? {
                    tracing::error!(%error, "a blob is lost: what needs it will be computed again");
                }
                return Err(error);
            }
            place = now;
        }
    }

    fn growth(&self) -> Growth {
        let known_bytes = self.shared.known_bytes.load(Ordering::Relaxed);
        Growth { added_bytes: self.shared.log.added_bytes(), known_bytes }
    }

    fn find(&self, digest: &Digest) -> Result<Option<BlobRef>, StoreError> {
        if *digest == Digest::EMPTY {
            return Ok(Some(BlobRef::EMPTY));
        }
        let found = self.locate(digest)?;
        Ok(found.map(|found| BlobRef { digest: *digest, size_bytes: found.place.size_bytes }))
    }

    fn put(&self, bytes: Bytes) -> Result<BlobRef, StoreError> {
        if bytes.is_empty() {
            return Ok(BlobRef::EMPTY);
        }
        if bytes.len() > self.shared.layout.logged_bytes_max as usize {
            let Shared { helpers, compresses, .. } = self.shared.as_ref();
            return self.add_file(take_in_whole(helpers, *compresses, &bytes, self.temp())?);
        }
        let blob = BlobRef::of(&bytes);
        let looks = self.is_worth_looking_up(bytes.len());
        let known = match looks {
            true => self.rely_on_blob(&blob.digest)?,
            false => self.rely_on(&blob.digest, || {
                let tail = self.shared.log.tail();
                Ok(tail.own_blob(&blob.digest).map(|place| tail.found(place)))
            })?,
        };
        if looks && known.is_some() {
            self.shared.new_in_a_row.store(0, Ordering::Relaxed);
        }
        if known.is_some() {
            self.shared.known_bytes.fetch_add(blob.size_bytes, Ordering::Relaxed);
        } else {
            let key = *blob.digest.as_bytes();
            let packed = self.packed(&bytes);
            let (kind, body) = packed.as_deref().map_or((Kind::Blob, bytes.as_ref()), |packed| (Kind::Packed, packed));
            let entry = Entry { kind, key, size_bytes: blob.size_bytes, body };
            self.shared.log.hand_in(&entry, |tail, place| tail.add_blob(blob.digest, place))?;
        }
        Ok(blob)
    }

    fn put_reader(&self, reader: &mut dyn Read) -> Result<BlobRef, StoreError> {
        self.put_sized(0, reader)
    }

    fn put_file(&self, path: &Path, len: u64, reader: &mut dyn Read) -> Result<BlobRef, StoreError> {
        if len > u64::from(self.shared.layout.logged_bytes_max)
            && let Some((temp, blob)) = self.shared.files.shared(path)?
        {
            // It may have been changed since, and be small now.
            if blob.size_bytes > u64::from(self.shared.layout.logged_bytes_max) {
                return self.add_file((blob, temp));
            }
        }
        if len > u64::from(self.shared.layout.logged_bytes_max) {
            return self.put_sized(len, reader);
        }
        // One byte more than there should be: who gets no more than there should be has the whole file, without asking again whether that
        // was all.
        let expected = usize::try_from(len).unwrap_or(usize::MAX);
        let mut head = vec![0; expected.saturating_add(1)];
        let read = read_once(reader, &mut head).map_err(failed("read the content to be stored"))?;
        head.truncate(read);
        if read == expected { self.put(head.into()) } else { self.put_sized(len, &mut head.as_slice().chain(reader)) }
    }

    fn share_with(&self, blob: &BlobRef, path: &Path) -> Result<bool, StoreError> {
        if blob.size_bytes <= u64::from(self.shared.layout.logged_bytes_max) {
            return Ok(false);
        }
        // So that it is known to be there, and right.
        drop(self.get(blob)?);
        let file = self.shared.files.blob(&blob.digest);
        // Else it is packed.
        let is_plain = std::fs::metadata(&file).is_ok_and(|found| found.len() == blob.size_bytes);
        Ok(is_plain && reflink_copy::reflink(file, path).is_ok())
    }
}

impl Storage {
    /// Adds what a reader gives, of which there may be `len` bytes.
    fn put_sized(&self, len: u64, reader: &mut dyn Read) -> Result<BlobRef, StoreError> {
        let mut read = |mut piece: Vec<u8>| {
            let read = (&mut *reader).take(PIECE_BYTES as u64).read_to_end(&mut piece);
            read.map(|_| piece).map_err(failed("read the content to be stored"))
        };
        let logged_bytes_max = self.shared.layout.logged_bytes_max as usize;
        let mut head = Vec::new();
        let mut head_bytes = 0;
        while head_bytes <= logged_bytes_max {
            // One byte more than there should be, which is how reading to the end finds the end at once.
            let expected = usize::try_from(len).unwrap_or(usize::MAX).saturating_sub(head_bytes).saturating_add(1);
            let piece = read(Vec::with_capacity(if len == 0 { 0 } else { expected.min(PIECE_BYTES) }))?;
            let is_last = piece.len() < PIECE_BYTES;
            head_bytes += piece.len();
            head.push(piece);
            if is_last && head_bytes <= logged_bytes_max {
                let content: Vec<u8> = if head.len() > 1 { head.concat() } else { head.pop().unwrap_or_default() };
                return self.put(content.into());
            }
        }
        let mut intake = Intake::new(&self.shared.helpers, self.shared.compresses, self.temp())?;
        let mut is_wanted = head.into_iter().all(|piece| intake.piece(piece));
        while is_wanted {
            let piece = read(intake.spare())?;
            is_wanted = !piece.is_empty() && intake.piece(piece);
        }
        self.add_file(intake.finish()?)
    }

    /// Content in compressed form, where that is asked for and pays.
    fn packed(&self, content: &[u8]) -> Option<Vec<u8>> {
        self.shared.compresses.then(|| packed::pack(content)).flatten()
    }

    /// Whether to look for a blob of this length before it is added.
    pub(crate) fn is_worth_looking_up(&self, len: usize) -> bool {
        if !(LOOKED_UP_BYTES_MIN..=ADDED_AGAIN_BYTES_MAX).contains(&len) {
            return len > ADDED_AGAIN_BYTES_MAX;
        }
        // Blobs of other lengths say nothing about these: small ones are not looked up at all.
        let new = self.shared.new_in_a_row.fetch_add(1, Ordering::Relaxed);
        new < NEW_IN_A_ROW || new.is_multiple_of(SAMPLED)
    }

    /// What makes a temporary file, on whichever thread.
    fn temp(&self) -> impl FnOnce() -> Result<TempFile, StoreError> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.files.temp()
    }

    /// Adds a blob that is too large for the log, unless it is there.
    fn add_file(&self, (blob, temp): (BlobRef, TempFile)) -> Result<BlobRef, StoreError> {
        if self.rely_on_blob(&blob.digest)?.is_some() {
            self.shared.known_bytes.fetch_add(blob.size_bytes, Ordering::Relaxed);
            return Ok(blob);
        }
        // A collection may be about to remove what has the same name: it does so under this lock.
        let doing = || failed("say what this process relies on");
        let unsynced = {
            let _lock = live::lock(&self.shared.dir).map_err(doing())?;
            self.shared.lease.rely_on(&blob.digest).map_err(doing())?;
            self.shared.files.publish_blob(temp, &blob.digest)?
        };
        let key = *blob.digest.as_bytes();
        let entry = Entry { kind: Kind::File, key, size_bytes: blob.size_bytes, body: &[] };
        let place = Place::file(blob.size_bytes);
        let beside = Beside { unsynced: Some(unsynced), ..Beside::default() };
        self.shared.log.hand_in_with(&entry, beside, |tail, _| tail.add_blob(blob.digest, place))?;
        Ok(blob)
    }

    /// Where a blob is, as far as this process knows.
    pub(crate) fn locate(&self, digest: &Digest) -> Result<Option<Found>, StoreError> {
        let (view, was_lost) = {
            let tail = self.shared.log.tail();
            let was_lost = tail.lost.contains(digest);
            match tail.blob(digest) {
                Some(place) if !(was_lost && place.is_file()) => return Ok(Some(tail.found(place))),
                Some(place) => return Ok(self.shared.files.has_blob(digest).then(|| tail.found(place))),
                None => (Arc::clone(&tail.view), was_lost),
            }
        };
        let place = on_index("look up a blob", || view.blobs.get(digest.as_bytes()))?;
        let Some(place) = place else { return Ok(None) };
        let is_lost = was_lost
            && match place.is_file() {
                true => !self.shared.files.has_blob(digest),
                false => self.shared.log.tail().is_lost(digest, &place),
            };
        Ok((!is_lost).then(|| self.shared.log.tail().found(place)))
    }

    /// The same, and it stays there as long as this process lives.
    fn rely_on_blob(&self, digest: &Digest) -> Result<Option<Place>, StoreError> {
        self.rely_on(digest, || self.locate(digest))
    }

    /// The content of a blob that is known to be at a place, or nowhere.
    fn content_at(&self, blob: &BlobRef, place: Option<&Place>) -> Result<Bytes, StoreError> {
        let place = place.ok_or(StoreError::Missing(blob.digest))?;
        check_size(blob, place.size_bytes)?;
        let stored = self.stored(&blob.digest, place)?;
        // Most of what was put just now is read once, by the job that it was put for; until it is written, it is in memory anyway.
        let is_kept = !stored.is_fresh || place.is_packed();
        let content = self.content_of(&blob.digest, place, stored)?;
        check_size(blob, content.len() as u64)?;
        if is_kept {
            self.shared.reader.keep(&blob.digest, &content);
        }
        Ok(content)
    }

    /// The content at a blob's place, which is what the digest says or an error.
    pub(crate) fn content(&self, digest: &Digest, place: &Place) -> Result<Bytes, StoreError> {
        self.content_of(digest, place, self.stored(digest, place)?)
    }

    fn content_of(&self, digest: &Digest, place: &Place, stored: Stored) -> Result<Bytes, StoreError> {
        if stored.is_fresh && !place.is_packed() {
            return Ok(stored.bytes);
        }
        let content = match stored.is_packed(place) {
            true => Packed::parse(&stored.bytes)
                .filter(|packed| packed.size_bytes() == place.size_bytes)
                .and_then(|packed| packed.unpack())
                .map(Bytes::from)
                .ok_or_else(|| not_unpacked(digest))?,
            false => stored.bytes,
        };
        self.shared.reader.check(digest, &content)?;
        Ok(content)
    }

    /// A part of a blob, and nothing else of it where it was checked before.
    pub(crate) fn part(&self, blob: &BlobRef, range: Range<u64>) -> Result<Bytes, StoreError> {
        let place = if self.shared.reader.was_checked(&blob.digest) { self.rely_on_blob(&blob.digest)? } else { None };
        if let Some(place) = place
            && let Ok(stored) = self.stored(&blob.digest, &place)
            && stored.is_packed(&place)
        {
            let part = Packed::parse(&stored.bytes).and_then(|packed| packed.range(range));
            return part.map(Bytes::from).ok_or_else(|| not_unpacked(&blob.digest));
        }
        let content = self.get(blob)?;
        let within = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(content.len());
        let (start, end) = (within(range.start), within(range.end));
        Ok(content.slice(start..end.max(start)))
    }

    /// What lies at a blob's place, as it lies there.
    fn stored(&self, digest: &Digest, place: &Place) -> Result<Stored, StoreError> {
        let found = match place.is_file() {
            true => files::map(&self.shared.files.blob(digest))?,
            false => match self.shared.log.unwritten(place) {
                Some(bytes) => return Ok(Stored { bytes, is_fresh: true }),
                None => self.shared.reader.body(place)?,
            },
        };
        let bytes = found.ok_or(StoreError::Missing(*digest))?;
        Ok(Stored { bytes, is_fresh: false })
    }

    /// Remembers that a copy of a blob is damaged, or that it is nowhere: if there is no other, results that need it do not
    /// count until it is put again. Whether that is so: there may be a file that is right.
    pub(crate) fn lose(&self, digest: &Digest, place: Option<&Place>, size_bytes: u64) -> Result<bool, StoreError> {
        self.shared.reader.forget(digest);
        if place.is_none() && self.shared.files.has_blob(digest) && self.take_in(digest)? {
            return Ok(false);
        }
        let place = place.copied().unwrap_or(Place::file(size_bytes));
        if place.is_file() {
            let doing = || failed(format!("remove the damaged file of blob {digest}"));
            let _lock = live::lock(&self.shared.dir).map_err(doing())?;
            let blob = BlobRef { digest: *digest, size_bytes: place.size_bytes };
            if !self.shared.files.remove_damaged(&blob).map_err(doing())? {
                return Ok(false);
            }
        }
        let key = *digest.as_bytes();
        let entry = Entry { kind: Kind::Lost, key, size_bytes: 0, body: &place.encode() };
        self.shared.log.hand_in(&entry, |tail, _| tail.lose_blob(*digest, place))?;
        Ok(true)
    }
}

/// A blob as it lies in the store.
struct Stored {
    bytes: Bytes,
    /// It was never on the disk.
    is_fresh: bool,
}

impl Stored {
    /// What is not as long as its content is packed.
    fn is_packed(&self, place: &Place) -> bool {
        self.bytes.len() as u64 != place.size_bytes
    }
}

/// What one reading gives.
fn read_once(reader: &mut dyn Read, to: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(to) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn not_unpacked(digest: &Digest) -> StoreError {
    StoreError::Damaged { digest: *digest, wrong: "it has another size, or cannot be unpacked".to_owned() }
}

fn check_size(blob: &BlobRef, found: u64) -> Result<(), StoreError> {
    if found == blob.size_bytes {
        return Ok(());
    }
    let wrong = format!("it has {found} bytes instead of {}", blob.size_bytes);
    Err(StoreError::Damaged { digest: blob.digest, wrong })
}
