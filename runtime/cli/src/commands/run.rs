//! `wasmill run`: executing a plan.
//!
//! Owns: the steps from a plan's path to an exit code. Does not know: how anything of it is shown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmill_executor::{Accepts, BuildOutput, Graph, LoadedModules, PlanSnapshot, SnapshotError};
use wasmill_model::plan::{parse_duration, parse_size};
use wasmill_model::port::{BlobStore, RunLog as _, StoreError};
use wasmill_model::{Event, JobStatus, RunId};

use crate::app::show_error;
use crate::args::{Global, OutputFormat, RunArgs, Workers};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::{How, Mill, default_memory, default_workers};
use crate::plan_file;
use crate::recorded::{Past, Recorded};
use crate::report::summary::reasons;
use crate::report::text::{count, harmless};
use crate::report::{Artifacts, Reporter, print};

/// `wasmill run`.
pub(crate) fn run(global: &Global, args: &RunArgs) -> Result<u8, CliError> {
    carry_out(global, args).map(|(code, _)| code)
}

/// The same, and which run it was.
pub(super) fn carry_out(global: &Global, args: &RunArgs) -> Result<(u8, Option<RunId>), CliError> {
    let began = Instant::now();
    let artifacts = Artifacts::new(args.report.as_deref(), args.trace.as_deref())?;
    let timeout = timeout(args.run_timeout.as_deref())?;
    let memory_bytes = memory(args.memory_budget.as_deref())?;
    let (mill, graph, modules) = match args.resume {
        Some(run) => resumed(global, run)?,
        None => loaded(global, args)?,
    };
    if args.dry_run {
        return dry_run(global, args, &mill, graph, modules).map(|code| (code, None));
    }
    let (workers_min, workers) = match args.jobs {
        None => (None, default_workers()),
        Some(Workers::Fixed(workers)) => (None, usize::from(workers)),
        Some(Workers::Auto) => (Some(1), default_workers()),
        Some(Workers::Between(min, max)) => (Some(usize::from(min)), usize::from(max)),
    };
    let how = How {
        workers,
        workers_min,
        memory_bytes,
        timeout,
        keep_going: args.keep_going,
        retry_failed: args.retry_failed,
        fresh: args.fresh,
        profile: None,
        began,
    };
    let mut reporter = Reporter::new(global, Arc::clone(&mill.storage));
    let mut id = None;
    let result = mill.execute(graph, modules, &how, &mut |event| {
        if let Event::RunStarted { run, .. } = event {
            id = Some(*run);
        }
        reporter.on_event(event);
    });
    reporter.finish();
    let summary = result?;
    if !artifacts.is_empty() {
        artifacts.write(&mill.storage, &Recorded::find(&mill.storage, id)?)?;
    }
    mill.collect_if_due();
    mill.close()?;
    let code = match () {
        () if summary.is_success() => exit_code::SUCCESS,
        () if summary.cancelled => exit_code::CANCELLED,
        () => exit_code::JOBS_FAILED,
    };
    Ok((code, id))
}

/// Says what a run would execute, and why. What depends on it may turn out to need nothing.
fn dry_run(global: &Global, args: &RunArgs, mill: &Mill, graph: Graph, modules: LoadedModules) -> Result<u8, CliError> {
    let past = Past::of_all(&mill.storage, graph.name(), RunId(u64::MAX))?;
    let accepts = Accepts { retry_failed: args.retry_failed, fresh: args.fresh };
    let (mut cached, mut behind, mut wrong) = (0, 0, 0);
    let mut whys = Vec::new();
    let is_json = global.format == OutputFormat::Json;
    let say = |job: &str, would: &str, why: &str| match is_json {
        true => {
            let said = serde_json::json!({ "event": "job-rehearsed", "job": job, "would": would, "why": why });
            print(format!("{said}\n").as_bytes());
        }
        false if global.quiet => {}
        false => print(format!("{would:8}  {}: {}\n", harmless(job), harmless(why)).as_bytes()),
    };
    mill.rehearse(graph, modules, accepts, &mut |event| {
        let Event::JobFinished(report) = event else { return };
        match report.status {
            JobStatus::Succeeded | JobStatus::Failed if report.cached => cached += 1,
            JobStatus::Error if report.trace.attempts > 0 => {
                let why = past.reason(&mill.storage, args.fresh, report);
                say(&report.job, "execute", &why.to_string());
                whys.push(why);
            }
            JobStatus::Error => {
                wrong += 1;
                say(&report.job, "fail", &report.error.join(": "));
            }
            JobStatus::Skipped => {
                behind += 1;
                say(
                    &report.job,
                    "look",
                    &report.error.join(": ").replace("did not succeed", "would be executed first"),
                );
            }
            _ => {}
        }
    })?;
    if !is_json && !global.quiet {
        let mut line = format!("{} would be executed, {cached} cached", count(whys.len(), "job"));
        if behind > 0 {
            line += &format!(", {behind} looked up behind them");
        }
        if wrong > 0 {
            line += &format!(", {wrong} could not be carried out");
        }
        print(format!("{line}\n").as_bytes());
        reasons(whys.into_iter()).iter().for_each(|why| print(format!("  {why}\n").as_bytes()));
    }
    Ok(if wrong > 0 { exit_code::JOBS_FAILED } else { exit_code::SUCCESS })
}

