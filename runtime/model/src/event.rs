//! What happens during a run, as the one stream that every reporter sees.
//!
//! Owns: the events and the reports inside them. Does not know: who listens.

use serde::{Deserialize, Serialize};

use crate::action::{ActionKey, ActionResult};
use crate::outcome::Usage;
use crate::port::{LogLevel, LogLine};
use crate::run::RunId;
use crate::trace::{JobTrace, Phases, RunSetup, Traffic};

/// Something that happened during a run, in the order in which it is reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The first event.
    RunStarted {
        /// The run.
        run: RunId,
        /// The plan's name.
        plan: String,
        /// How many jobs it has.
        jobs: usize,
        /// How many worker threads execute them.
        workers: usize,
        /// How it is carried out, and where.
        setup: Box<RunSetup>,
    },
    /// Jobs came to be that were not known before: what a job yielded, or the items of its `for-each`, which stand in its place.
    JobsAdded {
        /// The job's name.
        job: String,
        /// How many.
        jobs: usize,
        /// Whether they stand in the place of that job, which is none itself from now on.
        instead: bool,
    },
    /// The run has another number of workers from now on.
    WorkersChanged {
        /// How many.
        workers: usize,
        /// Why.
        why: String,
    },
    /// How long it will go on, as far as earlier runs can tell.
    RunEstimated {
        /// From now on, in milliseconds.
        left_ms: u64,
        /// The latest run whose durations were used.
        of_run: RunId,
    },
    /// An attempt started; jobs whose result is cached have none.
    JobStarted {
        /// The job's name.
        job: String,
    },
    /// An attempt came to no result, and there will be another one.
    JobRetried {
        /// The job's name.
        job: String,
        /// Which attempt it was, from 1 on.
        attempt: u32,
        /// When the next one begins at the earliest, in milliseconds from now.
        wait_ms: u64,
        /// Why, from the outside in.
        error: Vec<String>,
    },
    /// A job said how far it is.
    JobProgress {
        /// The job's name.
        job: String,
        /// How much is done, in units of its own.
        done: u64,
        /// How much there is to do.
        total: u64,
    },
    /// A job said something.
    JobLog {
        /// The job's name.
        job: String,
        /// How much it matters.
        level: LogLevel,
        /// What. The guest chose it.
        message: String,
    },
    /// A job ended, and what is said of it here is durable.
    JobFinished(Box<JobReport>),
    /// Nothing had changed for some jobs since an earlier run, so they have ended as there. Said to those who are not told of each.
    JobsRepeated {
        /// The run.
        run: RunId,
        /// What became of them.
        counts: RunCounts,
    },
    /// An output was copied to the host.
    Saved {
        /// The job whose output it is.
        job: String,
        /// Where it was written.
        path: String,
    },
    /// Something that a user should know and that fails nothing.
    Warning {
        /// What, in one sentence.
        message: String,
    },
    /// The last event.
    RunFinished(RunSummary),
}

/// What became of one job in one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobReport {
    /// The job's name; `scan[serde]` for an item of a `for-each`.
    pub job: String,
    /// What became of it.
    pub status: JobStatus,
    /// The action it was resolved to, where it came that far.
    pub key: Option<ActionKey>,
    /// Whether the result came from the cache.
    pub cached: bool,
    /// How the attempt ended and what it left, where there was one.
    pub result: Option<ActionResult>,
    /// What the attempt cost; of a cached result, what it had cost then.
    pub usage: Usage,
    /// From the start of the run until the job's inputs were there, in nanoseconds.
    pub ready_ns: u64,
    /// From the start of the run until the job started to resolve its inputs, in nanoseconds.
    pub started_ns: u64,
    /// From the start of the run until the outcome was known, in nanoseconds.
    pub ended_ns: u64,
    /// What kept wasmill from carrying the job out, from the outside in; empty where nothing did.
    pub error: Vec<String>,
    /// How to mend the error, where that is known.
    pub hint: Option<String>,
    /// What the job said while it ran, as far as it is kept with the run. It is no part of the result, and no part of this where it is
    /// told as an event: each line was one.
    #[serde(skip)]
    pub log: Vec<LogLine>,
    /// What was observed while it was carried out.
    #[serde(default)]
    pub trace: JobTrace,
}

impl JobReport {
    /// The same, of a run that repeats the one that this is of. Its only time is in nanoseconds from the start of that run.
    #[must_use]
    pub fn repeated(self, at_ns: u64) -> Self {
        let trace = JobTrace {
            worker: None,
            attempts: 0,
            phases: Phases::default(),
            traffic: Traffic::default(),
            ..self.trace
        };
        Self {
            cached: self.cached || self.result.is_some(),
            ready_ns: at_ns,
            started_ns: at_ns,
            ended_ns: at_ns,
            log: Vec::new(),
            trace,
            ..self
        }
    }

