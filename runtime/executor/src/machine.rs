//! What the jobs of several runs share that go on at the same time in one process.
//!
//! Owns: how much of it is taken, and whose turn it is. Does not know: runs, or which of a run's jobs is next (`scheduler`).

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmill_model::port::Cancel;

/// How long a cancellation may go unnoticed by a job that waits.
const POLL: Duration = Duration::from_millis(20);

/// A bound for the executing jobs of all runs together: how many they are, and what their memory limits come to. Each run has its own
/// bounds beside it.
///
/// A job waits for its turn once its inputs are there, and first come is first served: so however many jobs a run has, another's wait
/// no longer than those that are executing and one of each thread's in front of them.
#[derive(Debug)]
pub struct Machine {
    jobs: usize,
    memory_bytes: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: usize,
    memory_bytes: u64,
    /// Who waits, the first first.
    waiting: VecDeque<u64>,
    arrived: u64,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    of: &'a Machine,
    memory_bytes: u64,
}

impl Machine {
    /// So many jobs at once (at least one), and so many bytes of memory.
    #[must_use]
    pub fn new(jobs: usize, memory_bytes: u64) -> Self {
        Self { jobs: jobs.max(1), memory_bytes, state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn with so much memory; a job that wants more than there is gets all there is. `None` where it is cancelled.
    pub(crate) fn enter(&self, memory_bytes: u64, cancel: &Cancel) -> Option<Turn<'_>> {
        let memory_bytes = memory_bytes.min(self.memory_bytes);
        let mut state = self.state();
        let ticket = state.arrived;
        state.arrived += 1;
        state.waiting.push_back(ticket);
        loop {
            let is_first = state.waiting.front() == Some(&ticket);
            if is_first && state.jobs < self.jobs && state.memory_bytes + memory_bytes <= self.memory_bytes {
                state.waiting.pop_front();
                state.jobs += 1;
                state.memory_bytes += memory_bytes;
                // There may be enough for the next one as well.
                self.changed.notify_all();
                return Some(Turn { of: self, memory_bytes });
            }
            if cancel.is_cancelled() {
                state.waiting.retain(|other| *other != ticket);
                self.changed.notify_all();
                return None;
            }
            let (again, _) = self.changed.wait_timeout(state, POLL).unwrap_or_else(PoisonError::into_inner);
            state = again;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.of.state();
        state.jobs -= 1;
        state.memory_bytes -= self.memory_bytes;
        drop(state);
        self.of.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn there_are_never_more_than_there_is_room_for() {
        let machine = Machine::new(3, 100);
        let (jobs, memory, most) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for thread in 0..8_u64 {
                let (machine, jobs, memory, most) = (&machine, &jobs, &memory, &most);
                scope.spawn(move || {
                    for round in 0..200 {
                        // One of them wants more than there is.
                        let wants = (thread * 31 + round * 17) % 130;
                        let _turn = machine.enter(wants, &Cancel::new()).expect("nobody is cancelled");
                        let takes = wants.min(100);
                        let now = jobs.fetch_add(1, Ordering::SeqCst) + 1;
                        let in_use = memory.fetch_add(takes, Ordering::SeqCst) + takes;
                        most.fetch_max(now, Ordering::SeqCst);
                        assert!(now <= 3 && in_use <= 100, "{now} jobs with {in_use} bytes");
                        thread::yield_now();
                        memory.fetch_sub(takes, Ordering::SeqCst);
                        jobs.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        let state = machine.state();
        assert_eq!((state.jobs, state.memory_bytes, state.waiting.len()), (0, 0, 0));
        assert!(most.load(Ordering::SeqCst) > 1, "they were never at it together");
    }

    #[test]
    fn who_came_first_is_served_first_and_who_is_cancelled_is_in_nobody_s_way() {
        let machine = Machine::new(1, 100);
        let order = Mutex::new(Vec::new());
        let cancel = Cancel::new();
        let busy = machine.enter(1, &cancel).expect("a turn");
        thread::scope(|scope| {
            let (machine, order, cancel) = (&machine, &order, &cancel);
            for number in 0..3 {
                scope.spawn(move || {
                    let own = Cancel::new();
                    let turn = machine.enter(90, if number == 1 { cancel } else { &own });
                    order.lock().expect("no panic").push((number, turn.is_some()));
                });
                while machine.state().waiting.len() <= number {
                    thread::yield_now();
                }
            }
            cancel.cancel();
            // Until it has written that down, not only left: the one who gets the turn would else be able to write before it.
            while order.lock().expect("no panic").is_empty() {
                thread::yield_now();
            }
            drop(busy);
        });
        assert_eq!(*order.lock().expect("no panic"), [(1, false), (0, true), (2, true)]);
    }
}
