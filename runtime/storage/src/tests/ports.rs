//! What each port promises, one at a time and from several threads.
//!
//! Owns: these promises as tests. Does not know: crashes and damage.

use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use wasmill_model::port::{ActionCache, ArtifactCache, BlobStore, RunLog, Stamp, StatCache, StoreError};
use wasmill_model::{BlobRef, Digest, RunId, RunRecord, RunState};

use super::{action, assert_blob, content, ended, flush, note, open, record, report, small, start};
use crate::{Options, Storage};

/// Around each boundary: empty, those that are looked up first, the largest blob that goes into the log, the copy
/// buffer of `put_reader`.
const SIZES: [usize; 13] = [0, 1, 100, 4_095, 4_096, 4_097, 15_999, 16_000, 16_001, 65_536, 81_536, 81_537, 1 << 20];

#[test]
fn a_blob_of_any_size_can_be_read_at_once_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    for (seed, len) in (0..).zip(SIZES) {
        let bytes = content(seed, len);
        assert_eq!(storage.put(bytes.clone()).unwrap(), BlobRef::of(&bytes));
        assert_blob(&storage, seed, len);
        let bytes = content(seed + 100, len);
        assert_eq!(storage.put_reader(&mut Trickle(&bytes)).unwrap(), BlobRef::of(&bytes));
        assert_blob(&storage, seed + 100, len);
        assert_eq!(storage.find(&Digest::of(&bytes)).unwrap(), Some(BlobRef::of(&bytes)));
    }
    flush(&storage).unwrap();
    for (seed, len) in (0..).zip(SIZES) {
        assert_blob(&storage, seed, len);
    }
    storage.close().unwrap();
    let storage = open(dir.path());
    for (seed, len) in (0..).zip(SIZES) {
        assert_blob(&storage, seed, len);
        assert_blob(&storage, seed + 100, len);
        let bytes = content(seed, len);
        assert_eq!(storage.find(&Digest::of(&bytes)).unwrap(), Some(BlobRef::of(&bytes)));
    }
}

#[test]
fn a_log_with_large_entries_is_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let sizes = [100, 300_000, 1 << 20, (256 << 10) - 56, 200_000, 60_000, 1 << 20, 5];
    for opened in 0..3_u64 {
        let storage = Storage::open(dir.path(), Options::default()).unwrap();
        for (seed, len) in (0..).zip(sizes) {
            for earlier in 0..opened {
                assert_blob(&storage, earlier * 10 + seed, len);
            }
            storage.put(content(opened * 10 + seed, len)).unwrap();
        }
        storage.close().unwrap();
    }
}

/// Gives odd pieces and interruptions, as pipes do.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.len() % 3 == 1 && buffer.len() > 1 {
            let read = self.0.read(&mut buffer[..1])?;
            return Ok(read);
        }
        let most = buffer.len().min(7001);
        self.0.read(&mut buffer[..most])
    }
}

#[test]
fn what_is_not_there_is_missing_and_the_empty_blob_always_is() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let absent = BlobRef::of(b"absent");
    assert!(matches!(storage.get(&absent), Err(StoreError::Missing(digest)) if digest == absent.digest));
    assert_eq!(storage.find(&absent.digest).unwrap(), None);
    assert!(storage.get(&BlobRef::EMPTY).unwrap().is_empty());
    assert_eq!(storage.find(&Digest::EMPTY).unwrap(), Some(BlobRef::EMPTY));
    assert_eq!(storage.lookup(&action(1).key()).unwrap().hit(), None);
    assert_eq!(storage.action(&action(1).key()).unwrap(), None);
    assert_eq!(storage.recall("a").unwrap(), None);
    assert_eq!(storage.artifact(&absent.digest).unwrap(), None);
    assert_eq!(storage.run(RunId(1)).unwrap(), None);
    assert!(storage.runs(10).unwrap().is_empty() && storage.jobs(RunId(1)).unwrap().is_empty());
}

#[test]
fn a_reference_with_a_wrong_size_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    for len in [10, 20_000] {
        let blob = storage.put(content(1, len)).unwrap();
        for _ in 0..2 {
            let wrong = BlobRef { size_bytes: blob.size_bytes + 1, ..blob };
            assert!(matches!(storage.get(&wrong), Err(StoreError::Damaged { .. })));
            flush(&storage).unwrap();
        }
    }
}

fn temporary_files(storage: &Storage) -> usize {
    // The lock and what the process relies on are there as long as it lives.
    std::fs::read_dir(storage.temp_dir()).unwrap().count() - 2
}

