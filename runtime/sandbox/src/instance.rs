//! One attempt, from an action to its result.
//!
//! Owns: the world that a guest lives in, the order of an attempt's steps, and what its end means. Does not know:
//! how modules are compiled, what WASI's calls do.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmill_model::port::{BlobStore, Cancel, Execution, Request, RunnerError, StoreError};
use wasmill_model::{Action, ActionKey, ActionResult, BlobRef, Digest, Mount, Outcome, TrapKind, Usage};
use wasmtime::{Extern, Memory, Store, UpdateDeadline};

use crate::clock::Clock;
use crate::compile::PreparedModule;
use crate::component;
use crate::engine::{PreparedEngine, host};
use crate::limits::MemoryLimits;
use crate::platform;
use crate::rng::Random;
use crate::trap::{Failure, backtrace, classify};
use crate::vfs::{Budget, Fail, NodeId, Vfs};
use crate::wasi::Descriptors;

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
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
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
}

/// Why the host stopped a guest.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It asked to.
    Exit(u32),
    OutputTooLarge,
    TimedOut,
    Cancelled,
    /// The store failed.
    Store(StoreError),
}

impl World {
    pub(crate) fn new(action: &Action, key: ActionKey, blobs: &Arc<dyn BlobStore>) -> Result<Self, Fail> {
        let limits = &action.limits;
        let mut vfs = Vfs::new(Arc::clone(blobs), limits.output_bytes);
        let preopens = mount(action, &mut vfs)?;
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
            stdout: Vec::new(),
            stderr: Vec::new(),
            descriptors: Descriptors::new(preopens),
            vfs,
            clock: Clock::new(),
            held: component::Held::default(),
            key,
            random: None,
            blobs: Arc::clone(blobs),
            limits: MemoryLimits::new(limits.memory_bytes),
            stopped: None,
        })
    }

    /// The world of no guest, for linking.
    pub(crate) fn nobody() -> Self {
        let blobs: Arc<dyn BlobStore> = Arc::new(NoBlobs);
        let vfs = Vfs::empty(Arc::clone(&blobs));
        Self {
            memory: None,
            args: Vec::new(),
            env: Vec::new(),
            stdin: BlobRef::EMPTY,
            stdin_read: None,
            stdout: Vec::new(),
            stderr: Vec::new(),
            descriptors: Descriptors::new(Vec::new()),
            vfs,
            clock: Clock::new(),
            held: component::Held::default(),
            key: ActionKey(Digest::EMPTY),
            random: None,
            blobs,
            limits: MemoryLimits::new(0),
            stopped: None,
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
        append(&mut self.stdout, &mut self.vfs.budget, bytes)
    }

    /// Appends to standard error.
    pub(crate) fn write_stderr(&mut self, bytes: &[u8]) -> Result<(), Fail> {
        append(&mut self.stderr, &mut self.vfs.budget, bytes)
    }

    /// Notes why the guest is stopped; the error unwinds it.
    pub(crate) fn stop(&mut self, stop: Stop) -> wasmtime::Error {
        self.stopped = Some(stop);
        wasmtime::Error::msg("stopped by the host")
    }
}

