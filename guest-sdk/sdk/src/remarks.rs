//! What a job says while it works: how far it is, and what it logs.
//!
//! Owns: how that is written. Does not know: who reads it. A host that does not know of it shows it on standard error.

use log::{LevelFilter, Log, Metadata, Record};
use serde::Serialize;
use wasmill_abi::REMARK_MARK;

/// Says how far the job is, in any units: files, lines, bytes. wasmill shows it beside the job, and it changes nothing else. In a test of
/// the function it does nothing.
pub fn progress(done: u64, total: u64) {
    remark(&Remark::Progress { done, total });
}

#[derive(Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
enum Remark {
    Progress { done: u64, total: u64 },
    Log { level: &'static str, message: String },
}

/// Says something, in a module: in one write, so that nothing comes in between.
fn remark(remark: &Remark) {
    if !cfg!(target_family = "wasm") {
        return;
    }
    let mut line = REMARK_MARK.to_vec();
    let Ok(json) = crate::json::to_vec(remark) else { return };
    // The mark is the beginning of the object.
    line.extend_from_slice(json.get(1..).unwrap_or_default());
    line.push(b'\n');
    // Nobody has to listen.
    crate::system::say(&line);
}

/// Has `log::info!` and the like heard by the host.
pub(crate) fn start_logging() {
    // The job may have a logger of its own by the time it runs; the first one stays.
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            log::Level::Error => "error",
            log::Level::Warn => "warn",
            log::Level::Info => "info",
            log::Level::Debug => "debug",
            log::Level::Trace => "trace",
        };
        remark(&Remark::Log { level, message: record.args().to_string() });
    }

    fn flush(&self) {}
}