/// The plan as it is now.
fn loaded(global: &Global, args: &RunArgs) -> Result<(Mill, Graph, LoadedModules), CliError> {
    let load = if args.dry_run { plan_file::load_to_look } else { plan_file::load };
    let mut graph = load(&args.plan)?;
    if !args.select.is_empty() {
        select(&mut graph, &args.select)?;
    }
    let mill = Mill::open(global)?;
    let shown = !global.quiet && global.format == OutputFormat::Human;
    let output = if shown { BuildOutput::Shown } else { BuildOutput::Kept };
    let loaded = mill.load_modules(&graph, output).map_err(|mut errors| {
        let last = errors.pop();
        errors.iter().for_each(|error| show_error(error, global.format));
        last.unwrap_or_else(|| CliError::new(exit_code::INPUT, "a module cannot be loaded"))
    })?;
    graph.check_types(&loaded.interfaces).map_err(|wrong| plan_file::refused(&graph, &wrong))?;
    Ok((mill, graph, loaded.modules))
}

/// The plan as it was when a run of it began, with what its jobs had read.
fn resumed(global: &Global, run: RunId) -> Result<(Mill, Graph, LoadedModules), CliError> {
    let (mill, graph, modules) = as_it_began(global, run, PlanSnapshot::open)?;
    if !global.quiet && global.format == OutputFormat::Human {
        let inputs = graph.inputs_before();
        eprintln!("going on with run {run} as it began; {inputs} inputs that its jobs had read are as they were");
    }
    Ok((mill, graph, modules))
}

/// The graph that a run began with.
pub(super) fn as_it_began(
    global: &Global,
    run: RunId,
    open: impl Fn(PlanSnapshot, &dyn BlobStore) -> Result<(Graph, LoadedModules), SnapshotError>,
) -> Result<(Mill, Graph, LoadedModules), CliError> {
    let mill = Mill::open(global)?;
    let store = |error: StoreError| CliError::store(&error);
    let wrong = |what: &str| CliError::new(exit_code::INPUT, format!("run {run} cannot be resumed: {what}"));
    let record = mill.storage.run(run).map_err(store)?;
    let record = record.ok_or_else(|| wrong("there is no such run").hint("`wasmill runs` lists them"))?;
    let again = "to go on with the plan as it is now, run it again: what is recorded is not executed again";
    let snapshot = record.snapshot.ok_or_else(|| wrong("its plan was not kept").hint(again))?;
    let blobs = mill.storage.as_ref();
    let failed = |error: SnapshotError| wrong(&error.to_string()).hint(again);
    let snapshot = PlanSnapshot::find(&snapshot, blobs).map_err(failed)?;
    let (file, text) = (snapshot.file().to_owned(), snapshot.text().to_owned());
    let (mut graph, modules) = open(snapshot, blobs).map_err(|error| match error {
        SnapshotError::Plan(diagnostics) => plan_file::invalid(&file, &text, &diagnostics),
        other => failed(other),
    })?;
    let reports = mill.storage.jobs(run).map_err(store)?;
    graph.take_inputs_of(&reports, blobs).map_err(store)?;
    Ok((mill, graph, modules))
}

fn memory(budget: Option<&str>) -> Result<u64, CliError> {
    let Some(text) = budget else { return Ok(default_memory()) };
    let wrong = |wrong: &str| CliError::new(exit_code::USAGE, format!("`--memory-budget {text}`: {wrong}"));
    match parse_size(text) {
        Ok(0) => Err(wrong("it must be more than nothing")),
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(wrong(&error)),
    }
}

fn timeout(text: Option<&str>) -> Result<Option<Duration>, CliError> {
    let Some(text) = text else { return Ok(None) };
    let wall_ms = parse_duration(text)
        .map_err(|wrong| CliError::new(exit_code::USAGE, format!("`--run-timeout {text}`: {wrong}")))?;
    Ok(Some(Duration::from_millis(wall_ms)))
}

fn select(graph: &mut Graph, names: &[String]) -> Result<(), CliError> {
    graph.select(names).map_err(|unknown| {
        let error = CliError::from_error(exit_code::USAGE, &unknown);
        match unknown.nearest {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error,
        }
    })
}
