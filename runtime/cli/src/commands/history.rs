//! `wasmill runs` and `wasmill show`: what happened earlier.
//!
//! Owns: how runs and jobs are listed. Does not know: how they are stored.

use std::fmt::Write as _;

use wasmill_insight::{Anatomy, CriticalPath, Summary};
use wasmill_model::port::{ActionCache as _, BlobStore as _, RunLog as _};
use wasmill_model::{
    Action, Directory, Event, Floats, JobReport, JobStatus, Mount, MountMode, Outcome, RunId, RunRecord, RunState,
};

use wasmill_storage::Storage;

use crate::args::{Global, OutputFormat};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::Mill;
use crate::recorded::{Past, Recorded, action_of, is_imported};
use crate::report::summary::{details, repeated, status, times, verdict};
use crate::report::text::{duration, harmless, harmless_lines, size, time};
use crate::report::{csv, describe_failure, print, show_json, stderr_tail};

/// Entries of a job's output that are listed; `wasmill ls` has them all.
const OUTPUTS_SHOWN: usize = 20;

/// `wasmill runs`.
pub(crate) fn runs(global: &Global, limit: usize, as_rows: bool) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let runs = mill.storage.runs(limit).map_err(|error| CliError::store(&error))?;
    let mut text = String::new();
    if as_rows {
        text = runs_as_rows(&runs);
    } else if global.format == OutputFormat::Json {
        for run in &runs {
            let _ = writeln!(text, "{}", serde_json::to_string(run).unwrap_or_default());
        }
    } else if runs.is_empty() {
        text.push_str("no runs yet\n");
    } else {
        let _ = writeln!(text, "{:>5}  {:19}  {:>10}  {:20}  RESULT", "RUN", "STARTED", "WALL", "PLAN");
        for run in &runs {
            let started = time(run.started_unix_ms);
            let wall = match &run.state {
                RunState::Started => "-".to_owned(),
                RunState::Ended(summary) => duration(summary.wall_ns),
            };
            let plan = harmless(&run.plan);
            let _ = writeln!(text, "{:>5}  {started:19}  {wall:>10}  {plan:20}  {}", run.id, result_of(run));
        }
    }
    print(text.as_bytes());
    Ok(exit_code::SUCCESS)
}

fn result_of(run: &RunRecord) -> String {
    match &run.state {
        RunState::Started if is_imported(run) => "not ended when it was exported; imported".to_owned(),
        // Another process may be at it.
        RunState::Started => {
            format!("not ended: it runs, or was killed before its end; `wasmill run --resume {}` goes on", run.id)
        }
        RunState::Ended(summary) if is_imported(run) => format!("{}; imported", verdict(summary)),
        RunState::Ended(summary) => verdict(summary),
    }
}

/// `wasmill show`.
pub(crate) fn show(global: &Global, id: RunId, job: Option<&str>, as_rows: bool) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let recorded = Recorded::find(&mill.storage, Some(id))?;
    match job {
        None if as_rows => print(jobs_as_rows(&recorded.jobs).as_bytes()),
        None if global.format == OutputFormat::Json => {
            print(format!("{}\n", serde_json::to_string(&recorded.record).unwrap_or_default()).as_bytes());
            recorded.jobs.into_iter().for_each(|report| show_json(&Event::JobFinished(Box::new(report))));
        }
        None => show_run(&mill, &recorded)?,
        Some(name) => {
            let report = &recorded.jobs[recorded.job(name)?];
            show_job(global, &mill, &recorded.record, report)?;
        }
    }
    Ok(exit_code::SUCCESS)
}

