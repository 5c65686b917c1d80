//! Runs of which only a part is gone through: what lies behind places that have changed since an earlier run.
//!
//! Owns: which jobs these are, and what stands for the others. Does not know: how it is found out what has changed (`footprint`), or how
//! jobs are carried out.
//!
//! Where anything cannot be told for sure before the run (jobs that come to be during it, races), all of it is gone through.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use wasmill_model::plan::InputSource;
use wasmill_model::port::{RunLog, StoreError};
use wasmill_model::{ActionResult, Digest, Event, JobReport, JobStatus, RunId, RunRecord, RunSummary};

use crate::footprint::{Compared, Sights};
use crate::glob::Glob;
use crate::graph::{Graph, JobId, Role};
use crate::noted::Place;
use crate::plan_snapshot::HostInput;
use crate::repeat::{Told, has_become, hold};
use crate::save::lexical;
use crate::scheduler::Needs as _;
use crate::traces::Traces;

/// Of so many jobs, one may have to be gone through before it is simpler to go through all.
const NARROWED_SHARE: usize = 2;

/// An earlier run of a plan that a new one would come to the same as, but for what lies behind some places.
pub struct Near {
    latest: RunRecord,
    ended: RunSummary,
    compared: Compared,
    runs: Arc<dyn RunLog>,
    jobs: JoinHandle<Result<Option<Jobs>, StoreError>>,
}

/// What the jobs of a run came to.
#[derive(Default)]
struct Jobs {
    /// By their numbers in the graph.
    all: HashMap<u32, Known>,
    /// How many there are, which is more where two have the same number.
    count: usize,
    /// Those of them that do not come from the run that it repeats itself.
    own: Vec<JobReport>,
}

/// What a job came to, if nothing has changed for it.
struct Known {
    status: JobStatus,
    /// What its result had cost, if there is one, in nanoseconds.
    cached_ns: Option<u64>,
}

/// The jobs of a run that are not gone through.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    /// The run in which they were, and which has all its jobs itself.
    pub(crate) repeats: Option<RunId>,
    /// What that run began with, as does this one.
    pub(crate) snapshot: Option<Digest>,
    /// What they came to.
    pub(crate) told: Told,
    /// What the others need of them; none inside if it was omitted.
    pub(crate) results: Vec<(JobId, Option<ActionResult>)>,
    /// What they saw.
    pub(crate) sights: Sights,
    /// What they saved to the host.
    saved: Vec<(String, String)>,
    /// Those that ended otherwise than in the run that is repeated, in another one since.
    own: Vec<JobReport>,
    /// The latest run that has them, if they are to be told of one by one.
    tells_of: Option<RunId>,
}

impl Near {
    /// A run that saw what the host looks like now, but for some places. Begins to read what its jobs came to: meanwhile, the plan can be
    /// expanded. None where no thread can be started for that.
    pub(crate) fn new(latest: RunRecord, ended: RunSummary, compared: Compared, runs: Arc<dyn RunLog>) -> Option<Self> {
        let (run, log) = (latest.clone(), Arc::clone(&runs));
        let read = move || {
            if !hold(&run, log.as_ref())? {
                return Ok(None);
            }
            let mut jobs = Jobs::default();
            log.each_job(run.id, &mut |report| {
                let cached_ns = report.result.as_ref().map(|_| report.usage.wall_ns);
                jobs.all.insert(report.trace.number, Known { status: report.status, cached_ns });
                jobs.count += 1;
            })?;
            if run.repeats.is_some() {
                jobs.own = log.own_jobs(run.id)?;
            }
            Ok(Some(jobs))
        };
        let jobs = std::thread::Builder::new().name("wasmill-jobs".to_owned()).spawn(read).ok()?;
        Some(Self { latest, ended, compared, runs, jobs })
    }

    /// Narrows a graph of the plan down to what has to be gone through. Its other jobs are told as in the earlier run, `each` by itself or all
    /// together. Does nothing where all of it has to be gone through.
    ///
    /// # Errors
    /// The store's failure.
    pub fn narrow(self, graph: &mut Graph, each: bool) -> Result<(), StoreError> {
        let Some(jobs) = affected(graph, &self.compared) else { return Ok(()) };
        let targets: HashSet<PathBuf> = jobs.iter().flat_map(|id| targets(graph, *id)).collect();
        let Some(rest) = self.rest(graph, &jobs, &targets, each)? else { return Ok(()) };
        tracing::debug!(jobs = jobs.len(), of = graph.len(), "only what has changed is gone through");
        graph.selected = Some(jobs);
        graph.rest = Some(rest);
        Ok(())
    }

