//! Copies outputs to the host.
//!
//! Owns: writing host files, each whole or not at all, and never outside the path that was asked for. Does not
//! know: when it is time to.

use std::fs;
use std::io::{self, BufRead, Write};
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use wasmill_model::port::BlobStore;
use wasmill_model::{BlobRef, Directory, FileNode, Hasher, OutputPath, TreeError, check_name};

use crate::error::SaveError;
use crate::links::Links;
use crate::platform;
use crate::resolve::{FindError, Found, find_in_tree};

/// How much of a host file is read at once.
const READ_BYTES: usize = 256 << 10;

/// Copies a part of the tree at `root`, or all of it, to `target`.
///
/// A file replaces the file at `target`. A directory is laid over what is there: its files replace those of the
/// same name, others stay. A file that already has the right content is not touched. Symbolic links that stay inside of
/// what is copied are made as well.
///
/// # Errors
/// The tree has no such part, or a symbolic link in it leads outside of it; something else is in the way; the host refuses.
pub fn export(blobs: &dyn BlobStore, root: BlobRef, path: Option<&OutputPath>, target: &Path) -> Result<(), SaveError> {
    export_and_note(blobs, root, path, target, &mut |_, _| {})
}

/// Is told of each place that something was saved to.
pub(crate) type Note<'a> = &'a mut dyn FnMut(&Path, Saved<'_>);

/// What was saved to a place.
pub(crate) enum Saved<'a> {
    /// A file, and how it looked if it was there already.
    File(&'a FileNode, Option<&'a fs::Metadata>),
    Folder,
    Link,
}

/// The same, which says what it finds.
pub(crate) fn export_and_note(
    blobs: &dyn BlobStore,
    root: BlobRef,
    path: Option<&OutputPath>,
    target: &Path,
    note: Note<'_>,
) -> Result<(), SaveError> {
    let found = match path {
        None => Some(Found::Directory(root)),
        Some(path) => find_in_tree(blobs, root, path).map_err(|error| match error {
            FindError::Store(error) => SaveError::Store(error),
            FindError::Tree(error) => SaveError::Tree(error),
        })?,
    };
    let shown = path.map_or_else(|| ".".to_owned(), ToString::to_string);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(|source| write_error(parent, source))?;
    }
    match found {
        None => Err(SaveError::NoSuchOutput { path: shown }),
        Some(Found::Link) => Err(SaveError::Link { path: shown }),
        Some(Found::File(file)) => write_file(blobs, &file, target, note),
        // The folder itself is the user's own choice and may be a link of theirs; nothing below it may be.
        Some(Found::Directory(blob)) => {
            let links = Links::of(blobs, blob)?;
            fs::create_dir_all(target).map_err(|source| write_error(target, source))?;
            write_directory(blobs, blob, target, note)?;
            // Last, so that nothing is ever written through one.
            links.iter().try_for_each(|(path, to)| write_link(target, path, to, note))
        }
    }
}

/// Copies a blob to the file `target`, whole or not at all.
///
/// # Errors
/// Something else is in the way; the store or the host refuses.
pub fn export_file(blobs: &dyn BlobStore, blob: BlobRef, target: &Path) -> Result<(), SaveError> {
    write_file(blobs, &FileNode { name: String::new(), blob, is_executable: false }, target, &mut |_, _| {})
}

/// The recursion ends: whoever looked for [`Links`] has seen that the tree is not too deep.
fn write_directory(blobs: &dyn BlobStore, blob: BlobRef, target: &Path, note: Note<'_>) -> Result<(), SaveError> {
    note(target, Saved::Folder);
    let directory = Directory::decode(&blobs.get(&blob)?)?;
    for file in &directory.files {
        write_file(blobs, file, &target.join(host_name(&file.name)?), note)?;
    }
    for below in &directory.directories {
        let path = target.join(host_name(&below.name)?);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) => return Err(SaveError::InTheWay { path, kind: describe(&metadata) }),
            Err(_) => fs::create_dir(&path).map_err(|source| write_error(&path, source))?,
        }
        write_directory(blobs, below.blob, &path, note)?;
    }
    Ok(())
}

