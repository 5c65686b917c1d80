//! What is observed while a run is carried out, beside its results.
//!
//! Owns: what is noted of a job and of a run so that they can be explained later. Does not know: who measures, or what
//! is made of it. Nothing here decides a result.

use serde::{Deserialize, Serialize};

use crate::run::RunId;

/// What was observed of a job while a run carried it out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTrace {
    /// Its number in the run, by which others name it.
    pub number: u32,
    /// The jobs that opened it, the innermost first: whose plan it is of, or whose items it is one of. Such a job may have no
    /// report of its own, where its items stand in its place.
    pub came_of: Vec<u32>,
    /// The jobs that it waited for, ascending: the first of each range, and how many it has. Who needs a job that opened
    /// others needs those as well.
    pub needs: Vec<(u32, u32)>,
    /// The worker that ended it, from 0 on; none had a job that was never begun.
    pub worker: Option<u32>,
    /// How many processors it took, as its plan says.
    pub cpus: u32,
    /// How often it was executed in this run; 0 where its result was known.
    pub attempts: u32,
    /// Where its time went beside the attempt itself.
    pub phases: Phases,
    /// What its last attempt read and wrote.
    pub traffic: Traffic,
    /// How long it should have taken at most.
    pub target: Option<JobTarget>,
}

/// How long a job should take at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTarget {
    /// In milliseconds of wall time.
    pub wall_ms: u64,
    /// Whether the run fails where it takes longer.
    pub is_critical: bool,
}

/// Where a job's wall time went, beside the attempt itself ([`crate::Usage::wall_ns`]), in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// Reading its inputs from the host, digesting them, and looking up its result.
    pub resolve_ns: u64,
    /// Waiting for its module to be compiled and for room in the pool.
    pub prepare_ns: u64,
    /// Handing its result to the store.
    pub store_ns: u64,
    /// From its end until all of it was on disk. Others that need it did not wait for this.
    pub durable_ns: u64,
}

/// Bytes that went in and out of an attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// What the guest read of its files, each byte as often as it read it.
    pub read_bytes: u64,
    /// What it had in `/out` and `/tmp` when it ended, with what it wrote to its streams.
    pub written_bytes: u64,
}

/// How a run was carried out, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSetup {
    /// The version of wasmill.
    pub version: String,
    /// The operating system, as Rust calls it.
    pub os: String,
    /// The kind of processor, as Rust calls it.
    pub architecture: String,
    /// The cores that the process could use.
    pub cores: u32,
    /// The most workers.
    pub workers: u32,
    /// The most memory that the limits of running jobs may come to together, in bytes, if there is a bound.
    pub memory_bytes: Option<u64>,
    /// What executed machine code.
    pub engine: String,
    /// The profile that it was asked for with, if any.
    pub profile: Option<String>,
    /// Whether recorded results were left aside.
    pub fresh: bool,
    /// Whether recorded failures were tried again.
    pub retry_failed: bool,
    /// Whether jobs that did not depend on a failed one still ran.
    pub keep_going: bool,
    /// The jobs that were asked for; all, if none is named.
    pub selected: Vec<String>,
    /// Whether it was only there to be measured.
    #[serde(default)]
    pub measuring: bool,
    /// The number that the run had in the store that it was imported from; none of one that was carried out here.
    #[serde(default)]
    pub imported: Option<RunId>,
}
