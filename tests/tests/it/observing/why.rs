//! `wasmill why`: each reason there is to execute a job, and what is said where there was none.

use std::path::Path;

use serde_json::json as value;
use wasmill_model::Digest;

use super::{EXPLAINED, explained, json, program, said};
use crate::support::TestSpace;

/// Runs the plan, changes something, runs it again, and says why.
fn why_after(change: impl Fn(&TestSpace)) -> String {
    let space = explained();
    assert_eq!(space.run(&["run", "-q"]).code, 0);
    change(&space);
    let again = space.run(&["run", "-q"]);
    assert_eq!(again.code, 0, "{again:?}");
    said(&space, &["why"])
}

fn replace(space: &TestSpace, from: &str, to: &str) {
    assert!(EXPLAINED.contains(from));
    space.write("mill.toml", EXPLAINED.replace(from, to));
}

fn short(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string()[..8].to_owned() + "…"
}

#[test]
fn a_job_that_never_ran_is_new() {
    let space = explained();
    space.run(&["run", "-q"]);
    assert_eq!(said(&space, &["why"]), "one: new job\n");
    assert_eq!(said(&space, &["why", "one"]), "one was executed in run 1: new job\n");
}

#[test]
fn a_file_that_changed_is_named_with_both_digests() {
    let line = why_after(|space| {
        space.write("x", "2");
    });
    assert_eq!(line, format!("one: input /in/x changed: {} → {}\n", short("1"), short("2")));
}

#[test]
fn files_of_a_directory_that_changed_came_or_went_are_named() {
    let space = explained();
    space.write("dir/gone", "g").run(&["run", "-q"]);
    std::fs::remove_file(space.path("dir/gone")).unwrap();
    space.write("dir/below/file", "other").write("dir/new", "n").run(&["run", "-q"]);
    let text = said(&space, &["why", "one"]);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert!(lines[0].starts_with("one was executed in run 2: input /in/dir changed: "), "{text}");
    assert!(lines[1].starts_with("key in run 1  ") && lines[2].starts_with("key in run 2  "), "{text}");
    assert_ne!(lines[1].split("  ").last(), lines[2].split("  ").last());
    let changed = format!("below/file changed: {} → {}", short("f"), short("other"));
    assert_eq!(lines[lines.len() - 3..], [changed.as_str(), "gone is gone", "new is new"]);
    assert!(!text.contains("kept"), "{text}");
}

#[test]
fn many_changed_files_are_cut_off() {
    let space = explained();
    space.run(&["run", "-q"]);
    for at in 0..30 {
        space.write(&format!("dir/{at}"), "new");
    }
    space.run(&["run", "-q"]);
    let text = said(&space, &["why", "one"]);
    assert_eq!(text.lines().filter(|line| line.ends_with(" is new")).count(), 20, "{text}");
    assert!(text.ends_with("      … more than 20 files\n"), "{text}");
    let files = &json(&space, &["why", "one"])["files"][0];
    assert_eq!((files["files"].as_array().unwrap().len(), &files["more"]), (20, &true.into()));
}

#[test]
fn each_part_of_an_action_has_its_words() {
    assert_eq!(why_after(|space| program(space, "hello")), "one: module changed\n");
    let line = why_after(|space| replace(space, "64MiB", "32MiB"));
    assert_eq!(line, "one: limits memory changed: 64 MiB → 32 MiB\n");
    assert_eq!(why_after(|space| replace(space, "\"a\"", "\"b\"")), "one: env MODE changed: a → b\n");
    let line = why_after(|space| replace(space, "MODE = \"a\"", "MODE = \"a\", MORE = \"\""));
    assert_eq!(line, "one: env MORE is new\n");
    let line = why_after(|space| replace(space, "env = { MODE = \"a\" }", "args = [\"now\"]"));
    assert_eq!(line, "one: args changed:  → now, and 1 more\n");
    assert_eq!(why_after(|space| replace(space, ", \"/in/dir\" = \"dir\"", "")), "one: input /in/dir is gone\n");
    assert_eq!(why_after(|space| replace(space, "[jobs.one]", "[jobs.one]\nseed = 3")), "one: seed changed: 0 → 3\n");
    let line = why_after(|space| replace(space, "[jobs.one]", "[jobs.one]\nstdin = { text = \"s\" }"));
    assert_eq!(line, "one: stdin is new\n");
}

