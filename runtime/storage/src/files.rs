//! The files of a store beside its index: large blobs, compiled modules, and what is on its way to either.
//!
//! Owns: their paths, temporary files, publishing by rename, mapping into memory. Does not know: the index, and
//! so which of the files count.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use memmap2::Mmap;
use wasmill_model::Digest;
use wasmill_model::port::StoreError;

use crate::disk::{Disk, DiskFile};
use crate::error::failed;
use crate::platform;

/// The directories of a store.
#[derive(Debug)]
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    blobs: PathBuf,
    compiled: PathBuf,
    temp: PathBuf,
    /// The number of the next temporary file.
    temp_next: AtomicU64,
}

impl Files {
    /// Creates the directories that are missing. `temp` is a folder of this process alone. On failure, says which path
    /// it was.
    pub(crate) fn open(disk: Arc<dyn Disk>, store: &Path, temp: PathBuf) -> Result<Self, (PathBuf, io::Error)> {
        let (blobs, compiled) = (store.join("blobs"), store.join("compiled"));
        for dir in [&blobs, &compiled] {
            platform::create_private_dir(dir).map_err(|error| (dir.clone(), error))?;
        }
        Ok(Self { disk, blobs, compiled, temp, temp_next: AtomicU64::new(0) })
    }

    /// The folder for temporary files.
    pub(crate) fn temp_dir(&self) -> &Path {
        &self.temp
    }

    /// Where the file of a large blob lies: `blobs/aa/<64 digits>`, `aa` being the first two.
    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_hex();
        self.blobs.join(hex.get(..2).unwrap_or_default()).join(hex)
    }

    /// The digests that files of large blobs are called after.
    pub(crate) fn blobs(&self) -> io::Result<Vec<Digest>> {
        let mut digests = Vec::new();
        for dir in fs::read_dir(&self.blobs)? {
            let dir = dir?.path();
            if !dir.is_dir() {
                continue;
            }
            for file in fs::read_dir(dir)? {
                digests.extend(file?.file_name().to_str().and_then(|name| name.parse::<Digest>().ok()));
            }
        }
        Ok(digests)
    }

    /// Where an artifact of this content lies.
    pub(crate) fn artifact(&self, content: &Digest) -> PathBuf {
        self.compiled.join(format!("{content}.cwasm"))
    }

    /// Starts a temporary file, on the same filesystem as everything else.
    pub(crate) fn temp(&self) -> Result<TempFile, StoreError> {
        let path = self.temp.join(self.temp_next.fetch_add(1, Ordering::Relaxed).to_string());
        let file = self.disk.create_sealed(&path).map_err(failed(format!("create `{}`", path.display())))?;
        Ok(TempFile { file, written: 0, path, disk: Arc::clone(&self.disk) })
    }

    /// Makes a compiled module durable under its final name.
    pub(crate) fn publish_artifact(&self, temp: TempFile, content: &Digest) -> Result<PathBuf, StoreError> {
        let path = self.artifact(content);
        temp.sync()?;
        temp.publish(&path)?;
        self.sync_dir(&self.compiled)?;
        Ok(path)
    }

    /// Gives a large blob's durable content its final name. Returns the folder that is to be synced before the name is
    /// relied on.
    pub(crate) fn publish_blob(&self, temp: TempFile, digest: &Digest) -> Result<PathBuf, StoreError> {
        let path = self.blob(digest);
        let dir = path.parent().unwrap_or(&self.blobs).to_owned();
        if !dir.is_dir() {
            platform::create_private_dir(&dir).map_err(failed(format!("create `{}`", dir.display())))?;
            self.sync_dir(&self.blobs)?;
        }
        temp.publish(&path)?;
        Ok(dir)
    }

    pub(crate) fn sync_dir(&self, dir: &Path) -> Result<(), StoreError> {
        self.disk.sync_dir(dir).map_err(failed(format!("sync `{}`", dir.display())))
    }
}

/// A temporary file that is being written. Dropping it removes it, unless it was published.
#[derive(Debug)]
pub(crate) struct TempFile {
    file: Box<dyn DiskFile>,
    written: u64,
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

impl TempFile {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.file.write_at(bytes, self.written);
        written.map_err(|error| failed(format!("write `{}`", self.path.display()))(error))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Makes it durable.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync().map_err(failed(format!("sync `{}`", self.path.display())))
    }

    /// Gives it its name.
    fn publish(self, to: &Path) -> Result<(), StoreError> {
        match self.disk.rename(&self.path, to) {
            Ok(()) => Ok(()),
            // Where a file that somebody has mapped cannot be replaced: it is the same content.
            Err(_) if cfg!(windows) && fs::metadata(to).is_ok_and(|found| found.len() == self.written) => Ok(()),
            Err(error) => Err(failed(format!("rename `{}` to `{}`", self.path.display(), to.display()))(error)),
        }
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // Its number is never used again, so this can only be our own file; after a rename there is none. What
        // cannot be removed is removed with its folder, later.
        let _ = self.disk.remove(&self.path);
    }
}

/// Maps a file whose size is known.
///
/// # Errors
/// `None` where there is no such file.
pub(crate) fn map(path: &Path, digest: &Digest, size_bytes: u64) -> Result<Option<Bytes>, StoreError> {
    let doing = |what| failed(format!("{what} `{}`", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(doing("open")(error)),
    };
    let found = file.metadata().map_err(doing("open"))?.len();
    if found != size_bytes {
        let wrong = format!("its file has {found} bytes instead of {size_bytes}");
        return Err(StoreError::Damaged { digest: *digest, wrong });
    }
    #[expect(unsafe_code, reason = "mapping a file is the only way to read a large blob without copying it")]
    // SAFETY: the file is one of ours in a directory that only we write to. It was complete and sealed (mode
    // 0444) before it got this name, and is only ever replaced by a rename or unlinked, neither of which changes
    // the inode that is mapped here.
    let content = unsafe { Mmap::map(&file) }.map_err(doing("map"))?;
    Ok(Some(Bytes::from_owner(content)))
}
