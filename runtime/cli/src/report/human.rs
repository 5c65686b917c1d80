//! A run for people: a progress bar on a terminal, plain lines elsewhere, failures as they happen, a summary.
//!
//! Owns: what is said when. Does not know: the words for failures (`failure`), for the end (`summary`) and for numbers
//! (`text`), or how a terminal is drawn (`bar`).

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use wasmill_insight::{Anatomy, CriticalPath, Summary, advise, is_executed};
use wasmill_model::port::{LogLevel, RunLog as _};
use wasmill_model::{Event, JobReport, JobStatus, RunCounts, RunId, RunSummary};
use wasmill_storage::Storage;

use super::bar::Bar;
use super::failure::{describe_failure, stderr_tail};
use super::lines::Lines;
use super::summary::{advice, details, reasons, times, verdict};
use super::text::{count, duration, harmless, harmless_lines};
use crate::recorded::Past;

/// Failures that are shown whole; the others are counted.
const FAILURES_SHOWN: usize = 10;

/// For so many jobs it is said, as they end, why they were executed; `wasmill why` says it of all.
const REASONS_MAX: usize = 1_000;

/// On a terminal, jobs have lines of their own in runs of so many, or with `-v`.
const LINES_ON_TERMINAL_MAX: usize = 100;

/// Of larger runs only the first lines are said: what follows from all of their jobs takes a while to find out.
const DETAILED_JOBS_MAX: usize = 20_000;

pub(crate) struct Human {
    quiet: bool,
    verbose: bool,
    storage: Arc<Storage>,
    bar: Bar,
    plan: String,
    run: Option<RunId>,
    fresh: bool,
    counts: RunCounts,
    /// How many jobs have ended as in an earlier run.
    repeated: usize,
    /// What earlier runs know, once it was asked for.
    past: Option<Past>,
    executed: usize,
    /// The reports of all jobs, unless there are too many of them, or some were known before any was executed.
    reports: Option<Vec<JobReport>>,
    /// What of jobs' logs is shown.
    log_level: LogLevel,
    failures: usize,
    saved: Vec<String>,
    lines: Lines,
}

impl Human {
    pub(crate) fn new(quiet: bool, verbose: u8, storage: Arc<Storage>) -> Self {
        Self {
            quiet,
            verbose: verbose > 0,
            storage,
            bar: Bar::hidden(),
            plan: String::new(),
            run: None,
            fresh: false,
            counts: RunCounts::default(),
            repeated: 0,
            past: None,
            executed: 0,
            reports: Some(Vec::new()),
            log_level: log_level(quiet, verbose),
            failures: 0,
            saved: Vec::new(),
            lines: Lines::new(stderr),
        }
    }

    pub(crate) fn on_event(&mut self, event: &Event) {
        match event {
            Event::RunStarted { run, plan, jobs, setup, .. } => {
                plan.clone_into(&mut self.plan);
                (self.run, self.fresh, self.counts.jobs) = (Some(*run), setup.fresh, *jobs);
                if !self.quiet {
                    self.bar.start(plan, *jobs);
                }
            }
            Event::RunEstimated { left_ms, of_run } => self.bar.estimated(Duration::from_millis(*left_ms), *of_run),
            Event::JobStarted { job } => self.bar.started(job),
            Event::JobProgress { job, done, total } => {
                let percent = done.saturating_mul(100).checked_div(*total).unwrap_or(0).min(100);
                self.bar.progressed(job, percent);
            }
            Event::JobLog { job, level, message } if *level <= self.log_level => {
                self.line(&format!("{job}: {level}: {message}"));
            }
            Event::JobLog { .. } => {}
            Event::JobRetried { job, attempt, wait_ms, error } => {
                self.bar.ended(job);
                let why = error.first().map_or("it could not be carried out", String::as_str);
                let wait = duration(wait_ms.saturating_mul(1_000_000));
                self.line(&format!("`{job}`, attempt {attempt}: {why}; trying again in {wait}"));
            }
            Event::JobsAdded { jobs, instead, .. } => {
                self.counts.jobs += jobs;
                self.counts.jobs -= usize::from(*instead);
            }
            Event::WorkersChanged { workers, why } => self.line(&format!("{workers} workers from now on: {why}")),
            Event::JobFinished(report) => self.job_finished(report),
            Event::JobsRepeated { counts, .. } => {
                self.repeated = counts.ended();
                self.counts.merge(&RunCounts { jobs: 0, ..*counts });
            }
            Event::Saved { path, .. } => self.saved.push(path.clone()),
            Event::Warning { message } => self.line(&format!("warning: {message}")),
            Event::RunFinished(summary) => return self.run_finished(summary),
        }
        self.bar.counted(&self.counts);
    }

    pub(crate) fn finish(&mut self) {
        self.bar.clear();
        self.lines.flush();
    }

    fn job_finished(&mut self, report: &JobReport) {
        self.bar.ended(&report.job);
        self.counts.add(report.status, report.cached);
        let is_executed = is_executed(report);
        self.executed += usize::from(is_executed);
        self.keep(report);
        match report.status {
            JobStatus::Failed | JobStatus::Error => self.show_failure(report),
            JobStatus::Succeeded if is_executed && !self.quiet && self.says_each() => {
                let took = duration(report.usage.wall_ns);
                let why = self.why(report).map_or_else(String::new, |why| format!(" ({why})"));
                self.line(&format!("[{}/{}] {} in {took}{why}", self.counts.ended(), self.counts.jobs, report.job));
            }
            _ => {}
        }
    }

