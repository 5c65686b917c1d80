//! Runs that repeat others, and what a collection makes of them.
//!
//! Owns: that what is repeated stays. Does not know: what else is kept (`gc`).

use wasmill_model::port::{BlobStore as _, RunLog as _};
use wasmill_model::{Digest, JobReport, JobStatus, RunId, RunRecord, RunSetup, RunStart, RunState, RunSummary};

use super::gc::{Job, collect, only, run};
use super::{ended, open, report, start};
use crate::Storage;

/// A run that repeats another, and what it saw of the host.
fn repeating(storage: &Storage, run: RunId) -> (RunId, Digest) {
    let id = storage.begin(&RunStart { repeats: Some(run), ..start("plan", 1_000) }).unwrap();
    let footprint = storage.put(b"what it saw".repeat(1_000).into()).unwrap().digest;
    let summary = RunSummary { repeats: Some(run), wall_ns: 8, ..RunSummary::default() };
    let (setup, state) = (Some(RunSetup::default()), RunState::Ended(summary));
    let record = RunRecord { footprint: Some(footprint), repeats: Some(run), setup, state, ..ended(id, 0) };
    storage.end(&record, Box::new(|_| {})).unwrap();
    storage.shared.log.index_everything().unwrap();
    (id, footprint)
}

#[test]
fn a_run_stays_as_long_as_others_repeat_it_or_a_process_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let numbers: Vec<u64> = (0..30).collect();
    let repeated = run(&storage, &numbers[..10], true);
    let held = run(&storage, &numbers[10..20], true);
    run(&storage, &numbers[20..], true);
    let (repeats, footprint) = repeating(&storage, repeated);
    storage.close().unwrap();

    let (storage, other) = (open(dir.path()), open(dir.path()));
    assert!(other.hold(held).unwrap());
    assert!(!other.hold(RunId(99)).unwrap(), "there is no such run");
    let collected = collect(&storage, &only(1));
    assert_eq!((collected.runs_kept, collected.runs_removed), (3, 1), "the latest, what it repeats, what is held");
    let jobs = |storage: &Storage, run| storage.jobs(run).unwrap();
    assert_eq!(jobs(&storage, repeats).len(), 10);
    assert!(jobs(&storage, repeats).iter().all(|job| job.ended_ns == 8));
    assert!((0..20).all(|number| Job::new(number).is_there(&storage, true)));
    assert!(!Job::new(20).is_there(&storage, true));
    assert!(storage.find(&footprint).unwrap().is_some());
    storage.close().unwrap();
    other.close().unwrap();

    // Nobody holds it any more; and nobody repeats the other one once another run is the latest.
    let storage = open(dir.path());
    assert_eq!(collect(&storage, &only(1)).runs_removed, 1);
    run(&storage, &[40], true);
    storage.close().unwrap();
    let storage = open(dir.path());
    assert_eq!(collect(&storage, &only(1)).runs_removed, 2);
    assert!(jobs(&storage, repeats).is_empty() && storage.find(&footprint).unwrap().is_none());
}

#[test]
fn a_run_that_begins_to_be_repeated_during_a_collection_is_spared() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let first = run(&storage, &[1, 2, 3], true);
    run(&storage, &[4], true);
    storage.close().unwrap();
    // Of a process that is gone by the time the collection removes something, and of one that lives.
    for closes in [true, false] {
        let storage = open(dir.path());
        let mut others = Vec::new();
        let collected = storage.collect(&only(1), false, &mut |_| {
            if others.is_empty() {
                let other = open(dir.path());
                assert!(other.hold(first).unwrap());
                if closes {
                    repeating(&other, first);
                    other.close().unwrap();
                    others.push(None);
                } else {
                    others.push(Some(other));
                }
            }
        });
        assert_eq!(collected.unwrap().unwrap().runs_kept, 2, "{closes}");
        assert_eq!(storage.jobs(first).unwrap().len(), 3, "{closes}");
        assert!((1..4).all(|number| Job::new(number).is_there(&storage, true)), "{closes}");
        drop(others);
        if closes {
            run(&storage, &[4], false);
        }
        storage.close().unwrap();
    }
}

#[test]
fn a_run_cannot_be_held_where_a_blob_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let id = run(&storage, &[1], true);
    assert!(storage.hold(id).unwrap());
    storage.shared.log.with_tail(|tail| tail.lost.insert(Digest::of(b"anything")));
    assert!(!storage.hold(id).unwrap());
}

