//! What one warm job costs: a fresh instance, its output captured and digested, in memory; beside starting a process.
//!
//! `cargo bench -p wasmill-sandbox --bench warm [-- PART-OF-A-NAME]`. Times are of one run on one machine: quote the
//! ratios.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmill_model::port::{Artifact, ArtifactCache, BlobStore, Cancel, Request, Runner, StoreError};
use wasmill_model::{Action, BlobRef, Digest, GuestPath, Limits, Mount, Outcome, Timeout};
use wasmill_sandbox::{Options, Sandbox};

/// How long each measurement takes.
const SPAN: Duration = Duration::from_millis(600);

/// Measurements of each case, in turn with the others; the best counts, as noise only adds.
const ROUNDS: usize = 3;

/// Blobs in memory, as the store holds them until they are committed.
#[derive(Default)]
struct Memory(Mutex<HashMap<Digest, Bytes>>);

impl BlobStore for Memory {
    fn get(&self, blob: &BlobRef) -> Result<Bytes, StoreError> {
        self.0.lock().unwrap().get(&blob.digest).cloned().ok_or(StoreError::Missing(blob.digest))
    }
    fn find(&self, digest: &Digest) -> Result<Option<BlobRef>, StoreError> {
        let size = self.0.lock().unwrap().get(digest).map(|bytes| bytes.len() as u64);
        Ok(size.map(|size_bytes| BlobRef { digest: *digest, size_bytes }))
    }
    fn put(&self, bytes: Bytes) -> Result<BlobRef, StoreError> {
        let blob = BlobRef::of(&bytes);
        self.0.lock().unwrap().insert(blob.digest, bytes);
        Ok(blob)
    }
    fn put_reader(&self, reader: &mut dyn Read) -> Result<BlobRef, StoreError> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        self.put(bytes.into())
    }
}

struct Artifacts(tempfile::TempDir);

impl ArtifactCache for Artifacts {
    fn artifact(&self, _key: &Digest) -> Result<Option<Artifact>, StoreError> {
        Ok(None)
    }
    fn keep_artifact(&self, key: &Digest, bytes: &[u8]) -> Result<Artifact, StoreError> {
        let path = self.0.path().join(key.to_hex());
        std::fs::write(&path, bytes).unwrap();
        Ok(Artifact { path, digest: Digest::of(bytes) })
    }
}

const EMPTY: &str = r#"(module (memory (export "memory") 2) (func (export "_start")))"#;

const STDOUT: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "\10\00\00\00\00\04\00\00")
  (func (export "_start") (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

const TOUCHED: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "\10\00\00\00\00\04\00\00")
  (func (export "_start") (local $at i32)
    (local.set $at (i32.const 65536))
    (loop $next
      (i32.store (local.get $at) (i32.const 1))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 167936))))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

const COPY: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "\00\10\00\00\00\10\00\00") (data (i32.const 16) "in/x") (data (i32.const 32) "out/x")
  (func (export "_start")
    (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 48)))
    (drop (call $fd_read (i32.load (i32.const 48)) (i32.const 0) (i32.const 1) (i32.const 56)))
    (i32.store (i32.const 4) (i32.load (i32.const 56)))
    (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 5) (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 48)))
    (drop (call $fd_write (i32.load (i32.const 48)) (i32.const 0) (i32.const 1) (i32.const 56)))))"#;

const COMPONENT: &str = r#"(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error (type $error'))
    (export "output-stream" (type $stream (sub resource)))
    (export "error" (type $e (eq $error')))
    (type $failure' (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $failure (eq $failure')))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $failure)))))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $stream (type $stream'))
    (export "output-stream" (type $s (eq $stream')))
    (export "get-stdout" (func (result (own $s))))))
  (core module $memory (memory (export "memory") 2))
  (core instance $memory (instantiate $memory))
  (core func $get (canon lower (func $stdout "get-stdout")))
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory (core memory $memory "memory"))))
  (core module $main
    (import "host" "get" (func $get (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (func (export "run") (result i32)
      (call $write (call $get) (i32.const 16) (i32.const 1024) (i32.const 8)) (i32.const 0)))
  (core instance $main (instantiate $main
    (with "host" (instance (export "get" (func $get)) (export "write" (func $write))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $run)))"#;

struct Case {
    name: &'static str,
    action: Action,
}

fn case(name: &'static str, wat: &str, memory: &Memory, with_input: bool) -> Case {
    let module = memory.put(wat::parse_str(wat).unwrap().into()).unwrap().digest;
    let mut mounts = BTreeMap::new();
    if with_input {
        let blob = memory.put(vec![b'x'; 1024].into()).unwrap();
        mounts.insert(GuestPath::new("/in/x").unwrap(), Mount::File { blob, is_executable: false });
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
                            let request = Request { action: &case.action, key, timeout: Timeout::default() };
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
    let artifacts = Arc::new(Artifacts(tempfile::tempdir().unwrap()));
    let sandbox = Sandbox::new(Options { slots: 2 }, Arc::clone(&memory) as _, artifacts as _).unwrap();
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