#[test]
fn a_known_result_is_no_reason() {
    let space = explained();
    space.run(&["run", "-q"]);
    space.write("x", "2").run(&["run", "-q"]);
    // Changed back: the first run knows the result, though the second was the last.
    space.write("x", "1").run(&["run", "-q"]);
    assert_eq!(said(&space, &["why"]), "1 job of run 3: not executed\n");
    assert_eq!(said(&space, &["why", "one"]), "one in run 3: not executed: its result was known\n");
}

#[test]
fn an_earlier_run_can_be_asked_about() {
    let space = explained();
    space.run(&["run", "-q"]);
    space.write("x", "2").run(&["run", "-q"]);
    space.run(&["run", "-q"]);
    assert_eq!(said(&space, &["why", "--run", "1"]), "one: new job\n");
    assert!(said(&space, &["why", "--run", "2"]).starts_with("one: input /in/x changed"));
    assert_eq!(said(&space, &["why", "--run", "2", "one"]).lines().count(), 6);
}

#[test]
fn what_was_asked_for_is_a_reason() {
    let space = explained();
    space.run(&["run", "-q"]);
    space.run(&["run", "-q", "--fresh"]);
    assert_eq!(said(&space, &["why"]), "one: asked for with --fresh\n");
}

const FAILING: &str = r#"
    [modules.exit]
    file = "exit_code.wasm"
    [modules.loop]
    file = "loop_forever.wasm"
    [jobs.bad]
    module = "exit"
    args = ["3"]
    [jobs.late]
    module = "loop"
    limits = { timeout = "20ms" }
    [jobs.behind]
    module = "exit"
    args = ["0"]
    in = { "/in/bad" = { job = "bad" } }
"#;

#[test]
fn failures_and_what_is_never_recorded_are_reasons() {
    let space = TestSpace::new();
    space.guest("exit_code").guest("loop_forever").write("mill.toml", FAILING);
    assert_eq!(space.run(&["run", "-k", "-q"]).code, 100);
    assert_eq!(space.run(&["run", "-k", "-q"]).code, 100);
    assert_eq!(said(&space, &["why", "bad"]), "bad in run 2: not executed: its result was known\n");
    assert_eq!(said(&space, &["why", "behind"]), "behind in run 2: not executed\n");
    let late = said(&space, &["why", "late"]);
    assert!(late.starts_with("late was executed in run 2: not recorded last time: timed out\n"), "{late}");
    space.run(&["run", "-k", "-q", "--retry-failed"]);
    let bad = said(&space, &["why", "bad"]);
    assert!(bad.starts_with("bad was executed in run 3: failed last time: exited with code 3\n"), "{bad}");
    let (_, all) = space.events(&["why"]);
    let reason = |job: &str| all.iter().find(|line| line["job"] == job).unwrap()["why"].clone();
    assert_eq!(reason("bad"), value!({ "reason": "failed", "how": "exited with code 3" }));
    assert_eq!(reason("late"), value!({ "reason": "unrecorded", "how": "timed out" }));
    assert_eq!(reason("behind"), value!(null));
}

