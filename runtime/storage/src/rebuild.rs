//! Making the index anew where it is damaged, from the log and the files of large blobs.
//!
//! Owns: that nobody uses the store meanwhile, and that the damaged index is kept until there is another. Does not know:
//! how the log is read (`recover`).

use std::fs;
use std::io;
use std::path::Path;

use wasmill_model::port::StoreError;

use crate::error::is_damage;
use crate::open::{self, INDEX_FILE, known_format};
use crate::{Examined, OpenError, Options, Storage, live};

/// What the index is called once it is given up.
pub(crate) const DAMAGED_FILE: &str = "index.damaged";

/// A store that was repaired, as far as it could be opened.
pub struct Repaired {
    /// The store.
    pub storage: Storage,
    /// What was found. None where something cannot be read: [`Storage::examine`] says what.
    pub examined: Option<Examined>,
    /// Whether the index was made anew.
    pub is_rebuilt: bool,
}

impl Storage {
    /// Opens the store in `dir` and puts right what does not go together, as [`Storage::examine`] does; where the index is
    /// damaged, makes it anew, as [`Storage::rebuild`] does. A store of format 2 is migrated first.
    ///
    /// # Errors
    /// As of [`Storage::open`] and [`Storage::rebuild`].
    pub fn repair(dir: &Path, options: Options) -> Result<Repaired, OpenError> {
        let is_index = |path: &Path| path.ends_with(INDEX_FILE);
        let migrated = match known_format(dir) {
            Err(OpenError::OlderFormat { found: 2, .. }) => Self::migrate(dir).map(drop),
            _ => Ok(()),
        };
        match migrated.and_then(|()| Self::open(dir, options)) {
            Err(OpenError::Damaged { path, .. }) if is_index(&path) => {}
            Err(error) => return Err(error),
            Ok(storage) => match storage.examine(true) {
                Err(error) if is_damage(&error) => {}
                examined => return Ok(Repaired { storage, examined: examined.ok(), is_rebuilt: false }),
            },
        }
        let (storage, examined) = Self::rebuild(dir, options)?;
        Ok(Repaired { storage, examined: Some(examined), is_rebuilt: true })
    }

    /// Makes the index of the store in `dir` anew, from its log, and opens it. What a collection removed and the disk still
    /// has is there again; host files and compiled modules are forgotten. What does not go together is put right as by
    /// [`Storage::examine`].
    ///
    /// # Errors
    /// The store is in use or has another format, or something in it cannot be read or written.
    pub fn rebuild(dir: &Path, options: Options) -> Result<(Self, Examined), OpenError> {
        let layout = match known_format(dir) {
            // The log was the same.
            Err(OpenError::OlderFormat { found: 2, .. }) => open::layout(dir)?,
            layout => layout?,
        };
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
            open::write_format(dir, &layout).map_err(not_writable)?;
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
