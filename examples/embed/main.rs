//! wasmill inside another program: every text file of a folder is turned to capitals by code that need not be trusted, and each
//! result is shown as soon as it is there, while the run goes on. `cargo run --package wasmill --example embed -- FOLDER`
//!
//! Owns: nothing that others need; it shows how the library is used.

use std::error::Error;
use std::path::{Path, PathBuf};

use wasmill::{Event, Input, Items, Job, JobStatus, Mill, PlanBuilder, RunOptions, RunSummary};

/// Reads standard input and writes it to standard output in capitals; as good as any module that was compiled from something.
const CAPITALS: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "_start") (local $at i32) (local $byte i32)
    (loop $pieces
      ;; One vector at 0 (the buffer at 1024, of 64 KiB), and the number of bytes at 8.
      (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 65536))
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (if (i32.load (i32.const 8)) (then
        (local.set $at (i32.const 0))
        (loop $bytes
          (local.set $byte (i32.load8_u offset=1024 (local.get $at)))
          (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 97)) (i32.const 26))
            (then (i32.store8 offset=1024 (local.get $at) (i32.sub (local.get $byte) (i32.const 32)))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br_if $bytes (i32.lt_u (local.get $at) (i32.load (i32.const 8)))))
        (i32.store (i32.const 4) (i32.load (i32.const 8)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br $pieces))))))"#;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let store = std::env::temp_dir().join("wasmill-embed");
    let summary = shout(&store, &folder, &mut |file, text| println!("{file}: {text}"))?;
    println!("{} jobs, {} of them known from before", summary.counts.jobs, summary.counts.cached);
    Ok(())
}

/// Tells `on_text` the content of every `.txt` file in `folder` in capitals, in the order in which they get ready.
///
/// # Errors
/// The store or the plan cannot be used.
pub(crate) fn shout(
    store: &Path,
    folder: &Path,
    on_text: &mut dyn FnMut(&str, &str),
) -> Result<RunSummary, Box<dyn Error>> {
    let mill = Mill::open(store)?;
    let module = mill.store_module(CAPITALS.as_bytes())?;
    let plan = PlanBuilder::new("shout")
        .module_stored("capitals", module)
        .job(
            Job::new("shout", "capitals")
                .for_each("file", Items::Glob("*.txt".to_owned()))
                .stdin(Input::Path("{file}".to_owned()))
                // What it may cost at most; there is a default for each.
                .limit("memory", "1MiB")
                .limit("fuel", 100_000_000),
        )
        .build()?;
    let mut run = mill.run(plan, folder, RunOptions::default())?;
    while let Some(event) = run.wait() {
        match event {
            Event::JobFinished(report) if report.status == JobStatus::Succeeded => {
                let text = report.result.map(|result| mill.read(&result.stdout)).transpose()?.unwrap_or_default();
                on_text(&report.job, &String::from_utf8_lossy(&text));
            }
            Event::JobFinished(report) => eprintln!("{}: {:?}: {:?}", report.job, report.status, report.error),
            _ => {}
        }
    }
    let summary = run.finish()?;
    mill.close()?;
    Ok(summary)
}
