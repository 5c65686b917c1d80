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

use super::{action, content, flush, open, record, report, small, start};
use crate::layers::{self, PlacesMut};
use crate::place::Place;
use crate::{OpenError, Options, Storage};

const BLOBS: u64 = 300;

/// A store with something in every table.
fn filled(dir: &Path) {
    let storage = open(dir);
    let run = storage.begin(&start("plan", 1)).unwrap();
    for number in 0..BLOBS {
        let len = if number % 50 == 0 { 20_000 } else { 400 };
        let blob = storage.put(content(number, len)).unwrap();
        storage.again(&action(number).key()).record(&action(number), &record(blob, blob), Box::new(|_| {})).unwrap();
        storage.append(run, &[report(number)]).unwrap();
        let stamp = wasmill_model::port::Stamp { size_bytes: 1, mtime_ns: 2, ctime_ns: 0, inode: 3, device: 4 };
        storage.remember(vec![(format!("file-{number}"), stamp, blob)]).unwrap();
    }
    storage.keep_artifact(&Digest::of(b"key"), b"machine code").unwrap();
    storage.close().unwrap();
}

/// Uses everything; whatever comes of it, it is neither a panic nor other content.
fn use_all(dir: &Path) -> Result<(), OpenError> {
    let storage = Storage::open(dir, small())?;
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
    let _ = storage.begin(&start("plan", 2));
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

/// Every file of a folder, but locks.
fn files_of(dir: &Path) -> Vec<std::path::PathBuf> {
    let files = walk(dir).into_iter().filter(|path| path.extension().is_none_or(|extension| extension != "lock"));
    files.collect()
}

pub(super) fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

#[test]
fn a_bit_that_flips_in_a_blob_or_the_log_is_never_served() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let whole = tempfile::tempdir().unwrap();
    copy(dir.path(), whole.path());
    let mut seed = 0;
    for folder in ["log", "blobs"] {
        for file in files_of(&dir.path().join(folder)) {
            let bytes = fs::read(&file).unwrap();
            for _ in 0..6 {
                seed += 1;
                let at = u64::from_le_bytes(content(seed, 8).as_ref().try_into().unwrap()) % (bytes.len() as u64 * 8);
                let mut damaged = bytes.clone();
                damaged[usize::try_from(at / 8).unwrap()] ^= 1 << (at % 8);
                fs::remove_file(&file).unwrap();
                fs::write(&file, damaged).unwrap();
                let used = catch_unwind(AssertUnwindSafe(|| use_all(dir.path())));
                used.unwrap_or_else(|_| panic!("bit {at} of {}", file.display())).unwrap();
                fs::remove_dir_all(dir.path()).unwrap();
                copy(whole.path(), dir.path());
            }
        }
    }
    assert!(seed > 20);
}

#[test]
fn a_bit_that_flips_in_any_other_file_is_an_error_or_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    {
        // What a scrub and a process leave that were killed.
        let storage = open(dir.path());
        storage.scrub(None, &mut |at| at.blobs < 20).unwrap();
        storage.collect(&crate::Keep::default(), false, &mut |_| {}).unwrap();
        let used = files_of(&dir.path().join("live")).into_iter().find(|path| path.ends_with("USED")).unwrap();
        fs::create_dir(dir.path().join("live/70")).unwrap();
        fs::copy(used, dir.path().join("live/70/USED")).unwrap();
    }
    let whole = tempfile::tempdir().unwrap();
    copy(dir.path(), whole.path());
    let is_small = |path: &std::path::PathBuf| fs::metadata(path).unwrap().len() < 2_000;
    let files: Vec<_> = files_of(dir.path()).into_iter().filter(is_small).collect();
    let names: Vec<_> = files.iter().map(|path| path.strip_prefix(dir.path()).unwrap().to_owned()).collect();
    for name in ["FORMAT", "GC", "RUN", "SCRUB", "live/70/USED"] {
        assert!(names.contains(&Path::new(name).to_owned()), "{name} is not in {names:?}");
    }
    let mut refused = 0;
    for name in &names {
        let bytes = fs::read(whole.path().join(name)).unwrap();
        for bit in (0..bytes.len() * 8).step_by((bytes.len() / 6).max(1)) {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let path = dir.path().join(name);
            let _ = fs::remove_file(&path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, damaged).unwrap();
            match catch_unwind(AssertUnwindSafe(|| use_all(dir.path()))) {
                Ok(Ok(())) => {}
                Ok(Err(_)) => refused += 1,
                Err(_) => panic!("bit {bit} of {}", name.display()),
            }
            fs::remove_dir_all(dir.path()).unwrap();
            copy(whole.path(), dir.path());
        }
    }
    assert!(refused > 5, "only {refused} were noticed");
}

