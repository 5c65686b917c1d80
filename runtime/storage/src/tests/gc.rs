//! Collecting garbage: what is kept, what goes, and that nobody who uses the store meanwhile notices.
//!
//! Owns: these as tests, over several processes' worth of stores in one. Does not know: how references are followed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use redb::ReadableTable as _;
use wasmill_model::port::{ActionCache, ArtifactCache, BlobStore, Lookup, RunLog, Stamp, StatCache, StoreError};
use wasmill_model::{
    Action, BlobRef, Digest, Directory, FileNode, GuestPath, JobReport, Mount, RunId, RunRecord, RunStart,
};

use super::crash::tiny;
use super::faults::{FaultyDisk, Survives};
use super::{action, assert_blob, content, ended, flush, open, record, report, start};
use crate::index::{self, Covered, SameBlob};
use crate::place::Place;
use crate::reader::Reader;
use crate::record::Kind;
use crate::tables::View;
use crate::tail::Rows;
use crate::{Collected, Keep, Storage};

/// Nothing but the latest runs.
pub(super) fn only(runs: usize) -> Keep {
    Keep { runs, age: Duration::ZERO, bytes_max: u64::MAX, grace: Duration::ZERO }
}

pub(super) fn collect(storage: &Storage, keep: &Keep) -> Collected {
    storage.collect(keep, false, &mut |_| {}).unwrap().expect("nobody else collects")
}

/// An action with an input of its own and a result that is a directory.
pub(super) struct Job {
    action: Action,
    input: u64,
    outputs: [(u64, usize); 2],
}

impl Job {
    pub(super) fn new(number: u64) -> Self {
        let input = number + 10_000;
        let blob = BlobRef::of(&content(input, 700));
        let mount = Mount::File { blob, is_executable: false };
        let mounts = [(GuestPath::new("/in/x").unwrap(), mount.into())].into();
        Self { action: Action { mounts, ..action(number) }, input, outputs: [(number, 900), (number + 20_000, 20_000)] }
    }

    fn directory(&self) -> Vec<u8> {
        let node = |(number, len): (u64, usize)| FileNode {
            name: number.to_string(),
            blob: BlobRef::of(&content(number, len)),
            is_executable: false,
        };
        let mut directory = Directory { files: self.outputs.map(node).to_vec(), ..Directory::default() };
        directory.encode()
    }

    /// Runs it: everything that it needs and leaves is put into the store.
    fn record(&self, storage: &Storage) -> Result<(), StoreError> {
        storage.put(content(self.input, 700))?;
        for (number, len) in self.outputs {
            storage.put(content(number, len))?;
        }
        let output = storage.put(self.directory().into())?;
        let stdout = storage.put(content(self.input + 1_000_000, 40))?;
        storage.again(&self.action.key()).record(&self.action, &record(output, stdout), Box::new(|_| {}))
    }

    fn report(&self) -> JobReport {
        JobReport { key: Some(self.action.key()), ..report(1) }
    }

    /// Whether its result is there; if it is, then all of it.
    pub(super) fn is_there(&self, storage: &Storage, with_inputs: bool) -> bool {
        let Some(found) = storage.lookup(&self.action.key()).unwrap().hit() else { return false };
        assert_eq!(found.result.output, BlobRef::of(&self.directory()));
        assert_eq!(storage.get(&found.result.output).unwrap(), self.directory());
        for (number, len) in self.outputs {
            assert_blob(storage, number, len);
        }
        assert_blob(storage, self.input + 1_000_000, 40);
        if with_inputs {
            assert_blob(storage, self.input, 700);
            assert_eq!(storage.action(&self.action.key()).unwrap().as_ref(), Some(&self.action));
        }
        true
    }
}

/// A run of some jobs, which need not be executed.
pub(super) fn run(storage: &Storage, jobs: &[u64], execute: bool) -> RunId {
    let run = storage.begin(&start("plan", 1_000)).unwrap();
    for number in jobs {
        let job = Job::new(*number);
        if execute {
            job.record(storage).unwrap();
        } else {
            assert!(job.is_there(storage, false));
        }
        storage.append(run, &[job.report()]).unwrap();
    }
    storage.end(&ended(run, 0), Box::new(|_| {})).unwrap();
    // A few rows are left in the log when a process ends; what is not in the index is not collected.
    storage.shared.log.index_everything().unwrap();
    run
}

