//! Random sequences of calls, compared with what maps in memory would answer.
//!
//! Owns: the calls and the maps. Does not know: anything that the ports do not show.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;
use wasmill_model::port::{ActionCache, ArtifactCache, BlobStore, RunLog, Stamp, StatCache};
use wasmill_model::{BlobRef, Digest, JobReport, RunId, RunRecord, RunState, RunSummary};

use super::{action, content, flush, record, report, small, start};
use crate::{Keep, Options, Storage};

/// Some of it can be compressed.
fn bytes(seed: u64, len: usize) -> Bytes {
    match seed % 2 {
        0 => content(seed, len),
        _ => content(seed, 7).iter().copied().cycle().take(len).collect(),
    }
}

/// Whether a store compresses is up to whoever opens it: one has what several wrote.
fn open(dir: &Path, compresses: bool) -> Storage {
    Storage::open(dir, Options { compresses, ..small() }).unwrap()
}

#[derive(Debug, Clone)]
enum Call {
    Put {
        seed: u64,
        len: usize,
    },
    PutReader {
        seed: u64,
        len: usize,
    },
    Record {
        number: u64,
        output: u64,
    },
    Begin,
    Append {
        run: usize,
        reports: u64,
    },
    End {
        run: usize,
    },
    Remember {
        path: u8,
        mtime_ns: i64,
    },
    KeepArtifact {
        key: u8,
        seed: u64,
    },
    Flush,
    Index,
    Scrub,
    /// By this process or another one.
    Collect {
        runs: usize,
        by_another: bool,
    },
    Pin {
        seed: u64,
        len: usize,
    },
    Reopen {
        compresses: bool,
    },
    /// Collects before anything is relied on.
    ReopenAndCollect {
        runs: usize,
    },
}

fn call() -> impl Strategy<Value = Call> {
    let seed = 0..6_u64;
    let len = || prop_oneof![0..300_usize, 15_998..16_003_usize, 60_000..70_000_usize];
    prop_oneof![
        (seed.clone(), len()).prop_map(|(seed, len)| Call::Put { seed, len }),
        (seed.clone(), len()).prop_map(|(seed, len)| Call::PutReader { seed, len }),
        (0..8_u64, any::<u64>()).prop_map(|(number, output)| Call::Record { number, output }),
        Just(Call::Begin),
        (0..4_usize, 0..200_u64).prop_map(|(run, reports)| Call::Append { run, reports }),
        (0..4_usize).prop_map(|run| Call::End { run }),
        (0..4_u8, any::<i64>()).prop_map(|(path, mtime_ns)| Call::Remember { path, mtime_ns }),
        (0..3_u8, seed).prop_map(|(key, seed)| Call::KeepArtifact { key, seed }),
        Just(Call::Flush),
        Just(Call::Index),
        Just(Call::Scrub),
        (0..3_usize, any::<bool>()).prop_map(|(runs, by_another)| Call::Collect { runs, by_another }),
        (0..6_u64, len()).prop_map(|(seed, len)| Call::Pin { seed, len }),
        any::<bool>().prop_map(|compresses| Call::Reopen { compresses }),
        (0..3_usize).prop_map(|runs| Call::ReopenAndCollect { runs }),
    ]
}

#[derive(Default)]
struct Expected {
    blobs: BTreeMap<(u64, usize), ()>,
    actions: BTreeMap<u64, u64>,
    runs: BTreeMap<u64, (RunRecord, Vec<JobReport>)>,
    runs_begun: u64,
    pins: BTreeMap<Digest, (u64, usize)>,
    stats: BTreeMap<u8, i64>,
    artifacts: BTreeMap<u8, u64>,
}

fn output(seed: u64) -> BlobRef {
    BlobRef::of(&seed.to_le_bytes())
}

fn stamp(mtime_ns: i64) -> Stamp {
    Stamp { size_bytes: u64::MAX, mtime_ns, ctime_ns: 0, inode: 0, device: 7 }
}

impl Expected {
    fn run(&mut self, at: usize) -> Option<&mut (RunRecord, Vec<JobReport>)> {
        self.runs.values_mut().nth(at)
    }

    fn apply(&mut self, storage: &Storage, call: &Call) {
        match *call {
            Call::Put { seed, len } => {
                storage.put(bytes(seed, len)).unwrap();
                self.blobs.insert((seed, len), ());
            }
            Call::PutReader { seed, len } => {
                storage.put_reader(&mut bytes(seed, len).as_ref()).unwrap();
                self.blobs.insert((seed, len), ());
            }
            Call::Record { number, output: seed } => {
                let result = record(output(seed), BlobRef::EMPTY);
                storage.again(&action(number).key()).record(&action(number), &result, Box::new(|_| {})).unwrap();
                self.actions.insert(number, seed);
            }
            Call::Begin => {
                let id = storage.begin(&start("plan", 3)).unwrap();
                self.runs_begun += 1;
                assert_eq!(id.0, self.runs_begun);
                let started = RunRecord::started(id, start("plan", 3));
                self.runs.insert(id.0, (started, Vec::new()));
            }
            Call::Append { run, reports } => {
                let Some((run, jobs)) = self.run(run) else { return };
                let reports: Vec<_> =
                    (jobs.len() as u64..).map(report).take(usize::try_from(reports).unwrap()).collect();
                storage.append(run.id, &reports).unwrap();
                jobs.extend(reports);
            }
            Call::End { run } => {
                let Some((run, _)) = self.run(run) else { return };
                run.state = RunState::Ended(RunSummary { wall_ns: 9, ..RunSummary::default() });
                storage.end(run, Box::new(|_| {})).unwrap();
            }
            Call::Remember { path, mtime_ns } => {
                storage.remember(vec![(path.to_string(), stamp(mtime_ns), output(1))]).unwrap();
                self.stats.insert(path, mtime_ns);
            }
            Call::KeepArtifact { key, seed } => {
                storage.keep_artifact(&Digest::of(&[key]), &bytes(seed, 1_000)).unwrap();
                self.artifacts.insert(key, seed);
            }
            Call::Flush => flush(storage).unwrap(),
            Call::Index => storage.shared.log.index_everything().unwrap(),
            Call::Scrub => assert!(storage.scrub(None, &mut |_| true).unwrap().is_clean()),
            // Whatever was checked is relied on, and stays.
            Call::Collect { runs, by_another } => {
                // Only what is in the index is collected.
                storage.shared.log.index_everything().unwrap();
                let other = by_another.then(|| open(&storage.shared.dir, false));
                collect(other.as_ref().unwrap_or(storage), runs);
                storage.refresh_now().unwrap();
                self.forget_runs(runs);
            }
            Call::Pin { seed, len } => {
                let digest = Digest::of(&bytes(seed, len));
                assert_eq!(storage.pin(&digest).unwrap(), self.pins.insert(digest, (seed, len)).is_none());
            }
            Call::Reopen { .. } | Call::ReopenAndCollect { .. } => unreachable!("the caller does it"),
        }
    }