#[test]
fn a_page_of_reports_that_cannot_be_read_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let id = run(&storage, &(0..40).collect::<Vec<_>>(), true);
    storage.close().unwrap();
    let storage = open(dir.path());
    assert!(storage.has_all_jobs(id).unwrap());
    let pages = storage.pages(id).unwrap();
    let place = pages[&1];
    let segment = crate::segment::path(&storage.shared.log_dir, place.segment);
    storage.close().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[place.offset as usize + crate::record::HEADER_BYTES + 3] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let storage = open(dir.path());
    assert!(!storage.has_all_jobs(id).unwrap());
}

#[test]
fn what_a_run_began_with_is_kept_with_one_that_is_only_held() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let first = run(&storage, &[1], true);
    let (second, footprint) = repeating(&storage, first);
    run(&storage, &[2], true);
    storage.close().unwrap();
    let (storage, other) = (open(dir.path()), open(dir.path()));
    assert!(other.hold(second).unwrap());
    assert_eq!(collect(&storage, &only(1)).runs_kept, 2);
    assert!(storage.find(&footprint).unwrap().is_some());
}

#[test]
fn a_run_that_repeats_another_in_part_has_the_rest_of_its_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let first = storage.begin(&start("plan", 1_000)).unwrap();
    storage.append(first, &[report(1), report(2), report(3)]).unwrap();
    storage.end(&ended(first, 0), Box::new(|_| {})).unwrap();
    let id = storage.begin(&RunStart { repeats: Some(first), own_jobs: 1, ..start("plan", 1_000) }).unwrap();
    assert_eq!(storage.jobs(id).unwrap(), [], "nobody knows yet which it will go through");
    assert_eq!(storage.job(id, "job-1").unwrap(), None);
    let all = storage.jobs(first).unwrap();
    let open_one = JobReport::unstarted(all[1].job.clone(), JobStatus::Cancelled, 0);
    storage.append(id, std::slice::from_ref(&open_one)).unwrap();
    let names = |jobs: &[JobReport]| jobs.iter().map(|job| job.job.clone()).collect::<Vec<_>>();
    let expected = [&all[0], &all[2], &all[1]].map(|job| job.job.clone());
    // It has not ended yet.
    let jobs = storage.jobs(id).unwrap();
    assert_eq!(names(&jobs), expected[..2], "nothing is known of the other");
    assert!(jobs.iter().all(|job| job.started_ns == 0));
    assert_eq!(storage.own_jobs(id).unwrap(), [open_one]);
    assert_eq!(storage.job(id, &expected[2]).unwrap(), None);
    // What is said later counts.
    let again = JobReport { started_ns: 7, cached: false, ..all[1].clone() };
    storage.append(id, std::slice::from_ref(&again)).unwrap();
    storage
        .end(
            &RunRecord { repeats: Some(first), own_jobs: 1, setup: Some(RunSetup::default()), ..ended(id, 9) },
            Box::new(|_| {}),
        )
        .unwrap();
    storage.close().unwrap();
    let storage = open(dir.path());
    assert_eq!(storage.run(id).unwrap().unwrap().repeats, Some(first));
    assert_eq!(storage.own_jobs(id).unwrap(), std::slice::from_ref(&again));
    let jobs = storage.jobs(id).unwrap();
    assert_eq!((names(&jobs).as_slice(), &jobs[2]), (&expected[..], &again));
    assert!(jobs[..2].iter().all(|job| job.started_ns == 7), "before the others");
    assert!(storage.has_all_jobs(id).unwrap());
    for (at, job) in expected.iter().enumerate() {
        let found = storage.job(id, job).unwrap().unwrap();
        assert_eq!((&found.job, found.key, found.started_ns == 0), (job, jobs[at].key, at < 2));
    }
    assert_eq!(storage.job(id, "another").unwrap(), None);

    // Where it says less than it should, nothing stands for the rest.
    let id = storage.begin(&RunStart { repeats: Some(first), own_jobs: 2, ..start("plan", 1_000) }).unwrap();
    storage.append(id, std::slice::from_ref(&again)).unwrap();
    assert_eq!(storage.jobs(id).unwrap(), [again]);
    assert_eq!(storage.job(id, &expected[0]).unwrap(), None);
}
