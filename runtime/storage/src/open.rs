//! Opening a store: what kind of directory it is, then its lock, its files, its tables, its committer.
//!
//! Owns: the `FORMAT` file, that nothing is touched before it says that this wasmill may, and what is set aside for a full
//! disk. Does not know: what is in the tables.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use redb::{Builder, ConcurrencyMode, Database, DatabaseError, StorageError};

use crate::disk::{self, Disk, RealDisk};
use crate::error::unpanicked;
use crate::files::Files;
use crate::helpers::Helpers;
use crate::live::{self, Lease};
use crate::log::Log;
use crate::reader::Reader;
use crate::rebuild::DAMAGED_FILE;
use crate::recover::{Recovered, recover};
use crate::tables::{self, View};
use crate::tail::Tail;
use crate::{Layout, OpenError, Options, Shared, Storage, committer, platform};

/// The format that this code writes, and the latest that it reads.
pub(crate) const FORMAT: u32 = 3;
const FORMAT_FILE: &str = "FORMAT";
const FORMAT_FIRST_LINE: &str = "wasmill store";
const SEGMENT_BYTES: &str = "segment-bytes";
const LOGGED_BYTES_MAX: &str = "logged-bytes-max";
/// Becomes `FORMAT` by a rename, so that there is never half of one. A process's number follows.
const FORMAT_TEMP: &str = "FORMAT.new";
pub(crate) const LOG_DIR: &str = "log";
pub(crate) const INDEX_FILE: &str = "index.redb";
/// Is given up where the disk is full, so that there is room to make room.
const RESERVE_FILE: &str = "reserve";
const RESERVE_BYTES: u64 = 4 << 20;
const INDEX_TEMP: &str = "index.new";
/// What else may be there while two processes create the same store.
const STORE_FILES: [&str; 13] = [
    "LOCK",
    "live",
    LOG_DIR,
    "blobs",
    "compiled",
    INDEX_FILE,
    INDEX_TEMP,
    "RUN",
    "GC",
    "GC.lock",
    "SCRUB",
    "PINS.lock",
    RESERVE_FILE,
];

impl Storage {
    /// Whether there is a store in a folder, whatever state it is in.
    pub fn is_there(dir: &Path) -> bool {
        dir.join(FORMAT_FILE).exists()
    }

    /// Opens the store in `dir`; creates it where there is nothing or an empty directory. Waits while another process
    /// changes what all share, which takes milliseconds.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        if dir.join(DAMAGED_FILE).exists() {
            let source = "making it anew was interrupted".into();
            return Err(OpenError::Damaged { path: dir.join(INDEX_FILE), source });
        }
        Self::open_unexamined(dir, options)
    }

    /// The same, though what is in the index may not go together.
    pub(crate) fn open_unexamined(dir: &Path, options: Options) -> Result<Self, OpenError> {
        let open = || Self::open_on(Arc::new(RealDisk), dir, &options);
        let reserve = dir.join(RESERVE_FILE);
        let storage = match open() {
            // So that garbage can be collected where the disk is full.
            Err(OpenError::NotWritable { source, .. })
                if disk::is_full(&source) && fs::remove_file(&reserve).is_ok() =>
            {
                tracing::warn!("the disk is full: what the store had set aside for this is used up");
                return open();
            }
            storage => storage?,
        };
        if !reserve.exists()
            && let Err(error) = set_aside(&reserve)
        {
            tracing::debug!(%error, "nothing is set aside for a full disk");
        }
        Ok(storage)
    }

    /// Opens the store in `dir` of a disk.
    pub(crate) fn open_on(disk: Arc<dyn Disk>, dir: &Path, options: &Options) -> Result<Self, OpenError> {
        // What is damaged may not let itself be closed either, where it turns out that it is.
        careful(&dir.join(INDEX_FILE), || Self::open_and_recover(disk, dir, options))
    }

    fn open_and_recover(disk: Arc<dyn Disk>, dir: &Path, options: &Options) -> Result<Self, OpenError> {
        let layout = prepare(dir, options.layout.clamped())?;
        let options = Options { layout, ..*options };
        let not_writable = |(path, source)| OpenError::NotWritable { path, source };
        let lock = live::lock(dir).map_err(|source| not_writable((dir.join("LOCK"), source)))?;
        let log_dir = dir.join(LOG_DIR);
        platform::create_private_dir(&log_dir).map_err(|source| not_writable((log_dir.clone(), source)))?;
        let lease = Lease::take(dir).map_err(not_writable)?;
        let files = Files::open(Arc::clone(&disk), dir, lease.dir.clone()).map_err(not_writable)?;
        // Before anything is looked up.
        let epoch = lease.epoch().map_err(|source| not_writable((dir.to_owned(), source)))?;
        let path = dir.join(INDEX_FILE);
        let mut builder = Builder::new();
        builder.set_cache_size(options.index_cache_bytes);
        builder.set_concurrency_mode(ConcurrencyMode::MultiWriter);
        let index = careful(&path, || open_index(disk.as_ref(), &path, &builder))?;
        let mut tail = careful(&path, || read_tables(&index).map_err(damaged(&path)))?;
        let recovered = careful(&path, || {
            recover(disk.as_ref(), &log_dir, &layout, &mut tail, || View::latest(&index))
                .map_err(|source| not_writable((log_dir.clone(), source)))
        })?;
        lease.write_to(recovered.segment.id, recovered.end).map_err(|source| not_writable((dir.to_owned(), source)))?;
        careful(&path, || tail.learn_what_is_lost().map_err(damaged(&path)))?;
        let run_next = careful(&path, || run_next(&tail).map_err(damaged(&path)))?;
        drop(lock);
        let Recovered { segment, end, sealed, held } = recovered;
        let shared = Arc::new(Shared {
            log: Log::new(tail, segment.id, end, sealed, &options),
            files,
            reader: Reader::new(log_dir.clone(), options.blob_cache_bytes),
            index: Mutex::new(Some(Arc::new(index))),
            layout,
            compresses: options.compresses,
            disk,
            dir: dir.to_owned(),
            log_dir,
            run_next: AtomicU64::new(run_next),
            pages: Mutex::default(),
            refreshed: Mutex::new(Instant::now()),
            _held: held,
            epoch_seen: AtomicU64::new(epoch),
            lease,
            helpers: Helpers::default(),
            new_in_a_row: AtomicU32::new(0),
            known_bytes: AtomicU64::new(0),
        });
        let theirs = Arc::clone(&shared);
        let committer = thread::Builder::new()
            .name("wasmill-store".to_owned())
            .spawn(move || committer::run(&theirs, segment))
            .map_err(|source| OpenError::NotWritable { path: dir.to_owned(), source })?;
        Ok(Storage { shared, committer: Some(committer) })
    }
}

