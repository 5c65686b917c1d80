//! Tests of the store as a whole, through its ports.
//!
//! Owns: what the tests share. Does not know: the store's insides, apart from the disk that it is given.

mod crash;
mod damage;
mod faults;
mod formats;
mod gc;
mod layers;
mod mending;
mod model;
mod opening;
mod packing;
mod ports;
mod repeats;
mod rows;
mod sharing;

use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};

use bytes::Bytes;
use wasmill_model::port::{ActionCache, BlobStore, LogLevel, LogLine, OnDurable, StoreError};
use wasmill_model::{
    Action, ActionRecord, ActionResult, BlobRef, Digest, JobReport, JobStatus, JobTrace, Limits, Outcome, RunId,
    RunRecord, RunStart, RunState, RunSummary, Usage,
};

use crate::{Layout, Options, Storage};

/// Everything small, so that segments fill up and rows go into the index all the time.
fn small() -> Options {
    let layout = Layout { segment_bytes: 64 << 10, logged_bytes_max: 16_000 };
    Options { unindexed_max: 64, layout, ..Options::default() }
}

fn open(dir: &Path) -> Storage {
    Storage::open(dir, small()).expect("the store opens")
}

/// Content that does not repeat, is different for each seed, and is the same each time.
pub(crate) fn content(seed: u64, len: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn action(number: u64) -> Action {
    Action {
        abi: 1,
        module: Digest::of(b"module"),
        args: vec![number.to_string()],
        env: [].into(),
        stdin: BlobRef::EMPTY,
        mounts: [].into(),
        outputs: [].into(),
        seed: number,
        limits: Limits::default(),
        fuel_schedule: 0,
        floats: wasmill_model::Floats::Canonical,
    }
}

fn record(output: BlobRef, stdout: BlobRef) -> ActionRecord {
    let outcome = Outcome::Exited { code: 0 };
    ActionRecord {
        result: ActionResult { outcome, output, stdout, stderr: BlobRef::EMPTY },
        usage: Usage { wall_ns: 1, cpu_ns: 2, fuel: Some(3), memory_peak_bytes: 4 },
    }
}

fn report(number: u64) -> JobReport {
    JobReport {
        job: format!("job-{number}"),
        status: JobStatus::Succeeded,
        key: Some(action(number).key()),
        cached: false,
        result: None,
        hint: None,
        usage: Usage::default(),
        ready_ns: number,
        started_ns: number,
        ended_ns: number,
        error: Vec::new(),
        // Those in the fixtures are from before there were logs and traces.
        log: if number % 5 == 3 {
            vec![LogLine { level: LogLevel::Warn, message: "careful".to_owned() }; 3]
        } else {
            Vec::new()
        },
        trace: if number % 5 > 2 {
            JobTrace { number: 7, needs: vec![(0, 3), (5, 1)], worker: Some(1), ..JobTrace::default() }
        } else {
            JobTrace::default()
        },
    }
}

/// What a run of a plan begins with, at a time.
fn start(plan: &str, unix_ms: u64) -> RunStart {
    RunStart { plan: plan.to_owned(), unix_ms, ..RunStart::default() }
}

/// A run that has ended, of which nothing more is known.
fn ended(id: RunId, wall_ns: u64) -> RunRecord {
    let state = RunState::Ended(RunSummary { wall_ns, ..RunSummary::default() });
    RunRecord { setup: None, state, ..RunRecord::started(id, start("plan", 1_000)) }
}

/// Waits until everything that was handed in is durable.
fn flush(storage: &Storage) -> Result<(), Arc<StoreError>> {
    let (send, receive) = mpsc::channel();
    let sent: OnDurable = Box::new(move |result| send.send(result).expect("the test waits"));
    storage.barrier(sent).map_err(Arc::new)?;
    receive.recv().expect("a callback is always called")
}

/// A callback that writes down what became of `number`.
fn note<T: Send + 'static>(notes: &Arc<Mutex<Vec<(T, bool)>>>, number: T) -> OnDurable {
    let notes = Arc::clone(notes);
    Box::new(move |result| notes.lock().expect("no test panics here").push((number, result.is_ok())))
}

fn assert_blob(storage: &Storage, seed: u64, len: usize) {
    let expected = content(seed, len);
    let found = storage.get(&BlobRef::of(&expected)).expect("the blob is there");
    assert!(found == expected, "blob {seed} of {len} bytes has other content");
}
