//! A run once more without executing anything: what came to be in it comes to be again, as far as results are recorded.
//!
//! Owns: what takes the place of a runner and of the history. Does not know: whose run it is.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use wasmill_model::port::{Cancel, Execution, OnDurable, Request, RunLog, Runner, RunnerError, StoreError, Traits};
use wasmill_model::{Action, ActionKey, Event, JobReport, RunId, RunRecord, RunStart};

use crate::dispatcher::carry_out;
use crate::error::ExecuteError;
use crate::graph::{Graph, JobId, Role};
use crate::modules::LoadedModules;
use crate::options::{ExecuteOptions, LOST_AFTER, Ports};
use crate::repeat::Beginning;
use crate::scheduler::Needs as _;

/// Lets a graph grow as it did in a run whose results are recorded. What is not recorded is not executed: `on_event` hears of
/// it as a job in error with its action key, and of what needs it as skipped.
///
/// # Errors
/// As of [`crate::execute`].
pub async fn rehearse(
    graph: Graph,
    modules: LoadedModules,
    ports: Ports,
    accepts: Accepts,
    on_event: &mut (dyn FnMut(&Event) + Send),
) -> Result<Rehearsed, ExecuteError> {
    let runner = Arc::new(Nobody { traits: ports.runner.traits(), asked: Mutex::default() });
    let options = ExecuteOptions {
        workers: std::thread::available_parallelism().map_or(1, usize::from),
        adaptive: None,
        memory_bytes: u64::MAX,
        machine: None,
        timeout: None,
        keep_going: true,
        retry_failed: accepts.retry_failed,
        fresh: accepts.fresh,
        measuring: false,
        profile: None,
        cancel: Cancel::new(),
        lost_after: LOST_AFTER,
        began: Instant::now(),
    };
    let nobody = Arc::clone(&runner);
    let ports = Ports { runner, runs: Arc::new(NoHistory), ..ports };
    let beginning = Beginning::of(&graph, &modules, &ports, &options)?;
    let (graph, _) = carry_out(graph, modules, beginning, ports, options, on_event).await?;
    let mut asked = nobody.asked.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Rehearsed { graph, unrecorded: std::mem::take(&mut asked) })
}

/// What came of a rehearsal.
#[derive(Debug)]
pub struct Rehearsed {
    /// The graph, as far as it grew.
    pub graph: Arc<Graph>,
    /// What would have been executed.
    pub unrecorded: HashMap<ActionKey, Action>,
}

/// What is said of a job that would have been executed, as the last of its errors.
pub const NOT_RECORDED: &str = "only what is recorded is looked up";

/// Which recorded results count.
#[derive(Debug, Clone, Copy, Default)]
pub struct Accepts {
    /// No failures.
    pub retry_failed: bool,
    /// None at all.
    pub fresh: bool,
}

/// Executes nothing, and remembers what it was asked for.
struct Nobody {
    traits: Traits,
    asked: Mutex<HashMap<ActionKey, Action>>,
}

impl Runner for Nobody {
    fn run(&self, request: Request<'_>, _: &Cancel) -> Result<Execution, RunnerError> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert(request.key, request.action.clone());
        Err(RunnerError::Host { doing: "execute anything", source: NOT_RECORDED.into() })
    }

    fn traits(&self) -> Traits {
        self.traits.clone()
    }
}

/// Remembers nothing.
struct NoHistory;

impl RunLog for NoHistory {
    fn begin(&self, _: &RunStart) -> Result<RunId, StoreError> {
        Ok(RunId(0))
    }

    fn append(&self, _: RunId, _: &[JobReport]) -> Result<(), StoreError> {
        Ok(())
    }

    fn end(&self, _: &RunRecord, on_durable: OnDurable) -> Result<(), StoreError> {
        on_durable(Ok(()));
        Ok(())
    }

    fn runs(&self, _: usize) -> Result<Vec<RunRecord>, StoreError> {
        Ok(Vec::new())
    }

    fn run(&self, _: RunId) -> Result<Option<RunRecord>, StoreError> {
        Ok(None)
    }

    fn own_jobs(&self, run: RunId) -> Result<Vec<JobReport>, StoreError> {
        self.jobs(run)
    }

    fn jobs(&self, _: RunId) -> Result<Vec<JobReport>, StoreError> {
        Ok(Vec::new())
    }
}

impl Graph {
    /// Every job there is, those that came to be after what opened them, with what each of them waited for. What came to be waited
    /// for its opener, and what took from that for the last of what came to be.
    pub fn grown(&self) -> Vec<(JobId, BTreeSet<JobId>)> {
        let is_seen = |id: &JobId| !matches!(self.job(*id).role, Role::Close { .. });
        let added = |closer: JobId| {
            let grown = self.job(closer).grown.get();
            let range = grown.map_or(0..0, |grown| grown.added.clone());
            range.map(JobId).filter(is_seen)
        };
        let seen: Vec<BTreeSet<JobId>> = self.nodes().map(|id| self.needs(id).into_iter().collect()).collect();
        let mut behind: HashMap<JobId, Vec<JobId>> = HashMap::new();
        for id in self.nodes() {
            self.job(id).needs.iter().for_each(|needed| behind.entry(*needed).or_default().push(id));
        }
        let mut needs = seen.clone();
        for closer in self.nodes() {
            let Role::Close { opener } = self.job(closer).role else { continue };
            let all: BTreeSet<JobId> = added(closer).collect();
            let needed: BTreeSet<JobId> = all.iter().flat_map(|id| &seen[id.index()]).copied().collect();
            for id in all.iter().filter(|id| seen[id.index()].is_disjoint(&all)) {
                needs[id.index()].insert(opener);
            }
            for id in behind.get(&closer).into_iter().flatten() {
                needs[id.index()].extend(all.difference(&needed));
            }
        }
        let of = |id: JobId| (id, std::mem::take(&mut needs[id.index()]));
        self.nodes().filter(is_seen).map(of).collect()
    }
}
