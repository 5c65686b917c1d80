//! What somebody asked for to be written or sent about a run.
//!
//! Owns: that files can be written is known before a run begins. Does not know: what is in them.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use wasmill_storage::Storage;

use super::{otlp, page, timeline};
use crate::args::ArtifactArgs;
use crate::error::{CliError, usage};
use crate::exit_code;
use crate::recorded::Recorded;

/// Where a report and a trace of a run go, and to whom its spans.
#[derive(Debug, Default)]
pub(crate) struct Artifacts {
    report: Option<PathBuf>,
    trace: Option<PathBuf>,
    otlp: Option<String>,
}

impl Artifacts {
    /// Makes sure that the files can be written; what is in them stays until there is something new.
    pub(crate) fn new(args: &ArtifactArgs) -> Result<Self, CliError> {
        let (report, trace) = (args.report.as_deref(), args.trace.as_deref());
        if let Some(endpoint) = &args.otlp {
            otlp::check(endpoint).map_err(|wrong| usage("--otlp", &wrong))?;
        }
        let absolute =
            |path: Option<&Path>| path.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        let artifacts = Self { report: absolute(report), trace: absolute(trace), otlp: args.otlp.clone() };
        if artifacts.report.is_some() && artifacts.report == artifacts.trace {
            return Err(usage("--trace", "it is the file of `--report` as well"));
        }
        for (flag, path) in [("--report", &artifacts.report), ("--trace", &artifacts.trace)] {
            let Some(path) = path else { continue };
            let is_there = path.exists();
            OpenOptions::new().append(true).create(true).open(path).map_err(|error| failed(flag, path, &error))?;
            if !is_there {
                // Nobody is to find an empty one where the run does not come to its end.
                let _ = fs::remove_file(path);
            }
        }
        Ok(artifacts)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.report.is_none() && self.trace.is_none() && self.otlp.is_none()
    }

    /// Writes what was asked for.
    pub(crate) fn write(&self, storage: &Storage, recorded: &Recorded) -> Result<(), CliError> {
        if let Some(path) = &self.report {
            fs::write(path, page::page(storage, recorded)?).map_err(|error| failed("--report", path, &error))?;
        }
        if let Some(path) = &self.trace {
            fs::write(path, timeline::trace(recorded)).map_err(|error| failed("--trace", path, &error))?;
        }
        Ok(())
    }

    /// Sends the run where that was asked for.
    pub(crate) fn send(&self, recorded: &Recorded) -> Result<(), CliError> {
        self.otlp.as_ref().map_or(Ok(()), |endpoint| otlp::send(endpoint, recorded))
    }
}

fn failed(flag: &str, path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(exit_code::INPUT, format!("`{flag}`: {} cannot be written", path.display()))
        .because(error)
        .hint("name a file in a folder that is there and may be written")
}
