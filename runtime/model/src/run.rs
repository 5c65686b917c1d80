//! Runs: one execution of a plan each, as the store remembers them.
//!
//! Owns: a run's number and record. Does not know: how a run is carried out or stored.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::event::RunSummary;
use crate::trace::RunSetup;

/// The number of a run: 1, 2, 3 … within one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is no run number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a run number")]
pub struct RunIdError(String);

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, RunIdError> {
        text.parse().map(RunId).map_err(|_| RunIdError(text.chars().take(40).collect()))
    }
}

/// What the store remembers of a run, apart from its jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its number.
    pub id: RunId,
    /// The plan's name.
    pub plan: String,
    /// When it started, in milliseconds since 1970 (UTC).
    pub started_unix_ms: u64,
    /// A directory in the store that has what it began with, so that it can be resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Digest>,
    /// What it saw of the host, as a blob in the store: a later run that would see the same need only repeat it. None where
    /// nobody can rely on that.
    #[serde(skip)]
    pub footprint: Option<Digest>,
    /// The earlier run whose jobs stand for those of its own that it has no reports of, as nothing had changed for them since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<RunId>,
    /// Of how many jobs it has reports of its own where it repeats another run. With fewer, nothing stands for the others.
    #[serde(skip)]
    pub own_jobs: u64,
    /// How it was carried out, and where. Runs of earlier versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<RunSetup>,
    /// How far it got.
    pub state: RunState,
}

/// How far a run got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It started and has not said that it ended: it is running, or its process was killed.
    Started,
    /// It ended.
    Ended(RunSummary),
}

/// What is known of a run when it begins.
#[derive(Debug, Clone, Default)]
pub struct RunStart {
    /// The plan's name.
    pub plan: String,
    /// When, in milliseconds since 1970 (UTC).
    pub unix_ms: u64,
    /// A directory in the store that has what it begins with, if it can be resumed.
    pub snapshot: Option<Digest>,
    /// The earlier run whose jobs stand for those that it will have no reports of.
    pub repeats: Option<RunId>,
    /// Of how many jobs it will have reports of its own then, at the latest soon after it has begun.
    pub own_jobs: u64,
    /// How it is carried out, and where.
    pub setup: RunSetup,
}

impl RunRecord {
    /// Of a run that has just begun.
    pub fn started(id: RunId, start: RunStart) -> Self {
        let RunStart { plan, unix_ms, snapshot, repeats, own_jobs, setup } = start;
        let (setup, state) = (Some(setup), RunState::Started);
        Self { id, plan, started_unix_ms: unix_ms, snapshot, footprint: None, repeats, own_jobs, setup, state }
    }
}
