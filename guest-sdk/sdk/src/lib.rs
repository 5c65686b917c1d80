//! Write wasmill jobs as plain Rust functions.
//!
//! Owns: what authors of jobs import. Does not know: wasmill's host; a module made with this crate is an
//! ordinary WASI preview 1 program and runs under any WASI runtime (`docs/guest-abi.md`).
//!
//! ```
//! use wasmill_sdk::prelude::*;
//!
//! #[derive(Serialize, Deserialize, Schema)]
//! struct Count {
//!     name: String,
//!     files: usize,
//! }
//!
//! /// Counts the files below a directory.
//! #[job]
//! fn count(name: String, source: Dir) -> Result<Count> {
//!     let mut files = 0;
//!     for entry in source.walk() {
//!         files += usize::from(entry?.is_file());
//!     }
//!     Ok(Count { name, files })
//! }
//!
//! /// Adds up what every `count` found.
//! #[job]
//! fn total(counts: Each<Count>) -> Result<usize> {
//!     let mut files = 0;
//!     for (_, count) in counts.iter()? {
//!         files += count?.files;
//!     }
//!     Ok(files)
//! }
//!
//! wasmill_sdk::main!();
//! ```
//!
//! The crate is a program (`src/main.rs`), built for `wasm32-wasip1`. The derives of serde that the prelude
//! brings in need `serde` among the crate's own dependencies.
#![deny(unsafe_code)]

mod command;
mod each;
mod error;
mod files;
mod input;
mod job;
mod json;
pub mod out;
mod outputs;
mod place;
mod plan;
mod remarks;
mod root;
mod schema;
mod system;
mod text;
#[cfg(not(target_family = "wasm"))]
mod trial;

pub use command::run;
pub use each::Each;
pub use error::{Context, Error, Result};
pub use files::{Dir, Entry, File, Text, Walk};
pub use log;
pub use outputs::Outputs;
pub use plan::{Give, Given, Later, LaterPath, Many, ManyPaths, Nothing, Plan};
pub use remarks::progress;
pub use schema::Schema;
pub use serde;
#[cfg(not(target_family = "wasm"))]
pub use trial::{Trial, Tried};
pub use wasmill_sdk_macro::{Outputs, Schema, init, job};

/// What a file with jobs in it needs: `use wasmill_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Context, Dir, Each, Error, File, Later, Many, Outputs, Plan, Result, Schema, Text, bail, init, job, log, out,
        progress,
    };
    pub use serde::{Deserialize, Serialize};
}

/// Defines the program's `main`: it runs the job that the host asks for.
#[macro_export]
macro_rules! main {
    () => {
        $crate::__describe!(sdk_line, $crate::__private::VERSION);

        fn main() -> ! {
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

/// Puts a line into the section in which a module describes itself; elsewhere than in a module there is none.
#[doc(hidden)]
#[macro_export]
macro_rules! __describe {
    ($line:ident, $of:expr) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            const LEN: usize = $crate::__private::interface::$line::<0>($of).len;
            #[unsafe(link_section = "wasmill")]
            pub static LINE: [u8; LEN] = $crate::__private::interface::$line::<LEN>($of).bytes;
        };
    };
}

/// What the code that `#[job]` writes refers to. No part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::command::{Invocation, initialise, jobs, or_panic};
    pub use crate::input::Inputs;
    pub use crate::job::{AnyReturned, Failure, Job, OneResult, ResultReturned, Returned, SeveralResults, to_json};
    pub use crate::json::Error as JsonError;
    pub use crate::outputs::Output;
    pub use crate::schema::{Described, Undescribed, type_or_name};
    pub use inventory;
    pub use wasmill_abi::interface;

    /// The SDK's version.
    pub const VERSION: &str = env!("CARGO_PKG_VERSION");
}
