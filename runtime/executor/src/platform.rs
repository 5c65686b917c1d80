//! What the executor needs of the operating system beyond the standard library's common part.
//!
//! Owns: every difference between hosts in this crate. Does not know: what the answers are used for.

use std::fs::Metadata;
use std::time::UNIX_EPOCH;

use wasmill_model::port::Stamp;

/// What a file looked like, to tell later whether it changed.
#[cfg(unix)]
pub(crate) fn stamp(metadata: &Metadata) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    Stamp {
        size_bytes: metadata.len(),
        mtime_ns: mtime_ns(metadata),
        ctime_ns: metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec()),
        inode: metadata.ino(),
        device: metadata.dev(),
    }
}

/// What a file looked like, to tell later whether it changed. The standard library offers no stable file number
/// here, so size and time have to do.
#[cfg(not(unix))]
pub(crate) fn stamp(metadata: &Metadata) -> Stamp {
    Stamp { size_bytes: metadata.len(), mtime_ns: mtime_ns(metadata), ctime_ns: 0, inode: 0, device: 0 }
}

fn mtime_ns(metadata: &Metadata) -> i64 {
    let Ok(modified) = metadata.modified() else { return 0 };
    match modified.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

/// Whether the host marks a file as executable.
#[cfg(unix)]
pub(crate) fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

/// Whether the host marks a file as executable: other hosts know no such mark.
#[cfg(not(unix))]
pub(crate) fn is_executable(_metadata: &Metadata) -> bool {
    false
}

/// Gives a file the mark of an executable, where the host knows one.
#[cfg(unix)]
pub(crate) fn make_executable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o755))
}

/// Gives a file the mark of an executable, where the host knows one.
#[cfg(not(unix))]
pub(crate) fn make_executable(_file: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

/// Gives a new file the permissions that files here usually get; a temporary file starts out private.
#[cfg(unix)]
pub(crate) fn make_ordinary(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

/// Gives a new file the permissions that files here usually get: those of its folder, which it has already.
#[cfg(not(unix))]
pub(crate) fn make_ordinary(_file: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

/// What a thing that is neither file, directory nor link is, for people.
#[cfg(unix)]
pub(crate) fn describe_special(metadata: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    match () {
        () if kind.is_socket() => "a socket",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_block_device() || kind.is_char_device() => "a device",
        () => "something special",
    }
}

/// What a thing that is neither file, directory nor link is, for people.
#[cfg(not(unix))]
pub(crate) fn describe_special(_metadata: &Metadata) -> &'static str {
    "something special"
}

/// The name of cargo's guest compiler and of other programs on this host.
pub(crate) const EXE_SUFFIX: &str = std::env::consts::EXE_SUFFIX;

/// Makes a symbolic link.
#[cfg(unix)]
pub(crate) fn make_symlink(to: &str, path: &std::path::Path, _leads_to_directory: bool) -> std::io::Result<()> {
    std::os::unix::fs::symlink(to, path)
}

/// Makes a symbolic link, which Windows allows only some users, and of which it wants to know what it leads to.
#[cfg(windows)]
pub(crate) fn make_symlink(to: &str, path: &std::path::Path, leads_to_directory: bool) -> std::io::Result<()> {
    let to = to.replace('/', "\\");
    match leads_to_directory {
        true => std::os::windows::fs::symlink_dir(to, path),
        false => std::os::windows::fs::symlink_file(to, path),
    }
}

/// Other hosts have no links that we know of.
#[cfg(not(any(unix, windows)))]
pub(crate) fn make_symlink(_to: &str, _path: &std::path::Path, _leads_to_directory: bool) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
