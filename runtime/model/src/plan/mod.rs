//! Plans as written: modules, jobs, and what the jobs take and give.
//!
//! Owns: the types that a `mill.toml` or a `mill.json` is read into. Does not know: which files are there, what
//! a glob matches, or how jobs are executed; the executor expands a plan into a graph.

mod decode;
mod diagnostic;
mod document;
mod fields;
mod for_each;
mod graph;
mod job;
mod limits;
mod overlap;
mod places;
mod profile;
mod python;
mod quantity;
mod source;
mod spelling;
mod template;
mod typecheck;
mod variables;
mod when;

use std::collections::BTreeMap;

pub use decode::{Format, JobsPart, Outer, parse, parse_config, parse_in_parts, parse_yielded};
pub use diagnostic::{Diagnostic, Label, Span};
pub use places::{check_mounts, check_outputs};
pub use profile::{BuiltIn, Engine, Jobs, Profile, Profiles, Share, built_in};
pub use quantity::{bytes as parse_size, milliseconds as parse_duration};
pub use template::{Binding, Bindings, HostPathError, Template, TemplateError};
pub use typecheck::{Interfaces, check_types};

use crate::action::MountMode;
use crate::digest::{BlobRef, Digest};
use crate::guest_path::{GuestPath, OutputPath};
use crate::limits::{Limits, Timeout};

/// A plan: a DAG of jobs over some modules.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Its name, for people.
    pub name: String,
    /// The modules, by the name that jobs call them.
    pub modules: BTreeMap<String, Spanned<ModuleSource>>,
    /// What there is only so much of, by name: what jobs that run at the same time may take together.
    pub resources: BTreeMap<String, u64>,
    /// How many jobs may come to be during a run.
    pub growth: Growth,
    /// How it is carried out, under names.
    pub profiles: Profiles,
    /// The jobs in the order of the file.
    pub jobs: Vec<JobSpec>,
    /// In a plan that a job yields: what stands for that job's output.
    pub result: Option<Spanned<InputSource>>,
}

/// Bounds on the jobs that come to be during a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// How many there may be.
    pub jobs_max: u64,
    /// How deep plans may be nested that jobs yield, the jobs of which yield plans.
    pub depth_max: u64,
}

impl Default for Growth {
    /// 100,000 jobs, which take about 100 MB; 64 levels.
    fn default() -> Self {
        Self { jobs_max: 100_000, depth_max: 64 }
    }
}

/// A value and where in the plan's text it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// Where a module comes from. Host paths are as written: relative to the plan's folder unless absolute.
#[derive(Debug, Clone, PartialEq)]
pub enum ModuleSource {
    /// A Rust crate whose program is built with cargo for `wasm32-wasip1`.
    Crate {
        /// The folder that has the crate's `Cargo.toml`.
        path: String,
        /// Which of its programs, where it has several.
        bin: Option<String>,
        /// Which of its profiles, where that is not `release`.
        profile: Option<String>,
    },
    /// A `.wasm` file, or WebAssembly text in a `.wat` file.
    File {
        /// The file.
        path: String,
    },
    /// A Python script, and the interpreter that runs it.
    Python {
        /// The script.
        script: String,
        /// CPython as a `.wasm` file.
        interpreter: String,
    },
    /// A module that is in the store already.
    Digest(Digest),
    /// In a plan that a job yields: a file of that job's output.
    Output {
        /// The file.
        path: OutputPath,
    },
}

/// A job as written: one node of the graph, or one for each item of its `for-each`.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSpec {
    /// Its name, unique in the plan.
    pub name: Spanned<String>,
    /// The module's name in the plan.
    pub module: Spanned<String>,
    /// `argv[0]`: which job of an SDK module.
    pub entry: Option<String>,
    /// `argv[1..]`.
    pub args: Vec<Template>,
    /// Environment variables.
    pub env: BTreeMap<String, Template>,
    /// Standard input.
    pub stdin: Option<Spanned<Stdin>>,
    /// What the job sees, by guest path.
    pub mounts: Vec<MountSpec>,
    /// The outputs to keep; none means all.
    pub outputs: Vec<Spanned<OutputPath>>,
    /// Outputs to copy to the host after success.
    pub save: Vec<SaveSpec>,
    /// The variables over which the job is repeated, each with its items; several give every combination.
    pub for_each: Vec<(Spanned<String>, Spanned<Items>)>,
    /// The parts of variables that are used, `file` and `size` for `{file.size}`: every item has to have them.
    pub fields: Vec<(String, String)>,
    /// On what condition the job is executed; all have to hold.
    pub when: Vec<Condition>,
    /// How many of its items are wanted, the first of those that succeed; they are the candidates of a race.
    pub race: Option<u64>,
    /// How many of its items one instance may do, one after the other.
    pub batch: Option<u64>,
    /// Where in its output the job may leave a plan, whose result then stands for the output.
    pub yields: Option<OutputPath>,
    /// The limits that decide a result.
    pub limits: Limits,
    /// The wall-clock limit.
    pub timeout: Timeout,
    /// Whether the plan says nothing of that.
    pub timeout_is_default: bool,
    /// Makes random numbers differ between equal jobs.
    pub seed: u64,
    /// Whether NaNs may be as the processor makes them, which is faster and holds for one kind of processor.
    pub native_floats: bool,
    /// How the job stands to others that could run at the same time.
    pub place: Place,
    /// How often it is tried.
    pub retries: Retries,
    /// How long it should take at most.
    pub target: Option<Target>,
}

