//! Host files and directories as blobs and trees.
//!
//! Owns: reading inputs, what of a host's metadata gets into a tree (names, content, the executable bit, links),
//! and when the remembered digest of a file may be used. Does not know: who asked for the input.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use wasmill_model::port::{BlobStore, Stamp, StatCache, StoreError};
use wasmill_model::{BlobRef, Directory, DirectoryNode, FileNode, Mount, SymlinkNode, check_name};

use crate::error::ImportError;
use crate::footprint::Sights;
use crate::glob::Glob;
use crate::platform;

/// Deepest nesting of imported directories; deeper ones are a loop of mounts or a mistake.
const DEPTH_MAX: usize = 256;

/// So many files, or so many bytes, are read by several threads: starting one costs as much as reading a small file.
const PARALLEL_FILES_MIN: usize = 8;
const PARALLEL_BYTES_MIN: u64 = 1 << 20;

/// A file that was modified less than this before it was read may be modified again without its time changing:
/// clocks of filesystems tick in steps of up to 16 ms (the "racily clean" problem of git's index).
const TICK_NS: i64 = 100_000_000;

/// The same where times are whole seconds, as on some older filesystems.
const COARSE_TICK_NS: i64 = 2_000_000_000;

/// So many files are noted before the store is told of them: they are told in the order of their paths, and take memory until then.
const NOTED_MAX: usize = 4_096;

/// Blobs that came to be while inputs were brought together, put into the store only if they are needed there.
#[derive(Debug, Default)]
pub(crate) struct Staged(Vec<Bytes>);

impl Staged {
    /// Digests some content and keeps it for later.
    pub(crate) fn add(&mut self, bytes: impl Into<Bytes>) -> BlobRef {
        let bytes = bytes.into();
        let blob = BlobRef::of(&bytes);
        if blob.size_bytes > 0 {
            self.0.push(bytes);
        }
        blob
    }

    /// How much it is.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Puts everything into the store.
    pub(crate) fn put_all(self, blobs: &dyn BlobStore) -> Result<(), StoreError> {
        self.0.into_iter().try_for_each(|bytes| blobs.put(bytes).map(drop))
    }
}

/// Whether a digest that is remembered for an unchanged file is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Yes.
    Remembered,
    /// No: the store may have lost the blob, so the file is read again.
    Nothing,
}

/// Reads host files and directories into the store.
pub struct Importer {
    blobs: Arc<dyn BlobStore>,
    stats: Arc<dyn StatCache>,
    noted: Mutex<Vec<(String, Stamp, BlobRef)>>,
    sights: Sights,
}

impl Importer {
    /// An importer into a store.
    pub fn new(blobs: Arc<dyn BlobStore>, stats: Arc<dyn StatCache>) -> Self {
        Self { blobs, stats, noted: Mutex::new(Vec::new()), sights: Sights::off() }
    }

    /// One that notes what is seen of the host, for a run, beside what was seen already.
    pub(crate) fn noting(blobs: Arc<dyn BlobStore>, stats: Arc<dyn StatCache>, sights: Sights) -> Self {
        Self { sights, ..Self::new(blobs, stats) }
    }

    /// What was seen of the host so far.
    pub(crate) fn sights(&self) -> &Sights {
        &self.sights
    }

    /// Imports a file or a directory with everything in it, and puts all of it into the store.
    ///
    /// # Errors
    /// The path cannot be read or used, or the store failed.
    pub fn import(&self, path: &Path) -> Result<Mount, ImportError> {
        let mut staged = Staged::default();
        let mount = self.path(path, &mut staged, Trust::Nothing)?;
        staged.put_all(self.blobs.as_ref())?;
        Ok(mount)
    }

