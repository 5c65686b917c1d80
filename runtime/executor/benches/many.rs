//! What a job costs where the jobs themselves cost nothing: plans of 10,000, 100,000 and 1,000,000 jobs, with the real loop,
//! scheduler and store, and a runner that does nothing; and when the first of so many begins that waited for the same. `cargo bench -p wasmill-executor --bench many [-- JOBS]...`
//!
//! Owns: this table. Does not know: sandboxes.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use wasmill_executor::{Demand, Ending, ExecuteOptions, JobId, Needs, Ports, Scheduler, Signal, execute, expand};
use wasmill_model::plan::{Format, parse};
use wasmill_model::port::{Cancel, Execution, Request, Runner, RunnerError, Traits};
use wasmill_model::{ActionResult, BlobRef, Digest, Outcome, Traffic, Usage};
use wasmill_storage::{Options, Storage};

/// Succeeds at once and leaves nothing.
struct Nothing;

impl Runner for Nothing {
    fn run(&self, _request: Request<'_>, _cancel: &Cancel) -> Result<Execution, RunnerError> {
        let empty = BlobRef::EMPTY;
        let outcome = Outcome::Exited { code: 0 };
        let result = ActionResult { outcome, output: empty, stdout: empty, stderr: empty };
        Ok(Execution { result, usage: Usage::default(), traffic: Traffic::default() })
    }

    fn traits(&self) -> Traits {
        Traits { float_architecture: "any".to_owned(), fuel_schedule: 1, engine: "none".to_owned() }
    }
}

/// What this process has in memory, in bytes.
fn resident() -> u64 {
    let Ok(id) = sysinfo::get_current_pid() else { return 0 };
    let Ok(mut system) = sysinfo::System::new() else { return 0 };
    system.refresh_processes(sysinfo::ProcessesToUpdate::Some(&[id]), true);
    system.process(id).map_or(0, sysinfo::Process::memory)
}

type Failure = Box<dyn std::error::Error>;

fn measure(jobs: usize) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let list: String = (0..jobs).map(|n| format!("{n}\n")).collect();
    std::fs::write(dir.path().join("list"), list)?;
    let plan = format!(
        "[modules.m]\ndigest = \"{}\"\n[jobs.many]\nmodule = \"m\"\nfor-each = {{ n = {{ lines = \"list\" }} }}\nargs = [\"{{n}}\"]\n",
        Digest::of(b"m")
    );
    let storage = Arc::new(Storage::open(&dir.path().join("store"), Options::default())?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    print!("| {jobs} ");
    for what in ["cold", "known"] {
        let before = resident();
        let began = Instant::now();
        let plan = parse(&plan, Format::Toml).map_err(|_| "the plan is valid")?;
        let graph = expand(plan, Path::new(dir.path())).map_err(|_| "the plan can be expanded")?;
        let expanded = began.elapsed();
        let ports = Ports {
            blobs: Arc::clone(&storage) as _,
            actions: Arc::clone(&storage) as _,
            runs: Arc::clone(&storage) as _,
            stats: Arc::clone(&storage) as _,
            runner: Arc::new(Nothing),
        };
        let options = ExecuteOptions {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: u64::MAX,
            machine: None,
            timeout: None,
            keep_going: false,
            retry_failed: false,
            fresh: false,
            measuring: false,
            profile: None,
            adaptive: None,
            lost_after: wasmill_executor::LOST_AFTER,
            cancel: Cancel::new(),
            began,
        };
        let modules = [("m".to_owned(), Digest::of(b"m"))].into();
        let (mut most, mut heard) = (0, 0_usize);
        let summary = runtime.block_on(execute(graph, modules, ports, options, &mut |_| {
            heard += 1;
            if heard.is_multiple_of(50_000) || heard == jobs {
                most = most.max(resident());
            }
        }))?;
        let per_job = began.elapsed().as_secs_f64() * 1e6 / jobs as f64;
        let expanding = expanded.as_secs_f64() * 1e6 / jobs as f64;
        let bytes = most.saturating_sub(before) / jobs as u64;
        if summary.counts.succeeded != jobs {
            return Err(format!("{what}: {summary:?}").into());
        }
        print!("| {per_job:.2} | {expanding:.2} | {bytes} ");
    }
    println!("|");
    Ok(())
}

/// One job, and so many that need it.
struct Fan(usize);

impl Needs for Fan {
    fn count(&self) -> usize {
        self.0 + 1
    }

    fn waits_for(&self, job: JobId) -> &[JobId] {
        const FIRST: &[JobId] = &[JobId::at(0)];
        if job.number() == 0 { &[] } else { FIRST }
    }

    fn is_selected(&self, _job: JobId) -> bool {
        true
    }
}

/// From the end of a job until the scheduler gives one of those that waited for it, in microseconds: the median of 15.
fn detect(jobs: usize) -> f64 {
    let mut times: Vec<f64> = (0..15)
        .map(|_| {
            let demand = |_| Demand { needs: vec![1], priority: 0, expected: 1 };
            let mut scheduler = Scheduler::new(&Fan(jobs), vec![2], false, demand);
            let (first, mut commands) = (scheduler.take(), Vec::new());
            let began = Instant::now();
            first.into_iter().for_each(|first| scheduler.on(Signal::Ended(first, Ending::Succeeded), &mut commands));
            let next = scheduler.take();
            let took = began.elapsed();
            assert!(next.is_some());
            took.as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() -> Result<(), Failure> {
    let asked: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let sizes = if asked.is_empty() { vec![10_000, 100_000, 1_000_000] } else { asked };
    println!(
        "| jobs | cold: µs a job | of these, expanding | B a job | known: µs a job | of these, expanding | B a job |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|");
    sizes.iter().try_for_each(|jobs| measure(*jobs))?;
    println!("\n| jobs that wait for one | µs from its end to the first of them |\n|--:|--:|");
    sizes.iter().for_each(|jobs| println!("| {jobs} | {:.1} |", detect(*jobs)));
    Ok(())
}
