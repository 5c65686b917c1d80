//! Which chain of jobs decided how long a run took, and how long it would take otherwise.
//!
//! Owns: the critical path with the slack of everything else (the critical path method, Kelley and Walker 1959), and
//! replays with other numbers of workers. Does not know: in which order a run starts jobs (the executor's scheduler does).

use serde::Serialize;
use wasmill_executor::{JobId, Replayed, replay};

use crate::anatomy::{Anatomy, total};

/// For how many workers it is said how long a run would take.
pub const WORKERS: [usize; 5] = [1, 2, 4, 8, 16];

/// For so many of the longest jobs of the path it is said what a shorter one would have saved.
const WHAT_IFS: usize = 10;

/// The chain of jobs that no number of workers makes shorter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CriticalPath {
    /// Its jobs, the first one first.
    pub steps: Vec<Step>,
    /// How long they took together, in nanoseconds.
    pub length_ns: u64,
    /// How long all jobs were in hand, added up over the workers, in nanoseconds.
    pub work_ns: u64,
    /// How much later each job could have ended without a longer chain, in nanoseconds, with as many workers as wanted.
    pub slack_ns: Vec<u64>,
    /// How long the run would take with other numbers of workers, and with its own.
    pub workers: Vec<Workers>,
}

/// A job of the critical path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The job, by its place in the run.
    pub job: usize,
    /// For how long it was in hand, in nanoseconds.
    pub took_ns: u64,
    /// How much shorter the run would have been, with its own number of workers, if this had taken half as long; said of the
    /// longest only.
    pub halved_saves_ns: Option<u64>,
}

/// How long a run takes with so many workers, where nothing is between two jobs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Workers {
    /// How many.
    pub workers: usize,
    /// How long it takes, in nanoseconds.
    pub time_ns: u64,
    /// How many times as fast as with one.
    pub speed_up: f64,
    /// The speed-up for each worker.
    pub efficiency: f64,
    /// Whether that is as many as the run had.
    pub is_actual: bool,
}

impl CriticalPath {
    /// Finds the path of a run, and how long it would have taken with its own workers. For 10,000 jobs that takes milliseconds.
    pub fn of(anatomy: &Anatomy<'_>) -> Self {
        Self::with(anatomy, &[])
    }

    /// The same, with other numbers of workers and what shorter jobs would have saved: twenty times as much work.
    pub fn in_full(anatomy: &Anatomy<'_>) -> Self {
        let mut path = Self::with(anatomy, &WORKERS);
        what_if(&mut path.steps, replayed(anatomy), anatomy.workers());
        path
    }

    /// The same, with these numbers of workers beside its own.
    pub fn with(anatomy: &Anatomy<'_>, counts: &[usize]) -> Self {
        Self::of_jobs(anatomy, counts, &replayed(anatomy))
    }

    /// The same of a run that finds its modules compiled, as the next one will.
    pub fn warm(anatomy: &Anatomy<'_>, counts: &[usize]) -> Self {
        let mut jobs = replayed(anatomy);
        for (job, report) in jobs.iter_mut().zip(anatomy.jobs) {
            job.takes = job.takes.saturating_sub(report.trace.phases.prepare_ns);
        }
        Self::of_jobs(anatomy, counts, &jobs)
    }

    fn of_jobs(anatomy: &Anatomy<'_>, counts: &[usize], jobs: &[Replayed]) -> Self {
        let order = in_order(jobs);
        let (ends, before) = forwards(jobs, &order);
        let length_ns = ends.iter().copied().max().unwrap_or(0);
        let slack_ns = slack(jobs, &order, &ends, length_ns);
        let mut steps = Vec::new();
        // Of several that end last the first.
        let mut next = (0..jobs.len()).rev().max_by_key(|job| ends[*job]);
        while let Some(job) = next {
            steps.push(Step { job, took_ns: jobs[job].takes, halved_saves_ns: None });
            next = before[job];
        }
        steps.reverse();
        let actual = anatomy.workers();
        let workers = worker_counts(jobs, counts, actual);
        let work_ns = total(jobs.iter().map(|job| job.takes));
        Self { steps, length_ns, work_ns, slack_ns, workers }
    }

    /// How long the run would have taken at best with the workers that it had, in nanoseconds.
    pub fn possible_ns(&self) -> u64 {
        self.workers.iter().find(|workers| workers.is_actual).map_or(0, |workers| workers.time_ns)
    }
}

fn replayed(anatomy: &Anatomy<'_>) -> Vec<Replayed> {
    let job = |(place, report): (usize, &wasmill_model::JobReport)| Replayed {
        needs: anatomy.needs[place].iter().copied().map(JobId::at).collect(),
        cpus: u64::from(report.trace.cpus.max(1)),
        takes: anatomy.took_ns(place),
    };
    anatomy.jobs.iter().enumerate().map(job).collect()
}

/// The jobs, each after those that it needs. What is in a circle, which a damaged record may say, is left out.
fn in_order(jobs: &[Replayed]) -> Vec<usize> {
    let mut open: Vec<usize> = jobs.iter().map(|job| job.needs.len()).collect();
    let mut dependants = vec![Vec::new(); jobs.len()];
    for (job, replayed) in jobs.iter().enumerate() {
        for needed in &replayed.needs {
            dependants[needed.number()].push(job);
        }
    }
    let mut order: Vec<usize> = (0..jobs.len()).filter(|job| open[*job] == 0).collect();
    let mut next = 0;
    while let Some(job) = order.get(next).copied() {
        next += 1;
        for dependant in &dependants[job] {
            open[*dependant] -= 1;
            if open[*dependant] == 0 {
                order.push(*dependant);
            }
        }
    }
    order
}