    /// Has the store remember the files that were read since the last call.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn remember(&self) -> Result<(), StoreError> {
        let mut noted = std::mem::take(&mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner));
        if noted.is_empty() {
            return Ok(());
        }
        // The store's index takes ascending keys at a fraction of the price.
        noted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        noted.dedup_by(|a, b| a.0 == b.0);
        self.stats.remember(noted)
    }

    /// Imports a file or a directory. Files go into the store where they are not known to be in it; what has no
    /// file of its own (the directories) is staged.
    pub(crate) fn path(&self, path: &Path, staged: &mut Staged, trust: Trust) -> Result<Mount, ImportError> {
        let asked_ns = now_ns();
        let metadata = std::fs::metadata(path).map_err(|source| read_error(path, source))?;
        if metadata.is_dir() {
            let listing = Listing::of(path)?;
            let blobs = self.files(&listing.files, trust)?;
            self.sights.folder(path, &listing, asked_ns);
            return Ok(Mount::Directory { blob: listing.root.stage(&blobs, staged) });
        }
        let (stamp, blob) = match self.recall(path, &metadata, trust)? {
            Some(blob) => (platform::stamp(&metadata), blob),
            None => self.read_and_note(path, &metadata)?,
        };
        let is_executable = platform::is_executable(&metadata);
        self.sights.file(path, stamp, blob, is_executable, asked_ns);
        Ok(Mount::File { blob, is_executable })
    }

    /// Imports what a glob matches, as a directory.
    pub(crate) fn glob(
        &self,
        base: &Path,
        pattern: &str,
        staged: &mut Staged,
        trust: Trust,
    ) -> Result<Mount, ImportError> {
        let asked_ns = now_ns();
        let listing = Listing::matching(base, pattern)?;
        let blobs = self.files(&listing.files, trust)?;
        self.sights.glob(base, pattern, &listing, asked_ns);
        Ok(Mount::Directory { blob: listing.root.stage(&blobs, staged) })
    }

    /// The blobs of files, in their order. Those that have to be read are read by several threads, if that is worth while.
    fn files(&self, files: &[(PathBuf, Metadata)], trust: Trust) -> Result<Vec<BlobRef>, ImportError> {
        let mut blobs = vec![BlobRef::EMPTY; files.len()];
        let (mut unknown, mut bytes) = (Vec::new(), 0);
        for (at, (blob, (path, metadata))) in blobs.iter_mut().zip(files).enumerate() {
            match self.recall(path, metadata, trust)? {
                Some(known) => *blob = known,
                None => {
                    unknown.push((at, path, metadata));
                    bytes += metadata.len();
                }
            }
        }
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let is_worth_while = unknown.len() >= PARALLEL_FILES_MIN || bytes >= PARALLEL_BYTES_MIN;
        let threads = if is_worth_while { cores.min(unknown.len()) } else { 1 };
        let next = AtomicUsize::new(0);
        let read = || {
            let mut done = Vec::new();
            while let Some((at, path, metadata)) = unknown.get(next.fetch_add(1, Ordering::Relaxed)) {
                let blob = self.read_and_note(path, metadata).map(|(_, blob)| blob);
                let has_failed = blob.is_err();
                done.push((*at, blob));
                if has_failed {
                    // Nobody needs the rest.
                    next.store(unknown.len(), Ordering::Relaxed);
                }
            }
            done
        };
        let mut done = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(read)).collect();
            let mut done = read();
            // A thread does not panic but over a bug, and then this one does too.
            let others = others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
            done.extend(others.flatten());
            done
        });
        // Of several errors, the first one in the order of the files.
        done.sort_unstable_by_key(|(at, _)| *at);
        for (at, blob) in done {
            let blob = blob?;
            blobs.iter_mut().skip(at).take(1).for_each(|slot| *slot = blob);
        }
        Ok(blobs)
    }

    /// The remembered blob of a regular file whose metadata were just read.
    fn recall(&self, path: &Path, metadata: &Metadata, trust: Trust) -> Result<Option<BlobRef>, ImportError> {
        if !metadata.is_file() {
            let kind = platform::describe_special(metadata);
            return Err(ImportError::Special { path: path.to_owned(), kind });
        }
        if trust == Trust::Remembered
            && let Some(name) = path.to_str()
            && let Some((stamp, blob)) = self.stats.recall(name)?
            && stamp == platform::stamp(metadata)
        {
            return Ok(Some(blob));
        }
        Ok(None)
    }

    /// Reads a file whose metadata were just read.
    fn read_and_note(&self, path: &Path, metadata: &Metadata) -> Result<(Stamp, BlobRef), ImportError> {
        let asked_ns = now_ns();
        let (stamp, blob) = self.read(path, metadata)?;
        if let Some(name) = path.to_str()
            && is_settled(&stamp, asked_ns)
        {
            self.note(name.to_owned(), stamp, blob)?;
        }
        Ok((stamp, blob))
    }

    /// Keeps in mind that a file has a content, until there are many or [`Importer::remember`] is called.
    fn note(&self, name: String, stamp: Stamp, blob: BlobRef) -> Result<(), StoreError> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.push((name, stamp, blob));
        let is_enough = noted.len() >= NOTED_MAX;
        drop(noted);
        if is_enough { self.remember() } else { Ok(()) }
    }

    /// Reads a file into the store; again if it changed meanwhile, or the path came to lead to another one.
    fn read(&self, path: &Path, metadata: &Metadata) -> Result<(Stamp, BlobRef), ImportError> {
        let mut before = platform::stamp(metadata);
        // Once more than a file that changes under the reader would need: what was looked up before a large tree was read may be old.
        for _ in 0..3 {
            let mut file = File::open(path).map_err(|source| read_error(path, source))?;
            let blob = self.blobs.put_file(path, before.size_bytes, &mut file)?;
            let after = file.metadata().map_err(|source| read_error(path, source))?;
            let after = platform::stamp(&after);
            if before == after && blob.size_bytes == after.size_bytes {
                return Ok((after, blob));
            }
            let now = std::fs::metadata(path).map_err(|source| read_error(path, source))?;
            before = platform::stamp(&now);
        }
        Err(ImportError::Changing { path: path.to_owned() })
    }
}

