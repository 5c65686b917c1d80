//! Executes actions in a sandbox: wasmtime with pooled instances, WASI preview 1 and 2 over a filesystem that exists
//! only in memory, a clock and random numbers that are the same everywhere, and limits.
//!
//! Owns: what a guest can see and do, and how what it did becomes an [`wasmill_model::Outcome`]. Does not know:
//! plans, caching of results, how blobs are stored.

mod clock;
mod compile;
mod component;
mod engine;
mod epoch;
mod instance;
mod limits;
mod platform;
mod rng;
#[cfg(test)]
mod tests;
mod trap;
mod validate;
mod vfs;
mod wasi;

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use wasmill_model::Digest;
use wasmill_model::port::{ArtifactCache, BlobStore, Cancel, Execution, Request, Runner, RunnerError};

use compile::Modules;
use engine::Engines;
use epoch::Ticker;

pub use engine::SandboxError;

/// How a sandbox is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Most instances at once; further attempts wait. As many as there are worker threads.
    pub slots: usize,
}

impl Default for Options {
    /// One slot.
    fn default() -> Self {
        Self { slots: 1 }
    }
}

/// Executes actions. Shared by the worker threads.
pub struct Sandbox {
    blobs: Arc<dyn BlobStore>,
    engines: Engines,
    modules: Modules,
    ticker: Ticker,
    slots: Slots,
}

impl Sandbox {
    /// A sandbox that reads inputs from `blobs`, puts outputs there, and keeps machine code in `artifacts`.
    ///
    /// # Errors
    /// The engine cannot be made on this host.
    pub fn new(
        options: Options,
        blobs: Arc<dyn BlobStore>,
        artifacts: Arc<dyn ArtifactCache>,
    ) -> Result<Self, SandboxError> {
        let Options { slots } = options;
        let engines = Engines::new(slots.max(1))?;
        let ticker = Ticker::start(engines.clone())?;
        Ok(Self { modules: Modules::new(artifacts), slots: Slots::new(slots.max(1)), blobs, engines, ticker })
    }

    /// Checks that a module can be executed: that it compiles and that its imports are there.
    ///
    /// # Errors
    /// What is wrong with it, or the store's failure.
    pub fn check_module(&self, module: &Digest) -> Result<(), RunnerError> {
        let engine = self.engines.get(false).map_err(|error| engine::host("start the engine", error))?;
        self.modules.get(module, engine, self.blobs.as_ref()).map(drop)
    }
}

impl Runner for Sandbox {
    fn run(&self, request: Request<'_>, cancel: &Cancel) -> Result<Execution, RunnerError> {
        let metered = request.action.limits.fuel.is_some();
        let engine = self.engines.get(metered).map_err(|error| engine::host("start the engine", error))?;
        let module = self.modules.get(&request.action.module, engine, self.blobs.as_ref())?;
        let _slot = self.slots.take();
        let _ticking = self.ticker.tick();
        instance::attempt(engine, &module, request, cancel, &self.blobs)
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("slots", &self.slots).finish_non_exhaustive()
    }
}

/// Room in the pool: whoever comes when it is full waits instead of failing.
#[derive(Debug)]
struct Slots {
    room: Mutex<Room>,
    freed: Condvar,
}

#[derive(Debug)]
struct Room {
    free: usize,
    /// Threads that wait: where there is none, nobody need be woken, which is a call into the system.
    waiting: usize,
}

/// Room for one instance, until it is dropped.
struct Slot<'a>(&'a Slots);

impl Slots {
    fn new(count: usize) -> Self {
        Self { room: Mutex::new(Room { free: count, waiting: 0 }), freed: Condvar::new() }
    }

    fn take(&self) -> Slot<'_> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        while room.free == 0 {
            room.waiting += 1;
            room = self.freed.wait(room).unwrap_or_else(PoisonError::into_inner);
            room.waiting -= 1;
        }
        room.free -= 1;
        Slot(self)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut room = self.0.room.lock().unwrap_or_else(PoisonError::into_inner);
        room.free += 1;
        if room.waiting > 0 {
            self.0.freed.notify_one();
        }
    }
}
