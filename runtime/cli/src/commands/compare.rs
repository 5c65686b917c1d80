//! `wasmill compare`: what is different between two runs.
//!
//! Owns: how differences are listed. Does not know: how they are found.

use std::fmt::Write as _;

use serde_json::json;
use wasmill_executor::PlanSnapshot;
use wasmill_insight::{Comparison, Earlier, JobChange, Reason, compare, explain};
use wasmill_model::{Digest, RunId, RunState};

use crate::args::{Global, OutputFormat};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::Mill;
use crate::recorded::{Recorded, action_of};
use crate::report::print;
use crate::report::summary::{status, times, verdict};
use crate::report::text::{count, duration, harmless};

/// Lines of each kind that are shown.
const SHOWN: usize = 20;

/// `wasmill compare`.
pub(crate) fn runs(global: &Global, first: Option<RunId>, second: Option<RunId>) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let after = Recorded::find(&mill.storage, second)?;
    let before = match first {
        Some(first) => Recorded::find(&mill.storage, Some(first))?,
        None => Recorded::before(&mill.storage, &after.record)?,
    };
    let found = compare((&before.record, &before.jobs), (&after.record, &after.jobs));
    let diff = plan_diff(&mill, before.record.snapshot, after.record.snapshot);
    let whys: Vec<Option<Reason>> = found.changed.iter().map(|change| why(&mill, &before, &after, change)).collect();
    let text = match global.format {
        OutputFormat::Json => {
            let changed = found.changed.iter().zip(&whys).map(|(change, why)| {
                let why = why.as_ref().map(|why| json!({ "why": why, "said": why.to_string() }));
                json!({ "job": change.job, "action": change.action, "result": change.result, "changes": why })
            });
            let changed: Vec<_> = changed.collect();
            let durations: Vec<_> = found.durations.iter().map(|(job, was, is)| json!([job, was, is])).collect();
            let said = json!({
                "before": before.record, "after": after.record, "setup": found.setup, "plan": diff,
                "added": found.added, "removed": found.removed, "changed": changed, "same": found.same,
                "durations_ns": durations,
            });
            format!("{said}\n")
        }
        _ => as_text(&before, &after, &found, &whys, diff.as_deref()),
    };
    print(text.as_bytes());
    Ok(exit_code::SUCCESS)
}

/// Why the second run was asked for something else.
fn why(mill: &Mill, before: &Recorded, after: &Recorded, change: &JobChange) -> Option<Reason> {
    let (was, is) = (&before.jobs[change.before], &after.jobs[change.after]);
    if !change.action || was.key.is_none() || is.key.is_none() {
        return None;
    }
    let earlier = Earlier { run: before.record.id, report: was, action: action_of(&mill.storage, was) };
    Some(explain(is, action_of(&mill.storage, is).as_ref(), Some(&earlier), false, mill.storage.as_ref()))
}

/// The lines of the plan that are different, where both texts are still there and they differ.
fn plan_diff(mill: &Mill, before: Option<Digest>, after: Option<Digest>) -> Option<String> {
    let text = |snapshot: Option<Digest>| {
        PlanSnapshot::find(&snapshot?, mill.storage.as_ref()).ok().map(|snapshot| snapshot.text().to_owned())
    };
    let (before, after) = (text(before)?, text(after)?);
    if before == after {
        return None;
    }
    let diff = similar::TextDiff::from_lines(&before, &after);
    Some(diff.unified_diff().context_radius(0).to_string())
}

fn as_text(
    before: &Recorded,
    after: &Recorded,
    found: &Comparison,
    whys: &[Option<Reason>],
    diff: Option<&str>,
) -> String {
    let mut text = String::new();
    for record in [&before.record, &after.record] {
        let (verdict, times) = match &record.state {
            RunState::Started => ("not ended".to_owned(), String::new()),
            RunState::Ended(summary) => (verdict(summary), times(summary)),
        };
        let _ = writeln!(text, "run {} of {}: {verdict}", record.id, harmless(&record.plan));
        if !times.is_empty() {
            let _ = writeln!(text, "  {times}");
        }
    }
    for (what, was, is) in &found.setup {
        let _ = writeln!(text, "{what}: {} → {}", harmless(was), harmless(is));
    }
    if let Some(diff) = diff {
        let _ = writeln!(text, "\nthe plan");
        list(&mut text, diff.lines().filter(|line| !line.starts_with("@@")).map(harmless));
    }
    if !found.added.is_empty() {
        let _ = writeln!(text, "\n{} only in run {}", count(found.added.len(), "job"), after.record.id);
        list(&mut text, found.added.iter().map(|job| harmless(job)));
    }
    if !found.removed.is_empty() {
        let _ = writeln!(text, "\n{} only in run {}", count(found.removed.len(), "job"), before.record.id);
        list(&mut text, found.removed.iter().map(|job| harmless(job)));
    }
    if !found.changed.is_empty() {
        let _ = writeln!(text, "\n{} with other inputs or results", count(found.changed.len(), "job"));
        list(
            &mut text,
            found.changed.iter().zip(whys).map(|(change, why)| {
                let (was, is) = (&before.jobs[change.before], &after.jobs[change.after]);
                let what = match (change.action, change.result) {
                    _ if was.key.is_none() || is.key.is_none() => {
                        return format!("{}: {} → {}", harmless(&change.job), status(was.status), status(is.status));
                    }
                    (true, true) => "other inputs, other result",
                    (true, false) => "other inputs, same result",
                    (false, _) => "same inputs, other result",
                };
                let why = why.as_ref().map_or_else(String::new, |why| format!(" ({})", harmless(&why.to_string())));
                format!("{}: {what}{why}", harmless(&change.job))
            }),
        );
    }
    if !found.durations.is_empty() {
        let _ = writeln!(text, "\nhow long {} took that both executed", count(found.durations.len(), "job"));
        list(
            &mut text,
            found.durations.iter().map(|(job, was, is)| {
                let times = *is as f64 / (*was).max(1) as f64;
                format!("{}: {} → {} ({times:.2}x)", harmless(job), duration(*was), duration(*is))
            }),
        );
    }
    let _ = writeln!(text, "\n{} with the same inputs and the same result", count(found.same, "job"));
    text
}

fn list(text: &mut String, lines: impl Iterator<Item = String>) {
    let mut more = 0;
    for (at, line) in lines.enumerate() {
        if at < SHOWN {
            let _ = writeln!(text, "  {line}");
        } else {
            more += 1;
        }
    }
    if more > 0 {
        let _ = writeln!(text, "  … {more} more (`--format json` has all)");
    }
}
