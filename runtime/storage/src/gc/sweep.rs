//! Giving space back: files of large blobs, and segments of which little is left.
//!
//! Owns: when a segment is worth rewriting, and that no file goes that something still names. Does not know: why
//! something is not wanted.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use redb::ReadableTable;
use wasmill_model::port::StoreError;

use super::Collecting;
use super::mark::{bytes_of, segments};
use crate::error::{failed, on_index};
use crate::index::{self, Dead};
use crate::log::Entry;
use crate::pins::Pin;
use crate::place::Place;
use crate::record::{Header, Kind};
use crate::segment::{self, START, Scan};
use crate::tables::{View, run_and_page};
use crate::tail::Moved;
use crate::{Durable, Storage, live};

/// A segment is written anew, without what is not wanted, once less than this part of it is wanted, in percent.
const WANTED_PERCENT_MIN: u64 = 50;

/// How many files are removed before other processes may go on publishing theirs.
const FILES_AT_ONCE: usize = 1_000;

/// Segments that were written to lately.
pub(super) fn young_segments(log: &Path, grace: Duration) -> io::Result<HashSet<u32>> {
    let mut young = HashSet::new();
    for id in segment::list(log)? {
        let modified = fs::metadata(segment::path(log, id)).and_then(|found| found.modified());
        // A time in the future comes of a clock that was set back: nobody knows how old that is.
        let is_old = modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age >= grace));
        if !is_old {
            young.insert(id);
        }
    }
    Ok(young)
}

impl Storage {
    /// Removes the files that nothing names: of blobs that were not marked, and what a crash left. Returns how many bytes
    /// that gave back.
    pub(super) fn sweep_files(&self, progress: &mut dyn FnMut(Collecting)) -> Result<u64, StoreError> {
        let doing = || failed("remove files that are not wanted");
        let (files, mut freed) = (self.shared.files.blobs().map_err(doing())?, 0);
        for (number, chunk) in (0_u64..).zip(files.chunks(FILES_AT_ONCE)) {
            progress(Collecting::Sweeping(number * FILES_AT_ONCE as u64, files.len() as u64));
            // Whoever publishes a file does so under this lock too, and says before that it relies on it.
            let _lock = live::lock(&self.shared.dir).map_err(doing())?;
            let used = live::used_by_all(&self.shared.dir).map_err(doing())?;
            self.refresh_now()?;
            for digest in chunk {
                // It may be there again, and whoever put it there may have ended since.
                if used.digests.contains(digest) || self.locate(digest)?.is_some() {
                    continue;
                }
                let path = self.shared.files.blob(digest);
                let size_bytes = fs::metadata(&path).map_or(0, |found| found.len());
                match self.shared.disk.remove(&path) {
                    Ok(()) => freed += size_bytes,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    // Where a file cannot be removed while somebody has it mapped: another collection will.
                    Err(error) => tracing::warn!(%digest, %error, "a file of the store that is not wanted stays"),
                }
            }
        }
        Ok(freed)
    }

