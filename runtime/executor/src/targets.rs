//! Jobs that should take no longer than their plan entry says.
//!
//! Owns: when somebody is to be warned, and what a missed target means. Does not know: who is told.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::time::{Duration, Instant};

use wasmill_model::plan::Target;
use wasmill_model::{Event, JobStatus};

use crate::graph::JobId;
use crate::worker::Ended;

/// The part of a target at which somebody is warned, in fifths.
const WARNED_AT_FIFTHS: u32 = 4;

/// Jobs under way that have a target.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    running: HashSet<JobId>,
    /// When to warn of each. Of those that have ended since, nothing is said.
    warnings: BinaryHeap<Reverse<(Instant, JobId)>>,
}

impl Targets {
    pub(crate) fn started(&mut self, job: JobId, target: Option<Target>, now: Instant) {
        if let Some(target) = target {
            let warned_after = Duration::from_millis(target.wall_ms) / 5 * WARNED_AT_FIFTHS;
            self.running.insert(job);
            self.warnings.extend(now.checked_add(warned_after).map(|at| Reverse((at, job))));
        }
    }

    pub(crate) fn ended(&mut self, job: JobId) {
        self.running.remove(&job);
    }

    /// Jobs that are under way for so long now that somebody is to be warned.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<JobId> {
        let mut due = Vec::new();
        while let Some(Reverse((_, job))) = self.warnings.peek().copied().filter(|next| next.0.0 <= now) {
            self.warnings.pop();
            due.extend(Some(job).filter(|job| self.running.contains(job)));
        }
        due
    }
}

/// Says so where a job took longer than it should. Where that is critical, its success is none any more: then this is true.
pub(crate) fn is_missed(
    target: Option<Target>,
    ended: &mut Ended,
    name: &str,
    on_event: &mut (dyn FnMut(&Event) + Send),
) -> bool {
    let took = Duration::from_nanos(ended.ended_ns.saturating_sub(ended.started_ns));
    let missed = target.filter(|target| !ended.cached && took > Duration::from_millis(target.wall_ms));
    let Some(Target { wall_ms, is_critical }) = missed else { return false };
    let took = Duration::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    let missed = format!("took {took:?}, longer than its target of {:?}", Duration::from_millis(wall_ms));
    if is_critical && ended.status == JobStatus::Succeeded {
        ended.status = JobStatus::Error;
        ended.error = vec![format!("it {missed}, which is critical")];
        ended.hint = Some("its result is recorded: the next run finds it".to_owned());
        return true;
    }
    on_event(&Event::Warning { message: format!("`{name}` {missed}") });
    false
}
