//! The traits through which the crates meet.
//!
//! Owns: what the executor, the sandbox and the store expect of each other, and the errors that cross between
//! them. Does not know: any implementation.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::action::{Action, ActionKey, ActionRecord, ActionResult};
use crate::digest::{BlobRef, Digest};
use crate::event::JobReport;
use crate::limits::Timeout;
use crate::outcome::{Outcome, Usage};
use crate::run::{RunId, RunRecord, RunStart};
use crate::trace::Traffic;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing of this digest is there.
    #[error("blob {0} is not in the store")]
    Missing(Digest),
    /// What is there is not what it should be.
    #[error("blob {digest} in the store is damaged: {wrong}")]
    Damaged {
        /// Its name.
        digest: Digest,
        /// What is wrong.
        wrong: String,
    },
    /// The disk or the database failed.
    #[error("failed to {doing}")]
    Backend {
        /// What was being done, with the path it was done to.
        doing: String,
        /// What came of it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An earlier write failed, so nothing further is accepted.
    #[error("the store stopped accepting writes")]
    Stopped(#[source] Arc<StoreError>),
}

/// Is called exactly once, when what was handed in with it is on disk or cannot get there.
pub type OnDurable = Box<dyn FnOnce(Result<(), Arc<StoreError>>) + Send>;

/// What came of what was handed in to a store, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Growth {
    /// By how much the store grew, with what it notes beside content.
    pub added_bytes: u64,
    /// Content that was there already. Small content is not always looked for, and counts as new then.
    pub known_bytes: u64,
}

impl Growth {
    /// What has come since an earlier moment.
    pub fn since(self, before: Self) -> Self {
        Self {
            added_bytes: self.added_bytes.saturating_sub(before.added_bytes),
            known_bytes: self.known_bytes.saturating_sub(before.known_bytes),
        }
    }
}

/// Content by digest.
///
/// What was put can be read at once. It becomes durable in the order of the calls, over all of the store's
/// ports: a record handed in after a blob is never on disk without it.
pub trait BlobStore: Send + Sync {
    /// The content of a blob; the empty blob is always there.
    ///
    /// # Errors
    /// `Missing`, `Damaged` (the size is wrong), or the disk's failure.
    fn get(&self, blob: &BlobRef) -> Result<Bytes, StoreError>;

    /// Finds a blob of unknown size.
    ///
    /// # Errors
    /// The disk's failure.
    fn find(&self, digest: &Digest) -> Result<Option<BlobRef>, StoreError>;

    /// Takes in content. Blocks while too much is waiting to be written.
    ///
    /// # Errors
    /// The store cannot be written.
    fn put(&self, bytes: Bytes) -> Result<BlobRef, StoreError>;

    /// Takes in content from a reader to its end, without holding a large one in memory.
    ///
    /// # Errors
    /// The reader's failure (as `Backend`), or the store cannot be written.
    fn put_reader(&self, reader: &mut dyn std::io::Read) -> Result<BlobRef, StoreError>;

    /// Takes in the host file at `path`, of `len` bytes, which `reader` reads. A large one is shared with the host's filesystem where that can
    /// share content between files, and is then taken as it is at one moment. Whoever calls this looks whether the path
    /// leads to the same file afterwards, of as many bytes: one that gives `len` bytes at once is not asked for more.
    ///
    /// # Errors
    /// As of [`BlobStore::put_reader`].
    fn put_file(&self, path: &Path, len: u64, reader: &mut dyn std::io::Read) -> Result<BlobRef, StoreError> {
        let _ = (path, len);
        self.put_reader(reader)
    }

    /// Makes a new file of a blob's content, where the filesystem can share it with the store. Whether it could; if not, there
    /// is no file.
    ///
    /// # Errors
    /// As of [`BlobStore::get`].
    fn share_with(&self, blob: &BlobRef, path: &Path) -> Result<bool, StoreError> {
        let _ = (blob, path);
        Ok(false)
    }

    /// What came of everything that was handed in here since the store was opened; nothing where nobody counts.
    fn growth(&self) -> Growth {
        Growth::default()
    }
}

