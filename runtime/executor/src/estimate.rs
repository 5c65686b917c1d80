//! How long a run will go on.
//!
//! Owns: what is left to do, by the durations of earlier runs. Does not know: who is told, or how durations are found.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use wasmill_model::Event;

use crate::graph::JobId;
use crate::shared::Shared;

/// How often it is said how long the run will go on.
const SAID_EVERY: Duration = Duration::from_secs(1);

/// What is left of a run.
#[derive(Debug, Default)]
pub(crate) struct Estimate {
    /// What the jobs that have not ended took in earlier runs, in nanoseconds, once that is known.
    left_ns: Option<u64>,
    said: Option<Instant>,
}

impl Estimate {
    /// A job has ended.
    pub(crate) fn ended(&mut self, shared: &Shared, job: JobId) {
        if let (Some(left_ns), Some(durations)) = (&mut self.left_ns, shared.durations.get()) {
            *left_ns = left_ns.saturating_sub(durations.expected(&shared.graph, job));
        }
    }

    /// What there is to say now, if anything.
    pub(crate) fn due(&mut self, shared: &Shared, now: Instant) -> Option<Event> {
        let durations = shared.durations.get()?;
        if self.said.is_some_and(|said| now.duration_since(said) < SAID_EVERY) {
            return None;
        }
        self.said = Some(now);
        let graph = &shared.graph;
        let is_open =
            |id: &JobId| graph.is_selected(*id) && shared.progress[id.index()].ended_ns.load(Ordering::Acquire) == 0;
        let all = || graph.ids().filter(is_open).map(|id| durations.expected(graph, id)).sum();
        let left_ns = *self.left_ns.get_or_insert_with(all);
        let workers = u64::try_from(shared.workers).unwrap_or(u64::MAX).max(1);
        Some(Event::RunEstimated { left_ms: left_ns / workers / 1_000_000, of_run: durations.run })
    }
}
