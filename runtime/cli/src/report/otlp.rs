//! A run as OpenTelemetry spans, sent to a collector.
//!
//! Owns: which span is which, and OTLP's JSON form over HTTP (OTLP 1.x, `POST /v1/traces`). Does not know: when it is sent.
//!
//! Everything is made of the run's record, so what is sent later is the same. Ids follow from the record as well: the trace's
//! from the run, a span's from the number of its job, which `wasmill show RUN --format json` has.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::Uri;
use wasmill_insight::Anatomy;
use wasmill_model::{Digest, JobReport, JobStatus, RunRecord, RunState};

use crate::error::CliError;
use crate::exit_code;
use crate::recorded::Recorded;

/// Spans in one request: collectors take a few megabytes at a time.
const SPANS_MAX: usize = 1_000;

/// Where collectors take spans.
const PATH: &str = "/v1/traces";

/// How long a collector may take for a request.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Statuses of OTLP.
const UNSET: u8 = 0;
const OK: u8 = 1;
const ERROR: u8 = 2;

/// Sends a run to the collector at `endpoint`, such as `http://localhost:4318`.
pub(crate) fn send(endpoint: &str, recorded: &Recorded) -> Result<(), CliError> {
    let base = endpoint.trim_end_matches('/');
    let url = if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") };
    let agent: ureq::Agent =
        ureq::Agent::config_builder().proxy(None).timeout_global(Some(ANSWERS_WITHIN)).build().into();
    for body in requests(recorded) {
        let sent = agent.post(&url).header("content-type", "application/json").send(body.to_string());
        sent.map_err(|error| {
            CliError::new(exit_code::HOST, format!("the run was not sent to {url}"))
                .because(&error)
                .hint("the run itself is recorded; `wasmill analyze RUN --otlp URL` sends it again")
        })?;
    }
    Ok(())
}

/// Whether a collector can be at a place of this name.
pub(crate) fn check(endpoint: &str) -> Result<(), String> {
    let Some(rest) = endpoint.strip_prefix("http://").filter(|rest| !rest.trim_matches('/').is_empty()) else {
        let why =
            "it has to begin with `http://`, such as http://localhost:4318 (a collector here can pass it on by TLS)";
        return Err(why.to_owned());
    };
    let uri: Uri = endpoint.parse().map_err(|error| format!("`{endpoint}` is no address: {error}"))?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
    let wrong = match () {
        () if uri.host().is_none_or(str::is_empty) => "it names no host",
        () if port.is_some_and(|port| port.parse::<u16>().is_err()) => "its port is no number up to 65535",
        () if authority.contains('@') => "it names a user",
        () if uri.query().is_some() || rest.contains('#') => "it has more than a path",
        () => return Ok(()),
    };
    Err(format!("`{endpoint}` cannot be a collector's address: {wrong}"))
}

/// The bodies of the requests that send a run.
fn requests(recorded: &Recorded) -> Vec<Value> {
    let spans = spans(recorded);
    let setup = recorded.record.setup.clone().unwrap_or_default();
    let resource = json!([
        text("service.name", "wasmill"),
        text("service.version", &setup.version),
        text("os.type", &setup.os),
        text("host.arch", &setup.architecture),
    ]);
    let scope = json!({ "name": "wasmill", "version": env!("CARGO_PKG_VERSION") });
    let body = |spans: &[Value]| {
        json!({
            "resourceSpans": [{
                "resource": { "attributes": resource },
                "scopeSpans": [{ "scope": scope, "spans": spans }],
            }],
        })
    };
    spans.chunks(SPANS_MAX).map(body).collect()
}

