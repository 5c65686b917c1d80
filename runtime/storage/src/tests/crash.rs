//! A disk that fails or a process that dies in the middle: what was reported durable must be there afterwards.
//!
//! Owns: a workload, and what must be true of it after a crash at any point. Does not know: how the disk fails
//! (`faults`).

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use wasmill_model::BlobRef;
use wasmill_model::port::{ActionCache, BlobStore, RunLog, StoreError};

use super::faults::{FaultyDisk, Survives};
use super::{action, assert_blob, content, flush, note, record};
use crate::{Layout, OpenError, Options, Storage};

const JOBS: u64 = 24;
/// The size of each job's output; every third is a file.
const SIZES: [usize; 3] = [90, 3_000, 20_000];

/// So small that the work takes several segments and commits of the index.
pub(super) fn tiny() -> Options {
    let layout = Layout { segment_bytes: 16 << 10, logged_bytes_max: 4_000 };
    Options { unindexed_max: 20, layout, ..Options::default() }
}

fn open_on(dir: &TempDir, disk: &FaultyDisk) -> Result<Storage, OpenError> {
    Storage::open_on(Arc::new(disk.clone()), dir.path(), &tiny())
}

/// Jobs with their blobs, several to a commit, until the disk fails. Gives the jobs that were reported durable.
pub(super) fn work(storage: &Storage) -> Vec<u64> {
    work_noting(storage, &Arc::default())
}

