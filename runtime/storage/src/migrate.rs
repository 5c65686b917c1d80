//! Bringing a store of an earlier format to this one.
//!
//! Owns: what earlier formats looked like, and that a kill in the middle leaves a store that can be migrated again. Does
//! not know: the present format, but for how entries are handed in.
//!
//! Format 1 had everything in redb (`index.redb`: contents of up to 16,000 bytes, results, runs), but for larger blobs,
//! which were files as they are now. The new log and index come to be in a folder of their own, and take their places
//! once they are whole; `FORMAT` is the last to change.
//!
//! Format 2 had a row of a table for each blob and each action, where there are layers now. They are brought over in one
//! transaction.

use std::fs;
use std::io;
use std::path::Path;

use redb::{
    Builder, Database, ReadOnlyDatabase, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
    TableError, WriteTransaction,
};
use wasmill_model::Digest;
use wasmill_model::port::StoreError;

use crate::error::{Panicked, failed, on_index, unpanicked};
use crate::layers::{ACTIONS, BLOBS, PlacesMut, Set};
use crate::log::Entry;
use crate::open::{self, FORMAT, INDEX_FILE, LOG_DIR};
use crate::place::{Place, PlaceBytes};
use crate::record::Kind;
use crate::tables::{RUNS, page_key, run_key};
use crate::{Layout, OpenError, Options, Storage, index, live, platform};

const BLOBS_1: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("blobs-1");
const ACTIONS_2: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("actions-2");
const BLOBS_2: TableDefinition<&[u8; 32], &PlaceBytes> = TableDefinition::new("blobs-2");
const ACTIONS_3: TableDefinition<&[u8; 32], &PlaceBytes> = TableDefinition::new("actions-3");
const RUNS_1: TableDefinition<u64, &[u8]> = TableDefinition::new("runs-1");
const RUN_JOBS_2: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("run_jobs-2");

/// Where the new log and index come to be.
const NEW_DIR: &str = "migrating";
/// The old index, once the new one has its name.
const OLD_INDEX: &str = "index-1.redb";

/// What was migrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Migrated {
    /// The format that the store had.
    pub from: u32,
    /// The format that it has.
    pub to: u32,
    /// Blobs.
    pub blobs: u64,
    /// Results.
    pub actions: u64,
    /// Runs.
    pub runs: u64,
    /// Rows that made no sense and were left out.
    pub damaged: u64,
}

impl Storage {
    /// Brings the store in `dir` to the present format. Where it has that already, nothing is done. A store that a kill left
    /// in between is migrated by calling this again.
    ///
    /// # Errors
    /// The store is in use, its format is newer, or it cannot be read or written.
    pub fn migrate(dir: &Path) -> Result<Migrated, OpenError> {
        let present = Migrated { from: FORMAT, to: FORMAT, ..Migrated::default() };
        if earlier_format(dir)?.is_none() {
            return Ok(present);
        }
        let not_writable = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::NotWritable { path, source }
        };
        // Whoever uses a store of format 1 has this locked all the time.
        let lock = live::try_lock(dir).map_err(not_writable(dir))?;
        let _lock = lock.ok_or_else(|| OpenError::InUse { path: dir.join(INDEX_FILE) })?;
        // Another process may have been first, even one of an earlier version.
        let from = match earlier_format(dir)? {
            None => return Ok(present),
            Some(2) => return lay_in_layers(dir),
            Some(from) => from,
        };
        let new = dir.join(NEW_DIR);
        let old_index = match dir.join(OLD_INDEX) {
            moved if moved.exists() => moved,
            _ => dir.join(INDEX_FILE),
        };
        remove_dir(&new).map_err(not_writable(&new))?;
        let migrated = copy(dir, &old_index, &new)
            .map_err(|error| OpenError::Damaged { path: old_index.clone(), source: Box::new(error) })?;
        put_in_place(dir, &old_index, &new).map_err(not_writable(dir))?;
        Ok(Migrated { from, to: FORMAT, ..migrated })
    }
}

/// The format of a store, if it is not this one.
fn earlier_format(dir: &Path) -> Result<Option<u32>, OpenError> {
    match open::known_format(dir) {
        Ok(_) => Ok(None),
        Err(OpenError::OlderFormat { found, .. }) => Ok(Some(found)),
        Err(error) => Err(error),
    }
}

/// From format 2 to this one. The caller holds the store's lock.
fn lay_in_layers(dir: &Path) -> Result<Migrated, OpenError> {
    let path = dir.join(INDEX_FILE);
    let not_writable = |source| OpenError::NotWritable { path: dir.to_owned(), source };
    if live::is_anybody(dir).map_err(not_writable)? {
        return Err(OpenError::InUse { path });
    }
    let layout = open::layout(dir)?;
    let mut migrated = Migrated { from: 2, to: FORMAT, ..Migrated::default() };
    // A store that was killed while it came to be has none, and all is in the log.
    if path.try_exists().map_err(not_writable)? {
        let damaged = |error: redb::Error| match error {
            redb::Error::Io(source) if !open::says_damage(&source) => {
                OpenError::NotWritable { path: path.clone(), source }
            }
            error => OpenError::Damaged { path: path.clone(), source: error.into() },
        };
        let moved = unpanicked(|| {
            let mut builder = Builder::new();
            builder.set_cache_size(Options::INDEX_CACHE_BYTES_DEFAULT);
            let index = builder.open(&path).map_err(|error| open::refused(&path, error))?;
            lay_all(&index, &mut migrated).map_err(damaged)
        });
        let panicked = |panicked: Panicked| OpenError::Damaged { path: path.clone(), source: Box::new(panicked) };
        moved.map_err(panicked)??;
    }
    open::write_format(dir, &layout).map_err(not_writable)?;
    platform::sync_dir(dir).map_err(not_writable)?;
    Ok(migrated)
}

