//! `wasmill analyze`: where the time of a run went, and what would change that.
//!
//! Owns: what is said of the critical path, of other numbers of workers, and of advice. Does not know: how any of it is found.

use std::fmt::Write as _;

use serde_json::json;
use wasmill_insight::text::percent;
use wasmill_insight::{Advice, Anatomy, CriticalPath, Summary, advise};
use wasmill_model::RunId;

use crate::args::{ArtifactArgs, Global, OutputFormat};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::Mill;
use crate::recorded::Recorded;
use crate::report::summary::{details, repeated, times, verdict_of};
use crate::report::text::{count, duration, harmless, harmless_lines};
use crate::report::{Artifacts, print};

/// Jobs of a long path that are named: so many of the longest.
const PATH_SHOWN: usize = 20;

/// Advice that is given.
const ADVICE_SHOWN: usize = 10;

/// Jobs that an advice names.
const JOBS_NAMED: usize = 3;

/// `wasmill analyze`.
pub(crate) fn analyze(global: &Global, run: Option<RunId>, asked_for: &ArtifactArgs) -> Result<u8, CliError> {
    let artifacts = Artifacts::new(asked_for)?;
    let mill = Mill::open(global)?;
    let recorded = Recorded::find(&mill.storage, run)?;
    let anatomy = Anatomy::of(&recorded.record, &recorded.jobs);
    let path = CriticalPath::in_full(&anatomy);
    let summary = Summary::of(&anatomy, &path);
    let advice = advise(&anatomy, &path, &summary);
    artifacts.write(&mill.storage, &recorded)?;
    let text = match global.format {
        OutputFormat::Json => {
            let names: Vec<&str> = path.steps.iter().map(|step| recorded.jobs[step.job].job.as_str()).collect();
            let said = json!({
                "run": recorded.record.id, "plan": recorded.record.plan, "summary": summary,
                "critical_path": { "jobs": names, "steps": path.steps, "length_ns": path.length_ns },
                "slack_ns": slack(&anatomy, &path).collect::<Vec<_>>(), "workers": path.workers, "advice": advice,
            });
            format!("{said}\n")
        }
        _ => {
            let mut text = format!(
                "run {} of {}: {}\n",
                recorded.record.id,
                recorded.record.plan,
                verdict_of(&recorded.record, &summary.run)
            );
            let _ = writeln!(text, "  {}", times(&summary.run));
            if let Some(said) = repeated(&recorded.record) {
                let _ = writeln!(text, "  {said}");
                if let Some(run) = recorded.record.repeats.filter(|_| recorded.record.own_jobs == 0) {
                    let _ = writeln!(text, "  `wasmill analyze {run}` says where the time of that one went");
                }
            }
            for line in details(&anatomy, &summary) {
                let _ = writeln!(text, "  {line}");
            }
            if recorded.record.setup.is_none() {
                text += "  an earlier version of wasmill wrote this record: what jobs waited for, and how many workers there were, is not known\n";
            }
            text += &where_it_went(&summary);
            text += &chain(&anatomy, &path);
            text += &workers(&path, recorded.record.setup.is_some());
            text + &advised(&anatomy, &advice)
        }
    };
    print(harmless_lines(&text).as_bytes());
    // Whoever cannot be told keeps nobody else from reading it.
    artifacts.send(&recorded)?;
    Ok(exit_code::SUCCESS)
}

/// Wall time of the workers, by what they did.
fn where_it_went(summary: &Summary) -> String {
    if summary.in_hand_ns == 0 {
        return String::new();
    }
    let parts = [
        ("reading inputs and looking up", summary.resolve_ns),
        ("compiling, or waiting for it", summary.prepare_ns),
        ("executing", summary.execute_ns),
        ("handing results to the store", summary.store_ns),
    ];
    let mut text = format!("\nwhere {} of workers' wall time went\n", duration(summary.in_hand_ns));
    for (what, ns) in parts {
        let _ = writeln!(text, "  {:>10}  {:>6}  {what}", duration(ns), percent(ns, summary.in_hand_ns));
    }
    text
}

