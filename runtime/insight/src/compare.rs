//! What is different between two runs.
//!
//! Owns: which differences count, and their order. Does not know: how runs are found or shown.

use std::collections::BTreeMap;

use serde::Serialize;
use wasmill_model::{JobReport, RunRecord, RunSetup};

use crate::anatomy::is_executed;

/// What is different between two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// How they were carried out differently: what, before, after.
    pub setup: Vec<(String, String, String)>,
    /// Jobs that only the second run has.
    pub added: Vec<String>,
    /// Jobs that only the first run has.
    pub removed: Vec<String>,
    /// Jobs of both that differ in anything, by their names.
    pub changed: Vec<JobChange>,
    /// Jobs of both that differ in nothing but how long they took.
    pub same: usize,
    /// Jobs that were executed in both, by the difference of what they took, the largest first: the name and what the attempt
    /// took before and after, in nanoseconds.
    pub durations: Vec<(String, u64, u64)>,
}

/// What is different about a job. Places are those of the two runs' jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobChange {
    /// Its name.
    pub job: String,
    /// Its place in the first run.
    pub before: usize,
    /// Its place in the second run.
    pub after: usize,
    /// What it was asked to do.
    pub action: bool,
    /// What became of it, or what it left.
    pub result: bool,
}

/// Compares two runs, each given with its jobs.
pub fn compare((first, before): (&RunRecord, &[JobReport]), (second, after): (&RunRecord, &[JobReport])) -> Comparison {
    let by_name = |jobs: &[JobReport]| -> BTreeMap<String, usize> {
        jobs.iter().enumerate().map(|(at, report)| (report.job.clone(), at)).collect()
    };
    let (old, new) = (by_name(before), by_name(after));
    let only = |these: &BTreeMap<String, usize>, those: &BTreeMap<String, usize>| {
        these.keys().filter(|name| !those.contains_key(*name)).cloned().collect()
    };
    let mut comparison = Comparison {
        setup: setup(first.setup.as_ref(), second.setup.as_ref()),
        added: only(&new, &old),
        removed: only(&old, &new),
        changed: Vec::new(),
        same: 0,
        durations: Vec::new(),
    };
    for (name, was, is) in old.iter().filter_map(|(name, was)| Some((name, *was, *new.get(name)?))) {
        let (one, other) = (&before[was], &after[is]);
        let is_result = one.status != other.status || one.result != other.result;
        let is_action = one.key != other.key;
        if is_result || is_action {
            let job = name.clone();
            comparison.changed.push(JobChange { job, before: was, after: is, action: is_action, result: is_result });
        } else {
            comparison.same += 1;
        }
        if is_executed(one) && is_executed(other) {
            comparison.durations.push((name.clone(), one.usage.wall_ns, other.usage.wall_ns));
        }
    }
    comparison.durations.sort_by_key(|(_, was, is)| std::cmp::Reverse(was.abs_diff(*is)));
    comparison
}

fn setup(before: Option<&RunSetup>, after: Option<&RunSetup>) -> Vec<(String, String, String)> {
    let (Some(before), Some(after)) = (before, after) else { return Vec::new() };
    let fields = |setup: &RunSetup| {
        [
            ("wasmill", setup.version.clone()),
            ("machine", format!("{} {}, {} cores", setup.os, setup.architecture, setup.cores)),
            ("workers", setup.workers.to_string()),
            ("engine", setup.engine.clone()),
            ("memory budget", setup.memory_bytes.map_or_else(|| "none".to_owned(), crate::text::size)),
            ("profile", setup.profile.clone().unwrap_or_else(|| "none".to_owned())),
            ("--fresh", setup.fresh.to_string()),
            ("--retry-failed", setup.retry_failed.to_string()),
            ("--keep-going", setup.keep_going.to_string()),
            ("--job", setup.selected.join(", ")),
        ]
    };
    let pairs = fields(before).into_iter().zip(fields(after));
    pairs.filter(|(old, new)| old != new).map(|((name, old), (_, new))| (name.to_owned(), old, new)).collect()
}

#[cfg(test)]
mod tests {
    use wasmill_model::{ActionKey, Digest, JobStatus};

    use super::*;
    use crate::anatomy::tests::{job, record};

    #[test]
    fn runs_are_compared_job_by_job() {
        let before = [job(0, "a", &[], 0, 10), job(1, "b", &[], 0, 10), job(2, "gone", &[], 0, 1)];
        let mut after = [job(0, "a", &[], 0, 12), job(1, "b", &[], 0, 30), job(2, "new", &[], 0, 1)];
        after[1].key = Some(ActionKey(Digest::EMPTY));
        after[0].status = JobStatus::Failed;
        let found = compare((&record(&before, 1), &before), (&record(&after, 2), &after));
        assert_eq!((found.added, found.removed, found.same), (vec!["new".to_owned()], vec!["gone".to_owned()], 0));
        let changed = found.changed.iter().map(|change| (change.job.as_str(), change.action, change.result));
        assert_eq!(changed.collect::<Vec<_>>(), [("a", false, true), ("b", true, false)]);
        assert_eq!(found.durations[0], ("b".to_owned(), 10_000_000, 30_000_000));
        assert_eq!(found.setup, [("workers".to_owned(), "1".to_owned(), "2".to_owned())]);
    }
}
