//! The threads of a run, and what each of them has in hand.
//!
//! Owns: starting them, noticing that one is lost, and having another one take its place. Does not know: what tasks are for, or what
//! becomes of the one that a lost thread had.
//!
//! A thread is lost if it ended by a panic that nothing caught, or if it does not come back from a job long after the
//! sandbox should have stopped that. Neither can happen without a bug; but a run that others wait for should say so, and go on.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::graph::JobId;
use crate::shared::Shared;
use crate::worker::{STACK_BYTES, Task, work};

/// What a thread has in hand, for others to see.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// Its thread's place among those of the run.
    pub(crate) number: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    task: Option<Task>,
    /// Jobs that are executed together with that one.
    also: Vec<JobId>,
    is_given_up: bool,
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its thread begins something, or has ended it.
    pub(crate) fn put(&self, task: Option<Task>) {
        let mut state = self.state();
        state.task = task;
        state.also.clear();
    }

    /// Its thread does these together with what it has in hand.
    pub(crate) fn put_also(&self, jobs: &[JobId]) {
        self.state().also.extend_from_slice(jobs);
    }

    /// Whether its thread was given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.state().is_given_up
    }

    /// What its thread has in hand.
    pub(crate) fn task(&self) -> Option<Task> {
        self.state().task
    }

    /// The jobs that its thread executes.
    fn jobs(&self) -> Vec<JobId> {
        let state = self.state();
        let first = match state.task {
            Some(Task::Execute(job)) => Some(job),
            Some(Task::Save(_)) | None => None,
        };
        first.into_iter().chain(state.also.iter().copied()).collect()
    }

    /// Nothing that its thread does from now on counts. Returns what it does together with what it has in hand.
    pub(crate) fn give_up(&self) -> Vec<JobId> {
        let mut state = self.state();
        state.is_given_up = true;
        std::mem::take(&mut state.also)
    }
}

struct Worker {
    thread: JoinHandle<()>,
    desk: Arc<Desk>,
    /// Since when it should have come back. Where everything stood still, as somebody stopped the process, it has a moment.
    overdue: Option<Instant>,
}

/// For how long a thread has to be overdue, seen by somebody who runs, before it is lost.
const OVERDUE_MAX: Duration = Duration::from_secs(5);

/// The threads of a run.
pub(crate) struct Workers {
    threads: Vec<Worker>,
    started: usize,
    lost_after: Duration,
}

/// A thread that seems to be lost.
pub(crate) struct Lost {
    pub(crate) desk: Arc<Desk>,
    pub(crate) how: How,
}

/// How a thread is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It has ended.
    Panicked,
    /// It does not come back from this.
    Stuck(Task),
}

impl Workers {
    /// So many threads. One is lost that does not come back from a job so long after the job's time was over.
    pub(crate) fn of(shared: &Arc<Shared>, count: usize, lost_after: Duration) -> io::Result<Self> {
        let mut workers = Self { threads: Vec::new(), started: 0, lost_after };
        (0..count).try_for_each(|_| workers.start(shared)).inspect_err(|_| {
            shared.board.cancel();
            shared.board.close();
        })?;
        Ok(workers)
    }

    /// Starts one more.
    pub(crate) fn start(&mut self, shared: &Arc<Shared>) -> io::Result<()> {
        let number = u32::try_from(self.started).unwrap_or(u32::MAX);
        let desk = Arc::new(Desk { number, ..Desk::default() });
        let (theirs, shared) = (Arc::clone(&desk), Arc::clone(shared));
        let thread = Builder::new().name(format!("worker-{}", self.started)).stack_size(STACK_BYTES);
        let thread = thread.spawn(move || work(&shared, &theirs))?;
        self.started += 1;
        self.threads.push(Worker { thread, desk, overdue: None });
        Ok(())
    }

    /// Those that seem to be lost. To be called while the run goes on.
    pub(crate) fn lost(&mut self, shared: &Shared) -> Vec<Lost> {
        let (now, now_ns) = (Instant::now(), shared.elapsed_ns());
        let lost_after = self.lost_after;
        let is_overdue = |job: &JobId| {
            let since_ns = shared.progress[job.index()].runs_since_ns.load(Ordering::Acquire);
            let timeout = Duration::from_millis(shared.graph.spec(*job).timeout.wall_ms);
            let ran = Duration::from_nanos(now_ns.saturating_sub(since_ns));
            since_ns > 0 && ran > timeout.saturating_add(lost_after)
        };
        let how = |worker: &mut Worker| {
            if worker.thread.is_finished() {
                return Some(How::Panicked);
            }
            let task = worker.desk.task().filter(|_| worker.desk.jobs().iter().any(is_overdue));
            let since = *worker.overdue.get_or_insert(now);
            if task.is_none() {
                worker.overdue = None;
            }
            task.filter(|_| now.saturating_duration_since(since) >= OVERDUE_MAX.min(lost_after)).map(How::Stuck)
        };
        let lost = |worker: &mut Worker| Some(Lost { how: how(worker)?, desk: Arc::clone(&worker.desk) });
        self.threads.iter_mut().filter_map(lost).collect()
    }

    /// Starts another one in the place of one that is lost, for which nobody waits from now on.
    pub(crate) fn replace(&mut self, lost: &Lost, shared: &Arc<Shared>) -> io::Result<()> {
        self.threads.retain(|worker| !Arc::ptr_eq(&worker.desk, &lost.desk));
        self.start(shared)
    }

    /// Waits for the end of those that are not lost. They have been told that there is nothing more to do.
    pub(crate) fn join(self) {
        for worker in self.threads {
            // What it had in hand was heard of, or the run ends with an error.
            let _ = worker.thread.join();
        }
    }
}
