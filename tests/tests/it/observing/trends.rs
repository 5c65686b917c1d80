//! `wasmill stats`, and figures as comma-separated values.

use super::{Row, explained, json, rows, said};
use crate::support::TestSpace;

const FAMILIES: &str = r#"
    name = "families"
    [modules.work]
    file = "batched.wasm"
    [jobs.each]
    module = "work"
    for-each = { at = ["a", "b, \"c\"", "d"] }
    stdin = "line"
    in = { "/items/x/in/leaf" = "leaf" }
    args = ["{at}"]
    [jobs.one]
    module = "work"
    stdin = "line"
    in = { "/items/x/in/leaf" = "leaf" }
"#;

fn families() -> TestSpace {
    let space = TestSpace::new();
    space.guest("batched").write("mill.toml", FAMILIES).write("leaf", "little");
    space.write("line", "{\"args\":[],\"input\":null,\"item\":\"x\"}\n");
    assert_eq!(space.run(&["run", "-q"]).code, 0);
    space
}

fn number(row: &Row, name: &str) -> f64 {
    row[name].parse().unwrap_or_else(|_| panic!("{name} of {row:?}"))
}

#[test]
fn families_have_counts_and_quantiles_over_all_runs() {
    let space = families();
    space.run(&["run", "-q"]);
    space.run(&["run", "-q", "--fresh"]);
    let found = json(&space, &["stats"]);
    assert_eq!((&found["plan"], &found["trend"]["runs"]), (&"families".into(), &serde_json::json!([1, 2, 3])));
    let all = found["trend"]["families"].as_array().unwrap();
    let counts: Vec<_> = all.iter().map(|one| (&one["family"], &one["executed"], &one["cached"])).collect();
    assert_eq!(counts, [(&"each".into(), &6.into(), &3.into()), (&"one".into(), &2.into(), &1.into())]);
    for one in all {
        let [p50, p95, p99, max] =
            ["p50_ns", "p95_ns", "p99_ns", "max_ns"].map(|name| one["wall"][name].as_u64().unwrap());
        assert!(0 < p50 && p50 <= p95 && p95 <= p99 && p99 <= max, "{one}");
        let runs: Vec<_> = one["throughput"].as_array().unwrap().iter().map(|pair| &pair[0]).collect();
        assert_eq!(runs, [1, 3], "run 2 executed nothing");
    }
    let text = said(&space, &["stats"]);
    assert!(text.starts_with("plan `families`, 3 runs (1 to 3)\n"), "{text}");
    let ends: Vec<&str> = text.lines().skip(2).filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(ends, ["each", "one"], "{text}");
    let latest = json(&space, &["stats", "--limit", "1"]);
    assert_eq!(latest["trend"]["runs"], serde_json::json!([3]));
}

#[test]
fn only_runs_of_the_plan_count() {
    let space = families();
    space
        .write("other/mill.toml", FAMILIES.replace("\"families\"", "\"another\"").replace("\"batched", "\"../batched"));
    space.write("other/leaf", "another").write("other/line", space.read("line"));
    assert_eq!(space.run(&["run", "-q", "other"]).code, 0);
    assert_eq!(json(&space, &["stats"])["plan"], "families", "that of the plan in this folder");
    assert_eq!(json(&space, &["stats", "another"])["plan"], "another");
    assert_eq!(json(&space, &["stats", "families"])["trend"]["runs"], serde_json::json!([1]));
    let refused = space.run(&["stats", "familes"]);
    assert_eq!(refused.code, 103);
    let expected = "error: no run of a plan `familes` is recorded\n  hint: did you mean `families`?\n";
    assert_eq!(refused.stderr, expected);
    let empty = TestSpace::new();
    assert_eq!(empty.run(&["stats"]).stderr, "error: there is no run yet\n  hint: `wasmill run` makes one\n");
}

#[test]
fn the_rows_of_stats_have_the_figures_of_the_json() {
    let space = families();
    space.run(&["run", "-q", "--fresh"]);
    let table = rows(&said(&space, &["stats", "--csv"]));
    let places: Vec<_> = table.iter().map(|row| (row["family"].as_str(), row["run"].as_str())).collect();
    assert_eq!(places, [("each", "1"), ("each", "2"), ("one", "1"), ("one", "2")]);
    let found = json(&space, &["stats"]);
    for (at, row) in table.iter().enumerate() {
        let family = &found["trend"]["families"][at / 2];
        assert_eq!(row["max_ns"], family["wall"]["max_ns"].to_string());
        assert_eq!(row["executed"], family["executed"].to_string());
        let each_second = family["throughput"][at % 2][1].as_f64().unwrap();
        assert!((number(row, "jobs_per_busy_second") - each_second).abs() <= 0.001, "{row:?}");
    }
}