/// `wasmill show --reproduce`: the command that executes a job's action again.
pub(crate) fn reproduce(global: &Global, id: RunId, job: &str) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let recorded = Recorded::find(&mill.storage, Some(id))?;
    let report = &recorded.jobs[recorded.job(job)?];
    if action_of(&mill.storage, report).is_none() {
        let why =
            if report.key.is_some() { "is not in the store any more" } else { "was never known: it did not begin" };
        return Err(CliError::new(exit_code::INPUT, format!("what `{job}` was asked to do {why}")));
    }
    let key = report.key.map_or_else(String::new, |key| key.to_string());
    let mut command = vec!["wasmill".to_owned(), "exec".to_owned(), "--action".to_owned(), key];
    if let Some(store) = &global.store {
        let store = std::path::absolute(store).unwrap_or_else(|_| store.clone());
        command.extend(["--store".to_owned(), store.display().to_string()]);
    }
    let engine = recorded.record.setup.as_ref().map(|setup| setup.engine.as_str());
    command.extend(engine.filter(|engine| *engine != "cranelift").map(|engine| format!("--engine={engine}")));
    // Of other limits the action says itself; this is none that decides a result.
    if let Some(Outcome::TimedOut { limit_ms }) = report.result.as_ref().map(|result| &result.outcome) {
        command.push(format!("--timeout={limit_ms}ms"));
    }
    let line = shlex::try_join(command.iter().map(String::as_str)).unwrap_or_else(|_| command.join(" "));
    print(format!("{line}\n").as_bytes());
    Ok(exit_code::SUCCESS)
}

fn runs_as_rows(runs: &[RunRecord]) -> String {
    let header = [
        "run",
        "plan",
        "started_unix_ms",
        "wall_ns",
        "cpu_ns",
        "saved_ns",
        "jobs",
        "succeeded",
        "cached",
        "failed",
        "errors",
        "skipped",
        "cancelled",
        "omitted",
        "retries",
        "read_bytes",
        "written_bytes",
        "stored_bytes",
        "known_bytes",
        "workers",
    ];
    let row = |run: &RunRecord| {
        let mut row = vec![run.id.to_string(), run.plan.clone(), run.started_unix_ms.to_string()];
        if let RunState::Ended(summary) = &run.state {
            let counts = &summary.counts;
            row.extend([summary.wall_ns, summary.cpu_ns, summary.saved_ns].map(|ns| ns.to_string()));
            let counts = [
                counts.jobs,
                counts.succeeded,
                counts.cached,
                counts.failed,
                counts.errors,
                counts.skipped,
                counts.cancelled,
                counts.omitted,
            ];
            row.extend(counts.map(|count| count.to_string()));
            let traffic = summary.traffic;
            let stored = [summary.stored_bytes, summary.known_bytes];
            let others = [summary.retries, traffic.read_bytes, traffic.written_bytes, stored[0], stored[1]];
            row.extend(others.map(|number| number.to_string()));
        }
        row.resize(header.len() - 1, String::new());
        row.push(run.setup.as_ref().map_or_else(String::new, |setup| setup.workers.to_string()));
        row
    };
    csv(&header, runs.iter().map(row))
}

fn jobs_as_rows(jobs: &[JobReport]) -> String {
    let header = [
        "job",
        "status",
        "cached",
        "outcome",
        "action",
        "ready_ns",
        "started_ns",
        "ended_ns",
        "wall_ns",
        "cpu_ns",
        "memory_peak_bytes",
        "resolve_ns",
        "prepare_ns",
        "store_ns",
        "durable_ns",
        "read_bytes",
        "written_bytes",
        "worker",
        "attempts",
    ];
    let row = |report: &JobReport| {
        let JobReport { usage, trace, .. } = report;
        let phases = &trace.phases;
        let numbers = |numbers: &[u64]| numbers.iter().map(u64::to_string).collect::<Vec<_>>();
        let status = serde_json::to_value(report.status).ok().and_then(|status| status.as_str().map(str::to_owned));
        let mut row = vec![report.job.clone(), status.unwrap_or_default(), report.cached.to_string()];
        row.push(report.result.as_ref().map_or_else(String::new, |result| result.outcome.to_string()));
        row.push(report.key.map_or_else(String::new, |key| key.to_string()));
        row.extend(numbers(&[report.ready_ns, report.started_ns, report.ended_ns, usage.wall_ns, usage.cpu_ns]));
        row.extend(numbers(&[usage.memory_peak_bytes, phases.resolve_ns, phases.prepare_ns, phases.store_ns]));
        row.extend(numbers(&[phases.durable_ns, trace.traffic.read_bytes, trace.traffic.written_bytes]));
        row.push(trace.worker.map_or_else(String::new, |worker| worker.to_string()));
        row.push(trace.attempts.to_string());
        row
    };
    csv(&header, jobs.iter().map(row))
}

