//! Decides which job is next. A pure state machine: signals in, commands out; no I/O, no clock, no threads.
//!
//! Owns: the state of every job, the ready queue, and what a failure or a cancellation means for the rest. Does
//! not know: what a job does, how long it takes, or who executes it.
//!
//! A job goes through these states, each at most once:
//! ```text
//! Waiting ──last dependency succeeded──▶ Ready ──Start──▶ Running ──▶ Succeeded | Failed
//!    │                                     │
//!    └── a dependency failed ──▶ Skipped   └── the run stops ──▶ Cancelled
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::graph::{Graph, JobId};

/// What the scheduler is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// A started job has ended.
    Ended(JobId, Ending),
    /// Nothing further is to be started; what runs will be stopped by whoever sent this.
    Cancel,
}

/// How a started job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its dependants may start.
    Succeeded,
    /// Its dependants are skipped and, unless the run keeps going, nothing further is started.
    Failed,
    /// It was stopped or never really began, because the run was cancelled.
    Cancelled,
}

/// What the scheduler wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Start this job.
    Start(JobId),
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not part of this run.
    Excluded,
    /// So many of its dependencies have not succeeded yet.
    Waiting(u32),
    Ready,
    Running,
    /// Succeeded, failed, skipped or cancelled.
    Ended,
}

/// The state machine. Each job costs O(its edges + log of the ready queue) over the whole run.
#[derive(Debug)]
pub struct Scheduler {
    states: Vec<State>,
    dependants: Vec<Vec<JobId>>,
    /// Jobs on the longest way from here to an end; those with the most go first.
    heights: Vec<u32>,
    ready: BinaryHeap<(u32, Reverse<JobId>)>,
    running: usize,
    running_max: usize,
    unfinished: usize,
    keep_going: bool,
    stopping: bool,
}

impl Scheduler {
    /// Starts with every job waiting. At most `running_max` jobs are started and not yet ended at any time.
    pub fn new(graph: &Graph, running_max: usize, keep_going: bool) -> Self {
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
        let heights = heights(graph, &states, &dependants);
        let mut scheduler = Self {
            states,
            dependants,
            heights,
            ready: BinaryHeap::new(),
            running: 0,
            running_max: running_max.max(1),
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

    /// The commands with which a run begins.
    pub fn begin(&mut self) -> Vec<Command> {
        let mut commands = Vec::new();
        self.start_ready(&mut commands);
        commands
    }

    /// Takes in what happened and says what to do about it, appending to `commands`.
    ///
    /// A signal about a job that is not running changes nothing.
    pub fn on(&mut self, signal: Signal, commands: &mut Vec<Command>) {
        match signal {
            Signal::Cancel => self.stop(commands),
            Signal::Ended(job, ending) => {
                if self.states[job.index()] != State::Running {
                    return;
                }
                self.end(job);
                self.running -= 1;
                match ending {
                    Ending::Succeeded => self.release(job),
                    Ending::Failed => {
                        self.skip_dependants(job, commands);
                        if !self.keep_going {
                            self.stop(commands);
                        }
                    }
                    Ending::Cancelled => self.stop(commands),
                }
                self.start_ready(commands);
            }
        }
    }

    /// Whether every job has ended.
    pub fn is_done(&self) -> bool {
        self.unfinished == 0
    }

    /// How many jobs are started and not ended.
    pub fn running(&self) -> usize {
        self.running
    }

    fn make_ready(&mut self, job: JobId) {
        self.states[job.index()] = State::Ready;
        self.ready.push((self.heights[job.index()], Reverse(job)));
    }

    fn start_ready(&mut self, commands: &mut Vec<Command>) {
        while !self.stopping && self.running < self.running_max {
            let Some((_, Reverse(job))) = self.ready.pop() else { return };
            self.states[job.index()] = State::Running;
            self.running += 1;
            commands.push(Command::Start(job));
        }
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
        self.ready.clear();
        for index in 0..self.states.len() {
            if matches!(self.states[index], State::Waiting(_) | State::Ready) {
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

/// The number of jobs on the longest way from each job to one that nothing depends on.
fn heights(graph: &Graph, states: &[State], dependants: &[Vec<JobId>]) -> Vec<u32> {
    let mut heights = vec![0; dependants.len()];
    let mut open: Vec<usize> = dependants.iter().map(Vec::len).collect();
    let is_end = |id: &JobId| states[id.index()] != State::Excluded && dependants[id.index()].is_empty();
    let mut queue: Vec<JobId> = graph.ids().filter(is_end).collect();
    while let Some(job) = queue.pop() {
        heights[job.index()] += 1;
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
mod tests;
