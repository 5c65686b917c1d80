//! What every command works on: a store, opened as the command line says, and the library that executes things with it.
//!
//! Owns: the default places, what Ctrl-C does, and what is said of errors. Does not know: commands.

mod platform;

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use wasmill::LazySandbox;
use wasmill_executor::{
    Accepts, Adaptive, BuildOutput, ExecuteError, ExecuteOptions, Graph, Importer, Loaded, LoadedModules, Memory,
    ModuleLoadError, ReadPlan, Recorded, Rehearsed, Repeat, Sought, Toolchain, Verdict, VerifyPorts, execute,
};
use wasmill_model::plan::{Engine, ModuleSource, Plan, parse_size};
use wasmill_model::port::{Cancel, Execution, Request, Runner as _, RunnerError};
use wasmill_model::{Action, ActionKey, Event, RunSummary, Timeout};
use wasmill_sandbox::{Ahead, Backend, CompileLimits, Compiler};
use wasmill_storage::{OpenError, Storage};

use crate::args::Global;
use crate::error::{CliError, usage};
use crate::exit_code;
use crate::settings::Settings;

/// The most memory for small blobs.
const CACHE_BYTES_MAX: u64 = 8 << 30;

/// A store with everything that works on it.
pub(crate) struct Mill {
    pub(crate) storage: Arc<Storage>,
    inner: wasmill::Mill,
}

impl Mill {
    /// Begins to open the store, if it is there already, while the plan is read.
    pub(crate) fn begin_to_open(global: &Global) -> Result<Opening, CliError> {
        let dir = store_dir(global)?;
        let options = store_options(global, None)?;
        let open = || std::thread::Builder::new().spawn(move || Storage::open(&dir, options)).ok();
        Ok(Opening(if Storage::is_there(&store_dir(global)?) { open() } else { None }))
    }

    /// Opens the store that the command line, the environment or the default names.
    pub(crate) fn open(global: &Global) -> Result<Self, CliError> {
        Self::open_as(global, &Settings::find(global, None, None)?)
    }

    /// The same, with what counts for a plan.
    pub(crate) fn open_as(global: &Global, settings: &Settings) -> Result<Self, CliError> {
        Self::open_with(global, settings, None)
    }

    /// The same, where some module is being compiled already.
    pub(crate) fn open_with(global: &Global, settings: &Settings, ahead: Option<Arc<Ahead>>) -> Result<Self, CliError> {
        let storage = Storage::open(&store_dir(global)?, store_options(global, Some(settings))?);
        Self::with(settings, storage.map_err(|error| open_error(&error))?, ahead)
    }

    /// Works on a store that is open.
    pub(crate) fn with(settings: &Settings, storage: Storage, ahead: Option<Arc<Ahead>>) -> Result<Self, CliError> {
        let options = wasmill::Options {
            backend: backend(settings),
            compiler: compiler(settings)?,
            ahead,
            toolchain: toolchain(),
            ..wasmill::Options::default()
        };
        let inner = wasmill::Mill::with(storage, options);
        Ok(Self { storage: Arc::clone(inner.storage()), inner })
    }

    /// What brings host files into the store.
    pub(crate) fn importer(&self) -> &Importer {
        self.inner.importer()
    }

    /// Gets the modules that `graph` needs.
    pub(crate) fn load_modules(&self, graph: &Graph, output: BuildOutput) -> Result<Loaded, Vec<CliError>> {
        self.load_modules_beside(graph, output, Sought::default())
    }

    /// The same, where it was tried to load some of them.
    pub(crate) fn load_modules_beside(
        &self,
        graph: &Graph,
        output: BuildOutput,
        tried: Sought,
    ) -> Result<Loaded, Vec<CliError>> {
        let loaded = match tried.failed.is_empty() {
            true => self.inner.load_modules(graph, output, tried.loaded),
            false => Err(tried.failed),
        };
        loaded.map_err(|errors| errors.iter().map(module_error).collect())
    }

    /// Looks for an earlier run that one of `plan`, of which these jobs are asked for, would only repeat.
    pub(crate) fn find_repeat(
        &self,
        plan: &ReadPlan,
        select: &[String],
        output: BuildOutput,
        how: &How,
    ) -> Result<Sought, CliError> {
        let options = self.options(how, Cancel::new());
        self.inner.find_repeat(plan, select, how.tells_each, output, &options).map_err(|error| CliError::store(&error))
    }