    /// Removes segments of which nothing is wanted, and writes those anew of which little is. Returns how many bytes
    /// that gave back.
    pub(super) fn sweep_segments(&self, progress: &mut dyn FnMut(Collecting)) -> Result<u64, StoreError> {
        let doing = || failed("give back space of the log");
        let index = self.shared.index()?;
        let view = on_index("read the index", || View::latest(&index))?;
        let wanted = wanted_bytes(&view)?;
        // What a living process has put itself stays where it is: it writes down nowhere else that it relies on that. Whoever adds to
        // a segment says so before anything of it is in the index.
        let used = self.shared.lease.used_by_others(&self.shared.dir).map_err(doing())?;
        let mut sparse = Vec::new();
        for (id, (_, is_sealed)) in on_index("list the segments", || segments(&view))? {
            let Ok(found) = fs::metadata(segment::path(&self.shared.log_dir, id)) else { continue };
            let is_sparse = wanted.get(&id).copied().unwrap_or(0) * 100 < found.len() * WANTED_PERCENT_MIN;
            if is_sealed && is_sparse && !used.has_segment(id) {
                sparse.push((id, found.len()));
            }
        }
        if sparse.is_empty() {
            return Ok(0);
        }
        let mut added = 0;
        for (number, (id, _)) in (0_u64..).zip(&sparse) {
            progress(Collecting::Sweeping(number, sparse.len() as u64));
            added += self.rewrite(&view, *id)?;
        }
        let _: Durable<()> = self.durable(())?;
        self.shared.log.index_everything()?;
        // Whatever the index names after all is not removed.
        let latest = on_index("read the index", || View::latest(&index))?;
        let named = wanted_bytes(&latest)?;
        sparse.retain(|(id, _)| !named.contains_key(id));
        // The highest stays known, so that no number is used twice: others may have the segment open.
        let last = on_index("list the segments", || segments(&latest))?.last_key_value().map(|(id, _)| *id);
        let segments = sparse.iter().map(|(id, _)| *id).filter(|id| Some(*id) != last);
        let mut gone: Vec<u32> = segments.collect();
        self.refresh_now()?;
        // Whoever opens the store under this lock sees a segment's file only as long as the index says that it is sealed:
        // else what was removed of it would be taken for new.
        let _lock = live::lock(&self.shared.dir).map_err(doing())?;
        let mut freed = 0;
        for (id, bytes) in &sparse {
            self.shared.reader.close(*id);
            match segment::remove(self.shared.disk.as_ref(), &self.shared.log_dir, *id) {
                Ok(()) => freed += bytes,
                Err(error) => {
                    tracing::warn!(segment = id, %error, "a segment of the log that is not wanted stays");
                    gone.retain(|segment| segment != id);
                }
            }
        }
        self.shared.files.sync_dir(&self.shared.log_dir)?;
        on_index("remove segments", || index::remove(&index, Dead { segments: &gone, ..Dead::default() }))?;
        Ok(freed.saturating_sub(added))
    }

    /// Adds what is wanted of a segment to the log again. Returns how many bytes that takes.
    fn rewrite(&self, view: &View, id: u32) -> Result<u64, StoreError> {
        let reading = || failed(format!("read segment {id} of the log"));
        let Some(mut scan) = Scan::open(&self.shared.log_dir, id, START).map_err(reading())? else { return Ok(0) };
        let mut added = 0;
        while let Some((offset, header, body)) = scan.next().map_err(reading())? {
            let old = Place { segment: id, offset, body_bytes: header.body_bytes, size_bytes: header.size_bytes };
            // What is damaged stays where it is, and is noticed by whoever reads it.
            let Some(body) = body else { continue };
            if on_index("look up an entry", || is_named(view, &header, &old, body))? {
                let entry = Entry { kind: header.kind, key: header.key, size_bytes: header.size_bytes, body };
                self.shared.log.hand_in(&entry, |tail, new| {
                    tail.active.moved.push(Moved { kind: header.kind, key: header.key, old, new });
                })?;
                added += bytes_of(&old);
            }
        }
        Ok(added)
    }
}

/// How many bytes of each segment the index names.
fn wanted_bytes(view: &View) -> Result<BTreeMap<u32, u64>, StoreError> {
    let mut wanted = BTreeMap::new();
    let mut add = |place: Place| {
        if !place.is_file() {
            *wanted.entry(place.segment).or_insert(0) += bytes_of(&place);
        }
    };
    on_index("list what is in the index", || {
        for row in view.blobs.rows(None)?.chain(view.actions.rows(None)?) {
            add(row?.1);
        }
        for row in view.run_jobs.iter()? {
            add(Place::decode(row?.1.value()));
        }
        Ok(())
    })?;
    Ok(wanted)
}

/// Whether the index says that an entry is at this place, or holds what it says. (The log has all that is in the index
/// and not in a cache, so that the index can be made anew.)
fn is_named(view: &View, header: &Header, place: &Place, body: &[u8]) -> Result<bool, redb::Error> {
    let (run, page) = run_and_page(&header.key);
    let named = match header.kind {
        Kind::Blob | Kind::Packed => view.blobs.get(&header.key)?,
        Kind::Action => view.actions.get(&header.key)?,
        Kind::Jobs => view.run_jobs.get((run.0, page))?.map(|row| Place::decode(row.value())),
        Kind::File => return Ok(view.blobs.get(&header.key)? == Some(Place::file(header.size_bytes))),
        Kind::Run => return Ok(view.runs.get(run.0)?.is_some_and(|row| row.value() == body)),
        Kind::Pin => {
            let pin = view.pins.get(&header.key)?.map(|row| Pin::of(row.value()));
            return Ok(pin.is_some() && pin == Pin::decode(body));
        }
        Kind::Stats | Kind::Artifact | Kind::Lost => return Ok(false),
    };
    Ok(named == Some(*place))
}
