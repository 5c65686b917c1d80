//! How the jobs of a plan did over many runs.
//!
//! Owns: quantiles, throughput, and what counts as a regression. Does not know: which runs are looked at.

use std::collections::BTreeMap;

use serde::Serialize;
use wasmill_model::{JobReport, JobStatus, RunId, RunRecord};

use crate::anatomy::{family_name, is_executed, total};

/// A run whose throughput is below this part of the mean of the runs before it is a regression.
pub const REGRESSION_BELOW: f64 = 0.8;

/// A family that lost less than this in the run is not worth a word: tiny jobs take twice as long for no reason at all.
const WORTH_NS: f64 = 10_000_000.0;

/// So many earlier runs have a mean that is worth comparing with.
const EARLIER_MIN: usize = 2;

/// How the families of a plan did over some runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trend {
    /// The runs that were looked at, the oldest first.
    pub runs: Vec<RunId>,
    /// Each family that had a job executed, by its name.
    pub families: Vec<FamilyTrend>,
    /// Families whose latest throughput is a regression.
    pub regressions: Vec<Regression>,
}

/// How the jobs of one family did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FamilyTrend {
    /// Its name.
    pub family: String,
    /// Jobs that were executed, over all runs.
    pub executed: usize,
    /// Jobs whose results were known, over all runs.
    pub cached: usize,
    /// What all attempts took together, over all runs, in nanoseconds of wall time.
    pub busy_ns: u64,
    /// What attempts took, over all runs.
    pub wall: Quantiles,
    /// Attempts that succeeded in a second of busy time, in each run that had any, the oldest first. What fails is often fast.
    pub throughput: Vec<(RunId, f64)>,
}

/// Wall times of attempts, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// Half of them took no longer.
    pub p50_ns: u64,
    /// 95 of 100 took no longer.
    pub p95_ns: u64,
    /// 99 of 100 took no longer.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

/// A family that has become slower.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Regression {
    /// Its name.
    pub family: String,
    /// In which run.
    pub run: RunId,
    /// Attempts in a second of busy time, in that run.
    pub now: f64,
    /// The mean of the runs before.
    pub before: f64,
}

impl Quantiles {
    /// Of some times, by the nearest rank.
    pub fn of(mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).copied().unwrap_or(0)
        };
        Self { p50_ns: at(50), p95_ns: at(95), p99_ns: at(99), max_ns: times.last().copied().unwrap_or(0) }
    }
}

#[derive(Default)]
struct Family {
    times: Vec<u64>,
    cached: usize,
    throughput: Vec<(RunId, f64)>,
    /// How long the latest run's attempts that succeeded took together, in nanoseconds.
    latest_ns: u64,
}

/// Says how families did over some runs of a plan, given with their jobs, the oldest first.
pub fn trend(runs: &[(RunRecord, Vec<JobReport>)]) -> Trend {
    let mut families: BTreeMap<&str, Family> = BTreeMap::new();
    for (record, jobs) in runs {
        let mut executed: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for report in jobs {
            let name = family_name(&report.job);
            if is_executed(report) {
                if report.status == JobStatus::Succeeded {
                    let (count, sum) = executed.entry(name).or_default();
                    *count += 1;
                    *sum = sum.saturating_add(report.usage.wall_ns.max(1));
                }
                families.entry(name).or_default().times.push(report.usage.wall_ns);
            } else if report.cached {
                families.entry(name).or_default().cached += 1;
            }
        }
        for (name, (count, sum)) in executed {
            let each_second = count as f64 / (sum as f64 / 1e9);
            let family = families.entry(name).or_default();
            family.throughput.push((record.id, each_second));
            family.latest_ns = sum;
        }
    }
    families.retain(|_, family| !family.times.is_empty());
    let regressions = families.iter().filter_map(|(name, family)| regression(name, family)).collect();
    let families = families.into_iter().map(|(name, Family { times, cached, throughput, .. })| FamilyTrend {
        family: name.to_owned(),
        executed: times.len(),
        cached,
        busy_ns: total(times.iter().copied()),
        wall: Quantiles::of(times),
        throughput,
    });
    Trend { runs: runs.iter().map(|(record, _)| record.id).collect(), families: families.collect(), regressions }
}

fn regression(name: &str, family: &Family) -> Option<Regression> {
    let ((run, now), earlier) = family.throughput.split_last()?;
    if earlier.len() < EARLIER_MIN {
        return None;
    }
    let before = earlier.iter().map(|(_, each_second)| each_second).sum::<f64>() / earlier.len() as f64;
    let lost_ns = family.latest_ns as f64 * (1.0 - now / before);
    let is_slower = *now < before * REGRESSION_BELOW && lost_ns >= WORTH_NS;
    is_slower.then(|| Regression { family: name.to_owned(), run: *run, now: *now, before })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::tests::{job, record};

    fn run(id: u64, took_ms: u64) -> (RunRecord, Vec<JobReport>) {
        let mut jobs: Vec<_> = (0..4).map(|at| job(at, &format!("a[{at}]"), &[], 0, took_ms)).collect();
        jobs.push(JobReport { cached: true, ..job(4, "b", &[], 0, 1) });
        (RunRecord { id: RunId(id), ..record(&jobs, 1) }, jobs)
    }

    #[test]
    fn quantiles_are_the_nearest_rank() {
        let all = Quantiles::of((1..=100).rev().collect());
        assert_eq!((all.p50_ns, all.p95_ns, all.p99_ns, all.max_ns), (50, 95, 99, 100));
        assert_eq!(Quantiles::of(vec![7]), Quantiles { p50_ns: 7, p95_ns: 7, p99_ns: 7, max_ns: 7 });
        assert_eq!(Quantiles::of(Vec::new()), Quantiles::default());
    }

    #[test]
    fn a_family_that_became_slower_is_a_regression() {
        let slower = trend(&[run(1, 100), run(2, 100), run(3, 130)]);
        assert_eq!(slower.regressions.len(), 1);
        assert_eq!((slower.regressions[0].run, slower.regressions[0].family.as_str()), (RunId(3), "a"));
        assert!((slower.regressions[0].before - 10.0).abs() < 1e-9);
        assert_eq!((slower.families.len(), slower.families[0].executed, slower.families[0].cached), (1, 12, 0));
        // Within bounds, and with too little to compare with.
        assert_eq!(trend(&[run(1, 100), run(2, 100), run(3, 120)]).regressions, []);
        assert_eq!(trend(&[run(1, 100), run(2, 200)]).regressions, []);
        assert_eq!(trend(&[]).families, []);
    }

    #[test]
    fn what_is_over_at_once_or_fails_is_no_measure() {
        assert_eq!(trend(&[run(1, 1), run(2, 1), run(3, 3)]).regressions, [], "8 ms were lost");
        assert_eq!(trend(&[run(1, 1), run(2, 1), run(3, 4)]).regressions.len(), 1, "12 ms were lost");
        let mut failed = run(1, 1);
        failed.1.iter_mut().for_each(|report| report.status = JobStatus::Failed);
        let found = trend(&[failed.clone(), failed, run(3, 100)]);
        assert_eq!(found.regressions, []);
        assert_eq!((found.families[0].executed, found.families[0].throughput.len()), (12, 1));
    }
}
