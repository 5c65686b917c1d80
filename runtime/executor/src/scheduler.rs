//! Decides which job is next. A pure state machine: signals in, jobs and commands out; no I/O, no clock, no threads.
//!
//! Owns: the state of every job, the ready queues, what running jobs take of what there is, and what a failure or a
//! cancellation means for the rest. Does not know: what a job does, how long it takes, or who executes it.
//!
//! A job goes through these states, each at most once unless it is tried again:
//! ```text
//! Waiting ──last dependency succeeded──▶ Ready ──take──▶ Running ──▶ Succeeded | Failed
//!    │                                    │  ▲               │
//!    └── a dependency failed ──▶ Skipped  │  └─ it is due ─ Delayed: it is to be tried again
//!                                         └── the run stops ──▶ Cancelled
//! ```
//!
//! Of the ready jobs that what is free suffices for, the one goes first that has the highest priority, then the longest way
//! behind it. One that needs much could wait forever behind many that need little: after it was passed over
//! [`PASSED_OVER_MAX`] times, nothing that ranks lower takes what it lacks.
//!
//! Where thousands wait for one job, not all of them are looked at when it has ended: a thousand, and a thousand more with each
//! job that is taken.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::vec::IntoIter;

use crate::graph::JobId;

/// Jobs that need each other. Acyclic; more may be added behind those that are there.
pub trait Needs {
    /// How many there are.
    fn count(&self) -> usize;

    /// What one of them needs, ascending, each once.
    fn waits_for(&self, job: JobId) -> &[JobId];

    /// Whether it is to be executed.
    fn is_selected(&self, job: JobId) -> bool;

    /// All of them.
    fn nodes(&self) -> impl Iterator<Item = JobId> + use<Self> {
        (0..self.count()).map(|index| JobId(u32::try_from(index).unwrap_or(u32::MAX)))
    }
}

/// How often a job may be passed over for want of what it needs before those behind it have to wait.
pub(crate) const PASSED_OVER_MAX: u32 = 16;

/// How many of the jobs that wait for one that has ended are looked at at once, if that gives one that can be taken: of a million, the
/// first begins at once, and not after all have been looked at.
const RELEASED_AT_ONCE: usize = if cfg!(test) { 3 } else { 1 << 10 };

/// What the scheduler is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// A job that was taken has ended.
    Ended(JobId, Ending),
    /// A job that was to be tried again may be, from now on.
    Due(JobId),
    /// Nothing further is to be started; what runs will be stopped by whoever sent this.
    Cancel,
}

/// How a job that was taken ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its dependants may start.
    Succeeded,
    /// Its dependants are skipped and, unless the run keeps going, nothing further is started.
    Failed,
    /// It is to be tried again: once it is due.
    Again,
    /// It was stopped or never really began, because the run was cancelled.
    Cancelled,
}

/// What becomes of jobs that will never be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// This job will never start, because one that it needs (`because`) did not succeed.
    Skip {
        /// The job.
        job: JobId,
        /// The job whose failure is the reason.
        because: JobId,
    },
    /// This job will never start, because the run stops.
    Drop(JobId),
}

/// Amounts of what there is only so much of, in the same order for all jobs of a run. What is not mentioned is none.
pub type Amounts = Vec<u64>;

/// What decides when a job may start, beside its dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// What it takes while it runs. Where that is more than there is at all, it takes all there is.
    pub needs: Amounts,
    /// The higher goes first.
    pub priority: i64,
    /// How long it is expected to take, in any unit that is the same for all.
    pub expected: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not part of this run.
    Excluded,
    /// So many of its dependencies have not succeeded yet.
    Waiting(u32),
    Ready,
    Running,
    /// Is executed together with one that is running, and takes nothing by itself.
    Riding,
    /// Was taken before, and waits until it is due again.
    Delayed,
    Succeeded,
    /// Failed, skipped or cancelled.
    Ended,
}

/// What ready jobs are ordered by: priority, the time from here to the end, and the place in the graph.
type Rank = (i64, u64, Reverse<JobId>);