#[test]
fn a_reader_that_fails_leaves_nothing() {
    struct Broken(usize);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or_else(|| io::Error::other("the cable is cut"))?;
            Ok(buffer.len().min(10_000))
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    for pieces in [0, 1, 5] {
        let error = storage.put_reader(&mut Broken(pieces)).unwrap_err();
        assert!(matches!(error, StoreError::Backend { .. }), "{error}");
    }
    assert_eq!(temporary_files(&storage), 0);
}

#[test]
fn a_large_blob_is_one_sealed_file_however_often_it_is_put() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Arc::new(open(dir.path()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..5 {
                    storage.put(content(7, 50_000)).unwrap();
                    assert_blob(&storage, 7, 50_000);
                    if round % 2 == 0 {
                        flush(&storage).unwrap();
                    }
                }
            });
        }
    });
    flush(&storage).unwrap();
    let hex = Digest::of(&content(7, 50_000)).to_hex();
    let file = dir.path().join("blobs").join(&hex[..2]).join(&hex);
    assert!(file.metadata().unwrap().permissions().readonly());
    assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    assert_eq!(temporary_files(&storage), 0);
}

#[test]
fn the_last_record_of_an_action_counts() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let notes = Arc::new(Mutex::new(Vec::new()));
    let (first, last) = (record(BlobRef::of(b"1"), BlobRef::EMPTY), record(BlobRef::of(b"2"), BlobRef::EMPTY));
    for flushed in [false, true] {
        for (number, result) in [(1, &first), (2, &last)] {
            storage.again(&action(5).key()).record(&action(5), result, note(&notes, number)).unwrap();
            assert_eq!(storage.lookup(&action(5).key()).unwrap().hit().as_ref(), Some(result));
            if flushed {
                flush(&storage).unwrap();
            }
        }
    }
    storage.close().unwrap();
    let storage = open(dir.path());
    assert_eq!(storage.lookup(&action(5).key()).unwrap().hit(), Some(last));
    assert_eq!(storage.action(&action(5).key()).unwrap(), Some(action(5)));
    assert_eq!(*notes.lock().unwrap(), [(1, true), (2, true), (1, true), (2, true)]);
}

#[test]
fn callbacks_come_in_the_order_of_the_calls_each_once() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let notes = Arc::new(Mutex::new(Vec::new()));
    for number in 0..500 {
        let result = record(BlobRef::EMPTY, BlobRef::EMPTY);
        storage.again(&action(number).key()).record(&action(number), &result, note(&notes, number)).unwrap();
        if number % 50 == 0 {
            storage.barrier(note(&notes, number + 1_000)).unwrap();
        }
    }
    storage.close().unwrap();
    let expected = (0..500).flat_map(|number| [Some(number), (number % 50 == 0).then_some(number + 1_000)]).flatten();
    assert_eq!(*notes.lock().unwrap(), expected.map(|number| (number, true)).collect::<Vec<_>>());
}

#[test]
fn what_is_durable_says_so_in_its_type() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let blob: crate::Durable<BlobRef> = storage.durable(storage.put(content(1, 300)).unwrap()).unwrap();
    // As it is on the disk now, without the store's having been closed.
    let later = tempfile::tempdir().unwrap();
    super::damage::copy(dir.path(), later.path());
    assert_eq!(open(later.path()).get(&blob.into_inner()).unwrap(), content(1, 300));
}

#[test]
fn a_callback_that_panics_harms_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    storage.barrier(Box::new(|_| panic!("this panic is part of a test"))).unwrap();
    flush(&storage).unwrap();
    storage.close().unwrap();
}

#[test]
fn runs_are_numbered_on_and_listed_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let ended = |id| RunRecord { started_unix_ms: 5, ..ended(id, 7) };
    for opened in 0..3 {
        let storage = open(dir.path());
        let first = storage.begin(&start("plan", 5)).unwrap();
        let second = storage.begin(&start("other", 6)).unwrap();
        assert_eq!((first, second), (RunId(2 * opened + 1), RunId(2 * opened + 2)));
        assert_eq!(storage.run(second).unwrap().unwrap().state, RunState::Started);
        flush(&storage).unwrap();
        let notes = Arc::new(Mutex::new(Vec::new()));
        storage.end(&ended(first), note(&notes, 0)).unwrap();
        assert_eq!(storage.run(first).unwrap(), Some(ended(first)));
        let newest: Vec<u64> = storage.runs(3).unwrap().iter().map(|run| run.id.0).collect();
        let expected: Vec<u64> = (1..=second.0).rev().take(3).collect();
        assert_eq!(newest, expected);
        assert!(storage.runs(0).unwrap().is_empty());
        storage.close().unwrap();
        assert_eq!(*notes.lock().unwrap(), [(0, true)]);
    }
}

