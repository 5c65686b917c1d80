//! Runs that need not be carried out, as they would come to what an earlier one came to.
//!
//! Owns: which earlier run that is, and telling it as if it were carried out again. Does not know: what the host looks like
//! (`footprint`), or how runs are kept.
//!
//! What a run comes to is decided by its plan snapshot, by what its jobs saw of the host, and by what of wasmill itself decides
//! results, just as a job's result is decided by its action. So where all of that is as it was in an earlier run in which
//! every job succeeded, nothing is expanded and nothing looked up: the new run repeats the earlier one, whose record has its jobs.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::oneshot;
use wasmill_model::plan::ModuleSource;
use wasmill_model::port::{RunLog, StoreError};
use wasmill_model::{
    Digest, Event, JobReport, JobStatus, RunCounts, RunId, RunRecord, RunSetup, RunStart, RunState, RunSummary,
};

use crate::error::{ExecuteError, ModuleLoadError};
use crate::footprint::{self, Compared};
use crate::graph::Graph;
use crate::guest_build::{BuildOutput, Toolchain};
use crate::import::Importer;
use crate::modules::{Loaded, LoadedModules, load};
use crate::narrow::Near;
use crate::options::{ExecuteOptions, Ports};
use crate::plan_snapshot::{Outline, ReadPlan};
use crate::traces;

/// So many of the latest runs are looked at, whatever plans they are of.
const RUNS_LOOKED_AT: usize = 50;

/// So many plans of the same name, or states of a plan, are compared: reading them takes longer than all the rest.
const SNAPSHOTS_LOOKED_AT: usize = 4;

/// What is known of a run when it begins.
pub(crate) struct Beginning(RunStart);

impl Beginning {
    /// Keeps what a run of `graph` begins with.
    pub(crate) fn of(
        graph: &Graph,
        modules: &LoadedModules,
        ports: &Ports,
        options: &ExecuteOptions,
    ) -> Result<Self, StoreError> {
        let unix_ms = options.began_unix_ms();
        let (snapshot, repeats, own_jobs) = match &graph.rest {
            Some(rest) => (rest.snapshot, rest.repeats, rest.own_jobs(graph)),
            None => (graph.keep_snapshot(modules, ports.blobs.as_ref())?, None, 0),
        };
        let setup = traces::setup(&graph.asked_for, options, ports.runner.traits());
        Ok(Self(RunStart { plan: graph.name().to_owned(), unix_ms, snapshot, repeats, own_jobs, setup }))
    }

    /// Gives the run its number, and says that it begins.
    pub(crate) fn begin(
        self,
        jobs: usize,
        runs: &dyn RunLog,
        on_event: &mut (dyn FnMut(&Event) + Send),
    ) -> Result<RunRecord, StoreError> {
        let Self(start) = self;
        let run = runs.begin(&start)?;
        let (workers, setup) = (start.setup.workers as usize, Box::new(start.setup.clone()));
        on_event(&Event::RunStarted { run, plan: start.plan.clone(), jobs, workers, setup });
        Ok(RunRecord::started(run, start))
    }
}

/// An earlier run that a new one only repeats.
#[derive(Debug)]
pub struct Repeat {
    start: RunStart,
    /// What it saw, as it looks now.
    footprint: Digest,
    /// What its jobs come to.
    told: Told,
    /// Those that are to be told.
    jobs: Vec<JobReport>,
    /// Those whose reports are not in the record of the run that is repeated.
    own: Vec<JobReport>,
    /// What was saved to the host, by job.
    saved: Vec<(String, String)>,
}

/// What came of looking for a run to repeat.
#[derive(Debug, Default)]
pub struct Sought {
    /// It, if there is one.
    pub repeat: Option<Repeat>,
    /// If there is none, one that comes near.
    pub near: Option<Near>,
    /// The modules that had to be loaded to find that out.
    pub loaded: Loaded,
    /// What is wrong with those that could not be.
    pub failed: Vec<ModuleLoadError>,
}

