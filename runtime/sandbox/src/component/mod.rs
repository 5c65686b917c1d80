//! Components: WASI preview 2 (`wasi:cli/run`, 0.2.x) over the same filesystem, clock and randomness as preview 1.
//!
//! Owns: what is offered to components, and running a component. Does not know:
//! how files are kept, or what an attempt's end means.

mod bindings;
mod check;
mod cli;
mod clocks;
mod filesystem;
mod resources;
mod streams;
#[cfg(test)]
mod tests;

use std::any::Any;

use wasmill_model::port::ModuleError;
use wasmtime::component::{Component, HasSelf, Linker, Resource};
use wasmtime::{Engine, Store, Trap};

use crate::instance::{Stop, World};
use crate::vfs::Fail;
use crate::wasi::Errno;
use bindings::JobPre;

pub(crate) use resources::Held;
use resources::Refusal;

/// Most bytes that one call takes from a guest: more than any program hands over at once, and bounded, because they
/// are copied. wasmtime's own bound is 128 MiB.
const CALL_BYTES_MAX: usize = 16 << 20;

/// Most handles that a component has, those of resources that its own parts define included: wasmtime's default, which
/// must not change with it.
const HANDLES_MAX: usize = 100_000;

/// Most bytes that one call reads; whoever wants more calls again. They are copied twice, so they should stay in a
/// core's cache, and they are the host's memory while they are on their way.
const READ_BYTES_MAX: u64 = 64 << 10;

/// A component that is ready to be instantiated.
pub(crate) struct PreparedComponent(JobPre<World>);

/// Everything that a component may import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<World>> {
    let mut linker = Linker::new(engine);
    bindings::Job::add_to_linker::<World, HasSelf<World>>(&mut linker, |world| world)?;
    Ok(linker)
}

/// Links a component, or says what is wrong with it.
pub(crate) fn prepare(component: &Component, linker: &Linker<World>) -> Result<PreparedComponent, ModuleError> {
    let instance = check::check(component, linker)?;
    JobPre::new(instance).map(PreparedComponent).map_err(|error| check::no_run(component, &error))
}

/// The error of a guest that broke the rules of a call: a pointer outside its memory, a handle that is not its own.
/// wasmtime has no trap for most of them.
#[derive(Debug, thiserror::Error)]
#[error("broke the rules of a call")]
pub(crate) struct Misuse;

/// Runs a component to its end.
pub(crate) fn run(store: &mut Store<World>, component: &PreparedComponent) -> wasmtime::Result<()> {
    store.set_hostcall_fuel(CALL_BYTES_MAX);
    store.set_max_component_handles(HANDLES_MAX);
    let job = component.0.instantiate(&mut *store).map_err(|error| {
        // What comes of a module's start function is the guest's; what comes of making instances is the host's.
        if error.is::<wasmtime::WasmBacktrace>() { blame(error) } else { error }
    })?;
    match job.wasi_cli_run().call_run(&mut *store).map_err(blame)? {
        Ok(()) => Ok(()),
        Err(()) => Err(store.data_mut().stop(Stop::Exit(1))),
    }
}

/// Blames the guest for an error that is no trap.
fn blame(error: wasmtime::Error) -> wasmtime::Error {
    if error.is::<Trap>() || error.is::<wasmtime::error::OutOfMemory>() { error } else { error.context(Misuse) }
}

impl World {
    /// Keeps something for the guest where the call has no way to say that this is too much.
    fn hold<T: Any + Send>(&mut self, thing: T) -> wasmtime::Result<Resource<T>> {
        self.held.push(thing).map_err(|_| wasmtime::Error::msg("too much is open at once"))
    }

    /// What the guest is told, or the error that stops it. A stream that is at its end has no error number.
    fn told(&mut self, refusal: Refusal) -> wasmtime::Result<Option<Errno>> {
        Err(match refusal {
            Refusal::Closed => return Ok(None),
            Refusal::Fail(Fail::Errno(errno)) => return Ok(Some(errno)),
            Refusal::Fail(Fail::OutputTooLarge) => self.stop(Stop::OutputTooLarge),
            Refusal::Fail(Fail::Store(error)) => self.stop(Stop::Store(error)),
            Refusal::Fail(Fail::Disk(error)) => self.stop(Stop::Disk(error)),
            Refusal::Fail(Fail::Over(over)) => self.stop(Stop::Over(over)),
            Refusal::Trap(error) => error,
        })
    }
}
