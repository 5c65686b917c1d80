//! Trees that are put into one another until nobody could write them out: very deep ones, and small ones that are very many files.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::support::TestSpace;

/// Job `l0` leaves a file, and each further one the directory of the one before so many times.
fn levels(count: usize, times: usize) -> Map<String, Value> {
    let mut jobs = Map::from_iter([("l0".to_owned(), json!({ "args": ["write", "f", "hello"] }))]);
    for level in 1..=count {
        let below = |at| (format!("/w/{at}"), json!({ "job": format!("l{}", level - 1), "mode": "rw" }));
        let mounts: Map<String, Value> = (0..times).map(below).collect();
        jobs.insert(format!("l{level}"), json!({ "in": mounts, "out": ["/w"] }));
    }
    jobs
}

fn space(jobs: &Map<String, Value>) -> TestSpace {
    let space = TestSpace::new();
    let modules = json!({ "script": { "file": "script.wasm" } });
    let plan = json!({ "modules": modules, "defaults": { "module": "script" }, "jobs": jobs });
    space.guest("script").write("mill.json", plan.to_string());
    space
}

#[test]
fn what_is_nested_too_deep_is_an_error_wherever_it_is_walked() {
    let mut jobs = levels(1_100, 1);
    jobs["l1100"]["save"] = json!({ ".": "saved" });
    jobs.insert("looks".to_owned(), json!({ "in": { "/in/x": { "job": "l1100" } }, "args": ["join", "/in", "all"] }));
    let space = space(&jobs);
    let first = space.jobs(&["mill.json", "--keep-going"]);
    assert_eq!((first.code, first.status("l1099"), first.status("l1100")), (100, "succeeded", "error"));
    let wrong = first.by_name["l1100"].2["error"].to_string();
    assert!(wrong.contains("nested deeper than 1024"), "{wrong}");
    // A guest comes to where it is told that names are too long.
    assert_eq!(first.status("looks"), "failed");

    let digest = first.output_digest("l1099");
    for command in [&["ls", "-r", &digest][..], &["get", "-r", &digest, "got"]] {
        let said = space.run(command);
        assert_ne!(said.code, 0, "{command:?}");
        assert!(said.stderr.contains("nested deeper than 1024"), "{command:?}: {}", said.stderr);
    }
    for command in [&["doctor"][..], &["gc"], &["verify"], &["show", "1", "l1099"]] {
        let said = space.run(command);
        assert_eq!(said.code, 0, "{command:?}: {said:?}");
    }
}

#[test]
fn a_directory_that_is_in_very_many_places_is_looked_at_once() {
    let space = space(&levels(30, 10));
    let began = Instant::now();
    assert_eq!(space.jobs(&["mill.json"]).code, 0);
    for command in [&["doctor"][..], &["gc"], &["verify"]] {
        let said = space.run(command);
        assert_eq!(said.code, 0, "{command:?}: {said:?}");
    }
    // And where it is another one: without files, nothing that differs is ever found.
    let plan = space.read("mill.json");
    space.write("mill.json", plan.replace("\"write\",\"f\",\"hello\"", ""));
    assert_eq!(space.jobs(&["mill.json"]).code, 0);
    assert_eq!(space.run(&["compare", "1", "2"]).code, 0);
    assert!(began.elapsed() < Duration::from_secs(60), "each of 10^30 places was looked at");
}

#[test]
fn a_yielded_plan_cannot_come_to_more_than_its_job_may_leave() {
    let plan_of = |count| json!({ "jobs": levels(count, 10), "result": { "job": format!("l{count}") } }).to_string();
    let job = json!({
        "args": ["copy", "/in/plan", "plan.json"],
        "in": { "/in/plan": "plan.json" },
        "yields": "plan.json",
        "save": { ".": "saved" },
        "limits": { "output": "1MiB" },
    });
    let space = space(&Map::from_iter([("hostile".to_owned(), job)]));
    // 5 bytes at a thousand places, with what an entry counts for.
    space.write("plan.json", plan_of(3));
    assert_eq!(space.jobs(&["mill.json"]).code, 0);
    assert_eq!(space.read("saved/w/9/w/9/w/9/f"), "hello");

    for count in [4, 30] {
        space.write("plan.json", plan_of(count));
        let jobs = space.jobs(&["mill.json"]);
        assert_eq!((jobs.code, jobs.status("hostile")), (100, "error"), "{count}");
        let wrong = jobs.by_name["hostile"].2["error"].to_string();
        assert!(wrong.contains("the result of its plan comes to") && wrong.contains("1048576"), "{wrong}");
        assert!(!space.path("saved/w/0/w/0/w/0/w").exists());
    }
    // One directory in the next, far deeper than a guest could make them.
    space.write("plan.json", json!({ "jobs": levels(1_100, 1), "result": { "job": "l1100" } }).to_string());
    let jobs = space.jobs(&["mill.json"]);
    let wrong = jobs.by_name["hostile"].2["error"].to_string();
    assert!(jobs.code == 100 && wrong.contains("nested deeper than 1024"), "{wrong}");
}
