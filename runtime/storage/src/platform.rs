//! What differs between operating systems: file modes, reading and writing at a place, making a directory durable.
//!
//! Owns: those calls, for Unix and for Windows. Does not know: which files a store has.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Creates a file that nobody may write to any more once it is closed.
#[cfg(unix)]
pub(crate) fn create_sealed_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o444).open(path)
}

/// Creates a file. Windows would refuse to rename or delete a read-only one, so it is an ordinary file there.
#[cfg(not(unix))]
pub(crate) fn create_sealed_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Creates a directory that only its owner may enter, unless it exists.
#[cfg(unix)]
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Creates a directory unless it exists. A user's own folders are private on Windows by inheritance.
#[cfg(not(unix))]
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Writes all of `bytes` at `offset`.
#[cfg(unix)]
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

/// Writes all of `bytes` at `offset`.
#[cfg(not(unix))]
pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
        offset += written as u64;
    }
    Ok(())
}

/// Reads up to `bytes.len()` bytes from `offset` on; fewer at the end of the file.
#[cfg(unix)]
pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, offset)
}

/// Reads up to `bytes.len()` bytes from `offset` on; fewer at the end of the file.
#[cfg(not(unix))]
pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, offset)
}

/// Makes the names in a directory durable.
#[cfg(unix)]
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// NTFS journals its names by itself, and a directory cannot be flushed.
#[cfg(not(unix))]
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    fs::metadata(path).map(drop)
}

/// What all files below a folder take on disk, in bytes. What goes away meanwhile is not counted.
pub(crate) fn disk_bytes(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            match entry.metadata() {
                Ok(found) if found.is_dir() => waiting.push(entry.path()),
                Ok(found) => bytes += allocated(&found),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(bytes)
}

#[cfg(unix)]
fn allocated(found: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(found) * 512
}

/// The length, as the standard library does not say more here.
#[cfg(not(unix))]
fn allocated(found: &fs::Metadata) -> u64 {
    found.len()
}

/// Whether too many files are open, in this process or in the system.
#[cfg(unix)]
pub(crate) fn is_out_of_handles(error: &io::Error) -> bool {
    // EMFILE and ENFILE, which are the same on every Unix.
    matches!(error.raw_os_error(), Some(24 | 23))
}

/// Whether too many files are open.
#[cfg(not(unix))]
pub(crate) fn is_out_of_handles(error: &io::Error) -> bool {
    // ERROR_TOO_MANY_OPEN_FILES
    error.raw_os_error() == Some(4)
}

/// Opens a file so that it can be synced.
#[cfg(unix)]
pub(crate) fn open_to_sync(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Opens a file so that it can be synced, which Windows wants a handle for that may write.
#[cfg(not(unix))]
pub(crate) fn open_to_sync(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Lets nobody write to a file any more.
#[cfg(unix)]
pub(crate) fn seal(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o444))
}

/// An ordinary file, as in [`create_sealed_file`].
#[cfg(not(unix))]
pub(crate) fn seal(_file: &File) -> io::Result<()> {
    Ok(())
}