/// How long an attempt should take at most by the wall clock (a service level). Nothing is stopped by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// In milliseconds; at least 1.
    pub wall_ms: u64,
    /// Whether the run fails where it takes longer.
    pub is_critical: bool,
}

/// How often a job is tried again whose attempt came to no result: it reached its timeout, or the host could not carry it out.
/// What a guest does is the same each time, so a job that failed by itself is not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// How often, after the first attempt.
    pub count: u32,
    /// How long to wait before the first of these, in milliseconds. Each further one waits twice as long as the one before.
    pub backoff_ms: u64,
}

impl Retries {
    /// The longest wait before an attempt: an hour.
    pub const BACKOFF_MS_MAX: u64 = 3_600_000;
}

impl Default for Retries {
    /// None. If there are any, the first comes after a second.
    fn default() -> Self {
        Self { count: 0, backoff_ms: 1_000 }
    }
}

/// How a job stands to others that could run at the same time. It decides no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// How many of the machine's processors it takes while it runs; at least 1.
    pub cpus: u64,
    /// What it takes of the plan's resources, each at least 1.
    pub resources: BTreeMap<String, u64>,
    /// The higher goes first; from -1,000 to 1,000.
    pub priority: i64,
}

impl Default for Place {
    /// One processor and nothing else, no sooner and no later than others.
    fn default() -> Self {
        Self { cpus: 1, resources: BTreeMap::new(), priority: 0 }
    }
}

/// Where standard input comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Stdin {
    /// `input = …`: a JSON value in which every string is a template.
    Json(JsonTemplate),
    /// `stdin = …`: a file.
    Source(InputSource),
    /// Something that is in the store already; plans that are made by a program have it.
    Blob(BlobRef),
}

/// A JSON value whose strings are templates.
#[derive(Debug, Clone, PartialEq)]
pub enum JsonTemplate {
    /// `null` (JSON only).
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text with `{variables}`.
    String(Template),
    /// The value that a variable's text is in JSON.
    Parsed(Template),
    /// A list.
    Array(Vec<JsonTemplate>),
    /// A table, by key.
    Object(BTreeMap<String, JsonTemplate>),
}

/// One entry of a job's `in`.
#[derive(Debug, Clone, PartialEq)]
pub struct MountSpec {
    /// Where the job sees it.
    pub at: Spanned<GuestPath>,
    /// What it is.
    pub source: Spanned<InputSource>,
    /// What the job may do with it.
    pub mode: MountMode,
    /// Whether the job can do without, where the source is a job that was omitted or left no such output.
    pub is_optional: bool,
}

/// A condition on which a job is executed.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The part of another job's output that it is about.
    pub source: Spanned<InputSource>,
    /// What the file has to be; without it, the path has to be there.
    pub is: Option<Template>,
    /// Whether it is the reverse that has to hold.
    pub is_negated: bool,
}

/// What an input is.
#[derive(Debug, Clone, PartialEq)]
pub enum InputSource {
    /// A host file or directory.
    Path(Template),
    /// The host files that a glob matches, as a directory with the paths below the glob's fixed part.
    Glob(Template),
    /// A file with this text.
    Text(Template),
    /// The output of one job, or a part of it.
    Job {
        /// The job's name, with the item in brackets for one of a `for-each`: `scan[{crate.name}]`.
        job: Template,
        /// A path below its output; none means the whole.
        path: Option<Template>,
    },
    /// The outputs of every item of a `for-each` job, as a directory with one entry for each.
    Jobs {
        /// The job's name without brackets.
        jobs: String,
        /// A path below each output; none means the whole.
        path: Option<OutputPath>,
    },
    /// In a plan that a job yields: what that job saw at this place or below it.
    Input(GuestPath),
    /// In a plan that a job yields: that job's own output, or a path in it.
    Output(Option<Template>),
}

/// One entry of a job's `save`.
#[derive(Debug, Clone, PartialEq)]
pub struct SaveSpec {
    /// A path below the job's output, or none for the whole output (written `"."`).
    pub from: Option<OutputPath>,
    /// The host path to write.
    pub to: Spanned<Template>,
}

/// The items of a `for-each`.
#[derive(Debug, Clone, PartialEq)]
pub enum Items {
    /// As written.
    List(Vec<String>),
    /// The host paths that a glob matches, sorted.
    Glob(String),
    /// The lines of a file, empty ones left out.
    Lines(InputSource),
    /// The elements of the JSON list in a file.
    Json(InputSource),
    /// What is directly in a directory, by name.
    Entries(InputSource),
}

impl Items {
    /// Where the items are read during the run, if they are not known before it.
    pub fn from_run(&self) -> Option<&InputSource> {
        match self {
            Self::Lines(InputSource::Path(_)) | Self::Json(InputSource::Path(_)) | Self::List(_) | Self::Glob(_) => {
                None
            }
            Self::Lines(source) | Self::Json(source) | Self::Entries(source) => Some(source),
        }
    }
}
