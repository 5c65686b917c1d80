//! The content-addressed store of wasmill: blobs, action results, run history, and two caches, in one directory.
//!
//! Everything becomes durable by being added to a log; an index, written behind it, says where in the log things are.
//!
//! Owns: how they lie on disk, when they are durable, and that nothing half-written is ever seen. Does not know:
//! how a result comes about, or which of what it keeps is still wanted. The layout is in
//! `docs/storage-format.md`.

mod action_cache;
mod artifacts;
mod blobs;
mod committer;
mod disk;
mod doctor;
mod error;
mod files;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod gc;
mod helpers;
mod index;
mod intake;
mod layers;
mod list;
mod live;
mod log;
mod migrate;
mod open;
mod options;
mod packed;
mod pins;
mod place;
mod platform;
mod reader;
mod rebuild;
mod record;
mod recover;
mod runs;
mod scrub;
mod segment;
mod sketch;
mod stats;
mod tables;
mod tail;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redb::{Database, ReadableTable, ReadableTableMetadata};
use wasmill_model::port::StoreError;
use wasmill_model::{Digest, RunId};

pub use doctor::Examined;
pub use error::{OpenError, expects_panic};
pub use gc::{Collected, Collecting, Keep};
pub use migrate::Migrated;
pub use options::{Layout, Options};
pub use reader::CacheStats;
pub use rebuild::Repaired;
pub use scrub::{Scrubbed, Scrubbing};

use disk::Disk;
use error::{failed, on_index, unpanicked};
use files::Files;
use helpers::Helpers;
use live::Lease;
use log::Log;
use place::Place;
use reader::Reader;
use segment::{START, Segment};
use tables::View;
use tail::Found;

/// How long a process goes on without looking what others brought into the index.
const REFRESH_AFTER: Duration = Duration::from_millis(100);

/// What survives a kill and a power failure; see [`Storage::durable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Durable<T>(T);

impl<T> Durable<T> {
    /// What it is.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// How much there is in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Blobs.
    pub blobs: u64,
    /// Their content, in bytes.
    pub content_bytes: u64,
    /// Results.
    pub actions: u64,
    /// Runs.
    pub runs: u64,
    /// Host files whose digests are remembered.
    pub host_files: u64,
    /// Blobs that are known to be lost.
    pub lost: u64,
    /// Pins.
    pub pins: u64,
    /// Segments of the log.
    pub segments: u64,
    /// What all files of the store take on disk, in bytes.
    pub disk_bytes: u64,
}

/// An open store: all of the ports of [`wasmill_model::port`] that keep something.
///
/// Any number of processes may have a store open, and each shares it between its threads. Dropping it writes what is
/// pending; [`Storage::close`] does so too, and says whether it worked.
///
/// Callbacks are called by the thread that writes: they must be short, and must not hand anything in themselves.
pub struct Storage {
    shared: Arc<Shared>,
    committer: Option<JoinHandle<()>>,
}

/// What the ports and the threads that write share.
struct Shared {
    log: Log,
    files: Files,
    reader: Reader,
    /// Until the store is closed.
    index: Mutex<Option<Arc<Database>>>,
    layout: Layout,
    compresses: bool,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    log_dir: PathBuf,
    /// The next run's number as far as this process knows.
    run_next: AtomicU64,
    /// The next page of each run's reports.
    pages: Mutex<HashMap<RunId, u32>>,
    refreshed: Mutex<Instant>,
    /// Segments that were taken over from processes that are gone.
    _held: Vec<Segment>,
    lease: Lease,
    helpers: Helpers,
    /// How many of the blobs that were put last were not there, of those lengths for which it matters.
    new_in_a_row: AtomicU32,
    /// Content that was handed in and was there already, in bytes.
    known_bytes: AtomicU64,
    /// The latest collection that this process's view of the index takes account of.
    epoch_seen: AtomicU64,
}

