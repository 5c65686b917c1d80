//! One file of the log: entries one after the other, only ever added at the end.
//!
//! Owns: segment files, who may write to one, and finding the end of what was written to it. Does not know: what its
//! entries mean, or which of them are still wanted.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskFile};
use crate::error::is_of_the_host;
use crate::platform;
use crate::record::{HEADER_BYTES, Header};

/// What a segment begins with: this, its number, and zeros up to [`START`].
const MAGIC: &[u8; 24] = b"wasmill segment 1\n\0\0\0\0\0\0";

/// Where its first entry lies.
pub(crate) const START: u32 = 32;

/// How much of a segment is read at once when its end is looked for.
const WINDOW_BYTES: usize = 256 << 10;

/// A segment that this process alone may write to.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: u32,
    file: Box<dyn DiskFile>,
    /// Held until the segment is dropped, even by a kill.
    lock: File,
}

/// The file of a segment.
pub(crate) fn path(log: &Path, id: u32) -> PathBuf {
    log.join(format!("{id:08}.seg"))
}

fn lock_path(log: &Path, id: u32) -> PathBuf {
    log.join(format!("{id:08}.lock"))
}

/// The numbers of all segments, ascending.
pub(crate) fn list(log: &Path) -> io::Result<Vec<u32>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(log)? {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".seg")).and_then(|id| id.parse::<u32>().ok());
        ids.extend(id.filter(|id| *id > 0));
    }
    ids.sort_unstable();
    Ok(ids)
}

impl Segment {
    /// Creates a segment and sets its space aside. The caller holds the store's lock.
    pub(crate) fn create(disk: &dyn Disk, log: &Path, id: u32, segment_bytes: u32) -> io::Result<Self> {
        let lock = lock(log, id)?.ok_or(io::ErrorKind::ResourceBusy)?;
        let file = disk.create(&path(log, id))?;
        file.allocate(u64::from(segment_bytes))?;
        file.write_at(&header(id), 0)?;
        Ok(Self { id, file, lock })
    }

    /// Takes over a segment whose writer is gone. `None` where it is not.
    pub(crate) fn take_over(disk: &dyn Disk, log: &Path, id: u32) -> io::Result<Option<Self>> {
        let Some(lock) = lock(log, id)? else { return Ok(None) };
        Ok(Some(Self { id, file: disk.open(&path(log, id))?, lock }))
    }

    /// Forgets whatever lies behind `end`, and sets space for more aside. Zeros follow then, and nothing that was
    /// half written there can ever be taken for an entry.
    pub(crate) fn continue_at(&self, end: u32, segment_bytes: u32) -> io::Result<()> {
        self.file.set_len(u64::from(end))?;
        self.file.allocate(u64::from(segment_bytes))?;
        if end == START {
            self.file.write_at(&header(self.id), 0)?;
        }
        Ok(())
    }

    /// Adds entries and makes them durable, with all that was added before.
    pub(crate) fn append(&self, entries: &[u8], offset: u32) -> io::Result<()> {
        self.file.write_at(entries, u64::from(offset))?;
        self.file.sync()
    }

    /// Makes durable what somebody else added.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    /// Adds nothing any more, and still keeps others from taking it over.
    pub(crate) fn into_lock(self) -> File {
        self.lock
    }

    /// Gives back the space behind `end`.
    pub(crate) fn trim(&self, end: u32) -> io::Result<()> {
        self.file.set_len(u64::from(end))
    }
}

/// Whether nothing was ever written to a segment, not even what it begins with.
pub(crate) fn is_empty(log: &Path, id: u32) -> io::Result<bool> {
    let mut found = [0; START as usize];
    match platform::read_at(&File::open(path(log, id))?, &mut found, 0) {
        // Nobody knows what is there.
        Err(error) if !is_of_the_host(&error) => Ok(false),
        read => read.map(|_| found == [0; START as usize]),
    }
}

