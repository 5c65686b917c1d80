//! The WebAssembly engines.
//!
//! Owns: every setting of wasmtime, with its reason; this is the only place that has a `wasmtime::Config`. Does
//! not know: modules, guests.

use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use wasmill_model::port::{RunnerError, Traits};
use wasmtime::component;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, Linker, OptLevel, PoolingAllocationConfig,
    WasmBacktraceDetails, WasmFeatures,
};

use crate::instance::World;
use crate::wasi;

/// Most elements of one table. A table is 8 bytes an element of the host's memory, outside of the guest's memory
/// limit; the largest of real programs have some ten thousand.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 1_000_000;

/// Most tables of one module or component; compilers make one for each module, people who write modules by hand a few.
pub(crate) const TABLES_MAX: u32 = 8;

/// Most memories of one component: one for each program that it was put together of.
pub(crate) const MEMORIES_MAX: u32 = 4;

/// Most core instances of one component: a program with its adapter takes four, one that is put together of shared
/// libraries some twenty.
pub(crate) const CORE_INSTANCES_MAX: u32 = 64;

/// Most bytes of an instance (of a component, of all its instances together) beside its memory and tables: mostly 32 bytes for each function that can be called
/// indirectly. The 1 MiB that wasmtime allows is too little for large programs in Go.
const INSTANCE_BYTES_MAX: usize = 16 << 20;

/// Call stack of a guest. Threads that run guests need more than this (`executor` gives them 4 MiB).
const STACK_BYTES: usize = 1 << 20;

/// Frames that are noted of a guest's call stack.
const FRAMES_MAX: usize = 32;

/// Memory that a slot keeps between guests, to be cleared rather than given back and faulted in again: the
/// difference between 9 and 55 µs for a guest that touches 100 KiB.
const MEMORY_KEPT_BYTES: usize = 1 << 20;

/// The same for tables.
const TABLE_KEPT_BYTES: usize = 64 << 10;

/// Slots whose memory beyond what is kept is given back to the system at once. More than one would be faster for
/// guests that use more than is kept, but until a batch is full each slot in it holds all that its guest had: with 16,
/// one worker with guests of 200 MiB held 3.2 GiB.
const DECOMMIT_BATCH: usize = 1;

/// Fewest slots of a pool. More than there are workers, so that a module finds a slot that still has its memory
/// image even where several modules take turns.
const POOL_SLOTS_MIN: usize = 16;

/// Most slots of a pool beyond the number of workers: each takes 4 GiB of address space and no memory.
const POOL_SLOTS_SPARE_MAX: usize = 200;

/// The engine cannot be made on this host.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// wasmtime refused.
    #[error("failed to make the WebAssembly engine")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No thread for the clock that interrupts guests.
    #[error("failed to start the thread that interrupts guests")]
    Thread(#[source] std::io::Error),
}

/// Who executes machine code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Backend {
    /// The processor: Cranelift compiles for it.
    #[default]
    Cranelift,
    /// Pulley, wasmtime's portable interpreter: some ten times slower, and another way to the same results.
    Pulley,
}

/// Which instructions cost how much fuel: a new number for every version of wasmtime that counts otherwise, which a
/// test notices.
const FUEL_SCHEDULE: u32 = 1;

/// What of a sandbox with this backend can decide a result beside the action.
pub fn traits(backend: Backend) -> Traits {
    let processor = std::env::consts::ARCH;
    let float_architecture = match backend {
        Backend::Cranelift => processor.to_owned(),
        Backend::Pulley => format!("pulley-{processor}"),
    };
    let engine = match backend {
        Backend::Cranelift => "cranelift",
        Backend::Pulley => "pulley",
    };
    Traits { float_architecture, fuel_schedule: FUEL_SCHEDULE, engine: engine.to_owned() }
}

/// Everything in which engines differ: each kind has machine code of its own for a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EngineKind {
    pub(crate) backend: Backend,
    /// Whether it counts fuel.
    pub(crate) metered: bool,
    /// Whether NaNs are as the processor makes them, instead of one bit pattern.
    pub(crate) native_floats: bool,
}

