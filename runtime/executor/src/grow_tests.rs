//! Random plans that grow, with the real loop, scheduler and store, and a runner that leaves what it is told: whatever comes to be,
//! the run comes to its end, and the next one comes to the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use wasmill_model::plan::{Format, parse};
use wasmill_model::port::{BlobStore as _, Cancel, Execution, Request, Runner, RunnerError, Traits};
use wasmill_model::{
    ActionResult, BlobRef, Digest, Directory, DirectoryNode, Event, FileNode, JobStatus, Outcome, RunSummary, Traffic,
    Usage,
};
use wasmill_storage::{Options, Storage};

use crate::{ExecuteOptions, Ports, execute, expand};

/// Leaves what a job's arguments say: a path and a text, and so on; `fail` fails.
struct Leaves {
    storage: Arc<Storage>,
    executed: AtomicUsize,
}

impl Leaves {
    fn tree(&self, files: &BTreeMap<String, String>) -> Result<BlobRef, RunnerError> {
        let mut tree = Directory::default();
        let mut below: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (path, text) in files {
            match path.split_once('/') {
                None => {
                    let blob = self.storage.put(text.clone().into_bytes().into())?;
                    tree.files.push(FileNode { name: path.clone(), blob, is_executable: false });
                }
                Some((dir, path)) => {
                    below.entry(dir.to_owned()).or_default().insert(path.to_owned(), text.clone());
                }
            }
        }
        for (name, files) in below {
            let blob = self.tree(&files)?;
            tree.directories.push(DirectoryNode { name, blob });
        }
        Ok(self.storage.put(tree.encode().into())?)
    }
}

impl Runner for Leaves {
    fn run(&self, request: Request<'_>, _cancel: &Cancel) -> Result<Execution, RunnerError> {
        self.executed.fetch_add(1, Ordering::Relaxed);
        let args = &request.action.args[1..];
        let code = if args.first().is_some_and(|arg| arg == "fail") { 7 } else { 0 };
        let files = args.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        let (output, empty) = (self.tree(&files)?, BlobRef::EMPTY);
        let result = ActionResult { outcome: Outcome::Exited { code }, output, stdout: empty, stderr: empty };
        Ok(Execution { result, usage: Usage::default(), traffic: Traffic::default() })
    }

    fn traits(&self) -> Traits {
        Traits { float_architecture: "any".to_owned(), fuel_schedule: 1, engine: "none".to_owned() }
    }
}

struct Mill {
    storage: Arc<Storage>,
    runner: Arc<Leaves>,
    _dir: tempfile::TempDir,
}

struct Ran {
    statuses: BTreeMap<String, JobStatus>,
    summary: RunSummary,
    executed: usize,
}

