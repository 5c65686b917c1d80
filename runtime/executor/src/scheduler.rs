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

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::graph::{Graph, JobId};

/// How often a job may be passed over for want of what it needs before those behind it have to wait.
const PASSED_OVER_MAX: u32 = 16;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand<'a> {
    /// What it takes while it runs. Where that is more than there is at all, it takes all there is.
    pub needs: &'a [u64],
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
    /// Was taken before, and waits until it is due again.
    Delayed,
    /// Succeeded, failed, skipped or cancelled.
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
    places: Vec<Place>,
    classes: Vec<Class>,
    free: Amounts,
    ready: usize,
    running: usize,
    unfinished: usize,
    keep_going: bool,
    stopping: bool,
}

impl Scheduler {
    /// Starts with every job waiting. Jobs that run at the same time never take more than `budget` together.
    pub fn new<'a>(graph: &Graph, budget: Amounts, keep_going: bool, demand: impl Fn(JobId) -> Demand<'a>) -> Self {
        let count = graph.jobs.len();
        let mut states = vec![State::Excluded; count];
        let mut dependants = vec![Vec::new(); count];
        let mut unfinished = 0;
        for id in graph.ids() {
            if graph.selected.as_ref().is_some_and(|selected| !selected.contains(&id)) {
                continue;
            }
            let needed = &graph.dependencies[id.index()];
            states[id.index()] = State::Waiting(u32::try_from(needed.len()).unwrap_or(u32::MAX));
            unfinished += 1;
            for dependency in needed {
                dependants[dependency.index()].push(id);
            }
        }
        let heights = heights(graph, &states, &dependants, |id| demand(id).expected);
        let (mut classes, mut known) = (Vec::new(), HashMap::new());
        let places = graph.ids().zip(heights).map(|(id, height)| {
            let Demand { needs, priority, .. } = demand(id);
            let class = *known.entry(needs).or_insert_with(|| {
                let needs = needs.iter().zip(&budget).map(|(needed, all)| *needed.min(all)).collect();
                classes.push(Class { needs, ready: BinaryHeap::new(), passed_over: 0 });
                u32::try_from(classes.len() - 1).unwrap_or(u32::MAX)
            });
            Place { class, priority, height }
        });
        let places = places.collect();
        let mut scheduler = Self {
            states,
            dependants,
            places,
            classes,
            free: budget,
            ready: 0,
            running: 0,
            unfinished,
            keep_going,
            stopping: false,
        };
        for id in graph.ids() {
            if scheduler.states[id.index()] == State::Waiting(0) {
                scheduler.make_ready(id);
            }
        }
        scheduler
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
        Some(job)
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
            Signal::Due(job) if self.states[job.index()] == State::Delayed => self.make_ready(job),
            Signal::Due(_) => {}
            Signal::Ended(job, ending) => {
                if self.states[job.index()] != State::Running {
                    return;
                }
                self.running -= 1;
                let class = &self.classes[self.places[job.index()].class as usize];
                class.needs.iter().zip(&mut self.free).for_each(|(needed, free)| *free += needed);
                if ending != Ending::Again {
                    self.end(job);
                }
                match ending {
                    Ending::Again if self.stopping => {
                        self.end(job);
                        commands.push(Command::Drop(job));
                    }
                    Ending::Again => self.states[job.index()] = State::Delayed,
                    Ending::Succeeded => self.release(job),
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
    }

    /// Whether nothing further is started.
    pub fn is_stopping(&self) -> bool {
        self.stopping
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

    fn release(&mut self, job: JobId) {
        for dependant in std::mem::take(&mut self.dependants[job.index()]) {
            if let State::Waiting(missing) = self.states[dependant.index()] {
                self.states[dependant.index()] = State::Waiting(missing - 1);
                if missing == 1 {
                    self.make_ready(dependant);
                }
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
        self.classes.iter_mut().for_each(|class| class.ready.clear());
        self.ready = 0;
        for index in 0..self.states.len() {
            if matches!(self.states[index], State::Waiting(_) | State::Ready | State::Delayed) {
                let job = JobId(u32::try_from(index).unwrap_or(u32::MAX));
                self.end(job);
                commands.push(Command::Drop(job));
            }
        }
    }

    fn end(&mut self, job: JobId) {
        self.states[job.index()] = State::Ended;
        self.unfinished -= 1;
    }
}

/// What is expected of the longest way from each job to one that nothing depends on, itself included.
fn heights(graph: &Graph, states: &[State], dependants: &[Vec<JobId>], expected: impl Fn(JobId) -> u64) -> Vec<u64> {
    let mut heights = vec![0_u64; dependants.len()];
    let mut open: Vec<usize> = dependants.iter().map(Vec::len).collect();
    let is_end = |id: &JobId| states[id.index()] != State::Excluded && dependants[id.index()].is_empty();
    let mut queue: Vec<JobId> = graph.ids().filter(is_end).collect();
    while let Some(job) = queue.pop() {
        heights[job.index()] = heights[job.index()].saturating_add(expected(job).max(1));
        for dependency in &graph.dependencies[job.index()] {
            let index = dependency.index();
            heights[index] = heights[index].max(heights[job.index()]);
            open[index] -= 1;
            if open[index] == 0 {
                queue.push(*dependency);
            }
        }
    }
    heights
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
pub(crate) mod tests;
