//! wasmill as a library: jobs that nobody has to trust, executed in sandboxes to the same bytes on every machine, with every result
//! kept, so that nothing runs twice.
//!
//! A [`Mill`] is a store with everything that works on it. A [`PlanBuilder`] makes plans, or [`parse`] reads them as the command line
//! does. [`Mill::run`] executes one and gives its events as a stream, while the run goes on.
//!
//! ```
//! use futures_util::StreamExt as _;
//! use wasmill::{Event, Job, Mill, PlanBuilder, RunOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # // Copies what it was given.
//! # let wat = r#"(module
//! #   (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
//! #   (memory (export "memory") 1) (data (i32.const 8) "hello")
//! #   (func (export "_start") (i32.store (i32.const 0) (i32.const 8)) (i32.store (i32.const 4) (i32.const 5))
//! #     (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))))"#;
//! # std::fs::write(dir.path().join("hello.wat"), wat)?;
//! let mill = Mill::open(dir.path().join("store"))?;
//! let plan = PlanBuilder::new("greetings")
//!     .module_file("hello", "hello.wat")
//!     .job(Job::new("greet", "hello").for_each("who", ["ada", "grace"]).arg("{who}"))
//!     .build()?;
//!
//! let mut run = mill.run(plan, dir.path(), RunOptions::default())?;
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! while let Some(event) = run.next().await {
//!     if let Event::JobFinished(report) = event {
//!         let result = report.result.expect("it was executed");
//!         println!("{}: {:?}", report.job, mill.read(&result.stdout)?);
//! #       assert_eq!(&mill.read(&result.stdout)?[..], b"hello");
//!     }
//! }
//! let summary = run.ended().await?;
//! assert_eq!(summary.counts.succeeded, 2);
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! Owns: putting the other crates together, and plans that are made by a program. Does not know: command lines, or how anything is
//! shown.

mod builder;
mod lazy;
mod mill;
mod run;

pub use builder::{Input, Items, Job, PlanBuilder, PlanError};
pub use lazy::LazySandbox;
pub use mill::{Mill, Options, StoreModuleError};
pub use run::{Run, RunError, RunOptions};
pub use wasmill_executor::{Adaptive, ExecuteError, Graph, Memory, ModuleLoadError, expand, export};
pub use wasmill_model::plan::{Format, Plan, parse};
pub use wasmill_model::port::{Cancel, StoreError};
pub use wasmill_model::{
    ActionResult, BlobRef, Digest, Event, JobReport, JobStatus, Outcome, RunCounts, RunId, RunSummary,
};
pub use wasmill_sandbox::{Backend, CompileLimits, Compiler, serve};
pub use wasmill_storage::OpenError;