/// Appends to a stream as much as the budget allows, so that what is kept of a guest that writes too much does not
/// depend on how it cut what it wrote.
fn append(to: &mut Vec<u8>, budget: &mut Budget, bytes: &[u8]) -> Result<(), Fail> {
    let fitting = usize::try_from(budget.take_up_to(bytes.len() as u64)).unwrap_or(usize::MAX);
    match bytes.get(..fitting) {
        Some(fitting) if fitting.len() < bytes.len() => {
            to.extend_from_slice(fitting);
            Err(Fail::OutputTooLarge)
        }
        _ => {
            to.extend_from_slice(bytes);
            Ok(())
        }
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

/// Mounts what the action declares, and says what is open from the start: `/` first, then the writable directories,
/// then `/in` and every mounted directory by its own name, so that programs that look their directories up by name
/// find them.
fn mount(action: &Action, vfs: &mut Vfs) -> Result<Vec<(Cow<'static, str>, NodeId)>, Fail> {
    let mut preopens: Vec<(Cow<'static, str>, NodeId)> =
        vec![("/".into(), NodeId::ROOT), ("/out".into(), NodeId::OUT), ("/tmp".into(), NodeId::TMP)];
    let mut mounted = Vec::new();
    for (path, mount) in &action.mounts {
        let node = vfs.mount(path, mount)?;
        if matches!(mount, Mount::Directory { .. }) {
            mounted.push((path.as_str().to_owned().into(), node));
        }
    }
    if action.mounts.keys().any(|path| path.as_str().starts_with("/in/")) {
        preopens.push(("/in".into(), vfs.walk(NodeId::ROOT, "in", false)?.existing()?));
    }
    preopens.append(&mut mounted);
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
) -> Result<Execution, RunnerError> {
    let began = Instant::now();
    let cpu_began_ns = platform::thread_cpu_ns();
    let Request { action, key, timeout } = request;
    let world = World::new(action, key, blobs).map_err(in_set_up)?;
    let mut store = Store::new(&engine.engine, world);
    store.limiter(|world| &mut world.limits);
    if let Some(fuel) = action.limits.fuel {
        store.set_fuel(fuel).map_err(|error| host("set the fuel", error))?;
    }
    let deadline = began.checked_add(Duration::from_millis(timeout.wall_ms));
    watch(&mut store, deadline, cancel.clone());

    let ended = run(&mut store, module);
    let fuel = action.limits.fuel.map(|limit| limit.saturating_sub(store.get_fuel().unwrap_or(0)));
    let mut world = store.into_data();
    let mut outcome = conclude(ended, &mut world, action, timeout.wall_ms)?;
    let mut output = BlobRef::EMPTY;
    if outcome.is_success() {
        match world.vfs.take_outputs(&action.outputs).map_err(in_set_up)? {
            Ok(tree) => output = tree,
            Err(missing) => outcome = Outcome::OutputMissing { path: missing.to_string() },
        }
    }
    let stdout = keep(blobs, world.stdout)?;
    let stderr = keep(blobs, world.stderr)?;
    let usage = Usage {
        wall_ns: u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX),
        cpu_ns: platform::thread_cpu_ns().saturating_sub(cpu_began_ns),
        fuel,
        memory_peak_bytes: world.limits.held_bytes,
    };
    Ok(Execution { result: ActionResult { outcome, output, stdout, stderr }, usage })
}

/// Has the guest look with every tick whether it is to stop.
fn watch(store: &mut Store<World>, deadline: Option<Instant>, cancel: Cancel) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |mut context| {
        let stop = if cancel.is_cancelled() {
            Stop::Cancelled
        } else if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            Stop::TimedOut
        } else {
            return Ok(UpdateDeadline::Continue(1));
        };
        context.data_mut().stopped = Some(stop);
        Ok(UpdateDeadline::Interrupt)
    });
}

fn run(store: &mut Store<World>, module: &PreparedModule) -> wasmtime::Result<()> {
    let (instance, start) = match module {
        PreparedModule::Core { instance, start } => (instance, start),
        PreparedModule::Component(component) => return component::run(store, component),
    };
    let instance = instance.instantiate(&mut *store)?;
    let start = instance.get_module_export(&mut *store, start).and_then(Extern::into_func);
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
        Some(Stop::TimedOut) => return Ok(Outcome::TimedOut { limit_ms }),
        Some(Stop::Cancelled) => return Ok(Outcome::Cancelled),
        Some(Stop::Store(error)) => return Err(RunnerError::Store(error)),
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

fn keep(blobs: &Arc<dyn BlobStore>, bytes: Vec<u8>) -> Result<BlobRef, StoreError> {
    if bytes.is_empty() { Ok(BlobRef::EMPTY) } else { blobs.put(Bytes::from(bytes)) }
}

/// A failure outside of the guest's own time.
fn in_set_up(fail: Fail) -> RunnerError {
    match fail {
        Fail::Store(error) => RunnerError::Store(error),
        Fail::Errno(errno) => host("set up or read the guest's files", format!("{errno:?}")),
        Fail::OutputTooLarge => host("set up or read the guest's files", "too large"),
    }
}
