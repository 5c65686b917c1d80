//! Where a job's files are.
//!
//! Owns: the difference between the sandbox, where they are below `/`, and a program that `wasmill debug` starts on the machine itself,
//! for which they are in a folder. Does not know: what is there.

use std::path::PathBuf;

use wasmill_abi::{IN_DIR, OUT_DIR};

/// The folder that stands for `/`, of a program that runs on the machine itself.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn folder() -> Option<PathBuf> {
    std::env::var_os(wasmill_abi::ROOT_VARIABLE).map(PathBuf::from)
}

/// The file that stands for standard input, of a program that runs on the machine itself.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn stdin() -> Option<String> {
    std::env::var_os(wasmill_abi::STDIN_VARIABLE).map(|path| path.to_string_lossy().into_owned())
}

/// In a sandbox it is what it is.
#[cfg(target_family = "wasm")]
pub(crate) fn stdin() -> Option<String> {
    None
}

/// In a sandbox `/` is what it is, whatever the environment says.
#[cfg(target_family = "wasm")]
pub(crate) fn folder() -> Option<PathBuf> {
    None
}

/// Where inputs are.
pub(crate) fn in_dir() -> String {
    below(IN_DIR)
}

/// Where outputs go.
pub(crate) fn out_dir() -> String {
    below(OUT_DIR)
}

fn below(path: &str) -> String {
    match folder() {
        Some(root) => format!("{}{path}", root.display()),
        None => path.to_owned(),
    }
}
