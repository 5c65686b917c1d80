//! What a run knows of each of its jobs.
//!
//! Owns: results, and when and how often jobs were tried. Does not know: what that means for others.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use wasmill_model::ActionResult;

/// What a run knows of one job. It grows with its graph, one for each job, under the same lock.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Its result, once it has one; none inside if it was omitted.
    pub(crate) result: OnceLock<Option<Box<ActionResult>>>,
    /// Whether that was known before the run.
    pub(crate) cached: AtomicBool,
    /// When it ended, which is when those that need it may begin, in nanoseconds since the run began.
    pub(crate) ended_ns: AtomicU64,
    /// Since when the runner has it, in nanoseconds since the run began; 0 while it does not.
    pub(crate) runs_since_ns: AtomicU64,
    /// It is not to be executed together with others.
    pub(crate) is_alone: AtomicBool,
    /// How often it was tried in vain.
    pub(crate) tried: AtomicU32,
}

impl Progress {
    /// The job is not gone through, and has ended when the run began.
    pub(crate) fn is_known(&self, result: Option<ActionResult>, now_ns: u64) {
        self.cached.store(true, Ordering::Release);
        self.ended_ns.store(now_ns, Ordering::Release);
        let _ = self.result.set(result.map(Box::new));
    }
}
