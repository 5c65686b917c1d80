//! Going on with a run as it began, although everything on the host has changed since.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::TestSpace;

/// Three jobs that end, over a list in a file and a glob, and one that goes on for three seconds.
fn space() -> TestSpace {
    let space = TestSpace::new();
    for name in ["a", "b", "c"] {
        space.write(&format!("in/{name}"), format!("{name} as it was"));
    }
    space.write("names.txt", "a\nb\n").write("also/x", "x as it was");
    space.guest("copy").guest("loop_forever").write(
        "mill.toml",
        r#"
            name = "then"
            [modules]
            copy = { file = "copy.wasm" }
            loop = { file = "loop_forever.wasm" }
            [jobs.copy]
            module = "copy"
            for-each = { name = { lines = "names.txt" } }
            in = { "/in/leaf" = "in/{name}" }
            save = { "result" = "out/{name}" }
            [jobs.also]
            module = "copy"
            for-each = { file = "also/*" }
            in = { "/in/leaf" = "{file}" }
            [jobs.slow]
            module = "loop"
            limits = { timeout = "3s" }
            [jobs.behind]
            module = "copy"
            in = { "/in/leaf" = "in/c", "/in/slow" = { job = "slow" } }
        "#,
    );
    space
}

/// Everything is different, and the plan is none any more.
fn change_everything(space: &TestSpace) {
    for name in ["in/a", "in/b", "also/x"] {
        space.write(name, "something else");
    }
    space.write("also/y", "new").write("names.txt", "a\nz\n").write("mill.toml", "this is no plan");
    space.write("copy.wasm", "this is no module");
}

fn kill_after_three(space: &TestSpace) {
    let mut child = space.command(&["run", "-k", "--format", "json"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let events = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    assert_eq!(events.filter(|event| event["event"] == "job-finished").take(3).count(), 3);
    // A run's record is at most a second behind what was reported.
    std::thread::sleep(Duration::from_millis(1_300));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_run_that_was_killed_goes_on_as_it_began() {
    let space = space();
    kill_after_three(&space);
    change_everything(&space);
    assert_eq!(space.run(&["run"]).code, 102, "the plan is broken");
    let resumed = space.jobs(&["--resume", "1", "-k"]);
    assert_eq!(resumed.code, 100, "{:?}", resumed.by_name);
    for name in ["copy[a]", "copy[b]", "also[x]"] {
        let (status, is_cached, _) = &resumed.by_name[name];
        assert_eq!((status.as_str(), *is_cached), ("succeeded", true), "{name}");
    }
    assert_eq!(resumed.by_name["slow"].0, "failed");
    assert_eq!(resumed.by_name.len(), 5, "{:?}", resumed.by_name.keys());
    assert_eq!(space.read("out/a"), "a as it was");
    // What goes on can be gone on with; and what has to run runs, with the module as it was.
    let again = space.jobs(&["--resume", "2", "-k", "--fresh"]);
    let (status, is_cached, _) = &again.by_name["copy[b]"];
    assert_eq!((status.as_str(), *is_cached), ("succeeded", false));
    assert_eq!(space.read("out/b"), "b as it was");
}

#[test]
fn a_selection_is_part_of_what_a_run_began_with() {
    let space = space();
    assert_eq!(space.jobs(&["--job", "copy[a]"]).code, 0);
    change_everything(&space);
    let resumed = space.jobs(&["--resume", "1"]);
    assert_eq!((resumed.code, resumed.by_name.len()), (0, 1));
    assert!(resumed.by_name["copy[a]"].1);
}

#[test]
fn collecting_garbage_leaves_what_a_kept_run_began_with() {
    let space = space();
    assert_eq!(space.jobs(&["--job", "copy[a]"]).code, 0);
    change_everything(&space);
    assert_eq!(space.run(&["gc", "--grace", "0s", "--keep-last", "1", "--keep-days", "0"]).code, 0);
    assert_eq!(space.jobs(&["--resume", "1"]).code, 0);
}

#[test]
fn what_cannot_be_resumed_says_why() {
    let space = space();
    let none = space.run(&["run", "--resume", "7"]);
    assert_eq!(none.code, 103);
    assert!(none.stderr.contains("run 7 cannot be resumed: there is no such run"), "{}", none.stderr);
    let both = space.run(&["run", ".", "--resume", "7"]);
    assert_eq!(both.code, 101, "{}", both.stderr);
}
