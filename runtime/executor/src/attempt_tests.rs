//! Jobs that are tried again, take too long, or lose their thread: the real loop, scheduler and store, and a runner that does as it is told.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use wasmill_model::plan::{Format, parse};
use wasmill_model::port::{Cancel, Execution, Request, Runner, RunnerError, Traits};
use wasmill_model::{ActionResult, BlobRef, Digest, Event, JobStatus, Outcome, RunSummary, Traffic, Usage};
use wasmill_storage::{Options, Storage};

use crate::{ExecuteOptions, Ports, execute, expand};

/// What becomes of an attempt.
#[derive(Debug, Clone, Copy)]
enum Attempt {
    Succeeds,
    /// After so many milliseconds.
    SucceedsAfter(u64),
    Fails,
    TimesOut,
    /// The host cannot carry it out.
    Breaks,
    /// The thread that carries it out ends.
    LosesItsThread,
    /// It goes on until the run has ended, whatever its limits.
    Hangs,
}

/// What ends a thread that catches panics: letting go of what was thrown panics as well.
struct Slippery;

impl Drop for Slippery {
    fn drop(&mut self) {
        panic!("on purpose, where nothing catches it");
    }
}

/// Does with the attempts of each job, known by its first argument, what is written here, one after the other.
struct Told {
    attempts: Mutex<HashMap<String, Vec<Attempt>>>,
    made: Mutex<Vec<(String, Instant)>>,
    /// Those that hang are let go once this is gone.
    hanging: Mutex<mpsc::Receiver<()>>,
}

impl Runner for Told {
    fn run(&self, request: Request<'_>, _cancel: &Cancel) -> Result<Execution, RunnerError> {
        let job = request.action.args.get(1).cloned().unwrap_or_default();
        self.made.lock().unwrap().push((job.clone(), Instant::now()));
        let attempt = self.attempts.lock().unwrap().get_mut(&job).unwrap().remove(0);
        let outcome = match attempt {
            Attempt::Succeeds => Outcome::Exited { code: 0 },
            Attempt::SucceedsAfter(wall_ms) => {
                std::thread::sleep(Duration::from_millis(wall_ms));
                Outcome::Exited { code: 0 }
            }
            Attempt::Fails => Outcome::Exited { code: 7 },
            Attempt::TimesOut => Outcome::TimedOut { limit_ms: 5 },
            Attempt::LosesItsThread => std::panic::panic_any(Slippery),
            Attempt::Hangs => {
                let gone = self.hanging.lock().unwrap().recv();
                assert!(gone.is_err());
                Outcome::Exited { code: 0 }
            }
            Attempt::Breaks => {
                return Err(RunnerError::Host { doing: "do what it was told", source: "it is broken".into() });
            }
        };
        let empty = BlobRef::EMPTY;
        let result = ActionResult { outcome, output: empty, stdout: empty, stderr: empty };
        Ok(Execution { result, usage: Usage::default(), traffic: Traffic::default() })
    }

    fn traits(&self) -> Traits {
        Traits { float_architecture: "any".to_owned(), fuel_schedule: 1, engine: "none".to_owned() }
    }
}

struct Ran {
    events: Vec<Event>,
    summary: RunSummary,
    made: Vec<(String, Instant)>,
}

impl Ran {
    fn warnings(&self) -> Vec<&str> {
        let warnings = self.events.iter().filter_map(|event| match event {
            Event::Warning { message } => Some(message.as_str()),
            _ => None,
        });
        warnings.collect()
    }

    fn retries(&self) -> Vec<(&str, u32)> {
        let retried = self.events.iter().filter_map(|event| match event {
            Event::JobRetried { job, attempt, .. } => Some((job.as_str(), *attempt)),
            _ => None,
        });
        retried.collect()
    }

    fn status(&self, name: &str) -> JobStatus {
        let reports = self.events.iter().filter_map(|event| match event {
            Event::JobFinished(report) if report.job == name => Some(report.status),
            _ => None,
        });
        let statuses: Vec<_> = reports.collect();
        assert_eq!(statuses.len(), 1, "{name} is reported once");
        statuses[0]
    }
}

