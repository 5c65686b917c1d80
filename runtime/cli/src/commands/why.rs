//! `wasmill why`: what is different about a job since the last time.
//!
//! Owns: the old key and the new one, field by field and file by file. Does not know: how actions are compared.

use std::fmt::Write as _;

use serde_json::json;
use wasmill_insight::{Change, Reason, TreeChange, tree_changes};
use wasmill_model::{JobReport, Mount, RunId};

use crate::args::{Global, OutputFormat};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::Mill;
use crate::recorded::{Past, Recorded};
use crate::report::print;
use crate::report::text::{count, harmless};

/// Files of a directory that are named.
const FILES_SHOWN: usize = 20;

/// `wasmill why`.
pub(crate) fn why(global: &Global, job: Option<&str>, run: Option<RunId>) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let recorded = Recorded::find(&mill.storage, run)?;
    let chosen = job.map(|job| recorded.job(job)).transpose()?;
    let jobs = chosen.map_or(recorded.jobs.as_slice(), |at| &recorded.jobs[at..=at]);
    let mut past = Past::before(&mill.storage, &recorded.record.plan, recorded.record.id)?;
    let (mut text, mut quiet) = (String::new(), 0);
    for report in jobs {
        let reason = past.why(&mill.storage, &recorded.record, report);
        match (global.format, chosen) {
            (OutputFormat::Json, _) => {
                let _ = writeln!(text, "{}", as_json(&mill, &mut past, report, reason.as_ref()));
            }
            (_, Some(_)) => text.push_str(&in_full(&mill, &mut past, recorded.record.id, report, reason.as_ref())),
            (_, None) => match reason {
                Some(reason) => {
                    let _ = writeln!(text, "{}: {}", harmless(&report.job), harmless(&reason.to_string()));
                }
                None => quiet += 1,
            },
        }
    }
    if quiet > 0 && global.format == OutputFormat::Human {
        let (what, run) = (count(quiet, if text.is_empty() { "job" } else { "other job" }), recorded.record.id);
        let _ = writeln!(text, "{what} of run {run}: not executed");
    }
    print(text.as_bytes());
    Ok(exit_code::SUCCESS)
}

fn not_executed(report: &JobReport) -> &'static str {
    if report.cached { "not executed: its result was known" } else { "not executed" }
}

fn in_full(mill: &Mill, past: &mut Past, run: RunId, report: &JobReport, reason: Option<&Reason>) -> String {
    let mut text = String::new();
    let Some(reason) = reason else {
        let why = not_executed(report);
        return format!("{} in run {run}: {why}\n", harmless(&report.job));
    };
    let _ = writeln!(text, "{} was executed in run {run}: {}", harmless(&report.job), harmless(&reason.to_string()));
    let key = |report: &JobReport| report.key.map_or_else(|| "-".to_owned(), |key| key.to_string());
    if let Some((before, was)) = past.report(&mill.storage, &report.job) {
        let _ = writeln!(text, "  key in run {before}  {}", key(was));
        let _ = writeln!(text, "  key in run {run}  {}", key(report));
    }
    let Reason::Changed { changes } = reason else { return text };
    for change in changes {
        let _ = writeln!(text, "  {}", harmless(&change.field));
        let side = |side: &Option<String>| harmless(side.as_deref().unwrap_or("(nothing)"));
        let _ = writeln!(text, "    - {}", side(&change.before));
        let _ = writeln!(text, "    + {}", side(&change.after));
        let (files, has_more) = files_of(mill, change);
        for file in &files {
            let what = match (&file.before, &file.after) {
                (Some(before), Some(after)) => format!("changed: {} → {}", brief(before), brief(after)),
                (None, _) => "is new".to_owned(),
                (_, None) => "is gone".to_owned(),
            };
            let _ = writeln!(text, "      {} {what}", harmless(&file.path));
        }
        if has_more {
            let _ = writeln!(text, "      … more than {}", count(FILES_SHOWN, "file"));
        }
    }
    text
}

fn brief(said: &str) -> String {
    harmless(&said.chars().take(8).collect::<String>()) + "…"
}

/// The files in a directory that has changed.
fn files_of(mill: &Mill, change: &Change) -> (Vec<TreeChange>, bool) {
    let tree = |mount: &Option<Mount>| match mount {
        Some(Mount::Directory { blob }) => Some(*blob),
        Some(Mount::File { .. }) | None => None,
    };
    match &change.content {
        Some((before, after)) => tree_changes(mill.storage.as_ref(), tree(before), tree(after), FILES_SHOWN),
        None => (Vec::new(), false),
    }
}

fn as_json(mill: &Mill, past: &mut Past, report: &JobReport, reason: Option<&Reason>) -> serde_json::Value {
    let before = past.report(&mill.storage, &report.job);
    let files = match reason {
        Some(Reason::Changed { changes }) => changes
            .iter()
            .map(|change| (change, files_of(mill, change)))
            .filter(|(_, (files, _))| !files.is_empty())
            .map(|(change, (files, more))| json!({ "field": change.field, "files": files, "more": more }))
            .collect(),
        _ => Vec::new(),
    };
    json!({
        "job": report.job,
        "executed": reason.is_some(),
        "why": reason,
        "said": reason.map(ToString::to_string),
        "key": report.key,
        "before": before.map(|(run, was)| json!({ "run": run, "key": was.key })),
        "files": files,
    })
}
