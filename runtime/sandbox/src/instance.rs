//! One attempt, from an action to its result.
//!
//! Owns: the world that a guest lives in, the order of an attempt's steps, and what its end means. Does not know:
//! how modules are compiled, what WASI's calls do.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmill_model::port::{BlobStore, Cancel, Execution, Request, RunnerError, StoreError};
use wasmill_model::{
    Action, ActionKey, ActionResult, BlobRef, Digest, Limits, Mount, Outcome, Traffic, TrapKind, Usage,
};
use wasmtime::{Extern, InstancePre, Memory, ResourceLimiter, Store, UpdateDeadline};

use crate::clock::Clock;
use crate::compile::{Initialised, PreparedModule};
use crate::component;
use crate::cpu_time::CpuTimer;
use crate::engine::{PreparedEngine, host};
use crate::limits::MemoryLimits;
use crate::patience::{Over, Patience};
use crate::remarks::Remarks;
use crate::rng::Random;
use crate::trap::{Failure, backtrace, classify};
use crate::vfs::{Buffer, Fail, NodeId, Spill, Vfs};
use crate::wasi::Descriptors;
use crate::{prepare, validate};

/// How much is kept of what a guest wrote to each of its streams, where it was stopped by the host, in bytes. Nothing of it is
/// cached, and the end says most about where it was.
const STOPPED_BYTES_MAX: usize = 1 << 20;

/// Everything that belongs to one guest. Nothing of it outlives the attempt.
pub(crate) struct World {
    /// The guest's exported memory, found with its first call.
    pub(crate) memory: Option<Memory>,
    /// `argv`, each with a NUL at its end.
    pub(crate) args: Vec<Vec<u8>>,
    /// `NAME=VALUE`, each with a NUL at its end.
    pub(crate) env: Vec<Vec<u8>>,
    pub(crate) stdin: BlobRef,
    stdin_read: Option<Bytes>,
    pub(crate) stdout: Buffer,
    pub(crate) stderr: Buffer,
    remarks: Remarks,
    pub(crate) vfs: Vfs,
    pub(crate) descriptors: Descriptors,
    pub(crate) clock: Clock,
    /// What a component holds open.
    pub(crate) held: component::Held,
    key: ActionKey,
    /// Made with the first random number: most guests want none.
    random: Option<Random>,
    blobs: Arc<dyn BlobStore>,
    limits: MemoryLimits,
    stopped: Option<Stop>,
    /// Whether the module initialises itself, before there is a job.
    pub(crate) is_initialising: bool,
}

/// Why the host stopped a guest.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It asked to.
    Exit(u32),
    OutputTooLarge,
    /// It may not go on.
    Over(Over),
    /// The store failed.
    Store(StoreError),
    /// The host has no room for what it wrote.
    Disk(std::io::Error),
    /// It called what an initialiser must not.
    Forbidden(&'static str),
    /// Its initialiser failed, which is no end of a job.
    Initialiser(String),
}

/// As much of that is shown.
const INITIALISER_SHOWN_BYTES: usize = 4 << 10;

/// As much as an initialiser may say of what went wrong.
pub(crate) const INITIALISER_STDERR_BYTES: u64 = 64 << 10;

impl World {
    pub(crate) fn new(action: &Action, key: ActionKey, blobs: &Arc<dyn BlobStore>, spill: Spill) -> Result<Self, Fail> {
        let limits = &action.limits;
        let mut vfs = Vfs::new(Arc::clone(blobs), limits.output_bytes, spill, &action.mounts)?;
        let preopens = preopens(action, &mut vfs)?;
        let text = |text: String| {
            let mut bytes = text.into_bytes();
            bytes.push(0);
            bytes
        };
        Ok(Self {
            memory: None,
            args: action.args.iter().cloned().map(text).collect(),
            env: action.env.iter().map(|(name, value)| text(format!("{name}={value}"))).collect(),
            stdin: action.stdin,
            stdin_read: None,
            stdout: Buffer::default(),
            stderr: Buffer::default(),
            remarks: Remarks::default(),
            descriptors: Descriptors::new(preopens),
            vfs,
            clock: Clock::new(),
            held: component::Held::default(),
            key,
            random: None,
            blobs: Arc::clone(blobs),
            limits: MemoryLimits::new(limits.memory_bytes),
            stopped: None,
            is_initialising: false,
        })
    }

