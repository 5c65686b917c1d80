//! The few things that the store does to a disk.
//!
//! Owns: these as a trait, so that tests can put a failing disk in the place of the real one, and the real one.
//! Does not know: what is in a file. Reading does not go through here: it changes nothing.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use redb::{Builder, Database, DatabaseError};

use crate::platform;

/// A file that is open for writing.
pub(crate) trait DiskFile: Debug + Send + Sync {
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes what was written survive a power failure.
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file, or fills it up with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Sets space aside, so that running out of it is noticed now and writing costs less later.
    fn allocate(&self, len: u64) -> io::Result<()>;
}

/// Where the store's files lie.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Creates a file that does not exist.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Creates a file that nobody may write to any more once it is closed.
    fn create_sealed(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Makes a file that shares the content of another one, and that nobody may write to. `None` where that cannot be.
    fn share(&self, from: &Path, to: &Path) -> Option<Box<dyn DiskFile>>;
    /// Opens a file that exists.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file that nobody may write to any more, to sync it.
    fn open_sealed(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Renames a file over another or to a new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder survive a power failure.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Opens or creates the database in a file.
    fn index(&self, builder: &Builder, path: &Path) -> Result<Database, DatabaseError>;
}

/// The disk of this machine.
#[derive(Debug)]
pub(crate) struct RealDisk;

impl DiskFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        platform::write_all_at(self, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let before = self.metadata()?.len();
        match fs4::FileExt::allocate(self, len) {
            // Some filesystems cannot set space aside; a hole does as well, only later and dearer.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => File::set_len(self, len),
            // There may be enough for what is to come, which may be a collection of garbage. What was found of it is given
            // back.
            Err(error) if is_full(&error) => {
                File::set_len(self, before)?;
                File::set_len(self, len)
            }
            other => other,
        }
    }
}

/// Whether there is no room left.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).create_new(true).open(path)?))
    }

    fn create_sealed(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(platform::create_sealed_file(path)?))
    }

    fn share(&self, from: &Path, to: &Path) -> Option<Box<dyn DiskFile>> {
        reflink_copy::reflink(from, to).ok()?;
        let file = platform::open_to_sync(to).and_then(|file| {
            platform::seal(&file)?;
            Ok(file)
        });
        match file {
            Ok(file) => Some(Box::new(file)),
            Err(_) => {
                let _ = fs::remove_file(to);
                None
            }
        }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn open_sealed(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(platform::open_to_sync(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        platform::sync_dir(path)
    }

    fn index(&self, builder: &Builder, path: &Path) -> Result<Database, DatabaseError> {
        builder.create(path)
    }
}
