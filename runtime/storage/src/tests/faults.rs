//! A disk that fails at the Nth change and forgets what was not synced.
//!
//! Owns: telling what was synced from what was not, for files and for names, and making the folder that a machine finds
//! when its power comes back. Does not know: what the store writes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use redb::backends::FileBackend;
use redb::{BackendError, Builder, Database, DatabaseError, StorageBackend};

use crate::disk::{Disk, DiskFile, RealDisk};

/// What survives a power failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Survives {
    /// What was synced, and nothing else.
    Synced,
    /// Everything.
    All,
    /// Of what was not synced, some 512-byte sectors and some names.
    Some(u64),
}

#[derive(Debug, Default)]
struct State {
    /// How many more changes work.
    left: usize,
    /// Whether the first one that does not hangs, until it is thawed.
    freezes: bool,
    is_frozen: bool,
    changes: usize,
    /// The content that survives, by the number of the file.
    synced: BTreeMap<u64, Vec<u8>>,
    /// Which file has which name, now and after a power failure.
    names: BTreeMap<PathBuf, u64>,
    synced_names: BTreeMap<PathBuf, u64>,
    files: u64,
}

#[derive(Debug, Clone)]
pub(super) struct FaultyDisk(Arc<Mutex<State>>, Arc<Condvar>);

impl FaultyDisk {
    /// The disk with a folder on it, of which everything is synced. `left` changes work.
    pub(super) fn with(dir: &Path, left: usize) -> Self {
        let mut state = State { left, ..State::default() };
        for path in super::damage::walk(dir) {
            state.files += 1;
            let file = state.files;
            state.synced.insert(file, fs::read(&path).unwrap());
            state.names.insert(path, file);
        }
        state.synced_names = state.names.clone();
        Self(Arc::new(Mutex::new(state)), Arc::default())
    }

    /// The same, but that the change after them hangs.
    pub(super) fn freezing(dir: &Path, left: usize) -> Self {
        let disk = Self::with(dir, left);
        disk.state().freezes = true;
        disk
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.state().is_frozen
    }

    /// Lets what hangs fail, and everything after it.
    pub(super) fn thaw(&self) {
        let mut state = self.state();
        state.freezes = false;
        self.1.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Lets everything work again.
    pub(super) fn mend(&self) {
        self.state().left = usize::MAX;
    }

    pub(super) fn changes(&self) -> usize {
        self.state().changes
    }

    /// Counts a change, and refuses it once the disk is broken.
    fn change(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.changes += 1;
        while state.left == 0 && state.freezes {
            state.is_frozen = true;
            state = self.1.wait(state).unwrap();
        }
        state.left = state.left.checked_sub(1).ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))?;
        Ok(state)
    }

    /// Gives a new or an unknown file its number.
    fn file(&self, path: &Path, is_new: bool) -> u64 {
        let mut state = self.state();
        if let Some(file) = state.names.get(path).filter(|_| !is_new) {
            return *file;
        }
        state.files += 1;
        let file = state.files;
        state.names.insert(path.to_owned(), file);
        state.synced.insert(file, Vec::new());
        file
    }

    fn synced(&self, file: u64, path: &Path) {
        let bytes = fs::read(path).unwrap_or_default();
        self.state().synced.insert(file, bytes);
    }

    /// Makes `to` what is found in the place of `from` after a power failure.
    pub(super) fn after_a_crash(&self, from: &Path, to: &Path, survives: Survives) {
        let state = self.state();
        let mut chance = match survives {
            Survives::Some(seed) => seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            _ => 1,
        };
        let mut is_lucky = || {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match survives {
                Survives::Synced => false,
                Survives::All => true,
                Survives::Some(_) => chance >> 63 == 1,
            }
        };
        // What does not go through this disk is simply there: the format, locks, folders.
        for path in super::damage::walk(from) {
            if !state.names.contains_key(&path) && !state.synced_names.contains_key(&path) {
                put(&to.join(path.strip_prefix(from).unwrap()), &fs::read(&path).unwrap());
            }
        }
        let mut names = state.synced_names.clone();
        for (path, file) in &state.names {
            if state.synced_names.get(path) != Some(file) && is_lucky() {
                names.insert(path.clone(), *file);
            }
        }
        names.retain(|path, _| state.names.contains_key(path) || !is_lucky());
        for (path, file) in names {
            let synced = &state.synced[&file];
            let live = state.names.iter().find(|(_, live)| **live == file).and_then(|(path, _)| fs::read(path).ok());
            let mut bytes = live.clone().unwrap_or_else(|| synced.clone());
            if !is_lucky() || survives != Survives::All {
                bytes.resize(if is_lucky() { bytes.len() } else { synced.len() }, 0);
                for (number, sector) in bytes.chunks_mut(512).enumerate() {
                    if !is_lucky() {
                        let synced = synced.get(number * 512..).unwrap_or_default();
                        sector.fill(0);
                        sector.iter_mut().zip(synced).for_each(|(to, from)| *to = *from);
                    }
                }
            }
            put(&to.join(path.strip_prefix(from).unwrap()), &bytes);
        }
    }
}

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    inner: Box<dyn DiskFile>,
    file: u64,
}