    /// The world of an initialiser: no files, arguments, environment or streams but standard error, and as much memory as
    /// there can be. Its random numbers are the same for all modules.
    pub(crate) fn initialising() -> Self {
        Self { is_initialising: true, limits: MemoryLimits::new(Limits::MEMORY_BYTES_MAX), ..Self::nobody() }
    }

    /// What an initialiser wrote to standard error.
    pub(crate) fn said(&mut self) -> String {
        // It can only be cut short: there is nothing to fail with.
        let _ = self.end_stderr();
        let mut said = vec![0; usize::try_from(self.stderr.len()).unwrap_or(0)];
        let len = self.stderr.read(0, &mut said).unwrap_or(0);
        said.truncate(len);
        let said = String::from_utf8_lossy(&said);
        let said = said.trim_end();
        // The end says most.
        let from = said.len().saturating_sub(INITIALISER_SHOWN_BYTES);
        let from = (from..said.len()).find(|at| said.is_char_boundary(*at)).unwrap_or(said.len());
        said[from..].to_owned()
    }

    /// What the engine asks before memories and tables grow.
    pub(crate) fn limiter(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.limits
    }

    /// Why the guest was stopped, if the host stopped it.
    pub(crate) fn take_stop(&mut self) -> Option<Stop> {
        self.stopped.take()
    }

    /// The world of no guest, for linking.
    pub(crate) fn nobody() -> Self {
        let blobs: Arc<dyn BlobStore> = Arc::new(NoBlobs);
        let spill = Spill { dir: Path::new("").into(), memory_bytes: INITIALISER_STDERR_BYTES };
        let vfs = Vfs::empty(Arc::clone(&blobs), INITIALISER_STDERR_BYTES, spill);
        Self {
            memory: None,
            args: Vec::new(),
            env: Vec::new(),
            stdin: BlobRef::EMPTY,
            stdin_read: None,
            stdout: Buffer::default(),
            stderr: Buffer::default(),
            remarks: Remarks::default(),
            descriptors: Descriptors::new(Vec::new()),
            vfs,
            clock: Clock::new(),
            held: component::Held::default(),
            key: ActionKey(Digest::EMPTY),
            random: None,
            blobs,
            limits: MemoryLimits::new(0),
            stopped: None,
            is_initialising: false,
        }
    }

    pub(crate) fn random(&mut self) -> &mut Random {
        let key = self.key;
        self.random.get_or_insert_with(|| Random::new(key))
    }

    /// Standard input, opened with the first look at it.
    pub(crate) fn stdin_bytes(&mut self) -> Result<Bytes, StoreError> {
        if let Some(bytes) = &self.stdin_read {
            return Ok(bytes.clone());
        }
        let bytes = self.blobs.get(&self.stdin)?;
        self.stdin_read = Some(bytes.clone());
        Ok(bytes)
    }

    /// Appends to standard output.
    pub(crate) fn write_stdout(&mut self, bytes: &[u8]) -> Result<(), Fail> {
        self.vfs.append(&mut self.stdout, bytes)
    }

    /// Appends to standard error.
    pub(crate) fn write_stderr(&mut self, bytes: &[u8]) -> Result<(), Fail> {
        let Self { vfs, stderr, remarks, .. } = self;
        for piece in bytes.chunks(Patience::PIECE_BYTES) {
            remarks.sift(piece, |bytes| vfs.append(stderr, bytes))?;
            // Remarks are not appended, which would count them.
            vfs.patience.moved(piece.len())?;
        }
        Ok(())
    }