impl Mill {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = Arc::new(Storage::open(dir.path(), Options::default()).unwrap());
        let runner = Arc::new(Leaves { storage: Arc::clone(&storage), executed: AtomicUsize::new(0) });
        Self { storage, runner, _dir: dir }
    }

    /// Executes the `jobs` of a plan.
    fn run(&self, jobs: &str, keep_going: bool) -> Ran {
        let ran = self.run_until(jobs, keep_going, &Cancel::new());
        assert!(!ran.summary.cancelled, "the run stood still: {jobs}\n{:#?}", ran.statuses);
        ran
    }

    fn run_until(&self, jobs: &str, keep_going: bool, cancel: &Cancel) -> Ran {
        let text = format!(
            r#"{{ "modules": {{ "m": {{ "digest": "{}" }} }}, "defaults": {{ "module": "m" }}, "jobs": {{ {jobs} }} }}"#,
            Digest::of(b"m")
        );
        let plan = parse(&text, Format::Json).unwrap_or_else(|errors| panic!("{text}\n{errors:#?}"));
        let graph = expand(plan, Path::new(".")).unwrap_or_else(|errors| panic!("{text}\n{errors:#?}"));
        let ports = Ports {
            blobs: Arc::clone(&self.storage) as _,
            actions: Arc::clone(&self.storage) as _,
            runs: Arc::clone(&self.storage) as _,
            stats: Arc::clone(&self.storage) as _,
            runner: Arc::clone(&self.runner) as _,
        };
        let options = ExecuteOptions {
            workers: 4,
            memory_bytes: u64::MAX,
            machine: None,
            // Nothing takes as long, unless it stands still.
            timeout: Some(Duration::from_secs(60)),
            keep_going,
            retry_failed: false,
            fresh: false,
            measuring: false,
            profile: None,
            adaptive: None,
            lost_after: crate::LOST_AFTER,
            cancel: cancel.clone(),
            began: Instant::now(),
        };
        let before = self.runner.executed.load(Ordering::Relaxed);
        let mut statuses = BTreeMap::new();
        let mut note = |event: &Event| {
            if let Event::JobFinished(report) = event {
                assert!(
                    statuses.insert(report.job.clone(), report.status).is_none(),
                    "{} is reported twice",
                    report.job
                );
            }
        };
        let modules = [("m".to_owned(), Digest::of(b"m"))].into();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let summary = runtime.block_on(execute(graph, modules, ports, options, &mut note)).unwrap();
        assert_eq!((summary.counts.jobs, summary.counts.ended()), (statuses.len(), statuses.len()), "{text}");
        Ran { statuses, summary, executed: self.runner.executed.load(Ordering::Relaxed) - before }
    }
}

/// Numbers that look random and are the same each time.
struct Seed(u64);

