//! `wasmill verify`: executing what was recorded again.
//!
//! Owns: which run and how many of its actions, and how the findings are shown. Does not know: how results are
//! compared.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wasmill_executor::{Recorded, Verdict, recorded};
use wasmill_model::port::RunLog as _;
use wasmill_model::{RunId, RunRecord};

use crate::args::{Global, OutputFormat};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::{Mill, default_workers};
use crate::report::print;
use crate::report::text::{count, duration};
use crate::settings::Settings;

/// What was found out so far.
#[derive(Debug, Default)]
struct Found {
    same: usize,
    different: usize,
    failed: usize,
    skipped: usize,
    cancelled: usize,
}

/// `wasmill verify`.
pub(crate) fn verify(
    global: &Global,
    run: Option<RunId>,
    sample: Option<u32>,
    jobs: Option<u16>,
) -> Result<u8, CliError> {
    let began = Instant::now();
    let settings = Settings::find(global, None, None)?;
    let mill = Mill::open_as(global, &settings)?;
    let run = find_run(&mill, run)?;
    let reports = mill.storage.jobs(run.id).map_err(|error| CliError::store(&error))?;
    let mut actions = recorded(&reports);
    if let Some(sample) = sample {
        actions = spread(actions, sample as usize);
    }
    let total = actions.len();
    let found = Arc::new(Mutex::new(Found::default()));
    let (theirs, is_json) = (Arc::clone(&found), global.format == OutputFormat::Json);
    let bar = progress_bar(global, total);
    let shown = bar.clone();
    let workers = jobs.map_or_else(default_workers, usize::from);
    mill.verify(actions, workers, move |one, verdict| {
        let mut found = theirs.lock().unwrap_or_else(PoisonError::into_inner);
        found.add(&verdict);
        if is_json {
            print(format!("{}\n", json_of(one, &verdict)).as_bytes());
        } else if let Some(error) = error_of(one, &verdict) {
            shown.suspend(|| drop(write!(anstream::stderr(), "{}", error.human())));
        }
        shown.inc(1);
    })?;
    bar.finish_and_clear();
    let found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
    let wall_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let engine = settings.engine.value.to_string();
    if is_json {
        print(format!("{}\n", found.json(&run, &engine, wall_ns)).as_bytes());
    } else if !global.quiet {
        print(format!("{}\n", found.human(&run, &engine, wall_ns)).as_bytes());
    }
    let code = found.exit_code();
    mill.close()?;
    Ok(code)
}

fn find_run(mill: &Mill, run: Option<RunId>) -> Result<RunRecord, CliError> {
    let found = match run {
        Some(run) => mill.storage.run(run),
        None => mill.storage.runs(1).map(|runs| runs.into_iter().next()),
    };
    found.map_err(|error| CliError::store(&error))?.ok_or_else(|| match run {
        Some(run) => {
            CliError::new(exit_code::INPUT, format!("there is no run {run}")).hint("`wasmill runs` lists them")
        }
        None => CliError::new(exit_code::INPUT, "there is no run yet").hint("`wasmill run` makes one"),
    })
}

/// Some of the actions, evenly spread from the first to the last.
fn spread(actions: Vec<Recorded>, sample: usize) -> Vec<Recorded> {
    let total = actions.len();
    if sample >= total {
        return actions;
    }
    (0..sample).filter_map(|index| actions.get(index * total / sample).cloned()).collect()
}

fn progress_bar(global: &Global, total: usize) -> ProgressBar {
    if global.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template("verifying {bar:24.green/dim} {pos}/{len} {elapsed} ETA {eta}") {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar
}

fn error_of(one: &Recorded, verdict: &Verdict) -> Option<CliError> {
    let code = exit_code::NOT_REPRODUCED;
    Some(match verdict {
        Verdict::Same | Verdict::Cancelled => return None,
        Verdict::Different(difference) => {
            let mut error = CliError::new(code, format!("job `{}` came to another result", one.job));
            error.causes.push(format!("{} differs", difference.what));
            error.causes.push(format!("recorded: {}", difference.recorded));
            error.causes.push(format!("now:      {}", difference.now));
            if let Some(at) = difference.at_byte {
                error.causes.push(format!("the first different byte is number {at}, counted from 0"));
            }
            error.hint(format!("its action key is {}", one.key))
        }
        Verdict::Skipped(why) => {
            let mut error = CliError::new(code, format!("job `{}` cannot be verified here", one.job));
            error.causes.push(why.clone());
            error
        }
        Verdict::Failed(lines) => CliError {
            causes: lines.clone(),
            ..CliError::new(code, format!("job `{}` could not be executed", one.job))
        },
    })
}

fn json_of(one: &Recorded, verdict: &Verdict) -> serde_json::Value {
    let mut line = serde_json::json!({ "event": "verified", "job": one.job, "key": one.key });
    let details = match verdict {
        Verdict::Same => serde_json::json!({ "verdict": "same" }),
        Verdict::Different(difference) => serde_json::json!({
            "verdict": "different",
            "what": difference.what,
            "recorded": difference.recorded,
            "now": difference.now,
            "at_byte": difference.at_byte,
        }),
        Verdict::Skipped(why) => serde_json::json!({ "verdict": "skipped", "why": [why] }),
        Verdict::Failed(lines) => serde_json::json!({ "verdict": "failed", "why": lines }),
        Verdict::Cancelled => serde_json::json!({ "verdict": "cancelled" }),
    };
    if let (Some(line), serde_json::Value::Object(details)) = (line.as_object_mut(), details) {
        line.extend(details);
    }
    line
}

impl Found {
    fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Same => self.same += 1,
            Verdict::Different(_) => self.different += 1,
            Verdict::Failed(_) => self.failed += 1,
            Verdict::Skipped(_) => self.skipped += 1,
            Verdict::Cancelled => self.cancelled += 1,
        }
    }

    fn exit_code(&self) -> u8 {
        match () {
            () if self.different + self.failed > 0 => exit_code::NOT_REPRODUCED,
            () if self.cancelled > 0 => exit_code::CANCELLED,
            // Nothing was shown.
            () if self.skipped > 0 && self.same == 0 => exit_code::NOT_REPRODUCED,
            () => exit_code::SUCCESS,
        }
    }

    fn human(&self, run: &RunRecord, engine: &str, wall_ns: u64) -> String {
        let mut text = format!("run {}: {} gave the same result again", run.id, count(self.same, "action"));
        for (number, what) in [
            (self.different, "gave another result"),
            (self.failed, "could not be executed"),
            (self.skipped, "cannot be verified here"),
            (self.cancelled, "not reached"),
        ] {
            if number > 0 {
                text.push_str(&format!(", {number} {what}"));
            }
        }
        format!("{text} (on {engine}, {})", duration(wall_ns))
    }

    fn json(&self, run: &RunRecord, engine: &str, wall_ns: u64) -> serde_json::Value {
        serde_json::json!({
            "event": "verify-finished",
            "run": run.id,
            "engine": engine,
            "same": self.same,
            "different": self.different,
            "failed": self.failed,
            "skipped": self.skipped,
            "cancelled": self.cancelled,
            "wall_ns": wall_ns,
        })
    }
}
