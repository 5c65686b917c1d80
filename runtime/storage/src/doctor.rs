//! Comparing the index with the files, both ways.
//!
//! Owns: what does not go together, and what is done about it. Does not know: whether content is right; a scrub reads it.

use std::collections::HashSet;
use std::fs;
use std::io;

use redb::ReadableTable;
use wasmill_model::port::StoreError;
use wasmill_model::{ActionKey, ActionResult, BlobRef, Digest, Directory};

use crate::error::{failed, is_of_the_host, on_index};
use crate::files;
use crate::layers::Places;
use crate::list::page;
use crate::log::{Beside, Entry};
use crate::place::Place;
use crate::record::Kind;
use crate::segment::{self, START, Scan};
use crate::tables::{View, decode_action};
use crate::{Storage, list, live};

/// What does not go together in a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Examined {
    /// Blobs of the index that were looked for.
    pub blobs: u64,
    /// Results of the index that were looked for.
    pub actions: u64,
    /// Files of large blobs that were looked at.
    pub files: u64,
    /// Segments of the log.
    pub segments: u64,
    /// Blobs that the index names and that are not where it says.
    pub missing: Vec<Digest>,
    /// Results that the index names and that are not where it says.
    pub missing_actions: Vec<ActionKey>,
    /// Results that refer to blobs that are not there.
    pub incomplete: Vec<ActionKey>,
    /// Files that the index does not name.
    pub unnamed: Vec<Digest>,
    /// Of these, files that were what they are called, and are in the index now. The others were removed.
    pub named_again: Vec<Digest>,
    /// Segments that are none, or end before the index says.
    pub damaged_segments: Vec<u32>,
    /// Whether anything was done about it.
    pub is_repaired: bool,
}

impl Examined {
    /// Whether everything goes together.
    pub fn is_clean(&self) -> bool {
        let Self { missing, missing_actions, incomplete, unnamed, damaged_segments, .. } = self;
        let nothing_is_missing = missing.is_empty() && missing_actions.is_empty() && incomplete.is_empty();
        nothing_is_missing && unnamed.is_empty() && damaged_segments.is_empty()
    }
}

