//! What the store costs: a cold run of many small jobs, the same once more from the cache, and large blobs.
//!
//! Owns: the workloads and how they are measured. Does not know: the executor and the sandbox, whose calls it
//! imitates. `cargo bench -p wasmill-storage -- [JOBS]` prints a table.

mod platform;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmill_model::port::{ActionCache, BlobStore, Stamp, StatCache};
use wasmill_model::{Action, ActionKey, ActionRecord, ActionResult, BlobRef, Digest, Limits, Outcome, Usage};
use wasmill_storage::{Options, Storage};

const JOBS_DEFAULT: usize = 10_000;
const THREADS: usize = 2;
const LARGE_BLOBS: usize = 200;
const LARGE_BYTES: usize = 1 << 20;

/// What a thread used, apart from the committer.
#[derive(Default)]
struct Used {
    cpu: Duration,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let jobs = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(JOBS_DEFAULT);
    let dir = tempfile::tempdir_in(std::env::var_os("BENCH_DIR").unwrap_or_else(|| ".".into()))?;
    println!("{:32} {:>9} {:>11} {:>13}", "workload", "wall ms", "callers ms", "committer ms");
    measure("open a new store", || Ok((open(dir.path())?.close()?, Used::default())).map(|(_, used)| used))?;
    let storage = open(dir.path())?;
    measure(&format!("{jobs} jobs, 3 small blobs each"), || cold(&storage, jobs, 0, Duration::ZERO))?;
    measure(&format!("{jobs} further jobs of 50 µs"), || cold(&storage, jobs, jobs, Duration::from_micros(50)))?;
    measure(&format!("{jobs} results and stamps found"), || warm(&storage, jobs))?;
    measure(&format!("{LARGE_BLOBS} blobs of 1 MiB"), || large(&storage))?;
    storage.close()?;
    measure("open it again and close it", || open(dir.path())?.close().map(|()| Used::default()).map_err(Into::into))?;
    let index_bytes = std::fs::metadata(dir.path().join("index.redb"))?.len();
    println!("index {} KiB, peak memory {}", index_bytes >> 10, platform::memory_peak().unwrap_or_default());
    Ok(())
}

type Measured = Result<Used, Box<dyn std::error::Error>>;

fn open(dir: &Path) -> Result<Storage, wasmill_storage::OpenError> {
    Storage::open(dir, Options::default())
}

fn measure(what: &str, work: impl FnOnce() -> Measured) -> Result<(), Box<dyn std::error::Error>> {
    let (started, cpu) = (Instant::now(), platform::process_cpu());
    let used = work()?;
    let wall = started.elapsed();
    let all = platform::process_cpu().zip(cpu).map_or(Duration::ZERO, |(now, then)| now - then);
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    println!("{what:32} {:>9.1} {:>11.1} {:>13.1}", ms(wall), ms(used.cpu), ms(all.saturating_sub(used.cpu)));
    Ok(())
}

fn action(number: usize) -> Action {
    Action {
        abi: 1,
        module: Digest::of(b"module"),
        args: vec!["job".to_owned(), number.to_string()],
        env: [("LANG".to_owned(), "C".to_owned())].into(),
        stdin: BlobRef::EMPTY,
        mounts: std::collections::BTreeMap::new(),
        outputs: std::collections::BTreeSet::new(),
        seed: 0,
        limits: Limits::default(),
        fuel_schedule: 0,
        floats: wasmill_model::Floats::Canonical,
    }
}

fn key(number: usize) -> ActionKey {
    ActionKey(Digest::of(format!("key {number}").as_bytes()))
}

fn path(number: usize) -> String {
    format!("src/some/directory/file-{number:06}.txt")
}

/// Runs `job` for every number below `jobs` on some threads, and adds up what they used.
fn on_threads(jobs: usize, job: impl Fn(usize) -> Result<(), Box<dyn std::error::Error>> + Sync) -> Used {
    let next = AtomicUsize::new(0);
    let worker = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= jobs {
                return platform::thread_cpu().unwrap_or_default();
            }
            job(number).expect("the store works");
        }
    };
    let cpu = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no worker panics")).sum()
    });
    Used { cpu }
}

fn cold(storage: &Storage, jobs: usize, from: usize, job: Duration) -> Measured {
    let durable = Arc::new(AtomicUsize::new(0));
    let used = on_threads(jobs, |number| {
        let started = Instant::now();
        while started.elapsed() < job {
            std::hint::spin_loop();
        }
        let number = from + number;
        let blob = |what: &str| storage.put(Bytes::from(format!("{what} of job {number} {:80}", ' ')));
        let result = ActionResult {
            outcome: Outcome::Exited { code: 0 },
            output: blob("output")?,
            stdout: blob("stdout")?,
            stderr: blob("stderr")?,
        };
        let durable = Arc::clone(&durable);
        let on_durable = Box::new(move |result: Result<(), _>| {
            durable.fetch_add(usize::from(result.is_ok()), Ordering::Relaxed);
        });
        let record = ActionRecord { result, usage: Usage::default() };
        Ok(storage.again(&key(number)).record(&action(number), &record, on_durable)?)
    });
    storage.remember((0..jobs).map(|number| (path(from + number), stamp(number), BlobRef::EMPTY)).collect())?;
    let (send, receive) = mpsc::channel();
    storage.barrier(Box::new(move |result| send.send(result).expect("somebody waits")))?;
    receive.recv()??;
    assert_eq!(durable.load(Ordering::Relaxed), jobs);
    Ok(used)
}

fn stamp(number: usize) -> Stamp {
    Stamp {
        size_bytes: number as u64,
        mtime_ns: 1_700_000_000_000_000_000,
        ctime_ns: 0,
        inode: 1 << 40,
        device: 66_306,
    }
}

fn warm(storage: &Storage, jobs: usize) -> Measured {
    Ok(on_threads(jobs, |number| {
        storage.recall(&path(number))?.ok_or("a stamp is not there")?;
        storage.lookup(&key(number))?.hit().ok_or("a result is not there")?;
        Ok(())
    }))
}

fn large(storage: &Storage) -> Measured {
    let used = on_threads(LARGE_BLOBS, |number| {
        let mut content = vec![0; LARGE_BYTES];
        content[..8].copy_from_slice(&number.to_le_bytes());
        let blob = storage.put(content.into())?;
        assert_eq!(storage.get(&blob)?.len(), LARGE_BYTES);
        Ok(())
    });
    let (send, receive) = mpsc::channel();
    storage.barrier(Box::new(move |result| send.send(result).expect("somebody waits")))?;
    receive.recv()??;
    Ok(used)
}
