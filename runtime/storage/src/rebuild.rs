//! Making the index anew where it is damaged, from the log and the files of large blobs.
//!
//! Owns: that nobody uses the store meanwhile, and that the damaged index is kept until there is another. Does not know:
//! how the log is read (`recover`).

use std::fs;
use std::io;
use std::path::Path;

use wasmill_model::port::StoreError;

use crate::open::{INDEX_FILE, known_format};
use crate::{Examined, OpenError, Options, Storage, live};

/// What the index is called once it is given up.
pub(crate) const DAMAGED_FILE: &str = "index.damaged";

impl Storage {
    /// Makes the index of the store in `dir` anew, from its log, and opens it. What a collection removed and the disk still
    /// has is there again; host files and compiled modules are forgotten. What does not go together is put right as by
    /// [`Storage::examine`].
    ///
    /// # Errors
    /// The store is in use or has another format, or something in it cannot be read or written.
    pub fn rebuild(dir: &Path, options: Options) -> Result<(Self, Examined), OpenError> {
        known_format(dir)?;
        {
            let not_writable = |source| OpenError::NotWritable { path: dir.to_owned(), source };
            let _lock = live::lock(dir).map_err(not_writable)?;
            let index = dir.join(INDEX_FILE);
            if live::is_anybody(dir).map_err(not_writable)? {
                return Err(OpenError::InUse { path: index });
            }
            match fs::rename(&index, dir.join(DAMAGED_FILE)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(not_writable(error)),
                _ => {}
            }
        }
        let storage = Self::open_unexamined(dir, options)?;
        let examined = storage.examine(true).and_then(|examined| {
            storage.shared.log.index_everything()?;
            Ok(examined)
        });
        let examined = examined
            .map_err(|error: StoreError| OpenError::Damaged { path: dir.join(INDEX_FILE), source: Box::new(error) })?;
        let _ = fs::remove_file(dir.join(DAMAGED_FILE));
        Ok((storage, examined))
    }
}
