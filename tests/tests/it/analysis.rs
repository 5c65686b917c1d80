//! `wasmill plan show` and `wasmill plan graph`: what is said of a plan without executing it.

use serde_json::{Value, json};

use crate::support::TestSpace;

/// 12 scans, a summary of them, and a chain of two beside that.
const PLAN: &str = r#"
    name = "shape"
    [modules.copy]
    file = "copy.wasm"
    [defaults]
    module = "copy"
    [jobs.scan]
    for-each = { n = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] }
    in = { "/in/leaf" = { text = "{n}" } }
    [jobs.first]
    in = { "/in/leaf" = { text = "first" } }
    [jobs.second]
    in = { "/in/leaf" = { job = "first", path = "result" } }
    [jobs.report]
    in = { "/in/leaf" = { job = "second", path = "result" }, "/in/scans" = { jobs = "scan" } }
"#;

fn space() -> TestSpace {
    let space = TestSpace::new();
    space.guest("copy").write("mill.toml", PLAN);
    space
}

fn shown(space: &TestSpace) -> Value {
    serde_json::from_str(&space.run(&["plan", "show", "--format", "json"]).stdout).expect("a line of JSON")
}

#[test]
fn a_plan_s_shape_is_shown() {
    let space = space();
    let said = space.run(&["plan", "show"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(said.stdout);
    let shown = shown(&space);
    let expected =
        json!({ "jobs": 15, "edges": 14, "depth": 3, "width": 13, "critical": 3, "total": 15, "unit": "jobs" });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&shown[key], value, "{key}");
    }
    assert_eq!(shown["critical_path"], json!(["first", "second", "report"]));
    assert_eq!(shown["workers"][1], json!({ "workers": 2, "time": 8, "speed_up": 1.875 }));
    assert!(!space.path("store").exists(), "looking at a plan creates no store");
}

#[test]
fn recorded_durations_are_used() {
    let space = space();
    assert_eq!(space.jobs(&[]).code, 0);
    let shown = shown(&space);
    assert_eq!((&shown["unit"], &shown["durations_of_run"]), (&json!("ns"), &json!(1)));
    let times: Vec<u64> =
        shown["workers"].as_array().unwrap().iter().map(|row| row["time"].as_u64().unwrap()).collect();
    assert_eq!(times[0], shown["total"].as_u64().unwrap());
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    assert!(times[5] >= shown["critical"].as_u64().unwrap());
    // A run in which everything was cached knows the durations too, of those that were executed once.
    assert_eq!(space.jobs(&[]).code, 0);
    assert!(
        space
            .run(&["plan", "show"])
            .stdout
            .ends_with("durations are those of run 2 and earlier ones; what is between jobs is not counted\n")
    );
}

#[test]
fn a_plan_s_graph_is_written_in_three_notations() {
    let space = space();
    let families = |notation: &str| {
        let said = space.run(&["plan", "graph", "--families", "--as", notation]);
        assert_eq!(said.code, 0, "{}", said.stderr);
        said.stdout
    };
    insta::assert_snapshot!([families("dot"), families("mermaid"), families("json")].join("\n"));
    let whole = space.run(&["plan", "graph"]).stdout;
    assert_eq!((whole.matches("label=").count(), whole.matches("->").count()), (15, 14));
    let whole: Value = serde_json::from_str(&space.run(&["plan", "graph", "--as", "json"]).stdout).unwrap();
    let report = whole["nodes"].as_array().unwrap().iter().find(|node| node["name"] == "report").unwrap();
    assert_eq!(report["needs"].as_array().unwrap().len(), 13);
    assert_eq!(space.run(&["plan", "graph", "--as", "png"]).code, 101);
}