fn run(jobs: &str, attempts: &[(&str, &[Attempt])], keep_going: bool) -> Ran {
    let text = format!("[modules.m]\ndigest = \"{}\"\n[defaults]\nmodule = \"m\"\n{jobs}", Digest::of(b"m"));
    let graph = expand(parse(&text, Format::Toml).unwrap(), Path::new(".")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let storage = Arc::new(Storage::open(dir.path(), Options::default()).unwrap());
    let attempts = attempts.iter().map(|(job, attempts)| ((*job).to_owned(), attempts.to_vec())).collect();
    let (let_go, hanging) = mpsc::channel();
    let told = Arc::new(Told { attempts: Mutex::new(attempts), made: Mutex::default(), hanging: Mutex::new(hanging) });
    let ports = Ports {
        blobs: Arc::clone(&storage) as _,
        actions: Arc::clone(&storage) as _,
        runs: Arc::clone(&storage) as _,
        stats: Arc::clone(&storage) as _,
        runner: Arc::clone(&told) as _,
    };
    let options = ExecuteOptions {
        workers: 2,
        memory_bytes: u64::MAX,
        machine: None,
        timeout: None,
        keep_going,
        retry_failed: false,
        fresh: false,
        measuring: false,
        profile: None,
        cancel: Cancel::new(),
        adaptive: None,
        lost_after: Duration::from_millis(300),
        began: Instant::now(),
    };
    let modules = [("m".to_owned(), Digest::of(b"m"))].into();
    let mut events = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut note = |event: &Event| events.push(event.clone());
    let summary = runtime.block_on(execute(graph, modules, ports, options, &mut note)).unwrap();
    drop(let_go);
    let made = std::mem::take(&mut *told.made.lock().unwrap());
    Ran { events, summary, made }
}

use Attempt::{Breaks, Fails, Hangs, LosesItsThread, Succeeds, SucceedsAfter, TimesOut};

const TWO: &str = "[jobs.a]\nargs = [\"a\"]\nretries = { count = 3, backoff = \"20ms\" }\n\
                   [jobs.b]\nargs = [\"b\"]\nin = { \"/in/a\" = { job = \"a\" } }\n";

#[test]
fn what_the_host_could_not_do_is_tried_again_and_waited_for() {
    let ran = run(TWO, &[("a", &[Breaks, TimesOut, Succeeds]), ("b", &[Succeeds])], false);
    assert_eq!(ran.retries(), [("a", 1), ("a", 2)]);
    assert_eq!((ran.status("a"), ran.status("b")), (JobStatus::Succeeded, JobStatus::Succeeded));
    assert!(ran.summary.is_success());
    // The second wait is twice as long as the first.
    let times: Vec<Instant> = ran.made.iter().filter(|(job, _)| job == "a").map(|(_, at)| *at).collect();
    assert!(times[1] - times[0] >= Duration::from_millis(20), "{times:?}");
    assert!(times[2] - times[1] >= Duration::from_millis(40), "{times:?}");
}

#[test]
fn when_no_attempt_is_left_the_last_one_counts() {
    let ran = run(TWO, &[("a", &[TimesOut, Breaks, Breaks, TimesOut]), ("b", &[])], false);
    assert_eq!(ran.retries(), [("a", 1), ("a", 2), ("a", 3)]);
    assert_eq!((ran.status("a"), ran.status("b")), (JobStatus::Failed, JobStatus::Skipped));
    let ran = run(TWO, &[("a", &[TimesOut, TimesOut, TimesOut, Breaks]), ("b", &[])], false);
    assert_eq!(ran.status("a"), JobStatus::Error);
}

#[test]
fn what_a_guest_did_is_not_tried_again() {
    let ran = run(TWO, &[("a", &[Fails]), ("b", &[])], false);
    assert!(ran.retries().is_empty());
    assert_eq!(ran.status("a"), JobStatus::Failed);
    // Nor is anything where nobody asked for it.
    let without = "[jobs.a]\nargs = [\"a\"]\n";
    let ran = run(without, &[("a", &[TimesOut])], false);
    assert!(ran.retries().is_empty());
}

#[test]
fn a_run_that_stops_does_not_wait_for_another_attempt() {
    let jobs = "[jobs.a]\nargs = [\"a\"]\nretries = { count = 9, backoff = \"1h\" }\n[jobs.b]\nargs = [\"b\"]\n";
    // `b` fails after `a` was put off, or before; either way the run ends.
    let ran = run(jobs, &[("a", &[Breaks]), ("b", &[Fails])], false);
    assert_eq!(ran.status("b"), JobStatus::Failed);
    assert!(matches!(ran.status("a"), JobStatus::Cancelled | JobStatus::Error));
}

#[test]
fn a_job_that_takes_too_long_is_warned_of_before_and_after() {
    let jobs = "[jobs.slow]\nargs = [\"slow\"]\nsla = \"200ms\"\n[jobs.quick]\nargs = [\"quick\"]\nsla = \"1h\"\n";
    let ran = run(jobs, &[("slow", &[SucceedsAfter(400)]), ("quick", &[Succeeds])], false);
    let warnings = ran.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_eq!(warnings[0], "`slow` has taken four fifths of its target of 200ms, and goes on");
    assert!(warnings[1].starts_with("`slow` took 4") && warnings[1].ends_with("longer than its target of 200ms"));
    assert_eq!(ran.status("slow"), JobStatus::Succeeded);
    // The first warning came while it was running.
    let place = |wanted: &dyn Fn(&Event) -> bool| ran.events.iter().position(wanted).unwrap();
    let ended = place(&|event| matches!(event, Event::JobFinished(report) if report.job == "slow"));
    assert!(place(&|event| matches!(event, Event::Warning { .. })) < ended);
}

#[test]
fn a_critical_target_that_is_missed_fails_the_run_and_loses_no_result() {
    let jobs = "[jobs.slow]\nargs = [\"slow\"]\nsla = { target = \"20ms\", critical = true }\n";
    let ran = run(jobs, &[("slow", &[SucceedsAfter(100)])], false);
    assert_eq!(ran.status("slow"), JobStatus::Error);
    assert!(!ran.summary.is_success());
    let ran = run(jobs, &[("slow", &[Succeeds])], false);
    assert!(ran.summary.is_success() && ran.warnings().is_empty());
}

/// Six jobs, the first of which is `a` with `b` behind it; two others do the same as `a` does.
const SIX: &str = "[jobs.a]\nargs = [\"a\"]\nlimits = { timeout = \"100ms\" }\n\
                   [jobs.b]\nargs = [\"b\"]\nin = { \"/in/a\" = { job = \"a\" } }\n\
                   [jobs.c]\nfor-each = { item = [\"1\", \"2\", \"3\", \"4\"] }\nargs = [\"c{item}\"]\n";

fn is_lost_and_replaced(attempt: Attempt, says: &str) {
    let others = ["c1", "c2", "c3", "c4"].map(|job| (job, &[SucceedsAfter(5)][..]));
    let only = [attempt];
    let attempts = [&[("a", &only[..]), ("b", &[])][..], &others].concat();
    let ran = run(SIX, &attempts, true);
    assert_eq!((ran.status("a"), ran.status("b")), (JobStatus::Error, JobStatus::Skipped));
    assert_eq!(ran.summary.counts.succeeded, 4);
    let warnings = ran.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains(says) && warnings[0].ends_with("another one takes its place"), "{warnings:?}");
}

#[test]
fn a_thread_that_a_bug_ends_is_replaced_and_its_job_ended() {
    is_lost_and_replaced(LosesItsThread, "panicked");
}

#[test]
fn a_thread_that_does_not_come_back_is_replaced_and_its_job_ended() {
    is_lost_and_replaced(Hangs, "does not come back");
}

#[test]
fn who_waits_for_a_lost_thread_with_the_same_action_goes_on() {
    // Both are the same action, so one waits for the other, and is the first then.
    let twins = "[jobs.t]\nfor-each = { item = [\"1\", \"2\"] }\nargs = [\"t\"]\nlimits = { timeout = \"100ms\" }\n";
    for lost in [LosesItsThread, Hangs] {
        let ran = run(twins, &[("t", &[lost, Succeeds])], true);
        assert_eq!((ran.summary.counts.succeeded, ran.summary.counts.errors), (1, 1), "{lost:?}");
    }
}