impl Shared {
    /// The index.
    fn index(&self) -> Result<Arc<Database>, StoreError> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.clone().ok_or_else(|| failed("use the index")("the store is closed"))
    }

    /// Begins another segment after `full`, which ends at `end`.
    fn next_segment(&self, full: &Segment, end: u32) -> Result<Segment, StoreError> {
        let doing = || failed("begin a segment of the log");
        let _lock = live::lock(&self.dir).map_err(doing())?;
        let index = self.index()?;
        let known = on_index("look up the segments", || {
            Ok(View::latest(&index)?.segments.last()?.map_or(0, |(id, _)| id.value()))
        })?;
        let last = segment::list(&self.log_dir).map_err(doing())?.last().copied().unwrap_or(0);
        let next = Segment::create(self.disk.as_ref(), &self.log_dir, last.max(known) + 1, self.layout.segment_bytes);
        let next = next.map_err(doing())?;
        self.files.sync_dir(&self.log_dir)?;
        // Where a segment that somebody has mapped cannot be cut: it only takes more space.
        if let Err(error) = full.trim(end) {
            tracing::warn!(segment = full.id, %error, "the space that was set aside for a segment is not given back");
        }
        self.lease.write_to(next.id, START).map_err(doing())?;
        self.log.with_tail(|tail| tail.own.insert(next.id, START));
        Ok(next)
    }

    /// Takes `count` pages of a run's reports; `next` finds the first free one, if this process does not know it.
    fn take_pages(
        &self,
        run: RunId,
        count: usize,
        next: impl FnOnce() -> Result<u32, StoreError>,
    ) -> Result<u32, StoreError> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let first = match pages.get(&run) {
            Some(first) => *first,
            None => next()?,
        };
        pages.insert(run, first.saturating_add(u32::try_from(count).unwrap_or(u32::MAX)));
        Ok(first)
    }
}

impl Storage {
    /// A folder for temporary files, on the same filesystem as the blobs. Empty when the store is opened.
    pub fn temp_dir(&self) -> &Path {
        self.shared.files.temp_dir()
    }

    /// Waits until everything that was handed in before is durable; what it came to is durable then too. Whoever does not
    /// call this goes on without waiting.
    ///
    /// # Errors
    /// Something could not be written.
    pub fn durable<T>(&self, handed_in: T) -> Result<Durable<T>, StoreError> {
        self.shared.log.wait().map(|()| Durable(handed_in))
    }