/// Makes a link below `root`; one that is there is replaced, unless it is the same.
fn write_link(root: &Path, path: &[String], to: &str, note: Note<'_>) -> Result<(), SaveError> {
    let mut target = root.to_owned();
    for name in path {
        target.push(host_name(name)?);
    }
    note(&target, Saved::Link);
    match fs::symlink_metadata(&target) {
        Ok(metadata) if !metadata.is_file() && !metadata.is_symlink() => {
            return Err(SaveError::InTheWay { path: target, kind: describe(&metadata) });
        }
        Ok(metadata) if metadata.is_symlink() && fs::read_link(&target).is_ok_and(|there| there == Path::new(to)) => {
            return Ok(());
        }
        _ => {}
    }
    let folder = target.parent().unwrap_or(root);
    let write = || -> io::Result<()> {
        let leads_to_directory = fs::metadata(folder.join(to)).is_ok_and(|found| found.is_dir());
        let make = |path: &Path| platform::make_symlink(to, path, leads_to_directory);
        let temporary = tempfile::Builder::new().prefix(".wasmill-").make_in(folder, make)?;
        temporary.persist(&target).map(drop).map_err(|error| error.error)
    };
    write().map_err(|source| write_error(&target, source))
}

fn write_file(blobs: &dyn BlobStore, file: &FileNode, target: &Path, note: Note<'_>) -> Result<(), SaveError> {
    match fs::symlink_metadata(target) {
        // What is a device today would be a file from then on.
        Ok(metadata) if !metadata.is_file() && !metadata.is_symlink() => {
            return Err(SaveError::InTheWay { path: target.to_owned(), kind: describe(&metadata) });
        }
        Ok(metadata) if metadata.is_file() && is_right(target, &metadata, file) => {
            note(target, Saved::File(file, Some(&metadata)));
            return Ok(());
        }
        _ => {}
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = tempfile::Builder::new().prefix(".wasmill-").tempfile_in(folder);
    let temporary = temporary.map_err(|source| write_error(target, source))?.into_temp_path();
    // Sharing makes a new file.
    fs::remove_file(&temporary).map_err(|source| write_error(target, source))?;
    let is_shared = blobs.share_with(&file.blob, &temporary)?;
    let content = if is_shared { Bytes::new() } else { blobs.get(&file.blob)? };
    let write = || -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let host = if is_shared {
            options.read(true).open(&temporary)?
        } else {
            let mut host = options.write(true).create_new(true).open(&temporary)?;
            host.write_all(&content)?;
            host
        };
        match file.is_executable {
            true => platform::make_executable(&host)?,
            false => platform::make_ordinary(&host)?,
        }
        drop(host);
        temporary.persist(target).map_err(|error| error.error)
    };
    note(target, Saved::File(file, None));
    write().map_err(|source| write_error(target, source))
}

/// Whether a host file has the right content already.
fn is_right(target: &Path, metadata: &fs::Metadata, file: &FileNode) -> bool {
    metadata.len() == file.blob.size_bytes && digest_of(target).is_ok_and(|found| found == file.blob)
}

pub(crate) fn digest_of(path: &Path) -> io::Result<BlobRef> {
    let mut hasher = Hasher::new();
    let mut reader = io::BufReader::with_capacity(READ_BYTES, fs::File::open(path)?);
    loop {
        let piece = reader.fill_buf()?;
        let len = piece.len();
        if len == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(piece);
        reader.consume(len);
    }
}

/// A name that is one name on this host too: `C:x` or `a\b` are fine in a guest and lead elsewhere on Windows.
pub fn host_name(name: &str) -> Result<&str, SaveError> {
    check_name(name)?;
    let mut components = Path::new(name).components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(only)), None) if only == name => Ok(name),
        _ => Err(SaveError::Tree(TreeError::Name {
            name: name.to_owned(),
            wrong: "it would lead elsewhere on this host",
        })),
    }
}

fn describe(metadata: &fs::Metadata) -> &'static str {
    if metadata.is_symlink() {
        "a symbolic link"
    } else if metadata.is_dir() {
        "a directory"
    } else if metadata.is_file() {
        "a file"
    } else {
        "a device, or something else that is no file"
    }
}

fn write_error(path: &Path, source: io::Error) -> SaveError {
    SaveError::Write { path: path.to_owned(), source }
}

/// The path without `.` and `..`, as far as that can be told without looking at links.
pub(crate) fn lexical(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !clean.pop() {
                    clean.push("..");
                }
            }
            other => clean.push(other),
        }
    }
    clean
}

#[cfg(test)]
#[path = "save_tests.rs"]
mod tests;