    /// Ends standard error.
    fn end_stderr(&mut self) -> Result<(), Fail> {
        let Self { vfs, stderr, remarks, .. } = self;
        remarks.end(|bytes| vfs.append(stderr, bytes))
    }

    /// Notes why the guest is stopped; the error unwinds it.
    pub(crate) fn stop(&mut self, stop: Stop) -> wasmtime::Error {
        self.stopped = Some(stop);
        wasmtime::Error::msg("stopped by the host")
    }
}

/// A store without blobs, for [`World::nobody`].
struct NoBlobs;

impl BlobStore for NoBlobs {
    fn get(&self, blob: &BlobRef) -> Result<Bytes, StoreError> {
        Err(StoreError::Missing(blob.digest))
    }
    fn find(&self, _digest: &Digest) -> Result<Option<BlobRef>, StoreError> {
        Ok(None)
    }
    fn put(&self, bytes: Bytes) -> Result<BlobRef, StoreError> {
        Err(StoreError::Missing(Digest::of(&bytes)))
    }
    fn put_reader(&self, _reader: &mut dyn std::io::Read) -> Result<BlobRef, StoreError> {
        Err(StoreError::Missing(Digest::EMPTY))
    }
}

/// What is open from the start: `/` first, then the writable directories, then `/in` and every mounted directory by its
/// own name, so that programs that look their directories up by name find them.
fn preopens(action: &Action, vfs: &mut Vfs) -> Result<Vec<(Cow<'static, str>, NodeId)>, Fail> {
    let mut preopens: Vec<(Cow<'static, str>, NodeId)> =
        vec![("/".into(), NodeId::ROOT), ("/out".into(), vfs.out()), ("/tmp".into(), vfs.tmp())];
    if action.mounts.keys().any(|path| path.as_str().starts_with("/in/")) {
        preopens.push(("/in".into(), vfs.walk(NodeId::ROOT, "in", false)?.existing()?));
    }
    for (path, input) in &action.mounts {
        let is_listed = preopens.iter().any(|(name, _)| name == path.as_str());
        if is_listed || !matches!(input.content, Mount::Directory { .. }) {
            continue;
        }
        let names: Vec<&str> = path.names().collect();
        let node = match names.is_empty() {
            true => NodeId::ROOT,
            false => vfs.walk(NodeId::ROOT, &names.join("/"), false)?.existing()?,
        };
        preopens.push((path.as_str().to_owned().into(), node));
    }
    for (_, node) in &preopens {
        vfs.opened(*node);
    }
    Ok(preopens)
}

/// Executes one action.
pub(crate) fn attempt(
    engine: &PreparedEngine,
    module: &PreparedModule,
    request: Request<'_>,
    cancel: &Cancel,
    blobs: &Arc<dyn BlobStore>,
    spill: &Spill,
) -> Result<Execution, RunnerError> {
    let began = Instant::now();
    let cpu = CpuTimer::start(began);
    let Request { action, key, timeout, listener } = request;
    let world = match World::new(action, key, blobs, spill.clone()) {
        Ok(world) => World { remarks: Remarks::heard_by(listener.cloned()), ..world },
        // What is mounted to be changed has too many names.
        Err(Fail::OutputTooLarge) => return Ok(output_too_large(action)),
        Err(fail) => return Err(in_set_up(fail)),
    };
    let mut store = Store::new(&engine.engine, world);
    store.limiter(World::limiter);
    if let Some(fuel) = action.limits.fuel {
        store.set_fuel(fuel).map_err(|error| host("set the fuel", error))?;
    }
    let deadline = began.checked_add(Duration::from_millis(timeout.wall_ms));
    let patience = Patience::new(deadline, cancel.clone());
    store.data_mut().vfs.patience = patience.clone();
    watch(&mut store, patience);

    let ended = run(&mut store, module, action);
    let fuel = action.limits.fuel.map(|limit| limit.saturating_sub(store.get_fuel().unwrap_or(0)));
    let mut world = store.into_data();
    // What follows is not the guest's time.
    world.vfs.patience = Patience::default();
    let mut outcome = conclude(ended, &mut world, action, timeout.wall_ms)?;
    match world.end_stderr() {
        Err(Fail::OutputTooLarge) if outcome.is_success() => outcome = output_too_large(action).result.outcome,
        Ok(()) | Err(Fail::OutputTooLarge) => {}
        Err(fail) => return Err(in_set_up(fail)),
    }
    let mut output = BlobRef::EMPTY;
    if outcome.is_success() {
        match world.vfs.take_outputs(&action.outputs) {
            Ok(Ok(tree)) => output = tree,
            Ok(Err(missing)) => outcome = Outcome::OutputMissing { path: missing.to_string() },
            Err(Fail::OutputTooLarge) => outcome = output_too_large(action).result.outcome,
            Err(fail) => return Err(in_set_up(fail)),
        }
    }
    if !outcome.is_deterministic() {
        // Whoever stopped it is not to wait until all that it had to say is in the store.
        for stream in [&mut world.stdout, &mut world.stderr] {
            stream.keep_last(STOPPED_BYTES_MAX).map_err(|error| host("read what the guest wrote", error))?;
        }
    }
    let stdout = world.stdout.store(blobs.as_ref())?;
    let stderr = world.stderr.store(blobs.as_ref())?;
    let ended = Instant::now();
    let usage = Usage {
        wall_ns: u64::try_from(ended.duration_since(began).as_nanos()).unwrap_or(u64::MAX),
        cpu_ns: cpu.elapsed_ns(ended),
        fuel,
        memory_peak_bytes: world.limits.held_bytes,
    };
    let traffic = world.vfs.traffic();
    Ok(Execution { result: ActionResult { outcome, output, stdout, stderr }, usage, traffic })
}

/// Has the guest look with every tick whether it is to stop.
fn watch(store: &mut Store<World>, patience: Patience) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |mut context| {
        let Err(over) = patience.check() else { return Ok(UpdateDeadline::Continue(1)) };
        context.data_mut().stopped = Some(Stop::Over(over));
        Ok(UpdateDeadline::Interrupt)
    });
}

