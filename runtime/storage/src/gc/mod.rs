//! Collecting what nothing refers to any more.
//!
//! Owns: the order of a collection, and that nothing is taken away that a kept run, a pin, or a process that lives
//! relies on. Does not know: how references are followed (`mark`), or how space is given back (`sweep`).
//!
//! Rows go first, in one transaction, and bytes afterwards. Whoever finds a row first writes down that it relies on it,
//! see `live` for why no process can slip through.

mod mark;
mod sweep;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasmill_model::port::StoreError;
use wasmill_model::{ActionKey, RunId, RunRecord};

use crate::error::{failed, on_index};
use crate::index;
use crate::place::Place;
use crate::tables::{View, decode_run};
use crate::{Storage, live};

use mark::Marks;

/// How often garbage is collected where nobody asks for it.
const COLLECT_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Compiled modules that were used more lately stay, as compiling takes long and it is only known by the day.
const ARTIFACT_AGE_MIN: Duration = Duration::from_secs(2 * 24 * 3600);

/// What a collection keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// The latest runs are kept, however old: this many.
    pub runs: usize,
    /// Runs that are younger are kept, however many; and compiled modules that were used since.
    pub age: Duration,
    /// Once the store is larger, in bytes, the oldest runs go, whatever the above says, until what is left is four
    /// fifths of that. The latest run always stays.
    pub bytes_max: u64,
    /// What was written more lately than this is kept, even if no run names it: its run may have been killed.
    pub grace: Duration,
}

impl Default for Keep {
    /// 100 runs, 30 days, 20 GiB, 1 hour.
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self { runs: 100, age: hour * 24 * 30, bytes_max: 20 << 30, grace: hour }
    }
}

/// What a collection did, or, where it was only tried, would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Runs that were kept.
    pub runs_kept: u64,
    /// Runs that were forgotten.
    pub runs_removed: u64,
    /// Results that were kept.
    pub actions_kept: u64,
    /// Results that were removed.
    pub actions_removed: u64,
    /// Blobs that were kept.
    pub blobs_kept: u64,
    /// Blobs that were removed.
    pub blobs_removed: u64,
    /// Bytes of what was kept.
    pub bytes_kept: u64,
    /// Bytes of what was removed.
    pub bytes_removed: u64,
    /// Bytes that the disk has back. Less than what was removed, where it shares a segment with what was kept.
    pub bytes_freed: u64,
}

/// What a collection is doing, for whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collecting {
    /// It follows the references of this many of so many runs.
    Marking(u64, u64),
    /// It gave back this many of so many files.
    Sweeping(u64, u64),
}

/// Actions, runs and pages of their job reports that are in other processes' segments and not in the index.
struct Others {
    actions: Vec<(ActionKey, Place)>,
    pages: Vec<(RunId, u32, Place)>,
    runs: Vec<RunRecord>,
}

impl Storage {
    fn rows_of_others(&self) -> Others {
        let tail = self.shared.log.tail();
        let rows = || tail.theirs.values().map(|theirs| &theirs.rows);
        let actions = rows().flat_map(|rows| rows.actions.iter().map(|(key, place)| (*key, *place)));
        let pages = rows().flat_map(|rows| rows.jobs.iter().map(|((run, page), place)| (*run, *page, *place)));
        let runs = rows().flat_map(|rows| rows.runs.iter());
        let runs = runs.filter_map(|(run, row)| decode_run(*run, row));
        Others { actions: actions.collect(), pages: pages.collect(), runs: runs.collect() }
    }

    /// Collects garbage, while this and other processes go on using the store. Nothing comes of it where another
    /// process does so already. With `is_trial`, nothing is changed.
    ///
    /// # Errors
    /// The store cannot be read or written; what was not removed by then is left for the next collection.
    pub fn collect(
        &self,
        keep: &Keep,
        is_trial: bool,
        progress: &mut dyn FnMut(Collecting),
    ) -> Result<Option<Collected>, StoreError> {
        let doing = || failed("collect garbage");
        let Some(_lock) = self.shared.lease.lock_collection(&self.shared.dir).map_err(doing())? else {
            return Ok(None);
        };
        self.shared.log.index_everything()?;
        let index = self.shared.index()?;
        let latest = || on_index("read the index", || View::latest(&index));
        let view = latest()?;
        let mut marks = Marks::new(self, &view)?;
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let now_ms = u64::try_from(now_ms).unwrap_or(u64::MAX);
        let used = live::used_by_all(&self.shared.dir).map_err(doing())?;
        marks.keep_what_is_used(&used)?;
        self.refresh_now()?;
        let mut wanted = used.runs.clone();
        wanted.extend(marks.keep_what_is_new(&view, &view)?);
        marks.keep_pins()?;
        marks.keep_young(&sweep::young_segments(&self.shared.log_dir, keep.grace).map_err(doing())?, &used)?;
        let runs_removed = marks.keep_runs(&view, keep, now_ms, progress)?;
        let mut runs_removed = marks.spare_runs(&view, runs_removed, &wanted)?;
        if is_trial {
            return Ok(Some(marks.collected(&runs_removed)));
        }
        {
            let _removal = self.shared.lease.begin_removal().map_err(doing())?;
            // What was written down until now is kept; who writes something down from now on waits for the end of this.
            let used = live::used_by_all(&self.shared.dir).map_err(doing())?;
            marks.keep_what_is_used(&used)?;
            wanted.extend(used.runs);
            // Processes that ended since then left in the log or in the index what they had used.
            self.refresh_now()?;
            wanted.extend(marks.keep_what_is_new(&view, &latest()?)?);
            runs_removed = marks.spare_runs(&view, runs_removed, &wanted)?;
            marks.keep_pins()?;
            on_index("remove from the index", || index::remove(&index, marks.dead(&runs_removed)))?;
        }
        self.refresh_now()?;
        let mut collected = marks.collected(&runs_removed);
        marks.dead_blobs().for_each(|digest| self.shared.reader.forget(&digest));
        on_index("forget host files", || {
            index::forget_stats(&index, |path, row| {
                crate::tables::decode_stat(path, row).is_none_or(|(_, blob)| marks.is_dead_blob(&blob.digest))
            })
        })?;
        drop(marks);
        collected.bytes_freed = self.sweep_files(progress)? + self.sweep_segments(progress)?;
        collected.bytes_freed += self.sweep_artifacts(keep.age.max(ARTIFACT_AGE_MIN))?;
        self.shared.lease.collected(collected.bytes_kept).map_err(doing())?;
        Ok(Some(collected))
    }

    /// Collects garbage if the last collection was a day ago, or if the store became larger than it may.
    ///
    /// # Errors
    /// As of [`Storage::collect`].
    pub fn collect_if_due(&self, keep: &Keep) -> Result<Option<Collected>, StoreError> {
        let (when, kept, added) = self.shared.lease.last_collection().map_err(failed("collect garbage"))?;
        let added = added.saturating_add(self.shared.log.added_bytes());
        // A clock that was set back makes it due, rather than never.
        let is_old = SystemTime::now().duration_since(when).map_or(true, |age| age >= COLLECT_AFTER);
        if is_old || kept.saturating_add(added) > keep.bytes_max {
            return self.collect(keep, false, &mut |_| {});
        }
        Ok(None)
    }
}