/// Results by action key. Only who was told that a result is missing, or wants it computed again, can record one.
pub trait ActionCache: Send + Sync {
    /// What is recorded of an action. Counts only what is durable or about to be, with all that it refers to.
    ///
    /// # Errors
    /// The disk's failure; a damaged record is a miss, as is one that needs a blob that was lost.
    fn lookup(&self, key: &ActionKey) -> Result<Lookup<'_>, StoreError>;

    /// Lets a result be recorded whatever is there.
    fn again(&self, key: &ActionKey) -> Miss<'_>;

    /// The action behind a key, so that it can be executed again. One without a result is found where its canonical encoding was
    /// put as a blob, whose digest is the key.
    ///
    /// # Errors
    /// The disk's failure.
    fn action(&self, key: &ActionKey) -> Result<Option<Action>, StoreError>;

    /// Calls `on_durable` when everything handed in before is durable.
    ///
    /// # Errors
    /// The store cannot be written; `on_durable` is then not called.
    fn barrier(&self, on_durable: OnDurable) -> Result<(), StoreError>;
}

/// What is recorded of an action.
#[derive(Debug)]
pub enum Lookup<'a> {
    /// Its result.
    Hit(ActionRecord),
    /// Nothing: a result may be recorded.
    Miss(Miss<'a>),
}

impl Lookup<'_> {
    /// The result, if there is one.
    pub fn hit(self) -> Option<ActionRecord> {
        match self {
            Lookup::Hit(record) => Some(record),
            Lookup::Miss(_) => None,
        }
    }
}

/// The right to record the result of one action, once.
#[must_use]
pub struct Miss<'a> {
    key: ActionKey,
    recorder: &'a dyn Recorder,
}

impl<'a> Miss<'a> {
    /// Lets a result for `key` be recorded by `recorder`. For those who implement [`ActionCache`].
    pub fn new(key: ActionKey, recorder: &'a dyn Recorder) -> Self {
        Self { key, recorder }
    }

    /// Records the result, behind every blob that was put before.
    ///
    /// # Errors
    /// The store cannot be written; `on_durable` is then not called.
    pub fn record(self, action: &Action, record: &ActionRecord, on_durable: OnDurable) -> Result<(), StoreError> {
        self.recorder.record(self.key, action, record, on_durable)
    }
}

impl std::fmt::Debug for Miss<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Miss").field("key", &self.key).finish_non_exhaustive()
    }
}

/// What records results, behind an [`ActionCache`].
pub trait Recorder: Send + Sync {
    /// Records a result, behind every blob that was put before.
    ///
    /// # Errors
    /// The store cannot be written; `on_durable` is then not called.
    fn record(
        &self,
        key: ActionKey,
        action: &Action,
        record: &ActionRecord,
        on_durable: OnDurable,
    ) -> Result<(), StoreError>;
}

/// The history of runs.
pub trait RunLog: Send + Sync {
    /// Gives a new run its number and remembers that it has begun (durable at the next group commit).
    ///
    /// # Errors
    /// The store cannot be written.
    fn begin(&self, start: &RunStart) -> Result<RunId, StoreError>;

    /// Remembers what became of some of a run's jobs. What is said of a job later counts.
    ///
    /// # Errors
    /// The store cannot be written.
    fn append(&self, run: RunId, reports: &[JobReport]) -> Result<(), StoreError>;

    /// Says that all jobs of a run have ended, so that what is left to do for them can be begun with. Waits for nothing.
    fn settle(&self) {}

    /// Remembers how a run ended.
    ///
    /// # Errors
    /// The store cannot be written; `on_durable` is then not called.
    fn end(&self, record: &RunRecord, on_durable: OnDurable) -> Result<(), StoreError>;

    /// The latest runs, newest first.
    ///
    /// # Errors
    /// The disk's failure.
    fn runs(&self, at_most: usize) -> Result<Vec<RunRecord>, StoreError>;

    /// One run.
    ///
    /// # Errors
    /// The disk's failure.
    fn run(&self, run: RunId) -> Result<Option<RunRecord>, StoreError>;

    /// The jobs of a run in the order in which they ended. Those for which it repeats an earlier run come first, as they ended there:
    /// cached, and at one time.
    ///
    /// # Errors
    /// The disk's failure.
    fn jobs(&self, run: RunId) -> Result<Vec<JobReport>, StoreError>;

