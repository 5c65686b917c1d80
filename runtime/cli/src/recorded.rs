//! Runs that are over, as commands find them in the store.
//!
//! Owns: which run and which job a name stands for, and which earlier run explains a job. Does not know: what is said of them.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use wasmill_executor::nearest;
use wasmill_insight::{Earlier, Reason, explain, is_executed};
use wasmill_model::port::{ActionCache as _, RunLog as _};
use wasmill_model::{Action, JobReport, RunId, RunRecord, RunState};
use wasmill_storage::Storage;

use crate::error::CliError;
use crate::exit_code;
use crate::plan_file;

/// How many runs are looked at for those of a plan.
const RUNS_LISTED: usize = 1_000;

/// How many runs of a plan are looked through for the last time that a job had an action.
const RUNS_SEARCHED: usize = 20;

/// So many jobs are looked up one by one, in so many runs, before all of a run is read.
const ASKED_FEW: usize = 8;
const LATEST_FEW: usize = 2;

/// After so many reports no further run is read.
const REPORTS_SEARCHED: usize = 100_000;

/// A run with its jobs.
pub(crate) struct Recorded {
    pub(crate) record: RunRecord,
    pub(crate) jobs: Vec<JobReport>,
}

impl Recorded {
    /// Finds a run; the latest, if none is named.
    pub(crate) fn find(storage: &Storage, run: Option<RunId>) -> Result<Self, CliError> {
        let record = find_run(storage, run)?;
        let jobs = storage.jobs(record.id).map_err(|error| CliError::store(&error))?;
        Ok(Self { record, jobs })
    }

    /// Finds the latest run of a plan that has ended and was carried out.
    pub(crate) fn latest_of(storage: &Storage, plan: &str) -> Result<Self, CliError> {
        let runs = storage.runs(RUNS_LISTED).map_err(|error| CliError::store(&error))?;
        let is_over = |record: &&RunRecord| {
            let is_for_itself = record.setup.as_ref().is_none_or(|setup| !setup.measuring);
            let is_over = record.state != RunState::Started && record.repeats.is_none();
            record.plan == plan && is_over && is_for_itself
        };
        let run = runs.iter().find(is_over).map(|record| record.id);
        let none = || CliError::new(exit_code::INPUT, format!("no run of a plan `{plan}` is recorded"));
        Self::find(storage, Some(run.ok_or_else(none)?))
    }

    /// Finds the latest run of the same plan before another.
    pub(crate) fn before(storage: &Storage, after: &RunRecord) -> Result<Self, CliError> {
        let runs = storage.runs(RUNS_LISTED).map_err(|error| CliError::store(&error))?;
        let run = runs.iter().find(|record| record.plan == after.plan && record.id < after.id);
        let (id, plan) = (after.id, &after.plan);
        let none =
            || CliError::new(exit_code::INPUT, format!("no run of the plan `{plan}` before run {id} is recorded"));
        Self::find(storage, Some(run.ok_or_else(none)?.id))
    }

    /// Finds a job by its name.
    pub(crate) fn job(&self, name: &str) -> Result<usize, CliError> {
        self.jobs.iter().position(|report| report.job == name).ok_or_else(|| {
            let run = self.record.id;
            let plan = &self.record.plan;
            let error =
                CliError::new(exit_code::INPUT, format!("run {run} of `{plan}` has no record of a job `{name}`"));
            match nearest(name, self.jobs.iter().map(|report| report.job.as_str())) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("`wasmill show {run}` lists its jobs")),
            }
        })
    }
}

/// Finds a run's record. If none is named, that of the latest run of the plan in this folder, or of any plan where that has none;
/// imported ones come last.
pub(crate) fn find_run(storage: &Storage, run: Option<RunId>) -> Result<RunRecord, CliError> {
    let store = |error| CliError::store(&error);
    let Some(run) = run else {
        let mut runs = storage.runs(RUNS_LISTED).map_err(store)?;
        let here = plan_here();
        let is_of_here = |record: &RunRecord| here.as_ref().is_some_and(|plan| *plan == record.plan);
        // The first of the best; runs are in descending order.
        let best = (0..runs.len()).min_by_key(|at| (is_imported(&runs[*at]), !is_of_here(&runs[*at])));
        return best
            .map(|at| runs.swap_remove(at))
            .ok_or_else(|| CliError::new(exit_code::INPUT, "there is no run yet").hint("`wasmill run` makes one"));
    };
    if let Some(record) = storage.run(run).map_err(store)? {
        return Ok(record);
    }
    let latest = storage.runs(1).map_err(store)?.into_iter().next();
    let error = CliError::new(exit_code::INPUT, format!("there is no run {run}"));
    Err(match latest {
        Some(latest) => error.hint(format!("the latest is run {}; `wasmill runs` lists them", latest.id)),
        None => error.hint("no run is recorded in this store yet"),
    })
}

/// The name of the plan in this folder, if there is one that can be read.
fn plan_here() -> Option<String> {
    let here = Path::new(".");
    let is_there = plan_file::is_there(here);
    is_there.then(|| plan_file::read(here).ok()).flatten().map(|read| read.plan.name)
}

