//! The graph of jobs that a plan expands to, and that may grow while it is executed.
//!
//! Owns: typed ids, the jobs and what they need of each other, and the selection of a part. Does not know: where the
//! jobs come from (`expand`), or in what state they are (`scheduler`).
//!
//! Some jobs are known only once others have ended: the items of a `for-each` over an output, and the jobs of a plan that a
//! job yields. Two nodes stand for them: one that *opens*, which finds out and adds them, and one that *closes*, which needs
//! them all and has their result. Whatever depends on them depends on the one that closes, so no edge of a job that is there
//! ever changes, but of those that close. What opens is seen as the job itself; what closes is seen by nobody.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};

use wasmill_model::plan::{Bindings, Growth, InputSource, JobSpec, ModuleSource, Spanned};
use wasmill_model::{BlobRef, GuestPath, Input, Mount};

use crate::items::HostLists;
use crate::modules::LoadedModules;
use crate::narrow::Rest;
use crate::plan_snapshot::{HostInput, Written};
use crate::scheduler::{Amounts, Demand, Needs};

/// A job's place in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub(crate) u32);

impl JobId {
    /// The job at a place among others, from 0 on.
    pub const fn at(place: u32) -> Self {
        Self(place)
    }

    /// Its place among the graph's jobs, from 0 on.
    pub fn number(self) -> usize {
        self.index()
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// One node: a job as written, or one item of its `for-each`.
#[derive(Debug)]
pub struct Job {
    /// Its name; `scan[serde]` for an item, `build/link` for a job of a plan that `build` yields.
    pub name: String,
    /// What the plan says of it.
    pub(crate) spec: Arc<JobSpec>,
    /// The item's values.
    pub(crate) bindings: Bindings,
    /// What each input that names jobs leads to, in the order of [`crate::expand::sources`].
    pub(crate) upstream: Vec<Upstream>,
    /// The jobs that it needs from the beginning, ascending, each once.
    pub(crate) needs: Vec<JobId>,
    pub(crate) role: Role,
    /// The plan that it is of.
    pub(crate) scope: u32,
    /// Of a node that closes: what there is between the one that opens and itself. Of one that judges: the winners.
    pub(crate) grown: OnceLock<Box<Grown>>,
}

impl Job {
    /// What stands in the brackets; empty for a job that is not repeated.
    pub fn label(&self) -> &str {
        // Names of plans' jobs and labels have no slashes.
        let name = self.name.rsplit('/').next().unwrap_or_default();
        name.split_once('[').and_then(|(_, label)| label.strip_suffix(']')).unwrap_or_default()
    }
}

/// What an input that names jobs leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Upstream {
    /// The result of one.
    One(JobId),
    /// The results of several.
    Items(Range<u32>),
    /// The results of what a node that closes stands for.
    Grown(JobId),
}

/// What a node does when it is its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It executes its action. If it may yield a plan, it opens that; with the node that closes.
    Execute { closer: Option<JobId> },
    /// It executes its action as one candidate of a race; with the node that judges.
    Candidate { judge: JobId },
    /// It finds the winners among its candidates, which are all from the first on up to, and without, the last.
    Judge { first: JobId, end: JobId },
    /// It opens what its entry of the plan comes to; with the node that closes.
    Expand { closer: JobId },
    /// It closes what another opened.
    Close { opener: JobId },
}

/// Jobs that another node stands for.
#[derive(Debug, Clone)]
pub(crate) struct Grown {
    /// Those whose results count.
    pub(crate) results: Vec<JobId>,
    /// The plan that they are of.
    pub(crate) scope: u32,
    /// All that came to be with them.
    pub(crate) added: Range<u32>,
}

/// A plan in the graph: the outermost one, or one that a job yielded.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) entries: Vec<Entry>,
    /// Each entry by its name; made when it is first asked for.
    pub(crate) by_name: OnceLock<HashMap<String, usize>>,
    /// The folder that relative host paths start from. A plan that was yielded has none.
    pub(crate) base: PathBuf,
    /// What the names of its jobs begin with.
    pub(crate) prefix: String,
    /// How many plans are around it.
    pub(crate) depth: u64,
    /// What nodes that close late entries will have to wait for beside their items: what these take from.
    pub(crate) awaited: HashMap<JobId, Vec<JobId>>,
    /// Where it came from, if a job yielded it.
    pub(crate) origin: Option<Origin>,
}

/// Where a plan came from that a job yielded.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) job: JobId,
    /// What the job saw.
    pub(crate) mounts: BTreeMap<GuestPath, Input>,
    /// What it left.
    pub(crate) output: BlobRef,
    /// The modules of this plan and of those around it.
    pub(crate) modules: LoadedModules,
    /// What stands for the job's output.
    pub(crate) result: InputSource,
}

