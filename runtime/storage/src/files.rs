//! The files of a store beside its index: large blobs, compiled modules, and what is on its way to either.
//!
//! Owns: their paths, temporary files, publishing by rename, mapping into memory. Does not know: the index, and
//! so which of the files count.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use memmap2::Mmap;
use wasmill_model::port::StoreError;
use wasmill_model::{BlobRef, Digest, Hasher};

use crate::disk::{Disk, DiskFile};
use crate::error::{failed, is_of_the_host};
use crate::intake::UNSYNCED_BYTES_MAX;
use crate::packed::Packed;
use crate::platform;

/// How much of a file is read at once.
const READ_BYTES: usize = 256 << 10;

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

    /// What is to be synced before a file that was found is relied on: whoever wrote it may have been killed.
    pub(crate) fn found(&self, digest: &Digest) -> io::Result<Unsynced> {
        let path = self.blob(digest);
        let dirs = path.parent().map(|dir| vec![self.blobs.clone(), dir.to_owned()]);
        let bytes = fs::metadata(&path)?.len();
        Ok(Unsynced { file: Some(self.disk.open_sealed(&path)?), bytes, dirs: dirs.unwrap_or_default() })
    }

    /// Whether a large blob has a file, whatever is in it.
    pub(crate) fn has_blob(&self, digest: &Digest) -> bool {
        fs::metadata(self.blob(digest)).is_ok_and(|found| found.is_file())
    }

    /// Removes the file of a large blob, if its content is not what it should be. Whether none is there now. The caller
    /// holds the store's lock, under which files come to be.
    pub(crate) fn remove_damaged(&self, blob: &BlobRef) -> io::Result<bool> {
        let path = self.blob(&blob.digest);
        match content_of(&path, &blob.digest) {
            Ok(found) if found == *blob => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) if is_of_the_host(&error) => return Err(error),
            // Part of it may be unreadable.
            _ => {}
        }
        self.disk.remove(&path).map(|()| true)
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

    /// The folder of artifacts.
    pub(crate) fn compiled_dir(&self) -> &Path {
        &self.compiled
    }

    /// Where an artifact of this content lies.
    pub(crate) fn artifact(&self, content: &Digest) -> PathBuf {
        self.compiled.join(format!("{content}.cwasm"))
    }

    /// Starts a temporary file, on the same filesystem as everything else.
    pub(crate) fn temp(&self) -> Result<TempFile, StoreError> {
        let path = self.temp.join(self.temp_next.fetch_add(1, Ordering::Relaxed).to_string());
        let file = self.disk.create_sealed(&path).map_err(failed(format!("create `{}`", path.display())))?;
        let disk = Arc::clone(&self.disk);
        Ok(TempFile { file, written: 0, synced: 0, leftover: Leftover { path, disk } })
    }

    /// A temporary file that shares the content of a host file, and what that is. `None` where the filesystem cannot do that.
    pub(crate) fn shared(&self, host: &Path) -> Result<Option<(TempFile, BlobRef)>, StoreError> {
        let path = self.temp.join(self.temp_next.fetch_add(1, Ordering::Relaxed).to_string());
        let Some(file) = self.disk.share(host, &path) else { return Ok(None) };
        let leftover = Leftover { path, disk: Arc::clone(&self.disk) };
        let blob = digest_of(&leftover.path).map_err(failed(format!("read `{}`", leftover.path.display())))?;
        Ok(Some((TempFile { file, written: blob.size_bytes, synced: 0, leftover }, blob)))
    }

    /// Makes a compiled module durable under its final name.
    pub(crate) fn publish_artifact(&self, mut temp: TempFile, content: &Digest) -> Result<PathBuf, StoreError> {
        let path = self.artifact(content);
        temp.sync()?;
        drop(temp.publish(&path)?);
        self.sync_dir(&self.compiled)?;
        Ok(path)
    }

    /// Gives a large blob's content its final name. Returns what is to be synced before the name is relied on.
    pub(crate) fn publish_blob(&self, mut temp: TempFile, digest: &Digest) -> Result<Unsynced, StoreError> {
        let path = self.blob(digest);
        let dir = path.parent().unwrap_or(&self.blobs).to_owned();
        if !dir.is_dir() {
            platform::create_private_dir(&dir).map_err(failed(format!("create `{}`", dir.display())))?;
        }
        // Both, each time: the folder may be one that another process has just made.
        let dirs = vec![self.blobs.clone(), dir];
        // What is there may be durable, and relied on by another process; it is not replaced by what is not.
        if temp.unsynced() > UNSYNCED_BYTES_MAX || path.try_exists().unwrap_or(true) {
            temp.sync()?;
        }
        let bytes = temp.unsynced();
        let file = temp.publish(&path)?;
        Ok(Unsynced { file: (bytes > 0).then_some(file), bytes, dirs })
    }

    pub(crate) fn sync_dir(&self, dir: &Path) -> Result<(), StoreError> {
        self.disk.sync_dir(dir).map_err(failed(format!("sync `{}`", dir.display())))
    }
}

