//! The graph of jobs that a plan expands to.
//!
//! Owns: typed ids, the jobs' edges in both directions, and the selection of a part. Does not know: where the
//! jobs come from (`expand`), or in what state they are (`scheduler`).

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

use wasmill_model::plan::{Bindings, JobSpec, Plan};

use crate::scheduler::Amounts;

/// A job's place in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub(crate) u32);

impl JobId {
    /// Its place among the graph's jobs, from 0 on.
    pub fn number(self) -> usize {
        self.index()
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// One node: a job as written, or one item of its `for-each`.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name; `scan[serde]` for an item.
    pub name: String,
    /// What stands in the brackets; empty for a job that is not repeated.
    pub label: String,
    /// Which of the plan's jobs it is.
    pub(crate) spec: usize,
    /// The item's values.
    pub(crate) bindings: Bindings,
    /// The job behind each input of the kind `{ job = … }`, in the order in which the plan has them.
    pub(crate) upstream: Vec<JobId>,
}

/// A plan's jobs and what they need of each other. Acyclic.
#[derive(Debug, Clone)]
pub struct Graph {
    pub(crate) plan: Plan,
    /// The folder that relative host paths start from.
    pub(crate) base: PathBuf,
    pub(crate) jobs: Vec<Job>,
    /// The jobs of each of the plan's job entries.
    pub(crate) ranges: Vec<Range<u32>>,
    /// What each job needs, ascending, each once.
    pub(crate) dependencies: Vec<Vec<JobId>>,
    /// The jobs to execute, or all of them.
    pub(crate) selected: Option<BTreeSet<JobId>>,
}

/// A name that no job has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no job `{name}` in the plan")]
pub struct UnknownJob {
    /// What was asked for.
    pub name: String,
    /// The name that is spelled most like it.
    pub nearest: Option<String>,
}

impl Graph {
    /// The plan's name.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// How many jobs will be executed.
    pub fn len(&self) -> usize {
        self.selected.as_ref().map_or(self.jobs.len(), BTreeSet::len)
    }

    /// Whether there is nothing to execute.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of edges.
    pub fn edges(&self) -> usize {
        self.dependencies.iter().map(Vec::len).sum()
    }

    /// The job of an id.
    pub fn job(&self, id: JobId) -> &Job {
        &self.jobs[id.index()]
    }

    /// The jobs that a job needs, ascending.
    pub fn needs(&self, id: JobId) -> &[JobId] {
        &self.dependencies[id.index()]
    }

    /// The name of the plan's job entry that a job came of.
    pub fn family(&self, id: JobId) -> &str {
        &self.spec(id).name.value
    }

    /// What there is, and what each job entry of the plan takes of it: processors, memory, then the plan's resources.
    pub(crate) fn amounts(&self, workers: usize, memory_bytes: u64) -> (Amounts, Vec<Amounts>) {
        let resources = &self.plan.resources;
        let budget = [u64::try_from(workers).unwrap_or(u64::MAX), memory_bytes];
        let needs = self.plan.jobs.iter().map(|spec| {
            let taken = resources.keys().map(|name| spec.place.resources.get(name).copied().unwrap_or(0));
            [spec.place.cpus, spec.limits.memory_bytes].into_iter().chain(taken).collect()
        });
        (budget.into_iter().chain(resources.values().copied()).collect(), needs.collect())
    }

    pub(crate) fn spec(&self, id: JobId) -> &JobSpec {
        &self.plan.jobs[self.job(id).spec]
    }

    /// All jobs, in the order of the plan.
    pub fn ids(&self) -> impl Iterator<Item = JobId> + use<> {
        (0..self.jobs.len()).map(|index| JobId(u32::try_from(index).unwrap_or(u32::MAX)))
    }

    /// The names of the modules that the selected jobs run.
    pub fn modules_used(&self) -> BTreeSet<&str> {
        match &self.selected {
            None => self.plan.jobs.iter().map(|spec| spec.module.value.as_str()).collect(),
            Some(ids) => ids.iter().map(|&id| self.spec(id).module.value.as_str()).collect(),
        }
    }

    /// Narrows the graph down to some jobs and what they need. A name without brackets stands for every item.
    ///
    /// # Errors
    /// The first name that no job has.
    pub fn select(&mut self, names: &[String]) -> Result<(), UnknownJob> {
        let mut queue = Vec::new();
        for name in names {
            let before = queue.len();
            if let Some(spec) = self.plan.jobs.iter().position(|spec| spec.name.value == *name) {
                queue.extend(self.ranges[spec].clone().map(JobId));
                continue;
            }
            queue.extend(self.ids().filter(|&id| self.job(id).name == *name));
            if queue.len() == before {
                let all = self.plan.jobs.iter().map(|spec| spec.name.value.as_str());
                let nearest = nearest(name, all.chain(self.jobs.iter().map(|job| job.name.as_str())));
                return Err(UnknownJob { name: name.clone(), nearest });
            }
        }
        let mut selected = BTreeSet::new();
        while let Some(id) = queue.pop() {
            if selected.insert(id) {
                queue.extend(&self.dependencies[id.index()]);
            }
        }
        self.selected = Some(selected);
        Ok(())
    }
}

/// The candidate that is spelled most like `name`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    candidates
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, candidate), candidate))
        .filter(|&(likeness, _)| likeness > 0.6)
        // Of equally near ones the first by name, whatever the order they came in.
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, candidate)| candidate.to_owned())
}