fn work_noting(storage: &Storage, notes: &Arc<Mutex<Vec<(u64, bool)>>>) -> Vec<u64> {
    let mut accepted = 0;
    for number in 0..JOBS {
        let hand_in = || {
            let output = storage.put(content(number, SIZES[usize::try_from(number).unwrap() % SIZES.len()]))?;
            let stdout = storage.put(content(number + 1_000, 30))?;
            storage.again(&action(number).key()).record(&action(number), &record(output, stdout), note(notes, number))
        };
        match hand_in() {
            Ok(()) => accepted += 1,
            Err(error) => assert!(matches!(error, StoreError::Stopped(_) | StoreError::Backend { .. }), "{error:?}"),
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
    let notes = notes.lock().unwrap().clone();
    assert_eq!(notes.len(), accepted);
    assert!(notes.is_sorted_by_key(|(_, is_durable)| !is_durable));
    notes.into_iter().filter(|(_, is_durable)| *is_durable).map(|(number, _)| number).collect()
}

/// Every job that was reported durable is there, and every job that is there has all of its blobs.
pub(super) fn check(storage: &Storage, durable: &[u64], when: &str) {
    for number in 0..JOBS {
        let found = storage.lookup(&action(number).key()).unwrap().hit();
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

/// The jobs that are there.
pub(super) fn seen(storage: &Storage) -> Vec<u64> {
    (0..JOBS).filter(|number| storage.lookup(&action(*number).key()).unwrap().hit().is_some()).collect()
}

/// Every change to the disk fails once, from a new store on and from one that a process left in the middle of its work.
fn crash_at_every_change(begin: impl Fn() -> TempDir) {
    let total = {
        let dir = begin();
        let disk = FaultyDisk::with(dir.path(), usize::MAX);
        let storage = open_on(&dir, &disk).unwrap();
        assert_eq!(work(&storage).len() as u64, JOBS);
        storage.close().unwrap();
        disk.changes()
    };
    assert!(total > 60, "only {total} changes");
    let mut crashes_with_results = 0;
    for fails_at in 0..=total {
        let dir = begin();
        let disk = FaultyDisk::with(dir.path(), fails_at);
        let opened = open_on(&dir, &disk);
        let durable = match &opened {
            Ok(storage) => work(storage),
            Err(error) => {
                assert!(matches!(error, OpenError::NotWritable { .. } | OpenError::Damaged { .. }), "{error:?}");
                Vec::new()
            }
        };
        for survives in [Survives::Synced, Survives::All, Survives::Some(fails_at as u64)] {
            let when = format!("change {fails_at} of {total} failed, {survives:?} survived");
            let later = tempfile::tempdir().unwrap();
            // As if the power failed here: the store is closed only afterwards.
            disk.after_a_crash(dir.path(), later.path(), survives);
            let storage = Storage::open(later.path(), tiny()).unwrap_or_else(|error| panic!("{when}: {error:?}"));
            check(&storage, &durable, &when);
            // It can be written again.
            assert_eq!(work(&storage).len() as u64, JOBS, "{when}");
            storage.close().unwrap();
            let storage = Storage::open(later.path(), tiny()).unwrap();
            check(&storage, &(0..JOBS).collect::<Vec<_>>(), &when);
        }
        drop(opened);
        crashes_with_results += usize::from(!durable.is_empty() && durable.len() as u64 != JOBS);
    }
    assert!(crashes_with_results > 20, "only {crashes_with_results} crashes came between two commits");
}

/// Whatever it was asked to do when the disk failed, and after that.
#[test]
fn a_store_that_cannot_write_ends_all_the_same() {
    // More than is left for the next process, and less than is brought into the index at once.
    let options = Options { unindexed_max: 16_000, ..Options::default() };
    for left in 0..50 {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultyDisk::with(dir.path(), left));
        let Ok(storage) = Storage::open_on(disk, dir.path(), &options) else { continue };
        for number in 0..1_500_u64 {
            let _ = storage.put(number.to_le_bytes().to_vec().into());
        }
        let _ = flush(&storage);
        storage.settle();
        let (ends, ended) = mpsc::channel();
        thread::spawn(move || ends.send(storage.close().is_ok()));
        ended.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("it does not end, after {left} changes"));
    }
}

#[test]
fn whatever_change_to_the_disk_fails_nothing_durable_is_lost() {
    crash_at_every_change(|| tempfile::tempdir().unwrap());
}

/// The disk does not answer any more, and then the power fails: whoever waited was told nothing.
#[test]
fn wherever_the_disk_freezes_nothing_durable_is_lost() {
    let mut frozen_with_results = 0;
    for freezes_at in 0..usize::MAX {
        let dir = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::freezing(dir.path(), freezes_at);
        let notes = Arc::default();
        let is_over = std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let storage = open_on(&dir, &disk).ok()?;
                Some(work_noting(&storage, &notes))
            });
            while !worker.is_finished() && !disk.is_frozen() {
                std::thread::yield_now();
            }
            let durable = notes.lock().unwrap().clone();
            let durable: Vec<u64> = durable.iter().filter(|(_, is_durable)| *is_durable).map(|(job, _)| *job).collect();
            for survives in [Survives::Synced, Survives::Some(freezes_at as u64)] {
                let when = format!("change {freezes_at} froze, {survives:?} survived");
                let later = tempfile::tempdir().unwrap();
                disk.after_a_crash(dir.path(), later.path(), survives);
                let storage = Storage::open(later.path(), tiny()).unwrap_or_else(|error| panic!("{when}: {error:?}"));
                check(&storage, &durable, &when);
                assert_eq!(work(&storage).len() as u64, JOBS, "{when}");
            }
            frozen_with_results += usize::from(!durable.is_empty() && durable.len() as u64 != JOBS);
            disk.thaw();
            let _ = worker.join().unwrap();
            !disk.is_frozen()
        });
        if is_over {
            break;
        }
    }
    assert!(frozen_with_results > 20, "only {frozen_with_results} freezes came between two commits");
}

#[test]
fn whatever_change_fails_after_a_crash_nothing_durable_is_lost() {
    let left = tempfile::tempdir().unwrap();
    {
        let dir = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::with(dir.path(), 90);
        let storage = open_on(&dir, &disk).unwrap();
        assert!(!work(&storage).is_empty());
        disk.after_a_crash(dir.path(), left.path(), Survives::Some(7));
    }
    crash_at_every_change(|| {
        let dir = tempfile::tempdir().unwrap();
        super::damage::copy(left.path(), dir.path());
        dir
    });
}