/// Jobs that need the same.
#[derive(Debug)]
struct Class {
    needs: Amounts,
    ready: BinaryHeap<Rank>,
    passed_over: u32,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    class: u32,
    priority: i64,
    /// What is expected of the longest way from here to an end.
    height: u64,
}

/// The state machine. Each job costs O(its edges + log of the ready queue + kinds of needs) over the whole run.
#[derive(Debug)]
pub struct Scheduler {
    states: Vec<State>,
    dependants: Vec<Vec<JobId>>,
    /// What waits for jobs that have succeeded, and was not looked at yet. While there is any, there is a job to take, or no
    /// worker is free.
    releasing: VecDeque<IntoIter<JobId>>,
    places: Vec<Place>,
    classes: Vec<Class>,
    class_of: HashMap<Amounts, u32>,
    budget: Amounts,
    /// What the budget was in the beginning.
    most: Amounts,
    free: Amounts,
    /// Workers that are to go as soon as they are free.
    owed: u64,
    ready: usize,
    running: usize,
    delayed: usize,
    unfinished: usize,
    keep_going: bool,
    stopping: bool,
}

impl Scheduler {
    /// Starts with every job waiting. Jobs that run at the same time never take more than `budget` together.
    pub fn new(graph: &impl Needs, budget: Amounts, keep_going: bool, demand: impl Fn(JobId) -> Demand) -> Self {
        let count = graph.count();
        let mut states = vec![State::Excluded; count];
        let mut dependants = vec![Vec::new(); count];
        let mut unfinished = 0;
        for id in graph.nodes().filter(|id| graph.is_selected(*id)) {
            let mut open = 0;
            // What is not to be executed has ended before.
            for dependency in graph.waits_for(id).iter().filter(|id| graph.is_selected(**id)) {
                dependants[dependency.index()].push(id);
                open += 1;
            }
            states[id.index()] = State::Waiting(open);
            unfinished += 1;
        }
        let mut scheduler = Self {
            states,
            dependants,
            releasing: VecDeque::new(),
            places: Vec::with_capacity(count),
            classes: Vec::new(),
            class_of: HashMap::new(),
            free: budget.clone(),
            most: budget.clone(),
            owed: 0,
            budget,
            ready: 0,
            running: 0,
            delayed: 0,
            unfinished,
            keep_going,
            stopping: false,
        };
        scheduler.place(graph, 0, 0, demand);
        for id in graph.nodes() {
            if scheduler.states[id.index()] == State::Waiting(0) {
                scheduler.make_ready(id);
            }
        }
        scheduler
    }

    /// Adds the jobs that have come to be in `graph` since it last grew, on which `closer` waits from now on. What becomes of
    /// those that will never start is appended to `commands`. Whoever opened them is running, so `closer` has not been taken.
    pub fn grow(
        &mut self,
        graph: &impl Needs,
        closer: JobId,
        demand: impl Fn(JobId) -> Demand,
        commands: &mut Vec<Command>,
    ) {
        let first = self.states.len();
        let added: Vec<JobId> = graph.nodes().skip(first).collect();
        self.dependants.resize_with(first + added.len(), Vec::new);
        let mut lost = Vec::new();
        for id in &added {
            let mut open = 0;
            for needed in graph.waits_for(*id) {
                match self.states.get(needed.index()) {
                    Some(State::Succeeded) => {}
                    Some(State::Ended | State::Excluded) => lost.push((*id, *needed)),
                    _ => {
                        open += 1;
                        self.dependants[needed.index()].push(*id);
                    }
                }
            }
            self.states.push(State::Waiting(open));
            self.dependants[id.index()].push(closer);
        }
        // What is added may need what comes after it.
        self.unfinished += added.len();
        if let State::Waiting(open) = &mut self.states[closer.index()] {
            *open += u32::try_from(added.len()).unwrap_or(u32::MAX);
        }
        self.place(graph, first, self.places[closer.index()].height, demand);
        for (job, because) in lost {
            if matches!(self.states[job.index()], State::Waiting(_)) {
                self.end(job);
                commands.push(Command::Skip { job, because });
                self.skip_dependants(job, commands);
            }
        }
        for id in added {
            if self.stopping && matches!(self.states[id.index()], State::Waiting(_)) {
                self.end(id);
                commands.push(Command::Drop(id));
            } else if self.states[id.index()] == State::Waiting(0) {
                self.make_ready(id);
            }
        }
        self.release_some();
    }

