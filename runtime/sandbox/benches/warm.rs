//! What one warm job costs: a fresh instance, its output captured and digested, in memory; beside starting a process.
//!
//! `cargo bench -p wasmill-sandbox --bench warm [-- PART-OF-A-NAME]`. Times are of one run on one machine: quote the
//! ratios.

mod programs;
mod stores;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmill_model::port::{BlobStore, Cancel, Request, Runner};
use wasmill_model::{Action, BlobRef, Floats, GuestPath, Limits, Mount, Outcome, Timeout};
use wasmill_sandbox::{Options, Sandbox};

use programs::{COMPONENT, COPY, EMPTY, STDOUT, TOUCHED};
use stores::{Artifacts, Memory};

/// How long each measurement takes.
const SPAN: Duration = Duration::from_millis(600);

/// Measurements of each case, in turn with the others; the best counts, as noise only adds.
const ROUNDS: usize = 3;

struct Case {
    name: &'static str,
    action: Action,
}

fn case(name: &'static str, wat: &str, memory: &Memory, with_input: bool) -> Case {
    let module = memory.put(wat::parse_str(wat).unwrap().into()).unwrap().digest;
    let mut mounts = BTreeMap::new();
    if with_input {
        let blob = memory.put(vec![b'x'; 1024].into()).unwrap();
        mounts.insert(GuestPath::new("/in/x").unwrap(), Mount::File { blob, is_executable: false }.into());
    }
    let action = Action {
        abi: 1,
        module,
        args: vec!["main".to_owned()],
        env: BTreeMap::new(),
        stdin: BlobRef::EMPTY,
        mounts,
        outputs: BTreeSet::new(),
        seed: 0,
        limits: Limits::default(),
        fuel_schedule: 1,
        floats: Floats::Canonical,
    };
    Case { name, action }
}

/// Jobs per second over `threads` threads.
fn measure(sandbox: &Sandbox, case: &Case, threads: usize) -> f64 {
    let key = case.action.key();
    let done: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let cancel = Cancel::new();
                    let began = Instant::now();
                    let mut done = 0;
                    while began.elapsed() < SPAN {
                        for _ in 0..100 {
                            let request =
                                Request { action: &case.action, key, timeout: Timeout::default(), listener: None };
                            let execution = sandbox.run(request, &cancel).unwrap();
                            assert_eq!(execution.result.outcome, Outcome::SUCCESS);
                        }
                        done += 100;
                    }
                    done
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    done as f64 / SPAN.as_secs_f64()
}

/// Processes per second, one after the other.
fn measure_processes() -> f64 {
    let began = Instant::now();
    let mut done = 0;
    while began.elapsed() < SPAN {
        assert!(Command::new("/bin/true").status().unwrap().success());
        done += 1;
    }
    f64::from(done) / began.elapsed().as_secs_f64()
}

fn main() {
    let memory = Arc::new(Memory::default());
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let mut cases = vec![
        case("empty module", EMPTY, &memory, false),
        case("1 KiB to stdout", STDOUT, &memory, false),
        case("the same, and 100 KiB touched", TOUCHED, &memory, false),
        case("1 KiB from /in to /out", COPY, &memory, true),
        case("1 KiB to stdout, as a component", COMPONENT, &memory, false),
    ];
    cases.retain(|case| case.name.contains(&wanted));
    let artifacts = Arc::new(Artifacts::new());
    let sandbox =
        Sandbox::new(Options { slots: 2, ..Options::default() }, Arc::clone(&memory) as _, artifacts as _).unwrap();
    let (mut one, mut two, mut processes) = (vec![0.0_f64; cases.len()], vec![0.0_f64; cases.len()], 0.0_f64);
    for _ in 0..ROUNDS {
        for (index, case) in cases.iter().enumerate() {
            one[index] = one[index].max(measure(&sandbox, case, 1));
            two[index] = two[index].max(measure(&sandbox, case, 2));
        }
        if cfg!(unix) {
            processes = processes.max(measure_processes());
        }
    }
    println!("| a warm job | µs | 2 threads | processes in that time |\n|---|---|---|---|");
    for (index, case) in cases.iter().enumerate() {
        let per_process = if processes > 0.0 { format!("1/{:.0}", one[index] / processes) } else { "-".to_owned() };
        println!("| {} | {:.2} | {:.2}x | {per_process} |", case.name, 1e6 / one[index], two[index] / one[index]);
    }
    if processes > 0.0 {
        println!("| fork + exec of /bin/true | {:.0} | | 1 |", 1e6 / processes);
    }
}
