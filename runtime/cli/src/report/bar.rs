//! What a terminal shows while a run goes on: a bar with figures, and below it what is running.
//!
//! Owns: what fits into how many columns. Does not know: events, or what is said beside.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use wasmill_model::{RunCounts, RunId};

use super::text::{count, duration, harmless};

/// How often the terminal is drawn, in a second.
const DRAWN_HZ: u8 = 10;

/// Names of running jobs below the bar.
const RUNNING_SHOWN: usize = 3;

/// On fewer columns there is no bar, only figures.
const BAR_COLUMNS_MIN: u16 = 72;

/// Over so many seconds it is said how many jobs end in one.
const RATE_OVER: Duration = Duration::from_secs(5);

/// The bar, or nothing where nobody looks.
pub(crate) struct Bar {
    all: Option<MultiProgress>,
    figures: ProgressBar,
    names: ProgressBar,
    running: BTreeMap<String, Running>,
    began: Instant,
    /// How many jobs had ended at a moment a while ago, and a later one.
    rate_from: [(Instant, usize); 2],
    estimate: Option<(Instant, Duration, RunId)>,
    drawn: Instant,
}

struct Running {
    since: Instant,
    percent: Option<u64>,
}

impl Bar {
    /// Nothing is shown.
    pub(crate) fn hidden() -> Self {
        let now = Instant::now();
        Self {
            all: None,
            figures: ProgressBar::hidden(),
            names: ProgressBar::hidden(),
            running: BTreeMap::new(),
            began: now,
            rate_from: [(now, 0); 2],
            estimate: None,
            drawn: now,
        }
    }

    /// On a terminal, what goes on in a run of a plan is shown from now on.
    pub(crate) fn start(&mut self, plan: &str, jobs: usize) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWN_HZ));
        let columns = console::Term::stderr().size().1;
        let template = if columns < BAR_COLUMNS_MIN {
            "{pos}/{len} {wide_msg}"
        } else {
            "{prefix:.bold} {bar:24.green/dim} {pos}/{len} {wide_msg}"
        };
        let style = |template| ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.figures = all.add(ProgressBar::new(jobs as u64).with_style(style(template).progress_chars("━╸─")));
        self.figures.set_prefix(harmless(plan));
        self.names = all.add(ProgressBar::new_spinner().with_style(style("  {wide_msg:.dim}")));
        self.figures.enable_steady_tick(Duration::from_millis(1_000 / u64::from(DRAWN_HZ)));
        self.all = Some(all);
    }

    pub(crate) fn is_hidden(&self) -> bool {
        self.all.is_none()
    }

    pub(crate) fn started(&mut self, job: &str) {
        if !self.is_hidden() {
            self.running.insert(job.to_owned(), Running { since: Instant::now(), percent: None });
        }
    }

    pub(crate) fn ended(&mut self, job: &str) {
        self.running.remove(job);
    }

    /// How far a job is.
    pub(crate) fn progressed(&mut self, job: &str, percent: u64) {
        if let Some(running) = self.running.get_mut(job) {
            running.percent = Some(percent);
        }
    }

    /// How long the run will go on, by the durations of a run.
    pub(crate) fn estimated(&mut self, left: Duration, of_run: RunId) {
        self.estimate = Some((Instant::now(), left, of_run));
    }

    /// Shows the state of things, unless it was shown a moment ago.
    pub(crate) fn draw(&mut self, counts: &RunCounts) {
        let now = Instant::now();
        if self.is_hidden() || now.duration_since(self.drawn) < Duration::from_millis(1_000 / u64::from(DRAWN_HZ)) {
            return;
        }
        self.drawn = now;
        self.figures.set_length(counts.jobs as u64);
        self.figures.set_position(counts.ended() as u64);
        let said = self.said(counts, now);
        self.figures.set_message(said);
        self.names.set_message(self.named(now));
    }

    fn said(&mut self, counts: &RunCounts, now: Instant) -> String {
        let ended = counts.ended();
        if now.duration_since(self.rate_from[1].0) > RATE_OVER {
            self.rate_from = [self.rate_from[1], (now, ended)];
        }
        let mut parts = Vec::new();
        if let Some((at, left, run)) = self.estimate {
            let left = left.saturating_sub(now.duration_since(at));
            parts.push(format!("{} left (as in run {run})", seconds(left)));
        }
        parts.push(seconds(now.duration_since(self.began)));
        let (since, before) = self.rate_from[0];
        let rate = (ended - before.min(ended)) as f64 / now.duration_since(since).as_secs_f64().max(0.1);
        if rate >= 0.1 {
            parts.push(if rate < 10.0 { format!("{rate:.1}/s") } else { format!("{rate:.0}/s") });
        }
        let failed = counts.failed + counts.errors;
        let others = [(failed, "failed"), (counts.cached, "cached")];
        parts.extend(others.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}")));
        parts.join(" · ")
    }

    fn named(&self, now: Instant) -> String {
        // The longest-running jobs are the ones that somebody waits for.
        let mut running: Vec<(&Running, &String)> = self.running.iter().map(|(job, running)| (running, job)).collect();
        running.sort_unstable_by_key(|(running, job)| (running.since, *job));
        let shown = running.iter().take(RUNNING_SHOWN).map(|(running, job)| {
            let percent = running.percent.map_or_else(String::new, |percent| format!(" {percent} %"));
            format!("{job} {}{percent}", seconds(now.duration_since(running.since)))
        });
        let mut shown: Vec<String> = shown.collect();
        let more = running.len().saturating_sub(shown.len());
        if more > 0 {
            shown.push(count(more, "other"));
        }
        harmless(&shown.join(", "))
    }

    /// Has something written that stays.
    pub(crate) fn suspend(&self, write: impl FnOnce()) {
        match &self.all {
            Some(all) => all.suspend(write),
            None => write(),
        }
    }

    /// Takes away what is not to stay on the screen.
    pub(crate) fn clear(&mut self) {
        self.names.finish_and_clear();
        self.figures.finish_and_clear();
    }
}

fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        whole @ 10..60 => format!("{whole} s"),
        whole => duration(whole.saturating_mul(1_000_000_000)),
    }
}
