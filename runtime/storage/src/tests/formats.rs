//! Stores that earlier versions of wasmill wrote, and stores whose index has to be made anew.
//!
//! Owns: the fixtures, and what must be in them. Does not know: what changed between formats (`migrate`).
//!
//! A fixture holds what `fill` puts; `WASMILL_WRITE_FIXTURE=DIR` has the test of the present format write another one.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wasmill_model::port::{ActionCache, BlobStore, RunLog, Stamp, StatCache};
use wasmill_model::{BlobRef, Digest, RunId, RunRecord};

use super::damage::{copy, walk};
use super::{action, content, ended, open, record, report, start};
use crate::{Keep, OpenError, Options, Storage};

const JOBS: u64 = 20;

fn result(number: u64) -> wasmill_model::ActionRecord {
    let stdout = content(number, 100 + usize::try_from(number).unwrap() * 50);
    record(BlobRef::of(&content(number / 5 + 100, 20_000)), BlobRef::of(&stdout))
}

fn run(id: RunId) -> RunRecord {
    ended(id, 9)
}

fn stamp() -> (Stamp, BlobRef) {
    (Stamp { size_bytes: 1, mtime_ns: 2, ctime_ns: 3, inode: 4, device: 5 }, BlobRef::of(&content(1, 150)))
}

fn fill(storage: &Storage) {
    for number in 0..JOBS {
        storage.put(content(number, 100 + usize::try_from(number).unwrap() * 50)).unwrap();
        storage.put(content(number / 5 + 100, 20_000)).unwrap();
        storage.again(&action(number).key()).record(&action(number), &result(number), Box::new(|_| {})).unwrap();
    }
    let id = storage.begin(&start("plan", 1_000)).unwrap();
    storage.append(id, &[report(0), report(1), report(2)]).unwrap();
    storage.end(&run(id), Box::new(|_| {})).unwrap();
    let (stamp, blob) = stamp();
    storage.remember(vec![("file".to_owned(), stamp, blob)]).unwrap();
    storage.pin(&Digest::of(b"pinned")).unwrap();
}

fn check(storage: &Storage) {
    for number in 0..JOBS {
        assert_eq!(storage.lookup(&action(number).key()).unwrap().hit(), Some(result(number)), "job {number}");
        assert_eq!(storage.action(&action(number).key()).unwrap(), Some(action(number)));
        assert_eq!(storage.get(&result(number).result.output).unwrap(), content(number / 5 + 100, 20_000));
        let stdout = content(number, 100 + usize::try_from(number).unwrap() * 50);
        assert_eq!(storage.get(&result(number).result.stdout).unwrap(), stdout);
    }
    assert_eq!(storage.runs(9).unwrap(), [run(RunId(1))]);
    assert_eq!(storage.jobs(RunId(1)).unwrap(), [report(0), report(1), report(2)]);
    let examined = storage.examine(false).unwrap();
    assert!(examined.is_clean(), "{examined:?}");
}

fn fixture(format: impl Display) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/fixtures").join(format!("format-{format}"))
}

#[test]
fn a_store_of_this_format_is_read() {
    if let Some(dir) = std::env::var_os("WASMILL_WRITE_FIXTURE") {
        let storage = open(Path::new(&dir));
        fill(&storage);
        storage.shared.log.index_everything().unwrap();
        storage.close().unwrap();
    }
    // One from before layers had sketches.
    for format in ["3", "3-sketches"] {
        let dir = tempfile::tempdir().unwrap();
        copy(&fixture(format), dir.path());
        assert_eq!(Storage::migrate(dir.path()).unwrap().from, 3);
        let storage = open(dir.path());
        check(&storage);
        assert_eq!(storage.recall("file").unwrap(), Some(stamp()));
        assert_eq!(storage.pins().unwrap(), [Digest::of(b"pinned")]);
        // What comes now has some in any case.
        fill(&storage);
        storage.shared.log.index_everything().unwrap();
        assert!(storage.examine(true).unwrap().is_clean());
    }
}

#[test]
fn a_store_of_format_1_is_migrated() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(1), dir.path());
    assert!(matches!(Storage::open(dir.path(), Options::default()), Err(OpenError::OlderFormat { found: 1, .. })));
    let migrated = Storage::migrate(dir.path()).unwrap();
    assert_eq!((migrated.from, migrated.to, migrated.blobs, migrated.damaged), (1, 3, JOBS + 4, 0));
    assert_eq!((migrated.actions, migrated.runs), (JOBS, 1));
    let storage = open(dir.path());
    check(&storage);
    assert!(storage.begin(&start("plan", 2)).unwrap().0 > 1);
    storage.close().unwrap();
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let is_known = |name: &std::ffi::OsString| {
        ["FORMAT", "LOCK", "live", "log", "blobs", "compiled", "index.redb", "RUN", "GC", "GC.lock", "reserve"]
            .contains(&name.to_str().unwrap())
    };
    assert!(left.iter().all(is_known), "{left:?}");
}

