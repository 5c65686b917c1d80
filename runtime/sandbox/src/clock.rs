//! The guest's time.
//!
//! Owns: where time starts and how it advances. Does not know: the host's clocks.

/// A clock that shows every guest the same times: it starts at 2000-01-01T00:00:00Z, goes on by 1 µs with each
/// reading (so that loops that wait for time to pass come to an end), and jumps over what a guest sleeps.
#[derive(Debug)]
pub(crate) struct Clock {
    now_ns: u64,
}

impl Clock {
    /// 2000-01-01T00:00:00Z in nanoseconds since 1970: late enough for every archive format.
    pub(crate) const START_NS: u64 = 946_684_800_000_000_000;

    /// What one reading takes, and the resolution that guests are told.
    pub(crate) const STEP_NS: u64 = 1_000;

    pub(crate) fn new() -> Self {
        Self { now_ns: Self::START_NS }
    }

    /// The time; the next reading is a step later.
    pub(crate) fn read(&mut self) -> u64 {
        let now = self.now_ns;
        self.now_ns = now.saturating_add(Self::STEP_NS);
        now
    }

    /// The time, without taking any.
    pub(crate) fn peek(&self) -> u64 {
        self.now_ns
    }

    /// Lets time pass until `then`; time never goes back.
    pub(crate) fn sleep_until(&mut self, then_ns: u64) {
        self.now_ns = self.now_ns.max(then_ns);
    }
}