    /// Carries some work out, telling `on_event` what happens. Ctrl-C stops it; a second one ends the process.
    pub(crate) fn execute(
        &self,
        work: Work,
        how: &How,
        on_event: &mut (dyn FnMut(&Event) + Send),
    ) -> Result<RunSummary, CliError> {
        let runtime = event_loop()?;
        let cancel = Cancel::new();
        let options = self.options(how, cancel.clone());
        let result = runtime.block_on(async {
            tokio::spawn(cancel_on_interrupt(cancel));
            match work {
                Work::Graph(graph, modules) => {
                    execute(*graph, modules, self.inner.ports(how.workers), options, on_event).await
                }
                Work::Repeat(repeat) => repeat.tell(self.storage.as_ref(), &options, on_event).await,
            }
        });
        self.importer().remember().map_err(|error| CliError::store(&error))?;
        result.map_err(|error| match &error {
            ExecuteError::Store(_) | ExecuteError::Keep(_) => CliError::store(&error)
                .hint("everything that was reported is safe; run again once the store can be written"),
            ExecuteError::Thread(_) | ExecuteError::Loop(_) => CliError::from_error(exit_code::HOST, &error),
        })
    }

    fn options(&self, how: &How, cancel: Cancel) -> ExecuteOptions {
        ExecuteOptions {
            workers: how.workers,
            memory_bytes: how.memory_bytes,
            machine: None,
            timeout: how.timeout,
            keep_going: how.keep_going,
            retry_failed: how.retry_failed,
            fresh: how.fresh,
            measuring: how.measuring,
            profile: how.profile.clone(),
            adaptive: how.workers_min.map(|workers_min| Adaptive { workers_min, memory }),
            lost_after: self.inner.lost_after(),
            cancel,
            began: how.began,
        }
    }

    /// Executes an action, whatever is recorded, and records nothing.
    pub(crate) fn attempt(&self, action: &Action, key: ActionKey, timeout: Timeout) -> Result<Execution, RunnerError> {
        let request = Request { action, key, timeout, listener: None };
        self.inner.sandbox(1, true).run(request, &Cancel::new())
    }

    /// Lets a graph grow by what is recorded, and executes nothing. `on_event` is told what is known of each job.
    pub(crate) fn rehearse(
        &self,
        graph: Graph,
        modules: LoadedModules,
        accepts: Accepts,
        on_event: &mut (dyn FnMut(&Event) + Send),
    ) -> Result<Rehearsed, CliError> {
        let ports = self.inner.ports(1);
        let rehearsed = event_loop()?.block_on(wasmill_executor::rehearse(graph, modules, ports, accepts, on_event));
        rehearsed.map_err(|error| CliError::from_error(exit_code::HOST, &error))
    }

    /// Executes recorded actions again, each in an instance that is made from nothing, and tells `on_done` about each.
    pub(crate) fn verify(
        &self,
        recorded: Vec<Recorded>,
        workers: usize,
        mut on_done: impl FnMut(&Recorded, Verdict) + Send + 'static,
    ) -> Result<(), CliError> {
        let runner: LazySandbox = self.inner.sandbox(workers, false);
        let storage = Arc::clone(&self.storage);
        let cancel = Cancel::new();
        let done = event_loop()?.block_on(async {
            tokio::spawn(cancel_on_interrupt(cancel.clone()));
            let verifying = tokio::task::spawn_blocking(move || {
                let ports = VerifyPorts { actions: storage.as_ref(), blobs: storage.as_ref(), runner: &runner };
                wasmill_executor::verify(&recorded, ports, workers, &cancel, &mut on_done);
            });
            verifying.await
        });
        done.map_err(|error| CliError::new(exit_code::HOST, "verifying did not come to its end").because(&error))
    }

    /// Collects garbage where that is due.
    pub(crate) fn collect_if_due(&self) {
        self.inner.collect_if_due();
    }

    /// Writes out what is still waiting.
    pub(crate) fn close(self) -> Result<(), CliError> {
        let Self { storage, inner } = self;
        drop(storage);
        inner.close().map_err(|error| CliError::store(&error))
    }
}

