//! What a terminal shows while a run goes on: a bar with figures, and below it what is running.
//!
//! Owns: what fits into how many columns. Does not know: events, or what is said beside.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use wasmill_model::{RunCounts, RunId};

use super::text::{count, duration, harmless};

/// How often the terminal is drawn, in a second.
const DRAWN_HZ: u8 = 10;

/// Names of running jobs below the bar.
const RUNNING_SHOWN: usize = 3;

/// For how many jobs have ended, of how many, where there is no bar.
const NUMBERS_COLUMNS: usize = 12;

/// On fewer columns there is no bar, only figures.
const BAR_COLUMNS_MIN: u16 = 72;

/// Over so many seconds it is said how many jobs end in one.
const RATE_OVER: Duration = Duration::from_secs(5);

/// The bar, or nothing where nobody looks.
pub(crate) struct Bar {
    shown: Option<Shown>,
}

/// What is on the screen, and the thread that draws it: what runs takes longer also while nothing happens.
struct Shown {
    all: MultiProgress,
    screen: Arc<Mutex<Screen>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Screen {
    figures: ProgressBar,
    names: ProgressBar,
    /// How many columns there are for figures, where there is no bar.
    columns: Option<usize>,
    counts: RunCounts,
    running: BTreeMap<String, Running>,
    began: Instant,
    /// How many jobs had ended at a moment a while ago, and a later one.
    rate_from: [(Instant, usize); 2],
    estimate: Option<(Instant, Duration, RunId)>,
}

struct Running {
    since: Instant,
    percent: Option<u64>,
}

impl Bar {
    /// Nothing is shown.
    pub(crate) fn hidden() -> Self {
        Self { shown: None }
    }