impl Repeat {
    /// Looks for a run that one of `plan`, of which these jobs are asked for, would come to the same as. Its jobs will be told, `each`
    /// by itself, or the run alone.
    ///
    /// # Errors
    /// The store's failure. Where anything else is wrong, there is none; of modules that cannot be had, it is said why, so that nobody
    /// builds them again to find out.
    pub fn find(
        plan: &ReadPlan,
        select: &[String],
        each: bool,
        (importer, toolchain, output): (&Importer, &Toolchain, BuildOutput),
        ports: &Ports,
        options: &ExecuteOptions,
    ) -> Result<Sought, StoreError> {
        let setup = traces::setup(select, options, ports.runner.traits());
        let Some((latest, ended, snapshot)) = candidate(plan, select, &setup, ports)? else {
            return Ok(Sought::default());
        };
        let sources = plan.plan().modules.iter().map(|(name, source)| (name, &source.value));
        let sources = sources.filter(|(name, source)| {
            snapshot.modules().contains_key(*name) && !matches!(source, ModuleSource::Output { .. })
        });
        let loaded = match load(sources, plan.base(), importer, ports.blobs.as_ref(), toolchain, output) {
            Ok(loaded) => loaded,
            Err(failed) => return Ok(Sought { failed, ..Sought::default() }),
        };
        let footprint = latest.footprint.filter(|_| loaded.modules == *snapshot.modules());
        let traits = ports.runner.traits();
        let compared = match footprint {
            Some(footprint) => footprint::compare(footprint, ports.blobs.as_ref(), &traits, options.workers)?,
            None => None,
        };
        let mut sought = Sought { loaded, ..Sought::default() };
        match compared {
            Some(compared) if compared.changed().is_empty() => {
                let start = RunStart {
                    plan: latest.plan.clone(),
                    unix_ms: options.began_unix_ms(),
                    snapshot: latest.snapshot,
                    repeats: Some(latest.repeats.unwrap_or(latest.id)),
                    own_jobs: latest.own_jobs,
                    setup,
                };
                sought.repeat = Self::of(start, &latest, &ended, compared, each, ports)?;
            }
            Some(compared) => sought.near = Near::new(latest, ended, compared, Arc::clone(&ports.runs)),
            None => {}
        }
        Ok(sought)
    }

    /// A run that begins like this, if what the latest like it came to is all there.
    fn of(
        start: RunStart,
        latest: &RunRecord,
        ended: &RunSummary,
        compared: Compared,
        each: bool,
        ports: &Ports,
    ) -> Result<Option<Self>, StoreError> {
        let runs = ports.runs.as_ref();
        if !hold(latest, runs)? {
            return Ok(None);
        }
        let (mut told, mut jobs) = (Told { counts: ended.counts, saved_ns: ended.saved_ns }, Vec::new());
        // Where nothing was executed, what is known of all goes together.
        let is_known = !each && latest.repeats.is_some() && ended.busy_ns == 0;
        if is_known {
            if !has_all_jobs(latest, runs)? {
                return Ok(None);
            }
        } else {
            told = Told::default();
            runs.each_job(latest.id, &mut |report| {
                let report = report.repeated(0);
                told.add(&report);
                if each {
                    jobs.push(report);
                }
            })?;
        }
        let own = match latest.repeats {
            Some(_) => runs.own_jobs(latest.id)?.into_iter().map(|report| report.repeated(0)).collect(),
            None => Vec::new(),
        };
        let saved = compared.saved().to_vec();
        let footprint = compared.keep(ports.blobs.as_ref(), &ports.runner.traits())?;
        let is_good = |report: &JobReport| matches!(report.status, JobStatus::Succeeded | JobStatus::Omitted);
        let is_whole = has_become(&told, ended) && own.len() as u64 == latest.own_jobs && own.iter().all(is_good);
        Ok(is_whole.then_some(Self { start, footprint, told, jobs, own, saved }))
    }

