//! A run in figures.
//!
//! Owns: what is summed up, and over what. Does not know: how figures are shown.

use serde::Serialize;
use wasmill_model::{JobStatus, RunSummary};

use crate::anatomy::{Anatomy, is_executed, total};
use crate::path::CriticalPath;

/// How many of the slowest and of the fastest jobs are named.
const NAMED: usize = 3;

/// A run in figures. Times are in nanoseconds; *busy* times are wall time, added up over the workers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// What the run itself noted.
    pub run: RunSummary,
    /// Jobs that were executed.
    pub executed: usize,
    /// The part of the jobs with a result whose result was known.
    pub hit_rate: f64,
    /// The CPU time of jobs for each second of wall time.
    pub parallel_factor: f64,
    /// How long the run would have taken at best, with the workers that it had and jobs that take as long as they did.
    pub possible_ns: u64,
    /// How long it was from when jobs could begin until the last one had ended.
    pub span_ns: u64,
    /// How long the longest chain of jobs took.
    pub critical_ns: u64,
    /// The part of the workers' time in that span in which they had jobs in hand.
    pub utilisation: f64,
    /// Busy time of the jobs that were executed: in hand of a worker.
    pub in_hand_ns: u64,
    /// What of that was spent on reading inputs and looking up.
    pub resolve_ns: u64,
    /// What of that was spent on compiling, or on waiting for who did.
    pub prepare_ns: u64,
    /// What of that was spent on the attempts themselves.
    pub execute_ns: u64,
    /// What of that was spent on handing results to the store.
    pub store_ns: u64,
    /// The jobs that took longest, the longest first.
    pub slowest: Vec<Share>,
    /// The jobs that took shortest, the shortest first.
    pub fastest: Vec<Share>,
    /// Jobs that had a target.
    pub targets: Vec<Target>,
}

/// A job's part of the whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// The job, by its place in the run.
    pub job: usize,
    /// The wall time of its attempt.
    pub wall_ns: u64,
    /// The part of all attempts' wall time.
    pub share: f64,
}

/// How a job did against its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// The job, by its place in the run.
    pub job: usize,
    /// How long it should have taken at most.
    pub target_ns: u64,
    /// How long it took.
    pub took_ns: u64,
    /// Whether the run fails where it takes longer.
    pub is_critical: bool,
    /// Whether it did not take longer.
    pub is_met: bool,
}

impl Summary {
    /// Sums a run up.
    pub fn of(anatomy: &Anatomy<'_>, path: &CriticalPath) -> Self {
        let run = anatomy.summary();
        let executed: Vec<usize> = (0..anatomy.jobs.len()).filter(|job| anatomy.is_executed(*job)).collect();
        let sum = |of: fn(&wasmill_model::JobReport) -> u64| -> u64 {
            total(executed.iter().map(|job| of(&anatomy.jobs[*job])))
        };
        let in_hand_ns = sum(|report| report.ended_ns.saturating_sub(report.started_ns));
        let known = run.counts.cached + executed.len();
        let (slowest, fastest) = extremes(anatomy, executed.clone(), run.busy_ns);
        Self {
            executed: executed.len(),
            hit_rate: ratio(run.counts.cached as u64, known as u64),
            parallel_factor: run.parallel_factor(),
            possible_ns: path.possible_ns(),
            critical_ns: path.length_ns,
            span_ns: anatomy.span_ns(),
            utilisation: ratio(in_hand_ns, anatomy.span_ns().saturating_mul(anatomy.workers() as u64)).min(1.0),
            in_hand_ns,
            resolve_ns: sum(|report| report.trace.phases.resolve_ns),
            prepare_ns: sum(|report| report.trace.phases.prepare_ns),
            execute_ns: sum(|report| report.usage.wall_ns),
            store_ns: sum(|report| report.trace.phases.store_ns),
            slowest,
            fastest,
            targets: targets(anatomy),
            run,
        }
    }

    /// How near the run came to what was possible with its workers.
    pub fn efficiency(&self) -> f64 {
        ratio(self.possible_ns, self.span_ns).min(1.0)
    }
}

pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn extremes(anatomy: &Anatomy<'_>, mut executed: Vec<usize>, busy_ns: u64) -> (Vec<Share>, Vec<Share>) {
    let wall = |job: &usize| anatomy.jobs[*job].usage.wall_ns;
    let share = |job: &usize| Share { job: *job, wall_ns: wall(job), share: ratio(wall(job), busy_ns) };
    let rank = |job: &usize| (wall(job), *job);
    // No job is both.
    let others = executed.len().saturating_sub(NAMED);
    let few = lowest(&mut executed, others, rank);
    let mut slowest = executed.split_off(few);
    slowest.sort_unstable_by_key(|job| std::cmp::Reverse(rank(job)));
    let few = lowest(&mut executed, NAMED, rank);
    let fastest = &mut executed[..few];
    fastest.sort_unstable_by_key(rank);
    let (slowest, fastest) = (slowest.iter().map(share).collect(), fastest.iter().map(share).collect());
    (slowest, fastest)
}

/// Puts so many of the jobs with the lowest ranks first, in any order, without sorting all of them. How many there are.
fn lowest<R: Ord>(jobs: &mut [usize], many: usize, rank: impl Fn(&usize) -> R) -> usize {
    if (1..jobs.len()).contains(&many) {
        jobs.select_nth_unstable_by_key(many, rank);
    }
    many.min(jobs.len())
}

fn targets(anatomy: &Anatomy<'_>) -> Vec<Target> {
    let of = |(job, report): (usize, &wasmill_model::JobReport)| {
        let target = report.trace.target.filter(|_| is_executed(report))?;
        let (target_ns, took_ns) = (target.wall_ms.saturating_mul(1_000_000), anatomy.took_ns(job));
        let is_met = took_ns <= target_ns && matches!(report.status, JobStatus::Succeeded);
        Some(Target { job, target_ns, took_ns, is_critical: target.is_critical, is_met })
    };
    anatomy.jobs.iter().enumerate().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::tests::{job, record};

    #[test]
    fn a_run_is_summed_up_and_cpu_time_is_no_wall_time() {
        let mut jobs: Vec<_> =
            (0..4).map(|number| job(number, &format!("j{number}"), &[], 0, 10 + u64::from(number))).collect();
        jobs[3].cached = true;
        // It slept.
        jobs[2].usage.cpu_ns = 0;
        jobs[2].trace.phases.resolve_ns = 2_000_000;
        let record = record(&jobs, 2);
        let anatomy = Anatomy::of(&record, &jobs);
        let summary = Summary::of(&anatomy, &CriticalPath::of(&anatomy));
        let ms = |ns: u64| ns / 1_000_000;
        assert_eq!((summary.executed, summary.hit_rate), (3, 0.25));
        assert_eq!((ms(summary.run.wall_ns), ms(summary.run.busy_ns), ms(summary.run.cpu_ns)), (13, 33, 21));
        assert_eq!((ms(summary.run.saved_ns), ms(summary.resolve_ns), ms(summary.in_hand_ns)), (13, 2, 33));
        assert_eq!(summary.slowest.iter().map(|share| share.job).collect::<Vec<_>>(), [2, 1, 0]);
        assert_eq!(summary.fastest, []);
        assert!((summary.slowest[0].share - 12.0 / 33.0).abs() < 1e-9);
        assert!((summary.parallel_factor - 21.0 / 13.0).abs() < 1e-9);
        assert!(summary.utilisation <= 1.0);
    }
}