    /// Says how long jobs are expected to take, now that it is known: of those that could start, the one with the longest way behind
    /// it goes first.
    pub fn expect(&mut self, graph: &impl Needs, expected: impl Fn(JobId) -> u64) {
        let heights = self.heights(graph, 0, 0, expected);
        for (place, height) in self.places.iter_mut().zip(heights) {
            place.height = height;
        }
        let places = &self.places;
        for class in &mut self.classes {
            let rank = |(priority, _, job): Rank| (priority, places[job.0.index()].height, job);
            class.ready = class.ready.drain().map(rank).collect();
        }
        self.release_some();
    }

    /// Finds out where the jobs from `first` on stand in the order in which jobs are taken. Behind the last of them there is
    /// a way of the length `behind`.
    fn place(&mut self, graph: &impl Needs, first: usize, behind: u64, demand: impl Fn(JobId) -> Demand) {
        let heights = self.heights(graph, first, behind, |id| demand(id).expected);
        for (id, height) in graph.nodes().skip(first).zip(heights) {
            let Demand { needs, priority, .. } = demand(id);
            let class = self.class_of.get(&needs).copied().unwrap_or_else(|| {
                let class = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
                let taken: Amounts = needs.iter().zip(&self.most).map(|(needed, all)| *needed.min(all)).collect();
                let workers = taken.first().copied();
                self.classes.push(Class { needs: taken, ready: BinaryHeap::new(), passed_over: 0 });
                if workers > self.budget.first().copied() {
                    self.set_workers(workers.unwrap_or(0));
                }
                self.class_of.insert(needs, class);
                class
            });
            self.places.push(Place { class, priority, height });
        }
    }

    /// What is expected of the longest way from each job, from `first` on, to one that nothing depends on, itself included.
    fn heights(&self, graph: &impl Needs, first: usize, behind: u64, expected: impl Fn(JobId) -> u64) -> Vec<u64> {
        let dependants = self.dependants.get(first..).unwrap_or_default();
        let mut heights = vec![behind; dependants.len()];
        // What has ended is behind nothing any more.
        let is_open = |id: JobId| !matches!(self.states[id.index()], State::Excluded | State::Succeeded | State::Ended);
        let among = |id: JobId| id.index().checked_sub(first).filter(|_| is_open(id));
        let mut open: Vec<usize> =
            dependants.iter().map(|ids| ids.iter().filter(|id| among(**id).is_some()).count()).collect();
        let is_end = |id: &JobId| among(*id).is_some_and(|at| open[at] == 0);
        // Somebody may be about to add more to the graph.
        let nodes = graph.nodes().take(self.states.len()).skip(first);
        let mut queue: Vec<JobId> = nodes.filter(is_end).collect();
        while let Some(job) = queue.pop() {
            let Some(at) = among(job) else { continue };
            heights[at] = heights[at].saturating_add(expected(job).max(1));
            let height = heights[at];
            for dependency in graph.waits_for(job).iter().filter_map(|id| Some((*id, among(*id)?))) {
                let (dependency, at) = dependency;
                heights[at] = heights[at].max(height);
                open[at] -= 1;
                if open[at] == 0 {
                    queue.push(dependency);
                }
            }
        }
        heights
    }

    /// Whether [`Scheduler::take`] gives a job.
    pub fn has_next(&self) -> bool {
        self.first().is_some()
    }

    /// The job to start now, if what is free suffices for any. Whoever takes it says how it ended.
    pub fn take(&mut self) -> Option<JobId> {
        let (rank, index) = self.first()?;
        for (other, class) in self.classes.iter_mut().enumerate() {
            if other != index && class.ready.peek().is_some_and(|other| *other > rank) {
                class.passed_over += 1;
            }
        }
        let class = &mut self.classes[index];
        class.ready.pop();
        class.passed_over = 0;
        class.needs.iter().zip(&mut self.free).for_each(|(needed, free)| *free -= needed);
        let Reverse(job) = rank.2;
        self.states[job.index()] = State::Running;
        self.ready -= 1;
        self.running += 1;
        self.release_some();
        Some(job)
    }