#[test]
fn a_store_of_format_2_is_migrated() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(2), dir.path());
    assert!(matches!(Storage::open(dir.path(), Options::default()), Err(OpenError::OlderFormat { found: 2, .. })));
    let format = fs::read(dir.path().join("FORMAT")).unwrap();
    let migrated = Storage::migrate(dir.path()).unwrap();
    assert_eq!((migrated.from, migrated.to, migrated.blobs, migrated.runs), (2, 3, JOBS + 4, 1));
    assert_eq!(migrated.actions, JOBS);
    // What a kill leaves right before the last step.
    fs::write(dir.path().join("FORMAT"), format).unwrap();
    assert_eq!(Storage::migrate(dir.path()).unwrap().blobs, 0);
    let storage = open(dir.path());
    check(&storage);
    assert_eq!(storage.recall("file").unwrap(), Some(stamp()));
    assert_eq!(storage.pins().unwrap(), [Digest::of(b"pinned")]);
    assert_eq!(storage.totals().unwrap().blobs, JOBS + 4);
}

/// All is in the log, so neither is the end.
#[test]
fn a_store_of_format_2_without_an_index_or_with_a_damaged_one_is_brought_over() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(2), dir.path());
    fs::remove_file(dir.path().join("index.redb")).unwrap();
    Storage::migrate(dir.path()).unwrap();
    check(&open(dir.path()));
    for cut in [0, 100, 5_000, 40_000] {
        let dir = tempfile::tempdir().unwrap();
        copy(&fixture(2), dir.path());
        let index = File::options().write(true).open(dir.path().join("index.redb")).unwrap();
        index.set_len(cut).unwrap();
        assert!(matches!(Storage::migrate(dir.path()), Err(OpenError::Damaged { .. })), "{cut}");
        let repaired = Storage::repair(dir.path(), super::small()).unwrap();
        assert!(repaired.is_rebuilt);
        check(&repaired.storage);
    }
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(2), dir.path());
    let repaired = Storage::repair(dir.path(), super::small()).unwrap();
    assert!(!repaired.is_rebuilt && repaired.examined.unwrap().is_clean());
}

/// Damage that is only seen by who reads all rows.
#[test]
fn a_damaged_layer_is_made_anew_by_a_repair() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    fill(&storage);
    storage.shared.log.index_everything().unwrap();
    storage.close().unwrap();
    {
        let index = redb::Database::open(dir.path().join("index.redb")).unwrap();
        let write = index.begin_write().unwrap();
        let layers = redb::TableDefinition::<u32, (u64, u64, u32)>::new("blob-layers-1");
        write.open_table(layers).unwrap().pop_last().unwrap();
        write.commit().unwrap();
    }
    let storage = open(dir.path());
    let keep = Keep { runs: 1, age: Duration::ZERO, bytes_max: u64::MAX, grace: Duration::ZERO };
    assert!(storage.collect(&keep, false, &mut |_| {}).is_err(), "nothing is removed by what is not known");
    assert!(storage.examine(false).is_err());
    drop(storage);
    let repaired = Storage::repair(dir.path(), super::small()).unwrap();
    assert!(repaired.is_rebuilt);
    check(&repaired.storage);
}

#[test]
fn a_migration_that_was_killed_is_done_again() {
    let whole = tempfile::tempdir().unwrap();
    copy(&fixture(1), whole.path());
    Storage::migrate(whole.path()).unwrap();
    // What a kill leaves after each of the steps that change something.
    let old_index = fixture(1).join("index.redb");
    for step in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        copy(&fixture(1), dir.path());
        fs::create_dir_all(dir.path().join("migrating/log")).unwrap();
        fs::write(dir.path().join("migrating/FORMAT"), "wasmill st").unwrap();
        if step > 0 {
            fs::rename(dir.path().join("index.redb"), dir.path().join("index-1.redb")).unwrap();
        }
        if step > 1 {
            fs::create_dir(dir.path().join("log")).unwrap();
            copy(&whole.path().join("log"), &dir.path().join("log"));
        }
        if step > 2 {
            fs::copy(whole.path().join("index.redb"), dir.path().join("index.redb")).unwrap();
        }
        assert_eq!(Storage::migrate(dir.path()).unwrap().actions, JOBS, "step {step}");
        check(&open(dir.path()));
    }
    assert!(old_index.exists());
}