fn size(dir: &Path) -> u64 {
    super::damage::walk(&dir.join("log")).iter().map(|path| path.metadata().unwrap().len()).sum::<u64>()
        + super::damage::walk(&dir.join("blobs")).iter().map(|path| path.metadata().unwrap().len()).sum::<u64>()
}

#[test]
fn what_the_kept_runs_need_stays_and_the_rest_goes() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let numbers: Vec<u64> = (0..120).collect();
    run(&storage, &numbers[..100], true);
    run(&storage, &numbers[90..110], true);
    let kept = run(&storage, &numbers[105..], true);
    storage.close().unwrap();
    let before = size(dir.path());
    // A process that only collects relies on nothing.
    let storage = open(dir.path());
    let trial = storage.collect(&only(1), true, &mut |_| {}).unwrap().unwrap();
    assert_eq!(size(dir.path()) / 100_000, before / 100_000, "a trial changes nothing");
    let collected = collect(&storage, &only(1));
    assert_eq!(Collected { bytes_freed: 0, ..collected }, trial);
    assert_eq!((collected.runs_kept, collected.runs_removed), (1, 2));
    assert_eq!((collected.actions_kept, collected.actions_removed), (15, 105));
    assert_eq!((collected.blobs_kept, collected.blobs_removed), (15 * 5, 105 * 5));
    assert!(collected.bytes_freed > before / 2, "{collected:?}, of {before}");
    storage.close().unwrap();
    assert!(size(dir.path()) < before / 3, "{} of {before} are left", size(dir.path()));
    for opened in 0..2 {
        let storage = open(dir.path());
        for number in 0..120 {
            assert_eq!(Job::new(number).is_there(&storage, true), number >= 105, "job {number}, {opened}");
        }
        let runs: Vec<RunId> = storage.runs(10).unwrap().iter().map(|run| run.id).collect();
        assert_eq!(runs, [kept]);
        assert_eq!(storage.jobs(kept).unwrap().len(), 15);
        assert!(storage.jobs(RunId(1)).unwrap().is_empty());
        storage.close().unwrap();
    }
    // What went can come back.
    let storage = open(dir.path());
    run(&storage, &numbers[..100], true);
    assert!((0..100).all(|number| Job::new(number).is_there(&storage, true)));
}

#[test]
fn what_a_run_began_with_stays_with_it_also_where_it_begins_and_ends_during_a_collection() {
    let dir = tempfile::tempdir().unwrap();
    // So large that it is looked for, and not added again.
    let plan = "the text of a plan\n".repeat(10_000);
    let snapshot = |storage: &Storage| {
        let blob = storage.put(plan.clone().into()).unwrap();
        let file = FileNode { name: "plan.json".to_owned(), blob, is_executable: false };
        let tree = Directory { files: vec![file], ..Directory::default() }.encode();
        (blob, storage.put(tree.into()).unwrap())
    };
    let begun = |storage: &Storage, snapshot: Option<Digest>| {
        let id = storage.begin(&RunStart { snapshot, ..start("plan", 1_000) }).unwrap();
        let record = RunRecord { snapshot, ..ended(id, 0) };
        storage.end(&record, Box::new(|_| {})).unwrap();
        storage.shared.log.index_everything().unwrap();
        id
    };
    let storage = open(dir.path());
    let (text, tree) = snapshot(&storage);
    let first = begun(&storage, Some(tree.digest));
    assert_eq!(storage.run(first).unwrap().unwrap().snapshot, Some(tree.digest));
    storage.close().unwrap();

    let storage = open(dir.path());
    collect(&storage, &only(1));
    assert_eq!(storage.get(&text).unwrap(), plan);
    // Another run comes, so that this one is not kept; and one like it during the next collection.
    begun(&storage, None);
    storage.close().unwrap();
    let storage = open(dir.path());
    let mut again = None;
    let collected = storage.collect(&only(1), false, &mut |_| {
        again.get_or_insert_with(|| {
            let other = open(dir.path());
            let (_, tree) = snapshot(&other);
            let id = begun(&other, Some(tree.digest));
            other.close().unwrap();
            id
        });
    });
    collected.unwrap().unwrap();
    storage.close().unwrap();
    let storage = open(dir.path());
    assert_eq!(storage.run(again.unwrap()).unwrap().unwrap().snapshot, Some(tree.digest));
    assert!(storage.get(&tree).is_ok());
    assert_eq!(storage.get(&text).unwrap(), plan);
    // And where nobody needs it, it goes.
    begun(&storage, None);
    storage.close().unwrap();
    let storage = open(dir.path());
    collect(&storage, &only(1));
    assert!(storage.find(&text.digest).unwrap().is_none());
}

