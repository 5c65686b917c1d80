//! What a run is given, and how it is to be carried out.
//!
//! Owns: the list of ports and of options, and what each means. Does not know: who keeps to them.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmill_model::port::{ActionCache, BlobStore, Cancel, RunLog, Runner, StatCache};

use crate::adapt::Adaptive;
use crate::machine::Machine;

/// How long a thread may take to come back from a job whose time is over.
pub const LOST_AFTER: Duration = Duration::from_secs(300);

/// What a run needs of the other crates.
#[derive(Clone)]
pub struct Ports {
    /// Content.
    pub blobs: Arc<dyn BlobStore>,
    /// Results.
    pub actions: Arc<dyn ActionCache>,
    /// History.
    pub runs: Arc<dyn RunLog>,
    /// Digests of host files.
    pub stats: Arc<dyn StatCache>,
    /// Executes actions.
    pub runner: Arc<dyn Runner>,
}

/// How a run is carried out.
#[derive(Debug, Clone)]
pub struct ExecuteOptions {
    /// Worker threads, and processors that jobs may take together; at least 1.
    pub workers: usize,
    /// Whether there may be fewer workers, and when.
    pub adaptive: Option<Adaptive>,
    /// Memory that the limits of running jobs may come to together, in bytes. A job whose own limit is higher runs alone.
    pub memory_bytes: u64,
    /// What it shares with other runs of the process.
    pub machine: Option<Arc<Machine>>,
    /// How long the run may take; it is cancelled then.
    pub timeout: Option<Duration>,
    /// Whether jobs that do not depend on a failed one still run.
    pub keep_going: bool,
    /// Whether recorded failures are tried again.
    pub retry_failed: bool,
    /// Whether recorded results are left aside altogether.
    pub fresh: bool,
    /// Whether the run is only there to be measured, for the record.
    pub measuring: bool,
    /// What somebody called all this, for the record.
    pub profile: Option<String>,
    /// Stops the run: running jobs are interrupted, nothing further starts, what was durable stays.
    pub cancel: Cancel,
    /// How long after a job's time is over its thread may take to come back, before the job is given up and another thread takes
    /// its place: that is a bug. [`LOST_AFTER`] is meant to be longer than compiling a module and storing a large output take.
    pub lost_after: Duration,
    /// When the run began, for those who loaded the plan before.
    pub began: Instant,
}

impl ExecuteOptions {
    /// When the run began, in milliseconds since 1970, by the system's clock: the times of its jobs count from there.
    pub(crate) fn began_unix_ms(&self) -> u64 {
        let began = SystemTime::now().checked_sub(self.began.elapsed()).unwrap_or(UNIX_EPOCH);
        u64::try_from(began.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
    }
}