    /// Whether each job that is executed has a line: not where a bar shows how far it is, and there would be screens of them.
    fn says_each(&self) -> bool {
        self.bar.is_hidden() || self.verbose || self.counts.jobs <= LINES_ON_TERMINAL_MAX
    }

    /// Keeps a report for the end. Where nothing is executed there is nothing to say, and what was known comes first; then
    /// the store has it.
    fn keep(&mut self, report: &JobReport) {
        let keeps = !self.quiet && self.executed > 0 && self.counts.jobs <= DETAILED_JOBS_MAX;
        match &mut self.reports {
            Some(reports) if keeps && reports.len() + 1 + self.repeated == self.counts.ended() => {
                reports.push(report.clone());
            }
            reports => *reports = None,
        }
    }

    /// Why a job was executed, in one line; nothing once that was said often enough.
    fn why(&mut self, report: &JobReport) -> Option<String> {
        if self.executed > REASONS_MAX {
            return None;
        }
        let run = self.run?;
        if self.past.is_none() {
            self.past = Some(Past::before(&self.storage, &self.plan, run).unwrap_or_default());
        }
        Some(self.past.as_mut()?.reason(&self.storage, self.fresh, report).to_string())
    }

    fn show_failure(&mut self, report: &JobReport) {
        self.failures += 1;
        if self.failures > FAILURES_SHOWN {
            return;
        }
        let stderr = report.result.as_ref().and_then(|result| stderr_tail(self.storage.as_ref(), result.stderr));
        let mut error = describe_failure(report, &format!("job `{}`", report.job), stderr);
        if report.cached && report.status == JobStatus::Failed {
            error = error.hint(
                "this failure is recorded, and would be the same again; `--retry-failed` executes the job all the same",
            );
        }
        let text = error.human();
        self.write(&text);
    }

    fn run_finished(&mut self, summary: &RunSummary) {
        self.bar.clear();
        if self.failures > FAILURES_SHOWN {
            let more = count(self.failures - FAILURES_SHOWN, "more failure");
            self.line(&format!("error: {more}; see `wasmill show {}`", self.run.map_or(0, |run| run.0)));
        }
        if !self.quiet {
            let text = harmless_lines(&self.summary(summary));
            self.write(&text);
        }
    }

    fn summary(&mut self, summary: &RunSummary) -> String {
        let mut lines = vec![format!("{}: {}", self.plan, verdict(summary)), times(summary)];
        if self.executed > 0 && summary.counts.jobs <= DETAILED_JOBS_MAX {
            lines.extend(self.details().unwrap_or_default());
        }
        match self.saved.as_slice() {
            [] => {}
            few if few.len() <= 5 => lines.extend(few.iter().map(|path| format!("saved {path}"))),
            many => lines.push(format!("saved {}", count(many.len(), "output"))),
        }
        if let Some(run) = self.run {
            lines.push(format!("details: wasmill show {run}"));
        }
        lines.join("\n  ") + "\n"
    }

    /// What the run's record says.
    fn details(&mut self) -> Option<Vec<String>> {
        let run = self.run?;
        let record = self.storage.run(run).ok()??;
        let jobs = match self.reports.take() {
            Some(reports) => reports,
            None => self.storage.jobs(run).ok()?,
        };
        let anatomy = Anatomy::of(&record, &jobs);
        let path = CriticalPath::of(&anatomy);
        let summary = Summary::of(&anatomy, &path);
        let mut lines = details(&anatomy, &summary);
        if !self.says_each() {
            let executed = jobs.iter().filter(|report| !report.cached).take(REASONS_MAX);
            let mut past = Past::before(&self.storage, &self.plan, run).ok()?;
            lines.extend(reasons(executed.filter_map(|report| past.why(&self.storage, &record, report))));
        }
        lines.extend(advise(&anatomy, &path, &summary).first().map(|first| advice(first, run)));
        Some(lines)
    }

    fn line(&mut self, text: &str) {
        let mut line = harmless(text);
        line.push('\n');
        self.write(&line);
    }

    /// Writes something that stays: at once where there is a bar, else with what comes soon after it.
    fn write(&mut self, text: &str) {
        if self.bar.is_hidden() {
            self.lines.add(text);
        } else {
            self.bar.suspend(|| stderr(text.as_bytes()));
        }
    }
}

/// Nothing can be done for a reader that has closed the pipe.
fn stderr(bytes: &[u8]) {
    // Most lines have no colours that could have to be taken out.
    let _ = match bytes.contains(&0x1b) {
        true => anstream::stderr().write_all(bytes),
        false => std::io::stderr().write_all(bytes),
    };
}

/// What of jobs' logs is shown.
pub(crate) fn log_level(quiet: bool, verbose: u8) -> LogLevel {
    match verbose {
        _ if quiet => LogLevel::Error,
        0 => LogLevel::Info,
        1 => LogLevel::Debug,
        _ => LogLevel::Trace,
    }
}
