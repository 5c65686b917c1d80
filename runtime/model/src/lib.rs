//! What wasmill is about, as pure data: digests, trees, actions, outcomes, plans, events, and the ports
//! through which the other crates meet.
//!
//! Owns: every type that two of the other crates share, its validity rules, and its canonical encoding.
//! Does not know: files, clocks, threads, wasmtime, redb, the network, the terminal.

mod action;
mod digest;
mod event;
mod guest_path;
pub mod interface;
mod limits;
mod outcome;
pub mod plan;
pub mod port;
mod run;
mod trace;
mod tree;

pub use action::{Action, ActionError, ActionKey, ActionRecord, ActionResult, Floats, Input, Mount, MountMode};
pub use digest::{BlobRef, Digest, DigestError, Hasher};
pub use event::{Event, JobReport, JobStatus, RunCounts, RunSummary};
pub use guest_path::{GuestPath, GuestPathError, OutputPath};
pub use limits::{Limits, Timeout};
pub use outcome::{Frame, Outcome, SourceLine, TrapKind, Usage};
pub use run::{RunId, RunIdError, RunRecord, RunStart, RunState};
pub use trace::{JobTarget, JobTrace, Phases, RunSetup, Traffic};
pub use tree::{Directory, DirectoryNode, FileNode, SymlinkNode, TreeError, check_name};