#[test]
fn a_family_that_became_much_slower_ends_with_108() {
    let space = families();
    let check = |expected: i32| {
        let said = space.run(&["stats", "--fail-on-regression"]);
        assert_eq!(said.code, expected, "{said:?}");
        said.stdout
    };
    check(0);
    // How long a job of a millisecond takes is a matter of luck; so it does next to nothing at first, and then very much.
    for _ in 0..3 {
        assert_eq!(space.run(&["run", "-q", "--fresh", "--job", "one"]).code, 0);
    }
    space.write("leaf", "spin for long");
    assert_eq!(space.run(&["run", "-q", "--job", "one"]).code, 0);
    let text = check(108);
    assert!(text.contains("regression: `one` did ") && text.contains(" in run 5, "), "{text}");
    assert_eq!(space.run(&["stats"]).code, 0, "only where it is asked for");
    let found = json(&space, &["stats"]);
    let regression = &found["trend"]["regressions"][0];
    assert_eq!((&regression["family"], &regression["run"]), (&"one".into(), &5.into()));
    assert!(regression["now"].as_f64() < regression["before"].as_f64().map(|before| before * 0.8), "{found}");
}

#[test]
fn the_rows_of_runs_have_the_figures_of_the_json() {
    let space = families();
    space.run(&["run", "-q", "--fresh", "--jobs", "1"]);
    let table = rows(&said(&space, &["runs", "--csv"]));
    let (_, runs) = space.events(&["runs"]);
    assert_eq!((table.len(), runs.len()), (2, 2));
    for (row, run) in table.iter().zip(&runs) {
        let summary = &run["state"]["ended"];
        assert_eq!((&row["run"], row["plan"].as_str()), (&run["id"].to_string(), "families"));
        assert_eq!(row["started_unix_ms"], run["started_unix_ms"].to_string());
        for name in ["wall_ns", "cpu_ns", "saved_ns", "retries", "stored_bytes"] {
            assert_eq!(row[name], summary[name].to_string(), "{name}");
        }
        for name in ["jobs", "succeeded", "cached", "failed", "errors", "skipped", "cancelled", "omitted"] {
            assert_eq!(row[name], summary["counts"][name].to_string(), "{name}");
        }
        for name in ["read_bytes", "written_bytes"] {
            assert_eq!(row[name], summary["traffic"][name].to_string(), "{name}");
        }
        assert_eq!(row["workers"], run["setup"]["workers"].to_string());
    }
    assert_eq!(table[0]["workers"], "1");
    assert_eq!(rows(&said(&space, &["runs", "--csv", "-n", "1"])).len(), 1);
    assert_eq!(rows(&said(&TestSpace::new(), &["runs", "--csv"])).len(), 0);
}

#[test]
fn the_rows_of_jobs_have_the_figures_of_the_json() {
    let space = families();
    let table = rows(&said(&space, &["show", "1", "--csv"]));
    let (_, events) = space.events(&["show", "1"]);
    let jobs = &events[1..];
    assert_eq!((table.len(), jobs.len()), (4, 4));
    assert!(table.iter().any(|row| row["job"].contains(", ")), "a name that has to be quoted: {table:?}");
    for (row, job) in table.iter().zip(jobs) {
        assert_eq!((row["job"].as_str(), row["action"].as_str()), (job["job"].as_str().unwrap(), key(job)));
        assert_eq!((row["cached"].as_str(), row["outcome"].as_str()), ("false", "succeeded"));
        for name in ["ready_ns", "started_ns", "ended_ns"] {
            assert_eq!(row[name], job[name].to_string(), "{name}");
        }
        for name in ["wall_ns", "cpu_ns", "memory_peak_bytes"] {
            assert_eq!(row[name], job["usage"][name].to_string(), "{name}");
        }
        for name in ["resolve_ns", "prepare_ns", "store_ns", "durable_ns"] {
            assert_eq!(row[name], job["trace"]["phases"][name].to_string(), "{name}");
        }
        for name in ["worker", "attempts"] {
            assert_eq!(row[name], job["trace"][name].to_string(), "{name}");
        }
        let order = ["ready_ns", "started_ns", "ended_ns"].map(|name| number(row, name));
        assert!(order.is_sorted(), "{row:?}");
    }
}

fn key(job: &serde_json::Value) -> &str {
    job["key"].as_str().unwrap_or_else(|| panic!("{job} has no key"))
}

#[test]
fn a_run_of_an_empty_plan_has_rows_too() {
    let space = explained();
    space.write("mill.toml", "name = \"empty\"\n");
    assert_eq!(space.run(&["run", "-q"]).code, 0);
    assert_eq!(rows(&said(&space, &["show", "1", "--csv"])).len(), 0);
    assert_eq!(rows(&said(&space, &["stats", "--csv"])).len(), 0);
    assert!(said(&space, &["stats"]).ends_with("nothing was executed in them\n"));
    for args in [["why"].as_slice(), &["analyze"], &["compare", "1", "1"], &["show", "1"]] {
        said(&space, args);
    }
}