    /// What stands for the jobs of a graph but these, which save to `targets`. None where that is not known of all.
    fn rest(
        self,
        graph: &Graph,
        jobs: &BTreeSet<JobId>,
        targets: &HashSet<PathBuf>,
        each: bool,
    ) -> Result<Option<Rest>, StoreError> {
        let Self { latest, ended, compared, runs, jobs: read } = self;
        // A thread does not panic but over a bug, and then nothing is known.
        let Some(Jobs { all, count, own }) = read.join().unwrap_or(Ok(None))? else { return Ok(None) };
        let mut told = Told::default();
        all.values().for_each(|known| told.add_one(known.status, known.cached_ns));
        let is_whole = count == all.len() && has_become(&told, &ended) && own.len() as u64 == latest.own_jobs;
        if !is_whole || jobs.iter().any(|id| !all.contains_key(&id.0)) {
            return Ok(None);
        }
        let repeats = latest.repeats.unwrap_or(latest.id);
        let mut rest = Rest { repeats: Some(repeats), snapshot: latest.snapshot, ..Rest::default() };
        for (_, known) in all.iter().filter(|(number, _)| !jobs.contains(&JobId(**number))) {
            rest.told.add_one(known.status, known.cached_ns);
        }
        let is_gone_through = |report: &JobReport| jobs.contains(&JobId(report.trace.number));
        let needed = jobs.iter().flat_map(|id| graph.job(*id).needs.iter().copied()).filter(|id| !jobs.contains(id));
        let needed: HashSet<JobId> = needed.collect();
        if !needed.is_empty() {
            runs.each_job(latest.id, &mut |report| {
                let id = JobId(report.trace.number);
                if needed.contains(&id) {
                    let result = report.result.clone().filter(|_| report.status == JobStatus::Succeeded);
                    rest.results.push((id, result));
                }
            })?;
        }
        if rest.results.len() != needed.len() {
            return Ok(None);
        }
        rest.tells_of = each.then_some(latest.id);
        rest.own = own.into_iter().filter(|report| !is_gone_through(report)).map(|report| report.repeated(0)).collect();
        let names: HashSet<&str> = jobs.iter().map(|id| graph.job(*id).name.as_str()).collect();
        let is_own = |path: &Path| path.ancestors().any(|above| targets.contains(above));
        let saved = compared.saved().iter().filter(|(job, _)| !names.contains(job.as_str()));
        rest.saved = saved.cloned().collect();
        rest.sights = compared.without(is_own, |job| names.contains(job));
        Ok(Some(rest))
    }
}

impl std::fmt::Debug for Near {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Near").field("latest", &self.latest).finish_non_exhaustive()
    }
}

impl Rest {
    /// Of how many jobs a run has reports itself that goes through the others of a graph.
    pub(crate) fn own_jobs(&self, graph: &Graph) -> u64 {
        (self.own.len() + graph.len()) as u64
    }

    /// Tells of them, and notes in the run's record what became of them, where that is not in the one that is repeated, and that nothing is
    /// known yet of the jobs that are gone through.
    pub(crate) fn begin(
        &mut self,
        run: RunId,
        graph: &Graph,
        runs: &dyn RunLog,
        on_event: &mut (dyn FnMut(&Event) + Send),
    ) -> Result<(), StoreError> {
        let Some(repeats) = self.repeats else { return Ok(()) };
        let open = graph.ids().filter(|id| graph.is_selected(*id)).map(|id| {
            let trace = Traces::default().unstarted(graph, id);
            JobReport { trace, ..JobReport::unstarted(graph.job(id).name.clone(), JobStatus::Cancelled, 0) }
        });
        let reports: Vec<JobReport> = std::mem::take(&mut self.own).into_iter().chain(open).collect();
        runs.append(run, &reports)?;
        std::mem::take(&mut self.saved).into_iter().for_each(|(job, path)| on_event(&Event::Saved { job, path }));
        let Some(latest) = self.tells_of else {
            on_event(&Event::JobsRepeated { run: repeats, counts: self.told.counts });
            return Ok(());
        };
        runs.each_job(latest, &mut |report| {
            if !graph.is_selected(JobId(report.trace.number)) {
                on_event(&Event::JobFinished(Box::new(report.repeated(0))));
            }
        })
    }
}

/// The selected jobs that read what has changed, saved it, or need such a job. None where that cannot be told for sure, or they are too
/// many.
fn affected(graph: &Graph, compared: &Compared) -> Option<BTreeSet<JobId>> {
    let mut inputs: HashMap<HostInput, bool> = HashMap::new();
    let mut saved = Vec::new();
    for place in compared.changed() {
        match place {
            Place::Path(path) => drop(inputs.insert(HostInput::Path(path.into()), false)),
            Place::Glob(base, pattern) => drop(inputs.insert(HostInput::Glob(base.into(), pattern.clone()), false)),
            Place::Saved(path) => saved.push(Path::new(path)),
        }
    }
    let mut queue = Vec::new();
    for id in graph.nodes().filter(|id| graph.is_selected(*id)) {
        let spec = graph.spec(id);
        match graph.job(id).role {
            Role::Execute { .. } => {}
            Role::Close { .. } => continue,
            // What its items or its winners read and save is not known yet.
            Role::Expand { .. } if !spec.save.is_empty() || host_inputs(graph, id).next().is_some() => return None,
            Role::Candidate { .. } | Role::Judge { .. } if !spec.save.is_empty() && !saved.is_empty() => return None,
            Role::Expand { .. } | Role::Candidate { .. } | Role::Judge { .. } => {}
        }
        if inputs.is_empty() {
            continue;
        }
        for input in host_inputs(graph, id) {
            if let Some(is_read) = inputs.get_mut(&input?) {
                *is_read = true;
                queue.push(id);
            }
        }
    }
    queue.extend(savers(graph, &saved)?);
    let is_everything_read = inputs.values().all(|is_read| *is_read);
    let jobs = if is_everything_read { closed(graph, queue)? } else { return None };
    (!is_read_by_others(graph, &jobs)).then_some(jobs)
}

