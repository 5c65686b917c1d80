//! A run whose events are a stream.
//!
//! Owns: the thread that a run has, and stopping it when nobody listens any more. Does not know: what the events mean.

use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_core::Stream;
use tokio::sync::mpsc;
use wasmill_executor::{Adaptive, BuildOutput, ExecuteError, ExecuteOptions, Loaded, ModuleLoadError, execute, expand};
use wasmill_model::plan::{Diagnostic, Plan};
use wasmill_model::port::Cancel;
use wasmill_model::{Event, RunSummary};

use crate::builder::said;
use crate::mill::Mill;

/// How many events may wait to be taken before the run waits for whoever takes them.
const EVENTS_WAITING: usize = 1_024;

/// How a plan is executed.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Worker threads, and processors that jobs may take together; none means one for each core.
    pub workers: Option<usize>,
    /// Whether there may be fewer workers, and when; none means that there are always as many.
    pub adaptive: Option<Adaptive>,
    /// Memory that the limits of running jobs may come to together, in bytes; none means any.
    pub memory_bytes: Option<u64>,
    /// How long the run may take; it is cancelled then.
    pub timeout: Option<Duration>,
    /// Whether jobs that do not depend on a failed one still run.
    pub keep_going: bool,
    /// Whether recorded failures are tried again.
    pub retry_failed: bool,
    /// Whether recorded results are left aside altogether.
    pub fresh: bool,
    /// Only these jobs and what they need; none of them means all.
    pub select: Vec<String>,
    /// Stops the run: running jobs are interrupted, nothing further starts, what was durable stays.
    pub cancel: Cancel,
}

/// A run did not come to its end, or never began. Jobs that fail are no such error.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The plan's items and jobs do not fit together.
    #[error("the plan cannot be executed: {}", .0.iter().map(said).collect::<Vec<_>>().join("; "))]
    Plan(Vec<Diagnostic>),
    /// A job that was asked for is not in the plan.
    #[error(transparent)]
    UnknownJob(#[from] wasmill_executor::UnknownJob),
    /// A module cannot be had; the first of them.
    #[error(transparent)]
    Module(ModuleLoadError),
    /// The run was stopped.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The host gives no thread, or the run's thread ended by a bug.
    #[error("the run has no thread")]
    Thread(#[source] std::io::Error),
}

/// A run that goes on. It gives its events as a [`Stream`]; while a thousand of them are not taken, the run waits. Where it is dropped
/// before its end, it is cancelled, and comes to its end by itself.
#[derive(Debug)]
pub struct Run {
    events: mpsc::Receiver<Event>,
    thread: Option<JoinHandle<Result<RunSummary, ExecuteError>>>,
    cancel: Cancel,
}

impl Mill {
    /// Executes a plan, whose relative paths start from `base`. Returns once the plan is expanded and its modules are there; jobs are
    /// executed by threads of the run's own.
    ///
    /// # Errors
    /// The plan or a module of it cannot be used.
    pub fn run(&self, plan: Plan, base: impl AsRef<Path>, options: RunOptions) -> Result<Run, RunError> {
        let began = Instant::now();
        let RunOptions { workers, adaptive, memory_bytes, timeout, keep_going, retry_failed, fresh, select, cancel } =
            options;
        let mut graph = expand(plan, base.as_ref()).map_err(RunError::Plan)?;
        if !select.is_empty() {
            graph.select(&select)?;
        }
        let loaded = self
            .load_modules(&graph, BuildOutput::Kept, Loaded::default())
            .map_err(|errors| errors.into_iter().next().map_or_else(|| RunError::Plan(Vec::new()), RunError::Module))?;
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        graph.check_types(&loaded.interfaces).map_err(RunError::Plan)?;
        let modules = loaded.modules;
        let workers = workers.unwrap_or_else(cores).max(1);
        let memory_bytes = memory_bytes.unwrap_or(u64::MAX);
        let ports = self.ports(workers);
        let (tell, events) = mpsc::channel(EVENTS_WAITING);
        // What ends this run is not to end others that the caller has given the same.
        let cancel = cancel.child();
        let cancelled = cancel.clone();
        let options = ExecuteOptions {
            workers,
            memory_bytes,
            machine: Some(self.machine()),
            timeout,
            keep_going,
            retry_failed,
            fresh,
            measuring: false,
            profile: None,
            adaptive,
            lost_after: self.lost_after(),
            cancel: cancelled,
            began,
        };
        let stop = cancel.clone();
        let carry_out = move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ExecuteError::Loop)?;
            // Sending waits for whoever listens, so it is done on this thread and outside of the event loop's own tasks.
            let mut on_event = |event: &Event| {
                let mut event = event.clone();
                while let Err(refused) = tell.try_send(event) {
                    match refused {
                        mpsc::error::TrySendError::Full(again) => event = again,
                        mpsc::error::TrySendError::Closed(_) => {
                            // Nobody will ask for what comes of it.
                            stop.cancel();
                            return;
                        }
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            };
            runtime.block_on(execute(graph, modules, ports, options, &mut on_event))
        };
        let thread = std::thread::Builder::new().name("wasmill-run".to_owned()).spawn(carry_out);
        Ok(Run { events, thread: Some(thread.map_err(RunError::Thread)?), cancel })
    }
}

impl Run {
    /// The next event; none after the last. For those who have no event loop; not to be called in one.
    pub fn wait(&mut self) -> Option<Event> {
        self.events.blocking_recv()
    }

    /// Stops the run: running jobs are interrupted and nothing further starts. What was durable stays.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Waits for the end, whatever events there are still, and returns what the run came to. For those who have no event loop; not to be
    /// called in one.
    ///
    /// # Errors
    /// What stopped the run as a whole.
    pub fn finish(mut self) -> Result<RunSummary, RunError> {
        while self.wait().is_some() {}
        self.result()
    }

    /// As [`Run::finish`], in an event loop.
    ///
    /// # Errors
    /// What stopped the run as a whole.
    pub async fn ended(mut self) -> Result<RunSummary, RunError> {
        while self.events.recv().await.is_some() {}
        self.result()
    }

    /// What came of it. There are no more events, so its thread is ending.
    fn result(mut self) -> Result<RunSummary, RunError> {
        let ended = self.thread.take().map(JoinHandle::join);
        match ended {
            Some(Ok(summary)) => Ok(summary?),
            _ => Err(RunError::Thread(std::io::Error::other("it panicked; this is a bug in wasmill"))),
        }
    }
}

impl Stream for Run {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.events.poll_recv(context)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.cancel.cancel();
            self.events.close();
        }
    }
}
