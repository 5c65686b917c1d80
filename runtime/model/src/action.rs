//! Actions: a job with every input resolved to a digest, and what came of it.
//!
//! Owns: what decides a result, its canonical encoding, and the action key (the SHA-256 of that encoding). What
//! is not in here cannot be seen by a guest. Does not know: plans, or how an action is executed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::{BlobRef, Digest};
use crate::guest_path::{GuestPath, OutputPath};
use crate::limits::Limits;
use crate::outcome::{Outcome, Usage};

/// What the encoding starts with. A change to the encoding, or to anything a guest can see that is not in the
/// action (the virtual clock's start, the order of directory listings), takes a new number.
const MAGIC: &[u8] = b"wasmill action 2\n";

/// Everything that decides a job's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The version of the guest protocol (`wasmill_abi::VERSION`).
    pub abi: u32,
    /// The WebAssembly module.
    pub module: Digest,
    /// `argv`, from `argv[0]` on.
    pub args: Vec<String>,
    /// The environment; nothing of the host's gets in.
    pub env: BTreeMap<String, String>,
    /// Standard input; empty where there is none.
    pub stdin: BlobRef,
    /// What the job sees where.
    pub mounts: BTreeMap<GuestPath, Input>,
    /// The outputs that are kept; none means all of `/out`. An absolute one is kept under its names.
    pub outputs: BTreeSet<OutputPath>,
    /// Chosen by the plan, to get different random numbers from equal jobs.
    pub seed: u64,
    /// The limits that decide a result.
    pub limits: Limits,
    /// What one unit of fuel buys, where there is a limit of fuel: 0 where there is none. See [`Traits`].
    ///
    /// [`Traits`]: crate::port::Traits
    pub fuel_schedule: u32,
    /// What becomes of NaNs.
    pub floats: Floats,
}

/// What becomes of the bits of a NaN, which WebAssembly leaves to the processor.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Floats {
    /// One bit pattern for all, on every machine. Costs up to 2.9 times in floating-point kernels.
    Canonical,
    /// Whatever the processor makes of them; the result holds for that kind of processor only.
    Native {
        /// Which, as [`Traits::float_architecture`](crate::port::Traits::float_architecture) has it.
        architecture: String,
    },
}

/// Something that a job sees at a path, and what it may do with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// What is there.
    pub content: Mount,
    /// What the job may do with it.
    pub mode: MountMode,
}

/// What a job may do with an input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MountMode {
    /// Read it.
    #[default]
    ReadOnly,
    /// Change it; what it changes is a copy of its own.
    CopyOnWrite,
}

impl From<Mount> for Input {
    /// To read.
    fn from(content: Mount) -> Self {
        Self { content, mode: MountMode::ReadOnly }
    }
}

/// Something that a job sees at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mount {
    /// One file.
    File {
        /// Its content.
        blob: BlobRef,
        /// Whether it is marked as executable.
        is_executable: bool,
    },
    /// A directory.
    Directory {
        /// Its encoded [`crate::Directory`].
        blob: BlobRef,
    },
}

/// Why bytes are no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// They start with something else: another version, or no action at all.
    #[error("not an action of a version that this wasmill knows")]
    Version,
    /// They end early or have an impossible value.
    #[error("a damaged action: {0}")]
    Encoding(String),
}

impl Action {
    /// The version of what decides results: another one is another key for every action.
    pub const FORMAT: u32 = 2;

    /// The canonical encoding: a magic line with the version, then the fields in the order of their declaration
    /// in [postcard's wire format](https://postcard.jamesmunns.com/wire-format).
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(MAGIC);
        postcard::to_extend(self, bytes)
            .expect("a vector takes any bytes, and no field is a sequence of unknown length")
    }

    /// Decodes what [`Action::encode`] made.
    ///
    /// # Errors
    /// Another version, or damaged bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ActionError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ActionError::Version)?;
        postcard::from_bytes(rest).map_err(|error| ActionError::Encoding(error.to_string()))
    }

    /// The digest of the canonical encoding.
    pub fn key(&self) -> ActionKey {
        ActionKey(Digest::of(&self.encode()))
    }
}