#[test]
fn the_jobs_of_a_run_keep_their_order_over_pages_and_commits() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let run = storage.begin(&start("plan", 0)).unwrap();
    let other = storage.begin(&start("other", 0)).unwrap();
    let mut all = Vec::new();
    for piece in [1, 2, 700, 1, 300] {
        let reports: Vec<_> = (all.len() as u64..).take(piece).map(report).collect();
        storage.append(run, &reports).unwrap();
        storage.append(other, &reports[..1]).unwrap();
        all.extend(reports);
        assert_eq!(storage.jobs(run).unwrap(), all);
        flush(&storage).unwrap();
        assert_eq!(storage.jobs(run).unwrap(), all);
    }
    storage.close().unwrap();
    let storage = open(dir.path());
    assert_eq!(storage.jobs(run).unwrap(), all);
    assert_eq!(storage.jobs(other).unwrap().len(), 5);
}

#[test]
fn who_reads_while_others_write_sees_every_entry_once() {
    let dir = tempfile::tempdir().unwrap();
    // A tiny bound, so that writers wait for the committer all the time.
    let storage = Storage::open(dir.path(), Options { waiting_bytes_max: 4_096, ..small() }).unwrap();
    let run = storage.begin(&start("plan", 0)).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !is_over.load(Ordering::Acquire) {
                let jobs = storage.jobs(run).unwrap();
                assert!(jobs.len() >= seen, "jobs that were there are gone");
                seen = jobs.len();
                assert!(
                    (0..).zip(&jobs).all(|(number, job)| job.ended_ns == number),
                    "a job is missing or there twice"
                );
            }
            seen
        });
        let writers: Vec<_> = (0..3_u64)
            .map(|writer| {
                let storage = &storage;
                scope.spawn(move || {
                    for number in 0..150 {
                        let seed = writer * 1_000 + number;
                        let len = if number % 10 == 0 { 20_000 } else { 100 };
                        let blob = storage.put(content(seed, len)).unwrap();
                        assert_blob(storage, seed, len);
                        let result = record(blob, BlobRef::EMPTY);
                        storage.again(&action(seed).key()).record(&action(seed), &result, Box::new(|_| {})).unwrap();
                        assert_eq!(storage.lookup(&action(seed).key()).unwrap().hit(), Some(result));
                        if writer == 0 {
                            storage.append(run, &[report(number)]).unwrap();
                        }
                        if number > 20 {
                            let earlier = seed - 20 - (seed - 20) % 10 + 1;
                            assert_blob(storage, earlier, 100);
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        is_over.store(true, Ordering::Release);
        assert!(reader.join().unwrap() > 0);
    });
    assert_eq!(storage.jobs(run).unwrap().len(), 150);
}

#[test]
fn stamps_and_artifacts_are_found_again_until_they_are_replaced_or_lost() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let stamp = |mtime_ns| Stamp { size_bytes: 3, mtime_ns, ctime_ns: 0, inode: 9, device: 1 };
    let key = Digest::of(b"key");
    for round in 0..3 {
        let code = content(round, 100_000);
        storage.remember(vec![("a/ä".to_owned(), stamp(i64::try_from(round).unwrap()), BlobRef::of(b"x"))]).unwrap();
        let kept = storage.keep_artifact(&key, &code).unwrap();
        for _ in 0..2 {
            assert_eq!(storage.recall("a/ä").unwrap().unwrap().0.mtime_ns, i64::try_from(round).unwrap());
            assert_eq!(storage.artifact(&key).unwrap(), Some(kept.clone()));
            assert_eq!(Digest::of(&std::fs::read(&kept.path).unwrap()), kept.digest);
            flush(&storage).unwrap();
        }
    }
    let kept = storage.artifact(&key).unwrap().unwrap();
    storage.close().unwrap();
    let storage = open(dir.path());
    assert_eq!(storage.artifact(&key).unwrap(), Some(kept.clone()));
    std::fs::remove_file(&kept.path).unwrap();
    assert_eq!(storage.artifact(&key).unwrap(), None);
}

#[test]
fn everything_is_listed_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    assert_eq!(storage.blobs().unwrap().count(), 0);
    let mut expected: Vec<_> = (0..2_000).map(|number| storage.put(content(number, 50)).unwrap()).collect();
    expected.push(storage.put(content(9_000, 20_000)).unwrap());
    expected.sort_unstable_by_key(|blob| blob.digest);
    assert_eq!(storage.blobs().unwrap().collect::<Result<Vec<_>, _>>().unwrap(), expected);
    for number in 0..1_000 {
        let result = record(BlobRef::EMPTY, BlobRef::EMPTY);
        storage.again(&action(number).key()).record(&action(number), &result, Box::new(|_| {})).unwrap();
    }
    let mut keys: Vec<_> = (0..1_000).map(|number| action(number).key()).collect();
    keys.sort_unstable();
    assert_eq!(storage.action_keys().unwrap().collect::<Result<Vec<_>, _>>().unwrap(), keys);
}

#[test]
fn parts_are_read_from_wherever_one_likes() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    for len in [1, 500, 15_999, 20_000, 300_000] {
        let expected = content(len, usize::try_from(len).unwrap());
        let blob = storage.put(expected.clone()).unwrap();
        for (start, end) in
            [(0, 0), (0, 1), (0, len), (len / 3, len / 2), (len - 1, len + 5), (len + 1, len + 2), (9, 3)]
        {
            let range = usize::try_from(start).unwrap()..usize::try_from(end).unwrap().min(expected.len());
            let part = expected.get(range).unwrap_or_default();
            assert_eq!(storage.range(&blob, start..end).unwrap(), part, "{start}..{end} of {len}");
        }
        let mut reader = storage.reader(&blob).unwrap();
        reader.seek(std::io::SeekFrom::Start(len / 2)).unwrap();
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, expected[expected.len() / 2..]);
    }
}