/// Whether some job reads from the host what some of these save: it is for nobody to say then what it will see.
fn is_read_by_others(graph: &Graph, jobs: &BTreeSet<JobId>) -> bool {
    let saved: BTreeSet<PathBuf> = jobs.iter().flat_map(|id| targets(graph, *id)).map(|path| lexical(&path)).collect();
    let overlaps = |path: &Path| {
        let path = lexical(path);
        let is_above = saved.range(path.clone()..).next().is_some_and(|saved| saved.starts_with(&path));
        is_above || path.ancestors().any(|above| saved.contains(above))
    };
    let is_saved = |input: Option<HostInput>| match input {
        Some(HostInput::Path(path)) => overlaps(&path),
        Some(HostInput::Glob(base, pattern)) => Glob::new(&pattern).map_or(true, |glob| overlaps(&glob.folder(&base))),
        None => true,
    };
    let mut readers = graph.nodes().filter(|id| graph.is_selected(*id)).flat_map(|id| host_inputs(graph, id));
    !saved.is_empty() && readers.any(is_saved)
}

/// What a job reads of the host; none inside where that has no name.
fn host_inputs(graph: &Graph, id: JobId) -> impl Iterator<Item = Option<HostInput>> {
    let (spec, scope, bindings) = (graph.spec(id), graph.scope(id), &graph.job(id).bindings);
    let is_of_host = |source: &&InputSource| matches!(source, InputSource::Path(_) | InputSource::Glob(_));
    let mounts = spec.mounts.iter().map(|mount| &mount.source.value).filter(is_of_host);
    let mounts = mounts.map(move |source| HostInput::of(source, scope, bindings));
    mounts.chain(graph.host_stdin(id).map(Some))
}

/// The jobs that saved to these places. None where somebody else did.
fn savers(graph: &Graph, places: &[&Path]) -> Option<Vec<JobId>> {
    if places.is_empty() {
        return Some(Vec::new());
    }
    let mut by_target: BTreeMap<PathBuf, Vec<JobId>> = BTreeMap::new();
    for id in graph.nodes().filter(|id| graph.is_selected(*id)) {
        targets(graph, id).for_each(|target| by_target.entry(target).or_default().push(id));
    }
    let mut all = Vec::new();
    for place in places {
        let before = all.len();
        all.extend(place.ancestors().filter_map(|above| by_target.get(above)).flatten());
        let below = by_target.range(place.to_path_buf()..).take_while(|(target, _)| target.starts_with(place));
        all.extend(below.flat_map(|(_, jobs)| jobs));
        if all.len() == before {
            return None;
        }
    }
    Some(all)
}

/// Where a job saves its outputs to.
fn targets(graph: &Graph, id: JobId) -> impl Iterator<Item = PathBuf> {
    let (base, bindings) = (&graph.scope(id).base, &graph.job(id).bindings);
    graph.spec(id).save.iter().filter_map(|save| Some(base.join(save.to.value.render_host(bindings).ok()?)))
}

/// Jobs with all that need them. None where they are too many, or do anything but execute an action, or need what does.
fn closed(graph: &Graph, mut queue: Vec<JobId>) -> Option<BTreeSet<JobId>> {
    let mut dependants: HashMap<JobId, Vec<JobId>> = HashMap::new();
    for id in graph.nodes().filter(|id| graph.is_selected(*id)) {
        let awaited = graph.scope(id).awaited.get(&id).into_iter().flatten();
        graph.job(id).needs.iter().chain(awaited).for_each(|needed| dependants.entry(*needed).or_default().push(id));
    }
    let is_plain = |id: JobId| matches!(graph.job(id).role, Role::Execute { closer: None });
    let (mut jobs, most) = (BTreeSet::new(), graph.len() / NARROWED_SHARE);
    while let Some(id) = queue.pop() {
        if jobs.insert(id) {
            let needs_plain = graph.job(id).needs.iter().all(|needed| is_plain(*needed));
            if !is_plain(id) || !needs_plain || jobs.len() > most {
                return None;
            }
            queue.extend(dependants.remove(&id).unwrap_or_default());
        }
    }
    Some(jobs)
}
