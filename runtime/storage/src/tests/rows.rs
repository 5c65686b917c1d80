//! What runs noted of themselves in earlier versions, byte for byte, within one format.
//!
//! Owns: a row of each kind as it was written first. Does not know: where rows lie (`formats` has whole stores).
//!
//! Rows grow at their ends. Whoever adds to one adds a row here, and leaves those that are there.

use wasmill_model::{JobTarget, JobTrace, Phases, RunId, RunRecord, RunSetup, RunState, Traffic};

use super::*;
use crate::tables::{decode_jobs, decode_run, encode_job, encode_run};

fn run() -> RunRecord {
    let counts = wasmill_model::RunCounts { jobs: 3, succeeded: 2, omitted: 1, ..Default::default() };
    let traffic = Traffic { read_bytes: 11, written_bytes: 12 };
    let summary = wasmill_model::RunSummary {
        counts,
        wall_ns: 1,
        cpu_ns: 2,
        busy_ns: 3,
        saved_ns: 4,
        retries: 5,
        traffic,
        stored_bytes: 13,
        known_bytes: 14,
        ..Default::default()
    };
    let setup = RunSetup {
        version: "0.1.0".to_owned(),
        os: "linux".to_owned(),
        architecture: "x86_64".to_owned(),
        cores: 2,
        workers: 4,
        memory_bytes: Some(1 << 30),
        engine: "cranelift".to_owned(),
        profile: Some("quick".to_owned()),
        fresh: true,
        selected: vec!["a".to_owned()],
        measuring: true,
        imported: Some(RunId(9)),
        ..RunSetup::default()
    };
    RunRecord {
        id: RunId(7),
        plan: "plan".to_owned(),
        started_unix_ms: 1_000,
        snapshot: Some(Digest::of(b"snapshot")),
        footprint: None,
        repeats: None,
        own_jobs: 0,
        setup: Some(setup),
        state: RunState::Ended(summary),
    }
}

fn job() -> JobReport {
    let trace = JobTrace {
        number: 1,
        came_of: vec![2],
        needs: vec![(3, 4)],
        worker: Some(5),
        cpus: 6,
        attempts: 7,
        phases: Phases { resolve_ns: 8, prepare_ns: 9, store_ns: 10, durable_ns: 11 },
        traffic: Traffic { read_bytes: 12, written_bytes: 13 },
        target: Some(JobTarget { wall_ms: 14, is_critical: true }),
    };
    JobReport { trace, ..report(3) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits")).collect()
}

const RUN: &str = "\
    0704706c616ee80701030200000000000102030400010116a0eeb0791b6c92451fd284dd9f599e0a7dbe7f6ebea6e2d2d06c7f74aec112\
    050b0c0d0e05302e312e30056c696e7578067838365f36340204018080808004096372616e656c6966740105717569636b010000010161\
    010109";
const JOB: &str = "\
    056a6f622d3300015b58cad8de0c1c560de8925001501ab133465c3efec30bb369738d1a1c2be8b9000000000000030303000000000101\
    020103040105060708090a0b0c0d010e01000301076361726566756c01076361726566756c01076361726566756c";

#[test]
fn a_run_reads_as_it_was_written() {
    assert_eq!(hex(&encode_run(&run()).expect("it can be encoded")), RUN, "what is written now");
    assert_eq!(decode_run(RunId(7), &bytes(RUN)), Some(run()));
}

/// Of a run that repeats another, and can be repeated.
const RUN_REPEATED: &str = "0136ee4d2d79932dbf8d2341d2f716272396cf032a1eaf7349eb9515c559022e400103";

#[test]
fn a_run_that_repeats_another_reads_as_it_was_written() {
    let mut run = RunRecord { footprint: Some(Digest::of(b"what it saw")), ..run() };
    if let RunState::Ended(summary) = &mut run.state {
        summary.repeats = Some(RunId(3));
    }
    run.repeats = Some(RunId(3));
    let expected = format!("{}{RUN_REPEATED}", RUN.replace(char::is_whitespace, ""));
    assert_eq!(hex(&encode_run(&run).expect("it can be encoded")), expected, "what is written now");
    assert_eq!(decode_run(RunId(7), &bytes(&expected)), Some(run.clone()));
    // In part.
    let (run, expected) = (RunRecord { own_jobs: 5, ..run }, format!("{expected}05"));
    assert_eq!(hex(&encode_run(&run).expect("it can be encoded")), expected, "what is written now");
    assert_eq!(decode_run(RunId(7), &bytes(&expected)), Some(run));
}

#[test]
fn a_job_reads_as_it_was_written() {
    assert_eq!(hex(&encode_job(&job()).expect("it can be encoded")), JOB, "what is written now");
    let mut found = Vec::new();
    decode_jobs(RunId(7), &bytes(JOB), &mut found);
    assert_eq!(found, [job()]);
}
