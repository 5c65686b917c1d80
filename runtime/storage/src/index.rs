//! Bringing rows into the index: many at once, in one transaction.
//!
//! Owns: the order of rows and what a row does where there is one already. Does not know: when, or what is on disk
//! beside the index.

use redb::{Database, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};
use wasmill_model::{Digest, RunId};

use crate::pins::Pin;
use crate::place::{Place, PlaceBytes};
use crate::record::Kind;
use crate::tables::{self, ACTIONS, BLOBS, COMPILED, LOST, PINS, RUN_JOBS, RUNS, SEGMENTS, STATS, run_and_page};
use crate::tail::{Moved, Rows};

/// Up to where a segment is in the index, and whether nothing will be added to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Covered {
    pub(crate) segment: u32,
    pub(crate) end: u32,
    pub(crate) is_sealed: bool,
}

/// Rows that are to go, if they still are what they were. There may be millions of blobs and actions.
pub(crate) struct Dead<'a> {
    pub(crate) blobs: Box<dyn Iterator<Item = (Digest, Place)> + 'a>,
    pub(crate) actions: Box<dyn Iterator<Item = (Digest, Place)> + 'a>,
    pub(crate) runs: &'a [RunId],
    pub(crate) segments: &'a [u32],
    /// Lost blobs that nothing needs.
    pub(crate) lost: Vec<Digest>,
}

impl Default for Dead<'_> {
    fn default() -> Self {
        let (blobs, actions) = (Box::new(std::iter::empty()), Box::new(std::iter::empty()));
        Self { blobs, actions, runs: &[], segments: &[], lost: Vec::new() }
    }
}

/// Begins a transaction. Guests choose what digests there are. redb's default commit trusts a checksum that is no match
/// for somebody who chooses the bytes; with two phases it trusts only what was synced. Quick repair spares the next
/// process a walk over the whole index where this one is killed.
fn begin(index: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut write = index.begin_write()?;
    write.set_two_phase_commit(true);
    write.set_quick_repair(true);
    Ok(write)
}

/// Removes rows.
pub(crate) fn remove(index: &Database, dead: Dead<'_>) -> Result<(), redb::Error> {
    let write = begin(index)?;
    remove_places(&write, BLOBS, dead.blobs)?;
    remove_places(&write, ACTIONS, dead.actions)?;
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

fn remove_places(
    write: &WriteTransaction,
    table: TableDefinition<&[u8; 32], &PlaceBytes>,
    dead: impl Iterator<Item = (Digest, Place)>,
) -> Result<(), redb::Error> {
    let mut table = write.open_table(table)?;
    for (digest, place) in dead {
        let key = digest.as_bytes();
        let is_same = table.get(key)?.is_some_and(|row| *row.value() == place.encode());
        if is_same {
            table.remove(key)?;
        }
    }
    Ok(())
}

/// Removes what is known of host files whose content is not there any more.
pub(crate) fn forget_stats(index: &Database, is_dead: impl Fn(&str, &[u8]) -> bool) -> Result<(), redb::Error> {
    let write = begin(index)?;
    write.open_table(STATS)?.retain(|path, row| !is_dead(path, row))?;
    Ok(write.commit()?)
}

/// What is done where two processes put the same blob.
pub(crate) trait SameBlob {
    /// Whether what the other one put will stay as long as that process lives.
    fn is_others(&self, place: &Place) -> bool;
    /// Relies on what the other one put.
    fn rely_on(&self, digest: &Digest) -> Result<(), redb::Error>;
    /// Whether a blob has a file.
    fn has_file(&self, digest: &Digest) -> bool;
}

/// Writes rows, all of them or none.
pub(crate) fn write(
    index: &Database,
    rows: &Rows,
    covered: &[Covered],
    same: &impl SameBlob,
) -> Result<(), redb::Error> {
    let write = begin(index)?;
    write_blobs(&write, rows, same)?;
    let actions = rows.actions.iter().map(|(key, place)| (*key.0.as_bytes(), place.encode()));
    write_places(&write, ACTIONS, actions.collect())?;
    write_runs(&write, rows)?;
    write_moved(&write, &rows.moved)?;
    write_caches(&write, rows)?;
    let mut table = write.open_table(SEGMENTS)?;
    for covered in covered {
        table.insert(covered.segment, (covered.end, covered.is_sealed))?;
    }
    drop(table);
    Ok(write.commit()?)
}

fn write_blobs(write: &WriteTransaction, rows: &Rows, same: &impl SameBlob) -> Result<(), redb::Error> {
    let (mut table, mut lost) = (write.open_table(BLOBS)?, write.open_table(LOST)?);
    for (digest, place) in &rows.lost {
        // Another process may have put it again, and what is there now is another copy.
        let is_there = place.is_file() && same.has_file(digest);
        let named = table.get(digest.as_bytes())?.map(|row| Place::decode(row.value()));
        if named == Some(*place) && !is_there {
            table.remove(digest.as_bytes())?;
        }
        if named.is_none_or(|named| named == *place) && !is_there {
            lost.insert(digest.as_bytes(), &place.encode())?;
        }
    }
    let has_lost = !lost.is_empty()?;
    let mut sorted: Vec<_> = rows.blobs.iter().map(|(digest, place)| (*digest.as_bytes(), *place)).collect();
    sorted.sort_unstable_by_key(|(digest, _)| *digest);
    for (digest, place) in sorted {
        if has_lost {
            // What is brought in may be the copy that was lost, by whoever knows nothing of that.
            let is_lost_copy = lost.get(&digest)?.is_some_and(|row| *row.value() == place.encode());
            if is_lost_copy && !(place.is_file() && same.has_file(&Digest::from_bytes(digest))) {
                continue;
            }
            lost.remove(&digest)?;
        }
        // Another process may have put the same. If it lives, it takes its copy for safe without saying so: that one
        // stays, and is relied on. Else this one takes its place: the other may be about to be taken away.
        let before = table.insert(&digest, &place.encode())?.map(|row| *row.value());
        if let Some(before) = before.filter(|before| same.is_others(&Place::decode(before))) {
            same.rely_on(&Digest::from_bytes(digest))?;
            table.insert(&digest, &before)?;
        }
    }
    Ok(())
}

fn write_places(
    write: &WriteTransaction,
    table: TableDefinition<&[u8; 32], &PlaceBytes>,
    mut rows: Vec<([u8; 32], PlaceBytes)>,
) -> Result<(), redb::Error> {
    rows.sort_unstable();
    let mut table = write.open_table(table)?;
    for (key, place) in &rows {
        table.insert(key, place)?;
    }
    Ok(())
}

/// Names new places, where the old ones are still what is named.
fn write_moved(write: &WriteTransaction, moved: &[Moved]) -> Result<(), redb::Error> {
    let (mut blobs, mut actions) = (write.open_table(BLOBS)?, write.open_table(ACTIONS)?);
    let mut jobs = write.open_table(RUN_JOBS)?;
    for Moved { kind, key, old, new } in moved {
        let (old, new) = (old.encode(), new.encode());
        match kind {
            Kind::Blob | Kind::Packed if blobs.get(key)?.is_some_and(|row| *row.value() == old) => {
                drop(blobs.insert(key, &new)?);
            }
            Kind::Action if actions.get(key)?.is_some_and(|row| *row.value() == old) => {
                drop(actions.insert(key, &new)?);
            }
            Kind::Jobs => {
                let (run, page) = run_and_page(key);
                if jobs.get((run.0, page))?.is_some_and(|row| *row.value() == old) {
                    jobs.insert((run.0, page), &new)?;
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