/// A store that a thread is opening.
pub(crate) struct Opening(Option<JoinHandle<Result<Storage, OpenError>>>);

impl Opening {
    /// Begins to compile what the plan's first job executes, if the store is still to be made: so much is certain that nothing is compiled
    /// there, and while the jobs are connected, another core would have nothing to do.
    pub(crate) fn begin_to_compile(&self, plan: &Plan, base: &Path, settings: &Settings) -> Option<Arc<Ahead>> {
        let first = plan.jobs.first().filter(|_| self.0.is_none())?;
        let file = match &plan.modules.get(&first.module.value)?.value {
            ModuleSource::File { path } | ModuleSource::Python { interpreter: path, .. } => base.join(path),
            // What has to be built is not there yet.
            _ => return None,
        };
        let metered = first.limits.fuel.is_some();
        Ahead::begin(&file, &compiler(settings).ok()?, backend(settings), metered)
    }

    /// Waits for it, now that it is known what counts for the plan. None where it was not there, and is still to be made.
    pub(crate) fn finish(mut self, settings: &Settings) -> Result<Option<Mill>, CliError> {
        let Some(opening) = self.0.take() else { return Ok(None) };
        // A thread does not panic but over a bug, and then this one does too.
        let storage =
            opening.join().unwrap_or_else(|panic| resume_unwind(panic)).map_err(|error| open_error(&error))?;
        if let Some(bytes) = cache_bytes(settings)? {
            storage.limit_cache(bytes);
        }
        Mill::with(settings, storage, None).map(Some)
    }
}

impl Drop for Opening {
    /// Where nobody needs it any more, it is closed as it should be.
    fn drop(&mut self) {
        drop(self.0.take().map(JoinHandle::join));
    }
}

fn backend(settings: &Settings) -> Backend {
    match settings.engine.value {
        Engine::Cranelift => Backend::Cranelift,
        Engine::Pulley => Backend::Pulley,
    }
}

/// A process of its own, within the limits that are set.
fn compiler(settings: &Settings) -> Result<Compiler, CliError> {
    let mut limits = CompileLimits::default();
    limits.memory_bytes = settings.compile_memory_bytes.value.unwrap_or(limits.memory_bytes);
    limits.cpu_time = settings.compile_time.value.unwrap_or(limits.cpu_time);
    let program = std::env::current_exe()
        .map_err(|error| CliError::new(exit_code::HOST, "wasmill cannot find its own program").because(&error))?;
    Ok(Compiler::Child { program, limits })
}

/// What is said of a module that cannot be had.
fn module_error(error: &ModuleLoadError) -> CliError {
    let shown = CliError::from_error(exit_code::INPUT, error);
    match error.hint() {
        Some(hint) => shown.hint(hint),
        None => shown,
    }
}

fn event_loop() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::from_error(exit_code::HOST, &ExecuteError::Loop(error)))
}

/// Ctrl-C cancels, and so does who asks the process to end; whoever asks twice ends it.
async fn cancel_on_interrupt(cancel: Cancel) {
    let mut presses = 0;
    loop {
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => if pressed.is_err() { return },
            () = platform::asked_to_end() => {}
        }
        presses += 1;
        cancel.cancel();
        if presses == 2 {
            // What is durable stays so; the store is made to be killed at any time.
            std::process::exit(i32::from(exit_code::CANCELLED));
        }
    }
}

/// What there is to carry out.
pub(crate) enum Work {
    Graph(Box<Graph>, LoadedModules),
    /// Nothing has changed.
    Repeat(Box<Repeat>),
}

/// How it is carried out.
#[derive(Debug, Clone)]
pub(crate) struct How {
    pub(crate) workers: usize,
    /// The fewest workers, where their number adapts.
    pub(crate) workers_min: Option<usize>,
    pub(crate) memory_bytes: u64,
    pub(crate) timeout: Option<Duration>,
    pub(crate) keep_going: bool,
    pub(crate) retry_failed: bool,
    pub(crate) fresh: bool,
    /// Whether the run is only there to be measured.
    pub(crate) measuring: bool,
    pub(crate) profile: Option<String>,
    /// Whether each job is told of where nothing has changed, and not the run alone.
    pub(crate) tells_each: bool,
    pub(crate) began: Instant,
}

