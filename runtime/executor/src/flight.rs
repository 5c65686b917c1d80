//! Makes equal actions of one run wait for each other instead of being executed twice.
//!
//! Owns: which action keys are being executed, and which were in this run. Does not know: what the actions are.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Condvar, Mutex, PoisonError};

use wasmill_model::ActionKey;

use crate::graph::JobId;

/// The action keys of one run.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    state: Mutex<State>,
    landed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What is being executed, and by which job.
    under: HashMap<ActionKey, JobId>,
    /// The beginnings of the keys that were: there may be a million. Where two keys begin alike, whoever is told that the second has
    /// landed finds no result of it, or an earlier one.
    landed: HashSet<u64>,
    /// Threads that wait; waking nobody costs a system call.
    waiting: usize,
}

impl State {
    fn land(&mut self, key: &ActionKey) {
        self.under.remove(key);
        self.landed.insert(beginning(key));
    }
}

fn beginning(key: &ActionKey) -> u64 {
    key.0.as_bytes().first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// What [`Flights::board`] says.
pub(crate) enum Boarding<'a> {
    /// Nobody is executing this action; whoever holds the ticket may.
    First(Ticket<'a>),
    /// Another job of this run has executed it to its end.
    Landed,
}

/// The right to execute an action; others wait until it is dropped.
pub(crate) struct Ticket<'a> {
    flights: &'a Flights,
    key: ActionKey,
    recorded: bool,
}

impl Flights {
    /// Those of a run of so many jobs: a table that grows takes the memory of two while it does.
    pub(crate) fn of(jobs: usize) -> Self {
        let state = State { landed: HashSet::with_capacity(jobs), ..State::default() };
        Self { state: Mutex::new(state), ..Self::default() }
    }

    /// Asks for `job`'s right to execute `key`, waiting while somebody else does; `before_waiting` is called before.
    pub(crate) fn board(&self, key: ActionKey, job: JobId, mut before_waiting: impl FnMut()) -> Boarding<'_> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.landed.contains(&beginning(&key)) {
                return Boarding::Landed;
            }
            match state.under.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(job);
                    return Boarding::First(Ticket { flights: self, key, recorded: false });
                }
                Entry::Occupied(_) => {
                    before_waiting();
                    state.waiting += 1;
                    state = self.landed.wait(state).unwrap_or_else(PoisonError::into_inner);
                    state.waiting -= 1;
                }
            }
        }
    }
}

impl Flights {
    /// Says that somebody who had no ticket recorded a result.
    pub(crate) fn land(&self, key: ActionKey) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).land(&key);
    }

    /// Whether somebody recorded a result in this run.
    pub(crate) fn has_landed(&self, key: &ActionKey) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).landed.contains(&beginning(key))
    }

    /// The thread that executes a job is lost: lets the next one try.
    pub(crate) fn lose(&self, job: JobId) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.under.retain(|_, under| *under != job);
        self.landed.notify_all();
    }
}

impl Ticket<'_> {
    /// Says that the action's result is recorded. A ticket that is dropped without this lets the next one try.
    pub(crate) fn landed(mut self) {
        self.recorded = true;
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.flights.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.recorded {
            state.land(&self.key);
        } else {
            state.under.remove(&self.key);
        }
        if state.waiting > 0 {
            self.flights.landed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use wasmill_model::Digest;

    use super::*;

    #[test]
    fn one_executes_and_the_others_find_it_done() {
        let flights = Flights::default();
        let executed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    if let Boarding::First(ticket) = flights.board(ActionKey(Digest::EMPTY), JobId(0), || ()) {
                        executed.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(std::time::Duration::from_millis(5));
                        ticket.landed();
                    }
                });
            }
        });
        assert_eq!(executed.into_inner(), 1);
    }

    #[test]
    fn without_a_recorded_result_the_next_one_may_try() {
        let flights = Flights::default();
        let key = ActionKey(Digest::EMPTY);
        match flights.board(key, JobId(0), || ()) {
            Boarding::First(ticket) => drop(ticket),
            Boarding::Landed => panic!("nobody was there before"),
        }
        assert!(matches!(flights.board(key, JobId(1), || ()), Boarding::First(_)));
    }
}
