//! Items that one instance does one after the other, each with a result of its own.

use serde_json::Value;

use crate::support::{Jobs, TestSpace};

const ITEMS: usize = 40;

/// As many items, which one worker may do together.
fn space(batch: &str) -> TestSpace {
    let space = TestSpace::new();
    for index in 0..ITEMS {
        space.write(&format!("in/{index:02}"), format!("input {index}"));
    }
    space.guest("batched").guest("copy").guest("sum_tree").write(
        "mill.toml",
        format!(
            r#"
            [modules]
            batched = {{ file = "batched.wasm" }}
            copy = {{ file = "copy.wasm" }}
            [jobs.scan]
            module = "batched"
            for-each = {{ file = "in/*" }}
            {batch}
            in = {{ "/in/leaf" = "{{file}}" }}
            args = ["{{file.stem}}"]
            limits = {{ fuel = 50_000_000 }}
            save = {{ "result" = "out/{{file.name}}" }}
            [jobs.one]
            module = "copy"
            in = {{ "/in/leaf" = {{ job = "scan[07]", path = "result" }} }}
            save = {{ "result" = "one.txt" }}
            "#
        ),
    );
    space
}

/// Whether a job was executed together with others: then it is not known how much fuel it took.
fn was_in_batch(jobs: &Jobs, name: &str) -> bool {
    jobs.by_name[name].2["usage"]["fuel"].is_null()
}

#[test]
fn items_are_done_together_and_each_has_its_result() {
    let space = space("batch = 100");
    let ran = space.jobs(&["-j", "1"]);
    assert_eq!((ran.code, ran.by_name.len()), (0, ITEMS + 1));
    for index in 0..ITEMS {
        assert_eq!(space.read(&format!("out/{index:02}")), format!("input {index}"));
    }
    assert_eq!(space.read("one.txt"), "input 7");
    assert!(was_in_batch(&ran, "scan[07]"));
    let apart = self::space("batch = 2");
    let apart = apart.jobs(&["-j", "1"]);
    assert!(!was_in_batch(&apart, "scan[07]"), "two are no batch: one of them would be executed twice");
    // Each was recorded as what it is by itself.
    let key = |ran: &Jobs| ran.by_name["scan[07]"].2["key"].clone();
    assert_eq!(key(&ran), key(&apart));
    assert_eq!(ran.by_name["scan[07]"].2["result"], apart.by_name["scan[07]"].2["result"]);
    assert!(space.jobs(&[]).all("succeeded", true));
    // What a run had read is the same when it is resumed, in a batch as well.
    space.write("in/07", "changed since");
    assert!(space.jobs(&["--resume", "1"]).all("succeeded", true));
    let verified = space.run(&["verify"]);
    assert_eq!(verified.code, 0, "{}", verified.stderr);
}

#[test]
fn only_the_item_that_changed_is_executed_again() {
    let space = space("batch = 100");
    assert_eq!(space.jobs(&[]).code, 0);
    space.write("in/07", "something else");
    assert_eq!(space.jobs(&[]).executed(), ["one", "scan[07]"]);
    assert_eq!(space.read("one.txt"), "something else");
    // A larger batch does not make it another action.
    let text = space.read("mill.toml").replace("batch = 100", "batch = 7");
    space.write("mill.toml", text);
    assert!(space.jobs(&[]).all("succeeded", true));
}

#[test]
fn an_item_that_fails_fails_alone() {
    let space = space("batch = 100");
    space.write("in/05", "fail").write("in/06", "as before");
    let ran = space.jobs(&["-k"]);
    assert_eq!(ran.code, 100);
    let failed: Vec<&str> =
        ran.by_name.iter().filter(|(_, job)| job.0 != "succeeded").map(|job| job.0.as_str()).collect();
    assert_eq!(failed, ["scan[05]"]);
    assert_eq!(ran.by_name["scan[05]"].2["result"]["outcome"]["exited"]["code"], 3);
    // What fails is recorded as any failure.
    assert!(space.jobs(&["-k"]).by_name["scan[05]"].1);
}

#[test]
fn what_one_item_uses_decides_not_all_together() {
    let space = space("batch = 100");
    // Each has enough fuel, and all of them together have not.
    for index in 0..ITEMS {
        space.write(&format!("in/{index:02}"), "spin");
    }
    let ran = space.jobs(&[]);
    assert_eq!(ran.code, 0);
    assert!(!was_in_batch(&ran, "scan[07]"));
}

