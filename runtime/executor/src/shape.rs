//! What can be said of a graph before it is executed: how deep and wide it is, and how long it would take.
//!
//! Owns: these figures. Does not know: where durations come from, or how anything is shown.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::graph::{Graph, JobId};
use crate::scheduler::{Amounts, Demand, Ending, Needs, Scheduler, Signal};

/// What a graph's selected jobs look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Jobs on the longest chain, by their number.
    pub depth: usize,
    /// The most jobs at one depth. Without limits, at least that many could run at the same time.
    pub width: usize,
    /// The chain that takes longest. No number of workers makes the run shorter than that.
    pub critical_path: Vec<JobId>,
    /// How long the critical path takes, in the unit of the durations.
    pub critical: u64,
    /// How long all jobs take one after the other.
    pub total: u64,
}

impl Graph {
    /// Measures the selected jobs, of which each takes as long as `expected` says, in any unit.
    pub fn shape(&self, expected: impl Fn(JobId) -> u64) -> Shape {
        let mut shape = Shape { depth: 0, width: 0, critical_path: Vec::new(), critical: 0, total: 0 };
        // When each job ends at the earliest, at which depth it is, and which job it waits for last.
        let mut ends: Vec<(u64, usize, Option<JobId>)> = vec![(0, 0, None); self.jobs.count()];
        let mut at_depth: Vec<usize> = Vec::new();
        let mut last: Option<(u64, Reverse<JobId>)> = None;
        for id in self.in_order() {
            let needs = self.needs(id);
            let needed = needs.iter().map(|needed| (ends[needed.index()], *needed));
            let depth = needed.clone().map(|((_, depth, _), _)| depth).max().unwrap_or(0);
            let latest = needed.map(|((end, ..), needed)| (end, Reverse(needed))).max();
            let takes = expected(id);
            let end = latest.map_or(0, |(end, _)| end).saturating_add(takes);
            ends[id.index()] = (end, depth + 1, latest.map(|(_, Reverse(needed))| needed));
            shape.total = shape.total.saturating_add(takes);
            if at_depth.len() <= depth {
                at_depth.push(0);
            }
            at_depth[depth] += 1;
            last = last.max(Some((end, Reverse(id))));
        }
        shape.depth = at_depth.len();
        shape.width = at_depth.into_iter().max().unwrap_or(0);
        shape.critical = last.map_or(0, |(end, _)| end);
        let mut next = last.map(|(_, Reverse(id))| id);
        while let Some(id) = next {
            shape.critical_path.push(id);
            next = ends[id.index()].2;
        }
        shape.critical_path.reverse();
        shape
    }

    /// How long the selected jobs take with so many workers and bytes of memory, started in the order in which a run would. What
    /// is between two jobs takes no time.
    pub fn makespan(&self, workers: usize, memory_bytes: u64, expected: impl Fn(JobId) -> u64) -> u64 {
        let expected = |id: JobId| if self.seen(id) == id { expected(id) } else { 0 };
        makespan(self, self.budget(workers, memory_bytes), |id| self.demand(id), expected)
    }

    /// The selected jobs, each after those that it needs.
    fn in_order(&self) -> Vec<JobId> {
        let is_selected = |id: &JobId| self.is_selected(*id);
        let mut open = vec![0; self.jobs.count()];
        let mut dependants = vec![Vec::new(); self.jobs.count()];
        for id in self.ids().filter(is_selected) {
            open[id.index()] = self.needs(id).len();
            for needed in self.needs(id) {
                dependants[needed.index()].push(id);
            }
        }
        let mut order: Vec<JobId> = self.ids().filter(|id| is_selected(id) && open[id.index()] == 0).collect();
        let mut next = 0;
        while let Some(id) = order.get(next).copied() {
            next += 1;
            for dependant in &dependants[id.index()] {
                open[dependant.index()] -= 1;
                if open[dependant.index()] == 0 {
                    order.push(*dependant);
                }
            }
        }
        order
    }
}

