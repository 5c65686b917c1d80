//! The reasons that `wasmill run` gives while it goes on, and `--dry-run`, which gives them without executing anything.

use super::{explained, json, said};
use crate::support::TestSpace;

#[test]
fn each_line_of_a_run_has_the_reason_in_brackets() {
    let space = explained();
    let first = space.run(&["run"]);
    assert!(first.stderr.starts_with("[1/1] one in ") && first.stderr.contains(" (new job)\n"), "{first:?}");
    space.write("x", "2");
    let second = space.run(&["run"]);
    assert!(second.stderr.contains(" (input /in/x changed: "), "{second:?}");
    let cached = space.run(&["run"]);
    assert!(!cached.stderr.contains("[1/1]") && cached.stderr.contains("everything was cached"), "{cached:?}");
    let fresh = space.run(&["run", "--fresh"]);
    assert!(fresh.stderr.contains(" (asked for with --fresh)\n"), "{fresh:?}");
    assert!(second.stdout.is_empty() && fresh.stdout.is_empty());
}

#[test]
fn quiet_says_nothing() {
    let space = explained();
    let first = space.run(&["run", "--quiet"]);
    assert_eq!((first.code, first.stdout.as_str(), first.stderr.as_str()), (0, "", ""));
    space.write("x", "2");
    let dry = space.run(&["run", "--quiet", "--dry-run"]);
    assert_eq!((dry.code, dry.stdout.as_str(), dry.stderr.as_str()), (0, "", ""));
}

#[test]
fn events_of_executed_jobs_have_the_reason() {
    let space = explained();
    let why = |args: &[&str]| {
        let jobs = space.jobs(args);
        jobs.by_name["one"].2["why"].clone()
    };
    assert_eq!(why(&[])["reason"], "new");
    assert!(why(&[]).is_null());
    space.write("x", "2");
    let changed = why(&[]);
    assert_eq!((&changed["reason"], &changed["changes"][0]["field"]), (&"changed".into(), &"input /in/x".into()));
    assert_eq!(why(&["--fresh"])["reason"], "fresh");
}

const REHEARSED: &str = r#"
    name = "rehearsed"
    [modules.copy]
    file = "copy.wasm"
    [modules.exit]
    file = "exit_code.wasm"
    [jobs.same]
    module = "copy"
    in = { "/in/leaf" = "same" }
    [jobs.first]
    module = "copy"
    args = ["first"]
    in = { "/in/leaf" = "leaf" }
    save = { "result" = "saved" }
    [jobs.behind]
    module = "copy"
    args = ["behind"]
    in = { "/in/leaf" = { job = "first", path = "result" } }
    [jobs.bad]
    module = "exit"
    args = ["4"]
"#;

fn rehearsed() -> TestSpace {
    let space = TestSpace::new();
    space.guest("copy").guest("exit_code").write("mill.toml", REHEARSED).write("same", "same").write("leaf", "1");
    space
}

#[test]
fn a_dry_run_says_what_would_be_executed_and_why_and_what_looked_up_behind() {
    let space = rehearsed();
    let first = said(&space, &["run", "--dry-run"]);
    let lines: Vec<&str> = first.lines().collect();
    for line in ["execute   same: new job", "execute   first: new job", "execute   bad: new job"] {
        assert!(lines.contains(&line), "{line} is not in {first}");
    }
    assert!(lines.contains(&"look-up   behind: job `first` would be executed first"), "{first}");
    let end = ["3 jobs would be executed, 0 cached, 1 looked up behind them", "  why: new job (3)"];
    assert_eq!(lines[lines.len() - 2..], end);

    space.run(&["run", "-k", "-q"]);
    let known = space.run(&["run", "--dry-run"]);
    let failure = "fail      bad: its failure is recorded: exited with code 4; `--retry-failed` executes it again\n";
    assert_eq!(known.stdout, format!("{failure}0 jobs would be executed, 3 cached, 1 would fail\n"));
    assert_eq!(known.code, 100, "as the run would end");
    space.write("leaf", "2");
    let second = said(&space, &["run", "--dry-run", "--retry-failed"]);
    assert!(second.starts_with("execute   first: ") || second.contains("\nexecute   first: "), "{second}");
    assert!(second.contains("execute   bad: failed last time: exited with code 4\n"), "{second}");
    assert!(!second.contains("same"), "{second}");
    assert!(second.contains("2 jobs would be executed, 1 cached, 1 looked up behind them\n"), "{second}");
    let chosen = said(&space, &["run", "--dry-run", "--fresh", "--job", "same"]);
    assert!(chosen.starts_with("execute   same: asked for with --fresh\n1 job would be executed, 0 cached\n"));
}

#[test]
fn what_a_dry_run_says_is_what_a_run_does() {
    let space = rehearsed();
    space.run(&["run", "-k", "-q"]);
    space.write("leaf", "2").write("same", "other");
    let (code, dry) = space.events(&["run", "--dry-run"]);
    assert_eq!(code, 100);
    let (last, jobs) = dry.split_last().unwrap();
    assert!(jobs.iter().all(|line| line["event"] == "job-rehearsed"), "{dry:?}");
    assert_eq!((&last["event"], &last["execute"], &last["look_up"]), (&"run-rehearsed".into(), &2.into(), &1.into()));
    let of = |would: &str| {
        let mut jobs: Vec<&str> = dry.iter().filter(|line| line["would"] == would).map(name).collect();
        jobs.sort_unstable();
        jobs
    };
    assert_eq!((of("execute"), of("look-up"), of("fail")), (vec!["first", "same"], vec!["behind"], vec!["bad"]));
    let ran = space.jobs(&["-k"]);
    assert_eq!(ran.executed(), ["behind", "first", "same"]);
}

