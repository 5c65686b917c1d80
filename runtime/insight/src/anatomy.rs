//! A run taken apart: which of its jobs are of one family, and which waited for which.
//!
//! Owns: turning what was noted of each job into a graph. Does not know: what is concluded from it.

use std::collections::HashMap;

/// The most workers that there can be.
const WORKERS_MAX: u32 = 4_096;

use wasmill_model::{JobReport, RunRecord, RunState, RunSummary};

/// A run's record with the graph of its jobs. Jobs are named by their places in `jobs`.
#[derive(Debug, Clone)]
pub struct Anatomy<'a> {
    /// The run.
    pub record: &'a RunRecord,
    /// Its jobs, in the order in which they ended.
    pub jobs: &'a [JobReport],
    /// The names of the families, in the order in which their first jobs are in the plan.
    pub families: Vec<String>,
    /// The family of each job, as a place in `families`.
    pub family_of: Vec<usize>,
    /// The jobs that each job waited for, ascending, each once.
    pub needs: Vec<Vec<u32>>,
}

impl<'a> Anatomy<'a> {
    /// Takes a run apart.
    pub fn of(record: &'a RunRecord, jobs: &'a [JobReport]) -> Self {
        let (families, family_of) = families(jobs);
        Self { record, jobs, families, family_of, needs: needs(jobs) }
    }

    /// The run in numbers; of one that has not ended, as far as its jobs say.
    pub fn summary(&self) -> RunSummary {
        if let RunState::Ended(summary) = &self.record.state {
            return summary.clone();
        }
        let mut summary = RunSummary::default();
        for report in self.jobs {
            summary.counts.jobs += 1;
            summary.counts.add(report.status, report.cached);
            summary.wall_ns = summary.wall_ns.max(report.ended_ns);
            if report.cached {
                summary.saved_ns = summary.saved_ns.saturating_add(report.usage.wall_ns);
            } else {
                summary.cpu_ns = summary.cpu_ns.saturating_add(report.usage.cpu_ns);
                summary.busy_ns = summary.busy_ns.saturating_add(report.usage.wall_ns);
                let (sum, one) = (&mut summary.traffic, report.trace.traffic);
                sum.read_bytes = sum.read_bytes.saturating_add(one.read_bytes);
                sum.written_bytes = sum.written_bytes.saturating_add(one.written_bytes);
            }
        }
        summary
    }

    /// How many workers there were; at most 4,096, whatever the record says.
    pub fn workers(&self) -> usize {
        let noted = self.record.setup.as_ref().map(|setup| setup.workers);
        let seen =
            || self.jobs.iter().filter_map(|report| report.trace.worker).max().map_or(1, |last| last.saturating_add(1));
        noted.unwrap_or_else(seen).clamp(1, WORKERS_MAX) as usize
    }

    /// From when jobs could begin until the last one had ended, in nanoseconds: without loading the plan, building modules, and
    /// saving.
    pub fn span_ns(&self) -> u64 {
        let begun = self.jobs.iter().filter(|report| report.trace.worker.is_some());
        let from = begun.clone().map(|report| report.ready_ns).min().unwrap_or(0);
        begun.map(|report| report.ended_ns).max().unwrap_or(0).saturating_sub(from)
    }

    /// For how long a job was in hand, in nanoseconds.
    pub fn took_ns(&self, job: usize) -> u64 {
        self.jobs.get(job).map_or(0, |report| report.ended_ns.saturating_sub(report.started_ns))
    }

    /// Whether a job was executed in this run.
    pub fn is_executed(&self, job: usize) -> bool {
        self.jobs.get(job).is_some_and(is_executed)
    }

    /// The families that each family takes from, ascending, without itself.
    pub fn family_needs(&self) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new(); self.families.len()];
        for (job, needs) in self.needs.iter().enumerate() {
            let family = self.family_of[job];
            let of: &mut Vec<usize> = &mut all[family];
            // A job that waits for thousands waits for a handful of families.
            let others = needs.iter().map(|needed| self.family_of[*needed as usize]).filter(|other| *other != family);
            of.extend(others);
            of.sort_unstable();
            of.dedup();
        }
        all
    }
}

