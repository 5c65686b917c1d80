//! kill -9 is a normal way to stop.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::TestSpace;

const JOBS: usize = 400;

fn wide() -> TestSpace {
    let space = TestSpace::new();
    for index in 0..JOBS {
        space.write(&format!("in/{index:03}"), format!("input {index}"));
    }
    space.guest("copy").write(
        "mill.toml",
        r#"
            [modules.copy]
            file = "copy.wasm"
            [jobs.copy]
            module = "copy"
            for-each = { file = "in/*" }
            in = { "/in/leaf" = "{file}" }
            save = { "result" = "out/{file.name}" }
        "#,
    );
    space
}

/// Runs until `stop_after` jobs were reported, then kills the process; returns the names of the reported jobs.
fn run_and_kill(space: &TestSpace, stop_after: usize) -> BTreeSet<String> {
    let mut child =
        space.command(&["run", "--format", "json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut reported = BTreeSet::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if event["event"] == "job-finished" {
            assert_eq!(event["status"], "succeeded");
            reported.insert(event["job"].as_str().unwrap().to_owned());
        }
        if reported.len() >= stop_after {
            child.kill().unwrap();
            break;
        }
    }
    child.wait().unwrap();
    reported
}

#[test]
fn after_a_kill_only_what_was_not_reported_may_run_again() {
    let space = wide();
    let mut reported = BTreeSet::new();
    for stop_after in [1, 30, 90, 5, 150] {
        reported.extend(run_and_kill(&space, stop_after));
        let listed = space.run(&["runs", "-n", "1"]);
        assert!(listed.stdout.contains("killed before its end"), "{}", listed.stdout);
    }
    let last = space.jobs(&[]);
    assert_eq!((last.code, last.by_name.len()), (0, JOBS));
    for job in last.executed() {
        assert!(!reported.contains(job), "{job} was reported as done before the kill, and ran again");
    }
    for index in 0..JOBS {
        assert_eq!(space.read(&format!("out/{index:03}")), format!("input {index}"));
    }
    assert!(space.jobs(&[]).all("succeeded", true));
}