/// How much is set aside for a full disk.
pub(crate) fn reserved_bytes(dir: &Path) -> u64 {
    fs::metadata(dir.join(RESERVE_FILE)).map_or(0, |found| found.len())
}

/// Makes a file that takes space on the disk, or none.
fn set_aside(path: &Path) -> io::Result<()> {
    let file = fs::File::create_new(path)?;
    fs4::FileExt::allocate(&file, RESERVE_BYTES).inspect_err(|_| drop(fs::remove_file(path)))
}

/// Opens the index at `path`. Where there is none, one is made under another name first: redb cannot open what it
/// leaves when it is killed while it creates a file. The caller holds the store's lock.
fn open_index(disk: &dyn Disk, path: &Path, builder: &Builder) -> Result<Database, OpenError> {
    let not_writable = |source| OpenError::NotWritable { path: path.to_owned(), source };
    if !path.try_exists().map_err(not_writable)? {
        let temp = path.with_file_name(INDEX_TEMP);
        match disk.remove(&temp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(not_writable(error)),
            _ => {}
        }
        let index = disk.index(builder, &temp).map_err(|error| refused(path, error))?;
        tables::create(&index).map_err(damaged(path))?;
        drop(index);
        disk.rename(&temp, path).map_err(not_writable)?;
        path.parent().map_or(Ok(()), |dir| disk.sync_dir(dir)).map_err(not_writable)?;
    }
    disk.index(builder, path).map_err(|error| refused(path, error))
}

/// Makes a panic over damage an error, like any other damage.
fn careful<T>(path: &Path, work: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    unpanicked(work).unwrap_or_else(|panicked| Err(damaged(path)(panicked)))
}

fn damaged<E: Into<Box<dyn Error + Send + Sync>>>(path: &Path) -> impl FnOnce(E) -> OpenError {
    move |error| OpenError::Damaged { path: path.to_owned(), source: error.into() }
}

/// Why the database could not be opened.
pub(crate) fn refused(path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path: path.to_owned() },
        DatabaseError::Storage(StorageError::Io(source)) if !says_damage(&source) => {
            OpenError::NotWritable { path: path.to_owned(), source }
        }
        error => damaged(path)(error),
    }
}

/// Whether redb means by this that a file has what it should not have.
pub(crate) fn says_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// What the tables hold, with nothing before it.
fn read_tables(index: &Database) -> Result<Tail, redb::Error> {
    Ok(Tail::new(View::latest(index)?))
}

/// The number of the next run.
fn run_next(tail: &Tail) -> Result<u64, redb::Error> {
    let indexed = tail.view.run_last()?.unwrap_or(0);
    let rows = std::iter::once(&tail.active).chain(tail.theirs.values().map(|theirs| &theirs.rows));
    let last = rows.filter_map(|rows| rows.runs.last_key_value()).map(|(run, _)| run.0).max();
    Ok(indexed.max(last.unwrap_or(0)).saturating_add(1))
}

