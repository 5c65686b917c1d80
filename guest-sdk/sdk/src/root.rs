//! Where a job's files are.
//!
//! Owns: the difference between the sandbox, where they are below `/`, and a program that `wasmill debug` starts on the machine itself,
//! for which they are in a folder, as for a test's trial. Does not know: what is there.

use std::path::PathBuf;

use wasmill_abi::{IN_DIR, OUT_DIR};

/// The folder that stands for `/`, of a program that runs on the machine itself.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn folder() -> Option<PathBuf> {
    TRIED.with_borrow(Clone::clone).or_else(|| std::env::var_os(wasmill_abi::ROOT_VARIABLE).map(PathBuf::from))
}

#[cfg(not(target_family = "wasm"))]
thread_local! {
    /// The folder of the trial that goes on in this thread: tests run side by side.
    static TRIED: std::cell::RefCell<Option<PathBuf>> = const { std::cell::RefCell::new(None) };
}

/// Does something for which a folder stands for `/`.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn within<T>(folder: &std::path::Path, work: impl FnOnce() -> T) -> T {
    /// What it was before, also after a panic.
    struct Before(Option<PathBuf>);
    impl Drop for Before {
        fn drop(&mut self) {
            TRIED.set(self.0.take());
        }
    }
    let _before = Before(TRIED.replace(Some(folder.to_owned())));
    work()
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