fn show_run(mill: &Mill, recorded: &Recorded) -> Result<(), CliError> {
    let Recorded { record: run, jobs } = recorded;
    let mut past = Past::before(&mill.storage, &run.plan, run.id)?;
    let mut text = String::new();
    let _ = writeln!(text, "run {} of {}, started {}", run.id, harmless(&run.plan), time(run.started_unix_ms));
    let _ = writeln!(text, "{}", result_of(run));
    repeated(run).into_iter().for_each(|said| text += &format!("{said}\n"));
    if let RunState::Ended(summary) = &run.state {
        let _ = writeln!(text, "{}", times(summary));
    }
    let anatomy = Anatomy::of(run, jobs);
    let summary = Summary::of(&anatomy, &CriticalPath::of(&anatomy));
    for line in details(&anatomy, &summary) {
        let _ = writeln!(text, "{}", harmless(&line));
    }
    for report in jobs {
        let took = if report.cached { "cached".to_owned() } else { duration(report.usage.wall_ns) };
        let _ = writeln!(
            text,
            "  {:9}  {took:>10}  {}{}",
            status(report.status),
            harmless(&report.job),
            harmless(&wrong(report).or_else(|| because(&mill.storage, &mut past, run, report)).unwrap_or_default())
        );
    }
    let _ = writeln!(text, "where the time went: wasmill analyze {}", run.id);
    print(text.as_bytes());
    Ok(())
}

/// Why a job was executed, in brackets.
fn because(storage: &Storage, past: &mut Past, run: &RunRecord, report: &JobReport) -> Option<String> {
    past.why(storage, run, report).map(|why| format!(" ({why})"))
}

/// What went wrong with a job.
fn wrong(report: &JobReport) -> Option<String> {
    match &report.result {
        Some(result) if !result.outcome.is_success() => Some(format!(": {}", result.outcome)),
        _ if report.error.is_empty() => None,
        _ => Some(format!(": {}", report.error.join(": "))),
    }
}

fn show_job(global: &Global, mill: &Mill, run: &RunRecord, report: &JobReport) -> Result<(), CliError> {
    let action = match &report.key {
        Some(key) => mill.storage.action(key).map_err(|error| CliError::store(&error))?,
        None => None,
    };
    if global.format == OutputFormat::Json {
        let said = serde_json::json!({ "report": report, "log": report.log, "action": action });
        print(format!("{said}\n").as_bytes());
        return Ok(());
    }
    let mut text = String::new();
    let cached = if report.cached { ", cached" } else { "" };
    let _ = writeln!(text, "{}: {}{cached}", harmless(&report.job), status(report.status));
    if matches!(report.status, JobStatus::Failed | JobStatus::Error) {
        let stderr = report.result.as_ref().and_then(|result| stderr_tail(mill.storage.as_ref(), result.stderr));
        let error = describe_failure(report, &format!("job `{}`", report.job), stderr);
        text.push_str(&anstream::adapter::strip_str(&error.human()).to_string());
    } else {
        for line in &report.error {
            let _ = writeln!(text, "  {}", harmless_lines(line));
        }
    }
    let mut past = Past::before(&mill.storage, &run.plan, run.id)?;
    if let Some(why) = past.why(&mill.storage, run, report) {
        let _ = writeln!(text, "  why          {}", harmless(&why.to_string()));
    }
    describe_cost(&mut text, report);
    for line in &report.log {
        let _ = writeln!(text, "  said         {}: {}", line.level, harmless(&line.message));
    }
    if let Some(key) = &report.key {
        let _ = writeln!(text, "  action       {key}");
    }
    if let Some(action) = &action {
        describe_action(&mut text, action);
    }
    if let Some(result) = &report.result {
        let _ = writeln!(text, "  stdout       {}  {}", result.stdout.digest, size(result.stdout.size_bytes));
        let _ = writeln!(text, "  stderr       {}  {}", result.stderr.digest, size(result.stderr.size_bytes));
        if matches!(result.outcome, Outcome::Exited { code: 0 }) {
            let _ = writeln!(text, "  output       {}", result.output.digest);
            list_output(&mut text, mill, result.output);
        }
    }
    print(text.as_bytes());
    Ok(())
}

