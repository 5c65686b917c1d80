//! A run for people: a progress bar on a terminal, plain lines elsewhere, failures as they happen, a summary.
//!
//! Owns: what is shown when. Does not know: the words for failures (`failure`) and numbers (`text`).

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wasmill_model::port::{BlobStore, LogLevel};
use wasmill_model::{Event, JobReport, JobStatus, RunCounts, RunId, RunSummary};

use super::failure::{describe_failure, stderr_tail};
use super::text::{count, duration, harmless, harmless_lines};

/// Failures that are shown whole; the others are counted.
const FAILURES_SHOWN: usize = 10;

/// Jobs in the summary's list of the slowest.
const SLOWEST: usize = 3;

/// Names of running jobs beside the progress bar.
const RUNNING_SHOWN: usize = 2;

pub(crate) struct Human {
    quiet: bool,
    blobs: Arc<dyn BlobStore>,
    bar: ProgressBar,
    plan: String,
    run: Option<RunId>,
    counts: RunCounts,
    running: BTreeMap<String, Instant>,
    /// How far jobs are that say so, in percent.
    progress: BTreeMap<String, u64>,
    /// What of jobs' logs is shown.
    log_level: LogLevel,
    /// The slowest executed jobs, slowest first.
    slowest: Vec<(u64, String)>,
    failures: usize,
    saved: Vec<String>,
}

impl Human {
    pub(crate) fn new(quiet: bool, verbose: u8, blobs: Arc<dyn BlobStore>) -> Self {
        Self {
            quiet,
            blobs,
            bar: ProgressBar::hidden(),
            plan: String::new(),
            run: None,
            counts: RunCounts::default(),
            running: BTreeMap::new(),
            progress: BTreeMap::new(),
            log_level: log_level(quiet, verbose),
            slowest: Vec::new(),
            failures: 0,
            saved: Vec::new(),
        }
    }

    pub(crate) fn on_event(&mut self, event: &Event) {
        match event {
            Event::RunStarted { run, plan, jobs, .. } => self.start(*run, plan, *jobs),
            Event::JobStarted { job } => {
                self.running.insert(job.clone(), Instant::now());
                self.show_running();
            }
            Event::JobProgress { job, done, total } => {
                let percent = done.saturating_mul(100).checked_div(*total).unwrap_or(0).min(100);
                self.progress.insert(job.clone(), percent);
                self.show_running();
            }
            Event::JobLog { job, level, message } if *level <= self.log_level => {
                self.line(&format!("{job}: {level}: {message}"));
            }
            Event::JobLog { .. } => {}
            Event::JobRetried { job, attempt, wait_ms, error } => {
                self.running.remove(job);
                let why = error.first().map_or("it could not be carried out", String::as_str);
                let wait = duration(wait_ms.saturating_mul(1_000_000));
                self.line(&format!("`{job}`, attempt {attempt}: {why}; trying again in {wait}"));
            }
            Event::JobsAdded { jobs, instead, .. } => {
                self.counts.jobs += jobs;
                self.counts.jobs -= usize::from(*instead);
                self.bar.set_length(self.counts.jobs as u64);
            }
            Event::WorkersChanged { workers, why } => self.line(&format!("{workers} workers from now on: {why}")),
            Event::JobFinished(report) => self.job_finished(report),
            Event::Saved { path, .. } => self.saved.push(path.clone()),
            Event::Warning { message } => self.line(&format!("warning: {message}")),
            Event::RunFinished(summary) => self.run_finished(summary),
        }
    }

    pub(crate) fn finish(&mut self) {
        self.bar.finish_and_clear();
    }

