//! What differs between Unix and the rest.
//!
//! Owns: what the children of this process took, and marking a file as executable. Does not know: why.

use std::io;
use std::path::Path;
use std::time::Duration;

/// What a child and its descendants took.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    /// CPU time in user mode and in the kernel, of all of them together.
    pub(crate) cpu: Duration,
    /// Most memory that any single one of them had resident.
    pub(crate) resident_bytes: u64,
}

/// What all children that this process has waited for took; none where the system does not tell.
#[cfg(unix)]
pub(crate) fn children_usage() -> Option<Usage> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike as _;

    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let cpu_us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    // macOS counts in bytes, everyone else in KiB.
    let unit_bytes = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
    Some(Usage {
        cpu: Duration::from_micros(u64::try_from(cpu_us).ok()?),
        resident_bytes: u64::try_from(usage.max_rss()).ok()? * unit_bytes,
    })
}

/// What all children that this process has waited for took; none where the system does not tell.
#[cfg(not(unix))]
pub(crate) fn children_usage() -> Option<Usage> {
    None
}

/// Lets everyone execute a file that everyone can read.
#[cfg(unix)]
pub(crate) fn make_executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

/// There is no such mark here.
#[cfg(not(unix))]
pub(crate) fn make_executable(path: &Path) -> io::Result<()> {
    path.metadata().map(drop)
}