#[test]
fn items_that_depend_on_each_other_are_noticed_and_executed_alone() {
    for (what, came) in [("number", "0"), ("print", "print")] {
        let space = space("batch = 100");
        for index in 0..ITEMS {
            space.write(&format!("in/{index:02}"), what);
        }
        let (code, events) = space.events(&["run", "-j", "1"]);
        assert_eq!(code, 0);
        let warnings: Vec<&str> = events
            .iter()
            .filter(|event| event["event"] == "warning")
            .map(|event| event["message"].as_str().unwrap())
            .collect();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("the items of `scan` are executed one by one"), "{warnings:?}");
        for index in 0..ITEMS {
            assert_eq!(space.read(&format!("out/{index:02}")), came);
        }
        assert_eq!(space.run(&["verify"]).code, 0);
    }
}

#[test]
fn one_item_that_writes_to_a_stream_is_enough_to_have_all_executed_alone() {
    let space = space("batch = 100");
    space.write("in/03", "print");
    let ran = space.jobs(&["-j", "1"]);
    assert_eq!(ran.code, 0);
    assert!(!was_in_batch(&ran, "scan[07]"));
    assert_eq!(ran.by_name["scan[03]"].2["result"]["stdout"]["size_bytes"], "this is 03\n".len());
    assert_eq!(space.run(&["verify"]).code, 0);
}

#[test]
fn without_keep_going_nothing_is_begun_after_the_first_failure() {
    let space = space("batch = 100");
    for index in 0..ITEMS {
        space.write(&format!("in/{index:02}"), "fail");
    }
    let ran = space.jobs(&["-j", "1"]);
    let failed = ran.by_name.values().filter(|job| job.0 == "failed").count();
    assert_eq!((ran.code, failed, ran.by_name.len()), (100, 1, ITEMS + 1));
}

#[test]
fn an_item_is_charged_with_its_share_only() {
    let space = space("batch = 100\nsla = { target = \"10s\", critical = true }");
    assert_eq!(space.jobs(&["-j", "1"]).code, 0);
}

#[test]
fn inputs_may_be_relative_and_at_the_root_of_an_item() {
    let space = space("batch = 100");
    let text = space.read("mill.toml").replace("\"/in/leaf\" = \"{file}\"", "\"in/leaf\" = \"{file}\"");
    space.write("mill.toml", text);
    let ran = space.jobs(&["-j", "1"]);
    assert_eq!(ran.code, 0);
    assert!(was_in_batch(&ran, "scan[07]"));
}

#[test]
fn a_program_is_told_what_its_items_are() {
    let space = space("batch = 100\ninput = { of = \"{file.name}\", size = 3 }");
    space.write("in/07", "line");
    assert_eq!(space.jobs(&["--job", "one"]).code, 0);
    let line: Value = serde_json::from_str(&space.read("one.txt")).unwrap();
    assert_eq!(line, serde_json::json!({ "item": "07", "args": ["07"], "input": { "of": "07", "size": 3 } }));
}

#[test]
fn items_that_come_to_be_during_the_run_are_done_together_too() {
    let space = space("");
    space.write("lists/all", (0..ITEMS).map(|index| format!("{index}\n")).collect::<String>());
    space.write(
        "mill.toml",
        r#"
            [modules]
            batched = { file = "batched.wasm" }
            copy = { file = "copy.wasm" }
            [jobs.list]
            module = "copy"
            in = { "/in/leaf" = "lists/all" }
            [jobs.scan]
            module = "batched"
            batch = 100
            for-each = { number = { lines = { job = "list", path = "result" } } }
            in = { "/in/leaf" = { text = "the number {number}" } }
            limits = { fuel = 50_000_000 }
            save = { "result" = "out/{number}" }
        "#,
    );
    let ran = space.jobs(&["-j", "1"]);
    assert_eq!((ran.code, ran.by_name.len()), (0, ITEMS + 1));
    for index in 0..ITEMS {
        assert_eq!(space.read(&format!("out/{index}")), format!("the number {index}"));
    }
    assert!(was_in_batch(&ran, "scan[7]"));
}