fn run(store: &mut Store<World>, module: &PreparedModule, action: &Action) -> wasmtime::Result<()> {
    let (instance, start, initialised) = match module {
        PreparedModule::Core { instance, initialised: Initialised::Each, .. } => {
            return run_initialised(store, instance, action);
        }
        PreparedModule::Core { instance, start, initialised } => (instance, start, *initialised),
        PreparedModule::Component(component) => return component::run(store, component),
    };
    let instance = instance.instantiate(&mut *store)?;
    if let (Initialised::Before, Some(fuel)) = (initialised, action.limits.fuel) {
        // What it costs to make an instance of a snapshot is no matter of the program's.
        store.set_fuel(fuel)?;
    }
    let start = instance.get_module_export(&mut *store, start).and_then(Extern::into_func);
    let start = start.ok_or_else(|| wasmtime::Error::msg("`_start` is gone"))?;
    start.typed::<(), ()>(&*store)?.call(&mut *store, ())
}

/// Initialises an instance and then runs it, as if it came from a snapshot: for comparing with those that do.
fn run_initialised(store: &mut Store<World>, instance: &InstancePre<World>, action: &Action) -> wasmtime::Result<()> {
    let world = std::mem::replace(store.data_mut(), World::initialising());
    let _ = store.set_fuel(u64::MAX);
    let made = instance.instantiate(&mut *store).map_err(|error| validate::compiler_text(&error));
    let instance = match made.and_then(|instance| prepare::initialise(store, instance).map(|()| instance)) {
        Ok(instance) => instance,
        Err(wrong) => return Err(store.data_mut().stop(Stop::Initialiser(wrong))),
    };
    let memory = store.data().memory;
    *store.data_mut() = World { memory, ..world };
    if let Some(fuel) = action.limits.fuel {
        store.set_fuel(fuel)?;
    }
    // What a snapshot asks for when it becomes an instance.
    let memory = instance.get_export(&mut *store, "memory").and_then(Extern::into_memory);
    let size = memory.map_or(0, |memory| memory.data_size(&*store));
    if !store.data_mut().limits.memory_growing(0, size, None)? {
        return Err(wasmtime::Error::msg("the initialised memory is larger than its limit"));
    }
    let resume = instance.get_func(&mut *store, prepare::RESUME);
    let start = resume.or_else(|| instance.get_func(&mut *store, "_start"));
    let start = start.ok_or_else(|| wasmtime::Error::msg("`_start` is gone"))?;
    start.typed::<(), ()>(&*store)?.call(&mut *store, ())
}