fn describe_cost(text: &mut String, report: &JobReport) {
    let usage = &report.usage;
    let _ = writeln!(text, "  wall         {}", duration(usage.wall_ns));
    let _ = writeln!(text, "  CPU          {}", duration(usage.cpu_ns));
    let _ = writeln!(text, "  memory       {}", size(usage.memory_peak_bytes));
    if let Some(fuel) = usage.fuel {
        let _ = writeln!(text, "  fuel         {fuel}");
    }
    let waited = report.started_ns.saturating_sub(report.ready_ns);
    let _ = writeln!(text, "  waited       {} for a worker", duration(waited));
    let trace = &report.trace;
    if trace.attempts == 0 {
        return;
    }
    let phases = &trace.phases;
    let parts = [
        ("inputs", phases.resolve_ns),
        ("compiling", phases.prepare_ns),
        ("executing", usage.wall_ns),
        ("storing", phases.store_ns),
        ("until on disk", phases.durable_ns),
    ];
    let parts: Vec<String> = parts.iter().map(|(what, ns)| format!("{what} {}", duration(*ns))).collect();
    let _ = writeln!(text, "  phases       {}", parts.join(", "));
    let _ = writeln!(
        text,
        "  traffic      read {}, wrote {}",
        size(trace.traffic.read_bytes),
        size(trace.traffic.written_bytes)
    );
    let attempts = if trace.attempts == 1 { String::new() } else { format!(", attempt {}", trace.attempts) };
    let worker = trace.worker.map_or_else(|| "-".to_owned(), |worker| worker.to_string());
    let _ = writeln!(text, "  worker       {worker}{attempts}");
}

fn describe_action(text: &mut String, action: &Action) {
    let _ = writeln!(text, "  module       {}", action.module);
    let _ = writeln!(text, "  args         {}", action.args.join(" ").escape_debug());
    for (name, value) in &action.env {
        let _ = writeln!(text, "  env          {}={}", harmless(name), value.escape_debug());
    }
    if action.stdin.size_bytes > 0 {
        let _ = writeln!(text, "  stdin        {}", action.stdin.digest);
    }
    for (at, input) in &action.mounts {
        let (Mount::File { blob, .. } | Mount::Directory { blob }) = &input.content;
        let mode = if input.mode == MountMode::CopyOnWrite { " (rw)" } else { "" };
        let _ = writeln!(text, "  in           {}  {}{mode}", blob.digest, harmless(at.as_str()));
    }
    if let Floats::Native { architecture } = &action.floats {
        let _ = writeln!(text, "  floats       native ({})", architecture.escape_debug());
    }
    let limits = &action.limits;
    let fuel = limits.fuel.map_or_else(|| "not metered".to_owned(), |fuel| fuel.to_string());
    let (memory, output) = (size(limits.memory_bytes), size(limits.output_bytes));
    let _ = writeln!(text, "  limits       memory {memory}, output {output}, fuel {fuel}");
}

fn list_output(text: &mut String, mill: &Mill, output: wasmill_model::BlobRef) {
    // Reading what is not there would have it noted as lost, and it may never have been here.
    let is_there = mill.storage.find(&output.digest).ok().flatten().is_some();
    let read = || mill.storage.get(&output).ok();
    let directory = is_there.then(read).flatten().and_then(|bytes| Directory::decode(&bytes).ok());
    let Some(directory) = directory else {
        let _ = writeln!(text, "               (not in the store)");
        return;
    };
    let below = directory.directories.iter().map(|below| (below.blob.digest, format!("{}/", below.name)));
    let files = directory.files.iter().map(|file| (file.blob.digest, file.name.clone()));
    let all: Vec<_> = below.chain(files).collect();
    for (digest, name) in all.iter().take(OUTPUTS_SHOWN) {
        let _ = writeln!(text, "               {digest}  {}", harmless(name));
    }
    if all.len() > OUTPUTS_SHOWN {
        let _ = writeln!(text, "               … {} more: wasmill ls {}", all.len() - OUTPUTS_SHOWN, output.digest);
    }
}