fn spans(recorded: &Recorded) -> Vec<Value> {
    let Recorded { record, jobs } = recorded;
    let anatomy = Anatomy::of(record, jobs);
    let summary = anatomy.summary();
    let trace = trace_id(record);
    let root = span_id(&trace, None);
    let began_ns = record.started_unix_ms.saturating_mul(1_000_000);
    let mut spans = vec![json!({
        "traceId": trace,
        "spanId": root,
        "name": format!("wasmill run {}", record.plan),
        "kind": 1,
        "startTimeUnixNano": began_ns.to_string(),
        "endTimeUnixNano": began_ns.saturating_add(summary.wall_ns).to_string(),
        "attributes": [
            text("wasmill.plan", &record.plan),
            number("wasmill.run", record.id.0),
            number("wasmill.jobs", summary.counts.jobs as u64),
            number("wasmill.jobs.cached", summary.counts.cached as u64),
            number("wasmill.workers", anatomy.workers() as u64),
            number("wasmill.cpu_ns", summary.cpu_ns),
        ],
        "status": { "code": match &record.state {
            RunState::Started => UNSET,
            RunState::Ended(_) if summary.is_success() => OK,
            RunState::Ended(_) => ERROR,
        } },
    })];
    for (place, report) in jobs.iter().enumerate().filter(|(_, report)| report.trace.worker.is_some()) {
        let family = &anatomy.families[anatomy.family_of[place]];
        spans.push(span(report, family, (&trace, &root), began_ns));
    }
    spans
}

fn span(report: &JobReport, family: &str, (trace, root): (&str, &str), began_ns: u64) -> Value {
    let at = |ns: u64| began_ns.saturating_add(ns).to_string();
    let phases = &report.trace.phases;
    let mut attributes = vec![
        text("wasmill.job", &report.job),
        text("wasmill.family", family),
        json!({ "key": "wasmill.cached", "value": { "boolValue": report.cached } }),
        number("wasmill.worker", report.trace.worker.map_or(0, u64::from)),
        number("wasmill.attempts", u64::from(report.trace.attempts)),
        number("wasmill.waited_ns", report.started_ns.saturating_sub(report.ready_ns)),
        number("wasmill.resolve_ns", phases.resolve_ns),
        number("wasmill.prepare_ns", phases.prepare_ns),
        number("wasmill.execute_ns", report.usage.wall_ns),
        number("wasmill.store_ns", phases.store_ns),
        number("wasmill.cpu_ns", report.usage.cpu_ns),
        number("wasmill.memory_peak_bytes", report.usage.memory_peak_bytes),
    ];
    attributes.extend(report.key.map(|key| text("wasmill.action", &key.to_string())));
    let code = match report.status {
        JobStatus::Failed | JobStatus::Error => ERROR,
        JobStatus::Succeeded => OK,
        // Nobody knows whether it would have gone well.
        JobStatus::Skipped | JobStatus::Cancelled | JobStatus::Omitted => UNSET,
    };
    let outcome = report.result.as_ref().map(|result| result.outcome.to_string());
    let message = outcome.filter(|_| code == ERROR).or_else(|| report.error.first().cloned()).unwrap_or_default();
    json!({
        "traceId": trace,
        "spanId": span_id(trace, Some(report.trace.number)),
        "parentSpanId": root,
        "name": report.job,
        "kind": 1,
        "startTimeUnixNano": at(report.started_ns),
        "endTimeUnixNano": at(report.ended_ns),
        "attributes": attributes,
        "status": { "code": code, "message": message },
    })
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// Whole numbers are texts in OTLP's JSON, as in Protocol Buffers'.
fn number(key: &str, value: u64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

/// 16 bytes that no other run of any store has.
fn trace_id(record: &RunRecord) -> String {
    let run = format!("wasmill run {} {} {}", record.id, record.started_unix_ms, record.plan);
    Digest::of(run.as_bytes()).to_string().chars().take(32).collect()
}

/// 8 bytes for a job of the run, or for the run itself.
fn span_id(trace: &str, job: Option<u32>) -> String {
    let span = job.map_or_else(|| trace.to_owned(), |job| format!("{trace} {job}"));
    Digest::of(span.as_bytes()).to_string().chars().take(16).collect()
}