    fn start(&mut self, run: RunId, plan: &str, jobs: usize) {
        plan.clone_into(&mut self.plan);
        self.run = Some(run);
        self.counts.jobs = jobs;
        if !self.quiet && std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(jobs as u64), ProgressDrawTarget::stderr_with_hz(10));
            let template = "{prefix:.bold} {bar:24.green/dim} {pos}/{len} {elapsed} ETA {eta} {wide_msg:.dim}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar.set_prefix(harmless(plan));
            bar.enable_steady_tick(Duration::from_millis(100));
            self.bar = bar;
        }
    }

    fn job_finished(&mut self, report: &JobReport) {
        self.running.remove(&report.job);
        self.progress.remove(&report.job);
        self.counts.add(report.status, report.cached);
        if !report.cached && report.result.is_some() {
            self.note_duration(report);
        }
        match report.status {
            JobStatus::Failed | JobStatus::Error => self.show_failure(report),
            JobStatus::Succeeded if !report.cached && !self.quiet && self.bar.is_hidden() => {
                let took = duration(report.usage.wall_ns);
                self.line(&format!("[{}/{}] {} in {took}", self.counts.ended(), self.counts.jobs, report.job));
            }
            _ => {}
        }
        self.bar.set_position(self.counts.ended() as u64);
        self.show_running();
    }

    fn note_duration(&mut self, report: &JobReport) {
        let ns = report.usage.wall_ns;
        let place = self.slowest.partition_point(|(other, _)| *other >= ns);
        if place < SLOWEST {
            self.slowest.insert(place, (ns, report.job.clone()));
            self.slowest.truncate(SLOWEST);
        }
    }

    fn show_failure(&mut self, report: &JobReport) {
        self.failures += 1;
        if self.failures > FAILURES_SHOWN {
            return;
        }
        let stderr = report.result.as_ref().and_then(|result| stderr_tail(self.blobs.as_ref(), result.stderr));
        let mut error = describe_failure(report, &format!("job `{}`", report.job), stderr);
        if report.cached {
            error = error.hint("this failure is recorded; `--retry-failed` executes the job again");
        }
        let text = error.human();
        self.bar.suspend(|| {
            let _ = write!(anstream::stderr(), "{text}");
        });
    }

    fn show_running(&self) {
        if self.bar.is_hidden() {
            return;
        }
        // The longest-running jobs are the ones that somebody waits for.
        let mut running: Vec<(&Instant, &String)> = self.running.iter().map(|(job, since)| (since, job)).collect();
        running.sort_unstable();
        let shown = running.iter().take(RUNNING_SHOWN).map(|(_, job)| match self.progress.get(*job) {
            Some(percent) => format!("{job} {percent} %"),
            None => (*job).clone(),
        });
        let shown: Vec<String> = shown.collect();
        let more = running.len().saturating_sub(shown.len());
        let message = harmless(&shown.join(", "));
        self.bar.set_message(if more == 0 { message } else { format!("{message} and {more} more") });
    }

    fn run_finished(&mut self, summary: &RunSummary) {
        self.bar.finish_and_clear();
        if self.failures > FAILURES_SHOWN {
            let more = count(self.failures - FAILURES_SHOWN, "more failure");
            self.line(&format!("error: {more}; see `wasmill show {}`", self.run.map_or(0, |run| run.0)));
        }
        if !self.quiet {
            let text = harmless_lines(&self.summary(summary));
            let _ = write!(anstream::stderr(), "{text}");
        }
    }

    fn summary(&self, summary: &RunSummary) -> String {
        let mut lines = vec![format!("{}: {}", self.plan, verdict(summary))];
        let executed = summary.counts.ended() - summary.counts.cached;
        let mut times = format!("wall {}", duration(summary.wall_ns));
        if summary.cpu_ns > 0 {
            let (cpu, factor) = (duration(summary.cpu_ns), summary.parallel_factor());
            times.push_str(&format!(", CPU in jobs {cpu} (parallel factor {factor:.2})"));
        }
        if summary.counts.cached > 0 {
            times.push_str(&format!(", the cache saved {}", duration(summary.saved_ns)));
        }
        lines.push(times);
        if executed > 1 && !self.slowest.is_empty() {
            let slowest: Vec<String> =
                self.slowest.iter().map(|(ns, job)| format!("{job} {}", duration(*ns))).collect();
            lines.push(format!("slowest: {}", slowest.join(", ")));
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

    fn line(&self, text: &str) {
        self.bar.suspend(|| {
            // Nothing can be done for a reader that has closed the pipe.
            let _ = writeln!(anstream::stderr(), "{}", harmless(text));
        });
    }
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

/// The first line of the summary.
pub(crate) fn verdict(summary: &RunSummary) -> String {
    let counts = &summary.counts;
    if counts.jobs == 0 {
        return "the plan has no jobs, so there is nothing to do".to_owned();
    }
    if counts.succeeded == counts.jobs && counts.cached == counts.jobs {
        return format!("everything was cached ({}), nothing had to be executed", count(counts.jobs, "job"));
    }
    let mut parts = vec![format!("{} of {} succeeded", counts.succeeded, count(counts.jobs, "job"))];
    if counts.cached > 0 {
        parts.push(format!("{} cached", counts.cached));
    }
    let others = [
        (counts.failed, "failed"),
        (counts.errors, "could not be carried out"),
        (counts.skipped, "skipped"),
        (counts.cancelled, "not finished"),
        (counts.omitted, "omitted"),
    ];
    parts.extend(others.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    if summary.cancelled {
        parts.push("cancelled".to_owned());
    }
    parts.join(", ")
}
