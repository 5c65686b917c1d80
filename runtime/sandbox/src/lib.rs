//! Executes actions in a sandbox: wasmtime with pooled instances, WASI preview 1 and 2 over a filesystem that exists
//! only in memory, a clock and random numbers that are the same everywhere, and limits.
//!
//! Owns: what a guest can see and do, and how what it did becomes an [`wasmill_model::Outcome`]. Does not know:
//! plans, caching of results, how blobs are stored.

mod clock;
mod compile;
mod component;
mod cpu_time;
mod engine;
mod epoch;
mod instance;
mod limits;
mod patience;
mod platform;
mod prepare;
mod remarks;
mod rng;
#[cfg(test)]
mod tests;
mod trap;
mod validate;
mod vfs;
mod wasi;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use wasmill_model::port::{ArtifactCache, BlobStore, Cancel, Execution, Request, Runner, RunnerError, Traits};
use wasmill_model::{Action, Digest, Floats};

use compile::{CompileError, Modules};
use engine::Engines;
use epoch::Ticker;
use vfs::Spill;

pub use compile::{Ahead, CompileLimits, Compiler, serve};
pub use engine::{Backend, SandboxError, traits};

/// How a sandbox is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Most instances at once; further attempts wait. As many as there are worker threads.
    pub slots: usize,
    /// Whether instances come from a pool that is kept ready. Without it each one is made from nothing, which is slower
    /// and comes to the same.
    pub pooled: bool,
    /// Whether a module with an initialiser is initialised once for all its instances. Without it each instance runs it,
    /// which is slower and comes to the same.
    pub snapshots: bool,
    /// Who executes machine code.
    pub backend: Backend,
    /// Who makes it.
    pub compiler: Compiler,
    /// What it has begun with already.
    pub ahead: Option<Arc<Ahead>>,
    /// Most bytes that one guest's files and streams take of memory; more of them are kept in files without names.
    pub spill_above_bytes: u64,
    /// Where these files are.
    pub spill_dir: PathBuf,
}

impl Default for Options {
    /// One slot, modules are compiled in this process, and what guests write above 64 MiB goes to the system's folder
    /// for temporary files.
    fn default() -> Self {
        Self {
            slots: 1,
            pooled: true,
            snapshots: true,
            backend: Backend::Cranelift,
            compiler: Compiler::Here,
            ahead: None,
            spill_above_bytes: 64 << 20,
            spill_dir: std::env::temp_dir(),
        }
    }
}

/// Executes actions. Shared by the worker threads.
pub struct Sandbox {
    blobs: Arc<dyn BlobStore>,
    engines: Engines,
    modules: Modules,
    ticker: Ticker,
    slots: Slots,
    spill: Spill,
    backend: Backend,
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
        let Options { slots, pooled, snapshots, backend, compiler, ahead, spill_above_bytes, spill_dir } = options;
        let spill = Spill { dir: spill_dir.into(), memory_bytes: spill_above_bytes };
        let engines = Engines::new(slots.max(1), pooled, backend)?;
        let ticker = Ticker::start(engines.clone())?;
        Ok(Self {
            modules: Modules::new(artifacts, compiler, ahead, snapshots),
            slots: Slots::new(slots.max(1)),
            blobs,
            engines,
            ticker,
            spill,
            backend,
        })
    }

    /// Checks that an action is one that gives the same here as where it was made; says whether NaNs may be native.
    fn check_traits(&self, action: &Action) -> Result<bool, RunnerError> {
        let traits = traits(self.backend);
        let elsewhere = |what: String| engine::host("execute an action that was made for another engine", what);
        if action.limits.fuel.is_some() && action.fuel_schedule != traits.fuel_schedule {
            let (theirs, ours) = (action.fuel_schedule, traits.fuel_schedule);
            return Err(elsewhere(format!("its fuel is of schedule {theirs}, this engine's of {ours}")));
        }
        match &action.floats {
            Floats::Canonical => Ok(false),
            Floats::Native { architecture } if *architecture == traits.float_architecture => Ok(true),
            Floats::Native { architecture } => Err(elsewhere(format!(
                "its floating-point numbers are those of {architecture}, here they are those of {}",
                traits.float_architecture
            ))),
        }
    }

    /// Checks that a module can be executed: that it compiles and that its imports are there.
    ///
    /// # Errors
    /// What is wrong with it, or the store's failure.
    pub fn check_module(&self, module: &Digest) -> Result<(), RunnerError> {
        let engine = self.engines.get(false, false).map_err(|error| engine::host("start the engine", error))?;
        match self.modules.get(module, engine, self.blobs.as_ref(), &Cancel::new()) {
            Ok(_) | Err(CompileError::Cancelled) => Ok(()),
            Err(CompileError::Runner(error)) => Err(error),
            Err(CompileError::Module(source)) => Err(RunnerError::Module { module: *module, source }),
        }
    }
}

impl Runner for Sandbox {
    fn run(&self, request: Request<'_>, cancel: &Cancel) -> Result<Execution, RunnerError> {
        let metered = request.action.limits.fuel.is_some();
        let native_floats = self.check_traits(request.action)?;
        let engine =
            self.engines.get(metered, native_floats).map_err(|error| engine::host("start the engine", error))?;
        let module = &request.action.module;
        let module = match self.modules.get(module, engine, self.blobs.as_ref(), cancel) {
            Ok(module) => module,
            Err(CompileError::Cancelled) => return Ok(Execution::cancelled()),
            Err(CompileError::Runner(error)) => return Err(error),
            Err(CompileError::Module(source)) => return Err(RunnerError::Module { module: *module, source }),
        };
        let _slot = self.slots.take();
        let _ticking = self.ticker.tick();
        instance::attempt(engine, &module, request, cancel, &self.blobs, &self.spill)
    }

    fn traits(&self) -> Traits {
        traits(self.backend)
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
