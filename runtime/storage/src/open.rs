//! Opening a store: what kind of directory it is, then its lock, its files, its tables, its committer.
//!
//! Owns: the `FORMAT` file, and that nothing is touched before it says that this wasmill may. Does not know: what
//! is in the tables.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use redb::{Builder, Database, DatabaseError, StorageError};

use crate::error::unpanicked;
use crate::files::Files;
use crate::pending::Pending;
use crate::tables::{self, View};
use crate::{OpenError, Options, Shared, Storage, committer, platform};

/// The format that this code writes, and the latest that it reads.
const FORMAT: u32 = 1;
const FORMAT_FILE: &str = "FORMAT";
const LOCK_FILE: &str = "LOCK";
const INDEX_FILE: &str = "index.redb";
const INDEX_TEMP: &str = "index.new";
/// Becomes `FORMAT` by a rename, so that there is never half of one.
const FORMAT_TEMP: &str = "FORMAT.new";
const FORMAT_FIRST_LINE: &str = "wasmill store";

impl Storage {
    /// Opens the store in `dir`; creates it where there is nothing or an empty directory.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        Self::open_with(dir, &options, index_file)
    }

    /// Opens the store in `dir` with the index that `open_index` finds under a path.
    pub(crate) fn open_with(
        dir: &Path,
        options: &Options,
        open_index: impl FnOnce(&Path, &Builder) -> Result<Database, OpenError>,
    ) -> Result<Self, OpenError> {
        prepare(dir)?;
        let lock = lock(dir)?;
        let files = Files::open(dir).map_err(|(path, source)| OpenError::NotWritable { path, source })?;
        let path = dir.join(INDEX_FILE);
        let mut builder = Builder::new();
        builder.set_cache_size(options.cache_bytes);
        let index = careful(&path, || open_index(&path, &builder))?;
        let (view, run_next) = careful(&path, || read_tables(&index).map_err(damaged(&path)))?;
        let pending = Pending::new(view, run_next, options.waiting_bytes_max);
        let shared = Arc::new(Shared { pending, files, _lock: lock });
        let theirs = Arc::clone(&shared);
        let committer = thread::Builder::new()
            .name("wasmill-store".to_owned())
            .spawn(move || committer::run(index, &theirs.files, &theirs.pending))
            .map_err(|source| OpenError::NotWritable { path: dir.to_owned(), source })?;
        Ok(Storage { shared, committer: Some(committer) })
    }
}

/// Opens the index at `path`. Where there is none, one is made under another name first: redb cannot open what it
/// leaves when it is killed while it creates a file.
fn index_file(path: &Path, builder: &Builder) -> Result<Database, OpenError> {
    let not_writable = |source| OpenError::NotWritable { path: path.to_owned(), source };
    if !path.try_exists().map_err(not_writable)? {
        let temp = path.with_file_name(INDEX_TEMP);
        let file = fs::File::options().read(true).write(true).create(true).truncate(true).open(&temp);
        let index = builder.create_file(file.map_err(not_writable)?).map_err(|error| refused(path, error))?;
        tables::create(&index).map_err(damaged(path))?;
        drop(index);
        fs::rename(&temp, path).map_err(not_writable)?;
        path.parent().map_or(Ok(()), platform::sync_dir).map_err(not_writable)?;
    }
    let file = fs::File::options().read(true).write(true).open(path).map_err(not_writable)?;
    builder.create_file(file).map_err(|error| refused(path, error))
}

/// Locks the store against other processes until the file is closed, even by a kill.
fn lock(dir: &Path) -> Result<fs::File, OpenError> {
    let path = dir.join(LOCK_FILE);
    let file = fs::File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|source| OpenError::NotWritable { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::InUse { path: dir.to_owned() }),
        Err(fs::TryLockError::Error(source)) => Err(OpenError::NotWritable { path, source }),
    }
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
        DatabaseError::Storage(StorageError::Io(source))
            if !matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            OpenError::NotWritable { path: path.to_owned(), source }
        }
        error => damaged(path)(error),
    }
}

/// What the tables hold, and the number of the next run.
fn read_tables(index: &Database) -> Result<(View, u64), redb::Error> {
    let view = View::latest(index)?;
    let run_next = view.run_last()?.map_or(1, |last| last.saturating_add(1));
    Ok((view, run_next))
}

/// Makes sure that `dir` is a store that this code may open, and makes one of it if it is empty or absent.
fn prepare(dir: &Path) -> Result<(), OpenError> {
    let path = dir.join(FORMAT_FILE);
    match fs::read(&path) {
        Ok(text) => check_format(dir, &path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(dir),
        // Something above it is no directory.
        Err(source) if source.kind() == io::ErrorKind::NotADirectory => {
            Err(OpenError::NotWritable { path: dir.to_owned(), source })
        }
        Err(source) => Err(OpenError::NotReadable { path, source }),
    }
}

fn check_format(dir: &Path, path: &Path, text: &[u8]) -> Result<(), OpenError> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines();
    let is_ours = lines.next() == Some(FORMAT_FIRST_LINE);
    let found = lines.next().and_then(|line| line.strip_prefix("format ")).and_then(|number| number.parse().ok());
    match found {
        Some(FORMAT) if is_ours => Ok(()),
        Some(found) if is_ours && found > FORMAT => {
            Err(OpenError::NewerFormat { path: dir.to_owned(), found, known: FORMAT })
        }
        _ => Err(OpenError::Damaged { path: path.to_owned(), source: "it does not name a format".into() }),
    }
}

fn create(dir: &Path) -> Result<(), OpenError> {
    let not_writable = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::NotWritable { path, source }
    };
    fs::create_dir_all(dir).map_err(not_writable(dir))?;
    let entries = fs::read_dir(dir).map_err(|source| OpenError::NotReadable { path: dir.to_owned(), source })?;
    for entry in entries {
        let entry = entry.map_err(|source| OpenError::NotReadable { path: dir.to_owned(), source })?;
        // What a process leaves that was killed right here, or two that create the same store.
        if entry.file_name() != FORMAT_TEMP && entry.file_name() != FORMAT_FILE {
            return Err(OpenError::NotAStore { path: dir.to_owned() });
        }
    }
    let temp = dir.join(FORMAT_TEMP);
    write_format(&temp, &dir.join(FORMAT_FILE)).map_err(not_writable(&temp))?;
    platform::sync_dir(dir).map_err(not_writable(dir))
}

fn write_format(temp: &Path, path: &Path) -> io::Result<()> {
    let mut file = fs::File::create(temp)?;
    file.write_all(format!("{FORMAT_FIRST_LINE}\nformat {FORMAT}\n").as_bytes())?;
    file.sync_all()?;
    drop(file);
    fs::rename(temp, path)
}