fn chain(anatomy: &Anatomy<'_>, path: &CriticalPath) -> String {
    if path.steps.is_empty() {
        return String::new();
    }
    let mut text = format!("\ncritical path: {} of {} in all jobs\n", duration(path.length_ns), duration(path.work_ns));
    let _ = writeln!(text, "  {:>10}  {:>6}  {:>15}  JOB", "TOOK", "SHARE", "SAVED IF HALVED");
    let mut longest: Vec<usize> = (0..path.steps.len()).collect();
    longest.sort_by_key(|step| std::cmp::Reverse(path.steps[*step].took_ns));
    longest.truncate(PATH_SHOWN);
    longest.sort_unstable();
    for step in longest.iter().map(|step| &path.steps[*step]) {
        let saves = step.halved_saves_ns.map_or_else(|| "-".to_owned(), duration);
        let (took, share) = (duration(step.took_ns), percent(step.took_ns, path.length_ns));
        let _ = writeln!(text, "  {took:>10}  {share:>6}  {saves:>15}  {}", harmless(&anatomy.jobs[step.job].job));
    }
    if path.steps.len() > longest.len() {
        let _ = writeln!(text, "  … and {}", count(path.steps.len() - longest.len(), "shorter job"));
    }
    let mut slack: Vec<(u64, &str)> =
        slack(anatomy, path).filter(|(_, slack_ns)| *slack_ns > 0).map(|(job, ns)| (ns, job)).collect();
    slack.sort_unstable();
    if let Some((middle, _)) = slack.get(slack.len() / 2) {
        let (free, half) = (count(slack.len(), "job"), duration(*middle));
        let _ = writeln!(text, "  {free} beside it could have ended later, half of them by {half} or more");
        let least = slack.iter().take(JOBS_NAMED).map(|(ns, job)| format!("{} {}", harmless(job), duration(*ns)));
        let _ = writeln!(text, "  least slack: {}", least.collect::<Vec<_>>().join(", "));
    }
    text
}

/// Each job, with how much later it could have ended without a longer chain, in nanoseconds.
fn slack<'a>(anatomy: &'a Anatomy<'_>, path: &'a CriticalPath) -> impl Iterator<Item = (&'a str, u64)> {
    anatomy.jobs.iter().map(|report| report.job.as_str()).zip(path.slack_ns.iter().copied())
}

fn workers(path: &CriticalPath, is_known: bool) -> String {
    if path.steps.is_empty() {
        return String::new();
    }
    let mut text = "\nwith other numbers of workers (replayed from what the jobs took)\n".to_owned();
    let _ = writeln!(text, "  {:>7}  {:>10}  {:>8}  {:>10}", "WORKERS", "TIME", "SPEED-UP", "EFFICIENCY");
    for one in &path.workers {
        let mark = if one.is_actual && is_known { "  as it was" } else { "" };
        let (time, efficiency) = (duration(one.time_ns), one.efficiency * 100.0);
        let _ = writeln!(text, "  {:>7}  {time:>10}  {:>8.2}  {efficiency:>8.0} %{mark}", one.workers, one.speed_up);
    }
    text
}

fn advised(anatomy: &Anatomy<'_>, advice: &[Advice]) -> String {
    if advice.is_empty() {
        return "\nno advice: nothing stands out\n".to_owned();
    }
    let mut text = "\nadvice\n".to_owned();
    for one in advice.iter().take(ADVICE_SHOWN) {
        let _ = writeln!(text, "  {}", one.title);
        let _ = writeln!(text, "    figure: {}", one.figure);
        let _ = writeln!(text, "    change: {}", one.change);
        if one.jobs.len() > 1 {
            let names = one.jobs.iter().take(JOBS_NAMED).map(|job| anatomy.jobs[*job].job.as_str());
            let _ = writeln!(text, "    jobs:   {}", names.collect::<Vec<_>>().join(", "));
        }
    }
    text
}