#[test]
fn a_result_that_the_store_lost_was_evicted() {
    let space = TestSpace::new();
    let plan =
        "[modules.files]\nfile = \"files.wasm\"\n[jobs.one]\nmodule = \"files\"\nin = { \"/in/leaf\" = \"leaf\" }\n";
    space.guest("files").write("mill.toml", plan).write("leaf", "leaf");
    assert_eq!(space.run(&["run", "-q"]).code, 0);
    assert_eq!(space.run(&["scrub"]).code, 0);
    let log = std::fs::read_dir(space.path("store/log")).unwrap().map(|entry| entry.unwrap().path());
    for segment in log.filter(|path| path.extension().is_some_and(|end| end == "seg")) {
        damage(&segment, b"/in/leaf 4 bytes, sum");
    }
    assert_eq!(space.run(&["scrub"]).code, 107);
    let again = space.run(&["run"]);
    assert!(again.stderr.contains("(evicted: its result is not in the store any more)"), "{again:?}");
    assert_eq!(said(&space, &["why"]), "one: evicted: its result is not in the store any more\n");
    assert_eq!(json(&space, &["why"])["why"], value!({ "reason": "evicted" }));
}

fn damage(file: &Path, content: &[u8]) {
    let mut bytes = std::fs::read(file).unwrap();
    let hits: Vec<usize> = (0..bytes.len() - content.len()).filter(|at| bytes[*at..].starts_with(content)).collect();
    assert!(!hits.is_empty());
    hits.iter().for_each(|at| bytes[at + 1] ^= 1);
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn programs_are_told_the_same() {
    let space = explained();
    space.run(&["run", "-q"]);
    let first = json(&space, &["why"]);
    assert_eq!((&first["job"], &first["executed"], &first["before"]), (&"one".into(), &true.into(), &value!(null)));
    assert_eq!(first["why"], value!({ "reason": "new" }));
    space.write("dir/kept", "changed").run(&["run", "-q"]);
    let second = json(&space, &["why", "one"]);
    assert_eq!(second["before"], value!({ "run": 1, "key": first["key"] }));
    assert_eq!(second["why"]["reason"], "changed");
    let change = &second["why"]["changes"][0];
    assert_eq!(change["field"], "input /in/dir");
    assert!(change["before"].as_str().unwrap().len() == 64 && change["before"] != change["after"], "{second}");
    let digest = |text: &str| Digest::of(text.as_bytes()).to_string();
    let file = value!({ "path": "kept", "before": digest("k"), "after": digest("changed") });
    assert_eq!(second["files"], value!([{ "field": "input /in/dir", "files": [file], "more": false }]));
    assert!(said(&space, &["why"]).ends_with(&format!("{}\n", second["said"].as_str().unwrap())));
    space.run(&["run", "-q"]);
    let cached = json(&space, &["why"]);
    assert_eq!((&cached["executed"], &cached["why"], &cached["said"]), (&false.into(), &value!(null), &value!(null)));
}

#[test]
fn what_a_job_read_of_another_is_an_input_too() {
    let space = TestSpace::new();
    let plan = r#"
        [modules.copy]
        file = "copy.wasm"
        [jobs.first]
        module = "copy"
        in = { "/in/leaf" = "leaf" }
        [jobs.second]
        module = "copy"
        args = ["another action"]
        in = { "/in/leaf" = { job = "first", path = "result" } }
    "#;
    space.guest("copy").write("mill.toml", plan).write("leaf", "1");
    space.run(&["run", "-q"]);
    space.write("leaf", "2").run(&["run", "-q"]);
    let change = format!("input /in/leaf changed: {} → {}", short("1"), short("2"));
    assert_eq!(said(&space, &["why"]), format!("first: {change}\nsecond: {change}\n"));
}

/// One store, many projects: what is asked for without a number is about the plan in this folder.
#[test]
fn the_latest_run_is_that_of_the_plan_in_this_folder() {
    let space = explained();
    assert_eq!(space.run(&["run", "-q"]).code, 0);
    space.write("other/mill.toml", "name = \"other\"\n");
    assert_eq!(space.run(&["run", "-q", "other"]).code, 0);
    assert_eq!(said(&space, &["why", "one"]), "one was executed in run 1: new job\n");
    assert!(said(&space, &["analyze"]).starts_with("run 1 of explained: "));
    assert_eq!(json(&space, &["stats"])["plan"], "explained");
    std::fs::remove_file(space.path("mill.toml")).unwrap();
    assert!(said(&space, &["analyze"]).starts_with("run 2 of other: "));
}
