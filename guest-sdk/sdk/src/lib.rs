//! Write wasmill jobs as plain Rust functions.
//!
//! Owns: what authors of jobs import. Does not know: wasmill's host; a module made with this crate is an
//! ordinary WASI preview 1 program and runs under any WASI runtime (`docs/guest-abi.md`).
//!
//! ```
//! use wasmill_sdk::prelude::*;
//!
//! #[derive(Deserialize)]
//! struct Input {
//!     name: String,
//!     source: Dir,
//! }
//!
//! #[derive(Serialize)]
//! struct Count {
//!     name: String,
//!     files: usize,
//! }
//!
//! /// Counts the files below a directory.
//! #[job]
//! fn count(input: Input) -> Result<Count> {
//!     let mut files = 0;
//!     for entry in input.source.walk() {
//!         files += usize::from(entry?.is_file());
//!     }
//!     Ok(Count { name: input.name, files })
//! }
//!
//! wasmill_sdk::main!();
//! ```
//!
//! The crate is a program (`src/main.rs`), built for `wasm32-wasip1`. The derives of serde that the prelude
//! brings in need `serde` among the crate's own dependencies.
#![forbid(unsafe_code)]

mod command;
mod each;
mod error;
mod files;
mod job;
pub mod out;

pub use command::run;
pub use each::Each;
pub use error::{Context, Error, Result};
pub use files::{Dir, Entry, InFile, Walk};
pub use serde;
pub use wasmill_sdk_macro::job;

/// What a file with jobs in it needs: `use wasmill_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::{Context, Dir, Each, Error, InFile, Result, bail, job, out};
    pub use serde::{Deserialize, Serialize};
}

/// Defines the program's `main`: it runs the job that the host asks for.
#[macro_export]
macro_rules! main {
    () => {
        fn main() -> ::std::process::ExitCode {
            $crate::run()
        }
    };
}

/// Ends a job, or anything that returns [`Result`], with an error whose message is formatted as in `format!`.
#[macro_export]
macro_rules! bail {
    ($($message:tt)+) => {
        return ::core::result::Result::Err($crate::Error::msg(::std::format!($($message)+)).into())
    };
}

/// What the code that `#[job]` writes refers to. No part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::command::{Invocation, jobs};
    pub use crate::job::{AnyReturned, Failure, Job, ResultReturned, Returned, read_input, read_no_input};
    pub use inventory;
}
