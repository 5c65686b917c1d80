//! `wasmill analyze`: where the time of a run went.

use serde_json::Value;

use super::{json, masked, said};
use crate::support::TestSpace;

/// Ten jobs one behind the other, each of which works for a while, and two beside them that do next to nothing.
const CHAIN: &str = r#"
    name = "chain"
    [defaults]
    module = "work"
    [modules.work]
    file = "batched.wasm"
    [jobs.aside]
    stdin = "line"
    in = { "/items/x/in/leaf" = { text = "little" } }
    [jobs.beside]
    stdin = "line"
    in = { "/items/x/in/leaf" = { text = "as little" } }
"#;

fn chain() -> TestSpace {
    let mut plan = CHAIN.to_owned();
    for at in 1..=10 {
        let before = if at == 1 { String::new() } else { format!(", \"/in/x\" = {{ job = \"c{}\" }}", at - 1) };
        plan += &format!("[jobs.c{at}]\nstdin = \"line\"\nseed = {at}\n");
        plan += &format!("in = {{ \"/items/x/in/leaf\" = {{ text = \"spin\" }}{before} }}\n");
    }
    let space = TestSpace::new();
    space.guest("batched").write("mill.toml", plan);
    space.write("line", "{\"args\":[],\"input\":null,\"item\":\"x\"}\n");
    // What follows is executed with a module that is compiled.
    assert_eq!(space.run(&["run", "-q", "--job", "aside"]).code, 0);
    space
}

const STEPS: [&str; 10] = ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10"];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn the_critical_path_is_the_longest_chain() {
    let space = chain();
    assert_eq!(space.run(&["run", "-q", "--fresh", "--jobs", "2"]).code, 0);
    let found = json(&space, &["analyze"]);
    assert_eq!((&found["run"], &found["plan"]), (&2.into(), &"chain".into()));
    let path = &found["critical_path"];
    assert_eq!(path["jobs"], serde_json::json!(STEPS));
    for pair in found["slack_ns"].as_array().unwrap() {
        let is_step = STEPS.contains(&pair[0].as_str().unwrap());
        assert_eq!(pair[1] == 0, is_step, "only what is beside the chain has slack: {pair}");
    }
    assert!(said(&space, &["analyze"]).contains("\n  least slack: "), "people see who has least");
    let steps = path["steps"].as_array().unwrap();
    let took: f64 = steps.iter().map(|step| number(&step["took_ns"])).sum();
    assert!((took - number(&path["length_ns"])).abs() < 1.0, "{path}");
    assert!(number(&path["length_ns"]) > 0.0);
    assert!(number(&path["length_ns"]) <= number(&found["summary"]["run"]["wall_ns"]), "{found}");
    let tried: Vec<_> = steps.iter().filter(|step| !step["halved_saves_ns"].is_null()).collect();
    assert!(tried.len() >= 5, "what it would bring is tried for the longest: {path}");
    for step in tried {
        assert!(number(&step["halved_saves_ns"]) <= number(&step["took_ns"]) / 2.0 + 1.0, "{step}");
    }
    assert_eq!(json(&space, &["analyze", "2"]), found, "the latest is what is meant where none is named");
}

#[test]
fn other_numbers_of_workers_are_replayed() {
    let space = chain();
    assert_eq!(space.run(&["run", "-q", "--fresh", "--jobs", "3"]).code, 0);
    let found = json(&space, &["analyze"]);
    let workers = found["workers"].as_array().unwrap();
    let of = |key: &str| workers.iter().map(|one| number(&one[key])).collect::<Vec<_>>();
    assert_eq!(of("workers"), [1.0, 2.0, 3.0, 4.0, 8.0, 16.0]);
    let actual: Vec<_> = workers.iter().filter(|one| one["is_actual"] == true).map(|one| &one["workers"]).collect();
    assert_eq!(actual, [3]);
    assert!(of("efficiency").iter().all(|efficiency| *efficiency > 0.0 && *efficiency <= 1.0), "{workers:?}");
    let times = of("time_ns");
    let length = number(&found["critical_path"]["length_ns"]);
    for (at, one) in workers.iter().enumerate() {
        let (time, count) = (times[at], number(&one["workers"]));
        assert!(time <= times[0] && time >= length.max(times[0] / count) - 1.0, "{one} with a path of {length}");
        assert!((number(&one["speed_up"]) - times[0] / time).abs() < 1e-6, "{one}");
        assert!((number(&one["efficiency"]) - number(&one["speed_up"]) / count).abs() < 1e-6, "{one}");
    }
    assert!((times[5] - length).abs() < length / 10.0, "with workers for all, it is the critical path: {times:?}");
}

#[test]
fn people_read_the_same_in_a_few_tables() {
    let space = chain();
    assert_eq!(space.run(&["run", "-q", "--fresh", "--jobs", "2"]).code, 0);
    let text = said(&space, &["analyze"]);
    let text = text.split("\nadvice\n").next().unwrap().replace("\nno advice: nothing stands out\n", "");
    // Which of equal jobs was slowest is a matter of luck.
    const LUCK: [&str; 3] = ["  slowest: ", "  fastest: ", "  least slack: "];
    let lines = text.lines().filter(|line| !LUCK.iter().any(|start| line.starts_with(start)));
    let text = masked(&lines.collect::<Vec<_>>().join("\n"));
    insta::with_settings!({ snapshot_path => "../snapshots" }, { insta::assert_snapshot!(text) });
}