    /// On a terminal, what goes on in a run of a plan is shown from now on.
    pub(crate) fn start(&mut self, plan: &str, jobs: usize) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWN_HZ));
        let columns = console::Term::stderr().size().1;
        let is_narrow = columns < BAR_COLUMNS_MIN;
        let template = if is_narrow {
            "{pos}/{len} {wide_msg}"
        } else {
            "{prefix:.bold} {bar:24.green/dim} {pos}/{len} {wide_msg}"
        };
        let style = |template| ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let figures = all.add(ProgressBar::new(jobs as u64).with_style(style(template).progress_chars("━╸─")));
        figures.set_prefix(harmless(plan));
        let names = all.add(ProgressBar::new_spinner().with_style(style("  {wide_msg:.dim}")));
        let now = Instant::now();
        let screen = Arc::new(Mutex::new(Screen {
            figures,
            names,
            columns: is_narrow.then(|| usize::from(columns).saturating_sub(NUMBERS_COLUMNS)),
            counts: RunCounts { jobs, ..RunCounts::default() },
            running: BTreeMap::new(),
            began: now,
            rate_from: [(now, 0); 2],
            estimate: None,
        }));
        let over = Arc::new(AtomicBool::new(false));
        let (theirs, ended) = (Arc::clone(&screen), Arc::clone(&over));
        let draw = move || {
            while !ended.load(Ordering::Acquire) {
                lock(&theirs).draw();
                std::thread::park_timeout(Duration::from_millis(1_000 / u64::from(DRAWN_HZ)));
            }
        };
        // Without the thread, nothing is drawn.
        let thread = std::thread::Builder::new().name("wasmill-bar".to_owned()).spawn(draw).ok();
        self.shown = Some(Shown { all, screen, over, thread });
    }

    pub(crate) fn is_hidden(&self) -> bool {
        self.shown.is_none()
    }

    fn with(&self, change: impl FnOnce(&mut Screen)) {
        if let Some(shown) = &self.shown {
            change(&mut lock(&shown.screen));
        }
    }

    pub(crate) fn started(&mut self, job: &str) {
        self.with(|screen| {
            screen.running.insert(job.to_owned(), Running { since: Instant::now(), percent: None });
        });
    }

    pub(crate) fn ended(&mut self, job: &str) {
        self.with(|screen| {
            screen.running.remove(job);
        });
    }

    /// How far a job is.
    pub(crate) fn progressed(&mut self, job: &str, percent: u64) {
        self.with(|screen| {
            if let Some(running) = screen.running.get_mut(job) {
                running.percent = Some(percent);
            }
        });
    }

    /// How long the run will go on, by the durations of a run.
    pub(crate) fn estimated(&mut self, left: Duration, of_run: RunId) {
        self.with(|screen| screen.estimate = Some((Instant::now(), left, of_run)));
    }

    /// How many jobs ended how.
    pub(crate) fn counted(&mut self, counts: &RunCounts) {
        self.with(|screen| screen.counts = *counts);
    }

    /// Has something written that stays.
    pub(crate) fn suspend(&self, write: impl FnOnce()) {
        match &self.shown {
            Some(shown) => shown.all.suspend(write),
            None => write(),
        }
    }

    /// Takes away what is not to stay on the screen.
    pub(crate) fn clear(&mut self) {
        let Some(shown) = &mut self.shown else { return };
        shown.over.store(true, Ordering::Release);
        if let Some(thread) = shown.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
        let screen = lock(&shown.screen);
        screen.names.finish_and_clear();
        screen.figures.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Screen {
    fn draw(&mut self) {
        let now = Instant::now();
        let said = self.said(now);
        self.figures.set_length(self.counts.jobs as u64);
        self.figures.set_position(self.counts.ended() as u64);
        self.figures.set_message(said);
        self.names.set_message(self.named(now));
    }

    fn said(&mut self, now: Instant) -> String {
        let counts = self.counts;
        let ended = counts.ended();
        if now.duration_since(self.rate_from[1].0) > RATE_OVER {
            self.rate_from = [self.rate_from[1], (now, ended)];
        }
        // What matters most comes first where there is not room for all of it.
        let mut parts = vec![(0, seconds(now.duration_since(self.began)))];
        if let Some((at, left, run)) = self.estimate {
            let left = left.saturating_sub(now.duration_since(at));
            if left > Duration::ZERO {
                parts.push((2, format!("{} left (as in run {run})", seconds(left))));
            }
        }
        let (since, before) = self.rate_from[0];
        let rate = (ended - before.min(ended)) as f64 / now.duration_since(since).as_secs_f64().max(0.1);
        if rate >= 0.1 {
            parts.push((4, if rate < 10.0 { format!("{rate:.1}/s") } else { format!("{rate:.0}/s") }));
        }
        let failed = counts.failed + counts.errors;
        let others = [(1, failed, "failed"), (3, counts.cached, "cached")];
        let others = others.iter().filter(|(_, number, _)| *number > 0);
        parts.extend(others.map(|(rank, number, what)| (*rank, format!("{number} {what}"))));
        fitting(parts, self.columns.unwrap_or(usize::MAX))
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
}

/// The parts with the lowest ranks that fit, in the order in which they are given.
fn fitting(mut parts: Vec<(u8, String)>, columns: usize) -> String {
    const BETWEEN: &str = " · ";
    loop {
        let text = parts.iter().map(|(_, part)| part.as_str()).collect::<Vec<_>>().join(BETWEEN);
        let last = (0..parts.len()).max_by_key(|at| parts[*at].0);
        match last {
            Some(last) if parts.len() > 1 && console::measure_text_width(&text) > columns => drop(parts.remove(last)),
            _ => return text,
        }
    }
}

fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        whole @ 10..60 => format!("{whole} s"),
        whole => duration(whole.saturating_mul(1_000_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::fitting;

    #[test]
    fn what_matters_least_is_left_out_first() {
        let parts = || {
            vec![(0, "1.2 s".to_owned()), (2, "3 s left".to_owned()), (4, "9/s".to_owned()), (1, "1 failed".to_owned())]
        };
        assert_eq!(fitting(parts(), 100), "1.2 s · 3 s left · 9/s · 1 failed");
        assert_eq!(fitting(parts(), 30), "1.2 s · 3 s left · 1 failed");
        assert_eq!(fitting(parts(), 20), "1.2 s · 1 failed");
        assert_eq!(fitting(parts(), 3), "1.2 s");
    }
}