impl Storage {
    /// Compares the index with the files. With `repair`, what is missing is noted as lost, and files that the index does
    /// not name are taken in or removed.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn examine(&self, repair: bool) -> Result<Examined, StoreError> {
        let doing = || failed("compare the index with the files");
        // No collection may move anything meanwhile.
        let _lock = loop {
            match self.shared.lease.lock_collection(&self.shared.dir).map_err(doing())? {
                Some(lock) => break lock,
                None => std::thread::sleep(std::time::Duration::from_millis(10)),
            }
        };
        self.shared.log.index_everything()?;
        let mut examined = Examined { is_repaired: repair, ..Examined::default() };
        let index = self.shared.index()?;
        let view = on_index("read the index", || View::latest(&index))?;
        // Blobs are looked for where results are: other processes may have brought both in since this one looked.
        self.refresh_now()?;
        let named = self.examine_rows(&view, repair, &mut examined)?;
        self.examine_segments(&view, &mut examined).map_err(doing())?;
        self.examine_files(&named, repair, &mut examined)?;
        self.examine_results(&view, repair, &mut examined)?;
        Ok(examined)
    }

    /// Looks for everything that the index names. Returns the blobs that are in files of their own.
    fn examine_rows(&self, view: &View, repair: bool, examined: &mut Examined) -> Result<HashSet<Digest>, StoreError> {
        let mut named = HashSet::new();
        for row in pages("list the blobs", &view.blobs) {
            let (digest, place) = row?;
            examined.blobs += 1;
            if place.is_file() {
                named.insert(digest);
            }
            if !self.is_in_place(&digest, &place)? {
                examined.missing.push(digest);
                if repair {
                    self.lose(&digest, Some(&place), place.size_bytes)?;
                }
            }
        }
        for row in pages("list the actions", &view.actions) {
            let (key, place) = row?;
            examined.actions += 1;
            if !self.shared.reader.has_entry(Kind::Action, key.as_bytes(), &place)? {
                examined.missing_actions.push(ActionKey(key));
            }
        }
        Ok(named)
    }

    /// Looks for what results refer to.
    fn examine_results(&self, view: &View, repair: bool, examined: &mut Examined) -> Result<(), StoreError> {
        let (mut seen, mut doubted) = (HashSet::new(), Vec::new());
        for row in pages("list the actions", &view.actions) {
            let (key, place) = row?;
            let key = ActionKey(key);
            let Some(row) = self.entry(Kind::Action, key.0.as_bytes(), &place, &key)? else { continue };
            let Some((record, _)) = decode_action(&key, &row) else { continue };
            if self.first_missing(&record.result, &mut seen)?.is_some() {
                doubted.push((key, record.result));
            }
        }
        // What was not found may be in what other processes have written meanwhile.
        if !doubted.is_empty() {
            self.refresh_now()?;
        }
        for (key, result) in doubted {
            let Some(missing) = self.first_missing(&result, &mut seen)? else { continue };
            // Where it is known to be lost, the result does not count any more.
            if !self.has_lost(&result)? {
                examined.incomplete.push(key);
                if repair {
                    let found = self.locate(&missing.digest)?;
                    self.lose(&missing.digest, found.map(|found| found.place).as_ref(), missing.size_bytes)?;
                }
            }
        }
        Ok(())
    }

    /// A blob that a result refers to and that is not there. `seen` are blobs that are, with all that is below them.
    fn first_missing(&self, result: &ActionResult, seen: &mut HashSet<Digest>) -> Result<Option<BlobRef>, StoreError> {
        for blob in [result.stdout, result.stderr] {
            if blob != BlobRef::EMPTY && self.locate(&blob.digest)?.is_none() {
                return Ok(Some(blob));
            }
        }
        let (mut waiting, mut entered) = (vec![result.output], HashSet::new());
        while let Some(blob) = waiting.pop() {
            // One directory may be in very many places.
            if blob == BlobRef::EMPTY || seen.contains(&blob.digest) || !entered.insert(blob.digest) {
                continue;
            }
            let Some(found) = self.locate(&blob.digest)? else { return Ok(Some(blob)) };
            let content = match self.content(&blob.digest, &found.place) {
                Err(StoreError::Missing(_) | StoreError::Damaged { .. }) => return Ok(Some(blob)),
                content => content?,
            };
            // What is no directory has nothing below it.
            let Ok(directory) = Directory::decode(&content) else { continue };
            for file in &directory.files {
                if file.blob != BlobRef::EMPTY && self.locate(&file.blob.digest)?.is_none() {
                    return Ok(Some(file.blob));
                }
            }
            waiting.extend(directory.directories.iter().map(|directory| directory.blob));
        }
        seen.extend(entered);
        Ok(None)
    }

    fn examine_segments(&self, view: &View, examined: &mut Examined) -> io::Result<()> {
        for id in segment::list(&self.shared.log_dir)? {
            examined.segments += 1;
            let row = view.segments.get(id).map_err(io::Error::other)?.map(|row| row.value());
            let is_bad = || -> io::Result<bool> {
                let len = match fs::metadata(segment::path(&self.shared.log_dir, id)) {
                    // Its process has ended and left nothing in it.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                    found => found?.len(),
                };
                let is_cut = row.is_some_and(|(end, _)| len < u64::from(end));
                Ok(is_cut || Scan::open(&self.shared.log_dir, id, START)?.is_none())
            };
            if !is_bad()? {
                continue;
            }
            // Another process begins a segment under this lock, and says then that it adds to it.
            let _lock = live::lock(&self.shared.dir)?;
            if !live::used_by_all(&self.shared.dir)?.has_segment(id) && is_bad()? {
                examined.damaged_segments.push(id);
            }
        }
        Ok(())
    }

    fn examine_files(&self, named: &HashSet<Digest>, repair: bool, examined: &mut Examined) -> Result<(), StoreError> {
        let doing = || failed("compare the index with the files");
        for digest in self.shared.files.blobs().map_err(doing())? {
            examined.files += 1;
            if named.contains(&digest) {
                continue;
            }
            let is_unnamed = {
                // Another process may be publishing it: it says first that it relies on it.
                let _lock = live::lock(&self.shared.dir).map_err(doing())?;
                let used = live::used_by_all(&self.shared.dir).map_err(doing())?;
                self.refresh_now()?;
                let is_unnamed = !used.digests.contains(&digest) && self.locate(&digest)?.is_none();
                if is_unnamed && repair {
                    self.shared.lease.rely_on(&digest).map_err(doing())?;
                }
                is_unnamed
            };
            if is_unnamed {
                examined.unnamed.push(digest);
                if repair && self.take_in(&digest)? {
                    examined.named_again.push(digest);
                }
            }
        }
        Ok(())
    }

    /// Takes a file that the index does not name in, if it is what it is called; else removes it.
    pub(crate) fn take_in(&self, digest: &Digest) -> Result<bool, StoreError> {
        let path = self.shared.files.blob(digest);
        let doing = || failed(format!("take in `{}`", path.display()));
        let size_bytes = match files::content_of(&path, digest) {
            Ok(found) => found.size_bytes,
            Err(error) if is_of_the_host(&error) => return Err(doing()(error)),
            Err(_) => fs::metadata(&path).map_err(doing())?.len(),
        };
        let is_wrong = {
            let _lock = live::lock(&self.shared.dir).map_err(doing())?;
            self.shared.files.remove_damaged(&BlobRef { digest: *digest, size_bytes }).map_err(doing())?
        };
        if is_wrong {
            return Ok(false);
        }
        let entry = Entry { kind: Kind::File, key: *digest.as_bytes(), size_bytes, body: &[] };
        let beside = Beside { unsynced: Some(self.shared.files.found(digest).map_err(doing())?), ..Beside::default() };
        self.shared.log.hand_in_with(&entry, beside, |tail, _| tail.add_blob(*digest, Place::file(size_bytes)))?;
        Ok(true)
    }
}

/// All rows, of whichever none are in memory for longer than they take.
fn pages<'a>(doing: &'a str, places: &'a Places) -> impl Iterator<Item = Result<(Digest, Place), StoreError>> + 'a {
    list::by_pages(move |after| on_index(doing, || page(places, after)))
}
