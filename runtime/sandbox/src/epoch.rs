//! The clock that interrupts guests.
//!
//! Owns: one thread that lets an epoch pass every few milliseconds while guests run. Does not know: why a guest
//! might be stopped; each looks for itself when an epoch has passed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::engine::{Engines, SandboxError};

/// How often guests look whether they are to stop.
const TICK: Duration = Duration::from_millis(5);

/// Ticks without a guest after which the thread sleeps until one comes. Waking it costs more than a short job.
const IDLE_TICKS: u32 = 200;

#[derive(Default)]
struct Shared {
    guests: AtomicUsize,
    asleep: AtomicBool,
    stopping: Mutex<bool>,
    wake: Condvar,
}

/// The thread, which ends when this is dropped.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// A guest is running, until this is dropped.
pub(crate) struct Ticking<'a>(&'a Shared);

impl Ticker {
    pub(crate) fn start(engines: Engines) -> Result<Self, SandboxError> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(move || run(&theirs, &engines))
            .map_err(SandboxError::Thread)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Makes sure that time passes for a guest that is about to run.
    pub(crate) fn tick(&self) -> Ticking<'_> {
        // Sequentially consistent on both sides: either the thread sees the guest, or the guest sees it asleep.
        self.shared.guests.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            let _stopping = self.shared.stopping.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.wake.notify_one();
        }
        Ticking(&self.shared)
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.guests.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.shared.stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, engines: &Engines) {
    let mut idle_ticks = 0;
    let mut stopping = shared.stopping.lock().unwrap_or_else(PoisonError::into_inner);
    while !*stopping {
        if shared.guests.load(Ordering::SeqCst) > 0 {
            idle_ticks = 0;
        } else {
            idle_ticks += 1;
        }
        if idle_ticks > IDLE_TICKS {
            shared.asleep.store(true, Ordering::SeqCst);
            if shared.guests.load(Ordering::SeqCst) == 0 {
                stopping = shared.wake.wait(stopping).unwrap_or_else(PoisonError::into_inner);
            }
            shared.asleep.store(false, Ordering::SeqCst);
            idle_ticks = 0;
            continue;
        }
        stopping = shared.wake.wait_timeout(stopping, TICK).unwrap_or_else(PoisonError::into_inner).0;
        engines.tick();
    }
}
