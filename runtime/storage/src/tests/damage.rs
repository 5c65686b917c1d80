//! Files that were changed behind the store's back.
//!
//! Owns: tests that damage is an error or a miss, never a panic and never other content. Does not know: what to
//! do about damage.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Database, TableDefinition};
use wasmill_model::port::{ActionCache, ArtifactCache, BlobStore, RunLog, StatCache, StoreError};
use wasmill_model::{BlobRef, Digest, RunId};

use super::{action, content, flush, open, record, report};
use crate::{OpenError, Options, Storage};

const BLOBS: u64 = 300;

/// A store with something in every table.
fn filled(dir: &Path) {
    let storage = open(dir);
    let run = storage.begin("plan", 1).unwrap();
    for number in 0..BLOBS {
        let len = if number % 50 == 0 { 20_000 } else { 400 };
        let blob = storage.put(content(number, len)).unwrap();
        storage.record(action(number).key(), &action(number), &record(blob, blob), Box::new(|_| {})).unwrap();
        storage.append(run, &[report(number)]).unwrap();
        let stamp = wasmill_model::port::Stamp { size_bytes: 1, mtime_ns: 2, ctime_ns: 0, inode: 3, device: 4 };
        storage.remember(vec![(format!("file-{number}"), stamp, blob)]).unwrap();
    }
    storage.keep_artifact(&Digest::of(b"key"), b"machine code").unwrap();
    storage.close().unwrap();
}

/// Uses everything; whatever comes of it, it is neither a panic nor other content.
fn use_all(dir: &Path) -> Result<(), OpenError> {
    let storage = Storage::open(dir, Options::default())?;
    for number in 0..BLOBS {
        let len = if number % 50 == 0 { 20_000 } else { 400 };
        let expected = content(number, len);
        if let Ok(found) = storage.get(&BlobRef::of(&expected)) {
            assert!(found == expected, "blob {number} has other content");
        }
        let _ = storage.lookup(&action(number).key());
        if let Ok(Some(found)) = storage.action(&action(number).key()) {
            assert_eq!(found, action(number));
        }
        let _ = storage.recall(&format!("file-{number}"));
    }
    let _ = (storage.artifact(&Digest::of(b"key")), storage.runs(10), storage.jobs(RunId(1)));
    let _ = storage.put(content(BLOBS + 1, 500));
    let _ = storage.begin("plan", 2);
    let _ = flush(&storage);
    let _ = storage.close();
    Ok(())
}

#[test]
fn a_damaged_index_is_an_error_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let index = dir.path().join("index.redb");
    let whole = fs::read(&index).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut refused = 0;
    for seed in 0..160_u64 {
        let mut damaged = whole.clone();
        let random = content(seed, 8 * 12);
        for flip in random.chunks_exact(8) {
            let at = u64::from_le_bytes(flip.try_into().unwrap());
            // The header and the last pages, where the roots are, as often as anywhere.
            let within = [used as u64, 512, used as u64][usize::try_from(seed % 3).unwrap()];
            damaged[usize::try_from(at % within).unwrap()] ^= flip[0] | 1;
            if seed % 3 == 1 {
                break;
            }
        }
        if seed % 5 == 4 {
            damaged.truncate(usize::try_from(seed).unwrap() * whole.len() / 160);
        }
        fs::write(&index, &damaged).unwrap();
        let used = catch_unwind(AssertUnwindSafe(|| use_all(dir.path())));
        refused += usize::from(used.unwrap_or_else(|_| panic!("damage of kind {seed} came out as a panic")).is_err());
    }
    assert!(refused > 5, "only {refused} damaged stores were refused");
    fs::write(&index, &whole).unwrap();
    use_all(dir.path()).unwrap();
}

#[test]
fn something_else_in_the_place_of_the_index_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    fs::write(dir.path().join("index.redb"), "SQLite format 3").unwrap();
    let error = Storage::open(dir.path(), Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
}

#[test]
fn a_large_blob_whose_file_is_gone_or_cut_is_not_served() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let storage = open(dir.path());
    let blob = BlobRef::of(&content(0, 20_000));
    let hex = blob.digest.to_hex();
    let file = dir.path().join("blobs").join(&hex[..2]).join(&hex);
    fs::remove_file(&file).unwrap();
    assert!(matches!(storage.get(&blob), Err(StoreError::Missing(_))));
    fs::write(&file, "short").unwrap();
    assert!(matches!(storage.get(&blob), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_row_that_does_not_decode_is_a_miss() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let key = *action(1).key().0.as_bytes();
    let blob = BlobRef::of(&content(1, 400));
    {
        let index = Database::open(dir.path().join("index.redb")).unwrap();
        let write = index.begin_write().unwrap();
        let by_digest = |name| TableDefinition::<&[u8; 32], &[u8]>::new(name);
        write.open_table(by_digest("actions-2")).unwrap().insert(&key, [0xff; 3].as_slice()).unwrap();
        write.open_table(by_digest("blobs-1")).unwrap().insert(blob.digest.as_bytes(), [7].as_slice()).unwrap();
        write
            .open_table(by_digest("compiled-1"))
            .unwrap()
            .insert(Digest::of(b"key").as_bytes(), [].as_slice())
            .unwrap();
        let runs = TableDefinition::<u64, &[u8]>::new("runs-1");
        write.open_table(runs).unwrap().insert(1, [].as_slice()).unwrap();
        let stats = TableDefinition::<&str, &[u8]>::new("stats-2");
        write.open_table(stats).unwrap().insert("file-1", [1].as_slice()).unwrap();
        let jobs = TableDefinition::<(u64, u32), &[u8]>::new("run_jobs-2");
        write.open_table(jobs).unwrap().insert((1, 0), [0xff; 4].as_slice()).unwrap();
        write.commit().unwrap();
    }
    let storage = open(dir.path());
    assert_eq!(storage.lookup(&action(1).key()).unwrap(), None);
    assert_eq!(storage.action(&action(1).key()).unwrap(), None);
    assert!(matches!(storage.get(&blob), Err(StoreError::Damaged { .. })));
    assert_eq!(storage.artifact(&Digest::of(b"key")).unwrap(), None);
    assert_eq!(storage.run(RunId(1)).unwrap(), None);
    assert!(storage.runs(5).unwrap().is_empty());
    assert_eq!(storage.recall("file-1").unwrap(), None);
    assert!(storage.jobs(RunId(1)).unwrap().len() < usize::try_from(BLOBS).unwrap());
    // Recording again mends it.
    let result = record(BlobRef::EMPTY, BlobRef::EMPTY);
    storage.record(action(1).key(), &action(1), &result, Box::new(|_| {})).unwrap();
    flush(&storage).unwrap();
    assert_eq!(storage.lookup(&action(1).key()).unwrap(), Some(result));
}
