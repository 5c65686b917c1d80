//! What people read, whole: the output of every command that looks back, as snapshots without what differs each time.

use super::masked;
use crate::support::TestSpace;

/// One job that takes long, one behind it that takes a while, one that fails at once.
const PLAN: &str = r#"
    name = "texts"
    [modules.work]
    file = "batched.wasm"
    [modules.script]
    file = "script.wasm"
    [jobs.long]
    module = "work"
    stdin = "line"
    in = { "/items/x/in/leaf" = { text = "spin for long" } }
    sla = "1h"
    [jobs.behind]
    module = "work"
    stdin = "line"
    in = { "/items/x/in/leaf" = { text = "spin for a while" }, "/in/long" = { job = "long" }, "/in/folder" = "folder" }
    [jobs.bad]
    module = "script"
    args = ["fail"]
"#;

/// Has two runs of everything, the second with modules that are compiled, and one after a file, an argument and a limit were changed.
fn thrice() -> TestSpace {
    let space = TestSpace::new();
    space.guest("batched").guest("script").write("line", "{\"args\":[],\"input\":null,\"item\":\"x\"}\n");
    space.write("folder/kept", "1").write("folder/below/changed", "1").write("mill.toml", PLAN);
    assert_eq!(space.run(&["run", "-q", "-k", "--jobs", "1"]).code, 100);
    assert_eq!(space.run(&["run", "-q", "-k", "--jobs", "1", "--fresh"]).code, 100);
    space.write("folder/below/changed", "2");
    let other =
        PLAN.replace("args = [\"fail\"]", "args = [\"write\", \"x\", \"y\"]\n    limits = { memory = \"64MiB\" }");
    space.write("mill.toml", other);
    assert_eq!(space.run(&["run", "-q", "--jobs", "1"]).code, 0);
    space
}

/// What a command prints, with `#` for numbers, and `@` for digests: guests are not the same bytes for every compiler.
fn shown(space: &TestSpace, args: &[&str]) -> String {
    let said = space.run(args);
    let word = |word: &str| {
        let bare = word.trim_matches(|char: char| !char.is_ascii_alphanumeric());
        let is_digest = bare.len() >= 8 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
        match () {
            () if is_digest => word.replace(bare, "@"),
            () if word.starts_with(|char| ('▁'..='█').contains(&char)) => "█".to_owned(),
            () => word.to_owned(),
        }
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n";
    let text: String = format!("exit code {}\n{}{}", said.code, said.stdout, said.stderr).lines().map(line).collect();
    let text = masked(&text);
    // How fast a machine is from one run to the next, and which job differs most in that, is a matter of luck.
    let is_luck = |line: &&str| {
        ["regression: ", "advice: "].iter().any(|start| line.starts_with(start)) || line.ends_with(": # → # (#)")
    };
    text.lines().filter(|line| !is_luck(line)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_run_and_its_rehearsal() {
    let space = TestSpace::new();
    space.guest("batched").guest("script").write("line", "{\"args\":[],\"input\":null,\"item\":\"x\"}\n");
    space.write("folder/kept", "1").write("mill.toml", PLAN);
    // What follows is executed with modules that are compiled.
    space.run(&["run", "-q", "-k", "--jobs", "1"]);
    insta::assert_snapshot!("dry_run_fresh", shown(&space, &["run", "--dry-run", "--fresh"]));
    insta::assert_snapshot!("run_fresh", shown(&space, &["run", "--fresh", "-k", "--jobs", "1"]));
    insta::assert_snapshot!("run_cached", shown(&space, &["run", "-k"]));
    space.write("folder/kept", "2");
    insta::assert_snapshot!("dry_run_changed", shown(&space, &["run", "--dry-run"]));
    insta::assert_snapshot!("run_changed", shown(&space, &["run", "-k", "--retry-failed", "--jobs", "1"]));
}

#[test]
fn what_was_executed_and_why() {
    let space = thrice();
    insta::assert_snapshot!("why", shown(&space, &["why"]));
    insta::assert_snapshot!("why_job", shown(&space, &["why", "behind"]));
    insta::assert_snapshot!("why_job_limits", shown(&space, &["why", "bad"]));
    insta::assert_snapshot!("why_not", shown(&space, &["why", "long"]));
    insta::assert_snapshot!("why_new", shown(&space, &["why", "long", "--run", "1"]));
    insta::assert_snapshot!("runs", shown(&space, &["runs"]));
    insta::assert_snapshot!("show_run", shown(&space, &["show", "3"]));
    insta::assert_snapshot!("show_job", shown(&space, &["show", "1", "bad"]));
}

#[test]
fn what_follows_from_it() {
    let space = thrice();
    // What there is to advise depends on what else the machine does.
    let analyzed = shown(&space, &["analyze", "2"]);
    let (figures, _) = analyzed.split_once("advice").expect("advice, or that there is none");
    insta::assert_snapshot!("analyze", figures.trim_end_matches("no "));
    insta::assert_snapshot!("compare", shown(&space, &["compare"]));
    insta::assert_snapshot!("stats", shown(&space, &["stats"]));
    // What it recommends depends on how many cores there are.
    let tuned = shown(&space, &["tune", "--replay", "--workers", "1,2"]);
    insta::assert_snapshot!("tune_replay", tuned.split("recommended: ").next().unwrap());
}
