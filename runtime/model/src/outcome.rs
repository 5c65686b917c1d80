//! How an attempt ended, as data.
//!
//! Owns: the list of endings, which of them are results (the same on every machine) and which are not.
//! Does not know: how an ending is found out.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How an attempt to execute an action ended. A failing job is an outcome, never an `Err`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The program ended by itself.
    Exited {
        /// 0 is success.
        code: u32,
    },
    /// The program did what WebAssembly forbids.
    Trapped {
        /// Which trap.
        trap: TrapKind,
        /// The innermost frame first.
        backtrace: Vec<Frame>,
    },
    /// The program used up its fuel.
    OutOfFuel {
        /// The limit that it reached.
        limit: u64,
    },
    /// The program asked for more memory than its limit and did not survive the refusal.
    OutOfMemory {
        /// The limit.
        limit_bytes: u64,
        /// What the memory would have grown to.
        wanted_bytes: u64,
    },
    /// The program wrote more than its limit to `/out`, `/tmp`, stdout and stderr.
    OutputTooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The program exited with code 0 and had not written an output that its plan declares.
    OutputMissing {
        /// The first missing one, relative to `/out`.
        path: String,
    },
    /// The call stack was used up. How deep it goes depends on the machine code, so this is never cached.
    StackExhausted {
        /// The innermost frame first, cut short.
        backtrace: Vec<Frame>,
    },
    /// The wall-clock limit struck. Never cached.
    TimedOut {
        /// The limit.
        limit_ms: u64,
    },
    /// The run was cancelled while the job was running. Never cached.
    Cancelled,
}

impl Outcome {
    /// Exit code 0.
    pub const SUCCESS: Outcome = Outcome::Exited { code: 0 };

    /// Whether the job did what it was there for.
    pub fn is_success(&self) -> bool {
        matches!(self, Outcome::Exited { code: 0 })
    }

    /// Whether every machine would come to the same outcome, so that it may be cached.
    pub fn is_deterministic(&self) -> bool {
        match self {
            Outcome::Exited { .. }
            | Outcome::Trapped { .. }
            | Outcome::OutOfFuel { .. }
            | Outcome::OutOfMemory { .. }
            | Outcome::OutputTooLarge { .. }
            | Outcome::OutputMissing { .. } => true,
            Outcome::StackExhausted { .. } | Outcome::TimedOut { .. } | Outcome::Cancelled => false,
        }
    }

    /// Whether both are the same result. At which instruction of the innermost function a program trapped does not count:
    /// a compiler may put an instruction that traps later than another that would trap too, as long as nothing
    /// happens in between; where there are two, engines and processors differ in which one is noticed.
    pub fn is_same_as(&self, other: &Outcome) -> bool {
        match (self, other) {
            (Outcome::Trapped { trap, backtrace }, Outcome::Trapped { trap: other, backtrace: others }) => {
                let innermost = |frames: &[Frame]| frames.first().map(|frame| frame.function.clone());
                trap == other && innermost(backtrace) == innermost(others) && backtrace.get(1..) == others.get(1..)
            }
            _ => self == other,
        }
    }

    /// The guest's call stack, innermost frame first, where the outcome has one.
    pub fn backtrace(&self) -> &[Frame] {
        match self {
            Outcome::Trapped { backtrace, .. } | Outcome::StackExhausted { backtrace } => backtrace,
            _ => &[],
        }
    }
}

impl fmt::Display for Outcome {
    /// A fragment that fits "job `x` …", such as `exited with code 1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Exited { code: 0 } => f.write_str("succeeded"),
            Outcome::Exited { code } => write!(f, "exited with code {code}"),
            Outcome::Trapped { trap, .. } => write!(f, "trapped: {trap}"),
            Outcome::OutOfFuel { .. } => f.write_str("ran out of fuel"),
            Outcome::OutOfMemory { .. } => f.write_str("ran out of memory"),
            Outcome::OutputTooLarge { .. } => f.write_str("wrote too much output"),
            Outcome::OutputMissing { path } => write!(f, "did not write its output `{path}`"),
            Outcome::StackExhausted { .. } => f.write_str("exhausted the call stack"),
            Outcome::TimedOut { .. } => f.write_str("timed out"),
            Outcome::Cancelled => f.write_str("was cancelled"),
        }
    }
}

/// What WebAssembly forbade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrapKind {
    /// An `unreachable` instruction, which is what a Rust panic, C's `abort` and a failed allocation end in.
    Unreachable,
    /// A load or store outside linear memory.
    MemoryOutOfBounds,
    /// A table access outside the table.
    TableOutOfBounds,
    /// A call through an empty table slot.
    IndirectCallToNull,
    /// A call through a table slot that holds a function of another type.
    BadSignature,
    /// Integer overflow, such as `i32::MIN / -1`.
    IntegerOverflow,
    /// Integer division by zero.
    DivisionByZero,
    /// A float that does not fit the integer type.
    BadConversionToInteger,
    /// An access that is not aligned where it must be.
    HeapMisaligned,
    /// The guest broke the rules of a WASI call, for instance with a pointer outside its memory.
    WasiMisuse,
    /// Any other trap.
    Other,
}

impl fmt::Display for TrapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrapKind::Unreachable => "reached an `unreachable` instruction (a panic, abort or failed allocation)",
            TrapKind::MemoryOutOfBounds => "memory access out of bounds",
            TrapKind::TableOutOfBounds => "table access out of bounds",
            TrapKind::IndirectCallToNull => "indirect call to an empty table slot",
            TrapKind::BadSignature => "indirect call to a function of another type",
            TrapKind::IntegerOverflow => "integer overflow",
            TrapKind::DivisionByZero => "integer division by zero",
            TrapKind::BadConversionToInteger => "float does not fit the integer type",
            TrapKind::HeapMisaligned => "unaligned atomic access",
            TrapKind::WasiMisuse => {
                "broke the rules of a call (a pointer outside its memory, a handle that it does not have, or the like)"
            }
            TrapKind::Other => "another trap",
        })
    }
}

/// One frame of a guest's call stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The function's demangled name, or its index as `func[12]` where the module has no names.
    pub function: String,
    /// Byte offset of the instruction in the function, where it is known.
    pub offset: Option<u32>,
    /// The line of the program's source, where the module has debug information (DWARF).
    pub line: Option<SourceLine>,
}

/// A line of a guest's source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLine {
    /// The file, as its compiler named it.
    pub file: String,
    /// The line, from 1 on.
    pub line: u32,
}

impl fmt::Display for SourceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What an attempt cost. It differs from machine to machine and is no part of the result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Wall time of the attempt, instantiation and output hashing included.
    pub wall_ns: u64,
    /// CPU time of the attempt.
    pub cpu_ns: u64,
    /// Fuel used, where the job is metered.
    pub fuel: Option<u64>,
    /// Most linear memory held.
    pub memory_peak_bytes: u64,
}