#[test]
fn pins_and_what_is_young_stay() {
    let dir = tempfile::tempdir().unwrap();
    {
        let storage = open(dir.path());
        run(&storage, &[1, 2, 3, 4], true);
        run(&storage, &[9], true);
        assert!(storage.pin(&Job::new(1).action.key().0).unwrap());
        assert!(!storage.pin(&Job::new(1).action.key().0).unwrap());
        assert!(storage.pin(&Digest::of(&Job::new(2).directory())).unwrap());
        assert!(storage.pin(&Digest::of(&content(3, 900))).unwrap());
    }
    let storage = open(dir.path());
    let young = Keep { grace: Duration::from_secs(60), ..only(1) };
    assert_eq!(collect(&storage, &young).actions_removed, 0);
    collect(&storage, &only(1));
    assert!(Job::new(1).is_there(&storage, true) && Job::new(9).is_there(&storage, true));
    assert!((2..5).all(|number| !Job::new(number).is_there(&storage, true)));
    assert_blob(&storage, 2, 900);
    assert_blob(&storage, 20_002, 20_000);
    assert_blob(&storage, 3, 900);
    assert_eq!(storage.find(&Digest::of(&content(4, 900))).unwrap(), None);
    assert_eq!(storage.pins().unwrap().len(), 3);
    assert!(storage.unpin(&Job::new(1).action.key().0).unwrap());
    assert!(!storage.unpin(&Job::new(1).action.key().0).unwrap());
    storage.close().unwrap();
    let storage = open(dir.path());
    collect(&storage, &only(1));
    assert!(!Job::new(1).is_there(&storage, true));
}

#[test]
fn a_store_that_is_too_large_loses_its_oldest_runs() {
    let dir = tempfile::tempdir().unwrap();
    {
        let storage = open(dir.path());
        for number in 0..20 {
            run(&storage, &[number], true);
        }
    }
    let storage = open(dir.path());
    let all = Keep { bytes_max: 1 << 40, ..only(100) };
    let kept = collect(&storage, &all);
    assert_eq!((kept.runs_kept, kept.runs_removed), (20, 0));
    let half = Keep { bytes_max: kept.bytes_kept / 2, ..all };
    let collected = collect(&storage, &half);
    // Four fifths of half, and the run over which that was reached.
    assert!((8..=9).contains(&collected.runs_kept), "{collected:?}");
    assert!(collected.bytes_kept <= half.bytes_max);
    assert_eq!(collect(&storage, &half).runs_removed, 0, "below the bound nothing more goes");
    let tiny = collect(&storage, &Keep { bytes_max: 0, ..all });
    assert_eq!(tiny.runs_kept, 1, "the latest run stays");
    assert!(Job::new(19).is_there(&storage, true));
}

#[test]
fn what_a_living_process_found_stays_as_long_as_it_lives() {
    let dir = tempfile::tempdir().unwrap();
    {
        let storage = open(dir.path());
        run(&storage, &[1, 2, 3], true);
        run(&storage, &[9], true);
    }
    let other = open(dir.path());
    assert!(Job::new(1).is_there(&other, false));
    let known = other.put(content(2, 20_000)).unwrap();
    assert_blob(&other, 20_003, 20_000);
    let storage = open(dir.path());
    let collected = collect(&storage, &only(1));
    assert_eq!((collected.actions_kept, collected.actions_removed), (2, 2));
    assert!(Job::new(1).is_there(&other, false) && Job::new(1).is_there(&storage, false));
    assert!(!Job::new(2).is_there(&other, false));
    assert!(other.get(&known).is_ok());
    assert_blob(&other, 20_003, 20_000);
    assert!(matches!(other.get(&BlobRef::of(&content(3, 900))), Err(StoreError::Missing(_))));
    assert!(Job::new(9).is_there(&other, true));
    other.close().unwrap();
    storage.close().unwrap();
    let storage = open(dir.path());
    collect(&storage, &only(1));
    assert!(!Job::new(1).is_there(&storage, false));
}

