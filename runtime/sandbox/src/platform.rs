//! What the sandbox needs of the operating system beyond the standard library.
//!
//! Owns: every difference between hosts in this crate. Does not know: what the answers are used for.

use std::fs::File;
use std::io;

/// The CPU time that this thread has used, in nanoseconds.
#[cfg(unix)]
pub(crate) fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// Fills `to` with what a file has at `offset`.
#[cfg(unix)]
pub(crate) fn read_exact_at(file: &File, to: &mut [u8], offset: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    file.read_exact_at(to, offset)
}

/// Fills `to` with what a file has at `offset`. Moves the file's own position, which nobody uses.
#[cfg(windows)]
pub(crate) fn read_exact_at(file: &File, mut to: &mut [u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !to.is_empty() {
        match file.seek_read(to, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                to = to.get_mut(read..).unwrap_or_default();
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// Writes `from` to a file at `offset`.
#[cfg(unix)]
pub(crate) fn write_all_at(file: &File, from: &[u8], offset: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    file.write_all_at(from, offset)
}

/// Writes `from` to a file at `offset`. Moves the file's own position, which nobody uses.
#[cfg(windows)]
pub(crate) fn write_all_at(file: &File, mut from: &[u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !from.is_empty() {
        match file.seek_write(from, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => {
                from = from.get(written..).unwrap_or_default();
                offset += written as u64;
            }
        }
    }
    Ok(())
}

/// The CPU time that all threads of this process have used, in nanoseconds.
#[cfg(unix)]
pub(crate) fn process_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// The CPU time that all threads of this process have used, in nanoseconds: here, the wall time since it first
/// asked, which stops a process that computes no later.
#[cfg(not(unix))]
pub(crate) fn process_cpu_ns() -> u64 {
    use std::sync::OnceLock;
    use std::time::Instant;
    static FIRST: OnceLock<Instant> = OnceLock::new();
    u64::try_from(FIRST.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Keeps Ctrl-C in a terminal from a process that is to be started: it is its parent's to end it.
#[cfg(unix)]
pub(crate) fn keep_from_interrupts(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

/// Keeps Ctrl-C in a console from a process that is to be started: it is its parent's to end it.
#[cfg(windows)]
pub(crate) fn keep_from_interrupts(command: &mut std::process::Command) {
    use std::os::windows::process::CommandExt;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0200;
    command.creation_flags(CREATE_NEW_PROCESS_GROUP);
}

/// The CPU time that this thread has used, in nanoseconds: here, the wall time since it first asked. A guest does
/// nothing but compute, so the two differ only where other processes take the core.
#[cfg(not(unix))]
pub(crate) fn thread_cpu_ns() -> u64 {
    use std::time::Instant;
    thread_local!(static FIRST: Instant = Instant::now());
    FIRST.with(|first| u64::try_from(first.elapsed().as_nanos()).unwrap_or(u64::MAX))
}