/// Makes sure that `dir` is a store that this code may open, and makes one of it, laid out as asked, if it is empty or
/// absent. Returns how it is laid out.
fn prepare(dir: &Path, layout: Layout) -> Result<Layout, OpenError> {
    let path = dir.join(FORMAT_FILE);
    match fs::read(&path) {
        Ok(text) => check_format(dir, &path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(dir, &layout),
        // Something above it is no directory.
        Err(source) if source.kind() == io::ErrorKind::NotADirectory => {
            Err(OpenError::NotWritable { path: dir.to_owned(), source })
        }
        Err(source) => Err(OpenError::NotReadable { path, source }),
    }
}

/// How an existing store is laid out, if it has the present format.
pub(crate) fn known_format(dir: &Path) -> Result<Layout, OpenError> {
    let path = dir.join(FORMAT_FILE);
    match fs::read(&path) {
        Ok(text) => check_format(dir, &path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(OpenError::NotAStore { path: dir.to_owned() }),
        Err(source) => Err(OpenError::NotReadable { path, source }),
    }
}

pub(crate) fn check_format(dir: &Path, path: &Path, text: &[u8]) -> Result<Layout, OpenError> {
    match read_format(text) {
        Some((FORMAT, Some(layout))) => Ok(layout),
        Some((found @ 1..FORMAT, _)) => Err(OpenError::OlderFormat { path: dir.to_owned(), found }),
        Some((found, _)) if found > FORMAT => {
            Err(OpenError::NewerFormat { path: dir.to_owned(), found, known: FORMAT })
        }
        _ => Err(OpenError::Damaged { path: path.to_owned(), source: "it does not name a format".into() }),
    }
}

/// How a store is laid out that has this format or another one that says so.
pub(crate) fn layout(dir: &Path) -> Result<Layout, OpenError> {
    let path = dir.join(FORMAT_FILE);
    let text = fs::read(&path).map_err(|source| OpenError::NotReadable { path: path.clone(), source })?;
    let layout = read_format(&text).and_then(|(_, layout)| layout);
    layout.ok_or_else(|| OpenError::Damaged { path, source: "it says no sizes".into() })
}

/// The format that a `FORMAT` file names, and how a store of it is laid out, which format 1 did not say.
fn read_format(text: &[u8]) -> Option<(u32, Option<Layout>)> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines();
    let number = |line: Option<&str>, name: &str| line?.strip_prefix(name)?.strip_prefix(' ')?.parse::<u32>().ok();
    if lines.next() != Some(FORMAT_FIRST_LINE) {
        return None;
    }
    let found = number(lines.next(), "format")?;
    let segment_bytes = number(lines.next(), SEGMENT_BYTES);
    let sizes = segment_bytes.zip(number(lines.next(), LOGGED_BYTES_MAX));
    let layout = |(segment_bytes, logged_bytes_max)| Layout { segment_bytes, logged_bytes_max }.clamped();
    Some((found, sizes.map(layout)))
}

fn create(dir: &Path, layout: &Layout) -> Result<Layout, OpenError> {
    let not_writable = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::NotWritable { path, source }
    };
    fs::create_dir_all(dir).map_err(not_writable(dir))?;
    let entries = fs::read_dir(dir).map_err(|source| OpenError::NotReadable { path: dir.to_owned(), source })?;
    for entry in entries {
        let entry = entry.map_err(|source| OpenError::NotReadable { path: dir.to_owned(), source })?;
        // What a process leaves that was killed right here, or two that create the same store.
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| name.starts_with(FORMAT_FILE) || STORE_FILES.contains(&name));
        if !is_ours {
            return Err(OpenError::NotAStore { path: dir.to_owned() });
        }
    }
    let _lock = live::lock(dir).map_err(not_writable(&dir.join("LOCK")))?;
    let path = dir.join(FORMAT_FILE);
    if let Ok(text) = fs::read(&path) {
        // Another process was first, and may have laid it out in another way.
        return check_format(dir, &path, &text);
    }
    write_format(dir, layout).map_err(not_writable(&path))?;
    platform::sync_dir(dir).map_err(not_writable(dir))?;
    Ok(*layout)
}

/// Says which format a store has, by a rename.
pub(crate) fn write_format(dir: &Path, layout: &Layout) -> io::Result<()> {
    let temp = dir.join(format!("{FORMAT_TEMP}{}", std::process::id()));
    let Layout { segment_bytes, logged_bytes_max } = layout;
    let mut file = fs::File::create(&temp)?;
    writeln!(file, "{FORMAT_FIRST_LINE}\nformat {FORMAT}")?;
    writeln!(file, "{SEGMENT_BYTES} {segment_bytes}\n{LOGGED_BYTES_MAX} {logged_bytes_max}")?;
    file.sync_all()?;
    drop(file);
    fs::rename(temp, dir.join(FORMAT_FILE))
}
