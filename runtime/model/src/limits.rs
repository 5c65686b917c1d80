//! What a job may use at most.
//!
//! Owns: the limits, their defaults, and why each default is what it is. Does not know: who enforces them.

use serde::{Deserialize, Serialize};

/// The limits that decide a job's result in the same way on every machine; they are part of the action.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limits {
    /// Most linear memory, in bytes, over all memories of the instance. A `memory.grow` past it answers -1.
    pub memory_bytes: u64,
    /// Most fuel (about one unit for each wasm instruction), or no metering at all.
    pub fuel: Option<u64>,
    /// Most bytes that the job may hold in `/out` and `/tmp` and have written to stdout and stderr, together.
    pub output_bytes: u64,
}

impl Limits {
    /// 256 MiB: enough for compilers and interpreters, and a core's share of a small machine.
    pub const MEMORY_BYTES_DEFAULT: u64 = 256 << 20;
    /// The most that a 32-bit linear memory can have.
    pub const MEMORY_BYTES_MAX: u64 = 4 << 30;
    /// 256 MiB: as much as the memory, because outputs are held in memory until the job ends.
    pub const OUTPUT_BYTES_DEFAULT: u64 = 256 << 20;
}

impl Default for Limits {
    /// 256 MiB of memory, 256 MiB of output, and no fuel metering (it costs up to 1.8x; the wall-clock timeout
    /// stops runaways without it).
    fn default() -> Self {
        Self { memory_bytes: Self::MEMORY_BYTES_DEFAULT, fuel: None, output_bytes: Self::OUTPUT_BYTES_DEFAULT }
    }
}

/// How long an attempt may take by the wall clock, in milliseconds.
///
/// It is not part of the action, because whether it strikes depends on the machine: a timed-out attempt is
/// never cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timeout {
    /// Milliseconds of wall time.
    pub wall_ms: u64,
}

impl Default for Timeout {
    /// Five minutes: longer than any example needs, short enough that a runaway is noticed over a coffee.
    fn default() -> Self {
        Self { wall_ms: 300_000 }
    }
}
