//! Bringing rows into the index: many at once, in one transaction.
//!
//! Owns: the order of rows and what a row does where there is one already. Does not know: when, or what is on disk
//! beside the index.

use redb::{Database, ReadableTable, ReadableTableMetadata, Table, WriteTransaction};
use wasmill_model::{Digest, RunId};

use crate::layers::{ACTIONS, BLOBS, PlacesMut};
use crate::pins::Pin;
use crate::place::{Place, PlaceBytes};
use crate::record::Kind;
use crate::tables::{self, COMPILED, LOST, PINS, RUN_JOBS, RUNS, SEGMENTS, STATS, run_and_page};
use crate::tail::{Moved, Rows};

/// Up to where a segment is in the index, and whether nothing will be added to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Covered {
    pub(crate) segment: u32,
    pub(crate) end: u32,
    pub(crate) is_sealed: bool,
}

/// Rows that are to go, if they still are what they were: ascending, and how many. There may be millions.
pub(crate) struct DeadPlaces<'a> {
    pub(crate) rows: Box<dyn Iterator<Item = (Digest, Place)> + 'a>,
    pub(crate) count: u64,
}

/// What is to go.
#[derive(Default)]
pub(crate) struct Dead<'a> {
    pub(crate) blobs: DeadPlaces<'a>,
    pub(crate) actions: DeadPlaces<'a>,
    pub(crate) runs: &'a [RunId],
    pub(crate) segments: &'a [u32],
    /// Lost blobs that nothing needs.
    pub(crate) lost: Vec<Digest>,
}

impl Default for DeadPlaces<'_> {
    fn default() -> Self {
        Self { rows: Box::new(std::iter::empty()), count: 0 }
    }
}

/// Begins a transaction. Guests choose what digests there are. redb's default commit trusts a checksum that is no match
/// for somebody who chooses the bytes; with two phases it trusts only what was synced. Quick repair spares the next
/// process a walk over the whole index where this one is killed.
pub(crate) fn begin(index: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut write = index.begin_write()?;
    write.set_two_phase_commit(true);
    write.set_quick_repair(true);
    Ok(write)
}

/// Removes rows.
pub(crate) fn remove(index: &Database, dead: Dead<'_>) -> Result<(), redb::Error> {
    let write = begin(index)?;
    remove_places(PlacesMut::open(&write, BLOBS)?, dead.blobs)?;
    remove_places(PlacesMut::open(&write, ACTIONS)?, dead.actions)?;
    {
        let (mut runs, mut jobs) = (write.open_table(RUNS)?, write.open_table(RUN_JOBS)?);
        let (mut segments, mut lost) = (write.open_table(SEGMENTS)?, write.open_table(LOST)?);
        for run in dead.runs {
            runs.remove(run.0)?;
            jobs.retain_in((run.0, 0)..=(run.0, u32::MAX), |_, _| false)?;
        }
        for segment in dead.segments {
            segments.remove(segment)?;
        }
        for digest in &dead.lost {
            lost.remove(digest.as_bytes())?;
        }
    }
    Ok(write.commit()?)
}

fn remove_places(mut places: PlacesMut<'_>, dead: DeadPlaces<'_>) -> Result<(), redb::Error> {
    if dead.count == 0 { Ok(()) } else { places.remove_all(dead.count, dead.rows) }
}

/// Removes what is known of host files whose content is not there any more.
pub(crate) fn forget_stats(index: &Database, is_dead: impl Fn(&str, &[u8]) -> bool) -> Result<(), redb::Error> {
    let write = begin(index)?;
    write.open_table(STATS)?.retain(|path, row| !is_dead(path, row))?;
    Ok(write.commit()?)
}

/// What is done where two processes put the same blob.
pub(crate) trait SameBlob {
    /// Whether there are other processes.
    fn has_others(&self) -> bool;
    /// Whether what the other one put will stay as long as that process lives.
    fn is_others(&self, place: &Place) -> bool;
    /// Relies on what the other one put.
    fn rely_on(&self, digest: &Digest) -> Result<(), redb::Error>;
    /// Whether a blob has a file.
    fn has_file(&self, digest: &Digest) -> bool;
    /// Whether what was relied on will stay: no collection began to remove anything since it was asked who lives.
    fn is_still_so(&self) -> Result<bool, redb::Error>;
}

/// Writes rows, all of them or none. Returns whether it did: else all is to be asked again.
///
/// `look` is asked for the others once nobody else writes: who comes later finds these rows.
pub(crate) fn write<S: SameBlob>(
    index: &Database,
    rows: &Rows,
    covered: &[Covered],
    look: impl FnOnce() -> Result<S, redb::Error>,
) -> Result<bool, redb::Error> {
    let write = begin(index)?;
    let same = look()?;
    write_places(&write, rows, &same)?;
    write_runs(&write, rows)?;
    write_caches(&write, rows)?;
    let mut table = write.open_table(SEGMENTS)?;
    for covered in covered {
        table.insert(covered.segment, (covered.end, covered.is_sealed))?;
    }
    drop(table);
    // Before anything is written: once these rows are in the index, others may move or remove what they name, and to
    // write them a second time would undo that.
    if !same.is_still_so()? {
        write.abort()?;
        return Ok(false);
    }
    write.commit()?;
    Ok(true)
}

