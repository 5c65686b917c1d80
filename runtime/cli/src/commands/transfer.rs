//! `wasmill export` and `import`: taking a run's record to another store.
//!
//! Owns: the form of such a file: a line of JSON for the run, and one for each of its jobs. Does not know: what becomes of
//! results; what jobs left stays where it is.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::mpsc;

use serde::{Deserialize, Serialize};
use wasmill_model::port::{LogLine, RunLog as _};
use wasmill_model::{JobReport, RunId, RunRecord, RunSetup, RunStart, RunState, RunSummary};

use crate::args::{Global, OutputFormat};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::Mill;
use crate::recorded::Recorded;
use crate::report::print;
use crate::report::text::{count, harmless};

/// The number of the form, in the first line.
const FORMAT: u32 = 1;

/// Reports that are handed to the store at once.
const TOGETHER: usize = 256;

#[derive(Serialize, Deserialize)]
struct Head {
    /// What this is, so that other JSON is not taken for it.
    wasmill_run: u32,
    record: RunRecord,
    jobs: usize,
}

/// The part of the first line that every form has.
#[derive(Deserialize)]
struct Form {
    wasmill_run: u32,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    report: JobReport,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    log: Vec<LogLine>,
}

/// `wasmill export`.
pub(crate) fn export(global: &Global, run: RunId, file: Option<&Path>) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let Recorded { record, jobs } = Recorded::find(&mill.storage, Some(run))?;
    let mut text = line(&Head { wasmill_run: FORMAT, record, jobs: jobs.len() });
    for report in jobs {
        let log = report.log.clone();
        text += &line(&Line { report, log });
    }
    let Some(file) = file else {
        print(text.as_bytes());
        return Ok(exit_code::SUCCESS);
    };
    let failed = |error: std::io::Error| {
        CliError::new(exit_code::INPUT, format!("{} cannot be written", file.display())).because(&error)
    };
    let mut writer = BufWriter::new(File::create(file).map_err(failed)?);
    writer.write_all(text.as_bytes()).and_then(|()| writer.flush()).map_err(failed)?;
    Ok(exit_code::SUCCESS)
}

fn line<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

/// `wasmill import`.
pub(crate) fn import(global: &Global, file: &Path) -> Result<u8, CliError> {
    let (head, jobs) = read(file)?;
    let mill = Mill::open(global)?;
    let store = |error| CliError::store(&error);
    let mut setup = head.record.setup.clone().unwrap_or_else(RunSetup::default);
    setup.imported = Some(head.record.id);
    // What it began with is in the store that it comes from.
    let (plan, unix_ms) = (head.record.plan.clone(), head.record.started_unix_ms);
    let start = RunStart { plan, unix_ms, setup: setup.clone(), ..RunStart::default() };
    let run = mill.storage.begin(&start).map_err(store)?;
    for reports in jobs.chunks(TOGETHER) {
        mill.storage.append(run, reports).map_err(store)?;
    }
    if let RunState::Ended(summary) = &head.record.state {
        // Its jobs are its own here.
        let state = RunState::Ended(RunSummary { repeats: None, ..summary.clone() });
        let record = RunRecord {
            id: run,
            snapshot: None,
            footprint: None,
            repeats: None,
            own_jobs: 0,
            setup: head.record.setup.as_ref().map(|_| setup),
            state,
            ..head.record.clone()
        };
        let (done, waits) = mpsc::channel();
        mill.storage.end(&record, Box::new(move |durable| drop(done.send(durable)))).map_err(store)?;
        if let Ok(Err(error)) = waits.recv() {
            return Err(CliError::store(error.as_ref()));
        }
    }
    mill.close()?;
    let plan = harmless(&head.record.plan);
    match global.format {
        OutputFormat::Json => {
            print(format!("{}\n", serde_json::json!({ "run": run, "was": head.record.id })).as_bytes());
        }
        OutputFormat::Human if global.quiet => {}
        OutputFormat::Human => {
            let said =
                format!("run {} of {plan} is run {run} here, with {}\n", head.record.id, count(jobs.len(), "job"));
            print(said.as_bytes());
        }
    }
    Ok(exit_code::SUCCESS)
}

fn read(file: &Path) -> Result<(Head, Vec<JobReport>), CliError> {
    let shown = file.display();
    let failed =
        |error: std::io::Error| CliError::new(exit_code::INPUT, format!("{shown} cannot be read")).because(&error);
    let wrong = |at: usize, why: &dyn std::fmt::Display| {
        CliError::new(exit_code::INPUT, format!("{shown} is no exported run: line {at}: {why}"))
            .hint("`wasmill export RUN FILE` writes one")
    };
    let mut lines = BufReader::new(File::open(file).map_err(failed)?).lines();
    let first = lines.next().transpose().map_err(failed)?.unwrap_or_default();
    // Its own line and column are those of a single line, and would be taken for the file's.
    let parser = |error: serde_json::Error| error.to_string().split(" at line ").next().unwrap_or_default().to_owned();
    let Form { wasmill_run: form } = serde_json::from_str(&first).map_err(|error| wrong(1, &parser(error)))?;
    if form != FORMAT {
        return Err(wrong(1, &format!("it has the form {form}, and this wasmill reads {FORMAT}")));
    }
    let head: Head = serde_json::from_str(&first).map_err(|error| wrong(1, &parser(error)))?;
    let mut jobs = Vec::new();
    for (at, text) in lines.enumerate() {
        let text = text.map_err(failed)?;
        let line: Line = serde_json::from_str(&text).map_err(|error| wrong(at + 2, &parser(error)))?;
        jobs.push(JobReport { log: line.log, ..line.report });
    }
    if jobs.len() != head.jobs {
        let why = match jobs.len() < head.jobs {
            true => format!("it ends here, with {} of {} jobs", jobs.len(), head.jobs),
            false => format!("it has {} jobs, and its first line says {}", jobs.len(), head.jobs),
        };
        return Err(wrong(jobs.len() + 1, &why));
    }
    Ok((head, jobs))
}