/// Removes a segment that nothing names. The caller holds the store's lock.
pub(crate) fn remove(disk: &dyn Disk, log: &Path, id: u32) -> io::Result<()> {
    disk.remove(&path(log, id))?;
    match fs::remove_file(lock_path(log, id)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes durable what another process wrote to a segment.
pub(crate) fn sync(log: &Path, id: u32) -> io::Result<()> {
    // Windows wants a handle that may write.
    OpenOptions::new().read(true).write(true).open(path(log, id))?.sync_data()
}

/// Locks a segment against other writers. `None` where another process has it. The file of the lock stays.
fn lock(log: &Path, id: u32) -> io::Result<Option<File>> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(lock_path(log, id))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn header(id: u32) -> [u8; START as usize] {
    let mut header = [0; START as usize];
    let (magic, rest) = header.split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    rest.iter_mut().zip(id.to_le_bytes()).for_each(|(to, from)| *to = from);
    header
}

/// An entry: its offset, its header, and its body unless that is damaged.
pub(crate) type Scanned<'a> = (u32, Header, Option<&'a [u8]>);

/// Reads the entries of a segment one after the other, from an offset at which one begins, up to the end: the first thing
/// that is no entry, or what was being written when the power failed. An entry whose body is damaged, with another one
/// behind it, is not the end.
#[derive(Debug)]
pub(crate) struct Scan {
    file: File,
    /// Where in the file the window begins.
    offset: u64,
    window: Vec<u8>,
    /// Where in the window the next entry begins.
    at: usize,
    /// The disk could not read what comes next.
    is_unreadable: bool,
}

impl Scan {
    /// Begins at `offset`, or at the first entry. `None` where the segment's own header is not what it should be.
    pub(crate) fn open(log: &Path, id: u32, offset: u32) -> io::Result<Option<Self>> {
        let file = File::open(path(log, id))?;
        let mut found = [0; START as usize];
        let read = match platform::read_at(&file, &mut found, 0) {
            Err(error) if !is_of_the_host(&error) => 0,
            read => read?,
        };
        if read < found.len() || found != header(id) {
            return Ok(None);
        }
        Ok(Some(Self { file, offset: u64::from(offset.max(START)), window: Vec::new(), at: 0, is_unreadable: false }))
    }

    /// Whether this is the end because the disk could not read on.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }

    /// Where the next entry begins.
    pub(crate) fn offset(&self) -> u32 {
        u32::try_from(self.offset + self.at as u64).unwrap_or(u32::MAX)
    }

    /// The next entry.
    pub(crate) fn next(&mut self) -> io::Result<Option<Scanned<'_>>> {
        let offset = self.offset();
        self.want(HEADER_BYTES)?;
        let Some(header) = self.header(0) else { return Ok(None) };
        let step = header.step_bytes();
        self.want(step + HEADER_BYTES)?;
        let at = self.at;
        let is_whole = self.window.len() >= at + HEADER_BYTES + header.body_bytes as usize;
        let is_right = self.window.get(at..).and_then(|entry| header.body(entry)).is_some();
        let is_in_the_middle = is_whole && self.header(step).is_some();
        if !is_right && !is_in_the_middle {
            return Ok(None);
        }
        self.at += step;
        let body = at + HEADER_BYTES..at + HEADER_BYTES + header.body_bytes as usize;
        Ok(Some((offset, header, self.window.get(body).filter(|_| is_right))))
    }

    /// The header so far behind where the next entry begins, where one is there.
    fn header(&self, distance: usize) -> Option<Header> {
        Header::decode(self.window.get(self.at + distance..)?)
    }

    /// Has so many bytes from the next entry on in the window, if the file has them.
    fn want(&mut self, bytes: usize) -> io::Result<()> {
        if self.window.len() < self.at + bytes { self.fill(WINDOW_BYTES.max(bytes)) } else { Ok(()) }
    }

    /// Moves the window so that it begins with the next entry.
    fn fill(&mut self, bytes: usize) -> io::Result<()> {
        self.offset += self.at as u64;
        self.at = 0;
        let left = self.file.metadata()?.len().saturating_sub(self.offset);
        let bytes = usize::try_from(left).unwrap_or(usize::MAX).min(bytes);
        self.window.resize(bytes, 0);
        let mut filled = 0;
        while filled < bytes {
            let Some(rest) = self.window.get_mut(filled..) else { break };
            match platform::read_at(&self.file, rest, self.offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_of_the_host(&error) => return Err(error),
                Err(error) => {
                    tracing::error!(%error, "the disk cannot read a part of the store's log");
                    self.is_unreadable = true;
                    break;
                }
            }
        }
        self.window.truncate(filled);
        Ok(())
    }
}
