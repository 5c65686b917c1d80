//! What the threads of one run share, and the dispatcher with them.
//!
//! Owns: that there is one of each for a run. Does not know: what any of it is used for.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use wasmill_model::port::{Cancel, StoreError, Traits};
use wasmill_model::{ActionRecord, Digest, RunRecord, RunSummary};

use crate::batches::Batches;
use crate::board::Board;
use crate::durations::Durations;
use crate::flight::Flights;
use crate::graph::Graph;
use crate::import::Importer;
use crate::inbox::Inbox;
use crate::machine::Machine;
use crate::modules::LoadedModules;
use crate::narrow::Rest;
use crate::options::{ExecuteOptions, Ports};
use crate::progress::Progress;
use crate::races::Races;
use crate::resolve::Resolver;
use crate::scheduler::{Needs as _, Scheduler};
use crate::worker::Message;

/// What the threads of one run share.
pub(crate) struct Shared {
    pub(crate) graph: Arc<Graph>,
    pub(crate) modules: LoadedModules,
    pub(crate) ports: Ports,
    pub(crate) importer: Importer,
    pub(crate) progress: boxcar::Vec<Progress>,
    pub(crate) board: Board,
    pub(crate) flights: Flights,
    pub(crate) races: Races,
    pub(crate) batches: Batches,
    pub(crate) inbox: Arc<Inbox<Message>>,
    pub(crate) cancel: Cancel,
    pub(crate) machine: Option<Arc<Machine>>,
    pub(crate) retry_failed: bool,
    pub(crate) fresh: bool,
    pub(crate) began: Instant,
    /// When jobs could begin, in nanoseconds since the run began: plans and modules are loaded before.
    pub(crate) started_ns: u64,
    /// The most workers.
    pub(crate) workers: usize,
    /// How long jobs took in earlier runs, once that is known.
    pub(crate) durations: OnceLock<Durations>,
    /// What of the runner can decide a result.
    pub(crate) traits: Traits,
    /// What everything that is logged of the run is in; its number is that of the record.
    pub(crate) span: tracing::Span,
}

impl Shared {
    /// What the threads of a run of `graph` begin with.
    pub(crate) fn new(
        graph: Graph,
        rest: Rest,
        modules: LoadedModules,
        ports: Ports,
        options: &ExecuteOptions,
        span: tracing::Span,
    ) -> Self {
        let started_ns = u64::try_from(options.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let progress: boxcar::Vec<Progress> = graph.nodes().map(|_| Progress::default()).collect();
        for (job, result) in rest.results {
            progress[job.index()].is_known(result.as_ref(), started_ns);
        }
        let budget = graph.budget(options.workers.max(1), options.memory_bytes);
        let scheduler = Scheduler::new(&graph, budget, options.keep_going, |id| graph.demand(id));
        Self {
            board: Board::new(scheduler),
            progress,
            importer: Importer::noting(Arc::clone(&ports.blobs), Arc::clone(&ports.stats), rest.sights),
            modules,
            traits: ports.runner.traits(),
            ports,
            flights: Flights::of(graph.len()),
            races: Races::default(),
            batches: Batches::default(),
            inbox: Arc::new(Inbox::new()),
            cancel: options.cancel.clone(),
            machine: options.machine.clone(),
            retry_failed: options.retry_failed,
            fresh: options.fresh,
            began: options.began,
            started_ns,
            workers: options.workers.max(1),
            durations: OnceLock::new(),
            span,
            graph: Arc::new(graph),
        }
    }

    /// Keeps what the jobs saw of the host, if another run can rely on it: they all succeeded, saw it now, and did all that the
    /// plan says. (Where a run is only there to be measured, they save nothing.)
    pub(crate) fn footprint(&self, run: &RunRecord, summary: &RunSummary) -> Result<Option<Digest>, StoreError> {
        let is_measured = run.setup.as_ref().is_some_and(|setup| setup.measuring);
        if run.snapshot.is_none() || is_measured || self.graph.is_resumed() || !summary.is_success() {
            return Ok(None);
        }
        self.importer.sights().keep(self.ports.blobs.as_ref(), &self.traits)
    }

    pub(crate) fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether a recorded result is good enough for this run.
    pub(crate) fn accepts(&self, record: &ActionRecord) -> bool {
        !self.fresh && (record.result.outcome.is_success() || !self.retry_failed)
    }

    pub(crate) fn resolver(&self) -> Resolver<'_> {
        Resolver {
            graph: &self.graph,
            modules: &self.modules,
            progress: &self.progress,
            importer: &self.importer,
            blobs: self.ports.blobs.as_ref(),
            traits: &self.traits,
        }
    }
}
