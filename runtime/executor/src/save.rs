//! Copies outputs to the host.
//!
//! Owns: writing host files, each whole or not at all, and never outside the path that was asked for. Does not
//! know: when it is time to.

use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use wasmill_model::port::BlobStore;
use wasmill_model::{BlobRef, Directory, FileNode, OutputPath, TreeError, check_name};

use crate::error::SaveError;
use crate::platform;
use crate::resolve::{FindError, Found, find_in_tree};

/// Copies a part of the tree at `root`, or all of it, to `target`.
///
/// A file replaces the file at `target`. A directory is laid over what is there: its files replace those of the
/// same name, others stay. A file that already has the right content is not touched.
///
/// # Errors
/// The tree has no such part, or has a symbolic link in it; something else is in the way; the host refuses.
pub fn export(blobs: &dyn BlobStore, root: BlobRef, path: Option<&OutputPath>, target: &Path) -> Result<(), SaveError> {
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
        Some(Found::File(file)) => write_file(blobs, &file, target),
        // The folder itself is the user's own choice and may be a link of theirs; nothing below it may be.
        Some(Found::Directory(blob)) => {
            fs::create_dir_all(target).map_err(|source| write_error(target, source))?;
            write_directory(blobs, blob, target, &shown)
        }
    }
}

/// Copies a blob to the file `target`, whole or not at all.
///
/// # Errors
/// Something else is in the way; the store or the host refuses.
pub fn export_file(blobs: &dyn BlobStore, blob: BlobRef, target: &Path) -> Result<(), SaveError> {
    write_file(blobs, &FileNode { name: String::new(), blob, is_executable: false }, target)
}

fn write_directory(blobs: &dyn BlobStore, blob: BlobRef, target: &Path, shown: &str) -> Result<(), SaveError> {
    let directory = Directory::decode(&blobs.get(&blob)?)?;
    if let Some(link) = directory.symlinks.first() {
        return Err(SaveError::Link { path: format!("{shown}/{}", link.name) });
    }
    for file in &directory.files {
        write_file(blobs, file, &target.join(host_name(&file.name)?))?;
    }
    for below in &directory.directories {
        let path = target.join(host_name(&below.name)?);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) => return Err(SaveError::InTheWay { path, kind: describe(&metadata) }),
            Err(_) => fs::create_dir(&path).map_err(|source| write_error(&path, source))?,
        }
        write_directory(blobs, below.blob, &path, &format!("{shown}/{}", below.name))?;
    }
    Ok(())
}

fn write_file(blobs: &dyn BlobStore, file: &FileNode, target: &Path) -> Result<(), SaveError> {
    match fs::symlink_metadata(target) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(SaveError::InTheWay { path: target.to_owned(), kind: describe(&metadata) });
        }
        Ok(metadata) if metadata.is_file() && is_right(target, &metadata, file) => return Ok(()),
        _ => {}
    }
    let bytes = blobs.get(&file.blob)?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut temporary = tempfile::Builder::new().prefix(".wasmill-").tempfile_in(folder)?;
        temporary.write_all(&bytes)?;
        if file.is_executable {
            platform::make_executable(temporary.as_file())?;
        } else {
            platform::make_ordinary(temporary.as_file())?;
        }
        temporary.persist(target).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| write_error(target, source))
}

/// Whether a host file has the right content already.
fn is_right(target: &Path, metadata: &fs::Metadata, file: &FileNode) -> bool {
    metadata.len() == file.blob.size_bytes && fs::read(target).is_ok_and(|bytes| BlobRef::of(&bytes) == file.blob)
}

/// A name that is one name on this host too: `C:x` or `a\b` are fine in a guest and lead elsewhere on Windows.
fn host_name(name: &str) -> Result<&str, SaveError> {
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
    } else {
        "a file"
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
