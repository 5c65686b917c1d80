//! Where pools of instances are said to lose: the slowest of many jobs, small jobs after fat ones, very many jobs, very
//! large inputs; and what single file calls cost.
//!
//! `cargo bench -p wasmill-sandbox --bench extremes [-- PART-OF-A-NAME]`. Times are of one run on one machine: quote the
//! ratios.

mod programs;
mod stores;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmill_model::port::{BlobStore, Cancel, Request, Runner};
use wasmill_model::{Action, BlobRef, Floats, GuestPath, Limits, Mount, Outcome, Timeout};
use wasmill_sandbox::{Options, Sandbox};

use programs::{CALLS, READS, SPIN, STDOUT, WHOLE, fat};
use stores::{Artifacts, Memory};

/// How often a program that measures calls makes them.
const CALLS_MADE: f64 = 100_000.0;

struct Bench {
    memory: Arc<Memory>,
    sandbox: Sandbox,
    wanted: String,
}

impl Bench {
    fn action(&self, wat: &str, input: Option<BlobRef>) -> Action {
        let input = input.map(|blob| Mount::File { blob, is_executable: false }.into());
        Action {
            abi: 1,
            module: self.memory.put(wat::parse_str(wat).unwrap().into()).unwrap().digest,
            args: vec!["main".to_owned()],
            env: BTreeMap::new(),
            stdin: BlobRef::EMPTY,
            mounts: input.into_iter().map(|input| (GuestPath::new("/in/x").unwrap(), input)).collect(),
            outputs: BTreeSet::new(),
            seed: 0,
            limits: Limits { memory_bytes: 1 << 30, ..Limits::default() },
            fuel_schedule: 0,
            floats: Floats::Canonical,
        }
    }

    fn run(&self, action: &Action, cancel: &Cancel) -> Duration {
        let request = Request { action, key: action.key(), timeout: Timeout::default(), listener: None };
        let began = Instant::now();
        let execution = self.sandbox.run(request, cancel).unwrap();
        let took = began.elapsed();
        let outcome = execution.result.outcome;
        assert!(outcome == Outcome::SUCCESS || outcome == Outcome::Cancelled, "{outcome:?}");
        took
    }

    fn is_wanted(&self, name: &str) -> bool {
        name.contains(&self.wanted)
    }

    /// The distribution of many small jobs while the other core runs long ones.
    fn tail(&self) {
        if !self.is_wanted("tail") {
            return;
        }
        let (small, long) = (self.action(STDOUT, None), self.action(SPIN, None));
        let (cancel, stop, never) = (Cancel::new(), AtomicBool::new(false), Cancel::new());
        let mut times = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    self.run(&long, &cancel);
                }
            });
            let times: Vec<Duration> = (0..100_000).map(|_| self.run(&small, &never)).collect();
            stop.store(true, Ordering::Relaxed);
            cancel.cancel();
            times
        });
        times.sort_unstable();
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e6;
        println!("tail: 100,000 jobs of 1 KiB to stdout beside a job that computes on the other core");
        let (p50, p99) = (at(0.5), at(0.99));
        println!(
            "  p50 {p50:.2} µs, p99 {p99:.2} µs ({:.2}x), p99.9 {:.1} µs, worst {:.0} µs",
            p99 / p50,
            at(0.999),
            at(1.0)
        );
    }

    /// Small jobs alone, and each behind a job that touched much memory, in the same pool.
    fn size_classes(&self) {
        if !self.is_wanted("size classes") {
            return;
        }
        let (small, never) = (self.action(STDOUT, None), Cancel::new());
        let median = |mut times: Vec<Duration>| {
            times.sort_unstable();
            times[times.len() / 2].as_secs_f64() * 1e6
        };
        println!("size classes: a job of 1 KiB to stdout, in the same slots as");
        let alone = median((0..2000).map(|_| self.run(&small, &never)).collect());
        println!("  itself              {alone:.2} µs");
        for mebibytes in [1, 8, 64, 256] {
            let fat = self.action(&fat(mebibytes), None);
            let mut after = Vec::new();
            for _ in 0..40 {
                self.run(&fat, &never);
                after.extend((0..5).map(|_| self.run(&small, &never)));
            }
            let after = median(after);
            println!("  one of {mebibytes:>3} MiB before {after:.2} µs ({:.2}x)", after / alone);
        }
    }

    fn calls(&self) {
        if !self.is_wanted("calls") {
            return;
        }
        let (never, blob) = (Cancel::new(), self.memory.put(vec![7; 4096].into()).unwrap());
        let empty = self.action(STDOUT, None);
        println!("calls: each of a file call");
        for (name, wat) in [("open + close", CALLS), ("read of 64 B", READS)] {
            let action = self.action(wat, Some(blob));
            let times = (0..7).map(|_| self.run(&action, &never).saturating_sub(self.run(&empty, &never)));
            let best = times.min().unwrap_or_default();
            println!("  {name}: {:.3} µs", best.as_secs_f64() * 1e6 / CALLS_MADE);
        }
    }

    /// Reading a gibibyte in pieces of 64 KiB, beside copying as much memory in the same pieces.
    fn gibibyte(&self) {
        if !self.is_wanted("gibibyte") {
            return;
        }
        let bytes = Bytes::from((0..1_usize << 30).map(|at| (at >> 12) as u8).collect::<Vec<_>>());
        let blob = self.memory.put(bytes.clone()).unwrap();
        let (action, never) = (self.action(WHOLE, Some(blob)), Cancel::new());
        let mut buffer = vec![0_u8; 64 << 10];
        let copy = |buffer: &mut Vec<u8>| {
            let began = Instant::now();
            for piece in bytes.chunks(buffer.len()) {
                buffer[..piece.len()].copy_from_slice(piece);
                std::hint::black_box(&buffer);
            }
            began.elapsed()
        };
        let (mut read, mut copied) = (Duration::MAX, Duration::MAX);
        for _ in 0..5 {
            read = read.min(self.run(&action, &never));
            copied = copied.min(copy(&mut buffer));
        }
        let ratio = read.as_secs_f64() / copied.as_secs_f64();
        println!("gibibyte: read {read:.0?}, memcpy {copied:.0?} ({ratio:.2}x)");
    }

    /// Resident memory over a million jobs on one pool.
    fn million(&self) {
        if !self.is_wanted("million") {
            return;
        }
        let (small, never) = (self.action(STDOUT, None), Cancel::new());
        let resident = || memory_stats::memory_stats().map_or(0, |stats| stats.physical_mem) as f64 / 1e6;
        (0..10_000).for_each(|_| _ = self.run(&small, &never));
        let (before, began) = (resident(), Instant::now());
        (0..1_000_000).for_each(|_| _ = self.run(&small, &never));
        let (after, took) = (resident(), began.elapsed());
        println!("million: {took:.1?}, {before:.1} MB resident before, {after:.1} MB after ({:.3}x)", after / before);
    }
}

fn main() {
    let memory = Arc::new(Memory::default());
    let options = Options { slots: 2, ..Options::default() };
    let sandbox = Sandbox::new(options, Arc::clone(&memory) as _, Arc::new(Artifacts::new())).unwrap();
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let bench = Bench { memory, sandbox, wanted };
    bench.tail();
    bench.size_classes();
    bench.calls();
    bench.million();
    bench.gibibyte();
}