/// All the memory that there is for this process, in bytes, if that is known.
pub(crate) fn memory_of_machine() -> Option<u64> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    let group = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
    Some(system.total_memory().min(group)).filter(|bytes| *bytes > 0)
}

/// The memory of the machine, or of the group of processes that this one is in.
fn memory() -> Option<Memory> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    let of_machine = Memory { free_bytes: system.available_memory(), all_bytes: system.total_memory() };
    let of_group = system.cgroup_limits().map(|limits| Memory {
        free_bytes: limits.total_memory.saturating_sub(limits.rss),
        all_bytes: limits.total_memory,
    });
    of_group
        .filter(|group| group.all_bytes < of_machine.all_bytes)
        .or(Some(of_machine))
        .filter(|memory| memory.all_bytes > 0)
}

/// One worker for each core that this process may use.
pub(crate) fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn default_store() -> Result<PathBuf, CliError> {
    cache_dir().map(|dir| dir.join("store")).ok_or_else(|| {
        CliError::new(exit_code::STORE, "there is no home directory to keep the store in")
            .hint("name a folder with `--store DIR` or in WASMILL_STORE")
    })
}

/// wasmill's folder in the user's cache directory.
fn cache_dir() -> Option<PathBuf> {
    directories::BaseDirs::new().map(|dirs| dirs.cache_dir().join("wasmill"))
}

/// Where compilers for guests are looked for.
pub(crate) fn toolchain() -> Toolchain {
    Toolchain {
        rustc: std::env::var_os("WASMILL_GUEST_RUSTC").map(PathBuf::from),
        private: std::env::var_os("WASMILL_WASI_TOOLCHAIN")
            .map(PathBuf::from)
            .or_else(|| cache_dir().map(|dir| dir.join("wasi-toolchain"))),
    }
}

/// The store that the command line, the environment or the default names.
pub(crate) fn store_dir(global: &Global) -> Result<PathBuf, CliError> {
    global.store.clone().map_or_else(default_store, Ok)
}

/// How the store is tuned; with what counts for a plan, if that is known already.
pub(crate) fn store_options(
    global: &Global,
    settings: Option<&Settings>,
) -> Result<wasmill_storage::Options, CliError> {
    let tuning = &global.tuning;
    let size = |flag: &str, text: &Option<String>| -> Result<Option<u64>, CliError> {
        text.as_deref().map(parse_size).transpose().map_err(|wrong| usage(flag, &wrong))
    };
    let mut options = wasmill_storage::Options { compresses: tuning.store_compress, ..Default::default() };
    if let Some(bytes) = settings.map_or(Ok(None), cache_bytes)? {
        options.blob_cache_bytes = bytes;
    }
    // What is too much is brought within the bounds.
    if let Some(bytes) = size("--store-segment", &tuning.store_segment)? {
        options.layout.segment_bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    }
    if let Some(bytes) = size("--store-logged", &tuning.store_logged)? {
        options.layout.logged_bytes_max = u32::try_from(bytes).unwrap_or(u32::MAX);
    }
    Ok(options)
}

/// The most memory for small blobs, where that is said.
fn cache_bytes(settings: &Settings) -> Result<Option<usize>, CliError> {
    match settings.store_cache_bytes.value {
        Some(bytes) if bytes > CACHE_BYTES_MAX => Err(usage("--store-cache", "it may be at most 8 GiB")),
        bytes => Ok(bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))),
    }
}

/// What is said of a store that cannot be opened.
pub(crate) fn open_error(error: &OpenError) -> CliError {
    let shown = CliError::from_error(exit_code::STORE, error);
    match error {
        OpenError::InUse { .. } => {
            shown.hint("wait until the other program is done, or name another folder with `--store DIR`")
        }
        OpenError::OlderFormat { .. } => {
            shown.hint("`wasmill doctor --migrate` brings it to the present format; or use another with `--store DIR`")
        }
        OpenError::Damaged { path, .. } if path.ends_with("index.redb") => {
            shown.hint("`wasmill doctor --repair` makes the index anew from the log")
        }
        OpenError::NewerFormat { .. } => shown.hint("use a newer wasmill, or another folder with `--store DIR`"),
        OpenError::NotAStore { .. } => shown.hint("name an empty folder, or one that does not exist yet"),
        _ => shown,
    }
}
