//! What can go wrong in the store, and how the index's failures become errors.
//!
//! Owns: [`OpenError`], and the rule that a panic inside redb (it trusts what it reads) never leaves this crate.
//! Does not know: what was being read or written.

use std::any::Any;
use std::cell::Cell;
use std::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use wasmill_model::port::StoreError;

use crate::platform;

/// Why a store could not be opened. Nothing in the directory was changed, except that missing parts of a store
/// may have been created.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Some other files are in the directory.
    #[error("`{path}` is not a wasmill store: it is not empty and has no `FORMAT` file")]
    NotAStore {
        /// The directory.
        path: PathBuf,
    },
    /// A later wasmill wrote it.
    #[error("the store `{path}` has format {found}, and this wasmill knows only formats up to {known}")]
    NewerFormat {
        /// The directory.
        path: PathBuf,
        /// The format it has.
        found: u32,
        /// The latest format that can be read.
        known: u32,
    },
    /// An earlier wasmill wrote it.
    #[error("the store `{path}` has format {found}, which this wasmill does not use any more")]
    OlderFormat {
        /// The directory.
        path: PathBuf,
        /// The format it has.
        found: u32,
    },
    /// A process that does not know how to share it has its index open.
    #[error("the index of the store `{path}` is in use by a program that does not share it")]
    InUse {
        /// The index.
        path: PathBuf,
    },
    /// Something in it cannot be created or written: no permission, a read-only or full disk, no directory.
    #[error("cannot write `{path}`")]
    NotWritable {
        /// The file or directory.
        path: PathBuf,
        /// What came of it.
        #[source]
        source: io::Error,
    },
    /// Something in it cannot be read.
    #[error("cannot read `{path}`")]
    NotReadable {
        /// The file or directory.
        path: PathBuf,
        /// What came of it.
        #[source]
        source: io::Error,
    },
    /// Something in it is not what a store has.
    #[error("the store is damaged: `{path}` cannot be used")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// redb panicked, as it does over some damage.
#[derive(Debug, thiserror::Error)]
#[error("the index is damaged: {0}")]
pub(crate) struct Panicked(String);

impl Panicked {
    fn new(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self(text.unwrap_or("reading it failed").to_owned())
    }
}

thread_local! {
    static EXPECTS_PANIC: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread does something in which a damaged file may cause a panic, which is then an error like any other: the
/// program's panic hook need not say anything.
pub fn expects_panic() -> bool {
    EXPECTS_PANIC.get()
}

/// Runs `work`, and makes a panic in it an error. What `work` touches must not be relied on after that.
pub(crate) fn unpanicked<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let before = EXPECTS_PANIC.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    EXPECTS_PANIC.set(before);
    done.map_err(|payload| Panicked::new(payload.as_ref()))
}

/// Runs `work` on the index; its failures and panics become an error that says what was being done.
pub(crate) fn on_index<T>(doing: &str, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StoreError> {
    match unpanicked(work) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(doing)(error)),
        Err(panicked) => Err(failed(doing)(panicked)),
    }
}

/// Whether the index has what it should not have.
pub(crate) fn is_damage(error: &StoreError) -> bool {
    let StoreError::Backend { source, .. } = error else { return false };
    matches!(source.downcast_ref(), Some(redb::Error::Corrupted(_))) || source.is::<Panicked>()
}

/// Whether reading failed for a reason that says nothing about the file: whoever reads may not, or has too much open.
pub(crate) fn is_of_the_host(error: &io::Error) -> bool {
    use io::ErrorKind::{OutOfMemory, PermissionDenied};
    matches!(error.kind(), OutOfMemory | PermissionDenied) || platform::is_out_of_handles(error)
}

/// Turns a failure into a [`StoreError`] that says what was being done.
pub(crate) fn failed<E: Into<Box<dyn Error + Send + Sync>>>(doing: impl Into<String>) -> impl FnOnce(E) -> StoreError {
    let doing = doing.into();
    move |error| StoreError::Backend { doing, source: error.into() }
}
