//! How much CPU time an attempt took.
//!
//! Owns: reading the thread's CPU clock no more often than it pays. Does not know: what the time was spent on.
//!
//! Reading that clock is a system call of a third of a microsecond, two of them were a sixth of a small job. While a
//! thread runs without a break its CPU clock and the wall clock advance together; only over longer times can a break
//! have been in between, and then the clock is read.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::platform::thread_cpu_ns;

/// Up to here both clocks are taken to have advanced alike: far less than a thread that was interrupted for another
/// one waits for its next turn.
const CLOSE: Duration = Duration::from_micros(200);

thread_local! {
    /// When this thread's clock was read last, and what it said.
    static READ: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
}

/// The time of one attempt, on the thread that carries it out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuTimer {
    began: Instant,
    began_cpu_ns: u64,
}

impl CpuTimer {
    /// Starts at `now`.
    pub(crate) fn start(now: Instant) -> Self {
        Self { began: now, began_cpu_ns: read(now) }
    }

    /// The CPU time since the start, in nanoseconds.
    pub(crate) fn elapsed_ns(self, now: Instant) -> u64 {
        let wall = now.saturating_duration_since(self.began);
        if wall < CLOSE {
            return nanos(wall);
        }
        // Long enough for a break; what the clock says counts.
        let cpu_ns = thread_cpu_ns();
        READ.set(Some((now, cpu_ns)));
        cpu_ns.saturating_sub(self.began_cpu_ns)
    }
}

fn read(now: Instant) -> u64 {
    if let Some((at, cpu_ns)) = READ.get() {
        let since = now.saturating_duration_since(at);
        if since < CLOSE {
            return cpu_ns + nanos(since);
        }
    }
    let cpu_ns = thread_cpu_ns();
    READ.set(Some((now, cpu_ns)));
    cpu_ns
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_takes_no_cpu_time_and_computing_does() {
        let timer = CpuTimer::start(Instant::now());
        std::thread::sleep(Duration::from_millis(30));
        let asleep = timer.elapsed_ns(Instant::now());
        assert!(cfg!(not(unix)) || asleep < 20_000_000, "{asleep}");

        let timer = CpuTimer::start(Instant::now());
        let began = Instant::now();
        let mut sum = 0_u64;
        while began.elapsed() < Duration::from_millis(30) {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
        }
        let computing = timer.elapsed_ns(Instant::now());
        assert!(computing > 0 && computing <= nanos(began.elapsed()) + 1_000_000, "{computing}");
    }
}
