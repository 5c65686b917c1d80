//! What is said of a run when it is over.
//!
//! Owns: which figures are worth a line. Does not know: how they are found (`wasmill-insight`), or when they are shown.

use std::collections::BTreeMap;

use wasmill_insight::text::percent;
use wasmill_insight::{Advice, Anatomy, Reason, Share, Summary};
use wasmill_model::{JobStatus, RunCounts, RunId, RunRecord, RunState, RunSummary};

use super::text::{count, duration, size};

/// Reasons that are named.
const REASONS_SHOWN: usize = 3;

/// The first line.
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

/// What became of a job, in a word.
pub(crate) fn status(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Succeeded => "ok",
        JobStatus::Failed => "failed",
        JobStatus::Error => "error",
        JobStatus::Skipped => "skipped",
        JobStatus::Cancelled => "cancelled",
        JobStatus::Omitted => "omitted",
    }
}

/// The same of a run that may not have ended.
pub(crate) fn verdict_of(record: &RunRecord, summary: &RunSummary) -> String {
    match &record.state {
        RunState::Ended(_) => verdict(summary),
        RunState::Started => format!("not ended; {} recorded so far", count(summary.counts.jobs, "job")),
    }
}

/// What is said of a run that repeats another one.
pub(crate) fn repeated(record: &RunRecord) -> Option<String> {
    let run = record.repeats?;
    Some(match record.own_jobs {
        0 => format!("nothing had changed since run {run}"),
        _ => format!("what had not changed since run {run} was not gone through"),
    })
}

/// Wall time, CPU time, and what the cache saved: never added together.
pub(crate) fn times(summary: &RunSummary) -> String {
    let mut times = format!("wall {}", duration(summary.wall_ns));
    if summary.cpu_ns > 0 {
        let (cpu, factor) = (duration(summary.cpu_ns), summary.parallel_factor());
        times.push_str(&format!(", CPU in jobs {cpu} (parallel factor {factor:.2})"));
    }
    times.push_str(&cache(&summary.counts, summary.saved_ns));
    times
}

fn cache(counts: &RunCounts, saved_ns: u64) -> String {
    if counts.cached == 0 {
        return String::new();
    }
    let with_result = counts.succeeded + counts.failed;
    let rate = percent(counts.cached as u64, with_result.max(counts.cached) as u64);
    format!(", the cache had {} of {with_result} ({rate}) and saved {}", counts.cached, duration(saved_ns))
}

/// What else is worth saying of a run in which something was executed.
pub(crate) fn details(anatomy: &Anatomy<'_>, summary: &Summary) -> Vec<String> {
    let mut lines = Vec::new();
    let workers = count(anatomy.workers(), "worker");
    if summary.executed > 1 {
        lines.push(format!(
            "critical path {}; all jobs at best {} with {workers}, and they took {} ({} of what is possible)",
            duration(summary.critical_ns),
            duration(summary.possible_ns),
            duration(summary.span_ns),
            percent(summary.possible_ns.min(summary.span_ns), summary.span_ns)
        ));
        let named = |shares: &[Share]| {
            let one = |share: &Share| {
                let part = percent(share.wall_ns, summary.run.busy_ns);
                format!("{} {} ({part})", anatomy.jobs[share.job].job, duration(share.wall_ns))
            };
            shares.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        lines.push(format!("slowest: {}", named(&summary.slowest)));
        if !summary.fastest.is_empty() {
            lines.push(format!("fastest: {}", named(&summary.fastest)));
        }
    }
    let traffic = summary.run.traffic;
    if traffic.read_bytes + traffic.written_bytes > 0 {
        let (read, wrote) = (size(traffic.read_bytes), size(traffic.written_bytes));
        let mut line =
            format!("jobs read {read} and wrote {wrote}; the store grew by {}", size(summary.run.stored_bytes));
        if summary.run.known_bytes > 0 {
            line += &format!("; it had another {} already", size(summary.run.known_bytes));
        }
        lines.push(line);
    }
    if summary.run.retries > 0 {
        lines.push(if summary.run.retries == 1 {
            "1 retry".to_owned()
        } else {
            format!("{} retries", summary.run.retries)
        });
    }
    lines.extend(targets(anatomy, summary));
    lines
}

fn targets(anatomy: &Anatomy<'_>, summary: &Summary) -> Option<String> {
    let missed: Vec<_> = summary.targets.iter().filter(|target| !target.is_met).collect();
    if summary.targets.is_empty() {
        return None;
    }
    let met = summary.targets.len() - missed.len();
    let mut line = format!("SLA: {met} of {} met", count(summary.targets.len(), "target"));
    if let Some(worst) = missed.iter().max_by_key(|target| target.took_ns.saturating_sub(target.target_ns)) {
        let name = &anatomy.jobs[worst.job].job;
        line += &format!("; {name} took {} of {}", duration(worst.took_ns), duration(worst.target_ns));
    }
    Some(line)
}

/// How often each reason was one, the most frequent first.
pub(crate) fn reasons(reasons: impl Iterator<Item = Reason>) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason.family()).or_default() += 1;
    }
    let mut sorted: Vec<(String, usize)> = counts.into_iter().collect();
    sorted.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    let shown = sorted.iter().take(REASONS_SHOWN).map(|(reason, number)| format!("{reason} ({number})"));
    let mut shown: Vec<String> = shown.collect();
    if sorted.len() > REASONS_SHOWN {
        shown.push(count(sorted.len() - REASONS_SHOWN, "other reason"));
    }
    (!shown.is_empty()).then(|| format!("why: {}", shown.join(", ")))
}

/// Advice in one line; what to change needs more room.
pub(crate) fn advice(advice: &Advice, run: RunId) -> String {
    format!("advice: {}: {}; `wasmill analyze {run}` says more", advice.title, advice.figure)
}