/// When each job ends at the earliest, and which one it waits for last.
fn forwards(jobs: &[Replayed], order: &[usize]) -> (Vec<u64>, Vec<Option<usize>>) {
    let (mut ends, mut before) = (vec![0; jobs.len()], vec![None; jobs.len()]);
    for &job in order {
        let last = jobs[job].needs.iter().map(|needed| needed.number()).rev().max_by_key(|needed| ends[*needed]);
        let begins: u64 = last.map_or(0, |last| ends[last]);
        ends[job] = begins.saturating_add(jobs[job].takes);
        before[job] = last;
    }
    (ends, before)
}

fn slack(jobs: &[Replayed], order: &[usize], ends: &[u64], length_ns: u64) -> Vec<u64> {
    let mut latest = vec![length_ns; jobs.len()];
    for &job in order.iter().rev() {
        let begins = latest[job].saturating_sub(jobs[job].takes);
        for needed in &jobs[job].needs {
            let place = needed.number();
            latest[place] = latest[place].min(begins);
        }
    }
    latest.iter().zip(ends).map(|(latest, end)| latest.saturating_sub(*end)).collect()
}

fn worker_counts(jobs: &[Replayed], counts: &[usize], actual: usize) -> Vec<Workers> {
    let mut counts = counts.to_vec();
    counts.push(actual);
    counts.sort_unstable();
    counts.dedup();
    // One worker has something to do all the time.
    let alone = total(jobs.iter().map(|job| job.takes));
    let of = |workers: usize| {
        let time_ns = replay(jobs, workers);
        let speed_up = if time_ns == 0 { 1.0 } else { alone as f64 / time_ns as f64 };
        Workers { workers, time_ns, speed_up, efficiency: speed_up / workers as f64, is_actual: workers == actual }
    };
    counts.into_iter().map(of).collect()
}

fn what_if(steps: &mut [Step], mut jobs: Vec<Replayed>, workers: usize) {
    let now = replay(&jobs, workers);
    let mut longest: Vec<usize> = (0..steps.len()).collect();
    longest.sort_by_key(|step| std::cmp::Reverse(steps[*step].took_ns));
    for step in longest.into_iter().take(WHAT_IFS) {
        let job = steps[step].job;
        let takes = std::mem::replace(&mut jobs[job].takes, steps[step].took_ns / 2);
        steps[step].halved_saves_ns = Some(now.saturating_sub(replay(&jobs, workers)));
        jobs[job].takes = takes;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::anatomy::tests::{job, record};

    #[test]
    fn the_longest_chain_is_found_with_the_slack_of_the_others() {
        let jobs = [
            job(0, "list", &[], 0, 10),
            job(1, "scan[a]", &[0], 10, 40),
            job(2, "scan[b]", &[0], 10, 20),
            job(3, "total", &[1, 2], 40, 45),
        ];
        let record = record(&jobs, 2);
        let path = CriticalPath::in_full(&Anatomy::of(&record, &jobs));
        let ms = |ns: &u64| ns / 1_000_000;
        assert_eq!(path.steps.iter().map(|step| step.job).collect::<Vec<_>>(), [0, 1, 3]);
        assert_eq!((ms(&path.length_ns), ms(&path.work_ns)), (45, 55));
        assert_eq!(path.slack_ns.iter().map(ms).collect::<Vec<_>>(), [0, 0, 20, 0]);
        let saves: Vec<u64> = path.steps.iter().filter_map(|step| step.halved_saves_ns.as_ref().map(ms)).collect();
        assert_eq!(saves, [5, 15, 2]);
        let times: Vec<(usize, u64)> = path.workers.iter().map(|one| (one.workers, ms(&one.time_ns))).collect();
        assert_eq!(times, [(1, 55), (2, 45), (4, 45), (8, 45), (16, 45)]);
        assert_eq!(ms(&path.possible_ns()), 45);
    }

    #[test]
    fn a_run_without_jobs_has_no_path() {
        let record = record(&[], 2);
        let path = CriticalPath::of(&Anatomy::of(&record, &[]));
        assert_eq!((path.steps.len(), path.length_ns, path.possible_ns()), (0, 0, 0));
    }

    proptest! {
        /// No number of workers is faster than the path, and one worker takes as long as all jobs together.
        #[test]
        fn the_path_is_a_bound(needs in prop::collection::vec((prop::collection::vec(0..30_u32, 0..4), 0..50_u64), 1..30)) {
            let jobs: Vec<_> = (0_u32..).zip(&needs).map(|(number, (needs, took))| {
                let earlier: Vec<u32> = needs.iter().copied().filter(|needed| *needed < number).collect();
                job(number, &format!("j{number}"), &earlier, 0, *took)
            }).collect();
            let record = record(&jobs, 3);
            let path = CriticalPath::in_full(&Anatomy::of(&record, &jobs));
            prop_assert_eq!(path.steps.iter().map(|step| step.took_ns).sum::<u64>(), path.length_ns);
            for one in &path.workers {
                prop_assert!(one.time_ns >= path.length_ns && one.time_ns <= path.work_ns);
                prop_assert!(one.time_ns * one.workers as u64 >= path.work_ns);
            }
            for step in &path.steps {
                prop_assert_eq!(path.slack_ns[step.job], 0);
            }
        }
    }
}