impl EngineKind {
    /// Every kind, in the order of [`Self::index`].
    fn all() -> impl Iterator<Item = EngineKind> {
        [Backend::Cranelift, Backend::Pulley].into_iter().flat_map(|backend| {
            [(false, false), (false, true), (true, false), (true, true)].map(|(metered, native_floats)| EngineKind {
                backend,
                metered,
                native_floats,
            })
        })
    }

    fn index(self) -> usize {
        (usize::from(self.backend == Backend::Pulley) << 2)
            | (usize::from(self.metered) << 1)
            | usize::from(self.native_floats)
    }

    /// What it is called between processes.
    pub(crate) fn name(self) -> String {
        let backend = match self.backend {
            Backend::Cranelift => "cranelift",
            Backend::Pulley => "pulley",
        };
        let metered = if self.metered { "+fuel" } else { "" };
        let floats = if self.native_floats { "+native-floats" } else { "" };
        format!("{backend}{metered}{floats}")
    }

    /// The kind of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }
}

/// An engine and what it offers to modules.
pub(crate) struct PreparedEngine {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<World>,
    /// For modules that run their own initialiser before they start.
    pub(crate) initialising_linker: Linker<World>,
    /// For components, made when the first one comes.
    components: OnceLock<component::Linker<World>>,
    pub(crate) kind: EngineKind,
}

impl PreparedEngine {
    pub(crate) fn component_linker(&self) -> wasmtime::Result<&component::Linker<World>> {
        if let Some(linker) = self.components.get() {
            return Ok(linker);
        }
        let made = crate::component::linker(&self.engine)?;
        Ok(self.components.get_or_init(|| made))
    }
}

/// The engines, one for each kind: counting fuel makes code up to 1.8 times slower (3.9 times in vectorised loops),
/// so only actions that have a limit of fuel pay for it. Each is made when it is first needed.
#[derive(Clone)]
pub(crate) struct Engines(Arc<Inner>);

struct Inner {
    slots: usize,
    pooled: bool,
    backend: Backend,
    made: [OnceLock<PreparedEngine>; 8],
}

impl Engines {
    /// Makes the engine for most actions; the others follow when they are needed.
    pub(crate) fn new(slots: usize, pooled: bool, backend: Backend) -> Result<Self, SandboxError> {
        let engines = Self(Arc::new(Inner { slots, pooled, backend, made: Default::default() }));
        engines.get(false, false)?;
        Ok(engines)
    }

    pub(crate) fn get(&self, metered: bool, native_floats: bool) -> Result<&PreparedEngine, SandboxError> {
        let kind = EngineKind { backend: self.0.backend, metered, native_floats };
        let cell = &self.0.made[kind.index()];
        if let Some(engine) = cell.get() {
            return Ok(engine);
        }
        // Two threads may both make one; the second is dropped.
        let made =
            make(self.0.pooled.then_some(self.0.slots), kind).map_err(|error| SandboxError::Engine(error.into()))?;
        Ok(cell.get_or_init(|| made))
    }

    /// Lets a tick pass on each engine that there is.
    pub(crate) fn tick(&self) {
        for engine in self.0.made.iter().filter_map(OnceLock::get) {
            engine.engine.increment_epoch();
        }
    }
}

/// An engine with a pool of so many slots, or without one.
fn make(slots: Option<usize>, kind: EngineKind) -> wasmtime::Result<PreparedEngine> {
    let mut config = settings(kind)?;
    if let Some(slots) = slots {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(slots)));
    }
    let engine = match Engine::new(&config) {
        Ok(engine) => engine,
        Err(error) if slots.is_none() => return Err(error),
        Err(error) => {
            // A container or a 32-bit-like address space: correct all the same, only slower to start instances.
            tracing::warn!("no pool of instances on this host, they are made one by one: {error:#}");
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            Engine::new(&config)?
        }
    };
    let mut linker = Linker::new(&engine);
    wasi::add_to_linker(&mut linker)?;
    let mut initialising_linker = Linker::new(&engine);
    wasi::add_initialising_to_linker(&mut initialising_linker)?;
    Ok(PreparedEngine { engine, linker, initialising_linker, components: OnceLock::new(), kind })
}