#[test]
fn where_the_time_went_comes_to_what_was_measured() {
    let space = chain();
    assert_eq!(space.run(&["run", "-q", "--fresh"]).code, 0);
    let summary = json(&space, &["analyze"])["summary"].clone();
    let parts: f64 =
        ["resolve_ns", "prepare_ns", "execute_ns", "store_ns"].iter().map(|part| number(&summary[part])).sum();
    assert!(parts > 0.0 && parts <= number(&summary["in_hand_ns"]) * 1.01, "{summary}");
    assert!((0.0..=1.0).contains(&number(&summary["utilisation"])), "{summary}");
    assert_eq!((&summary["executed"], &summary["hit_rate"]), (&12.into(), &0.0.into()));
    assert!(number(&summary["critical_ns"]) <= number(&summary["possible_ns"]) + 1.0, "{summary}");
    assert_eq!(space.run(&["run", "-q"]).code, 0);
    let cached = json(&space, &["analyze"])["summary"].clone();
    assert_eq!((&cached["executed"], &cached["hit_rate"]), (&0.into(), &1.0.into()));
}

#[test]
fn advice_has_a_figure_a_change_and_the_jobs_that_it_is_about() {
    let space = TestSpace::new();
    let plan = "[modules.loop]\nfile = \"loop_forever.wasm\"\n[jobs.late]\nmodule = \"loop\"\n";
    space.guest("loop_forever").write("mill.toml", format!("{plan}limits = {{ timeout = \"1500ms\" }}\n"));
    assert_eq!(space.run(&["run", "-q", "--jobs", "4"]).code, 100);
    let found = json(&space, &["analyze"]);
    let advice = found["advice"].as_array().unwrap();
    let large = advice.iter().find(|one| one["kind"] == "too-large").unwrap_or_else(|| panic!("{found}"));
    assert_eq!((&large["title"], &large["jobs"]), (&"`late` keeps everybody waiting".into(), &serde_json::json!([0])));
    let text = said(&space, &["analyze"]);
    for part in ["title", "figure", "change"] {
        assert!(text.contains(large[part].as_str().unwrap()), "{part}: {text}");
    }
    let weights: Vec<f64> = advice.iter().map(|one| number(&one["weight_ns"])).collect();
    assert!(weights.is_sorted_by(|one, other| one >= other), "what matters most comes first: {weights:?}");
    // The run itself says the first of it.
    let run = space.run(&["run", "--jobs", "4"]);
    let first = format!("  advice: {}: ", advice[0]["title"].as_str().unwrap());
    assert!(run.stderr.contains(&first) && run.stderr.contains("; `wasmill analyze 2` says more\n"), "{run:?}");
}

#[test]
fn what_the_store_had_already_is_said() {
    let space = TestSpace::new();
    let plan = r#"
        [modules.copy]
        file = "copy.wasm"
        [jobs.each]
        module = "copy"
        for-each = { n = ["1", "2"] }
        args = ["{n}"]
        in = { "/in/leaf" = "large" }
    "#;
    space.guest("copy").write("mill.toml", plan).write("large", vec![7; 200_000]);
    let run = space.run(&["run", "--jobs", "1"]);
    // What each of them leaves is what it was given.
    assert!(run.stderr.contains("; it had another "), "{run:?}");
    let found = json(&space, &["analyze"]);
    let bytes = |name: &str| found["summary"]["run"][name].as_u64().unwrap();
    let known = bytes("known_bytes");
    assert!(known >= 400_000 && (200_000..400_000).contains(&bytes("stored_bytes")), "{found}");
    assert!(said(&space, &["runs", "--csv"]).contains(&format!(",{known},")));
}

/// While there is still time to do something about it, so this takes as long as that does.
#[test]
fn workers_that_wait_for_one_job_are_warned_of_while_it_runs() {
    let space = TestSpace::new();
    let plan = r#"
        [modules.loop]
        file = "loop_forever.wasm"
        [modules.copy]
        file = "copy.wasm"
        [jobs.endless]
        module = "loop"
        limits = { timeout = "13s" }
        [jobs.behind]
        module = "copy"
        in = { "/in/leaf" = { job = "endless", path = "x" } }
    "#;
    space.guest("loop_forever").guest("copy").write("mill.toml", plan);
    let (code, events) = space.events(&["run", "--jobs", "4"]);
    assert_eq!(code, 100);
    let at =
        |name: &str| events.iter().position(|event| event["event"] == name).unwrap_or_else(|| panic!("{events:?}"));
    let said = events[at("warning")]["message"].as_str().unwrap();
    assert!(said.starts_with("3 of 4 workers have had nothing to do for 1"), "{said}");
    assert!(said.ends_with(" s: 1 job waits for `endless`"), "{said}");
    assert!(at("job-started") < at("warning") && at("warning") < at("job-finished"), "{events:?}");
}
