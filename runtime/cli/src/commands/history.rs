//! `wasmill runs` and `wasmill show`: what happened earlier.
//!
//! Owns: how runs and jobs are listed. Does not know: how they are stored.

use std::fmt::Write as _;

use wasmill_model::port::{ActionCache as _, BlobStore as _, RunLog as _};
use wasmill_model::{
    Action, Directory, Event, Floats, JobReport, JobStatus, Mount, MountMode, Outcome, RunId, RunRecord, RunState,
};

use crate::args::{Global, OutputFormat};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::Mill;
use crate::report::human::verdict;
use crate::report::text::{duration, harmless, harmless_lines, size, time};
use crate::report::{describe_failure, print, show_json, stderr_tail};

/// Entries of a job's output that are listed; `wasmill ls` has them all.
const OUTPUTS_SHOWN: usize = 20;

/// `wasmill runs`.
pub(crate) fn runs(global: &Global, limit: usize) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let runs = mill.storage.runs(limit).map_err(|error| CliError::store(&error))?;
    let mut text = String::new();
    if global.format == OutputFormat::Json {
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
        // Another process may be at it.
        RunState::Started => {
            format!("not ended: it runs, or was killed before its end; `wasmill run --resume {}` goes on", run.id)
        }
        RunState::Ended(summary) => verdict(summary),
    }
}

/// `wasmill show`.
pub(crate) fn show(global: &Global, id: RunId, job: Option<&str>) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let run = mill.storage.run(id).map_err(|error| CliError::store(&error))?.ok_or_else(|| {
        CliError::new(exit_code::INPUT, format!("there is no run {id}")).hint("`wasmill runs` lists them")
    })?;
    let jobs = mill.storage.jobs(id).map_err(|error| CliError::store(&error))?;
    match job {
        None => show_run(global, &run, jobs),
        Some(name) => {
            let report = jobs.into_iter().find(|report| report.job == name).ok_or_else(|| {
                CliError::new(exit_code::INPUT, format!("run {id} has no record of a job `{name}`"))
                    .hint(format!("`wasmill show {id}` lists its jobs"))
            })?;
            show_job(global, &mill, &report)?;
        }
    }
    Ok(exit_code::SUCCESS)
}

fn show_run(global: &Global, run: &RunRecord, jobs: Vec<JobReport>) {
    if global.format == OutputFormat::Json {
        print(format!("{}\n", serde_json::to_string(run).unwrap_or_default()).as_bytes());
        jobs.into_iter().for_each(|report| show_json(&Event::JobFinished(Box::new(report))));
        return;
    }
    let mut text = String::new();
    let _ = writeln!(text, "run {} of {}, started {}", run.id, harmless(&run.plan), time(run.started_unix_ms));
    let _ = writeln!(text, "{}", result_of(run));
    if let RunState::Ended(summary) = &run.state {
        let _ = writeln!(
            text,
            "wall {}, CPU in jobs {} (parallel factor {:.2}), the cache saved {}",
            duration(summary.wall_ns),
            duration(summary.cpu_ns),
            summary.parallel_factor(),
            duration(summary.saved_ns)
        );
    }
    for report in &jobs {
        let took = if report.cached { "cached".to_owned() } else { duration(report.usage.wall_ns) };
        let _ = writeln!(
            text,
            "  {:9}  {took:>10}  {}{}",
            status(report.status),
            harmless(&report.job),
            harmless(&why(report))
        );
    }
    print(text.as_bytes());
}

fn status(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Succeeded => "ok",
        JobStatus::Failed => "failed",
        JobStatus::Error => "error",
        JobStatus::Skipped => "skipped",
        JobStatus::Cancelled => "cancelled",
        JobStatus::Omitted => "omitted",
    }
}

fn why(report: &JobReport) -> String {
    match &report.result {
        Some(result) if !result.outcome.is_success() => format!(": {}", result.outcome),
        _ if report.error.is_empty() => String::new(),
        _ => format!(": {}", report.error.join(": ")),
    }
}

fn show_job(global: &Global, mill: &Mill, report: &JobReport) -> Result<(), CliError> {
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
    let usage = &report.usage;
    let _ = writeln!(text, "  wall         {}", duration(usage.wall_ns));
    let _ = writeln!(text, "  CPU          {}", duration(usage.cpu_ns));
    let _ = writeln!(text, "  memory       {}", size(usage.memory_peak_bytes));
    if let Some(fuel) = usage.fuel {
        let _ = writeln!(text, "  fuel         {fuel}");
    }
    let waited = report.started_ns.saturating_sub(report.ready_ns);
    let _ = writeln!(text, "  waited       {} for a worker", duration(waited));
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

fn describe_action(text: &mut String, action: &Action) {
    let _ = writeln!(text, "  module       {}", action.module);
    let _ = writeln!(text, "  args         {}", action.args.join(" ").escape_debug());
    for (name, value) in &action.env {
        let _ = writeln!(text, "  env          {name}={}", value.escape_debug());
    }
    if action.stdin.size_bytes > 0 {
        let _ = writeln!(text, "  stdin        {}", action.stdin.digest);
    }
    for (at, input) in &action.mounts {
        let (Mount::File { blob, .. } | Mount::Directory { blob }) = &input.content;
        let mode = if input.mode == MountMode::CopyOnWrite { " (rw)" } else { "" };
        let _ = writeln!(text, "  in           {}  {at}{mode}", blob.digest);
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
    let directory = mill.storage.get(&output).ok().and_then(|bytes| Directory::decode(&bytes).ok());
    let Some(directory) = directory else {
        let _ = writeln!(text, "               (no longer in the store)");
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