    fn forget_runs(&mut self, keep: usize) {
        while self.runs.len() > keep.max(1) {
            self.runs.pop_first();
        }
    }

    /// What a collection leaves that nothing but the history and pins keep from taking all.
    fn forget(&mut self, runs: usize) {
        self.forget_runs(runs);
        let pins = &self.pins;
        self.blobs.retain(|blob, ()| blob.1 == 0 || pins.values().any(|pinned| pinned == blob));
        let needed: Vec<_> = self.runs.values().flat_map(|(_, jobs)| jobs.iter().filter_map(|job| job.key)).collect();
        self.actions.retain(|number, _| needed.contains(&action(*number).key()));
    }

    fn check(&self, storage: &Storage) {
        for (seed, len) in self.blobs.keys() {
            let expected = bytes(*seed, *len);
            assert!(storage.get(&BlobRef::of(&expected)).unwrap() == expected, "blob {seed} of {len} bytes");
            let (from, to) = (*len as u64 / 3, *len as u64 / 2 + 1);
            let part = storage.range(&BlobRef::of(&expected), from..to).unwrap();
            assert!(part == expected.get(*len / 3..*len / 2 + 1).unwrap_or_default(), "a part of blob {seed} of {len}");
        }
        assert_eq!(storage.pins().unwrap(), self.pins.keys().copied().collect::<Vec<_>>());
        for number in 0..8 {
            let expected = self.actions.get(&number).map(|seed| record(output(*seed), BlobRef::EMPTY));
            assert_eq!(storage.lookup(&action(number).key()).unwrap().hit(), expected);
            assert_eq!(storage.action(&action(number).key()).unwrap().is_some(), expected.is_some());
        }
        let runs: Vec<_> = self.runs.values().rev().map(|(run, _)| run.clone()).collect();
        assert_eq!(storage.runs(usize::MAX).unwrap(), runs);
        for (run, (record, jobs)) in &self.runs {
            assert_eq!(storage.run(RunId(*run)).unwrap().as_ref(), Some(record));
            assert_eq!(&storage.jobs(RunId(*run)).unwrap(), jobs);
        }
        for path in 0..4_u8 {
            let expected = self.stats.get(&path).map(|mtime_ns| (stamp(*mtime_ns), output(1)));
            assert_eq!(storage.recall(&path.to_string()).unwrap(), expected);
        }
        for key in 0..3_u8 {
            let found = storage.artifact(&Digest::of(&[key])).unwrap();
            let expected = self.artifacts.get(&key).map(|seed| bytes(*seed, 1_000));
            assert_eq!(found.map(|found| std::fs::read(found.path).unwrap()), expected.map(|bytes| bytes.to_vec()));
        }
    }
}

fn collect(storage: &Storage, runs: usize) {
    let keep = Keep { runs, age: Duration::ZERO, bytes_max: u64::MAX, grace: Duration::ZERO };
    storage.collect(&keep, false, &mut |_| {}).unwrap().expect("nobody else collects");
}

fn play(dir: &TempDir, calls: &[Call]) {
    let mut storage = open(dir.path(), true);
    let mut expected = Expected::default();
    for call in calls {
        match call {
            Call::Reopen { compresses } => {
                storage.close().unwrap();
                storage = open(dir.path(), *compresses);
            }
            Call::ReopenAndCollect { runs } => {
                storage.close().unwrap();
                storage = open(dir.path(), true);
                collect(&storage, *runs);
                let before = std::mem::take(&mut expected.blobs);
                expected.blobs.clone_from(&before);
                expected.forget(*runs);
                for (seed, len) in before.keys().filter(|blob| !expected.blobs.contains_key(blob)) {
                    assert_eq!(storage.find(&Digest::of(&bytes(*seed, *len))).unwrap(), None, "{seed} {len}");
                }
            }
            call => expected.apply(&storage, call),
        }
        expected.check(&storage);
    }
    storage.close().unwrap();
    expected.check(&open(dir.path(), false));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_store_answers_as_maps_in_memory_would(calls in proptest::collection::vec(call(), 1..40)) {
        play(&tempfile::tempdir().unwrap(), &calls);
    }
}
