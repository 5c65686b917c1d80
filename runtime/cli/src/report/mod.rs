//! Shows a run while it goes on, and what came of it.
//!
//! Owns: which reporter listens. Does not know: where events come from.

mod artifacts;
mod bar;
mod failure;
pub(crate) mod human;
pub(crate) mod json;
mod lines;
mod otlp;
mod page;
pub(crate) mod plan;
pub(crate) mod shape;
pub(crate) mod summary;
pub(crate) mod text;
mod timeline;

use std::io::Write as _;
use std::sync::{Arc, OnceLock};

pub(crate) use artifacts::Artifacts;
pub(crate) use failure::{describe_failure, stderr_tail};
pub(crate) use human::log_level;
use wasmill_model::Event;
use wasmill_storage::Storage;

use crate::args::{Global, OutputFormat};

/// Listens to a run and shows it in the way that was asked for.
pub(crate) enum Reporter {
    Human(Box<human::Human>),
    Json(Box<json::Json>),
}

impl Reporter {
    pub(crate) fn new(global: &Global, storage: Arc<Storage>) -> Self {
        match global.format {
            OutputFormat::Human => Reporter::Human(Box::new(human::Human::new(global.quiet, global.verbose, storage))),
            OutputFormat::Json => Reporter::Json(Box::new(json::Json::new(storage))),
        }
    }

    pub(crate) fn on_event(&mut self, event: &Event) {
        match self {
            Reporter::Human(human) => human.on_event(event),
            Reporter::Json(json) => json.on_event(event),
        }
    }

    /// Clears what is not to stay on the screen.
    pub(crate) fn finish(&mut self) {
        match self {
            Reporter::Human(human) => human.finish(),
            Reporter::Json(json) => json.finish(),
        }
    }
}

/// Writes an event as one line of JSON to standard output.
pub(crate) fn show_json(event: &Event) {
    if let Ok(line) = serde_json::to_string(event) {
        print(format!("{line}\n").as_bytes());
    }
}

/// Rows as comma-separated values.
pub(crate) fn csv(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // A vector takes everything, and all rows are as long as the header.
    let _ = writer.write_record(header);
    rows.for_each(|row| drop(writer.write_record(row)));
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// Why standard output could not be written, if it could not.
static STDOUT_FAILED: OnceLock<std::io::Error> = OnceLock::new();

/// Writes to standard output. A failure comes to light when the program ends (see [`stdout_failure`]); a reader that
/// has closed the pipe has seen enough, which is none.
pub(crate) fn print(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = stdout.write_all(bytes).and_then(|()| stdout.flush())
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        let _ = STDOUT_FAILED.set(error);
    }
}

/// Why something that was to be printed was not.
pub(crate) fn stdout_failure() -> Option<&'static std::io::Error> {
    STDOUT_FAILED.get()
}