    /// Jobs to be executed together with one that was taken, one after the other: of those that are next among what needs the
    /// same, as long as `fits`, at most so many, and no more than what leaves as many for each of the other workers. They take nothing
    /// beside what that one has. Whoever takes them says how each ended.
    pub fn take_also(&mut self, job: JobId, at_most: usize, fits: impl Fn(JobId) -> bool) -> Vec<JobId> {
        let class = self.places[job.index()].class as usize;
        let workers = self.budget.first().map_or(1, |workers| usize::try_from(*workers).unwrap_or(usize::MAX).max(1));
        let ready = &mut self.classes[class].ready;
        let at_most = at_most.min(ready.len() / workers);
        let mut taken = Vec::new();
        while taken.len() < at_most
            && let Some((.., Reverse(next))) = ready.peek().copied().filter(|(.., Reverse(next))| fits(*next))
        {
            ready.pop();
            self.states[next.index()] = State::Riding;
            taken.push(next);
        }
        self.ready -= taken.len();
        self.running += taken.len();
        self.release_some();
        taken
    }

    /// The job to start next, and its class.
    fn first(&self) -> Option<(Rank, usize)> {
        if self.ready == 0 {
            return None;
        }
        let ranked = |class: &Class| class.ready.peek().copied();
        let first = self.classes.iter().enumerate().filter_map(|(index, class)| {
            let rank = ranked(class).filter(|_| self.lacks(class).next().is_none())?;
            // What is taken of something else keeps nobody waiting.
            let mut patient = self.classes.iter().filter(|other| {
                other.passed_over >= PASSED_OVER_MAX && ranked(other).is_some_and(|other| other > rank)
            });
            let is_kept = patient.any(|other| self.lacks(other).any(|lacking| class.needs.get(lacking) > Some(&0)));
            (!is_kept).then_some((rank, index))
        });
        first.max()
    }

    /// What there is not enough of for a class.
    fn lacks(&self, class: &Class) -> impl Iterator<Item = usize> {
        let amounts = class.needs.iter().zip(&self.free).enumerate();
        amounts.filter(|(_, (needed, free))| needed > free).map(|(index, _)| index)
    }

    /// Takes in what happened and says what becomes of jobs that will never start, appending to `commands`.
    ///
    /// A signal about a job that is not running changes nothing.
    pub fn on(&mut self, signal: Signal, commands: &mut Vec<Command>) {
        match signal {
            Signal::Cancel => self.stop(commands),
            Signal::Due(job) if self.states[job.index()] == State::Delayed => {
                self.delayed -= 1;
                self.make_ready(job);
            }
            Signal::Due(_) => {}
            Signal::Ended(job, ending) => {
                let state = self.states[job.index()];
                if !matches!(state, State::Running | State::Riding) {
                    return;
                }
                self.running -= 1;
                if state == State::Running {
                    let class = &self.classes[self.places[job.index()].class as usize];
                    class.needs.iter().zip(&mut self.free).for_each(|(needed, free)| *free += needed);
                    self.pay();
                }
                match ending {
                    Ending::Again => {}
                    Ending::Succeeded => self.end_as(job, State::Succeeded),
                    Ending::Failed | Ending::Cancelled => self.end(job),
                }
                match ending {
                    Ending::Again if self.stopping => {
                        self.end(job);
                        commands.push(Command::Drop(job));
                    }
                    Ending::Again => {
                        self.delayed += 1;
                        self.states[job.index()] = State::Delayed;
                    }
                    Ending::Succeeded => {
                        self.releasing.push_back(std::mem::take(&mut self.dependants[job.index()]).into_iter());
                    }
                    Ending::Failed => {
                        self.skip_dependants(job, commands);
                        if !self.keep_going {
                            self.stop(commands);
                        }
                    }
                    Ending::Cancelled => self.stop(commands),
                }
            }
        }
        self.release_some();
    }

