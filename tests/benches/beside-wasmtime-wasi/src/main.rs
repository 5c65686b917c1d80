//! What one warm job costs in wasmill's sandbox and in bare wasmtime-wasi with the best settings of its pool, in turn:
//! a fresh instance, what it writes to standard output captured and digested.
//!
//! wasmill's part does more: it has limits of memory, output and time, a filesystem, usage, and hands the output to a
//! store. `cargo run --release --manifest-path tests/benches/beside-wasmtime-wasi/Cargo.toml`.

#[path = "../../../../runtime/sandbox/benches/programs/mod.rs"]
mod programs;
#[path = "../../../../runtime/sandbox/benches/stores/mod.rs"]
mod stores;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use wasmill_model::port::{BlobStore, Cancel, Request, Runner};
use wasmill_model::{Action, BlobRef, Floats, Limits, Outcome, Timeout};
use wasmill_sandbox::{Options, Sandbox};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, InstancePre, Linker, Module, OptLevel,
    PoolingAllocationConfig, Store,
};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p1::{WasiP1Ctx, add_to_linker_sync};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

use programs::{EMPTY, STDOUT, TOUCHED};
use stores::{Artifacts, Memory};

/// How long each measurement takes.
const SPAN: Duration = Duration::from_millis(500);

/// Measurements of each case, in turn; the best counts, as noise only adds.
const ROUNDS: usize = 7;

fn action(memory: &Memory, module: &[u8], args: &[&str]) -> Action {
    Action {
        abi: 1,
        module: memory.put(module.to_vec().into()).unwrap().digest,
        args: args.iter().map(ToString::to_string).collect(),
        env: BTreeMap::new(),
        stdin: BlobRef::EMPTY,
        mounts: BTreeMap::new(),
        outputs: BTreeSet::new(),
        seed: 0,
        limits: Limits::default(),
        fuel_schedule: 0,
        floats: Floats::Canonical,
    }
}

/// The same settings of the pool and of the machine code as wasmill's.
fn bare_engine() -> Engine {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(16)
        .total_memories(16)
        .total_tables(16)
        .max_memory_size(4 << 30)
        .max_core_instance_size(16 << 20)
        .table_elements(1_000_000)
        .max_unused_warm_slots(16)
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(64 << 10)
        .decommit_batch_size(1)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .epoch_interruption(true)
        .concurrency_support(false);
    Engine::new(&config).unwrap()
}

fn bare_job(engine: &Engine, module: &InstancePre<WasiP1Ctx>, args: &[&str]) -> [u8; 32] {
    let stdout = MemoryOutputPipe::new(1 << 20);
    let wasi = WasiCtxBuilder::new().args(args).stdout(stdout.clone()).build_p1();
    let mut store = Store::new(engine, wasi);
    store.set_epoch_deadline(1_000_000);
    let instance = module.instantiate(&mut store).unwrap();
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
    if let Err(error) = start.call(&mut store, ()) {
        let exit = error.downcast_ref::<wasmtime_wasi::I32Exit>().map(|exit| exit.0);
        assert_eq!(exit, Some(0), "{error:#}");
    }
    drop(store);
    Sha256::digest(stdout.contents()).into()
}

/// Jobs per second over `threads` threads.
fn measure(threads: usize, job: &(dyn Fn() + Sync)) -> f64 {
    let done: u64 = std::thread::scope(|scope| {
        let work = || {
            let began = Instant::now();
            let mut done = 0;
            while began.elapsed() < SPAN {
                job();
                done += 1;
            }
            done
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    done as f64 / SPAN.as_secs_f64()
}

fn main() {
    let memory = Arc::new(Memory::default());
    let artifacts = Arc::new(Artifacts::new());
    let options = Options { slots: 2, ..Options::default() };
    let sandbox = Sandbox::new(options, Arc::clone(&memory) as _, artifacts as _).unwrap();
    let engine = bare_engine();
    let mut linker = Linker::new(&engine);
    add_to_linker_sync(&mut linker, |wasi: &mut WasiP1Ctx| wasi).unwrap();

    println!(
        "| a warm job | wasmill | bare wasmtime-wasi | ratio | 2 threads: wasmill | bare |\n|---|--:|--:|--:|--:|--:|"
    );
    let text = |wat: &str| wat::parse_str(wat).unwrap();
    let mut cases = vec![
        ("empty module", text(EMPTY), vec!["main"]),
        ("1 KiB to stdout", text(STDOUT), vec!["main"]),
        ("the same, and 100 KiB touched", text(TOUCHED), vec!["main"]),
    ];
    if let Some(python) = std::env::args().nth(1) {
        cases.push(("CPython, `print(1)`", std::fs::read(python).unwrap(), vec!["python", "-I", "-c", "print(1)"]));
    }
    for (name, wasm, args) in &cases {
        let action = action(&memory, wasm, args);
        let (key, cancel) = (action.key(), Cancel::new());
        let ours = || {
            let request = Request { action: &action, key, timeout: Timeout::default(), listener: None };
            assert_eq!(sandbox.run(request, &cancel).unwrap().result.outcome, Outcome::SUCCESS);
        };
        let module = Module::new(&engine, wasm).unwrap();
        let module = linker.instantiate_pre(&module).unwrap();
        let bare = || {
            std::hint::black_box(bare_job(&engine, &module, args));
        };
        ours();
        let mut best = [0.0_f64; 4];
        for _ in 0..ROUNDS {
            let round = [measure(1, &ours), measure(1, &bare), measure(2, &ours), measure(2, &bare)];
            for (best, now) in best.iter_mut().zip(round) {
                *best = best.max(now);
            }
        }
        let [ours, bare, ours_2, bare_2] = best;
        let ratio = bare / ours;
        let (a, b) = (1e6 / ours, 1e6 / bare);
        println!("| {name} | {a:.2} µs | {b:.2} µs | {ratio:.2} | {:.2}x | {:.2}x |", ours_2 / ours, bare_2 / bare);
    }
    let began = Instant::now();
    let mut done = 0;
    while began.elapsed() < SPAN {
        assert!(Command::new("/bin/true").status().unwrap().success());
        done += 1;
    }
    println!("| fork + exec of /bin/true | {:.0} µs | | | | |", 1e6 * began.elapsed().as_secs_f64() / f64::from(done));
}
