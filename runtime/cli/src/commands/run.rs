//! `wasmill run`: executing a plan.
//!
//! Owns: the steps from a plan's path to an exit code. Does not know: how anything of it is shown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmill_executor::{BuildOutput, Graph};
use wasmill_model::plan::{parse_duration, parse_size};

use crate::app::show_error;
use crate::args::{Global, OutputFormat, RunArgs};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::{How, Mill, default_memory, default_workers};
use crate::plan_file;
use crate::report::Reporter;

/// `wasmill run`.
pub(crate) fn run(global: &Global, args: &RunArgs) -> Result<u8, CliError> {
    let began = Instant::now();
    let timeout = timeout(args.run_timeout.as_deref())?;
    let memory_bytes = memory(args.memory_budget.as_deref())?;
    let mut graph = plan_file::load(&args.plan)?;
    if !args.select.is_empty() {
        select(&mut graph, &args.select)?;
    }
    let mill = Mill::open(global)?;
    let shown = !global.quiet && global.format == OutputFormat::Human;
    let output = if shown { BuildOutput::Shown } else { BuildOutput::Kept };
    let modules = match mill.load_modules(&graph, output) {
        Ok(modules) => modules,
        Err(mut errors) => {
            let last = errors.pop();
            errors.iter().for_each(|error| show_error(error, global.format));
            return Err(last.unwrap_or_else(|| CliError::new(exit_code::INPUT, "a module cannot be loaded")));
        }
    };
    let workers = args.jobs.map_or_else(default_workers, usize::from);
    let how = How {
        workers,
        memory_bytes,
        timeout,
        keep_going: args.keep_going,
        retry_failed: args.retry_failed,
        fresh: args.fresh,
        began,
    };
    let mut reporter = Reporter::new(global, Arc::clone(&mill.storage) as _);
    let result = mill.execute(graph, modules, &how, &mut |event| reporter.on_event(event));
    reporter.finish();
    let summary = result?;
    mill.collect_if_due();
    mill.close()?;
    Ok(match () {
        () if summary.is_success() => exit_code::SUCCESS,
        () if summary.cancelled => exit_code::CANCELLED,
        () => exit_code::JOBS_FAILED,
    })
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