#[test]
fn compiled_modules_that_nobody_uses_go() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let [used, unused] = [b"used", b"unus"].map(|key| {
        let artifact = storage.keep_artifact(&Digest::of(key), &content(key[3].into(), 5_000)).unwrap();
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(40 * 24 * 3600);
        std::fs::File::open(&artifact.path).unwrap().set_modified(long_ago).unwrap();
        artifact.path
    });
    assert!(storage.artifact(&Digest::of(b"used")).unwrap().is_some());
    collect(&storage, &Keep::default());
    assert_eq!((used.exists(), unused.exists()), (true, false));
    assert_eq!(storage.artifact(&Digest::of(b"unus")).unwrap(), None);
    collect(&storage, &only(1));
    assert!(used.exists(), "it was used just now");
}

#[test]
fn only_one_process_collects_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let lock = storage.shared.lease.lock_collection(dir.path()).unwrap().expect("nobody collects");
    assert_eq!(storage.collect(&only(1), false, &mut |_| {}).unwrap(), None);
    drop(lock);
    assert!(storage.collect(&only(1), false, &mut |_| {}).unwrap().is_some());
}

#[test]
fn nobody_writes_down_what_it_has_put_itself() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let blobs: Vec<_> = (0..200).map(|number| storage.put(format!("blob {number}").into()).unwrap()).collect();
    let job = Job::new(1);
    job.record(&storage).unwrap();
    storage.shared.log.index_everything().unwrap();
    let relied = |storage: &Storage| crate::live::used_by_all(&storage.shared.dir).unwrap().digests.len();
    let before = relied(&storage);
    for blob in &blobs {
        storage.get(blob).unwrap();
    }
    assert!(matches!(storage.lookup(&job.action.key()).unwrap(), Lookup::Hit(_)));
    assert_eq!(relied(&storage), before);
    // Another process may not rely on that.
    let other = open(dir.path());
    for blob in &blobs {
        other.get(blob).unwrap();
    }
    assert_eq!(relied(&storage), before + blobs.len());
}

#[test]
fn what_a_living_process_has_put_is_not_moved_by_others() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path(), tiny()).unwrap();
    let blob = storage.put(content(1, 700)).unwrap();
    let place = || storage.locate(&blob.digest).unwrap().expect("it is there").place;
    let segment = place().segment;
    // The rest of the segment is soon of no use.
    let stamp = Stamp { size_bytes: 1, mtime_ns: 1, ctime_ns: 1, inode: 1, device: 1 };
    for number in 0..400 {
        storage.remember(vec![(format!("a file with a long name, {number}"), stamp, blob)]).unwrap();
    }
    flush(&storage).unwrap();
    storage.shared.log.index_everything().unwrap();
    let is_sealed = || {
        let view = View::latest(&storage.shared.index().unwrap()).unwrap();
        view.segments.get(segment).unwrap().is_some_and(|row| row.value().1)
    };
    assert!(is_sealed(), "the test wants a full segment");
    storage.get(&blob).unwrap();
    let other = Storage::open(dir.path(), tiny()).unwrap();
    collect(&other, &only(1));
    other.close().unwrap();
    let another = Storage::open(dir.path(), tiny()).unwrap();
    collect(&another, &only(1));
    another.close().unwrap();
    storage.refresh_now().unwrap();
    assert_eq!(place().segment, segment);
    assert_blob(&storage, 1, 700);
    // Once it has ended, nobody wants it.
    storage.close().unwrap();
    let storage = Storage::open(dir.path(), tiny()).unwrap();
    collect(&storage, &only(1));
    assert_eq!(storage.find(&blob.digest).unwrap(), None);
    assert!(!crate::segment::path(&storage.shared.log_dir, segment).exists());
}