/// What became of one of a plan's job entries.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) spec: Arc<JobSpec>,
    /// What stands for it among the jobs that are seen: its items, or what opens it.
    pub(crate) jobs: Range<u32>,
    /// Whose results are its own: the same jobs, or the nodes that close what they open.
    pub(crate) results: Range<u32>,
    /// Whether its items come to be during the run.
    pub(crate) is_late: bool,
}

impl Scope {
    /// The position of an entry.
    pub(crate) fn entry(&self, name: &str) -> Option<usize> {
        let by_name = self.by_name.get_or_init(|| {
            self.entries.iter().enumerate().map(|(at, entry)| (entry.spec.name.value.clone(), at)).collect()
        });
        by_name.get(name).copied()
    }
}

/// A plan's jobs and what they need of each other. Acyclic.
#[derive(Debug)]
pub struct Graph {
    pub(crate) name: String,
    pub(crate) modules: BTreeMap<String, Spanned<ModuleSource>>,
    pub(crate) resources: BTreeMap<String, u64>,
    pub(crate) growth: Growth,
    /// How many jobs have come to be since it was expanded.
    pub(crate) grown: AtomicU64,
    /// Where jobs save to, and which, if jobs that come to be save anything.
    pub(crate) saved: Mutex<BTreeMap<PathBuf, String>>,
    /// Held by whoever adds jobs.
    pub(crate) growing: Mutex<()>,
    /// Nodes that close come last among those that are there from the beginning.
    pub(crate) jobs: boxcar::Vec<Job>,
    /// The outermost plan is the first.
    pub(crate) scopes: boxcar::Vec<Scope>,
    /// The jobs to execute, or all of them.
    pub(crate) selected: Option<BTreeSet<JobId>>,
    /// What was asked for so that these are selected.
    pub(crate) asked_for: Vec<String>,
    /// How the plan is written, where somebody said that.
    pub(crate) written: Option<Written>,
    /// What its entries iterate over that is on the host.
    pub(crate) lists: HostLists,
    /// What is on the host, where that is to be as an earlier run found it.
    pub(crate) inputs_before: HashMap<HostInput, Mount>,
    pub(crate) stdins_before: HashMap<HostInput, BlobRef>,
    /// What stands for the jobs that are not selected, as nothing has changed for them since an earlier run.
    pub(crate) rest: Option<Rest>,
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
        &self.name
    }

    /// How many jobs will be executed, as far as they are known.
    pub fn len(&self) -> usize {
        self.ids().filter(|id| self.is_selected(*id)).count()
    }

    /// Whether there is nothing to execute.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of edges.
    pub fn edges(&self) -> usize {
        self.ids().map(|id| self.needs(id).len()).sum()
    }

    /// The job of an id.
    pub fn job(&self, id: JobId) -> &Job {
        &self.jobs[id.index()]
    }

    /// The jobs that a job needs, ascending.
    pub fn needs(&self, id: JobId) -> Vec<JobId> {
        let late = self.closer(id).and_then(|closer| self.scope(id).awaited.get(&closer)).into_iter().flatten();
        let mut needs: Vec<JobId> = self.job(id).needs.iter().chain(late).map(|needed| self.seen(*needed)).collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// The job that people see in place of a node.
    pub(crate) fn seen(&self, id: JobId) -> JobId {
        match self.job(id).role {
            Role::Close { opener } => opener,
            _ => id,
        }
    }

    /// The name of the plan's job entry that a job came of.
    pub fn family(&self, id: JobId) -> &str {
        &self.spec(id).name.value
    }

    /// The same, with the names of the jobs that yielded the plans around it.
    pub fn family_in_full(&self, id: JobId) -> String {
        format!("{}{}", self.scope(id).prefix, self.family(id))
    }

    /// Whether it is known only during the run how many jobs there are in this one's place.
    pub fn is_late(&self, id: JobId) -> bool {
        matches!(self.job(id).role, Role::Expand { .. } | Role::Execute { closer: Some(_) })
    }

    pub(crate) fn is_selected(&self, id: JobId) -> bool {
        self.selected.as_ref().is_none_or(|selected| selected.contains(&id))
    }

    /// What there is only so much of: processors, memory, then the plan's resources.
    pub(crate) fn budget(&self, workers: usize, memory_bytes: u64) -> Amounts {
        let budget = [u64::try_from(workers).unwrap_or(u64::MAX), memory_bytes];
        budget.into_iter().chain(self.resources.values().copied()).collect()
    }

    /// What decides when a job may start, beside its dependencies. What only opens or closes takes nothing.
    pub(crate) fn demand(&self, id: JobId) -> Demand {
        let spec = self.spec(id);
        let needs = match self.job(id).role {
            Role::Expand { .. } | Role::Close { .. } | Role::Judge { .. } => Amounts::new(),
            Role::Execute { .. } | Role::Candidate { .. } => {
                let taken = self.resources.keys().map(|name| spec.place.resources.get(name).copied().unwrap_or(0));
                [spec.place.cpus, spec.limits.memory_bytes].into_iter().chain(taken).collect()
            }
        };
        Demand { needs, priority: spec.place.priority, expected: 1 }
    }

    pub(crate) fn spec(&self, id: JobId) -> &JobSpec {
        &self.job(id).spec
    }

    pub(crate) fn scope(&self, id: JobId) -> &Scope {
        &self.scopes[self.job(id).scope as usize]
    }

    /// Whether some inputs are to be as an earlier run found them.
    pub(crate) fn is_resumed(&self) -> bool {
        !self.inputs_before.is_empty() || !self.stdins_before.is_empty()
    }

    /// The jobs that are there from the beginning, in the order of the plan.
    pub fn ids(&self) -> impl Iterator<Item = JobId> + '_ {
        self.nodes().take_while(|id| !matches!(self.job(*id).role, Role::Close { .. }))
    }

    /// The names of the modules that the selected jobs run. What a job yields may run any.
    pub fn modules_used(&self) -> BTreeSet<&str> {
        let selected = || self.ids().filter(|id| self.is_selected(*id));
        if selected().any(|id| self.spec(id).yields.is_some()) {
            return self.modules.keys().map(String::as_str).collect();
        }
        selected().map(|id| self.spec(id).module.value.as_str()).collect()
    }

    /// Narrows the graph down to some jobs and what they need. A name without brackets stands for every item.
    ///
    /// # Errors
    /// The first name that no job has.
    pub fn select(&mut self, names: &[String]) -> Result<(), UnknownJob> {
        let mut queue = Vec::new();
        let scope = &self.scopes[0];
        for name in names {
            let before = queue.len();
            if let Some(at) = scope.entry(name) {
                let entry = &scope.entries[at];
                queue.extend(entry.jobs.clone().chain(entry.results.clone()).map(JobId));
                continue;
            }
            // A candidate is for its race to judge: alone it would be neither a success nor a failure.
            let named = || self.ids().filter(|id| !matches!(self.job(*id).role, Role::Candidate { .. }));
            for id in named().filter(|&id| self.job(id).name == *name) {
                queue.push(id);
                queue.extend(self.closer(id));
            }
            if queue.len() == before {
                let all = scope.entries.iter().map(|entry| entry.spec.name.value.as_str());
                let nearest = nearest(name, all.chain(named().map(|id| self.job(id).name.as_str())));
                // Of an item that cannot be had, at least the job is known.
                let family = || name.split('[').next().filter(|family| scope.entry(family).is_some());
                let nearest = nearest.or_else(|| family().map(str::to_owned));
                return Err(UnknownJob { name: name.clone(), nearest });
            }
        }
        let mut selected = BTreeSet::new();
        while let Some(id) = queue.pop() {
            if selected.insert(id) {
                queue.extend(&self.job(id).needs);
                // Its items will take from these.
                queue.extend(self.scope(id).awaited.get(&id).into_iter().flatten());
            }
        }
        self.selected = Some(selected);
        self.asked_for = names.to_vec();
        Ok(())
    }

    /// The node that closes what a job opens.
    pub(crate) fn closer(&self, id: JobId) -> Option<JobId> {
        match self.job(id).role {
            Role::Execute { closer } => closer,
            Role::Expand { closer } => Some(closer),
            Role::Close { .. } | Role::Candidate { .. } | Role::Judge { .. } => None,
        }
    }
}

impl Needs for Graph {
    fn count(&self) -> usize {
        self.jobs.count()
    }

    fn waits_for(&self, job: JobId) -> &[JobId] {
        &self.job(job).needs
    }

    fn is_selected(&self, job: JobId) -> bool {
        Graph::is_selected(self, job)
    }
}

/// The candidate that is spelled most like `name`, if one is near enough to be meant.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    candidates
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, candidate), candidate))
        .filter(|&(likeness, _)| likeness > 0.6)
        // Of equally near ones the first by name, whatever the order they came in.
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, candidate)| candidate.to_owned())
}
