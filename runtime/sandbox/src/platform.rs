//! What the sandbox needs of the operating system beyond the standard library.
//!
//! Owns: every difference between hosts in this crate. Does not know: what the answers are used for.

/// The CPU time that this thread has used, in nanoseconds.
#[cfg(unix)]
pub(crate) fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// The CPU time that this thread has used, in nanoseconds: here, the wall time since it first asked. A guest does
/// nothing but compute, so the two differ only where other processes take the core.
#[cfg(not(unix))]
pub(crate) fn thread_cpu_ns() -> u64 {
    use std::time::Instant;
    thread_local!(static FIRST: Instant = Instant::now());
    FIRST.with(|first| u64::try_from(first.elapsed().as_nanos()).unwrap_or(u64::MAX))
}