/// What a run says until it is killed, `after` its start.
fn run_until(space: &TestSpace, after: Duration) -> BTreeSet<String> {
    let mut child =
        space.command(&["run", "--format", "json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reader = std::thread::spawn(move || {
        let events = lines.filter_map(|line| serde_json::from_str::<Value>(&line.unwrap()).ok());
        let ended = events.filter(|event| event["event"] == "job-finished" && event["status"] == "succeeded");
        ended.map(|event| event["job"].as_str().unwrap().to_owned()).collect()
    });
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn two_hundred_kills_at_any_moment_lose_nothing_that_was_reported() {
    let space = wide();
    // As long as a whole run takes here and now.
    let began = std::time::Instant::now();
    assert_eq!(space.jobs(&[]).code, 0);
    let whole_us = u64::try_from(began.elapsed().as_micros()).unwrap().min(120_000);
    // More of them by hand, see CONTRIBUTING.md.
    let wanted = std::env::var("WASMILL_TEST_KILLS").map_or(200, |text| text.parse().unwrap());
    let seed: u64 = std::env::var("WASMILL_TEST_SEED").map_or(0, |text| text.parse().unwrap());
    let (mut kills, mut rounds, mut in_the_middle, mut chance) = (0, 0, 0, 0x2545_f491_4f6c_dd1d_u64 ^ seed);
    while kills < wanted {
        rounds += 1;
        for index in 0..JOBS {
            space.write(&format!("in/{index:03}"), format!("input {index} of round {rounds}"));
        }
        let mut reported = BTreeSet::new();
        for _ in 0..10 {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            // A collection of garbage beside it is killed as well, at another moment.
            let collecting = (kills % 3 == 0).then(|| {
                let mut child = space.command(&["gc", "-q"]);
                child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
            });
            let more = run_until(&space, Duration::from_micros(chance % whole_us));
            if let Some(mut collecting) = collecting {
                std::thread::sleep(Duration::from_micros(chance % 7_000));
                collecting.kill().unwrap();
                collecting.wait().unwrap();
            }
            in_the_middle += usize::from(!more.is_empty() && more.len() < JOBS);
            reported.extend(more);
            kills += 1;
        }
        let last = space.jobs(&[]);
        assert_eq!((last.code, last.by_name.len()), (0, JOBS));
        for job in last.executed() {
            assert!(!reported.contains(job), "{job} was reported as done in round {rounds}, and ran again");
        }
        for index in 0..JOBS {
            assert_eq!(space.read(&format!("out/{index:03}")), format!("input {index} of round {rounds}"));
        }
    }
    assert!(in_the_middle > 5, "only {in_the_middle} of {kills} kills came in the middle of reports");
}

/// Everything that a plan may do while it grows, with numbers that `round` decides.
fn growing(space: &TestSpace, round: u64) {
    let plan = r#"
        [modules.script]
        file = "script.wasm"
        [modules.sum]
        file = "sum_tree.wasm"
        [defaults]
        module = "script"
        [jobs.sum]
        module = "sum"
        args = ["0", "LAST"]
        yields = "plan.json"
        save = { "sum" = "sum.txt" }
        [jobs.split]
        in = { "/in/sum" = { job = "sum", path = "sum" } }
        args = ["write", "parts/a", "ROUND a", "write", "parts/b", "ROUND b", "write", "parts/c", "ROUND c"]
        [jobs.scan]
        for-each = { part = { entries = { job = "split", path = "parts" } } }
        in = { "/in/part" = { job = "split", path = "parts/{part}" } }
        args = ["copy", "/in/part", "scanned"]
        [jobs.grade]
        for-each = { part = { entries = { job = "split", path = "parts" } } }
        in = { "/in/scan" = { job = "scan[{part}]" } }
        args = ["join", "/in/scan", "grade"]
        save = { "grade" = "grades/{part}" }
        [jobs.solve]
        for-each = { c = ["fail", "write", "spin"] }
        in = { "/in/sum" = { job = "sum", path = "sum" } }
        race = { first = 1 }
        args = ["{c}", "found", "ROUND by {c}"]
        [jobs.all]
        in = { "/in/1" = { jobs = "grade" }, "/in/2" = { job = "solve" }, "/in/3" = { job = "sum", path = "sum" } }
        args = ["join", "/in", "all"]
        save = { "all" = "all.txt" }
    "#;
    let last = (300 + round).to_string();
    space.write("mill.toml", plan.replace("ROUND", &round.to_string()).replace("LAST", &last));
}

#[test]
fn a_hundred_kills_while_a_plan_grows_change_nothing_about_what_comes_of_it() {
    let space = TestSpace::new();
    space.guest("script").guest("sum_tree");
    growing(&space, 9_999);
    assert_eq!(space.jobs(&[]).code, 0);
    // As long as a whole run takes here and now, once its modules are compiled.
    growing(&space, 999);
    let began = std::time::Instant::now();
    assert_eq!(space.jobs(&[]).code, 0);
    let whole_us = u64::try_from(began.elapsed().as_micros()).unwrap().min(400_000);
    let wanted = std::env::var("WASMILL_TEST_KILLS").map_or(100, |text| text.parse().unwrap());
    let seed: u64 = std::env::var("WASMILL_TEST_SEED").map_or(0, |text| text.parse().unwrap());
    let (mut kills, mut in_the_middle, mut chance) = (0, 0, 0x9e37_79b9_7f4a_7c15_u64 ^ seed);
    for round in 0.. {
        growing(&space, round);
        let mut reported = BTreeSet::new();
        for _ in 0..5 {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            let more = run_until(&space, Duration::from_micros(chance % whole_us));
            in_the_middle += usize::from(!more.is_empty() && !more.contains("all"));
            reported.extend(more);
            kills += 1;
        }
        let last = space.jobs(&[]);
        assert_eq!(last.code, 0, "{last:#?}");
        for job in last.executed() {
            assert!(!reported.contains(job), "{job} was reported as done in round {round}, and ran again");
        }
        let sum: u64 = (0..300 + round).sum();
        assert_eq!(space.read("sum.txt"), sum.to_string());
        assert_eq!(space.read("grades/b"), format!("{round} b\n"));
        let all = format!("{round} a\n{round} b\n{round} c\n{round} by write\n{sum}\n");
        assert_eq!(space.read("all.txt"), all);
        if kills >= wanted {
            break;
        }
    }
    assert!(in_the_middle > 5, "only {in_the_middle} of {kills} kills came in the middle of reports");
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_cleanly_and_the_next_run_goes_on() {
    let space = TestSpace::new();
    space.guest("loop_forever").guest("copy").write("leaf", "x").write(
        "mill.toml",
        r#"
            [modules.loop]
            file = "loop_forever.wasm"
            [modules.copy]
            file = "copy.wasm"
            [jobs.done]
            module = "copy"
            in = { "/in/leaf" = "leaf" }
            [jobs.endless]
            module = "loop"
            in = { "/in/x" = { job = "done" } }
            [jobs.never]
            module = "copy"
            in = { "/in/leaf" = "leaf", "/in/x" = { job = "endless" } }
        "#,
    );
    let mut child =
        space.command(&["run", "--format", "json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut events = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if event["event"] == "job-started" && event["job"] == "endless" {
            let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
            assert!(killed.unwrap().success());
        }
        events.push(event);
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let status = |job: &str| {
        let found = events.iter().find(|event| event["event"] == "job-finished" && event["job"] == job);
        found.unwrap_or_else(|| panic!("{job} is not in {events:#?}"))["status"].as_str().unwrap().to_owned()
    };
    assert_eq!([status("done"), status("endless"), status("never")], ["succeeded", "cancelled", "cancelled"]);
    assert_eq!(events.last().unwrap()["event"], "run-finished");
    assert_eq!(events.last().unwrap()["cancelled"], true);
    assert!(space.jobs(&["--job", "done"]).all("succeeded", true), "what was durable stays");
}