/// When jobs of a plan had actions last, before a run. Earlier runs are read as far back as is asked for.
#[derive(Default)]
pub(crate) struct Past {
    by_job: HashMap<String, (RunId, JobReport)>,
    /// Runs that were not read yet, the latest first.
    unread: VecDeque<RunRecord>,
    /// When the run began, in milliseconds since 1970.
    began_ms: u64,
    /// How many reports were read.
    read: usize,
    /// How many questions were answered one by one.
    asked: usize,
}

impl Past {
    /// What was before a run of a plan, or until now if there is no such run.
    pub(crate) fn before(storage: &Storage, plan: &str, run: RunId) -> Result<Self, CliError> {
        let store = |error| CliError::store(&error);
        let began = storage.run(run).map_err(store)?;
        let earlier = storage.runs(RUNS_LISTED).map_err(store)?.into_iter();
        let unread = earlier.filter(|record| record.id < run && record.plan == plan && !is_imported(record));
        Ok(Self {
            unread: unread.take(RUNS_SEARCHED).collect(),
            began_ms: began.map_or(u64::MAX, |record| record.started_unix_ms),
            ..Self::default()
        })
    }

    /// The last time before that a job of this name had an action.
    pub(crate) fn report(&mut self, storage: &Storage, job: &str) -> Option<(RunId, &JobReport)> {
        if !self.by_job.contains_key(job) && self.asked < ASKED_FEW {
            self.asked += 1;
            self.find(storage, job);
        }
        while !self.by_job.contains_key(job) && self.read_next(storage) {}
        self.by_job.get(job).map(|(run, report)| (*run, report))
    }

    /// Looks for one job alone.
    fn find(&mut self, storage: &Storage, job: &str) {
        for record in self.unread.iter().take(LATEST_FEW) {
            let found = storage.job(record.id, job).ok().flatten();
            if let Some(report) = found.filter(|report| self.had_ended(record, report)) {
                self.by_job.insert(job.to_owned(), (record.id, JobReport { log: Vec::new(), ..report }));
                return;
            }
        }
    }

    /// Whether a job had an action, and had ended in its run when this one began: another process may be carrying out a run with a lower
    /// number, and what had not ended yet says nothing.
    fn had_ended(&self, run: &RunRecord, report: &JobReport) -> bool {
        let ended_ms = run.started_unix_ms.saturating_add(report.ended_ns / 1_000_000);
        report.key.is_some() && ended_ms <= self.began_ms
    }

    /// Reads a run, if there is another one.
    fn read_next(&mut self, storage: &Storage) -> bool {
        if self.read > REPORTS_SEARCHED {
            return false;
        }
        let Some(record) = self.unread.pop_front() else { return false };
        let jobs = storage.jobs(record.id).unwrap_or_else(|error| {
            tracing::warn!(run = record.id.0, %error, "nothing is known of an earlier run");
            Vec::new()
        });
        self.read += jobs.len();
        for report in jobs {
            if !self.had_ended(&record, &report) {
                continue;
            }
            if !self.by_job.contains_key(&report.job) {
                self.by_job.insert(report.job.clone(), (record.id, JobReport { log: Vec::new(), ..report }));
            }
        }
        true
    }

    /// Why a job was executed in `run`; none if it was not.
    pub(crate) fn why(&mut self, storage: &Storage, run: &RunRecord, report: &JobReport) -> Option<Reason> {
        if !is_executed(report) {
            return None;
        }
        Some(self.reason(storage, run.setup.as_ref().is_some_and(|setup| setup.fresh), report))
    }

    /// Why a job is executed whose result is not taken from the store.
    pub(crate) fn reason(&mut self, storage: &Storage, fresh: bool, report: &JobReport) -> Reason {
        self.reason_for(storage, fresh, report, || action_of(storage, report))
    }

    /// The same, where what it is asked to do may not be in the store.
    pub(crate) fn reason_for(
        &mut self,
        storage: &Storage,
        fresh: bool,
        report: &JobReport,
        action: impl FnOnce() -> Option<Action>,
    ) -> Reason {
        let earlier = self.report(storage, &report.job).map(|(run, before)| {
            let is_same = before.key == report.key;
            Earlier { run, report: before, action: if is_same { None } else { action_of(storage, before) } }
        });
        let is_new = earlier.as_ref().is_none_or(|earlier| earlier.report.key == report.key);
        let action = if is_new { None } else { action() };
        explain(report, action.as_ref(), earlier.as_ref(), fresh, storage)
    }
}

/// Whether a run was carried out with another store: what it came to was never here.
pub(crate) fn is_imported(record: &RunRecord) -> bool {
    record.setup.as_ref().is_some_and(|setup| setup.imported.is_some())
}

/// What a job was asked to do, if that is still in the store.
pub(crate) fn action_of(storage: &Storage, report: &JobReport) -> Option<Action> {
    storage.action(report.key.as_ref()?).ok().flatten()
}