fn write_places(write: &WriteTransaction, rows: &Rows, same: &impl SameBlob) -> Result<(), redb::Error> {
    let (mut blobs, mut actions) = (PlacesMut::open(write, BLOBS)?, PlacesMut::open(write, ACTIONS)?);
    let mut lost = write.open_table(LOST)?;
    lose(&mut blobs, &mut lost, rows, same)?;
    let has_lost = !lost.is_empty()?;
    let has_others = same.has_others();
    let mut sorted: Vec<_> = rows.blobs.iter().collect();
    sorted.sort_unstable_by_key(|(digest, _)| **digest);
    for (digest, place) in sorted {
        let key = digest.as_bytes();
        if has_lost {
            // What is brought in may be the copy that was lost, by whoever knows nothing of that.
            let is_lost_copy = lost.get(key)?.is_some_and(|row| *row.value() == place.encode());
            if is_lost_copy && !(place.is_file() && same.has_file(digest)) {
                continue;
            }
            lost.remove(key)?;
        }
        // Another process may have put the same. If it lives, it takes its copy for safe without saying so: that one
        // stays, and is relied on. Else this one takes its place: the other may be about to be taken away.
        if has_others && blobs.get(key)?.is_some_and(|before| same.is_others(&before)) {
            same.rely_on(digest)?;
        } else {
            blobs.insert(key, place)?;
        }
    }
    let mut sorted: Vec<_> = rows.actions.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| key.0);
    for (key, place) in sorted {
        actions.insert(key.0.as_bytes(), place)?;
    }
    write_moved(write, &rows.moved, &mut blobs, &mut actions)?;
    blobs.finish()?;
    actions.finish()
}

/// Notes what is lost, unless what is there now is another copy, which another process may have put.
fn lose(
    blobs: &mut PlacesMut<'_>,
    lost: &mut Table<'_, &[u8; 32], &PlaceBytes>,
    rows: &Rows,
    same: &impl SameBlob,
) -> Result<(), redb::Error> {
    for (digest, place) in &rows.lost {
        let is_there = place.is_file() && same.has_file(digest);
        let named = blobs.get(digest.as_bytes())?;
        if named == Some(*place) && !is_there {
            blobs.remove(digest.as_bytes())?;
        }
        if named.is_none_or(|named| named == *place) && !is_there {
            lost.insert(digest.as_bytes(), &place.encode())?;
        }
    }
    Ok(())
}

/// Names new places, where the old ones are still what is named.
fn write_moved(
    write: &WriteTransaction,
    moved: &[Moved],
    blobs: &mut PlacesMut<'_>,
    actions: &mut PlacesMut<'_>,
) -> Result<(), redb::Error> {
    let mut jobs = write.open_table(RUN_JOBS)?;
    for Moved { kind, key, old, new } in moved {
        match kind {
            Kind::Blob | Kind::Packed if blobs.get(key)? == Some(*old) => blobs.insert(key, new)?,
            Kind::Action if actions.get(key)? == Some(*old) => actions.insert(key, new)?,
            Kind::Jobs => {
                let (run, page) = run_and_page(key);
                if jobs.get((run.0, page))?.is_some_and(|row| *row.value() == old.encode()) {
                    jobs.insert((run.0, page), &new.encode())?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn write_runs(write: &WriteTransaction, rows: &Rows) -> Result<(), redb::Error> {
    let mut table = write.open_table(RUNS)?;
    for (run, row) in &rows.runs {
        // A collection may have copied what was there before.
        let is_older = table.get(run.0)?.is_some_and(|known| tables::is_older_run(*run, row, known.value()));
        if !is_older {
            table.insert(run.0, row.as_slice())?;
        }
    }
    let mut table = write.open_table(RUN_JOBS)?;
    for ((run, page), place) in &rows.jobs {
        table.insert((run.0, *page), &place.encode())?;
    }
    Ok(())
}

fn write_caches(write: &WriteTransaction, rows: &Rows) -> Result<(), redb::Error> {
    let mut sorted: Vec<(&String, &Vec<u8>)> = rows.stats.iter().collect();
    sorted.sort_unstable();
    let mut table = write.open_table(STATS)?;
    for (path, row) in sorted {
        table.insert(path.as_str(), row.as_slice())?;
    }
    let mut table = write.open_table(PINS)?;
    for (digest, pin) in &rows.pins {
        let known = table.get(digest.as_bytes())?.map(|row| Pin::of(row.value()));
        if known.is_none_or(|known| known < *pin) {
            table.insert(digest.as_bytes(), (pin.turn, pin.is_pinned))?;
        }
    }
    let mut table = write.open_table(COMPILED)?;
    for (key, blob) in &rows.artifacts {
        table.insert(key.as_bytes(), tables::encode_artifact(blob).as_slice())?;
    }
    Ok(())
}