    /// The same, one after the other, where all of them at once would take much memory.
    ///
    /// # Errors
    /// The disk's failure.
    fn each_job(&self, run: RunId, each: &mut dyn FnMut(JobReport)) -> Result<(), StoreError> {
        self.jobs(run)?.into_iter().for_each(each);
        Ok(())
    }

    /// What became of one job of a run. Of one for which it repeats an earlier run, all times are 0.
    ///
    /// # Errors
    /// The disk's failure.
    fn job(&self, run: RunId, job: &str) -> Result<Option<JobReport>, StoreError> {
        Ok(self.jobs(run)?.into_iter().find(|report| report.job == job))
    }

    /// The jobs of which a run has reports of its own, in the order in which they ended.
    ///
    /// # Errors
    /// The disk's failure.
    fn own_jobs(&self, run: RunId) -> Result<Vec<JobReport>, StoreError>;

    /// Keeps a run from being collected as long as this process lives: its jobs, their results and what these are made of, what it
    /// began with and what it saw. False where it is gone, or where a blob is known to be lost.
    ///
    /// # Errors
    /// The disk's failure.
    fn hold(&self, run: RunId) -> Result<bool, StoreError> {
        let _ = run;
        Ok(false)
    }

    /// Whether all of a run's own reports can be read.
    ///
    /// # Errors
    /// The disk's failure.
    fn has_all_jobs(&self, run: RunId) -> Result<bool, StoreError> {
        let _ = run;
        Ok(false)
    }
}

/// What a host file looked like when it was digested. Equal stamps mean equal content, except within the
/// granularity of the filesystem's clock, which whoever asks has to rule out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Length in bytes.
    pub size_bytes: u64,
    /// Last modification, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last change of the file or of what is known about it, in nanoseconds since 1970, or 0 where the host does not say.
    /// Unlike the modification, nobody can set it back.
    pub ctime_ns: i64,
    /// Inode number, or 0 where the host has none.
    pub inode: u64,
    /// Device number, or 0 where the host has none.
    pub device: u64,
}

/// Digests of host files, so that unchanged ones need not be read again. A cache: losing it loses no result.
pub trait StatCache: Send + Sync {
    /// What was remembered of `path`.
    ///
    /// # Errors
    /// The disk's failure.
    fn recall(&self, path: &str) -> Result<Option<(Stamp, BlobRef)>, StoreError>;

    /// Remembers some files.
    ///
    /// # Errors
    /// The store cannot be written.
    fn remember(&self, entries: Vec<(String, Stamp, BlobRef)>) -> Result<(), StoreError>;
}

/// A file with machine code that the sandbox wrote earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Where it lies; only wasmill writes there.
    pub path: PathBuf,
    /// What its content must digest to before it is used.
    pub digest: Digest,
}

/// Compiled modules. A cache: losing it loses no result.
pub trait ArtifactCache: Send + Sync {
    /// The artifact of a key (a digest over the module and everything that shapes its machine code).
    ///
    /// # Errors
    /// The disk's failure.
    fn artifact(&self, key: &Digest) -> Result<Option<Artifact>, StoreError>;

    /// Keeps an artifact.
    ///
    /// # Errors
    /// The store cannot be written.
    fn keep_artifact(&self, key: &Digest, bytes: &[u8]) -> Result<Artifact, StoreError>;
}

/// Tells a running job, from another thread, that nobody waits for it any more.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    own: Arc<AtomicBool>,
    /// Whoever stops more than this.
    of: Option<Arc<Cancel>>,
}

impl Cancel {
    /// Not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels; cannot be taken back.
    pub fn cancel(&self) {
        self.own.store(true, Ordering::Release);
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.own.load(Ordering::Acquire) || self.of.as_ref().is_some_and(|of| of.is_cancelled())
    }

    /// One that is cancelled with this one, and can be without it.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { own: Arc::default(), of: Some(Arc::new(self.clone())) }
    }
}

/// One attempt to execute an action.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What to execute.
    pub action: &'a Action,
    /// Its key.
    pub key: ActionKey,
    /// How long it may take.
    pub timeout: Timeout,
    /// Who hears what the guest says while it works.
    pub listener: Option<&'a Arc<dyn Listener>>,
}