/// How long jobs take that are started in the order in which a run would, where each takes as long as `takes` says.
fn makespan(jobs: &impl Needs, budget: Amounts, demand: impl Fn(JobId) -> Demand, takes: impl Fn(JobId) -> u64) -> u64 {
    let mut scheduler = Scheduler::new(jobs, budget, true, demand);
    let (mut now, mut running) = (0, BinaryHeap::new());
    let mut commands = Vec::new();
    loop {
        while let Some(job) = scheduler.take() {
            running.push(Reverse((takes(job).saturating_add(now), job)));
        }
        let Some(Reverse((end, job))) = running.pop() else { return now };
        now = end;
        scheduler.on(Signal::Ended(job, Ending::Succeeded), &mut commands);
    }
}

/// A job of a run that is over, as far as it decides how long another run would take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Places of the jobs that it needs, ascending, each once; none of them needs it.
    pub needs: Vec<JobId>,
    /// How many processors it takes.
    pub cpus: u64,
    /// How long it takes, in any unit.
    pub takes: u64,
}

/// How long these jobs take with so many workers, started in the order in which a run would start them if it knew how long
/// each takes.
pub fn replay(jobs: &[Replayed], workers: usize) -> u64 {
    let budget = vec![u64::try_from(workers).unwrap_or(u64::MAX)];
    let job = |id: JobId| jobs.get(id.index());
    let demand = |id: JobId| Demand {
        needs: vec![job(id).map_or(1, |job| job.cpus.max(1))],
        priority: 0,
        expected: job(id).map_or(1, |job| job.takes.max(1)),
    };
    makespan(&Replay(jobs), budget, demand, |id| job(id).map_or(0, |job| job.takes))
}

struct Replay<'a>(&'a [Replayed]);

impl Needs for Replay<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn waits_for(&self, job: JobId) -> &[JobId] {
        self.0.get(job.index()).map_or(&[], |job| &job.needs)
    }

    fn is_selected(&self, _: JobId) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::scheduler::tests::graph;

    use super::*;

    fn ids(ids: &[u32]) -> Vec<JobId> {
        ids.iter().copied().map(JobId).collect()
    }

    #[test]
    fn a_graph_is_measured() {
        // 0 -> 1 -> 4, 2 -> 4, 3 alone.
        let graph = graph(&[vec![], vec![0], vec![], vec![], vec![1, 2]]);
        let one = graph.shape(|_| 1);
        assert_eq!((one.depth, one.width, one.critical, one.total), (3, 3, 3, 5));
        assert_eq!(one.critical_path, ids(&[0, 1, 4]));
        let long = graph.shape(|id| if id == JobId(2) { 10 } else { 2 });
        assert_eq!((long.critical, long.total), (12, 18));
        assert_eq!(long.critical_path, ids(&[2, 4]));
    }

    #[test]
    fn a_graph_without_jobs_has_no_shape() {
        let shape = graph(&[]).shape(|_| 1);
        assert_eq!(shape, Shape { depth: 0, width: 0, critical_path: Vec::new(), critical: 0, total: 0 });
        assert_eq!(graph(&[]).makespan(4, u64::MAX, |_| 1), 0);
    }

    #[test]
    fn more_workers_make_it_shorter_down_to_the_critical_path() {
        let chain_and_others: Vec<Vec<u32>> =
            (0..20).map(|job| if (1..5).contains(&job) { vec![job - 1] } else { vec![] }).collect();
        let graph = graph(&chain_and_others);
        assert_eq!(graph.makespan(1, u64::MAX, |_| 3), 60);
        assert_eq!(graph.makespan(2, u64::MAX, |_| 3), 30);
        assert_eq!(graph.makespan(4, u64::MAX, |_| 3), 15);
        assert_eq!(graph.makespan(100, u64::MAX, |_| 3), 15);
        assert_eq!(graph.shape(|_| 3).critical, 15);
    }

    #[test]
    fn a_run_is_replayed_with_other_numbers_of_workers() {
        let job = |needs: &[u32], takes| Replayed { needs: ids(needs), cpus: 1, takes };
        // Eight, and one behind them all.
        let mut jobs = vec![job(&[], 10); 8];
        jobs.push(job(&[0, 1, 2, 3, 4, 5, 6, 7], 5));
        assert_eq!([1, 2, 4, 8, 16].map(|workers| replay(&jobs, workers)), [85, 45, 25, 15, 15]);
        jobs[0].cpus = 2;
        assert_eq!(replay(&jobs, 2), 55);
    }
}