/// Whether a job was executed, and its result not found. What only opens, closes or judges executes nothing.
pub fn is_executed(report: &JobReport) -> bool {
    !report.cached && report.result.is_some() && report.key.is_some()
}

/// The name of a job without its items: `build/scan` of `build/scan[serde]`.
pub fn family_name(job: &str) -> &str {
    let of_plan = job.rfind('/').map_or(0, |slash| slash + 1);
    match job[of_plan..].find('[') {
        Some(bracket) => &job[..of_plan + bracket],
        // A label has no slash, so a bracket before one belongs to a plan around it.
        None => job,
    }
}

fn families(jobs: &[JobReport]) -> (Vec<String>, Vec<usize>) {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|job| jobs[*job].trace.number);
    let (mut names, mut places) = (Vec::new(), HashMap::new());
    let mut family_of = vec![0; jobs.len()];
    for job in order {
        let name = family_name(&jobs[job].job);
        family_of[job] = *places.entry(name).or_insert_with(|| {
            names.push(name.to_owned());
            names.len() - 1
        });
    }
    (names, family_of)
}

fn needs(jobs: &[JobReport]) -> Vec<Vec<u32>> {
    let place = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
    // By number, and each place with that. What a range says is looked for, not gone through: a record from elsewhere may
    // name any numbers.
    let mut by_number: Vec<(u32, u32)> =
        jobs.iter().enumerate().map(|(job, report)| (report.trace.number, place(job))).collect();
    let mut opened: Vec<(u32, u32)> = jobs
        .iter()
        .enumerate()
        .flat_map(|(job, report)| report.trace.came_of.iter().map(move |opener| (*opener, place(job))))
        .collect();
    by_number.sort_unstable();
    opened.sort_unstable();
    let of = |report: &JobReport| {
        let mut needs = Vec::new();
        for (first, count) in &report.trace.needs {
            if needs.len() > jobs.len().saturating_mul(2) {
                break;
            }
            let range = *first..first.saturating_add(*count);
            needs.extend(within(&by_number, &range).iter().map(|(_, place)| *place));
            // Who came of the same job waits for that one itself, not for what it opened.
            let others = within(&opened, &range).iter().filter(|(opener, _)| !report.trace.came_of.contains(opener));
            needs.extend(others.map(|(_, place)| *place));
        }
        needs.sort_unstable();
        needs.dedup();
        needs
    };
    jobs.iter().map(of).collect()
}

/// Those of sorted pairs whose first number is in a range.
fn within<'a>(sorted: &'a [(u32, u32)], range: &std::ops::Range<u32>) -> &'a [(u32, u32)] {
    let from = sorted.partition_point(|(number, _)| *number < range.start);
    let to = sorted.partition_point(|(number, _)| *number < range.end);
    sorted.get(from..to).unwrap_or_default()
}