    /// Of a job that was not started. Times are in nanoseconds from the start of the run.
    pub fn unstarted(job: String, status: JobStatus, now_ns: u64) -> Self {
        Self {
            job,
            status,
            key: None,
            cached: false,
            result: None,
            usage: Usage::default(),
            ready_ns: now_ns,
            started_ns: now_ns,
            ended_ns: now_ns,
            error: Vec::new(),
            hint: None,
            log: Vec::new(),
            trace: JobTrace::default(),
        }
    }
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobStatus {
    /// It exited with code 0 and its outputs are stored.
    Succeeded,
    /// It ran, and its outcome is no success.
    Failed,
    /// wasmill could not run it, or could not keep what it gave.
    Error,
    /// A job that it needs did not succeed.
    Skipped,
    /// The run ended before it was its turn, or while it was running.
    Cancelled,
    /// It was not wanted: its `when` did not hold, or it takes from a job that was omitted.
    Omitted,
}

/// How many jobs ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCounts {
    /// All jobs.
    pub jobs: usize,
    /// Those that succeeded, executed or cached.
    pub succeeded: usize,
    /// Those whose outcome came from the cache.
    pub cached: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that wasmill could not run.
    pub errors: usize,
    /// Those that were skipped because of another's failure.
    pub skipped: usize,
    /// Those that a cancellation or an earlier failure kept from running.
    pub cancelled: usize,
    /// Those that were not wanted.
    pub omitted: usize,
}

impl RunCounts {
    /// Counts one more report.
    pub fn add(&mut self, status: JobStatus, cached: bool) {
        match status {
            JobStatus::Succeeded => self.succeeded += 1,
            JobStatus::Failed => self.failed += 1,
            JobStatus::Error => self.errors += 1,
            JobStatus::Skipped => self.skipped += 1,
            JobStatus::Cancelled => self.cancelled += 1,
            JobStatus::Omitted => self.omitted += 1,
        }
        // One that yields a plan may have been known, and not what its plan comes to.
        self.cached += usize::from(cached && matches!(status, JobStatus::Succeeded | JobStatus::Failed));
    }

    /// Counts others as well.
    pub fn merge(&mut self, others: &Self) {
        let Self { jobs, succeeded, cached, failed, errors, skipped, cancelled, omitted } = others;
        self.jobs += jobs;
        self.succeeded += succeeded;
        self.cached += cached;
        self.failed += failed;
        self.errors += errors;
        self.skipped += skipped;
        self.cancelled += cancelled;
        self.omitted += omitted;
    }

    /// How many jobs have ended, in whatever way.
    pub fn ended(&self) -> usize {
        self.succeeded + self.failed + self.errors + self.skipped + self.cancelled + self.omitted
    }
}

/// A run in numbers. CPU time and wall time are never mixed: their ratio is the parallel factor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// How many jobs ended how.
    pub counts: RunCounts,
    /// Wall time of the run, the plan's loading and saving included.
    pub wall_ns: u64,
    /// CPU time of the attempts of this run.
    pub cpu_ns: u64,
    /// Wall time of the attempts of this run, added up over the workers.
    pub busy_ns: u64,
    /// Wall time that cached outcomes had cost when they were computed.
    pub saved_ns: u64,
    /// Whether the run was cancelled from outside.
    pub cancelled: bool,
    /// How often jobs were tried again.
    #[serde(default)]
    pub retries: u64,
    /// What the attempts of this run read and wrote.
    #[serde(default)]
    pub traffic: Traffic,
    /// By how much the store grew meanwhile, in bytes: what was written, without what it had already.
    #[serde(default)]
    pub stored_bytes: u64,
    /// Content that the store was given meanwhile and had already, in bytes. Small content is not always looked for.
    #[serde(default)]
    pub known_bytes: u64,
    /// The earlier run that this one repeats, as its plan is as it was then, and what it saw of the host: each job for which nothing had
    /// changed has come to what it came to there.
    #[serde(default)]
    pub repeats: Option<RunId>,
}

impl RunSummary {
    /// Attempts' CPU time per second of wall time; 2.0 means that two cores were busy with jobs all the time.
    pub fn parallel_factor(&self) -> f64 {
        if self.wall_ns == 0 { 0.0 } else { self.cpu_ns as f64 / self.wall_ns as f64 }
    }

    /// Whether every job succeeded.
    pub fn is_success(&self) -> bool {
        !self.cancelled && self.counts.succeeded + self.counts.omitted == self.counts.jobs
    }
}