pub(super) fn copy(from: &Path, to: &Path) {
    for path in walk(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
}

#[test]
fn a_lost_blob_is_a_miss_until_it_is_put_again() {
    for how in ["gone", "cut", "flipped"] {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        // Number 50 lies in a file, number 1 in the log, number 7 in the log of nobody else.
        let segment = files_of(&dir.path().join("log"))[0].clone();
        let (large, small) = (BlobRef::of(&content(50, 20_000)), BlobRef::of(&content(1, 400)));
        let file = dir.path().join("blobs").join(&large.digest.to_hex()[..2]).join(large.digest.to_hex());
        for path in [&file, &segment] {
            let mut bytes = fs::read(path).unwrap();
            fs::remove_file(path).unwrap();
            match how {
                "gone" => {}
                "cut" => fs::write(path, &bytes[..100]).unwrap(),
                _ => {
                    bytes.iter_mut().skip(32).for_each(|byte| *byte ^= 1);
                    fs::write(path, bytes).unwrap();
                }
            }
        }
        for opened in 0..3 {
            let storage = open(dir.path());
            for (number, blob) in [(50, large), (1, small)] {
                let found = storage.get(&blob);
                let is_lost = matches!(found, Err(StoreError::Missing(_) | StoreError::Damaged { .. }));
                assert!(is_lost, "{how}, opened {opened} times before: {found:?}");
                assert_eq!(storage.find(&blob.digest).unwrap(), None, "{how}");
                assert_eq!(storage.lookup(&action(number).key()).unwrap().hit(), None, "{how}");
            }
            assert_eq!(storage.get(&BlobRef::of(&content(299, 400))).unwrap(), content(299, 400));
            storage.close().unwrap();
        }
        let storage = open(dir.path());
        assert_eq!(storage.put(content(50, 20_000)).unwrap(), large);
        assert_eq!(storage.put(content(1, 400)).unwrap(), small);
        for number in [1, 50] {
            storage
                .again(&action(number).key())
                .record(&action(number), &record(small, small), Box::new(|_| {}))
                .unwrap();
        }
        storage.close().unwrap();
        for _ in 0..2 {
            let storage = open(dir.path());
            assert_eq!(storage.get(&large).unwrap(), content(50, 20_000));
            assert_eq!(storage.get(&small).unwrap(), content(1, 400));
            assert!(storage.lookup(&action(50).key()).unwrap().hit().is_some());
        }
    }
}

#[test]
fn damage_in_the_middle_of_the_log_s_end_takes_nothing_else_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path(), Options { unindexed_max: 1_000, ..small() }).unwrap();
    for number in 0..10 {
        let blob = storage.put(content(number, 600)).unwrap();
        storage
            .again(&action(number).key())
            .record(&action(number), &record(BlobRef::EMPTY, blob), Box::new(|_| {}))
            .unwrap();
    }
    // Too few to be in the index.
    storage.close().unwrap();
    let segment = files_of(&dir.path().join("log"))[0].clone();
    let mut bytes = fs::read(&segment).unwrap();
    let needle = content(4, 600);
    let at = bytes.windows(600).position(|window| window == needle).unwrap();
    bytes[at + 99] ^= 1;
    fs::write(&segment, bytes).unwrap();
    for _ in 0..2 {
        let storage = open(dir.path());
        for number in 0..10 {
            assert_eq!(storage.lookup(&action(number).key()).unwrap().hit().is_some(), number != 4, "{number}");
            assert_eq!(storage.get(&BlobRef::of(&content(number, 600))).is_ok(), number != 4, "{number}");
        }
    }
}

