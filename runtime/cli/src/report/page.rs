//! A run as one HTML file that needs nothing else.
//!
//! Owns: the data that the page is given (`assets/report/` draws it), and putting the parts together. Does not know: how
//! anything is drawn, or how conclusions are drawn.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Value, json};
use wasmill_insight::text::percent;
use wasmill_insight::{Advice, Anatomy, CriticalPath, Summary, advise};
use wasmill_model::{JobReport, RunState};
use wasmill_storage::Storage;

use super::summary::verdict_of;
use super::text::{count, duration, size, time};
use crate::error::CliError;
use crate::recorded::{Past, Recorded};

const SKELETON: &str = include_str!("../../assets/report/report.html");
const STYLE: &str = include_str!("../../assets/report/report.css");

/// In the order in which they have to come: they share one scope.
const SCRIPTS: [&str; 17] = [
    include_str!("../../assets/report/data.js"),
    include_str!("../../assets/report/format.js"),
    include_str!("../../assets/report/dom.js"),
    include_str!("../../assets/report/state.js"),
    include_str!("../../assets/report/series.js"),
    include_str!("../../assets/report/draw.js"),
    include_str!("../../assets/report/timeline.js"),
    include_str!("../../assets/report/layout.js"),
    include_str!("../../assets/report/graph.js"),
    include_str!("../../assets/report/neighbours.js"),
    include_str!("../../assets/report/filter.js"),
    include_str!("../../assets/report/jobs.js"),
    include_str!("../../assets/report/details.js"),
    include_str!("../../assets/report/charts.js"),
    include_str!("../../assets/report/critical.js"),
    include_str!("../../assets/report/sections.js"),
    include_str!("../../assets/report/main.js"),
];

/// The number of the data's form, which the page knows.
const FORMAT: u32 = 1;

/// The page of a run.
pub(crate) fn page(storage: &Storage, recorded: &Recorded) -> Result<String, CliError> {
    let data = data(storage, recorded)?.to_string();
    // Nothing in it can end the element that it stands in.
    let data = data.replace('<', "\\u003c");
    let script = SCRIPTS.join("\n");
    let mut page = String::with_capacity(SKELETON.len() + STYLE.len() + script.len() + data.len());
    let mut rest = SKELETON;
    for (mark, part) in [("/*STYLE*/", STYLE), ("/*DATA*/", data.as_str()), ("/*SCRIPT*/", script.as_str())] {
        let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
        page.push_str(before);
        page.push_str(part);
        rest = after;
    }
    page.push_str(rest);
    Ok(page)
}

fn data(storage: &Storage, recorded: &Recorded) -> Result<Value, CliError> {
    let Recorded { record, jobs } = recorded;
    let anatomy = Anatomy::of(record, jobs);
    let path = CriticalPath::in_full(&anatomy);
    let summary = Summary::of(&anatomy, &path);
    let advice = advise(&anatomy, &path, &summary);
    let (whys, why) = whys(storage, recorded)?;
    let run = &summary.run;
    Ok(json!({
        "format": FORMAT,
        "run": {
            "id": record.id, "plan": record.plan, "started": time(record.started_unix_ms),
            "started_unix_ms": record.started_unix_ms, "verdict": verdict_of(record, run),
            "success": run.is_success() && matches!(record.state, RunState::Ended(_)),
            "wall_ns": run.wall_ns, "cpu_ns": run.cpu_ns, "busy_ns": run.busy_ns, "saved_ns": run.saved_ns,
        },
        "figures": figures(&anatomy, &summary),
        "environment": environment(recorded),
        "advice": advice.iter().map(advised).collect::<Vec<_>>(),
        "families": anatomy.families,
        "family_needs": anatomy.family_needs(),
        "whys": whys,
        "jobs": columns(&anatomy, &path, &why),
        "critical": {
            "path": path.steps.iter().map(|step| step.job).collect::<Vec<_>>(),
            "length_us": path.length_ns / 1_000,
            "whatif_us": path.steps.iter().map(|step| step.halved_saves_ns.map(|ns| ns / 1_000)).collect::<Vec<_>>(),
        },
        "workers": path.workers.iter().map(|one| json!({
            "workers": one.workers, "time_us": one.time_ns / 1_000, "speed_up": one.speed_up,
            "efficiency": one.efficiency, "is_actual": one.is_actual,
        })).collect::<Vec<_>>(),
        "slas": summary.targets.iter().map(|target| json!({
            "job": target.job, "target_us": target.target_ns / 1_000, "took_us": target.took_ns / 1_000,
            "critical": target.is_critical, "met": target.is_met,
        })).collect::<Vec<_>>(),
    }))
}

fn advised(advice: &Advice) -> Value {
    json!({ "title": advice.title, "figure": advice.figure, "change": advice.change, "jobs": advice.jobs })
}

#[derive(Serialize)]
struct Figure {
    name: &'static str,
    value: String,
    note: String,
}

