//! Puts the crates together: one store, one sandbox, one executor.
//!
//! Owns: which parts work on which. Does not know: where the store is by default, or commands.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wasmill_executor::{
    BuildOutput, ExecuteOptions, Graph, Importer, LOST_AFTER, Loaded, Machine, ModuleLoadError, Ports, ReadPlan,
    Repeat, Sought, Toolchain,
};
use wasmill_model::port::{BlobStore as _, StoreError};
use wasmill_model::{BlobRef, Digest};
use wasmill_sandbox::{Ahead, Backend, Compiler};
use wasmill_storage::{Keep, OpenError, Storage};

use crate::lazy::LazySandbox;

/// How jobs are executed.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who executes machine code.
    pub backend: Backend,
    /// Who makes it. In the process itself (the default), nothing bounds the memory and the time that a hostile module costs when it is
    /// compiled; the `wasmill` program compiles in a child.
    pub compiler: Compiler,
    /// What it has begun with already.
    pub ahead: Option<Arc<Ahead>>,
    /// Where compilers for guests are looked for, for modules that are Rust crates.
    pub toolchain: Toolchain,
    /// How many jobs of all runs that go on at the same time may be executing; each run has a bound of its own beside it. First come is first
    /// served, whichever run it is of.
    pub jobs: usize,
    /// What the memory limits of these may come to together, in bytes.
    pub memory_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        let toolchain = Toolchain { rustc: None, private: None };
        let (jobs, memory_bytes) = (usize::MAX, u64::MAX);
        Self { backend: Backend::Cranelift, compiler: Compiler::Here, ahead: None, toolchain, jobs, memory_bytes }
    }
}

/// A module cannot be put into the store. Whether it is valid shows when it is first executed.
#[derive(Debug, thiserror::Error)]
pub enum StoreModuleError {
    /// Its text is wrong.
    #[error("the module is no WebAssembly text: {0}")]
    Text(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A store with everything that works on it.
pub struct Mill {
    storage: Arc<Storage>,
    importer: Importer,
    options: Options,
    machine: Arc<Machine>,
}

impl Mill {
    /// Opens the store in a folder, or makes it.
    ///
    /// # Errors
    /// The folder is no store, or one of another format; it cannot be written.
    pub fn open(store: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(store, Options::default())
    }

    /// The same, executing jobs as `options` say.
    ///
    /// # Errors
    /// As of [`Mill::open`].
    pub fn open_with(store: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let storage = Storage::open(store.as_ref(), wasmill_storage::Options::default())?;
        Ok(Self::with(storage, options))
    }

    /// Works on a store that is open.
    pub fn with(storage: Storage, options: Options) -> Self {
        let storage = Arc::new(storage);
        let importer = Importer::new(Arc::clone(&storage) as _, Arc::clone(&storage) as _);
        let machine = Arc::new(Machine::new(options.jobs, options.memory_bytes));
        Self { storage, importer, options, machine }
    }

    /// The store.
    pub fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    /// What brings host files into the store.
    pub fn importer(&self) -> &Importer {
        &self.importer
    }

    /// The content of a blob: what a job wrote to its standard output, for instance.
    ///
    /// # Errors
    /// It is not there, or the disk fails.
    pub fn read(&self, blob: &BlobRef) -> Result<Bytes, StoreError> {
        self.storage.get(blob)
    }

    /// Puts a module into the store, so that plans can name it by its digest ([`crate::PlanBuilder::module_stored`]).
    ///
    /// # Errors
    /// It is no WebAssembly and no WebAssembly text; the store cannot be written.
    pub fn store_module(&self, module: &[u8]) -> Result<Digest, StoreModuleError> {
        let wasm = wat::parse_bytes(module).map_err(|error| StoreModuleError::Text(error.to_string()))?;
        Ok(self.storage.put(Bytes::copy_from_slice(&wasm))?.digest)
    }

    /// Gets the modules that a graph needs and that are not `known`, building those that are crates. What they say of their jobs is not
    /// compared with the plan ([`Graph::check_types`]).
    ///
    /// # Errors
    /// Every module that cannot be had.
    pub fn load_modules(
        &self,
        graph: &Graph,
        output: BuildOutput,
        known: Loaded,
    ) -> Result<Loaded, Vec<ModuleLoadError>> {
        graph.load_modules(&self.importer, self.storage.as_ref(), &self.options.toolchain, output, known)
    }

    /// Looks for an earlier run that one of `plan`, of which these jobs are asked for, would only repeat, telling `each` of its
    /// jobs, or the run alone ([`Repeat::tell`]).
    ///
    /// # Errors
    /// The store's failure.
    pub fn find_repeat(
        &self,
        plan: &ReadPlan,
        select: &[String],
        each: bool,
        output: BuildOutput,
        options: &ExecuteOptions,
    ) -> Result<Sought, StoreError> {
        let modules = (&self.importer, &self.options.toolchain, output);
        Repeat::find(plan, select, each, modules, &self.ports(options.workers), options)
    }

    /// What runs that go on at the same time share.
    pub(crate) fn machine(&self) -> Arc<Machine> {
        Arc::clone(&self.machine)
    }

    /// A sandbox for so many jobs at once, pooled unless each instance is to be made from nothing.
    pub fn sandbox(&self, slots: usize, pooled: bool) -> LazySandbox {
        let options = wasmill_sandbox::Options {
            slots,
            pooled,
            snapshots: pooled,
            backend: self.options.backend,
            compiler: self.options.compiler.clone(),
            ahead: self.options.ahead.clone(),
            // Beside the blobs that they become, where there is room for them.
            spill_dir: self.storage.temp_dir().to_owned(),
            ..wasmill_sandbox::Options::default()
        };
        LazySandbox::new(options, Arc::clone(&self.storage))
    }

    /// What a run needs of this.
    pub fn ports(&self, slots: usize) -> Ports {
        Ports {
            blobs: Arc::clone(&self.storage) as _,
            actions: Arc::clone(&self.storage) as _,
            runs: Arc::clone(&self.storage) as _,
            stats: Arc::clone(&self.storage) as _,
            runner: Arc::new(self.sandbox(slots, true)),
        }
    }

    /// How long a thread may take to come back from a job whose time is over: it may have to compile the module first.
    pub fn lost_after(&self) -> Duration {
        match &self.options.compiler {
            Compiler::Child { limits, .. } => LOST_AFTER.saturating_add(limits.wall_time()),
            // Nothing bounds it.
            Compiler::Here => Duration::MAX,
        }
    }

    /// Collects garbage where that is due. What comes of it changes nothing about what was done.
    pub fn collect_if_due(&self) {
        match self.storage.collect_if_due(&Keep::default()) {
            Ok(Some(collected)) => tracing::info!(?collected, "collected garbage"),
            Ok(None) => {}
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "garbage could not be collected"),
        }
    }

    /// Writes out what is still waiting, unless a run goes on. Without it, that is done a little later; nothing is lost.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn close(self) -> Result<(), StoreError> {
        let Self { storage, importer, .. } = self;
        drop(importer);
        match Arc::into_inner(storage) {
            Some(storage) => storage.close(),
            None => Ok(()),
        }
    }
}