impl std::fmt::Debug for Importer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Importer").finish_non_exhaustive()
    }
}

/// The time in nanoseconds since 1970, by the clock that stamps are of.
pub(crate) fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// Whether a change of the file after it was asked for would change its stamp.
pub(crate) fn is_settled(stamp: &Stamp, asked_ns: i64) -> bool {
    let tick_ns = if stamp.mtime_ns % 1_000_000_000 == 0 { COARSE_TICK_NS } else { TICK_NS };
    // Either: a file that is changed and has its old time of modification put back is a changed one.
    asked_ns.saturating_sub(stamp.mtime_ns.max(stamp.ctime_ns)) > tick_ns
}

fn read_error(path: &Path, source: std::io::Error) -> ImportError {
    ImportError::Read { path: path.to_owned(), source }
}

fn link_target(path: &Path) -> Result<String, ImportError> {
    let target: PathBuf = std::fs::read_link(path).map_err(|source| read_error(path, source))?;
    match target.into_os_string().into_string() {
        Ok(target) => Ok(target.replace(std::path::MAIN_SEPARATOR, "/")),
        Err(_) => Err(ImportError::NotUtf8 { path: path.to_owned() }),
    }
}

/// What is in a folder, or what a glob matched, before any of it was read.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) root: Branch,
    pub(crate) files: Vec<(PathBuf, Metadata)>,
}

impl Listing {
    /// Everything in a folder.
    pub(crate) fn of(folder: &Path) -> Result<Self, ImportError> {
        let mut files = Vec::new();
        let root = walk(folder, 0, &mut files)?;
        Ok(Self { root, files })
    }

