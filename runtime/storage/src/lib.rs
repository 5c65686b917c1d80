//! The content-addressed store of wasmill: blobs, action results, run history, and two caches, in one directory.
//!
//! Owns: how they lie on disk, when they are durable, and that nothing half-written is ever seen. Does not know:
//! how a result comes about, or which of what it keeps is still wanted. The layout is in
//! `docs/storage-format.md`.

mod action_cache;
mod artifacts;
mod blobs;
mod committer;
mod error;
mod files;
mod open;
mod options;
mod pending;
mod platform;
mod runs;
mod stats;
mod tables;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use wasmill_model::port::StoreError;

pub use error::OpenError;
pub use options::Options;

use files::Files;
use pending::Pending;

/// An open store: all of the ports of [`wasmill_model::port`] that keep something.
///
/// One process has a store open at a time, and shares it between its threads. Dropping it writes what is pending;
/// [`Storage::close`] does so too, and says whether it worked.
///
/// Callbacks are called by the thread that writes: they must be short, and must not hand anything in themselves.
pub struct Storage {
    shared: Arc<Shared>,
    committer: Option<JoinHandle<()>>,
}

/// What the ports and the committer share.
struct Shared {
    pending: Pending,
    files: Files,
    /// Keeps other processes out until it is dropped, which is after the index was closed.
    _lock: File,
}

impl Storage {
    /// A folder for temporary files, on the same filesystem as the blobs. Empty when the store is opened.
    pub fn temp_dir(&self) -> &Path {
        self.shared.files.temp_dir()
    }

    /// Writes what is pending and closes the store.
    ///
    /// # Errors
    /// Something that was handed in, now or earlier, could not be written.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.stop();
        self.shared.pending.failure().map_or(Ok(()), |failure| Err(StoreError::Stopped(failure)))
    }

    fn stop(&mut self) {
        self.shared.pending.close();
        if let Some(committer) = self.committer.take()
            && committer.join().is_err()
        {
            tracing::error!("the index of the store is damaged: closing it failed");
        }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("files", &self.shared.files).finish_non_exhaustive()
    }
}
