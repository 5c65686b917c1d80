//! `wasmill compare`: what is different between two runs.

use super::{EXPLAINED, explained, json, said};
use crate::support::TestSpace;

const MORE: &str = r#"
    [jobs.two]
    module = "job"
    in = { "/in/x" = "x" }
"#;

#[test]
fn the_plan_the_jobs_and_the_inputs_that_differ_are_listed() {
    let space = explained();
    space.write("mill.toml", format!("{EXPLAINED}{MORE}")).run(&["run", "-q", "--jobs", "1"]);
    let other = EXPLAINED.replace("64MiB", "32MiB") + &MORE.replace("two", "three");
    space.write("mill.toml", other).run(&["run", "-q", "--jobs", "2"]);
    let text = said(&space, &["compare", "1", "2"]);
    for expected in [
        "run 1 of explained: 2 of 2 jobs succeeded\n",
        "run 2 of explained: 2 of 2 jobs succeeded",
        "\nworkers: 1 → 2\n",
        "\nthe plan\n",
        "-    limits = { memory = \"64MiB\" }",
        "+    limits = { memory = \"32MiB\" }",
        "-    [jobs.two]",
        "+    [jobs.three]",
        "\n1 job only in run 2\n  three\n",
        "\n1 job only in run 1\n  two\n",
        "\n1 job with other inputs or results\n  one: other inputs, same result (limits memory changed: 64 MiB → 32 MiB)\n",
        "\nhow long 1 job took that both executed\n  one: ",
        "\n0 jobs with the same inputs and the same result\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    assert!(!text.contains("[modules.job]") && !text.contains("--fresh"), "what is the same is left out: {text}");
    // The other way round.
    let back = said(&space, &["compare", "2", "1"]);
    for expected in ["workers: 2 → 1\n", "1 job only in run 1\n  two\n", "32 MiB → 64 MiB"] {
        assert!(back.contains(expected), "{expected:?} is not in\n{back}");
    }
}

#[test]
fn a_changed_input_is_the_reason_for_another_result() {
    let space = explained();
    space.run(&["run", "-q"]);
    space.write("x", "22").run(&["run", "-q"]);
    let text = said(&space, &["compare", "1", "2"]);
    assert!(text.contains("  one: other inputs, other result (input /in/x changed: 6b86b273… → "), "{text}");
    assert!(!text.contains("\nthe plan\n"), "{text}");
}

#[test]
fn a_run_is_the_same_as_itself_and_as_one_that_was_cached() {
    let space = explained();
    space.run(&["run", "-q"]);
    space.run(&["run", "-q"]);
    for runs in [["1", "1"], ["1", "2"]] {
        let text = said(&space, &["compare", runs[0], runs[1]]);
        assert!(text.ends_with("\n1 job with the same inputs and the same result\n"), "{text}");
        assert!(!text.contains("with other inputs") && !text.contains("only in run"), "{text}");
    }
    space.run(&["run", "-q", "--fresh"]);
    let text = said(&space, &["compare", "1", "3"]);
    assert!(text.contains("--fresh: false → true\n") && text.contains("\nhow long 1 job took"), "{text}");
    assert!(text.ends_with("\n1 job with the same inputs and the same result\n"), "{text}");
}

#[test]
fn programs_are_told_the_same() {
    let space = explained();
    space.run(&["run", "-q", "--jobs", "1"]);
    space.write("mill.toml", format!("{EXPLAINED}{MORE}")).write("x", "2").run(&["run", "-q", "--jobs", "2"]);
    let found = json(&space, &["compare", "1", "2"]);
    assert_eq!((&found["before"]["id"], &found["after"]["id"]), (&1.into(), &2.into()));
    assert_eq!(found["setup"], serde_json::json!([["workers", "1", "2"]]));
    assert_eq!((&found["added"], &found["removed"]), (&serde_json::json!(["two"]), &serde_json::json!([])));
    assert!(found["plan"].as_str().unwrap().contains("\n+    [jobs.two]\n"), "{found}");
    let changed = &found["changed"][0];
    assert_eq!((&changed["job"], &changed["action"], &changed["result"]), (&"one".into(), &true.into(), &true.into()));
    assert_eq!(changed["changes"]["why"]["changes"][0]["field"], "input /in/x");
    assert!(changed["changes"]["said"].as_str().unwrap().starts_with("input /in/x changed: "), "{changed}");
    assert_eq!(found["same"], 0);
    let (_, shown) = space.events(&["show", "2", "one"]);
    let duration = &found["durations_ns"][0];
    assert_eq!((&duration[0], &duration[2]), (&"one".into(), &shown[0]["report"]["usage"]["wall_ns"]));
    // Nothing about the plan where it did not change.
    space.run(&["run", "-q"]);
    assert!(json(&space, &["compare", "2", "3"])["plan"].is_null());
}

#[test]
fn both_runs_have_to_be_there() {
    let space = explained();
    space.run(&["run", "-q"]);
    for runs in [["1", "2"], ["2", "1"]] {
        let refused = space.run(&["compare", runs[0], runs[1]]);
        assert_eq!(refused.code, 103, "{refused:?}");
        let expected = "error: there is no run 2\n  hint: the latest is run 1; `wasmill runs` lists them\n";
        assert_eq!(refused.stderr, expected);
    }
}

/// One that did not begin in one of the runs had no inputs there, so nothing can be said of them.
#[test]
fn a_job_that_did_not_begin_in_one_run_has_no_other_inputs() {
    let space = TestSpace::new();
    let plan = "[modules.exit]\nfile = \"exit_code.wasm\"\n[jobs.first]\nmodule = \"exit\"\nargs = [\"CODE\"]\n\
                [jobs.behind]\nmodule = \"exit\"\nargs = [\"0\"]\nin = { \"/in/x\" = { job = \"first\" } }\n";
    space.guest("exit_code").write("mill.toml", plan.replace("CODE", "0"));
    assert_eq!(space.run(&["run", "-q"]).code, 0);
    space.write("mill.toml", plan.replace("CODE", "1"));
    assert_eq!(space.run(&["run", "-q"]).code, 100);
    let text = said(&space, &["compare", "1", "2"]);
    let line = text.lines().find(|line| line.starts_with("  behind: ")).unwrap_or_else(|| panic!("{text}"));
    assert!(!line.contains("other inputs"), "{line}");
    assert!(line.contains("skipped"), "{line}");
}

#[test]
fn without_numbers_the_latest_two_runs_of_a_plan_are_compared() {
    let space = explained();
    space.write("mill.toml", EXPLAINED);
    let refused = space.run(&["compare"]);
    assert_eq!(refused.code, 103, "{refused:?}");
    space.run(&["run", "--quiet"]);
    let alone = space.run(&["compare"]);
    assert!(alone.stderr.contains("before run 1 is recorded"), "{alone:?}");
    space.run(&["run", "--quiet"]);
    space.write("other.toml", "name = \"other\"");
    space.run(&["run", "other.toml", "--quiet"]);
    space.run(&["run", "--quiet"]);
    let runs = |args: &[&str]| {
        let found = json(&space, args);
        (found["before"]["id"].as_u64(), found["after"]["id"].as_u64())
    };
    assert_eq!(runs(&["compare"]), (Some(2), Some(4)), "run 3 is of another plan");
    assert_eq!(runs(&["compare", "1"]), (Some(1), Some(4)));
}
