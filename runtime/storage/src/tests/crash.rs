//! A disk that fails or a process that dies in the middle: what was reported durable must be there afterwards.
//!
//! Owns: a disk for the index that fails at the Nth call and forgets what was not synced. Does not know: redb's
//! file layout. Large blobs lie on the real filesystem, which does not forget here.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::{Builder, StorageBackend};
use tempfile::TempDir;
use wasmill_model::BlobRef;
use wasmill_model::port::{ActionCache, BlobStore, StoreError};

use super::{action, assert_blob, content, flush, note, record};
use crate::{OpenError, Options, Storage};

const JOBS: u64 = 24;
/// The size of each job's output; every third is a file.
const SIZES: [usize; 3] = [90, 5_000, 20_000];

/// What a disk holds: the bytes as its user sees them, and those that survive.
#[derive(Debug, Clone, Default)]
struct Disk(Arc<Mutex<DiskState>>);

#[derive(Debug, Default)]
struct DiskState {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    /// How many more changes work.
    changes_left: usize,
    changes: usize,
}

#[derive(Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Resize(u64),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(offset, data) => {
                let start = usize::try_from(*offset).unwrap();
                bytes.resize(bytes.len().max(start + data.len()), 0);
                bytes[start..start + data.len()].copy_from_slice(data);
            }
            Change::Resize(len) => bytes.resize(usize::try_from(*len).unwrap(), 0),
        }
    }
}

impl Disk {
    fn with(bytes: Vec<u8>, changes_left: usize) -> Self {
        let state = DiskState { live: bytes.clone(), durable: bytes, changes_left, ..DiskState::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, DiskState> {
        self.0.lock().unwrap()
    }

    /// Counts a change, and refuses it once the disk is broken.
    fn change(&self) -> io::Result<MutexGuard<'_, DiskState>> {
        let mut state = self.state();
        state.changes += 1;
        state.changes_left =
            state.changes_left.checked_sub(1).ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))?;
        Ok(state)
    }

    /// What a later process finds: all that was synced, and of the rest what `keep` picks, by number.
    fn after_a_crash(&self, keep: impl Fn(usize) -> bool) -> Vec<u8> {
        let state = self.state();
        let mut bytes = state.durable.clone();
        for (number, change) in state.unsynced.iter().enumerate() {
            if keep(number) {
                change.apply(&mut bytes);
            }
        }
        bytes
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let start = usize::try_from(offset).unwrap();
        let bytes = state.live.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.change()?;
        Change::Resize(len).apply(&mut state.live);
        state.unsynced.push(Change::Resize(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.change()?;
        let DiskState { durable, unsynced, .. } = &mut *state;
        unsynced.drain(..).for_each(|change| change.apply(durable));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.change()?;
        let change = Change::Write(offset, data.to_vec());
        change.apply(&mut state.live);
        state.unsynced.push(change);
        Ok(())
    }
}

fn open_on(dir: &TempDir, disk: &Disk) -> Result<Storage, OpenError> {
    Storage::open_with(dir.path(), &Options::default(), |path: &Path, builder: &Builder| {
        builder.create_with_backend(disk.clone()).map_err(|error| crate::open::refused(path, error))
    })
}

/// An index with nothing in it; the real one is created under another name and is never seen half made.
fn empty_index() -> Vec<u8> {
    let disk = Disk::with(Vec::new(), usize::MAX);
    let index = Builder::new().create_with_backend(disk.clone()).unwrap();
    crate::tables::create(&index).unwrap();
    drop(index);
    disk.after_a_crash(|_| false)
}

/// Jobs with their blobs, several to a commit, until the disk fails. Gives the jobs that were reported durable.
fn work(storage: &Storage) -> Vec<u64> {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let mut accepted = 0;
    for number in 0..JOBS {
        let hand_in = || {
            let output = storage.put(content(number, SIZES[usize::try_from(number).unwrap() % SIZES.len()]))?;
            let stdout = storage.put(content(number + 1_000, 30))?;
            storage.record(action(number).key(), &action(number), &record(output, stdout), note(&notes, number))
        };
        match hand_in() {
            Ok(()) => accepted += 1,
            Err(error) => assert!(matches!(error, StoreError::Stopped(_)), "{error:?}"),
        }
        if number % 4 == 3 && flush(storage).is_err() {
            let error = storage.put(content(9_999, 10)).unwrap_err();
            assert!(matches!(error, StoreError::Stopped(_)), "{error:?}");
        }
    }
    // Every callback was called, and after the first failure only with errors.
    let _ = flush(storage);
    // What comes too late is refused at once, perhaps while the committer still tells those who were in time.
    let began = std::time::Instant::now();
    while notes.lock().unwrap().len() < accepted && began.elapsed() < std::time::Duration::from_secs(10) {
        std::thread::yield_now();
    }
    let notes = std::mem::take(&mut *notes.lock().unwrap());
    assert_eq!(notes.len(), accepted);
    assert!(notes.is_sorted_by_key(|(_, is_durable)| !is_durable));
    notes.into_iter().filter(|(_, is_durable)| *is_durable).map(|(number, _)| number).collect()
}

/// Every job that was reported durable is there, and every job that is there has all of its blobs.
fn check(storage: &Storage, durable: &[u64], when: &str) {
    for number in 0..JOBS {
        let found = storage.lookup(&action(number).key()).unwrap();
        assert!(found.is_some() || !durable.contains(&number), "job {number} is lost, {when}");
        if let Some(found) = found {
            let len = SIZES[usize::try_from(number).unwrap() % SIZES.len()];
            assert_eq!(found.result.output, BlobRef::of(&content(number, len)));
            assert_blob(storage, number, len);
            assert_blob(storage, number + 1_000, 30);
            assert_eq!(storage.action(&action(number).key()).unwrap(), Some(action(number)));
        }
    }
}

#[test]
fn whatever_call_to_the_disk_fails_nothing_durable_is_lost() {
    let empty = empty_index();
    let total = {
        let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::with(empty.clone(), usize::MAX));
        let storage = open_on(&dir, &disk).unwrap();
        assert_eq!(work(&storage).len() as u64, JOBS);
        storage.close().unwrap();
        disk.state().changes
    };
    let mut crashes_with_results = 0;
    for fails_at in (0..total).step_by((total / 60).max(1)) {
        let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::with(empty.clone(), fails_at));
        let opened = open_on(&dir, &disk);
        let durable = match &opened {
            Ok(storage) => work(storage),
            Err(error) => {
                assert!(matches!(error, OpenError::NotWritable { .. } | OpenError::Damaged { .. }), "{error:?}");
                Vec::new()
            }
        };
        // As if killed here: the store is closed only after the disk's state was copied.
        let survived = [
            disk.after_a_crash(|_| false),
            disk.after_a_crash(|_| true),
            disk.after_a_crash(|number| (number * 7 + fails_at) % 3 == 0),
        ];
        drop(opened);
        for (kind, bytes) in survived.into_iter().enumerate() {
            let when = format!("change {fails_at} of {total} failed, crash of kind {kind}");
            let storage = open_on(&dir, &Disk::with(bytes, usize::MAX)).expect(&when);
            check(&storage, &durable, &when);
            // It can be written again.
            assert_eq!(work(&storage).len() as u64, JOBS, "{when}");
            check(&storage, &(0..JOBS).collect::<Vec<_>>(), &when);
        }
        crashes_with_results += usize::from(!durable.is_empty() && durable.len() as u64 != JOBS);
    }
    assert!(crashes_with_results > 10, "only {crashes_with_results} crashes came between two commits");
}
