//! CPU time of this process and of the calling thread, and peak memory, where the system tells.
//!
//! Owns: those calls. Does not know: what is measured.

use std::time::Duration;

/// CPU time of the whole process.
#[cfg(unix)]
pub(crate) fn process_cpu() -> Option<Duration> {
    Some(clock(rustix::time::ClockId::ProcessCPUTime))
}

/// CPU time of the calling thread.
#[cfg(unix)]
pub(crate) fn thread_cpu() -> Option<Duration> {
    Some(clock(rustix::time::ClockId::ThreadCPUTime))
}

#[cfg(unix)]
fn clock(id: rustix::time::ClockId) -> Duration {
    Duration::try_from(rustix::time::clock_gettime(id)).unwrap_or_default()
}

/// CPU time of the whole process.
#[cfg(not(unix))]
pub(crate) fn process_cpu() -> Option<Duration> {
    None
}

/// CPU time of the calling thread.
#[cfg(not(unix))]
pub(crate) fn thread_cpu() -> Option<Duration> {
    None
}

/// The most memory that the process ever held, as Linux writes it.
pub(crate) fn memory_peak() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().to_owned())
}
