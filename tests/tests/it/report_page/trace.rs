//! `--trace`: what Perfetto and Chrome are given.

use serde_json::Value;

use super::reported;
use crate::support::TestSpace;

/// A slice: where it lies, from when to when, and what it is called. Times are in microseconds.
struct Slice<'a> {
    place: (&'a Value, &'a Value),
    from: f64,
    to: f64,
    name: &'a str,
    is_job: bool,
}

/// Times are written in thousandths of a microsecond.
const ROUNDING_US: f64 = 0.002;

fn slices(trace: &Value) -> Vec<Slice<'_>> {
    let events = trace["traceEvents"].as_array().expect("a list of events");
    let slices = events.iter().filter(|event| event["ph"] == "X").map(|event| {
        let number = |name: &str| event[name].as_f64().unwrap_or_else(|| panic!("{name} of {event}"));
        assert!(number("dur") >= 0.0 && number("ts") >= 0.0, "{event}");
        assert!(event["pid"].is_u64() && event["tid"].is_u64(), "{event}");
        let name = event["name"].as_str().expect("a name");
        let is_job = !event["args"]["status"].is_null();
        let (from, to) = (number("ts"), number("ts") + number("dur"));
        Slice { place: (&event["pid"], &event["tid"]), from, to, name, is_job }
    });
    slices.collect()
}

fn trace_of(space: &TestSpace) -> Value {
    serde_json::from_str(&space.read("t.json")).expect("JSON")
}

#[test]
fn each_job_that_a_worker_had_in_hand_has_a_slice() {
    let space = reported();
    let trace = trace_of(&space);
    let mut jobs: Vec<&str> = slices(&trace).iter().filter(|slice| slice.is_job).map(|slice| slice.name).collect();
    jobs.sort_unstable();
    let (_, shown) = space.events(&["show", "2"]);
    let mut in_hand: Vec<&str> =
        shown.iter().filter(|job| !job["trace"]["worker"].is_null()).map(|job| job["job"].as_str().unwrap()).collect();
    in_hand.sort_unstable();
    assert_eq!(jobs, in_hand);
    assert!(jobs.contains(&"apart") && jobs.contains(&"bad") && !jobs.contains(&"behind"), "{jobs:?}");
}

#[test]
fn what_a_job_did_lies_within_it() {
    let space = reported();
    let trace = trace_of(&space);
    let all = slices(&trace);
    let mut parts = 0;
    for part in all.iter().filter(|slice| !slice.is_job) {
        let within = |job: &&Slice<'_>| {
            let is_around = job.from <= part.from + ROUNDING_US && part.to <= job.to + ROUNDING_US;
            job.is_job && job.place == part.place && is_around
        };
        assert!(all.iter().any(|job| within(&job)), "{} at {} is in no job", part.name, part.from);
        assert!(["resolve", "prepare", "execute", "store"].contains(&part.name), "{}", part.name);
        parts += 1;
    }
    assert!(parts >= 4, "{parts} parts");
    // A worker has one job in hand at a time.
    let jobs: Vec<&Slice<'_>> = all.iter().filter(|slice| slice.is_job).collect();
    for (at, one) in jobs.iter().enumerate() {
        for other in jobs[at + 1..].iter().filter(|other| other.place == one.place) {
            let apart = one.to <= other.from + ROUNDING_US || other.to <= one.from + ROUNDING_US;
            assert!(apart, "{} and {} at the same time", one.name, other.name);
        }
    }
}

#[test]
fn lanes_have_names_and_arrows_have_two_ends() {
    let space = reported();
    let trace = trace_of(&space);
    let events = trace["traceEvents"].as_array().unwrap();
    let named = |what: &'static str| events.iter().filter(move |event| event["ph"] == "M" && event["name"] == what);
    assert_eq!(named("process_name").next().unwrap()["args"]["name"], "run 2 of reported <b>plan</b>");
    for slice in slices(&trace) {
        let is_named = named("thread_name").any(|event| (&event["pid"], &event["tid"]) == slice.place);
        assert!(is_named, "the lane of {} has no name", slice.name);
    }
    let ends = |ph: &str| events.iter().filter(|event| event["ph"] == ph).map(|event| &event["id"]).collect::<Vec<_>>();
    assert_eq!(ends("s"), ends("f"));
    for counter in events.iter().filter(|event| event["ph"] == "C") {
        let (running, waiting) = (&counter["args"]["running"], &counter["args"]["waiting"]);
        assert!(running.as_i64() >= Some(0) && waiting.as_i64() >= Some(0), "{counter}");
    }
    assert_eq!(trace["displayTimeUnit"], "ms");
}