/// What the end of a guest means.
fn conclude(
    ended: wasmtime::Result<()>,
    world: &mut World,
    action: &Action,
    limit_ms: u64,
) -> Result<Outcome, RunnerError> {
    let Err(error) = ended else { return Ok(Outcome::SUCCESS) };
    if world.limits.host_failed {
        return Err(host("give the guest the memory that its limit allows", error));
    }
    match world.stopped.take() {
        Some(Stop::Exit(code)) => return Ok(Outcome::Exited { code }),
        Some(Stop::OutputTooLarge) => {
            return Ok(Outcome::OutputTooLarge { limit_bytes: action.limits.output_bytes });
        }
        Some(Stop::Over(Over::TimedOut)) => return Ok(Outcome::TimedOut { limit_ms }),
        Some(Stop::Over(Over::Cancelled)) => return Ok(Outcome::Cancelled),
        Some(Stop::Store(error)) => return Err(RunnerError::Store(error)),
        Some(Stop::Forbidden(call)) => return Err(host("initialise the module", format!("it called `{call}`"))),
        Some(Stop::Initialiser(wrong)) => return Err(host("initialise the module", wrong)),
        Some(Stop::Disk(error)) => return Err(host("keep what the guest wrote in a temporary file", error)),
        None => {}
    }
    let out_of_memory = |wanted_bytes| Outcome::OutOfMemory { limit_bytes: action.limits.memory_bytes, wanted_bytes };
    match (classify(&error), world.limits.refused_bytes) {
        (Failure::OutOfFuel, _) => Ok(Outcome::OutOfFuel { limit: action.limits.fuel.unwrap_or(0) }),
        (Failure::StackOverflow, _) => Ok(Outcome::StackExhausted { backtrace: backtrace(&error) }),
        // A guest that was refused memory and then gave up; or that did not even get what it starts with.
        (Failure::Trapped(TrapKind::Unreachable), Some(wanted)) | (Failure::Host, Some(wanted)) => {
            Ok(out_of_memory(wanted))
        }
        (Failure::Trapped(trap), _) => Ok(Outcome::Trapped { trap, backtrace: backtrace(&error) }),
        (Failure::Interrupted | Failure::Host, _) => Err(host("run the guest", error)),
    }
}

/// A guest that was not even begun, as it would hold more than it may.
fn output_too_large(action: &Action) -> Execution {
    let outcome = Outcome::OutputTooLarge { limit_bytes: action.limits.output_bytes };
    let empty = BlobRef::EMPTY;
    let result = ActionResult { outcome, output: empty, stdout: empty, stderr: empty };
    Execution { result, usage: Usage::default(), traffic: Traffic::default() }
}

/// A failure outside of the guest's own time.
fn in_set_up(fail: Fail) -> RunnerError {
    match fail {
        Fail::Store(error) => RunnerError::Store(error),
        Fail::Disk(error) => host("keep what the guest wrote in a temporary file", error),
        Fail::Errno(errno) => host("set up or read the guest's files", format!("{errno:?}")),
        Fail::OutputTooLarge => host("set up or read the guest's files", "too large"),
        Fail::Over(over) => host("set up or read the guest's files", format!("{over:?}")),
    }
}
