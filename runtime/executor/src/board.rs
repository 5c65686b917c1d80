//! Where worker threads find what to do next: whoever ends a job is told the next one in the same moment.
//!
//! Owns: the one lock around the scheduler, outputs that wait to be saved, and threads that have nothing to do. Does not
//! know: how work is done, or who is told about it.
//!
//! No thread stands between two jobs that follow each other: handing a job from one thread to another costs 5 to 50 µs,
//! which is more than many a job takes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::graph::{Graph, JobId};
use crate::inbox::Outbox;
use crate::scheduler::{Command, Ending, Scheduler, Signal};
use crate::worker::{Message, Task};
use crate::workers::{Desk, How, Lost};

/// The work of one run.
pub(crate) struct Board {
    state: Mutex<State>,
    /// There may be something to do.
    work: Condvar,
    /// The scheduler starts nothing further. For those who do not have the lock.
    stopping: AtomicBool,
}

/// How an attempt ended.
pub(crate) struct Told {
    pub(crate) job: JobId,
    pub(crate) ending: Ending,
    /// The same, for the dispatcher. None: it is given back, to be taken again at once.
    pub(crate) message: Option<Message>,
}

struct State {
    scheduler: Scheduler,
    /// Jobs whose outputs are to be copied to the host.
    saves: VecDeque<JobId>,
    idle: usize,
    is_closed: bool,
    /// It has been said that nothing can happen any more.
    is_stuck: bool,
}

impl State {
    fn take(&mut self) -> Option<Task> {
        self.saves.pop_front().map(Task::Save).or_else(|| self.scheduler.take().map(Task::Execute))
    }

    fn has_next(&self) -> bool {
        !self.saves.is_empty() || self.scheduler.has_next()
    }
}

impl Board {
    pub(crate) fn new(scheduler: Scheduler) -> Self {
        let state = State { scheduler, saves: VecDeque::new(), idle: 0, is_closed: false, is_stuck: false };
        Self { state: Mutex::new(state), work: Condvar::new(), stopping: AtomicBool::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells how attempts ended, and waits for the next task. None: there will be no more. What there is to say of it is sent
    /// before any other thread can take what it set free.
    /// A thread that was given up is not heard, and has nothing more to do.
    pub(crate) fn next(&self, ended: &mut Vec<Told>, desk: &Desk, outbox: &mut Outbox<'_, Message>) -> Option<Task> {
        let mut state = self.state();
        if desk.is_given_up() {
            return None;
        }
        for Told { job, ending, message } in ended.drain(..) {
            let mut commands = Vec::new();
            state.scheduler.on(Signal::Ended(job, ending), &mut commands);
            if state.scheduler.is_stopping() {
                self.stopping.store(true, Ordering::Release);
            }
            match message {
                Some(message) => outbox.post(message),
                None => state.scheduler.on(Signal::Due(job), &mut commands),
            }
            commands.into_iter().for_each(|command| outbox.post(Message::Unstarted(command)));
        }
        outbox.flush();
        desk.put(None);
        loop {
            if let Some(task) = state.take() {
                desk.put(Some(task));
                // The one that is woken wakes the next.
                if state.idle > 0 && state.has_next() {
                    self.work.notify_one();
                }
                return Some(task);
            }
            if state.is_closed {
                return None;
            }
            if state.scheduler.is_stuck() && !std::mem::replace(&mut state.is_stuck, true) {
                outbox.post(Message::Stuck);
            }
            outbox.flush_and_wake();
            state.idle += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Takes more jobs to be executed together with one that a thread has in hand; see [`Scheduler::take_also`].
    pub(crate) fn take_also(
        &self,
        job: JobId,
        at_most: usize,
        fits: impl Fn(JobId) -> bool,
        desk: &Desk,
    ) -> Vec<JobId> {
        let mut state = self.state();
        if desk.is_given_up() {
            return Vec::new();
        }
        let also = state.scheduler.take_also(job, at_most, fits);
        desk.put_also(&also);
        also
    }

    /// Whether nothing further is to be begun: neither jobs, nor what of a job was taken already.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Has a job's outputs saved.
    pub(crate) fn save(&self, job: JobId) {
        let mut state = self.state();
        state.saves.push_back(job);
        if state.idle > 0 {
            self.work.notify_one();
        }
    }

    /// Takes in what has been added to the graph. Returns what becomes of those that will never start. Whoever opened them has
    /// not said yet that it ended.
    pub(crate) fn grow(&self, graph: &Graph, closer: JobId) -> Vec<Command> {
        let mut commands = Vec::new();
        let mut state = self.state();
        state.scheduler.grow(graph, closer, |id| graph.demand(id), &mut commands);
        if state.idle > 0 && state.has_next() {
            self.work.notify_one();
        }
        commands
    }

    /// Gives a thread up that is lost, and says what it had in hand and what becomes of those jobs that will never start because of
    /// that. None: it had nothing, or has come back.
    pub(crate) fn give_up(&self, lost: &Lost) -> Option<(Vec<Task>, Vec<Command>)> {
        let mut state = self.state();
        let task = lost.desk.task().filter(|task| match lost.how {
            How::Panicked => true,
            How::Stuck(in_hand) => in_hand == *task,
        })?;
        let mut tasks = vec![task];
        tasks.extend(lost.desk.give_up().into_iter().map(Task::Execute));
        let mut commands = Vec::new();
        for task in &tasks {
            if let Task::Execute(job) = task {
                state.scheduler.on(Signal::Ended(*job, Ending::Failed), &mut commands);
            }
        }
        if state.scheduler.is_stopping() {
            self.stopping.store(true, Ordering::Release);
        }
        Some((tasks, commands))
    }

    /// Changes how many workers there are; see [`Scheduler::set_workers`].
    pub(crate) fn set_workers(&self, workers: usize) -> usize {
        let mut state = self.state();
        let workers = state.scheduler.set_workers(u64::try_from(workers).unwrap_or(u64::MAX));
        if state.idle > 0 && state.has_next() {
            self.work.notify_one();
        }
        usize::try_from(workers).unwrap_or(usize::MAX)
    }

    /// Whether jobs wait for something that others have.
    pub(crate) fn has_waiting(&self) -> bool {
        self.state().scheduler.ready() > 0
    }

    /// How many workers there are, how many of them have nothing to do, and how many jobs could start.
    pub(crate) fn load(&self) -> (usize, usize, usize) {
        let state = self.state();
        let (workers, idle) = state.scheduler.workers();
        (workers, idle, state.scheduler.ready())
    }

    /// Says how long jobs are expected to take.
    pub(crate) fn expect(&self, graph: &Graph, expected: impl Fn(JobId) -> u64) {
        self.state().scheduler.expect(graph, expected);
    }

    /// Lets a job be tried again.
    pub(crate) fn due(&self, job: JobId) {
        let mut state = self.state();
        state.scheduler.on(Signal::Due(job), &mut Vec::new());
        if state.idle > 0 && state.has_next() {
            self.work.notify_one();
        }
    }

    /// Nothing further is started. Returns what becomes of the rest.
    pub(crate) fn cancel(&self) -> Vec<Command> {
        let mut commands = Vec::new();
        self.state().scheduler.on(Signal::Cancel, &mut commands);
        self.stopping.store(true, Ordering::Release);
        commands
    }

    /// Threads end once they have nothing to do.
    pub(crate) fn close(&self) {
        self.state().is_closed = true;
        self.work.notify_all();
    }
}