/// The sum; of what a record from elsewhere may say, at most the largest number.
pub(crate) fn total(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use wasmill_model::{ActionResult, BlobRef, JobStatus, JobTrace, Outcome, RunId, Usage};

    use super::*;

    /// A job that was executed from one moment to another, in milliseconds, behind some others.
    pub(crate) fn job(number: u32, name: &str, needs: &[u32], from_ms: u64, to_ms: u64) -> JobReport {
        let ns = |ms: u64| ms * 1_000_000;
        let empty = BlobRef::EMPTY;
        JobReport {
            key: Some(wasmill_model::ActionKey(wasmill_model::Digest::of(name.as_bytes()))),
            result: Some(ActionResult { outcome: Outcome::SUCCESS, output: empty, stdout: empty, stderr: empty }),
            usage: Usage { wall_ns: ns(to_ms - from_ms), cpu_ns: ns(to_ms - from_ms), ..Usage::default() },
            ready_ns: ns(from_ms),
            started_ns: ns(from_ms),
            ended_ns: ns(to_ms),
            trace: JobTrace {
                number,
                needs: needs.iter().map(|needed| (*needed, 1)).collect(),
                worker: Some(0),
                cpus: 1,
                attempts: 1,
                ..JobTrace::default()
            },
            ..JobReport::unstarted(name.to_owned(), JobStatus::Succeeded, 0)
        }
    }

    /// The record of a run of some jobs.
    pub(crate) fn record(jobs: &[JobReport], workers: u32) -> RunRecord {
        let mut record = RunRecord {
            id: RunId(1),
            plan: "plan".to_owned(),
            started_unix_ms: 0,
            snapshot: None,
            footprint: None,
            repeats: None,
            own_jobs: 0,
            setup: Some(wasmill_model::RunSetup { workers, ..wasmill_model::RunSetup::default() }),
            state: RunState::Started,
        };
        record.state = RunState::Ended(Anatomy::of(&record, jobs).summary());
        record
    }

    prop_compose! {
        /// What no run writes, and somebody may hand on.
        fn any_job()(
            numbers in prop::array::uniform8(prop_oneof![0..4_u32, any::<u32>()]),
            times in prop::array::uniform12(prop_oneof![0..9_u64, any::<u64>()]),
            is_executed in any::<bool>(),
            has_worker in any::<bool>(),
        ) -> JobReport {
            let mut report = job(numbers[0], "a[x]", &[], 0, 0);
            report.cached = !is_executed;
            [report.ready_ns, report.started_ns, report.ended_ns, report.usage.wall_ns] =
                [times[0], times[1], times[2], times[3]];
            [report.usage.cpu_ns, report.usage.memory_peak_bytes] = [times[4], times[5]];
            let trace = &mut report.trace;
            trace.came_of = vec![numbers[1], numbers[2]];
            trace.needs = vec![(numbers[3], numbers[4]), (numbers[5], numbers[6])];
            trace.worker = has_worker.then_some(numbers[7]);
            [trace.cpus, trace.attempts] = [numbers[4], numbers[5]];
            [trace.phases.resolve_ns, trace.phases.prepare_ns, trace.phases.store_ns] = [times[6], times[7], times[8]];
            trace.phases.durable_ns = times[9];
            trace.traffic = wasmill_model::Traffic { read_bytes: times[10], written_bytes: times[11] };
            report
        }
    }

    proptest! {
        /// Records come from other machines too. Whatever one says, it is read to its end, and soon.
        #[test]
        fn no_record_is_too_much(
            jobs in prop::collection::vec(any_job(), 0..12),
            workers in prop::option::of(any::<u32>()),
            has_ended in any::<bool>(),
        ) {
            let mut record = record(&jobs, workers.unwrap_or(1));
            if workers.is_none() {
                record.setup = None;
            }
            if !has_ended {
                record.state = RunState::Started;
            }
            let anatomy = Anatomy::of(&record, &jobs);
            let path = crate::CriticalPath::in_full(&anatomy);
            let summary = crate::Summary::of(&anatomy, &path);
            crate::advise(&anatomy, &path, &summary);
            anatomy.family_needs();
            crate::compare((&record, &jobs), (&record, &jobs));
            crate::trend(&[(record.clone(), jobs.clone()), (record.clone(), jobs.clone()), (record.clone(), jobs)]);
        }
    }

    #[test]
    fn families_are_named_without_their_items() {
        let names = ["a", "a[x]", "a[x]/b", "a[x]/b[y,z]", "a/b[y]/c"].map(family_name);
        assert_eq!(names, ["a", "a", "a[x]/b", "a[x]/b", "a/b[y]/c"]);
    }

    #[test]
    fn who_needs_a_job_needs_what_it_opened() {
        let came_of = |openers: &[u32], report: JobReport| {
            let trace = JobTrace { came_of: openers.to_vec(), ..report.trace.clone() };
            JobReport { trace, ..report }
        };
        // 0 yields a plan with 5, and with 6, which opens 7 and has no report; 1 comes behind it all.
        let jobs = [
            job(0, "split", &[], 0, 10),
            came_of(&[0], job(5, "split/a", &[0], 10, 20)),
            came_of(&[6, 0], job(7, "split/b[x]", &[0, 5], 20, 30)),
            job(1, "join", &[0], 30, 40),
        ];
        let record = record(&jobs, 2);
        let anatomy = Anatomy::of(&record, &jobs);
        assert_eq!(anatomy.needs, [vec![], vec![0], vec![0, 1], vec![0, 1, 2]]);
        assert_eq!(anatomy.families, ["split", "join", "split/a", "split/b"]);
        assert_eq!(anatomy.family_needs(), [vec![], vec![0, 2, 3], vec![0], vec![0, 2]]);
    }
}
