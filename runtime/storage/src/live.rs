//! What processes that have the same store open need to know of each other.
//!
//! Owns: the lock that a process holds for the moments in which it changes what all of them share, the folder that
//! says that a process lives and what it relies on, and numbers that no two may use. Does not know: what they do with
//! the store.
//!
//! Relying on something goes as with hazard pointers (Michael, 2004): a process writes down what it is going to use, and
//! then looks whether a collection began to remove things meanwhile; a collection says that it begins, and then reads
//! what is written down. One of the two sees the other: what was written down stays, and whoever sees that a removal is
//! going on waits for its end and looks again.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use wasmill_model::{Digest, RunId};

use crate::place::Place;
use crate::platform;

const LOCK_FILE: &str = "LOCK";
const LIVE_DIR: &str = "live";
const RUN_FILE: &str = "RUN";
/// How many digits a number may have.
const RUN_DIGITS: usize = 20;
/// What no digest begins with: behind it come the number of a segment and an offset.
const SEGMENT_MARK: [u8; 24] = [0; 24];
/// The same: behind it comes the number of a run.
const RUN_MARK: [u8; 24] = [0xff; 24];
/// How long a process waits for the lock before it says so, and how often it looks.
const SILENT_WAIT: Duration = Duration::from_secs(2);
const LOCK_POLL: Duration = Duration::from_micros(200);
/// How often a process that ends looks whether it can have the lock.
const LEAVE_TRIES: usize = 50;
/// How often a process looks whether a removal is over.
const REMOVAL_POLL: Duration = Duration::from_millis(1);

const USED_FILE: &str = "USED";
const EPOCH_FILE: &str = "GC";
const PINS_LOCK_FILE: &str = "PINS.lock";
const COLLECTION_LOCK_FILE: &str = "GC.lock";

/// Waits until no other process changes what all share. Let go by dropping it; it is held for milliseconds, or for as
/// long as it takes to read what a killed process left.
pub(crate) fn lock(store: &Path) -> io::Result<File> {
    let path = store.join(LOCK_FILE);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
    let began = Instant::now();
    while began.elapsed() < SILENT_WAIT {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_POLL),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    tracing::warn!(path = %path.display(), "another process has this locked, which should be over soon: waiting");
    file.lock()?;
    Ok(file)
}

/// The same, without waiting. `None` where another process holds it.
pub(crate) fn try_lock(store: &Path) -> io::Result<Option<File>> {
    let path = store.join(LOCK_FILE);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Waits until no other process changes pins.
pub(crate) fn lock_pins(store: &Path) -> io::Result<File> {
    let path = store.join(PINS_LOCK_FILE);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    file.lock()?;
    Ok(file)
}

/// Whether any process has the store open. The caller holds the store's lock.
pub(crate) fn is_anybody(store: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(store.join(LIVE_DIR)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries?,
    };
    for entry in entries {
        if !is_gone(&entry?.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Says that this process lives, and is a folder for its temporary files. Both end with it.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) dir: PathBuf,
    lock: Option<File>,
    /// Digests of what this process relies on, one after the other.
    used: File,
    used_bytes: AtomicU64,
    /// The number of the latest collection.
    epoch: File,
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
            Ok(()) => {
                let path = dir.join(USED_FILE);
                let used = File::create(&path).map_err(at(&path))?;
                let path = store.join(EPOCH_FILE);
                let epoch = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
                let epoch = epoch.map_err(at(&path))?;
                Ok(Self { dir, lock: Some(lock), used, used_bytes: AtomicU64::new(0), epoch })
            }
            Err(TryLockError::WouldBlock) => Err((path, io::ErrorKind::ResourceBusy.into())),
            Err(TryLockError::Error(error)) => Err((path, error)),
        }
    }
}

impl Lease {
    /// Writes down that this process relies on something, so that no other takes it away. It holds for what is still
    /// there if [`Lease::epoch`] is afterwards what it was before it was looked up.
    pub(crate) fn rely_on(&self, digest: &Digest) -> io::Result<()> {
        self.rely_on_all(digest.as_bytes())
    }

