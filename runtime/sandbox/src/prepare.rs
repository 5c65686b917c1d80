//! From a module's bytes to machine code, in whichever process.
//!
//! Owns: the steps that depend on the module and the engine alone. Does not know: processes, where code is kept.

use wasmtime::Engine;

use crate::validate;

/// The serialised machine code of a module, or what is wrong with the module.
pub(crate) fn machine_code(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>, String> {
    engine.precompile_module(wasm).map_err(|error| validate::compiler_text(&error))
}