/// The digest of an action's canonical encoding: the name of its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionKey(pub Digest);

impl fmt::Display for ActionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an action evaluates to, on every machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionResult {
    /// How it ended.
    pub outcome: Outcome,
    /// The encoded [`crate::Directory`] of the outputs; empty unless it succeeded.
    pub output: BlobRef,
    /// What it wrote to standard output.
    pub stdout: BlobRef,
    /// What it wrote to standard error.
    pub stderr: BlobRef,
}

/// An action result with what it took to get it, as the action cache keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// The result.
    pub result: ActionResult,
    /// What the attempt cost.
    pub usage: Usage,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action() -> Action {
        Action {
            abi: 1,
            module: Digest::of(b"module"),
            args: vec!["scan".to_owned(), "--deep".to_owned()],
            env: BTreeMap::from([("LANG".to_owned(), "C".to_owned())]),
            stdin: BlobRef::of(b"{}"),
            mounts: BTreeMap::from([
                (GuestPath::new("/in/a").unwrap(), Mount::File { blob: BlobRef::of(b"a"), is_executable: true }.into()),
                (GuestPath::new("/in/d").unwrap(), Mount::Directory { blob: BlobRef::EMPTY }.into()),
            ]),
            outputs: BTreeSet::from([OutputPath::new("report.html").unwrap()]),
            seed: 7,
            limits: Limits { memory_bytes: 1 << 20, fuel: Some(1000), output_bytes: 1 << 16 },
            fuel_schedule: 1,
            floats: Floats::Canonical,
        }
    }

    /// A change here throws every cache away, and must come with a new number in `MAGIC`.
    #[test]
    fn the_key_of_an_action_stays_what_it_is() {
        assert_eq!(action().key().to_string(), "fcec6df858cb90c835e9df6adf97039d5a3cce6b1c5eb78b28a883de46303251");
        let bare = Action {
            abi: 1,
            module: Digest::EMPTY,
            args: Vec::new(),
            env: BTreeMap::new(),
            stdin: BlobRef::EMPTY,
            mounts: BTreeMap::new(),
            outputs: BTreeSet::new(),
            seed: 0,
            limits: Limits::default(),
            fuel_schedule: 0,
            floats: Floats::Canonical,
        };
        assert_eq!(bare.key().to_string(), "6174d35c9b70c34ef4e7044802023677054a186bd2c72333c68f1f9a27305300");
    }

    #[test]
    fn an_action_reads_back_as_it_was_written() {
        assert_eq!(Action::decode(&action().encode()), Ok(action()));
    }

    #[test]
    fn every_field_is_in_the_key() {
        let changes: [fn(&mut Action); 13] = [
            |a| a.abi += 1,
            |a| a.module = Digest::EMPTY,
            |a| a.args.push(String::new()),
            |a| a.env.clear(),
            |a| a.stdin = BlobRef::EMPTY,
            |a| a.mounts.clear(),
            |a| a.outputs.clear(),
            |a| a.seed += 1,
            |a| a.limits.fuel = None,
            |a| a.limits.output_bytes += 1,
            |a| a.fuel_schedule += 1,
            |a| a.floats = Floats::Native { architecture: "x86_64".to_owned() },
            |a| a.mounts.values_mut().for_each(|input| input.mode = MountMode::CopyOnWrite),
        ];
        let mut keys = BTreeSet::from([action().key()]);
        for change in changes {
            let mut changed = action();
            change(&mut changed);
            assert!(keys.insert(changed.key()));
        }
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let bytes = action().encode();
        assert_eq!(Action::decode(b"wasmill action 1\n"), Err(ActionError::Version));
        for cut in 0..bytes.len() {
            assert!(Action::decode(&bytes[..cut]).is_err());
        }
    }
}