    /// The same for many, whose digests follow one another.
    pub(crate) fn rely_on_all(&self, digests: &[u8]) -> io::Result<()> {
        let at = self.used_bytes.fetch_add(digests.len() as u64, Ordering::Relaxed);
        platform::write_all_at(&self.used, digests, at)
    }

    /// What others that live rely on.
    pub(crate) fn used_by_others(&self, store: &Path) -> io::Result<Used> {
        used_by(store, |dir| dir.file_name() != self.dir.file_name())
    }

    /// Writes down that this process relies on a run and on what it came to, in the same way.
    pub(crate) fn rely_on_run(&self, run: RunId) -> io::Result<()> {
        let mut mark = [0; 32];
        mark.iter_mut().zip(RUN_MARK.into_iter().chain(run.0.to_le_bytes())).for_each(|(to, from)| *to = from);
        self.rely_on(&Digest::from_bytes(mark))
    }

    /// Writes down that this process adds to a segment, from an offset on: nobody takes away what it has just put there,
    /// even where nothing refers to it yet.
    pub(crate) fn write_to(&self, segment: u32, offset: u32) -> io::Result<()> {
        let mut mark = [0; 32];
        let fields = segment.to_le_bytes().into_iter().chain(offset.to_le_bytes());
        mark.iter_mut().skip(SEGMENT_MARK.len()).zip(fields).for_each(|(to, from)| *to = from);
        self.rely_on(&Digest::from_bytes(mark))
    }

    /// The number of the latest collection: odd while it removes what nobody relies on.
    pub(crate) fn epoch(&self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        let read = platform::read_at(&self.epoch, &mut bytes, 0)?;
        Ok(if read == bytes.len() { u64::from_le_bytes(bytes) } else { 0 })
    }

    /// When the last collection was over, how many bytes it left, and how many were added since by processes that ended.
    pub(crate) fn last_collection(&self) -> io::Result<(SystemTime, u64, u64)> {
        let mut bytes = [0; 24];
        let read = platform::read_at(&self.epoch, &mut bytes, 0)?;
        let word = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u64::from_le_bytes);
        let (kept, added) = if read == bytes.len() { (word(8), word(16)) } else { (0, 0) };
        Ok((self.epoch.metadata()?.modified()?, kept, added))
    }

    /// Says that a collection left so many bytes. Whoever calls this holds [`lock_collection`].
    pub(crate) fn collected(&self, bytes_kept: u64) -> io::Result<()> {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(bytes_kept.to_le_bytes()).for_each(|(to, from)| *to = from);
        platform::write_all_at(&self.epoch, &bytes, 8)
    }

    /// Says that this process added so many bytes.
    pub(crate) fn added(&self, store: &Path, bytes: u64) -> io::Result<()> {
        let _lock = lock(store)?;
        let (modified, _, added) = self.last_collection()?;
        platform::write_all_at(&self.epoch, &added.saturating_add(bytes).to_le_bytes(), 16)?;
        // It says when the last collection was.
        self.epoch.set_modified(modified)
    }

    fn set_epoch(&self, epoch: u64) -> io::Result<()> {
        platform::write_all_at(&self.epoch, &epoch.to_le_bytes(), 0)
    }

    /// Keeps other processes from collecting. `None` where one does.
    pub(crate) fn lock_collection(&self, store: &Path) -> io::Result<Option<File>> {
        let lock = lock_collection(store)?;
        // Whoever collected before was killed while it did, and everybody still waits.
        if lock.is_some() && self.epoch()? % 2 == 1 {
            self.set_epoch(self.epoch()?.wrapping_add(1))?;
        }
        Ok(lock)
    }

    /// Says that a collection is going to remove what nobody relies on. Whoever calls this holds [`lock_collection`].
    pub(crate) fn begin_removal(&self) -> io::Result<Removal<'_>> {
        let odd = self.epoch()?.wrapping_add(1) | 1;
        self.set_epoch(odd)?;
        Ok(Removal { lease: self, odd })
    }

    /// Waits until no collection removes anything, and returns its number.
    pub(crate) fn wait_for_removal(&self, store: &Path) -> io::Result<u64> {
        loop {
            let epoch = self.epoch()?;
            if epoch % 2 == 0 {
                return Ok(epoch);
            }
            if self.lock_collection(store)?.is_none() {
                std::thread::sleep(REMOVAL_POLL);
            }
        }
    }
}