/// What this process and others know of a job whose result is gone, for whoever has to find out why.
fn what_is_known(storage: &Storage, job: &Job) -> String {
    let key = job.action.key();
    let used = crate::live::used_by_all(&storage.shared.dir).unwrap();
    let mut known = format!(
        "relied on: {}, collection {} of {}, found: {:?}",
        used.digests.contains(&key.0),
        storage.shared.epoch_seen.load(Ordering::Acquire),
        storage.shared.lease.epoch().unwrap(),
        storage.locate_action(&key).unwrap(),
    );
    storage.refresh_now().unwrap();
    if let Some(found) = storage.locate_action(&key).unwrap() {
        let place = found.place;
        let file = crate::segment::path(&storage.shared.log_dir, place.segment);
        let has_entry = |reader: &Reader| reader.has_entry(Kind::Action, key.0.as_bytes(), &place);
        let anew = Reader::new(storage.shared.log_dir.clone(), 0);
        let (cached, anew) = (has_entry(&storage.shared.reader), has_entry(&anew));
        known += &format!(", its segment is there: {}, readable: {cached:?}, anew: {anew:?}", file.exists());
    }
    let tail = storage.shared.log.tail();
    known +=
        &format!(", then: {:?}, own: {:?}, lost: {:?}", tail.view.actions.get(key.0.as_bytes()), tail.own, tail.lost);
    known += &format!(", theirs: {:?}", tail.theirs.iter().map(|(id, theirs)| (id, theirs.end)).collect::<Vec<_>>());
    known
}

/// One life of a process: it runs jobs, old ones and new ones, and believes what it was told. Returns how many were
/// there.
fn live(dir: &Path, numbers: &[u64]) -> usize {
    let storage = open(dir);
    let id = storage.begin(&start("plan", 1_000)).unwrap();
    let mut found = 0;
    for (step, number) in numbers.iter().enumerate() {
        let job = Job::new(*number);
        if job.is_there(&storage, false) {
            found += 1;
        } else {
            job.record(&storage).unwrap();
        }
        storage.append(id, &[job.report()]).unwrap();
        for number in &numbers[..=step] {
            let job = Job::new(*number);
            assert!(job.is_there(&storage, false), "job {number} is gone: {}", what_is_known(&storage, &job));
        }
    }
    flush(&storage).unwrap();
    storage.close().unwrap();
    found
}

/// A collection that begins while rows are written.
struct Begins;
impl SameBlob for Begins {
    fn has_others(&self) -> bool {
        false
    }
    fn is_others(&self, _place: &Place) -> bool {
        false
    }
    fn rely_on(&self, _digest: &Digest) -> Result<(), redb::Error> {
        Ok(())
    }
    fn has_file(&self, _digest: &Digest) -> bool {
        false
    }
    fn is_still_so(&self) -> Result<bool, redb::Error> {
        Ok(false)
    }
}

/// Rows that are written twice would bring back what somebody moved in between.
#[test]
fn nothing_is_indexed_over_a_collection_that_begins_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let index = storage.shared.index().unwrap();
    let mut rows = Rows::default();
    rows.add_blob(Digest::of(b"blob"), Place { segment: 7, offset: 32, body_bytes: 5, size_bytes: 5 });
    let covered = Covered { segment: 7, end: 100, is_sealed: true };
    assert!(!index::write(&index, &rows, &[covered], || Ok(Begins)).unwrap());
    let view = View::latest(&index).unwrap();
    assert_eq!(view.blobs.get(Digest::of(b"blob").as_bytes()).unwrap(), None);
    assert!(redb::ReadableTable::get(&view.segments, 7).unwrap().is_none());
}

/// Who looked before would not know of a process that came, put the same and brought it in meanwhile.
#[test]
fn it_is_asked_who_lives_once_nobody_else_writes() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let index = storage.shared.index().unwrap();
    let has_written = AtomicBool::new(false);
    thread::scope(|scope| {
        let look = || {
            scope.spawn(|| {
                drop(index.begin_write().unwrap());
                has_written.store(true, Ordering::SeqCst);
            });
            thread::sleep(Duration::from_millis(100));
            assert!(!has_written.load(Ordering::SeqCst), "another could have written");
            Ok(Begins)
        };
        index::write(&index, &Rows::default(), &[], look).unwrap();
    });
    assert!(has_written.load(Ordering::SeqCst));
}