/// Its action is in no store, as nothing was executed; what is different has to be said all the same.
#[test]
fn a_dry_run_says_what_is_different() {
    let space = rehearsed();
    space.run(&["run", "-k", "-q"]);
    space.write("leaf", "2");
    let dry = space.run(&["run", "--dry-run"]).stdout;
    assert!(dry.contains("execute   first: input /in/leaf changed: 6b86b273… → d4735e3a…\n"), "{dry}");
    assert!(dry.ends_with("  why: input /in/leaf changed (1)\n"), "{dry}");
    space.run(&["run", "-k", "-q"]);
    let why = said(&space, &["why", "first"]);
    assert!(why.starts_with("first was executed in run 2: input /in/leaf changed: 6b86b273… → d4735e3a…\n"), "{why}");
}

fn name(line: &serde_json::Value) -> &str {
    line["job"].as_str().unwrap()
}

#[test]
fn a_dry_run_leaves_nothing() {
    let space = rehearsed();
    assert_eq!(space.run(&["run", "--dry-run"]).code, 0);
    assert_eq!(said(&space, &["runs"]), "no runs yet\n");
    assert_eq!(json(&space, &["store"])["actions"], 0);
    assert!(!space.path("saved").exists());
    let all = space.jobs(&["-k"]);
    assert_eq!(all.executed(), ["behind", "first", "same"], "nothing was known yet");

    let before = json(&space, &["store"]);
    space.write("leaf", "2").write("saved", "mine");
    assert_eq!(space.run(&["run", "--dry-run", "--retry-failed"]).code, 0);
    let after = json(&space, &["store"]);
    assert_eq!((&before["actions"], &before["runs"]), (&after["actions"], &after["runs"]));
    assert_eq!(space.read("saved"), "mine");
    assert_eq!(space.jobs(&["-k"]).executed(), ["behind", "first"], "it is executed only now");
}

#[test]
fn a_dry_run_says_what_could_not_be_carried_out() {
    let space = rehearsed();
    std::fs::remove_file(space.path("leaf")).unwrap();
    let dry = space.run(&["run", "--dry-run"]);
    assert_eq!(dry.code, 100, "{dry:?}");
    assert!(dry.stdout.contains("fail      first: "), "{dry:?}");
    assert!(dry.stdout.contains("skip      behind: job `first` did not succeed\n"), "{dry:?}");
    assert!(dry.stdout.contains("0 cached, 1 would fail, 1 would be skipped\n"), "{dry:?}");
}

const RACE: &str = r#"
    [modules.script]
    file = "script.wasm"
    [jobs.race]
    module = "script"
    for-each = { what = ["fail", "write"] }
    race = { first = 1 }
    args = ["{what}", "x", "y"]
    [jobs.behind]
    module = "script"
    args = ["join", "/in/race", "all"]
    in = { "/in/race" = { job = "race" } }
"#;

#[test]
fn a_dry_run_names_the_candidates_of_a_race() {
    let space = TestSpace::new();
    space.guest("script").write("mill.toml", RACE);
    let dry = space.run(&["run", "--dry-run"]);
    assert_eq!(dry.code, 0, "{dry:?}");
    for line in ["execute   race[fail]: new job\n", "look-up   behind: "] {
        assert!(dry.stdout.contains(line), "{line} is not in {dry:?}");
    }
    assert!(!dry.stdout.contains("would fail"), "{dry:?}");
    assert_eq!(space.run(&["run", "-q"]).code, 0);
    assert!(said(&space, &["run", "--dry-run"]).starts_with("0 jobs would be executed, "));
}

/// A race stands for its candidates. It is no job that takes time or has a reason of its own.
#[test]
fn a_race_is_not_said_to_be_executed() {
    let space = TestSpace::new();
    space.guest("script").write("mill.toml", RACE);
    let run = space.run(&["run"]);
    assert!(run.stderr.contains("race[write] in "), "{run:?}");
    assert!(!run.stderr.contains(" race in "), "{run:?}");
    assert!(!said(&space, &["why"]).contains("race:"));
}

#[test]
fn items_of_batches_and_jobs_of_yielded_plans_have_reasons() {
    let space = TestSpace::new();
    let plan = r#"
        [modules.sum]
        file = "sum_tree.wasm"
        [modules.batched]
        file = "batched.wasm"
        [jobs.sum]
        module = "sum"
        args = ["0", "8"]
        yields = "plan.json"
        [jobs.each]
        module = "batched"
        for-each = { file = "in/*" }
        batch = 10
        in = { "/in/leaf" = "{file}" }
    "#;
    space.guest("sum_tree").guest("batched").write("mill.toml", plan).write("in/a", "1").write("in/b", "2");
    assert_eq!(space.run(&["run", "-q"]).code, 0);
    space.write("mill.toml", plan.replace("\"8\"", "\"6\"")).write("in/b", "3").write("in/c", "4");
    let run = space.run(&["run"]);
    assert_eq!(run.code, 0, "{run:?}");
    let why = said(&space, &["why"]);
    for line in [
        "each[b]: input /items/b/in/leaf changed: d4735e3a… → 4e074085…\n",
        "each[c]: new job\n",
        "sum: args changed: 0 8 → 0 6\n",
        "sum/left: args changed: 0 4 → 0 3\n",
    ] {
        assert!(why.contains(line), "{line:?} is not in {why}");
        let (job, reason) = line.trim_end().split_once(": ").unwrap();
        let shown = |line: &str| line.contains(&format!(" {job} in ")) && line.ends_with(&format!(" ({reason})"));
        assert!(run.stderr.lines().any(shown), "{line:?} is not in {run:?}");
    }
    assert!(!why.contains("each[a]"), "{why}");
}