fn lay_all(index: &Database, migrated: &mut Migrated) -> Result<(), redb::Error> {
    let write = index::begin(index)?;
    migrated.blobs = lay(&write, BLOBS_2, BLOBS)?;
    migrated.actions = lay(&write, ACTIONS_3, ACTIONS)?;
    migrated.runs = write.open_table(RUNS)?.len()?;
    Ok(write.commit()?)
}

/// Brings the rows of a table into layers. There is no table where a kill came after this.
fn lay(
    write: &WriteTransaction,
    old: TableDefinition<&'static [u8; 32], &'static PlaceBytes>,
    set: Set,
) -> Result<u64, redb::Error> {
    let mut places = PlacesMut::open(write, set)?;
    let mut count = 0;
    for row in write.open_table(old)?.iter()? {
        let (key, place) = row?;
        places.insert(key.value(), &Place::decode(place.value()))?;
        count += 1;
    }
    places.finish()?;
    write.delete_table(old)?;
    Ok(count)
}

/// Makes the new log and index.
fn copy(dir: &Path, old_index: &Path, new: &Path) -> Result<Migrated, StoreError> {
    let old = unpanicked(|| Builder::new().open_read_only(old_index))
        .map_err(failed("open the old index"))?
        .map_err(failed("open the old index"))?;
    let storage = Storage::open(new, Options::default()).map_err(failed("make the new log"))?;
    let mut migrated = Migrated::default();
    copy_blobs(&old, dir, &storage, &mut migrated)?;
    each(&old, ACTIONS_2, |key, row| {
        migrated.actions += 1;
        let entry = Entry { kind: Kind::Action, key: *key, size_bytes: 0, body: row };
        storage.shared.log.hand_in(&entry, |tail, place| {
            tail.active.actions.insert(wasmill_model::ActionKey(Digest::from_bytes(*key)), place);
        })
    })?;
    each(&old, RUNS_1, |run, row| {
        migrated.runs += 1;
        let run = wasmill_model::RunId(run);
        let entry = Entry { kind: Kind::Run, key: run_key(run), size_bytes: 0, body: row };
        storage.shared.log.hand_in(&entry, |tail, _| {
            tail.active.runs.insert(run, row.to_vec());
        })
    })?;
    each(&old, RUN_JOBS_2, |(run, page), row| {
        let run = wasmill_model::RunId(run);
        let entry = Entry { kind: Kind::Jobs, key: page_key(run, page), size_bytes: 0, body: row };
        storage.shared.log.hand_in(&entry, |tail, place| {
            tail.active.jobs.insert((run, page), place);
        })
    })?;
    storage.shared.log.index_everything()?;
    storage.close()?;
    Ok(migrated)
}

fn copy_blobs(
    old: &ReadOnlyDatabase,
    dir: &Path,
    storage: &Storage,
    migrated: &mut Migrated,
) -> Result<(), StoreError> {
    each(old, BLOBS_1, |key, row| {
        let digest = Digest::from_bytes(*key);
        let (entry, is_file) = match row.split_first() {
            Some((0, content)) if Digest::of(content) == digest => {
                let size_bytes = content.len() as u64;
                (Entry { kind: Kind::Blob, key: *key, size_bytes, body: content }, false)
            }
            Some((1, size)) if size.len() == 8 => {
                let size_bytes = size.first_chunk().copied().map_or(0, u64::from_le_bytes);
                let hex = digest.to_hex();
                let path = dir.join("blobs").join(hex.get(..2).unwrap_or_default()).join(&hex);
                if !fs::metadata(path).is_ok_and(|found| found.len() == size_bytes) {
                    migrated.damaged += 1;
                    return Ok(());
                }
                (Entry { kind: Kind::File, key: *key, size_bytes, body: &[] }, true)
            }
            _ => {
                migrated.damaged += 1;
                return Ok(());
            }
        };
        migrated.blobs += 1;
        storage.shared.log.hand_in(&entry, |tail, place| {
            tail.add_blob(digest, if is_file { Place::file(entry.size_bytes) } else { place });
        })
    })
}

/// Calls `use_row` with each row of a table. One that was never made has none.
fn each<K: redb::Key + 'static>(
    old: &ReadOnlyDatabase,
    table: TableDefinition<K, &'static [u8]>,
    mut use_row: impl FnMut(K::SelfType<'_>, &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let table = on_index("read the old index", || match old.begin_read()?.open_table(table) {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        table => Ok(Some(table?)),
    })?;
    let Some(table) = table else { return Ok(()) };
    let mut rows = on_index("read the old index", || Ok(table.iter()?))?;
    while let Some((key, row)) = on_index("read the old index", || Ok(rows.next().transpose()?))? {
        use_row(key.value(), row.value())?;
    }
    Ok(())
}

/// Puts the new log and index in the place of the old index.
fn put_in_place(dir: &Path, old_index: &Path, new: &Path) -> io::Result<()> {
    if old_index.ends_with(INDEX_FILE) {
        fs::rename(old_index, dir.join(OLD_INDEX))?;
    }
    // What an attempt before this one got as far as moving.
    remove_dir(&dir.join(LOG_DIR))?;
    fs::rename(new.join(LOG_DIR), dir.join(LOG_DIR))?;
    fs::rename(new.join(INDEX_FILE), dir.join(INDEX_FILE))?;
    platform::sync_dir(dir)?;
    open::write_format(dir, &Layout::default())?;
    platform::sync_dir(dir)?;
    // From here on it is a store of the new format, and what is left over does no harm.
    remove_dir(new)?;
    remove_dir(&dir.join("tmp"))?;
    remove_dir(&dir.join("compiled"))?;
    fs::remove_file(dir.join(OLD_INDEX))
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
