//! A run as a trace that Perfetto and Chrome draw.
//!
//! Owns: the Trace Event Format (JSON object form, as `ui.perfetto.dev` and `chrome://tracing` read it). Does not know: where
//! the file goes.

use serde_json::{Value, json};
use wasmill_insight::{Anatomy, CriticalPath};
use wasmill_model::JobReport;

use crate::recorded::Recorded;

/// What stands for the process in the trace.
const PROCESS: u32 = 1;

/// The trace of a run.
pub(crate) fn trace(recorded: &Recorded) -> String {
    let Recorded { record, jobs } = recorded;
    let anatomy = Anatomy::of(record, jobs);
    let path = CriticalPath::of(&anatomy);
    let mut events = vec![named("process_name", 0, &format!("run {} of {}", record.id, record.plan))];
    events.extend(
        (0..anatomy.workers()).map(|worker| named("thread_name", worker as u64 + 1, &format!("worker {worker}"))),
    );
    for (place, report) in jobs.iter().enumerate() {
        events.extend(slices(&anatomy, &path, place, report));
    }
    for pair in path.steps.windows(2) {
        events.extend(arrow(&jobs[pair[0].job], &jobs[pair[1].job], pair[1].job).into_iter().flatten());
    }
    events.extend(running(jobs));
    json!({ "displayTimeUnit": "ms", "traceEvents": events }).to_string()
}

fn named(what: &str, thread: u64, name: &str) -> Value {
    json!({ "ph": "M", "name": what, "pid": PROCESS, "tid": thread, "args": { "name": name } })
}

fn us(ns: u64) -> f64 {
    ns as f64 / 1e3
}

/// A job on its worker's lane, and in it where its time went.
fn slices(anatomy: &Anatomy<'_>, path: &CriticalPath, place: usize, report: &JobReport) -> Vec<Value> {
    let Some(worker) = report.trace.worker else { return Vec::new() };
    let family = &anatomy.families[anatomy.family_of[place]];
    let slice = |name: &str, from_ns: u64, took_ns: u64, args: Value| {
        json!({
            "ph": "X", "name": name, "cat": family, "pid": PROCESS, "tid": u64::from(worker) + 1,
            "ts": us(from_ns), "dur": us(took_ns), "args": args,
        })
    };
    let took = report.ended_ns.saturating_sub(report.started_ns);
    let whole = json!({
        "status": report.status, "cached": report.cached, "action": report.key, "cpu_ms": report.usage.cpu_ns as f64 / 1e6,
        "memory_bytes": report.usage.memory_peak_bytes, "waited_ms": us(report.started_ns.saturating_sub(report.ready_ns)) / 1e3,
        "slack_ms": us(path.slack_ns[place]) / 1e3,
    });
    let mut slices = vec![slice(&report.job, report.started_ns, took, whole)];
    let phases = &report.trace.phases;
    if report.trace.attempts > 0 {
        let mut from = report.started_ns;
        let parts = [
            ("resolve", phases.resolve_ns),
            ("prepare", phases.prepare_ns),
            ("execute", report.usage.wall_ns),
            ("store", phases.store_ns),
        ];
        for (name, part) in parts {
            // They are measured one by one, and may come to a little more than the whole.
            let part = part.min(report.ended_ns.saturating_sub(from));
            if part > 0 {
                slices.push(slice(name, from, part, json!({})));
            }
            from += part;
        }
    }
    slices
}

/// From one job of the critical path to the next.
fn arrow(from: &JobReport, to: &JobReport, id: usize) -> Option<[Value; 2]> {
    let (one, other) = (from.trace.worker?, to.trace.worker?);
    let half = |ph: &str, worker: u32, ns: u64| json!({ "ph": ph, "name": "critical path", "cat": "critical", "id": id, "bp": "e", "pid": PROCESS, "tid": u64::from(worker) + 1, "ts": us(ns) });
    Some([half("s", one, from.ended_ns.saturating_sub(1)), half("f", other, to.started_ns)])
}

/// How many jobs were in hand, and how many waited for a worker.
fn running(jobs: &[JobReport]) -> Vec<Value> {
    let mut steps: Vec<(u64, i64, i64)> = Vec::new();
    for report in jobs.iter().filter(|report| report.trace.worker.is_some()) {
        steps.extend([(report.ready_ns, 0, 1), (report.started_ns, 1, -1), (report.ended_ns, -1, 0)]);
    }
    steps.sort_unstable();
    let (mut running, mut waiting) = (0, 0);
    let mut events = Vec::with_capacity(steps.len());
    for (at, runs, waits) in steps {
        (running, waiting) = (running + runs, waiting + waits);
        events.push(json!({
            "ph": "C", "name": "jobs", "pid": PROCESS, "ts": us(at), "args": { "running": running, "waiting": waiting },
        }));
    }
    events
}