/// Ends, when it is dropped, the time in which a collection removes something.
#[derive(Debug)]
pub(crate) struct Removal<'a> {
    lease: &'a Lease,
    odd: u64,
}

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.lease.set_epoch(self.odd.wrapping_add(1)) {
            tracing::error!(%error, "other processes are not told that a collection of garbage is over");
        }
    }
}

/// What processes that live rely on.
#[derive(Debug, Default)]
pub(crate) struct Used {
    pub(crate) digests: HashSet<Digest>,
    pub(crate) runs: HashSet<RunId>,
    /// Segments that they add to, from which offset on.
    segments: HashMap<u32, u32>,
}

impl Used {
    /// Whether a living process put what lies there.
    pub(crate) fn has_new(&self, place: &Place) -> bool {
        self.segments.get(&place.segment).is_some_and(|from| place.offset >= *from)
    }

    /// Whether a living process adds to one, or has filled it.
    pub(crate) fn has_segment(&self, id: u32) -> bool {
        self.segments.contains_key(&id)
    }

    /// Whether living processes add to any.
    pub(crate) fn has_segments(&self) -> bool {
        !self.segments.is_empty()
    }
}

/// What processes that live rely on, this one among them.
pub(crate) fn used_by_all(store: &Path) -> io::Result<Used> {
    used_by(store, |_| true)
}

fn used_by(store: &Path, is_asked: impl Fn(&Path) -> bool) -> io::Result<Used> {
    let mut used = Used::default();
    for entry in fs::read_dir(store.join(LIVE_DIR))? {
        let dir = entry?.path();
        if !is_asked(&dir) {
            continue;
        }
        let bytes = match fs::read(dir.join(USED_FILE)) {
            Ok(bytes) => bytes,
            // One that ends meanwhile relies on nothing any more.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(error) => return Err(error),
        };
        for mark in bytes.as_chunks::<32>().0 {
            if let Some(run) = mark.strip_prefix(&RUN_MARK).and_then(<[u8]>::first_chunk) {
                used.runs.insert(RunId(u64::from_le_bytes(*run)));
                continue;
            }
            let fields = mark.strip_prefix(&SEGMENT_MARK).and_then(|rest| rest.as_chunks().0.split_first());
            match fields {
                Some((segment, [offset])) => {
                    let (segment, offset) = (u32::from_le_bytes(*segment), u32::from_le_bytes(*offset));
                    let from = used.segments.entry(segment).or_insert(offset);
                    *from = offset.min(*from);
                }
                _ => drop(used.digests.insert(Digest::from_bytes(*mark))),
            }
        }
    }
    Ok(used)
}

fn lock_collection(store: &Path) -> io::Result<Option<File>> {
    let path = store.join(COLLECTION_LOCK_FILE);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Under the store's lock: else another process may have cleared it away already, and a third one have its name by
        // now. Who cannot have it leaves the folder to the next process that comes.
        let store = self.dir.parent().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
        let store = (0..LEAVE_TRIES).find_map(|_| match try_lock(&store) {
            Ok(None) => {
                std::thread::sleep(LOCK_POLL);
                None
            }
            tried => Some(tried),
        });
        // An open file cannot be removed everywhere.
        self.lock = None;
        if let Some(Ok(Some(_lock))) = store {
            let _ = fs::remove_dir_all(&self.dir);
        }
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
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let mut text = [0; RUN_DIGITS];
    let read = platform::read_at(&file, &mut text, 0)?;
    let text = text.get(..read).and_then(|text| std::str::from_utf8(text).ok());
    let last: u64 = text.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let number = at_least.max(last.saturating_add(1));
    // In place and of one length, so that a kill leaves the old number or the new one.
    platform::write_all_at(&file, format!("{number:<RUN_DIGITS$}").as_bytes(), 0)?;
    Ok(number)
}