/// An engine that only compiles, and has no pool: that of [`Engines`] loads what it made.
pub(crate) fn compiling(kind: EngineKind) -> wasmtime::Result<Engine> {
    Engine::new(&settings(kind)?)
}

fn settings(kind: EngineKind) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    if kind.backend == Backend::Pulley {
        config.target(if cfg!(target_endian = "big") { "pulley64be" } else { "pulley64" })?;
    }

    // The proposals that compilers for WASI make use of, one by one: an upgrade of wasmtime must not let guests
    // do more than the version before. Everything else is off.
    config.wasm_features(WasmFeatures::all(), false);
    let used = [
        WasmFeatures::FLOATS,
        WasmFeatures::MUTABLE_GLOBAL,
        WasmFeatures::SATURATING_FLOAT_TO_INT,
        WasmFeatures::SIGN_EXTENSION,
        WasmFeatures::MULTI_VALUE,
        WasmFeatures::BULK_MEMORY,
        WasmFeatures::BULK_MEMORY_OPT,
        WasmFeatures::REFERENCE_TYPES,
        WasmFeatures::CALL_INDIRECT_OVERLONG,
        WasmFeatures::SIMD,
        WasmFeatures::RELAXED_SIMD,
        WasmFeatures::TAIL_CALL,
        WasmFeatures::EXTENDED_CONST,
        WasmFeatures::COMPONENT_MODEL,
    ];
    for feature in used {
        config.wasm_features(feature, true);
    }

    // The same bytes on every machine: one bit pattern for every NaN, and relaxed SIMD without its freedom.
    config.cranelift_nan_canonicalization(!kind.native_floats);
    config.relaxed_simd_deterministic(true);

    // Guests are stopped by ticks of a clock (`epoch`), and by fuel where the action says so.
    config.epoch_interruption(true);
    config.consume_fuel(kind.metered);
    config.max_wasm_stack(STACK_BYTES);
    config.wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES_MAX));
    // Debug information is only looked at when a guest traps. Not left to an environment variable, which is the default.
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);

    config.cranelift_opt_level(OptLevel::Speed);
    config.memory_init_cow(true);
    config.parallel_compilation(true);
    // Off because nothing here needs them: each costs something with every call or instance.
    config.concurrency_support(false);
    config.gc_support(false);
    Ok(config)
}

fn pool(slots: usize) -> PoolingAllocationConfig {
    let count = slots.saturating_mul(4).clamp(POOL_SLOTS_MIN, slots.saturating_add(POOL_SLOTS_SPARE_MAX).max(16));
    let count = u32::try_from(count.max(slots)).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    // What a component may have at most is there for each worker, so that no worker can be without.
    let for_each = |most: u32| u32::try_from(slots).unwrap_or(u32::MAX).saturating_mul(most).max(count);
    pool.total_core_instances(for_each(CORE_INSTANCES_MAX))
        .total_component_instances(count)
        .total_memories(for_each(MEMORIES_MAX))
        .total_tables(count.saturating_mul(TABLES_MAX))
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .max_component_instance_size(INSTANCE_BYTES_MAX)
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_memories_per_module(1)
        .max_tables_per_module(TABLES_MAX)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_memory_size(4 << 30)
        .max_unused_warm_slots(count)
        .linear_memory_keep_resident(MEMORY_KEPT_BYTES)
        .table_keep_resident(TABLE_KEPT_BYTES)
        .decommit_batch_size(DECOMMIT_BATCH)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// An error that is the host's, not the guest's.
pub(crate) fn host(doing: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> RunnerError {
    RunnerError::Host { doing, source: source.into() }
}