impl FaultyFile {
    fn path(&self) -> Option<PathBuf> {
        let state = self.disk.state();
        state.names.iter().find(|(_, file)| **file == self.file).map(|(path, _)| path.clone())
    }
}

impl DiskFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let _state = self.disk.change()?;
        self.inner.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        drop(self.disk.change()?);
        if let Some(path) = self.path() {
            self.disk.synced(self.file, &path);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let _state = self.disk.change()?;
        self.inner.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let _state = self.disk.change()?;
        self.inner.allocate(len)
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        drop(self.change()?);
        let inner = RealDisk.create(path)?;
        Ok(Box::new(FaultyFile { disk: self.clone(), inner, file: self.file(path, true) }))
    }

    fn create_sealed(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        drop(self.change()?);
        let inner = RealDisk.create_sealed(path)?;
        Ok(Box::new(FaultyFile { disk: self.clone(), inner, file: self.file(path, true) }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inner = RealDisk.open(path)?;
        Ok(Box::new(FaultyFile { disk: self.clone(), inner, file: self.file(path, false) }))
    }

    fn share(&self, _: &Path, _: &Path) -> Option<Box<dyn DiskFile>> {
        None
    }

    fn open_sealed(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inner = RealDisk.open_sealed(path)?;
        Ok(Box::new(FaultyFile { disk: self.clone(), inner, file: self.file(path, false) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        RealDisk.rename(from, to)?;
        if let Some(file) = state.names.remove(from) {
            state.names.insert(to.to_owned(), file);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        RealDisk.remove(path)?;
        state.names.remove(path);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        let State { names, synced_names, .. } = &mut *state;
        synced_names.retain(|name, _| name.parent() != Some(path));
        synced_names.extend(names.iter().filter(|(name, _)| name.parent() == Some(path)).map(|(n, f)| (n.clone(), *f)));
        Ok(())
    }

    fn index(&self, builder: &Builder, path: &Path) -> Result<Database, DatabaseError> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let inner = FileBackend::new(file.map_err(redb::StorageError::Io)?)?;
        builder.create_with_backend(FaultyIndex { disk: self.clone(), inner, file: self.file(path, false) })
    }
}

#[derive(Debug)]
struct FaultyIndex {
    disk: FaultyDisk,
    inner: FileBackend,
    file: u64,
}

impl StorageBackend for FaultyIndex {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let _state = self.disk.change()?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        drop(self.disk.change()?);
        let path = {
            let state = self.disk.state();
            state.names.iter().find(|(_, file)| **file == self.file).map(|(path, _)| path.clone())
        };
        if let Some(path) = path {
            self.disk.synced(self.file, &path);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let _state = self.disk.change()?;
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