#[test]
fn nobody_loses_anything_to_a_collection_that_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    run(&open(dir), &(0..40).collect::<Vec<_>>(), true);
    let (is_over, is_removed) = (AtomicBool::new(false), AtomicBool::new(false));
    let (found, removed) = thread::scope(|scope| {
        let workers: Vec<_> = (0..3_u64)
            .map(|worker| {
                let numbers = move |life: u64| {
                    (0..12_u64).map(|step| (worker * 7 + life * 5 + step * 3) % 40).collect::<Vec<_>>()
                };
                let is_removed = &is_removed;
                scope.spawn(move || {
                    // Where the collector has no time on a busy machine, they go on.
                    let lives = (0..600).take_while(|life| *life < 6 || !is_removed.load(Ordering::Acquire));
                    lives.map(|life| live(dir, &numbers(life))).sum::<usize>()
                })
            })
            .collect();
        let collector = scope.spawn(|| {
            let mut removed = 0;
            while !is_over.load(Ordering::Acquire) {
                let storage = open(dir);
                removed += (0..3).map(|_| collect(&storage, &only(1)).actions_removed).sum::<u64>();
                is_removed.store(removed > 0, Ordering::Release);
            }
            removed
        });
        let found = workers.into_iter().map(thread::ScopedJoinHandle::join);
        let found: Vec<_> = found.collect();
        is_over.store(true, Ordering::Release);
        (found.into_iter().map(Result::unwrap).sum::<usize>(), collector.join().unwrap())
    });
    assert!(found > 0, "no results were found");
    assert!(removed > 0, "only {removed} results were removed");
}

#[test]
fn whatever_change_fails_during_a_collection_what_is_kept_stays() {
    let left = tempfile::tempdir().unwrap();
    {
        let storage = Storage::open(left.path(), tiny()).unwrap();
        run(&storage, &(0..12).collect::<Vec<_>>(), true);
        run(&storage, &(8..20).collect::<Vec<_>>(), true);
        storage.close().unwrap();
    }
    let begin = || {
        let dir = tempfile::tempdir().unwrap();
        super::damage::copy(left.path(), dir.path());
        dir
    };
    let total = {
        let dir = begin();
        let disk = FaultyDisk::with(dir.path(), usize::MAX);
        let storage = Storage::open_on(Arc::new(disk.clone()), dir.path(), &tiny()).unwrap();
        assert!(collect(&storage, &only(1)).bytes_freed > 0);
        storage.close().unwrap();
        disk.changes()
    };
    for fails_at in 0..=total {
        let dir = begin();
        let disk = FaultyDisk::with(dir.path(), fails_at);
        let opened = Storage::open_on(Arc::new(disk.clone()), dir.path(), &tiny());
        if let Ok(storage) = &opened {
            let _ = storage.collect(&only(1), false, &mut |_| {});
        }
        for survives in [Survives::Synced, Survives::All, Survives::Some(fails_at as u64)] {
            let when = format!("change {fails_at} of {total} failed, {survives:?} survived");
            let later = tempfile::tempdir().unwrap();
            disk.after_a_crash(dir.path(), later.path(), survives);
            let storage = Storage::open(later.path(), tiny()).unwrap_or_else(|error| panic!("{when}: {error:?}"));
            for round in 0..2 {
                for number in 0..20 {
                    // The others may be there or not, but not in part.
                    let is_there = Job::new(number).is_there(&storage, number >= 8);
                    assert!(is_there || number < 8, "job {number} is gone, {when}, {round}");
                }
                storage.collect(&only(1), false, &mut |_| {}).unwrap().expect("nobody else collects");
            }
            let examined = storage.examine(false).unwrap();
            assert!(examined.is_clean(), "{when}: {examined:?}");
        }
    }
    assert!(total > 30, "only {total} changes");
}