#[test]
fn a_migration_leaves_a_store_alone_that_is_damaged_or_in_use() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(1), dir.path());
    let lock = File::create(dir.path().join("LOCK")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(Storage::migrate(dir.path()), Err(OpenError::InUse { .. })));
    drop(lock);
    let whole = fs::read(dir.path().join("index.redb")).unwrap();
    for cut in [0, 100, 5_000, whole.len() / 2] {
        fs::write(dir.path().join("index.redb"), &whole[..cut]).unwrap();
        assert!(matches!(Storage::migrate(dir.path()), Err(OpenError::Damaged { .. })), "{cut}");
    }
    fs::write(dir.path().join("index.redb"), whole).unwrap();
    assert_eq!(Storage::migrate(dir.path()).unwrap().actions, JOBS);
    check(&open(dir.path()));
}

#[test]
fn a_damaged_index_is_made_anew_from_the_log() {
    for collects in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let storage = open(dir.path());
        // Much that is not wanted, so that a collection writes segments anew.
        for number in 1_000..1_400 {
            storage.put(content(number, 700)).unwrap();
        }
        fill(&storage);
        for number in 2_000..2_400 {
            storage.put(content(number, 700)).unwrap();
        }
        storage.close().unwrap();
        let storage = open(dir.path());
        for number in 0..JOBS {
            storage.pin(&action(number).key().0).unwrap();
        }
        if collects {
            drop(storage);
            let storage = open(dir.path());
            let keep = Keep { runs: 1, age: Duration::ZERO, bytes_max: u64::MAX, grace: Duration::ZERO };
            let collected = storage.collect(&keep, false, &mut |_| {}).unwrap().unwrap();
            assert!(collected.bytes_freed > 300_000, "{collected:?}");
            storage.close().unwrap();
        } else {
            assert!(matches!(Storage::rebuild(dir.path(), super::small()), Err(OpenError::InUse { .. })));
            storage.close().unwrap();
        }
        let index = dir.path().join("index.redb");
        let len = fs::metadata(&index).unwrap().len();
        File::options()
            .write(true)
            .open(&index)
            .unwrap()
            .write_all(&vec![0xa5; usize::try_from(len / 2).unwrap()])
            .unwrap();
        assert!(matches!(Storage::open(dir.path(), super::small()), Err(OpenError::Damaged { .. })));
        let (storage, examined) = Storage::rebuild(dir.path(), super::small()).unwrap();
        assert!(examined.unnamed.is_empty() && examined.missing.is_empty(), "{examined:?}");
        for storage in [storage, open(dir.path())] {
            check(&storage);
            assert_eq!(storage.pins().unwrap().len() as u64, JOBS + 1);
        }
        assert!(!walk(dir.path()).iter().any(|path| path.ends_with("index.damaged")));
    }
}

#[test]
fn what_a_rebuilt_index_names_in_part_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    fill(&storage);
    // A result whose blob went with a segment that was removed.
    let gone = BlobRef::of(&content(9_999, 300));
    storage.again(&action(500).key()).record(&action(500), &record(BlobRef::EMPTY, gone), Box::new(|_| {})).unwrap();
    storage.close().unwrap();
    let storage = open(dir.path());
    let found = storage.examine(false).unwrap();
    assert_eq!(found.incomplete, [action(500).key()]);
    assert!(storage.lookup(&action(500).key()).unwrap().hit().is_some());
    storage.close().unwrap();
    fs::remove_file(dir.path().join("index.redb")).unwrap();
    let (storage, examined) = Storage::rebuild(dir.path(), super::small()).unwrap();
    assert_eq!(examined.incomplete, [action(500).key()]);
    assert_eq!(storage.lookup(&action(500).key()).unwrap().hit(), None);
    check(&storage);
}

#[test]
fn a_rebuild_that_was_killed_is_done_again_before_anything_else() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    fill(&storage);
    storage.close().unwrap();
    // What it leaves before there is a new index, and when that is not examined yet.
    for has_new_index in [false, true] {
        let left = tempfile::tempdir().unwrap();
        copy(dir.path(), left.path());
        let index = left.path().join("index.redb");
        fs::copy(&index, left.path().join("index.damaged")).unwrap();
        if !has_new_index {
            fs::remove_file(index).unwrap();
        }
        assert!(matches!(Storage::open(left.path(), super::small()), Err(OpenError::Damaged { .. })));
        let (storage, _) = Storage::rebuild(left.path(), super::small()).unwrap();
        check(&storage);
        storage.close().unwrap();
        check(&open(left.path()));
    }
}
