//! A run taken apart: which of its jobs are of one family, and which waited for which.
//!
//! Owns: turning what was noted of each job into a graph. Does not know: what is concluded from it.

use std::collections::HashMap;

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
                summary.saved_ns += report.usage.wall_ns;
            } else {
                summary.cpu_ns += report.usage.cpu_ns;
                summary.busy_ns += report.usage.wall_ns;
            }
        }
        summary
    }

    /// How many workers there were.
    pub fn workers(&self) -> usize {
        let noted = self.record.setup.as_ref().map(|setup| setup.workers);
        let seen = || self.jobs.iter().filter_map(|report| report.trace.worker).max().map_or(1, |last| last + 1);
        noted.unwrap_or_else(seen).max(1) as usize
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
    let by_number: HashMap<u32, u32> =
        jobs.iter().enumerate().map(|(job, report)| (report.trace.number, place(job))).collect();
    let mut opened: HashMap<u32, Vec<u32>> = HashMap::new();
    for (job, report) in jobs.iter().enumerate() {
        for opener in &report.trace.came_of {
            opened.entry(*opener).or_default().push(place(job));
        }
    }
    let of = |report: &JobReport| {
        let mut needs = Vec::new();
        for number in report.trace.needs.iter().flat_map(|(first, count)| *first..first.saturating_add(*count)) {
            // A damaged record may name any number.
            if needs.len() > jobs.len().saturating_mul(2) {
                break;
            }
            needs.extend(by_number.get(&number).copied());
            // Who came of the same job waits for that one itself, not for what it opened.
            if !report.trace.came_of.contains(&number) {
                needs.extend(opened.get(&number).into_iter().flatten().copied());
            }
        }
        needs.sort_unstable();
        needs.dedup();
        needs
    };
    jobs.iter().map(of).collect()
}

#[cfg(test)]
pub(crate) mod tests {
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
            setup: Some(wasmill_model::RunSetup { workers, ..wasmill_model::RunSetup::default() }),
            state: RunState::Started,
        };
        record.state = RunState::Ended(Anatomy::of(&record, jobs).summary());
        record
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