    /// What a pattern matches. A directory that matches is there through the files in it that match, as for every other tool.
    pub(crate) fn matching(base: &Path, pattern: &str) -> Result<Self, ImportError> {
        let fail =
            |error: &dyn std::fmt::Display| ImportError::Glob { pattern: pattern.to_owned(), wrong: error.to_string() };
        let glob = Glob::new(pattern).map_err(|error| fail(&error))?;
        let folder = glob.folder(base);
        let mut listing = Self::default();
        for relative in glob.expand(base).map_err(|error| fail(&error))? {
            let path = folder.join(&relative);
            let metadata = std::fs::symlink_metadata(&path).map_err(|source| read_error(&path, source))?;
            let (branch, name) = listing.root.above(&relative);
            if metadata.is_symlink() {
                // As in a whole folder: whoever made the link is not who wrote the plan, and it may lead anywhere.
                branch.symlinks.push(SymlinkNode { name: name.to_owned(), target: link_target(&path)? });
            } else if !metadata.is_dir() {
                branch.files.push((name.to_owned(), listing.files.len(), platform::is_executable(&metadata)));
                listing.files.push((path, metadata));
            }
        }
        Ok(listing)
    }

    /// Whether a change of any of the files after they were asked for would change its stamp.
    pub(crate) fn is_settled(&self, asked_ns: i64) -> bool {
        self.files.iter().all(|(_, metadata)| is_settled(&platform::stamp(metadata), asked_ns))
    }
}

/// A directory before its files were read: they are known by their place in a list.
#[derive(Debug, Default)]
pub(crate) struct Branch {
    pub(crate) files: Vec<(String, usize, bool)>,
    pub(crate) branches: BTreeMap<String, Branch>,
    pub(crate) symlinks: Vec<SymlinkNode>,
}

impl Branch {
    /// The directory above a path, with those on the way, and the path's last name.
    fn above<'p>(&mut self, relative: &'p str) -> (&mut Self, &'p str) {
        let mut names = relative.split('/');
        let last = names.next_back().unwrap_or_default();
        (names.fold(self, |branch, name| branch.branches.entry(name.to_owned()).or_default()), last)
    }

    fn stage(self, blobs: &[BlobRef], staged: &mut Staged) -> BlobRef {
        let files = (self.files.into_iter()).map(|(name, file, is_executable)| {
            let blob = blobs.get(file).copied().unwrap_or(BlobRef::EMPTY);
            FileNode { name, blob, is_executable }
        });
        let directories =
            (self.branches.into_iter()).map(|(name, branch)| DirectoryNode { name, blob: branch.stage(blobs, staged) });
        let (files, directories) = (files.collect(), directories.collect());
        let mut directory = Directory { files, directories, symlinks: self.symlinks };
        staged.add(directory.encode())
    }
}

/// What is in a host directory; `files` gets the files in it.
fn walk(path: &Path, depth: usize, files: &mut Vec<(PathBuf, Metadata)>) -> Result<Branch, ImportError> {
    if depth > DEPTH_MAX {
        return Err(ImportError::Depth { path: path.to_owned(), limit: DEPTH_MAX });
    }
    let mut branch = Branch::default();
    let entries = std::fs::read_dir(path).map_err(|source| read_error(path, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| read_error(path, source))?;
        let child = entry.path();
        let Ok(name) = entry.file_name().into_string() else {
            return Err(ImportError::NotUtf8 { path: child });
        };
        check_name(&name).map_err(|source| ImportError::Name { path: child.clone(), source })?;
        let metadata = entry.metadata().map_err(|source| read_error(&child, source))?;
        if metadata.is_symlink() {
            branch.symlinks.push(SymlinkNode { name, target: link_target(&child)? });
        } else if metadata.is_dir() {
            branch.branches.insert(name, walk(&child, depth + 1, files)?);
        } else {
            branch.files.push((name, files.len(), platform::is_executable(&metadata)));
            files.push((child, metadata));
        }
    }
    Ok(branch)
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
