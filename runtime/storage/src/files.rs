//! The files of a store beside its index: large blobs, compiled modules, and what is on its way to either.
//!
//! Owns: their paths, temporary files, publishing by rename, mapping into memory. Does not know: the index, and
//! so which of the files count.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use memmap2::Mmap;
use wasmill_model::Digest;
use wasmill_model::port::StoreError;

use crate::error::failed;
use crate::platform;

/// The directories of a store.
#[derive(Debug)]
pub(crate) struct Files {
    blobs: PathBuf,
    compiled: PathBuf,
    temp: PathBuf,
    /// The number of the next temporary file. Only one process has the store open, and it starts with none.
    temp_next: AtomicU64,
}

impl Files {
    /// Creates the directories that are missing and removes what an earlier process left in `tmp`. The caller
    /// holds the store's lock. On failure, says which path it was.
    pub(crate) fn open(store: &Path) -> Result<Self, (PathBuf, io::Error)> {
        let files = Self {
            blobs: store.join("blobs"),
            compiled: store.join("compiled"),
            temp: store.join("tmp"),
            temp_next: AtomicU64::new(0),
        };
        for dir in [&files.blobs, &files.compiled, &files.temp] {
            platform::create_private_dir(dir).map_err(|error| (dir.clone(), error))?;
        }
        let stale = fs::read_dir(&files.temp).map_err(|error| (files.temp.clone(), error))?;
        for entry in stale {
            let path = entry.map_err(|error| (files.temp.clone(), error))?.path();
            fs::remove_file(&path).map_err(|error| (path, error))?;
        }
        Ok(files)
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

    /// Where an artifact of this content lies.
    pub(crate) fn artifact(&self, content: &Digest) -> PathBuf {
        self.compiled.join(format!("{content}.cwasm"))
    }

    /// Starts a temporary file, on the same filesystem as everything else.
    pub(crate) fn temp(&self) -> Result<TempFile, StoreError> {
        let path = self.temp.join(self.temp_next.fetch_add(1, Ordering::Relaxed).to_string());
        let file = platform::create_sealed_file(&path).map_err(failed(format!("create `{}`", path.display())))?;
        Ok(TempFile { file, sealed: SealedFile { path } })
    }

    /// Makes a compiled module durable under its final name.
    pub(crate) fn publish_artifact(&self, temp: &SealedFile, content: &Digest) -> Result<PathBuf, StoreError> {
        let path = self.artifact(content);
        temp.sync()?;
        temp.rename(&path)?;
        sync_dir(&self.compiled)?;
        Ok(path)
    }

    /// Makes large blobs durable under their final names, all of them before this returns.
    pub(crate) fn publish_blobs(&self, blobs: &[(&Digest, &SealedFile)]) -> Result<(), StoreError> {
        let mut touched = BTreeSet::new();
        for (digest, temp) in blobs {
            temp.sync()?;
            let path = self.blob(digest);
            let dir = path.parent().unwrap_or(&self.blobs);
            if !touched.contains(dir) {
                platform::create_private_dir(dir).map_err(failed(format!("create `{}`", dir.display())))?;
                touched.insert(dir.to_owned());
            }
            temp.rename(&path)?;
        }
        if !touched.is_empty() {
            touched.insert(self.blobs.clone());
        }
        touched.iter().try_for_each(|dir| sync_dir(dir))
    }
}

fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    platform::sync_dir(dir).map_err(failed(format!("sync `{}`", dir.display())))
}

/// A temporary file that is being written.
#[derive(Debug)]
pub(crate) struct TempFile {
    file: File,
    sealed: SealedFile,
}

impl TempFile {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let path = &self.sealed.path;
        self.file.write_all(bytes).map_err(|error| failed(format!("write `{}`", path.display()))(error))
    }

    /// Closes it; it is written, not yet durable.
    pub(crate) fn seal(self) -> SealedFile {
        self.sealed
    }
}

/// A temporary file that is complete. Dropping it removes it, unless it was published.
#[derive(Debug)]
pub(crate) struct SealedFile {
    path: PathBuf,
}

impl SealedFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn sync(&self) -> Result<(), StoreError> {
        platform::sync_file(&self.path).map_err(failed(format!("sync `{}`", self.path.display())))
    }

    fn rename(&self, to: &Path) -> Result<(), StoreError> {
        fs::rename(&self.path, to).map_err(failed(format!("rename `{}` to `{}`", self.path.display(), to.display())))
    }
}

impl Drop for SealedFile {
    fn drop(&mut self) {
        // Its number is never used again, so this can only be our own file; after a rename there is none. What
        // cannot be removed is removed when the store is opened next.
        let _ = fs::remove_file(&self.path);
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