/// What a guest says while it works. It is no part of its result, and nobody has to hear it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// How far it is.
    Progress {
        /// How much is done, in units of its own.
        done: u64,
        /// How much there is to do.
        total: u64,
    },
    /// A line of its log.
    Log {
        /// How much it matters.
        level: LogLevel,
        /// What it says. The guest chose it.
        message: String,
    },
}

/// How much a line of a guest's log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something may be wrong.
    Warn,
    /// What is done.
    Info,
    /// How it is done.
    Debug,
    /// Everything.
    Trace,
}

/// A line of a guest's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// What it says. The guest chose it.
    pub message: String,
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warn => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        })
    }
}

/// Who hears what a guest says. It must not wait: the guest does until it returns.
pub trait Listener: Send + Sync + fmt::Debug {
    /// Takes a remark.
    fn hear(&self, remark: Remark);
}

/// What an attempt gave. The blobs of the result have been put into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// How it ended and what it left.
    pub result: ActionResult,
    /// What it cost.
    pub usage: Usage,
    /// What it read and wrote.
    pub traffic: Traffic,
}

impl Execution {
    /// An attempt that was cancelled before it began.
    pub fn cancelled() -> Self {
        let empty = BlobRef::EMPTY;
        let result = ActionResult { outcome: Outcome::Cancelled, output: empty, stdout: empty, stderr: empty };
        Self { result, usage: Usage::default(), traffic: Traffic::default() }
    }
}

/// Why an action could not be executed at all. A job that fails is no such error: see [`crate::Outcome`].
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The module cannot be used, on any machine.
    #[error("module {module} cannot be used")]
    Module {
        /// Which.
        module: Digest,
        /// Why.
        #[source]
        source: ModuleError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The host could not give what the sandbox needs, or the sandbox has a bug.
    #[error("the sandbox failed to {doing}")]
    Host {
        /// What it was doing.
        doing: &'static str,
        /// What came of it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What is wrong with a module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// It does not start with the magic number of WebAssembly.
    #[error("it is not a WebAssembly module: it starts with {0}")]
    NotWasm(String),
    /// It is malformed, cut off, or uses a proposal that is not enabled.
    #[error("it is not valid: {0}")]
    Invalid(String),
    /// It asks for something that the sandbox does not offer.
    #[error("it imports `{module}`.`{name}`, {wrong}")]
    Import {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
        /// What is offered instead.
        wrong: String,
    },
    /// It is larger than anything that is compiled.
    #[error("it has {found} {what}; at most {most} are allowed")]
    TooLarge {
        /// Of what it has too much.
        what: &'static str,
        /// How much it has.
        found: u64,
        /// How much it may have.
        most: u64,
    },
    /// Compiling it took more memory than it may.
    #[error("compiling it takes more than the {} MiB of memory that it may", .0 >> 20)]
    CompileMemory(u64),
    /// Compiling it took more CPU time than it may.
    #[error("compiling it takes more than the {} s of CPU time that it may", *.0 as f64 / 1000.0)]
    CompileTime(u64),
    /// The process that compiled it ended: the system took it for its memory, or the module crashed the compiler.
    #[error("the process that compiled it ended without an answer ({0})")]
    CompilerDied(String),
    /// It has no function `_start` to run.
    #[error("it has no function `_start`: {0}")]
    NoStart(String),
    /// It is a component and does not export `wasi:cli/run`.
    #[error("it is a component without the interface `wasi:cli/run`: {0}")]
    NoRun(String),
}

/// What of a runner can decide a result beside the action, and is put into it where it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traits {
    /// On what floating-point numbers are computed, for actions with [`Floats::Native`](crate::Floats::Native).
    pub float_architecture: String,
    /// Which instructions cost how much fuel, as a number that changes with it.
    pub fuel_schedule: u32,
    /// What executes machine code, for people. It decides nothing.
    pub engine: String,
}

/// Executes actions. Called from several threads at once, each call blocking its thread until the end.
pub trait Runner: Send + Sync {
    /// Executes one action.
    ///
    /// # Errors
    /// Only where the action could not be executed; see [`RunnerError`].
    fn run(&self, request: Request<'_>, cancel: &Cancel) -> Result<Execution, RunnerError>;

    /// What of it can decide a result.
    fn traits(&self) -> Traits;
}
