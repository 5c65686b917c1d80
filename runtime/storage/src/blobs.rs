//! Blobs by digest: small ones in the log, large ones in files of their own.
//!
//! Owns: where a blob goes by its size, whether it is packed, and what happens when one turns out to be damaged. Does not know: trees, or
//! who refers to a blob.

use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use wasmill_model::port::{BlobStore, StoreError};
use wasmill_model::{BlobRef, Digest};

use crate::error::{failed, on_index};
use crate::files::{self, TempFile};
use crate::intake::{PIECE_BYTES, take_in};
use crate::log::{Beside, Entry};
use crate::packed::{self, Packed};
use crate::place::Place;
use crate::record::Kind;
use crate::tail::Found;
use crate::{Storage, live};

/// Larger blobs are written while they are digested. For smaller ones it is better to look first whether they are there.
const WRITTEN_AT_ONCE_BYTES_MAX: usize = 4 << 20;

/// Blobs that are smaller are added to the log again where they might be in it: that is cheaper than looking.
const LOOKED_UP_BYTES_MIN: usize = 4 << 10;

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
        if bytes.len() > WRITTEN_AT_ONCE_BYTES_MAX.max(self.shared.layout.logged_bytes_max as usize) {
            let mut rest = bytes;
            return self.put_pieces(|_| {
                let piece = rest.split_to(rest.len().min(PIECE_BYTES));
                Ok((!piece.is_empty()).then_some(piece))
            });
        }
        let blob = BlobRef::of(&bytes);
        if bytes.len() > self.shared.layout.logged_bytes_max as usize {
            if self.rely_on_blob(&blob.digest)?.is_none() {
                let mut temp = self.shared.files.temp()?;
                let packed = self.packed(&bytes);
                temp.write(packed.as_deref().unwrap_or(&bytes))?;
                self.add_file(blob, temp)?;
            }
            return Ok(blob);
        }
        let known = match bytes.len() < LOOKED_UP_BYTES_MIN {
            true => self.rely_on(&blob.digest, || {
                let tail = self.shared.log.tail();
                Ok(tail.own_blob(&blob.digest).map(|place| tail.found(place)))
            })?,
            false => self.rely_on_blob(&blob.digest)?,
        };
        if known.is_none() {
            let key = *blob.digest.as_bytes();
            let packed = self.packed(&bytes);
            let (kind, body) = packed.as_deref().map_or((Kind::Blob, bytes.as_ref()), |packed| (Kind::Packed, packed));
            let entry = Entry { kind, key, size_bytes: blob.size_bytes, body };
            self.shared.log.hand_in(&entry, |tail, place| tail.add_blob(blob.digest, place))?;
        }
        Ok(blob)
    }

    fn put_reader(&self, reader: &mut dyn Read) -> Result<BlobRef, StoreError> {
        let mut head = Vec::new();
        let reading = || failed("read the content to be stored");
        let logged_bytes_max = u64::from(self.shared.layout.logged_bytes_max);
        (&mut *reader).take(logged_bytes_max + 1).read_to_end(&mut head).map_err(reading())?;
        if head.len() as u64 <= logged_bytes_max {
            return self.put(head.into());
        }
        let mut head = Some(head);
        self.put_pieces(|spare| {
            if let Some(head) = head.take() {
                return Ok(Some(head));
            }
            let mut piece = spare.unwrap_or_default();
            piece.resize(PIECE_BYTES, 0);
            let read = fill(reader, &mut piece).map_err(reading())?;
            piece.truncate(read);
            Ok((read > 0).then_some(piece))
        })
    }

    fn put_file(&self, path: &Path, len: u64, reader: &mut dyn Read) -> Result<BlobRef, StoreError> {
        if len > u64::from(self.shared.layout.logged_bytes_max)
            && let Some((temp, blob)) = self.shared.files.shared(path)?
        {
            // It may have been changed since, and be small now.
            if blob.size_bytes > u64::from(self.shared.layout.logged_bytes_max) {
                if self.rely_on_blob(&blob.digest)?.is_none() {
                    self.add_file(blob, temp)?;
                }
                return Ok(blob);
            }
        }
        self.put_reader(reader)
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

/// Reads until the buffer is full or there is no more.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl Storage {
    /// Content in compressed form, where that is asked for and pays.
    fn packed(&self, content: &[u8]) -> Option<Vec<u8>> {
        self.shared.compresses.then(|| packed::pack(content)).flatten()
    }

    /// Takes in a blob that is too large for the log.
    fn put_pieces<P: AsRef<[u8]> + Send>(
        &self,
        next: impl FnMut(Option<P>) -> Result<Option<P>, StoreError>,
    ) -> Result<BlobRef, StoreError> {
        let mut temp = self.shared.files.temp()?;
        let blob = take_in(&mut temp, self.shared.compresses, next)?;
        if self.rely_on_blob(&blob.digest)?.is_none() {
            self.add_file(blob, temp)?;
        }
        Ok(blob)
    }

    fn add_file(&self, blob: BlobRef, temp: TempFile) -> Result<(), StoreError> {
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
        self.shared.log.hand_in_with(&entry, beside, |tail, _| tail.add_blob(blob.digest, place))
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
        Ok((!is_lost).then_some(Found { place, is_own: false }))
    }

    /// The same, and it stays there as long as this process lives.
    fn rely_on_blob(&self, digest: &Digest) -> Result<Option<Place>, StoreError> {
        self.rely_on(digest, || self.locate(digest))
    }

    /// The content of a blob that is known to be at a place, or nowhere.
    fn content_at(&self, blob: &BlobRef, place: Option<&Place>) -> Result<Bytes, StoreError> {
        let place = place.ok_or(StoreError::Missing(blob.digest))?;
        check_size(blob, place.size_bytes)?;
        let content = self.content(&blob.digest, place)?;
        check_size(blob, content.len() as u64)?;
        self.shared.reader.keep(&blob.digest, &content);
        Ok(content)
    }

    /// The content at a blob's place, which is what the digest says or an error.
    pub(crate) fn content(&self, digest: &Digest, place: &Place) -> Result<Bytes, StoreError> {
        let stored = self.stored(digest, place)?;
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