    /// How much there is in the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn totals(&self) -> Result<Totals, StoreError> {
        self.shared.log.index_everything()?;
        let index = self.shared.index()?;
        let doing = || failed("measure the store");
        let mut totals = on_index("count what is in the index", || {
            let view = View::latest(&index)?;
            let mut totals = Totals {
                runs: view.runs.len()?,
                host_files: view.stats.len()?,
                lost: view.lost.len()?,
                ..Totals::default()
            };
            for row in view.blobs.rows(None)? {
                totals.blobs += 1;
                totals.content_bytes += row?.1.size_bytes;
            }
            for row in view.actions.rows(None)? {
                row?;
                totals.actions += 1;
            }
            Ok(totals)
        })?;
        totals.pins = self.pins()?.len() as u64;
        totals.segments = segment::list(&self.shared.log_dir).map_err(doing())?.len() as u64;
        // Without what is only set aside.
        let aside = u64::from(self.shared.layout.segment_bytes.saturating_sub(self.shared.log.end()));
        let aside = aside + open::reserved_bytes(&self.shared.dir);
        totals.disk_bytes = platform::disk_bytes(&self.shared.dir).map_err(doing())?.saturating_sub(aside);
        Ok(totals)
    }

    /// Changes how much memory small blobs take at most ([`Options::blob_cache_bytes`]).
    pub fn limit_cache(&self, bytes: usize) {
        self.shared.reader.limit_cache(bytes);
    }

    /// What the cache of small blobs did since the store was opened.
    pub fn cache_stats(&self) -> CacheStats {
        self.shared.reader.cache_stats()
    }

    /// Writes what is pending and closes the store.
    ///
    /// # Errors
    /// Something that was handed in, now or earlier, could not be written; or the index is damaged, so that it cannot be closed.
    pub fn close(mut self) -> Result<(), StoreError> {
        let closed = self.stop();
        self.shared.log.failure().map_or(closed, |failure| Err(StoreError::Stopped(failure)))
    }

    fn stop(&mut self) -> Result<(), StoreError> {
        if self.committer.is_none() {
            return Ok(());
        }
        self.shared.log.close();
        if let Some(committer) = self.committer.take()
            && committer.join().is_err()
        {
            tracing::error!("a thread of the store panicked");
        }
        let added = self.shared.log.added_bytes();
        if added > 0
            && let Err(error) = self.shared.lease.added(&self.shared.dir, added)
        {
            tracing::warn!(%error, "the store does not know how much it grew");
        }
        let index = self.shared.index.lock().unwrap_or_else(PoisonError::into_inner).take();
        unpanicked(|| drop(index)).map_err(failed("close the index"))
    }

    /// Takes notice of what other processes wrote, unless that was done just now. Whether it was not.
    fn refresh(&self) -> Result<bool, StoreError> {
        {
            let mut refreshed = self.shared.refreshed.lock().unwrap_or_else(PoisonError::into_inner);
            if refreshed.elapsed() < REFRESH_AFTER {
                return Ok(false);
            }
            *refreshed = Instant::now();
        }
        self.refresh_now()?;
        Ok(true)
    }

    /// Takes notice of what other processes wrote.
    fn refresh_now(&self) -> Result<(), StoreError> {
        let index = self.shared.index()?;
        self.shared.log.with_tail(|tail| {
            // Under the lock: no view ever takes the place of a later one.
            tail.view = Arc::new(on_index("read the index", || View::latest(&index))?);
            recover::follow(&self.shared.log_dir, tail).map_err(failed("read what other processes wrote"))?;
            on_index("list the lost blobs", || match tail.lost.is_empty() && tail.view.lost.is_empty()? {
                true if tail.theirs.values().all(|theirs| theirs.rows.lost.is_empty()) => Ok(()),
                _ => tail.learn_what_is_lost(),
            })
        })
    }

    /// Finds something that other processes may take away, in such a way that they do not as long as this process
    /// lives. `find` looks it up.
    fn rely_on(
        &self,
        digest: &Digest,
        find: impl Fn() -> Result<Option<Found>, StoreError>,
    ) -> Result<Option<Place>, StoreError> {
        loop {
            let seen = self.shared.epoch_seen.load(Ordering::Acquire);
            let Some(found) = find()? else { return Ok(None) };
            if found.is_own {
                return Ok(Some(found.place));
            }
            self.shared.lease.rely_on(digest).map_err(failed("say what this process relies on"))?;
            if self.is_relied_on(seen)? {
                return Ok(Some(found.place));
            }
        }
    }

    /// Whether what was found when the number of the latest collection was `seen`, and was then written down, stays. If not, it
    /// has to be looked for again: a collection that was going on is over by now.
    fn is_relied_on(&self, seen: u64) -> Result<bool, StoreError> {
        let doing = || failed("say what this process relies on");
        let epoch = self.shared.lease.epoch().map_err(doing())?;
        if epoch == seen && epoch % 2 == 0 {
            return Ok(true);
        }
        let epoch = self.shared.lease.wait_for_removal(&self.shared.dir).map_err(doing())?;
        self.refresh_now()?;
        self.shared.epoch_seen.store(epoch, Ordering::Release);
        Ok(false)
    }

    /// The number of the next run.
    fn take_run_id(&self) -> Result<RunId, StoreError> {
        let at_least = self.shared.run_next.load(Ordering::Relaxed);
        let number = live::take_run_number(&self.shared.dir, at_least).map_err(failed("number a run"))?;
        self.shared.run_next.fetch_max(number.saturating_add(1), Ordering::Relaxed);
        Ok(RunId(number))
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::error!(error = &error as &dyn std::error::Error, "the store was not closed");
        }
    }
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("files", &self.shared.files).finish_non_exhaustive()
    }
}
