//! What is noted of a run and its jobs so that they can be explained later.
//!
//! Owns: what each job waited for and came of, and how a run is carried out. Does not know: what is made of it.

use std::ops::Range;

use wasmill_model::plan::Target;
use wasmill_model::port::Traits;
use wasmill_model::{JobTarget, JobTrace, RunSetup};

use crate::graph::{Graph, JobId, Role};
use crate::options::ExecuteOptions;
use crate::worker::{Ended, Seen};

/// How a run is carried out of which these jobs were asked for.
pub(crate) fn setup(asked_for: &[String], options: &ExecuteOptions, traits: Traits) -> RunSetup {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    RunSetup {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        os: std::env::consts::OS.to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        cores: number(std::thread::available_parallelism().map_or(1, usize::from)),
        workers: number(options.workers.max(1)),
        memory_bytes: Some(options.memory_bytes).filter(|bytes| *bytes < u64::MAX),
        engine: traits.engine,
        profile: options.profile.clone(),
        fresh: options.fresh,
        retry_failed: options.retry_failed,
        keep_going: options.keep_going,
        selected: asked_for.to_vec(),
        measuring: options.measuring,
        imported: None,
    }
}

/// Which jobs came to be during the run, and of what.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    /// In ascending order.
    grown: Vec<(Range<u32>, JobId)>,
}

impl Traces {
    /// These have come to be, opened by a job.
    pub(crate) fn add(&mut self, added: Range<u32>, opener: JobId) {
        // Threads add under a lock, and what they say of it may still come in another order.
        let place = self.grown.partition_point(|(other, _)| other.start < added.start);
        self.grown.insert(place, (added, opener));
    }

    /// What is noted of a job that has ended.
    pub(crate) fn of(&self, graph: &Graph, job: JobId, ended: &Ended) -> JobTrace {
        let Seen { worker, attempts, phases, traffic } = ended.seen;
        JobTrace { worker, attempts, phases, traffic, ..self.unstarted(graph, job) }
    }

    /// What is noted of a job that never began.
    pub(crate) fn unstarted(&self, graph: &Graph, job: JobId) -> JobTrace {
        let spec = graph.spec(job);
        JobTrace {
            number: job.0,
            came_of: std::iter::successors(self.opener(job), |opener| self.opener(*opener)).map(|one| one.0).collect(),
            needs: ranges(self.needs(graph, job)),
            cpus: u32::try_from(spec.place.cpus).unwrap_or(u32::MAX),
            target: spec.target.map(|Target { wall_ms, is_critical }| JobTarget { wall_ms, is_critical }),
            ..JobTrace::default()
        }
    }

    fn opener(&self, job: JobId) -> Option<JobId> {
        let place = self.grown.partition_point(|(added, _)| added.start <= job.0);
        let (added, opener) = self.grown.get(place.checked_sub(1)?)?;
        added.contains(&job.0).then_some(*opener)
    }

    /// The jobs that a job waited for, as people see them. Whoever opens items is seen by nobody once they are there, so
    /// they waited for what it did.
    fn needs(&self, graph: &Graph, job: JobId) -> Vec<JobId> {
        let mut needs: Vec<JobId> = graph.job(job).needs.iter().map(|needed| graph.seen(*needed)).collect();
        let mut opener = self.opener(job);
        while let Some(one) = opener {
            match graph.job(one).role {
                Role::Expand { .. } => {
                    needs.extend(graph.job(one).needs.iter().map(|needed| graph.seen(*needed)));
                    opener = self.opener(one);
                }
                _ => {
                    needs.push(one);
                    opener = None;
                }
            }
        }
        needs.sort_unstable();
        needs.dedup();
        needs
    }
}

/// Ascending jobs as ranges: the first of each, and how many it has.
fn ranges(jobs: Vec<JobId>) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for JobId(job) in jobs {
        match ranges.last_mut() {
            Some((first, count)) if *first + *count == job => *count += 1,
            _ => ranges.push((job, 1)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_in_a_row_are_a_range() {
        let ids = |ids: &[u32]| ids.iter().copied().map(JobId).collect::<Vec<_>>();
        assert_eq!(ranges(ids(&[])), []);
        assert_eq!(ranges(ids(&[0, 1, 2, 7, 9, 10])), [(0, 3), (7, 1), (9, 2)]);
    }

    #[test]
    fn it_is_known_what_a_job_came_of() {
        let mut traces = Traces::default();
        traces.add(10..12, JobId(3));
        traces.add(5..10, JobId(1));
        let openers = [4, 5, 9, 10, 11, 12].map(|job| traces.opener(JobId(job)));
        assert_eq!(openers, [None, Some(JobId(1)), Some(JobId(1)), Some(JobId(3)), Some(JobId(3)), None]);
    }
}
