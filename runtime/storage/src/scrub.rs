//! Reading everything again, to find what the disk has lost.
//!
//! Owns: the order in which the store is read, how fast, and where an interrupted scrub goes on. Does not know: what
//! becomes of what needs a blob that is lost; see [`crate::Storage::lose`].

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use wasmill_model::port::StoreError;
use wasmill_model::{ActionKey, BlobRef, Digest};

use crate::Storage;
use crate::error::{failed, is_of_the_host, on_index};
use crate::files;
use crate::list::page;
use crate::place::Place;
use crate::record::Kind;
use crate::tables::{View, decode_action};

/// Where an interrupted scrub goes on: the last digest that was read, as text.
const CURSOR_FILE: &str = "SCRUB";

/// What a scrub found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scrubbed {
    /// Blobs that were read.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Results that were read.
    pub actions: u64,
    /// Blobs that were damaged or missing; results that need them do not count any more.
    pub lost: Vec<Digest>,
    /// Results that were damaged or missing; they do not count any more either.
    pub lost_actions: Vec<ActionKey>,
    /// Whether everything was read. If not, the next scrub goes on from here.
    pub is_complete: bool,
}

/// How far a scrub is: blobs that were read, of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scrubbing {
    /// Blobs that were read by this scrub.
    pub blobs: u64,
    /// All blobs that this scrub will read.
    pub of: u64,
    /// Bytes that were read.
    pub bytes: u64,
}

impl Storage {
    /// Reads every blob and every result, and takes notice of what is not what it should be. Goes on where the last
    /// scrub was interrupted. Reads at most `bytes_per_second`, and stops when `go_on` says no.
    ///
    /// # Errors
    /// The store cannot be read, for another reason than damage.
    pub fn scrub(
        &self,
        bytes_per_second: Option<u64>,
        go_on: &mut dyn FnMut(Scrubbing) -> bool,
    ) -> Result<Scrubbed, StoreError> {
        self.shared.log.index_everything()?;
        let cursor_path = self.shared.dir.join(CURSOR_FILE);
        let mut cursor: Option<Digest> =
            fs::read_to_string(&cursor_path).ok().and_then(|text| text.trim().parse().ok());
        let mut scrubbed = Scrubbed::default();
        let of = self.blobs_after(cursor.as_ref())?;
        let (began, mut saved) = (Instant::now(), Instant::now());
        loop {
            let rows = self.rows_after(cursor.as_ref())?;
            let Some((last, _)) = rows.last().copied() else { break };
            for (digest, place) in rows {
                self.scrub_blob(&digest, &place, &mut scrubbed)?;
                let is_wanted = go_on(Scrubbing { blobs: scrubbed.blobs, of, bytes: scrubbed.bytes });
                if !is_wanted || saved.elapsed() > Duration::from_secs(1) {
                    fs::write(&cursor_path, digest.to_hex()).map_err(failed("say how far a scrub got"))?;
                    saved = Instant::now();
                }
                if !is_wanted {
                    return Ok(scrubbed);
                }
                if let Some(rate) = bytes_per_second {
                    let due = Duration::from_secs_f64(scrubbed.bytes as f64 / rate.max(1) as f64);
                    std::thread::sleep(due.saturating_sub(began.elapsed()));
                }
            }
            cursor = Some(last);
        }
        self.scrub_actions(&mut scrubbed)?;
        match fs::remove_file(&cursor_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("end a scrub")(error)),
            _ => Ok(Scrubbed { is_complete: true, ..scrubbed }),
        }
    }

    fn scrub_blob(&self, digest: &Digest, place: &Place, scrubbed: &mut Scrubbed) -> Result<(), StoreError> {
        self.shared.reader.forget(digest);
        let mut place = *place;
        let mut is_right = self.is_right(digest, &place)?;
        if !is_right {
            // It may have been moved or removed since its row was read.
            self.refresh_now()?;
            match self.locate(digest)? {
                Some(found) => place = found.place,
                None => return Ok(()),
            }
            is_right = self.is_right(digest, &place)?;
        }
        scrubbed.blobs += 1;
        scrubbed.bytes += place.size_bytes;
        if !is_right && self.lose(digest, Some(&place), place.size_bytes)? {
            scrubbed.lost.push(*digest);
        }
        Ok(())
    }

    /// Reads a blob, in pieces and without mapping it, so that a disk that cannot read it says so.
    pub(crate) fn is_right(&self, digest: &Digest, place: &Place) -> Result<bool, StoreError> {
        let right = BlobRef { digest: *digest, size_bytes: place.size_bytes };
        if place.is_file() {
            return match files::content_of(&self.shared.files.blob(digest), digest) {
                Ok(found) => Ok(found == right),
                Err(error) if is_of_the_host(&error) => Err(failed(format!("read the file of blob {digest}"))(error)),
                Err(_) => Ok(false),
            };
        }
        match self.shared.log.unwritten(place) {
            Some(_) => Ok(true),
            None => Ok(self.shared.reader.digest_of(place)? == Some(right)),
        }
    }

    fn scrub_actions(&self, scrubbed: &mut Scrubbed) -> Result<(), StoreError> {
        let index = self.shared.index()?;
        let mut cursor = None;
        loop {
            let rows = on_index("list the actions", || {
                let view = View::latest(&index)?;
                page(&view.actions, cursor.as_ref())
            })?;
            let Some((last, _)) = rows.last().copied() else { return Ok(()) };
            for (key, place) in rows {
                let key = ActionKey(key);
                let row = self.entry(Kind::Action, key.0.as_bytes(), &place, &key)?;
                let found = row.as_deref().and_then(|row| decode_action(&key, row));
                let is_right = found.is_some_and(|(_, action)| Digest::of(action) == key.0);
                let is_there = self.locate_action(&key)?.is_some_and(|found| found.place == place);
                scrubbed.actions += 1;
                if !is_right && is_there {
                    scrubbed.lost_actions.push(key);
                }
            }
            cursor = Some(last);
        }
    }

    fn blobs_after(&self, cursor: Option<&Digest>) -> Result<u64, StoreError> {
        let index = self.shared.index()?;
        on_index("count the blobs", || {
            let view = View::latest(&index)?;
            Ok(view.blobs.rows(cursor.map(Digest::as_bytes))?.count() as u64)
        })
    }

    fn rows_after(&self, cursor: Option<&Digest>) -> Result<Vec<(Digest, Place)>, StoreError> {
        let index = self.shared.index()?;
        on_index("list the blobs", || page(&View::latest(&index)?.blobs, cursor))
    }

    /// Whether content of the right size is where a blob should be, without reading it.
    pub(crate) fn is_in_place(&self, digest: &Digest, place: &Place) -> Result<bool, StoreError> {
        if place.is_file() {
            let path = self.shared.files.blob(digest);
            return match fs::metadata(&path) {
                Ok(found) if found.is_file() && found.len() == place.size_bytes => Ok(true),
                Ok(found) => Ok(found.is_file() && self.is_right(digest, place)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(failed(format!("look at `{}`", path.display()))(error)),
            };
        }
        let kind = if place.is_packed() { Kind::Packed } else { Kind::Blob };
        self.shared.reader.has_entry(kind, digest.as_bytes(), place)
    }
}

impl Scrubbed {
    /// Whether everything that was read was right.
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.lost_actions.is_empty()
    }
}