    /// Changes how many workers there are, the first amount of the budget; where that is fewer, as soon as they are free. Never
    /// fewer than what a single job needs. Returns how many there are.
    pub fn set_workers(&mut self, workers: u64) -> u64 {
        let least = self.classes.iter().filter_map(|class| class.needs.first().copied()).max().unwrap_or(0);
        let workers = workers.max(least).max(1);
        if let (Some(budget), Some(free)) = (self.budget.first_mut(), self.free.first_mut()) {
            *free += workers.saturating_sub(*budget);
            self.owed += budget.saturating_sub(workers);
            *budget = workers;
        }
        self.pay();
        self.release_some();
        workers
    }

    /// How many workers there are, and how many of them have nothing to do.
    pub fn workers(&self) -> (usize, usize) {
        let first = |amounts: &Amounts| usize::try_from(amounts.first().copied().unwrap_or(0)).unwrap_or(usize::MAX);
        (first(&self.budget), first(&self.free))
    }

    fn pay(&mut self) {
        if let Some(free) = self.free.first_mut() {
            let paid = self.owed.min(*free);
            (*free, self.owed) = (*free - paid, self.owed - paid);
        }
    }

    /// Whether nothing further is started.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether nothing will happen any more though jobs have not ended: they wait for each other.
    pub fn is_stuck(&self) -> bool {
        self.unfinished > 0 && self.running == 0 && self.ready == 0 && self.delayed == 0
    }

    /// Whether every job has ended.
    pub fn is_done(&self) -> bool {
        self.unfinished == 0
    }

    /// How many jobs are taken and not ended.
    pub fn running(&self) -> usize {
        self.running
    }

    /// How many jobs could start if there was enough of everything.
    pub fn ready(&self) -> usize {
        self.ready
    }

    fn make_ready(&mut self, job: JobId) {
        self.states[job.index()] = State::Ready;
        let Place { class, priority, height } = self.places[job.index()];
        self.classes[class as usize].ready.push((priority, height, Reverse(job)));
        self.ready += 1;
    }

    /// Goes on until enough was looked at, and something can be taken if anything can.
    fn release_some(&mut self) {
        let mut left = RELEASED_AT_ONCE;
        while let Some(dependants) = self.releasing.front_mut() {
            let Some(dependant) = dependants.next() else {
                self.releasing.pop_front();
                continue;
            };
            left -= 1;
            if let State::Waiting(missing) = self.states[dependant.index()] {
                self.states[dependant.index()] = State::Waiting(missing - 1);
                if missing == 1 {
                    self.make_ready(dependant);
                }
            }
            if left == 0 {
                if self.free.first() == Some(&0) || self.has_next() {
                    return;
                }
                left = RELEASED_AT_ONCE;
            }
        }
    }

    fn skip_dependants(&mut self, because: JobId, commands: &mut Vec<Command>) {
        let mut queue = vec![because];
        while let Some(failed) = queue.pop() {
            for dependant in std::mem::take(&mut self.dependants[failed.index()]) {
                if matches!(self.states[dependant.index()], State::Waiting(_)) {
                    self.end(dependant);
                    commands.push(Command::Skip { job: dependant, because });
                    queue.push(dependant);
                }
            }
        }
    }

    fn stop(&mut self, commands: &mut Vec<Command>) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        self.releasing.clear();
        self.classes.iter_mut().for_each(|class| class.ready.clear());
        self.ready = 0;
        self.delayed = 0;
        for index in 0..self.states.len() {
            if matches!(self.states[index], State::Waiting(_) | State::Ready | State::Delayed) {
                let job = JobId(u32::try_from(index).unwrap_or(u32::MAX));
                self.end(job);
                commands.push(Command::Drop(job));
            }
        }
    }

    fn end(&mut self, job: JobId) {
        self.end_as(job, State::Ended);
    }

    fn end_as(&mut self, job: JobId, state: State) {
        self.states[job.index()] = state;
        self.unfinished -= 1;
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
pub(crate) mod tests;
