//! `wasmill run`: executing a plan.
//!
//! Owns: the steps from a plan's path to an exit code. Does not know: how anything of it is shown.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use wasmill_executor::{BuildOutput, Graph, LoadedModules, PlanSnapshot, SnapshotError, Sought};
use wasmill_model::port::{BlobStore, RunLog as _, StoreError};
use wasmill_model::{Event, RunId};

use super::dry_run::dry_run;
use crate::app::{show_error, show_warning};
use crate::args::{Global, OutputFormat, RunArgs};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::{How, Mill, Work};
use crate::plan_file;
use crate::recorded::{Recorded, is_imported};
use crate::report::{Artifacts, Reporter};
use crate::settings::Settings;

/// `wasmill run`.
pub(crate) fn run(global: &Global, args: &RunArgs) -> Result<u8, CliError> {
    carry_out(global, args).map(|(code, _)| code)
}

/// The same, and which run it was.
pub(super) fn carry_out(global: &Global, args: &RunArgs) -> Result<(u8, Option<RunId>), CliError> {
    let began = Instant::now();
    let artifacts = Artifacts::new(&args.artifacts)?;
    let (how, mill, work) = match args.resume {
        Some(run) => resumed(global, args, run, began)?,
        // Who asks for a timeline wants one, and what is not gone through has none.
        None => loaded(global, args, began, artifacts.is_empty())?,
    };
    let work = match work {
        Work::Graph(graph, modules) if args.dry_run => {
            return dry_run(global, args, &mill, *graph, modules).map(|code| (code, None));
        }
        work => work,
    };
    let mut reporter = Reporter::new(global, Arc::clone(&mill.storage));
    let mut id = None;
    let result = mill.execute(work, &how, &mut |event| {
        if let Event::RunStarted { run, .. } = event {
            id = Some(*run);
        }
        reporter.on_event(event);
    });
    reporter.finish();
    let summary = result?;
    if !artifacts.is_empty() {
        let recorded = Recorded::find(&mill.storage, id)?;
        artifacts.write(&mill.storage, &recorded)?;
        if let Err(error) = artifacts.send(&recorded) {
            // The run is what it is, whoever hears of it.
            show_warning(&error, global.format);
        }
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

/// How what was asked for is carried out.
fn how(global: &Global, args: &RunArgs, settings: &Settings, began: Instant) -> How {
    let (workers_min, workers) = settings.workers();
    How {
        workers,
        workers_min,
        memory_bytes: settings.memory_bytes(),
        timeout: settings.run_timeout.value,
        keep_going: settings.keep_going.value,
        retry_failed: args.retry_failed,
        fresh: args.fresh,
        measuring: false,
        profile: settings.profile_named(),
        tells_each: global.format == OutputFormat::Json,
        began,
    }
}

/// The plan as it is now, or an earlier run of it if nothing has changed and that will do.
fn loaded(global: &Global, args: &RunArgs, began: Instant, may_repeat: bool) -> Result<(How, Mill, Work), CliError> {
    let opening = Mill::begin_to_open(global)?;
    let mut read = plan_file::read(&args.plan)?;
    let settings = Settings::find(global, Some(&args.settings), Some((&read.file, &read.plan.profiles)))?;
    for job in &mut read.plan.jobs {
        settings.apply(job);
        if args.dry_run {
            // It is only looked at.
            job.save.clear();
            job.retries.count = 0;
        }
    }
    // Of part of a plan it is not known yet whether the first job is in it.
    let is_needed = args.select.is_empty() && !args.dry_run;
    let ahead = if is_needed { opening.begin_to_compile(&read.plan, read.base(), &settings) } else { None };
    let how = how(global, args, &settings, began);
    let shown = !global.quiet && global.format == OutputFormat::Human;
    let output = if shown { BuildOutput::Shown } else { BuildOutput::Kept };
    let read = read.prepare();
    let mut opened = opening.finish(&settings);
    let mut sought = Sought::default();
    if may_repeat
        && !args.fresh
        && !args.retry_failed
        && !args.dry_run
        && let Ok(Some(mill)) = &opened
    {
        sought = mill.find_repeat(&read.plan, &args.select, output, &how)?;
    }
    if let (Some(repeat), Ok(opened)) = (sought.repeat.take(), &mut opened)
        && let Some(mill) = opened.take()
    {
        return Ok((how, mill, Work::Repeat(Box::new(repeat))));
    }
    let mut graph = read.expand()?;
    if !args.select.is_empty() {
        select(&mut graph, &args.select)?;
    }
    // A plan that is wrong makes no store, and what is wrong with it comes before what is wrong with the store.
    let mill = opened?.map_or_else(|| Mill::open_with(global, &settings, ahead), Ok)?;
    if let Some(near) = sought.near.take() {
        near.narrow(&mut graph, how.tells_each).map_err(|error| CliError::store(&error))?;
    }
    let loaded = mill.load_modules_beside(&graph, output, sought).map_err(|mut errors| {
        let last = errors.pop();
        errors.iter().for_each(|error| show_error(error, global.format));
        last.unwrap_or_else(|| CliError::new(exit_code::INPUT, "a module cannot be loaded"))
    })?;
    graph.check_types(&loaded.interfaces).map_err(|wrong| plan_file::refused(&graph, &wrong))?;
    Ok((how, mill, Work::Graph(Box::new(graph), loaded.modules)))
}

/// The plan as it was when a run of it began, with what its jobs had read.
fn resumed(global: &Global, args: &RunArgs, run: RunId, began: Instant) -> Result<(How, Mill, Work), CliError> {
    let settings = settings_of(global, args, run)?;
    let open = |snapshot: PlanSnapshot, blobs: &dyn BlobStore| snapshot.open_as(blobs, |job| settings.apply(job));
    let (mill, graph, modules) = as_it_began(global, &settings, run, open)?;
    if !global.quiet && global.format == OutputFormat::Human {
        let inputs = graph.inputs_before();
        eprintln!("going on with run {run} as it began; {inputs} inputs that its jobs had read are as they were");
    }
    Ok((how(global, args, &settings, began), mill, Work::Graph(Box::new(graph), modules)))
}

/// How a run is gone on with, for which its plan is in the store.
fn settings_of(global: &Global, args: &RunArgs, run: RunId) -> Result<Settings, CliError> {
    let without_profile = Global { profile: None, ..global.clone() };
    let mill = Mill::open(&without_profile)?;
    let snapshot = snapshot_of(&mill, run)?;
    let plan = snapshot.plan().map_err(|error| not_resumed(run, (snapshot.file(), snapshot.text()), error))?;
    mill.close()?;
    Settings::find(global, Some(&args.settings), Some((Path::new(snapshot.file()), &plan.profiles)))
}

fn cannot_resume(run: RunId, what: &str) -> CliError {
    CliError::new(exit_code::INPUT, format!("run {run} cannot be resumed: {what}"))
}

const AGAIN: &str = "to go on with the plan as it is now, run it again: what is recorded is not executed again";

fn not_resumed(run: RunId, (file, text): (&str, &str), error: SnapshotError) -> CliError {
    match error {
        SnapshotError::Plan(diagnostics) => plan_file::invalid(file, text, &diagnostics),
        other => cannot_resume(run, &other.to_string()).hint(AGAIN),
    }
}

/// What a run began with.
fn snapshot_of(mill: &Mill, run: RunId) -> Result<PlanSnapshot, CliError> {
    let record = mill.storage.run(run).map_err(|error| CliError::store(&error))?;
    let record = record.ok_or_else(|| cannot_resume(run, "there is no such run").hint("`wasmill runs` lists them"))?;
    let kept = record.snapshot.ok_or_else(|| match is_imported(&record) {
        true => cannot_resume(run, "it was imported, and its inputs are where it comes from").hint(AGAIN),
        false => cannot_resume(run, "its plan was not kept").hint(AGAIN),
    })?;
    PlanSnapshot::find(&kept, mill.storage.as_ref()).map_err(|error| cannot_resume(run, &error.to_string()).hint(AGAIN))
}

/// The graph that a run began with.
pub(super) fn as_it_began(
    global: &Global,
    settings: &Settings,
    run: RunId,
    open: impl Fn(PlanSnapshot, &dyn BlobStore) -> Result<(Graph, LoadedModules), SnapshotError>,
) -> Result<(Mill, Graph, LoadedModules), CliError> {
    let mill = Mill::open_as(global, settings)?;
    let store = |error: StoreError| CliError::store(&error);
    let snapshot = snapshot_of(&mill, run)?;
    let blobs = mill.storage.as_ref();
    let (file, text) = (snapshot.file().to_owned(), snapshot.text().to_owned());
    let (mut graph, modules) = open(snapshot, blobs).map_err(|error| not_resumed(run, (&file, &text), error))?;
    let reports = mill.storage.jobs(run).map_err(store)?;
    graph.take_inputs_of(&reports, blobs).map_err(store)?;
    Ok((mill, graph, modules))
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