    /// Carries it out: every job ends at once. Returns when the record is on disk.
    ///
    /// # Errors
    /// The store failed.
    pub async fn tell(
        self,
        runs: &dyn RunLog,
        options: &ExecuteOptions,
        on_event: &mut (dyn FnMut(&Event) + Send),
    ) -> Result<RunSummary, ExecuteError> {
        let Self { start, footprint, told: Told { counts, saved_ns }, jobs, own, saved } = self;
        let repeats = start.repeats;
        let run = Beginning(start).begin(counts.jobs, runs, on_event)?;
        if !own.is_empty() {
            runs.append(run.id, &own)?;
        }
        saved.into_iter().for_each(|(job, path)| on_event(&Event::Saved { job, path }));
        let wall_ns = u64::try_from(options.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        for report in jobs {
            on_event(&Event::JobFinished(Box::new(report.repeated(wall_ns))));
        }
        let summary = RunSummary { counts, wall_ns, saved_ns, repeats, ..RunSummary::default() };
        let record = RunRecord { footprint: Some(footprint), state: RunState::Ended(summary.clone()), ..run };
        let (told, durable) = oneshot::channel();
        // Where nobody waits any more, nobody needs to be told.
        runs.end(&record, Box::new(move |result| drop(told.send(result))))?;
        // The store calls back, once.
        if let Ok(Err(error)) = durable.await {
            return Err(ExecuteError::Keep(error));
        }
        on_event(&Event::RunFinished(summary.clone()));
        Ok(summary)
    }
}

/// The latest run of the plan that another may repeat, and what it began with, as far as that is known without looking at modules
/// and inputs.
fn candidate(
    plan: &ReadPlan,
    select: &[String],
    setup: &RunSetup,
    ports: &Ports,
) -> Result<Option<(RunRecord, RunSummary, Outline)>, StoreError> {
    // Whether another version comes to the same is for its action keys to tell.
    let is_ours = |run: &RunRecord| {
        run.setup.as_ref().is_some_and(|other| {
            (&other.version, &other.engine, &other.os, &other.architecture)
                == (&setup.version, &setup.engine, &setup.os, &setup.architecture)
        })
    };
    let mut seen = HashSet::new();
    for run in ports.runs.runs(RUNS_LOOKED_AT)? {
        let is_like_it = run.plan == plan.plan().name && run.footprint.is_some() && is_ours(&run);
        let RunState::Ended(ended) = run.state.clone() else { continue };
        let is_like_it = is_like_it && ended.is_success();
        let Some(snapshot) = run.snapshot.filter(|snapshot| is_like_it && seen.insert(*snapshot)) else { continue };
        // What is damaged is as good as none.
        let snapshot = Outline::find(&snapshot, ports.blobs.as_ref()).ok();
        if let Some(snapshot) = snapshot.filter(|snapshot| plan.is_as_in(snapshot, select)) {
            return Ok(Some((run, ended, snapshot)));
        }
        if seen.len() >= SNAPSHOTS_LOOKED_AT {
            break;
        }
    }
    Ok(None)
}

/// Whether jobs are all those of a run that has ended, and came to what it says that they did.
pub(crate) fn has_become(told: &Told, ended: &RunSummary) -> bool {
    RunCounts { cached: 0, ..told.counts } == RunCounts { cached: 0, ..ended.counts }
}

/// Keeps all that a run came to as long as this process lives. False where not all of it is there.
pub(crate) fn hold(run: &RunRecord, runs: &dyn RunLog) -> Result<bool, StoreError> {
    of_both(run, |run| runs.hold(run))
}

fn has_all_jobs(run: &RunRecord, runs: &dyn RunLog) -> Result<bool, StoreError> {
    of_both(run, |run| runs.has_all_jobs(run))
}

/// Whether something holds of a run and of the one that it repeats.
fn of_both(run: &RunRecord, holds: impl Fn(RunId) -> Result<bool, StoreError>) -> Result<bool, StoreError> {
    let mut both = [Some(run.id), run.repeats].into_iter().flatten();
    both.try_fold(true, |all, run| Ok(all && holds(run)?))
}

/// What the jobs come to that were told.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    pub(crate) counts: RunCounts,
    pub(crate) saved_ns: u64,
}

impl Told {
    fn add(&mut self, report: &JobReport) {
        self.add_one(report.status, report.cached.then_some(report.usage.wall_ns));
    }

    /// One more, with what its result had cost where it is cached, in nanoseconds.
    pub(crate) fn add_one(&mut self, status: JobStatus, cached_ns: Option<u64>) {
        self.counts.jobs += 1;
        self.counts.add(status, cached_ns.is_some());
        self.saved_ns += cached_ns.unwrap_or(0);
    }
}