#[test]
fn a_lost_file_below_an_output_makes_its_result_a_miss() {
    use wasmill_model::{Directory, DirectoryNode, FileNode};
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let file = storage.put(content(1, 30_000)).unwrap();
    let files = vec![FileNode { name: "file".to_owned(), blob: file, is_executable: false }];
    let inner = storage.put(Directory { files, ..Directory::default() }.encode().into()).unwrap();
    let directories = vec![DirectoryNode { name: "inner".to_owned(), blob: inner }];
    let outer = storage.put(Directory { directories, ..Directory::default() }.encode().into()).unwrap();
    let result = record(outer, BlobRef::EMPTY);
    storage.again(&action(1).key()).record(&action(1), &result, Box::new(|_| {})).unwrap();
    storage.again(&action(2).key()).record(&action(2), &record(BlobRef::EMPTY, inner), Box::new(|_| {})).unwrap();
    assert!(storage.lookup(&action(1).key()).unwrap().hit().is_some());
    flush(&storage).unwrap();
    let hex = file.digest.to_hex();
    fs::remove_file(dir.path().join("blobs").join(&hex[..2]).join(&hex)).unwrap();
    assert!(matches!(storage.get(&file), Err(StoreError::Missing(_))));
    assert_eq!(storage.lookup(&action(1).key()).unwrap().hit(), None);
    assert!(storage.lookup(&action(2).key()).unwrap().hit().is_some());
    storage.close().unwrap();
    let storage = open(dir.path());
    assert_eq!(storage.lookup(&action(1).key()).unwrap().hit(), None);
    storage.put(content(1, 30_000)).unwrap();
    assert_eq!(storage.lookup(&action(1).key()).unwrap().hit(), Some(result));
}

#[test]
fn a_row_that_does_not_decode_is_a_miss() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let storage = open(dir.path());
    storage.shared.log.index_everything().unwrap();
    storage.close().unwrap();
    let blob = BlobRef::of(&content(1, 400));
    {
        let index = Database::open(dir.path().join("index.redb")).unwrap();
        let write = index.begin_write().unwrap();
        for (set, key, place) in [(layers::ACTIONS, action(1).key().0, [9; 20]), (layers::BLOBS, blob.digest, [7; 20])]
        {
            let mut places = PlacesMut::open(&write, set).unwrap();
            places.insert(key.as_bytes(), &Place::decode(&place)).unwrap();
            places.finish().unwrap();
        }
        let compiled = TableDefinition::<&[u8; 32], &[u8]>::new("compiled-1");
        write.open_table(compiled).unwrap().insert(Digest::of(b"key").as_bytes(), [].as_slice()).unwrap();
        let runs = TableDefinition::<u64, &[u8]>::new("runs-1");
        write.open_table(runs).unwrap().insert(1, [].as_slice()).unwrap();
        let stats = TableDefinition::<&str, &[u8]>::new("stats-2");
        write.open_table(stats).unwrap().insert("file-1", [1].as_slice()).unwrap();
        let jobs = TableDefinition::<(u64, u32), &[u8; 20]>::new("run_jobs-3");
        write.open_table(jobs).unwrap().insert((1, 0), &[0xff; 20]).unwrap();
        write.commit().unwrap();
    }
    let storage = open(dir.path());
    assert_eq!(storage.lookup(&action(1).key()).unwrap().hit(), None);
    assert_eq!(storage.action(&action(1).key()).unwrap(), None);
    assert!(matches!(storage.get(&blob), Err(StoreError::Damaged { .. })));
    assert_eq!(storage.artifact(&Digest::of(b"key")).unwrap(), None);
    assert_eq!(storage.run(RunId(1)).unwrap(), None);
    assert!(storage.runs(5).unwrap().is_empty());
    assert_eq!(storage.recall("file-1").unwrap(), None);
    assert!(storage.jobs(RunId(1)).unwrap().len() < usize::try_from(BLOBS).unwrap());
    // Recording again mends it.
    let result = record(BlobRef::EMPTY, BlobRef::EMPTY);
    storage.again(&action(1).key()).record(&action(1), &result, Box::new(|_| {})).unwrap();
    flush(&storage).unwrap();
    assert_eq!(storage.lookup(&action(1).key()).unwrap().hit(), Some(result));
}
