//! Any module comes to the same result from a pool and a snapshot, from nothing, and on the other engine.
//!
//! Owns: making a module out of any bytes, and comparing what comes of it. Does not know: where the bytes come from: a
//! fuzzer (`tests/fuzz`) or a test with fixed seeds (`runtime/sandbox/tests`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use arbitrary::Unstructured;
use wasm_smith::{Config, Module};
use wasmill_model::port::{BlobStore, Cancel, Execution, Request, Runner, RunnerError};
use wasmill_model::{Action, BlobRef, Floats, Limits, Outcome, Timeout};
use wasmill_sandbox::{Backend, Options, Sandbox};

use crate::stores::{Artifacts, Memory};

/// What the module has for its host and for us. `wizer-initialize` is called first, or was.
const INITIALISED: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "wizer-initialize"))
  (func (export "_start")))"#;

/// The same without an initialiser: then there can be instructions that snapshots do not know.
const PLAIN: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "_start")))"#;

/// What it may call: what it writes can be compared.
const IMPORTS: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))"#;

/// Most steps that the module itself makes sure to end after: an initialiser has no fuel.
const STEPS: u32 = 20_000;

struct Sandboxes {
    memory: Arc<Memory>,
    /// The way that jobs are executed, and the ways to check it.
    usual: Sandbox,
    others: [(&'static str, Sandbox); 2],
}

fn sandboxes() -> &'static Sandboxes {
    static MADE: OnceLock<Sandboxes> = OnceLock::new();
    MADE.get_or_init(|| {
        let memory = Arc::new(Memory::default());
        let make = |pooled, backend| {
            let options = Options { pooled, snapshots: pooled, backend, ..Options::default() };
            Sandbox::new(options, Arc::clone(&memory) as _, Arc::new(Artifacts::new())).expect("a sandbox")
        };
        let others = [("from nothing", make(false, Backend::Cranelift)), ("on Pulley", make(false, Backend::Pulley))];
        Sandboxes { usual: make(true, Backend::Cranelift), others, memory }
    })
}

/// What a module may have in it: what the sandbox offers, and what a snapshot can be made of.
fn config(is_initialised: bool) -> Option<Config> {
    Some(Config {
        exports: Some(wat::parse_str(if is_initialised { INITIALISED } else { PLAIN }).ok()?),
        available_imports: Some(wat::parse_str(IMPORTS).ok()?),
        max_imports: 6,
        // The one that is exported.
        max_memories: 0,
        max_memory32_bytes: 4 << 20,
        max_tables: 2,
        min_funcs: 2,
        bulk_memory_enabled: !is_initialised,
        reference_types_enabled: !is_initialised,
        simd_enabled: true,
        relaxed_simd_enabled: true,
        multi_value_enabled: true,
        saturating_float_to_int_enabled: true,
        sign_extension_ops_enabled: true,
        tail_call_enabled: true,
        extended_const_enabled: true,
        exceptions_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        threads_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        allow_start_export: false,
        ..Config::default()
    })
}

/// Makes a module of `data`, executes it in every way and compares. Returns how it ended, if there was a module.
///
/// # Panics
/// Two ways differ.
pub(crate) fn same_everywhere(data: &[u8]) -> Option<Outcome> {
    let (first, data) = data.split_first()?;
    let is_initialised = first % 2 == 0;
    let mut bytes = Unstructured::new(data);
    let mut module = Module::new(config(is_initialised)?, &mut bytes).ok()?;
    module.ensure_termination(STEPS).ok()?;
    let Sandboxes { memory, usual, others } = sandboxes();
    let action = Action {
        abi: 1,
        module: memory.put(module.to_bytes().into()).expect("memory takes everything").digest,
        args: vec!["main".to_owned()],
        env: BTreeMap::from([("NAME".to_owned(), "value".to_owned())]),
        stdin: BlobRef::EMPTY,
        mounts: BTreeMap::new(),
        outputs: BTreeSet::new(),
        seed: 0,
        limits: Limits { memory_bytes: 8 << 20, fuel: Some(1_000_000), output_bytes: 1 << 20 },
        fuel_schedule: 1,
        floats: Floats::Canonical,
    };
    let run = |sandbox: &Sandbox| -> Result<Execution, RunnerError> {
        sandbox.run(
            Request { action: &action, key: action.key(), timeout: Timeout::default(), listener: None },
            &Cancel::new(),
        )
    };
    let expected = run(usual);
    for (how, sandbox) in others {
        match (&expected, run(sandbox)) {
            (Ok(one), Ok(other)) => {
                // How deep the stack goes is the machine code's, which is why it is no result.
                let is_stack =
                    |execution: &Execution| matches!(execution.result.outcome, Outcome::StackExhausted { .. });
                if !is_stack(one) && !is_stack(&other) {
                    let (outcome, other_outcome) = (&one.result.outcome, &other.result.outcome);
                    assert!(outcome.is_same_as(other_outcome), "{how}: {other_outcome:?}, as usual: {outcome:?}");
                    let left = |execution: &Execution| {
                        let result = &execution.result;
                        (result.output, result.stdout, result.stderr, execution.usage.fuel)
                    };
                    assert_eq!(left(one), left(&other), "{how}");
                }
            }
            // A module that is refused, or whose initialiser fails.
            (Err(_), Err(_)) => {}
            (one, other) => panic!("{how}: {other:?}, as usual: {one:?}"),
        }
    }
    expected.ok().map(|execution| execution.result.outcome)
}
