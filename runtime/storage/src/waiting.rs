//! Threads that wait until what they handed in is durable.
//!
//! Owns: who waits, and that each of them wakes the next. Does not know: how anything becomes durable, or whether it failed.
//!
//! If whoever commits woke them all, then each would run, hand in its next entry and sleep again before the next one is woken: a
//! processor goes to sleep and is woken for each, and nothing is committed meanwhile. So only the first is woken, and it
//! wakes the second.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

#[derive(Debug)]
struct Waiter {
    /// What it waits for.
    until: u64,
    thread: Thread,
    /// It was taken from the queue, and is to wake the next one.
    is_next: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whatever is not greater has come.
    reached: u64,
    /// Ascending by what they wait for.
    waiters: VecDeque<Waiter>,
}

/// A queue of threads, which each of them leaves after the one before.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    queue: Mutex<Queue>,
}

impl Waiting {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `until` is reached.
    pub(crate) fn wait(&self, until: u64) {
        let is_next = Arc::new(AtomicBool::new(false));
        {
            let mut queue = self.queue();
            if queue.reached >= until {
                return;
            }
            let at = queue.waiters.partition_point(|other| other.until <= until);
            queue.waiters.insert(at, Waiter { until, thread: thread::current(), is_next: Arc::clone(&is_next) });
        }
        while !is_next.load(Ordering::Acquire) {
            thread::park();
        }
        self.wake_next();
    }

    /// Wakes all who wait for this or for less, one after the other.
    pub(crate) fn reached(&self, position: u64) {
        let mut queue = self.queue();
        queue.reached = queue.reached.max(position);
        drop(queue);
        self.wake_next();
    }

    /// Wakes the first one, if it waits for nothing any more.
    fn wake_next(&self) {
        let mut queue = self.queue();
        let reached = queue.reached;
        let next = queue.waiters.pop_front_if(|waiter| waiter.until <= reached);
        drop(queue);
        if let Some(next) = next {
            next.is_next.store(true, Ordering::Release);
            next.thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_wakes_up_when_what_it_waits_for_is_reached_and_not_before() {
        let waiting = Arc::new(Waiting::default());
        let (tell, told) = mpsc::channel();
        let threads: Vec<_> = (1..=60_u64)
            .map(|number| {
                let (waiting, tell) = (Arc::clone(&waiting), tell.clone());
                thread::spawn(move || {
                    waiting.wait(number / 3);
                    tell.send(number).unwrap();
                })
            })
            .collect();
        let mut awake = 0;
        for position in 0..=20 {
            waiting.reached(position);
            let number = (3 * position + 2).min(60);
            while awake < number {
                let one = told.recv_timeout(Duration::from_secs(60)).unwrap();
                assert!(one / 3 <= position, "{one} did not wait for {position}");
                awake += 1;
            }
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn nobody_is_left_asleep_however_often_it_begins_again() {
        const ROUNDS: u64 = 2_000;
        const THREADS: u64 = 8;
        let waiting = Arc::new(Waiting::default());
        let (tell, told) = mpsc::channel();
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let (waiting, tell) = (Arc::clone(&waiting), tell.clone());
                thread::spawn(move || {
                    for round in 0..ROUNDS {
                        // Others wait for more than those who come later.
                        let until = round * THREADS + (number * 5) % THREADS + 1;
                        tell.send(until).unwrap();
                        waiting.wait(until);
                    }
                })
            })
            .collect();
        drop(tell);
        for until in told {
            waiting.reached(until);
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