/// A store that is warm looks its blobs up, whatever small ones come between; one where everything is new mostly does not.
#[test]
fn what_is_known_is_not_added_again_and_what_is_new_is_hardly_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let blob = |number: u32| number.to_le_bytes().repeat(16 << 10);
    let put = |storage: &Storage, numbers: std::ops::Range<u32>| {
        let before = storage.shared.log.added_bytes();
        for number in numbers {
            storage.put(blob(number).into()).unwrap();
            for small in 0..127_u32 {
                storage.put(format!("{number} {small}").into()).unwrap();
            }
        }
        storage.shared.log.added_bytes() - before
    };
    let storage = Storage::open(dir.path(), Options::default()).unwrap();
    put(&storage, 0..100);
    storage.close().unwrap();
    let storage = Storage::open(dir.path(), Options::default()).unwrap();
    let again = put(&storage, 0..100);
    assert!(again < 100 * (64 << 10) / 2, "blobs were added again: {again} bytes");
    let looked_up = (0..1_000_000).filter(|_| storage.is_worth_looking_up(16 << 10)).count();
    assert!((60_000..65_000).contains(&looked_up), "{looked_up}");
}

#[test]
fn what_is_left_at_the_end_of_a_run_is_brought_into_the_index_while_nobody_waits() {
    for (blobs, is_brought_in) in [(1_500, true), (500, false)] {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(dir.path(), Options::default()).unwrap();
        let put = |number: u64| storage.put(number.to_le_bytes().to_vec().into()).unwrap().digest;
        let digests: Vec<Digest> = (0..blobs).map(put).collect();
        flush(&storage).unwrap();
        let is_indexed = |digest: &Digest| {
            let view = Arc::clone(&storage.shared.log.tail().view);
            view.blobs.get(digest.as_bytes()).unwrap().is_some()
        };
        assert!(!digests.iter().any(is_indexed));
        storage.settle();
        let until = Instant::now() + Duration::from_secs(if is_brought_in { 30 } else { 1 });
        while !digests.iter().all(is_indexed) && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(digests.iter().all(is_indexed), is_brought_in, "{blobs}");
    }
}

/// Gives at most so many bytes at a time, and counts how often it is asked.
struct Piecemeal<'a> {
    content: &'a [u8],
    at_once: usize,
    asked: usize,
}

impl Read for Piecemeal<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.asked += 1;
        let (now, rest) = self.content.split_at(self.content.len().min(self.at_once).min(to.len()));
        to[..now.len()].copy_from_slice(now);
        self.content = rest;
        Ok(now.len())
    }
}

#[test]
fn a_small_file_is_taken_in_with_one_reading_and_any_other_whole() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let whole = content(1, 700);
    let put = |len: u64, at_once: usize| {
        let mut reader = Piecemeal { content: &whole, at_once, asked: 0 };
        let blob = storage.put_file(Path::new("not looked at"), len, &mut reader).unwrap();
        assert_eq!(blob, BlobRef::of(&whole), "{len} bytes, {at_once} at a time");
        reader.asked
    };
    assert_eq!(put(700, usize::MAX), 1);
    // It grew, shrank, says nothing of its length as files of the system's do, or comes in parts.
    for (len, at_once) in
        [(699, usize::MAX), (300, usize::MAX), (701, usize::MAX), (0, usize::MAX), (700, 100), (90, 89)]
    {
        assert!(put(len, at_once) > 1);
    }
}