fn figures(anatomy: &Anatomy<'_>, summary: &Summary) -> Vec<Figure> {
    let run = &summary.run;
    let figure = |name, value: String, note: &str| Figure { name, value, note: note.to_owned() };
    let part = |part: f64| format!("{:.0} %", part * 100.0);
    let slowest = summary.slowest.first().map(|share| {
        let name = &anatomy.jobs[share.job].job;
        figure("slowest job", duration(share.wall_ns), &format!("{name}, {} of all attempts", part(share.share)))
    });
    let met = summary.targets.iter().filter(|target| target.is_met).count();
    let targets = (!summary.targets.is_empty())
        .then(|| figure("SLA", format!("{met} of {}", summary.targets.len()), "targets that were met"));
    let all = [
        figure("wall time", duration(run.wall_ns), "from reading the plan to the last output"),
        figure("CPU time", duration(run.cpu_ns), "of the attempts of this run"),
        figure("parallel factor", format!("{:.2}", summary.parallel_factor), "CPU time for each second of wall time"),
        figure(
            "possible",
            duration(summary.possible_ns),
            &format!(
                "at best, with {}; the jobs came to {} of that",
                count(anatomy.workers(), "worker"),
                percent(summary.possible_ns.min(summary.span_ns), summary.span_ns)
            ),
        ),
        figure("critical path", duration(summary.critical_ns), "no number of workers makes it shorter"),
        figure("workers busy", part(summary.utilisation), "part of their time with a job in hand"),
        figure("executed", summary.executed.to_string(), &format!("of {}", count(run.counts.jobs, "job"))),
        figure("cache hits", part(summary.hit_rate), &format!("{} saved", duration(run.saved_ns))),
        figure("read", size(run.traffic.read_bytes), "by jobs, of their inputs"),
        figure("written", size(run.traffic.written_bytes), "by jobs, in what they left and to their streams"),
        figure("stored", size(run.stored_bytes), "by how much the store grew"),
        figure("deduplicated", size(run.known_bytes), "given to the store, which had it already"),
        figure("retries", run.retries.to_string(), "attempts that came to no result"),
    ];
    all.into_iter().chain(slowest).chain(targets).collect()
}

fn environment(recorded: &Recorded) -> Vec<(&'static str, String)> {
    let Some(setup) = &recorded.record.setup else {
        return vec![("record", "of an earlier version of wasmill, which noted less".to_owned())];
    };
    let mut all = vec![
        ("wasmill", setup.version.clone()),
        ("machine", format!("{} {}, {}", setup.os, setup.architecture, count(setup.cores as usize, "core"))),
        ("workers", setup.workers.to_string()),
        ("memory budget", setup.memory_bytes.map_or_else(|| "none".to_owned(), size)),
        ("engine", setup.engine.clone()),
    ];
    all.extend(setup.profile.clone().map(|profile| ("profile", profile)));
    let flags = [(setup.fresh, "--fresh"), (setup.retry_failed, "--retry-failed"), (setup.keep_going, "--keep-going")];
    let flags: Vec<&str> = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| *flag).collect();
    if !flags.is_empty() {
        all.push(("flags", flags.join(" ")));
    }
    if !setup.selected.is_empty() {
        all.push(("asked for", setup.selected.join(", ")));
    }
    all
}

/// Why jobs were executed: the reasons, and which of them each job had.
fn whys(storage: &Storage, recorded: &Recorded) -> Result<(Vec<String>, Vec<Option<usize>>), CliError> {
    let Recorded { record, jobs } = recorded;
    let mut past = Past::before(storage, &record.plan, record.id)?;
    let (mut all, mut places) = (Vec::new(), HashMap::new());
    let of = |report: &JobReport| {
        let said = past.why(storage, record, report)?.to_string();
        Some(*places.entry(said).or_insert_with_key(|said| {
            all.push(said.clone());
            all.len() - 1
        }))
    };
    let why = jobs.iter().map(of).collect();
    Ok((all, why))
}

fn columns(anatomy: &Anatomy<'_>, path: &CriticalPath, why: &[Option<usize>]) -> Value {
    let jobs = anatomy.jobs;
    fn column<T: Serialize>(jobs: &[JobReport], of: impl Fn(&JobReport) -> T) -> Value {
        json!(jobs.iter().map(of).collect::<Vec<_>>())
    }
    let us = |ns: u64| ns / 1_000;
    let needs: Vec<Vec<(u32, u32)>> = anatomy.needs.iter().map(|needs| ranges(needs)).collect();
    json!({
        "name": column(jobs, |report| report.job.clone()),
        "family": anatomy.family_of,
        "status": column(jobs, |report| report.status),
        "cached": column(jobs, |report| u8::from(report.cached)),
        "why": why,
        "ready_us": column(jobs, |report| us(report.ready_ns)),
        "start_us": column(jobs, |report| us(report.started_ns)),
        "end_us": column(jobs, |report| us(report.ended_ns)),
        "wall_us": column(jobs, |report| us(report.usage.wall_ns)),
        "cpu_us": column(jobs, |report| us(report.usage.cpu_ns)),
        "phases_us": column(jobs, |report| (report.trace.attempts > 0).then(|| {
            let phases = &report.trace.phases;
            [phases.resolve_ns, phases.prepare_ns, report.usage.wall_ns, phases.store_ns].map(us)
        })),
        "memory": column(jobs, |report| report.usage.memory_peak_bytes),
        "read": column(jobs, |report| report.trace.traffic.read_bytes),
        "written": column(jobs, |report| report.trace.traffic.written_bytes),
        "worker": column(jobs, |report| report.trace.worker),
        "attempts": column(jobs, |report| report.trace.attempts),
        "slack_us": path.slack_ns.iter().map(|ns| us(*ns)).collect::<Vec<_>>(),
        "needs": needs,
        "error": column(jobs, wrong),
    })
}

/// The first line of what went wrong with a job.
fn wrong(report: &JobReport) -> Option<String> {
    let outcome = report.result.as_ref().map(|result| &result.outcome).filter(|outcome| !outcome.is_success());
    outcome.map(ToString::to_string).or_else(|| report.error.first().cloned())
}

fn ranges(ascending: &[u32]) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for job in ascending {
        match ranges.last_mut() {
            Some((first, count)) if *first + *count == *job => *count += 1,
            _ => ranges.push((*job, 1)),
        }
    }
    ranges
}
