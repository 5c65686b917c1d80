//! The names and numbers that a wasmill guest and its host agree on.
//!
//! Owns: where a job finds its input, where it leaves its output, how its entry is named, what a module says of itself
//! (`interface`), and the version of that agreement. Does not know: how either side does its part. Documented in `docs/guest-abi.md`.
#![no_std]

pub mod interface;

/// The version of the guest protocol. It is part of every action, so a change here runs every job again.
pub const VERSION: u32 = 1;

/// The directory under which a job finds its inputs, read-only.
pub const IN_DIR: &str = "/in";

/// The directory whose content, when the job has exited with code 0, is the job's output.
pub const OUT_DIR: &str = "/out";

/// A writable directory that vanishes with the job.
pub const TMP_DIR: &str = "/tmp";

/// The file below [`OUT_DIR`] in which an SDK job leaves its return value, as JSON.
pub const RESULT_FILE: &str = "result.json";

/// What a line of standard error begins with that is a remark on the work, and no part of the result.
pub const REMARK_MARK: &[u8] = b"\x1e{\"wasmill\":1,";

/// The environment variable by which `wasmill debug` tells a program that runs on the machine itself which folder stands for `/`. No
/// module looks at it.
pub const ROOT_VARIABLE: &str = "WASMILL_ROOT";

/// The environment variable that names the file that stands for standard input then, which a debugger has for itself.
pub const STDIN_VARIABLE: &str = "WASMILL_STDIN";

/// `argv[0]` of a job whose plan names no entry.
pub const DEFAULT_ENTRY: &str = "main";

/// The exit code of an SDK job that returned an error; the message is on its standard error.
pub const EXIT_JOB_ERROR: u8 = 1;

/// The exit code of an SDK module that was asked for a job which it does not have, or for none.
pub const EXIT_NO_SUCH_JOB: u8 = 64;

/// The exit code of an SDK job whose input value could not be read as the type it takes.
pub const EXIT_BAD_INPUT: u8 = 65;

/// The exit code of an SDK module in which two jobs have one name.
pub const EXIT_BAD_MODULE: u8 = 70;

/// The exit code of an SDK job that could not read its input value or could not write its result.
pub const EXIT_IO: u8 = 74;

/// The exit code of an SDK job that panicked: what Rust programs end with everywhere.
pub const EXIT_PANIC: u8 = 101;