/// What has to be made durable before a name is relied on.
#[derive(Debug)]
pub(crate) struct Unsynced {
    pub(crate) file: Option<Box<dyn DiskFile>>,
    /// What was written to the file.
    pub(crate) bytes: u64,
    /// Folders with new names in them.
    pub(crate) dirs: Vec<PathBuf>,
}

/// A temporary file that is being written. Dropping it removes it, unless it was published.
#[derive(Debug)]
pub(crate) struct TempFile {
    file: Box<dyn DiskFile>,
    written: u64,
    /// How much of that is durable.
    synced: u64,
    /// Removes what is there under the old name, which after a rename is nothing.
    leftover: Leftover,
}

impl TempFile {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.file.write_at(bytes, self.written);
        written.map_err(|error| failed(format!("write `{}`", self.leftover.path.display()))(error))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// How many bytes are not durable yet.
    pub(crate) fn unsynced(&self) -> u64 {
        self.written - self.synced
    }

    /// Makes it durable.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        if self.unsynced() > 0 {
            self.file.sync().map_err(failed(format!("sync `{}`", self.leftover.path.display())))?;
            self.synced = self.written;
        }
        Ok(())
    }

    /// Gives it its name.
    fn publish(self, to: &Path) -> Result<Box<dyn DiskFile>, StoreError> {
        let Leftover { path, disk } = &self.leftover;
        match disk.rename(path, to) {
            Ok(()) => Ok(self.file),
            // Where a file that somebody has mapped cannot be replaced: it is the same content.
            Err(_) if cfg!(windows) && fs::metadata(to).is_ok_and(|found| found.len() == self.written) => Ok(self.file),
            Err(error) => Err(failed(format!("rename `{}` to `{}`", path.display(), to.display()))(error)),
        }
    }
}

/// A file that is removed when this is dropped, if it is there.
#[derive(Debug)]
struct Leftover {
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

impl Drop for Leftover {
    fn drop(&mut self) {
        // Its number is never used again, so this can only be our own file. What cannot be removed is removed with its
        // folder, later.
        let _ = self.disk.remove(&self.path);
    }
}

/// Digests what is in a blob's file, without mapping it: what cannot be read is then an error. A packed file counts as what
/// is packed in it.
pub(crate) fn content_of(path: &Path, expected: &Digest) -> io::Result<BlobRef> {
    let found = digest_of(path)?;
    if found.digest == *expected {
        return Ok(found);
    }
    // What is packed has a few numbers at its end that nothing else would have.
    let bytes = map(path).map_err(io::Error::other)?.unwrap_or_default();
    let mut hasher = Hasher::new();
    let unpacked = Packed::parse(&bytes).and_then(|packed| packed.each(|chunk| hasher.update(chunk)));
    Ok(unpacked.map_or(found, |()| hasher.finish()))
}

/// Digests a file without mapping it.
fn digest_of(path: &Path) -> io::Result<BlobRef> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; READ_BYTES]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => hasher.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Maps a file.
///
/// # Errors
/// `None` where there is no such file.
pub(crate) fn map(path: &Path) -> Result<Option<Bytes>, StoreError> {
    let doing = |what| failed(format!("{what} `{}`", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(doing("open")(error)),
    };
    #[expect(unsafe_code, reason = "mapping a file is the only way to read a large blob without copying it")]
    // SAFETY: the file is one of ours in a directory that only we write to. It was complete and sealed (mode
    // 0444) before it got this name, and is only ever replaced by a rename or unlinked, neither of which changes
    // the inode that is mapped here.
    let content = unsafe { Mmap::map(&file) }.map_err(doing("map"))?;
    Ok(Some(Bytes::from_owner(content)))
}
