//! What processes that have the same store open need to know of each other.
//!
//! Owns: the lock that a process holds for the moments in which it changes what all of them share, the folder that
//! says that a process lives, and numbers that no two may use. Does not know: what they do with the store.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::platform;

const LOCK_FILE: &str = "LOCK";
const LIVE_DIR: &str = "live";
const RUN_FILE: &str = "RUN";

/// Waits until no other process changes what all share. Let go by dropping it; it is held for milliseconds, or for as
/// long as it takes to read what a killed process left.
pub(crate) fn lock(store: &Path) -> io::Result<File> {
    let path = store.join(LOCK_FILE);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
    file.lock()?;
    Ok(file)
}

/// Says that this process lives, and is a folder for its temporary files. Both end with it.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) dir: PathBuf,
    lock: Option<File>,
}

impl Lease {
    /// Takes a lease, and removes what processes left that are gone. The caller holds the store's lock. On failure,
    /// says which path it was.
    pub(crate) fn take(store: &Path) -> Result<Self, (PathBuf, io::Error)> {
        let live = store.join(LIVE_DIR);
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| (path, error)
        };
        platform::create_private_dir(&live).map_err(at(&live))?;
        let mut number_max = 0;
        for entry in fs::read_dir(&live).map_err(at(&live))? {
            let path = entry.map_err(at(&live))?.path();
            if is_gone(&path).map_err(at(&path))? {
                let _ = fs::remove_dir_all(&path);
            }
            let number = path.file_name().and_then(|name| name.to_str()?.parse::<u64>().ok());
            number_max = number_max.max(number.unwrap_or(0));
        }
        let dir = live.join((number_max + 1).to_string());
        platform::create_private_dir(&dir).map_err(at(&dir))?;
        let path = dir.join(LOCK_FILE);
        let lock = File::create(&path).map_err(at(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir, lock: Some(lock) }),
            Err(TryLockError::WouldBlock) => Err((path, io::ErrorKind::ResourceBusy.into())),
            Err(TryLockError::Error(error)) => Err((path, error)),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // An open file cannot be removed everywhere.
        self.lock = None;
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Whether the process that made a folder is gone.
fn is_gone(dir: &Path) -> io::Result<bool> {
    let lock = match OpenOptions::new().read(true).write(true).open(dir.join(LOCK_FILE)) {
        Ok(lock) => lock,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(true);
        }
        Err(error) => return Err(error),
    };
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A run number that no process has had, `at_least` or higher. The file need not survive a power failure: what is
/// durable says then which numbers there were.
pub(crate) fn take_run_number(store: &Path, at_least: u64) -> io::Result<u64> {
    let _lock = lock(store)?;
    let path = store.join(RUN_FILE);
    let last: u64 = match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().unwrap_or(0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => 0,
        Err(error) => return Err(error),
    };
    let number = at_least.max(last.saturating_add(1));
    fs::write(&path, format!("{number}\n"))?;
    Ok(number)
}
