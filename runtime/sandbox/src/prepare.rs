//! From a module's bytes to machine code, in whichever process.
//!
//! Owns: the steps that depend on the module and the engine alone, among them the snapshot of a module that initialises
//! itself. Does not know: processes, where code is kept, jobs.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmtime::{Engine, Extern, Instance, Linker, Module, Store, Val};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

use crate::instance::{INITIALISER_STDERR_BYTES, Stop, World};
use crate::validate::{self, Layer};
use crate::wasi;

/// The function that a module exports to be initialised once, before it is first started: the name that Wizer gave it.
pub(crate) const INITIALISER: &str = "wizer-initialize";

/// A module exports this beside [`INITIALISER`] where it is to be started by another function than `_start` once it is
/// initialised: one that does not run constructors again. A reactor has to, as it has no `_start`.
pub(crate) const RESUME: &str = "wizer-resume";

/// What a reactor exports in place of `_start`: it is called first of all, and runs constructors.
const REACTOR: &str = "_initialize";

/// The serialised machine code of a module, or what is wrong with the module. If it has an initialiser and
/// `with_snapshot` says so, it is the code of the module as it is when that has run.
pub(crate) fn machine_code(engine: &Engine, layer: Layer, wasm: &[u8], with_snapshot: bool) -> Result<Vec<u8>, String> {
    if layer == Layer::Component {
        return engine.precompile_component(wasm).map_err(|error| validate::compiler_text(&error));
    }
    let snapshot = if with_snapshot && has_initialiser(wasm) { Some(snapshot(engine, wasm)?) } else { None };
    let wasm = snapshot.as_deref().unwrap_or(wasm);
    engine.precompile_module(wasm).map_err(|error| validate::compiler_text(&error))
}

/// Whether a core module exports an initialiser. One that is malformed does not.
pub(crate) fn has_initialiser(wasm: &[u8]) -> bool {
    exports(wasm, INITIALISER)
}

fn exports(wasm: &[u8], name: &str) -> bool {
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        match payload {
            Ok(wasmparser::Payload::ExportSection(section)) => {
                return section.into_iter().flatten().any(|export| export.name == name);
            }
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

/// The module as it is when its initialiser has run, in a world with nothing in it.
fn snapshot(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>, String> {
    let text = |error: wasmtime::Error| validate::compiler_text(&error.context("its initialiser"));
    let mut wizer = Wizer::new();
    // It is kept, so that the snapshot can be told from a module that never had one.
    wizer.init_func(INITIALISER).keep_init_func(true);
    if exports(wasm, RESUME) {
        wizer.func_rename("_start", RESUME);
    }
    let (context, instrumented) = wizer.instrument(wasm).map_err(text)?;
    let module = Module::new(engine, &instrumented).map_err(text)?;
    let mut linker = Linker::new(engine);
    wasi::add_initialising_to_linker(&mut linker).map_err(text)?;
    validate::check_imports(&module, &linker, engine).map_err(|error| error.to_string())?;
    let mut store = Store::new(engine, World::initialising());
    store.limiter(World::limiter);
    // Nothing but the limits of the whole process stops it: what it has done is the same on every machine.
    store.set_epoch_deadline(u64::MAX / 2);
    let _ = store.set_fuel(u64::MAX);
    let instance = linker.instantiate(&mut store, &module).map_err(text)?;
    initialise(&mut store, instance)?;
    let mut state = State { store: &mut store, instance };
    block_on(wizer.snapshot(&context, &mut state)).map_err(text)
}

/// Calls the initialiser of an instance whose world is [`World::initialising`]; that of a reactor first becomes one.
pub(crate) fn initialise(store: &mut Store<World>, instance: Instance) -> Result<(), String> {
    let reactor = instance.get_func(&mut *store, REACTOR).is_some().then_some(REACTOR);
    for name in reactor.into_iter().chain([INITIALISER]) {
        let function = instance.get_typed_func::<(), ()>(&mut *store, name);
        let function = function.map_err(|_| format!("its `{name}` takes or returns something"))?;
        function.call(&mut *store, ()).map_err(|error| why_not_initialised(store.data_mut(), &error))?;
    }
    Ok(())
}

/// Why an initialiser came to no end, with what it said.
fn why_not_initialised(world: &mut World, error: &wasmtime::Error) -> String {
    let why = match world.take_stop() {
        Some(Stop::Forbidden(call)) => format!(
            "its initialiser called `{call}`: it runs once for all jobs, before there are files, arguments or streams"
        ),
        Some(Stop::Exit(code)) => format!("its initialiser ended the program with code {code}"),
        Some(Stop::OutputTooLarge) => {
            format!("its initialiser wrote more than {} KiB to standard error", INITIALISER_STDERR_BYTES >> 10)
        }
        _ => format!("its initialiser failed: {}", validate::compiler_text(error)),
    };
    match world.said() {
        said if said.is_empty() => why,
        said => format!("{why}; it said: {said}"),
    }
}

/// An instance whose state is taken.
struct State<'a> {
    store: &'a mut Store<World>,
    instance: Instance,
}

impl InstanceState for State<'_> {
    async fn global_get(&mut self, name: &str, _type: ValType) -> SnapshotVal {
        match self.instance.get_global(&mut *self.store, name).map(|global| global.get(&mut *self.store)) {
            Some(Val::I64(value)) => SnapshotVal::I64(value),
            Some(Val::F32(bits)) => SnapshotVal::F32(bits),
            Some(Val::F64(bits)) => SnapshotVal::F64(bits),
            Some(Val::V128(value)) => SnapshotVal::V128(value.as_u128()),
            Some(Val::I32(value)) => SnapshotVal::I32(value),
            // Wizer asks for the globals that it exported itself, and refuses modules with others.
            _ => SnapshotVal::I32(0),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self.instance.get_export(&mut *self.store, name).and_then(Extern::into_memory);
        contents(memory.map_or(&[], |memory| memory.data(&*self.store)));
    }
}

/// Wizer's interface is asynchronous for instances that are elsewhere; ours never waits.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
