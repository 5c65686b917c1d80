//! What the checks in machine code cost: the same programs compiled with none of them, with each, and with those of
//! wasmill's engines.
//!
//! `metering KERNELS.wasm [PYTHON.wasm]`; see docs/benchmarks.md.

use std::time::{Duration, Instant};

use wasmtime::{Config, Engine, Linker, Module, OptLevel, Store, UpdateDeadline};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p1::{WasiP1Ctx, add_to_linker_sync};

/// Runs of each, in turn; the fastest counts, as noise only adds.
const ROUNDS: usize = 3;

const PYTHON: &str = "
total = {}
for number in range(200_000):
    word = str(number * 7919 % 10_007)
    total[word] = total.get(word, 0) + len(word)
print(sorted(total.items())[:3])
";

struct Variant {
    name: &'static str,
    epoch: bool,
    fuel: bool,
    canonical: bool,
}

const VARIANTS: [Variant; 6] = [
    Variant { name: "none", epoch: false, fuel: false, canonical: false },
    Variant { name: "canonical NaNs", epoch: false, fuel: false, canonical: true },
    Variant { name: "epoch", epoch: true, fuel: false, canonical: false },
    Variant { name: "fuel", epoch: false, fuel: true, canonical: false },
    Variant { name: "**default**: epoch, NaNs", epoch: true, fuel: false, canonical: true },
    Variant { name: "**with `fuel`**: all three", epoch: true, fuel: true, canonical: true },
];

fn engine(variant: &Variant) -> Engine {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(variant.canonical)
        .relaxed_simd_deterministic(true)
        .epoch_interruption(variant.epoch)
        .consume_fuel(variant.fuel)
        .concurrency_support(false);
    Engine::new(&config).unwrap()
}

fn run(engine: &Engine, linker: &Linker<WasiP1Ctx>, module: &Module, variant: &Variant, args: &[&str]) -> Duration {
    let wasi = WasiCtxBuilder::new().args(args).build_p1();
    let mut store = Store::new(engine, wasi);
    if variant.epoch {
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
    }
    if variant.fuel {
        store.set_fuel(u64::MAX).unwrap();
    }
    let instance = linker.instantiate(&mut store, module).unwrap();
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
    let began = Instant::now();
    if let Err(error) = start.call(&mut store, ()) {
        let exit = error.downcast_ref::<wasmtime_wasi::I32Exit>().map(|exit| exit.0);
        assert_eq!(exit, Some(0), "{error:#}");
    }
    began.elapsed()
}

fn main() {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let programs: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let kernels = ["sieve", "blur", "mandelbrot", "sum", "deflate", "sha256", "json", "sort"];
    let mut cases: Vec<(&str, usize, Vec<&str>)> = kernels.map(|name| (name, 0, vec!["kernels", name])).to_vec();
    if programs.len() > 1 {
        cases.push(("CPython", 1, vec!["python", "-I", "-c", PYTHON]));
    }
    let engines: Vec<Engine> = VARIANTS.iter().map(engine).collect();
    let mut best = vec![vec![Duration::MAX; VARIANTS.len()]; cases.len()];
    let mut compiled = Vec::new();
    for engine in &engines {
        let modules: Vec<Module> = programs.iter().map(|wasm| Module::new(engine, wasm).unwrap()).collect();
        let mut linker = Linker::new(engine);
        add_to_linker_sync(&mut linker, |wasi: &mut WasiP1Ctx| wasi).unwrap();
        compiled.push((modules, linker));
    }
    for _ in 0..ROUNDS {
        for (case, (_, program, args)) in cases.iter().enumerate() {
            for (index, variant) in VARIANTS.iter().enumerate() {
                let (modules, linker) = &compiled[index];
                let took = run(&engines[index], linker, &modules[*program], variant, args);
                best[case][index] = best[case][index].min(took);
            }
        }
    }
    print!("| checks |");
    cases.iter().for_each(|(name, ..)| print!(" {name} |"));
    println!("\n|---|{}", "--:|".repeat(cases.len()));
    for (index, variant) in VARIANTS.iter().enumerate() {
        print!("| {} |", variant.name);
        for times in &best {
            if index == 0 {
                print!(" {:.0} ms |", times[0].as_secs_f64() * 1e3);
            } else {
                print!(" {:.2} |", times[index].as_secs_f64() / times[0].as_secs_f64());
            }
        }
        println!();
    }
}