impl Seed {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Random jobs of a plan: some fail, some yield plans, some are repeated for what others left.
fn jobs(seed: &mut Seed, depth: u64, failures: u64) -> (String, u64) {
    let count = 1 + seed.below(5);
    let mut text = String::new();
    // Those that are repeated, so that all of their items have to be named.
    let mut repeated = Vec::new();
    for at in 0..count {
        let fails = seed.below(100) < failures;
        let mut args = if fails { vec!["fail".to_owned()] } else { Vec::new() };
        let mut yields = "";
        if depth > 0 && seed.below(3) == 0 {
            let (jobs, inner) = jobs(seed, depth - 1, failures);
            let result = seed.below(inner);
            // A repeated job has no result by itself, so the job's own output stands in for some.
            let result = match jobs.contains(&format!("\"j{result}\": {{ \"for-each\"")) {
                true => format!(r#"{{ "jobs": "j{result}" }}"#),
                false => format!(r#"{{ "job": "j{result}" }}"#),
            };
            let plan = format!(r#"{{ "defaults": {{ "module": "m" }}, "jobs": {{ {jobs} }}, "result": {result} }}"#);
            if !fails {
                args.extend(["plan.json".to_owned(), plan]);
                yields = r#", "yields": "plan.json""#;
            }
        }
        if !fails {
            for part in 0..seed.below(4) {
                args.extend([format!("parts/{part}"), format!("{at} {part}")]);
            }
            args.extend(["own".to_owned(), seed.below(3).to_string()]);
        }
        let mut inputs = String::new();
        let mut for_each = String::new();
        for other in 0..at {
            let is_repeated = repeated.contains(&other);
            let optional = if seed.below(2) == 0 { r#", "optional": true"# } else { "" };
            match seed.below(6) {
                0 if is_repeated => write!(inputs, r#", "/in/{other}": {{ "jobs": "j{other}" }}"#).unwrap(),
                0 => write!(inputs, r#", "/in/{other}": {{ "job": "j{other}"{optional} }}"#).unwrap(),
                1 if for_each.is_empty() && !is_repeated => {
                    for_each = format!(r#""for-each": {{ "x": {{ "entries": {{ "job": "j{other}" }} }} }}, "#);
                }
                1 if for_each.is_empty() => {
                    for_each = format!(r#""for-each": {{ "x": {{ "entries": {{ "jobs": "j{other}" }} }} }}, "#);
                    // Item by item.
                    write!(inputs, r#", "/in/{other}": {{ "job": "j{other}[{{x}}]"{optional} }}"#).unwrap();
                }
                2 if !is_repeated => {
                    let not = seed.below(2) == 0;
                    write!(inputs, r#" }}, "when": {{ "job": "j{other}", "path": "own", "is": "1", "not": {not}"#)
                        .unwrap();
                    break;
                }
                _ => {}
            }
        }
        if !for_each.is_empty() {
            repeated.push(at);
        }
        // Braces are variables.
        let args = serde_json::to_string(&args).unwrap().replace('{', "{{").replace('}', "}}");
        let comma = if at == 0 { "" } else { ", " };
        let inputs = inputs.strip_prefix(", ").unwrap_or(&inputs);
        let inputs =
            if inputs.starts_with(" }") { format!("\"in\": {{{inputs} }}") } else { format!("\"in\": {{ {inputs} }}") };
        write!(text, r#"{comma}"j{at}": {{ {for_each}"args": {args}, {inputs}{yields} }}"#).unwrap();
    }
    (text, count)
}

#[test]
fn whatever_comes_to_be_a_run_comes_to_its_end_and_the_next_to_the_same() {
    let mut largest = 0;
    for number in 0..150 {
        let failures = [0, 0, 10][number as usize % 3];
        let (jobs, _) = jobs(&mut Seed(number * 7919), 3, failures);
        let mill = Mill::new();
        let first = mill.run(&jobs, true);
        let second = mill.run(&jobs, true);
        assert_eq!(first.statuses, second.statuses, "seed {number}: {jobs}");
        assert_eq!(second.executed, 0, "seed {number}: {jobs}");
        assert_eq!(first.summary.counts.succeeded, second.summary.counts.succeeded);
        // Where it stops at the first failure, no job is lost either.
        Mill::new().run(&jobs, false);
        largest = largest.max(first.statuses.len());
    }
    assert!(largest > 30, "the largest run had {largest} jobs");
}

#[test]
fn what_was_yielded_may_fail_before_the_job_has_said_that_it_ended() {
    let mill = Mill::new();
    for round in 0..300 {
        let plan =
            r#"{ "defaults": { "module": "m" }, "jobs": { "a": { "args": ["fail"] } }, "result": { "job": "a" } }"#;
        let args = serde_json::to_string(&["plan.json", plan, "round", &round.to_string()]).unwrap();
        let args = args.replace('{', "{{").replace('}', "}}");
        let ran = mill.run(&format!(r#""j": {{ "args": {args}, "yields": "plan.json" }}"#), round % 2 == 0);
        assert_eq!(ran.statuses["j/a"], JobStatus::Failed);
        assert!(matches!(ran.statuses["j"], JobStatus::Skipped | JobStatus::Cancelled), "{:?}", ran.statuses);
    }
}

#[test]
fn a_run_that_is_cancelled_while_it_grows_reports_everything_that_came_to_be() {
    let mill = Mill::new();
    let inner: Vec<String> = (0..40).map(|n| format!(r#""{n}": {{ "args": ["own", "{n}"] }}"#)).collect();
    let plan = format!(
        r#"{{ "defaults": {{ "module": "m" }}, "jobs": {{ {} }}, "result": {{ "job": "0" }} }}"#,
        inner.join(", ")
    );
    for round in 0..300_u64 {
        let args = serde_json::to_string(&["plan.json", &plan, "round", &round.to_string()]).unwrap();
        let args = args.replace('{', "{{").replace('}', "}}");
        let cancel = Cancel::new();
        let stop = cancel.clone();
        let stopping = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(round * 97 % 30_000));
            stop.cancel();
        });
        // What it says of its counts is looked at in there.
        mill.run_until(&format!(r#""j": {{ "args": {args}, "yields": "plan.json" }}"#), true, &cancel);
        stopping.join().unwrap();
    }
}
