//! `examples/warm-javascript`: scripts that start from an engine with its libraries loaded, each alone.

use serde_json::{Value, json};

use crate::support::{Jobs, TestSpace, repository};

const AT: &str = "warm-javascript";

/// Copies the example but for its guest, which stays where it is.
fn copy_example(space: &TestSpace) {
    let example = repository().join("examples/warm-javascript");
    let plan = std::fs::read_to_string(example.join("mill.toml")).unwrap();
    let guest = example.join("guest").display().to_string();
    space.write(&format!("{AT}/mill.toml"), plan.replace("crate = \"guest\"", &format!("crate = '{guest}'")));
    space.write(&format!("{AT}/tasks.json"), std::fs::read(example.join("tasks.json")).unwrap());
    for folder in ["data", "faulty", "scripts"] {
        for entry in std::fs::read_dir(example.join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            space.write(&format!("{AT}/{folder}/{name}"), std::fs::read(entry.path()).unwrap());
        }
    }
}

fn result(space: &TestSpace, task: &str) -> Value {
    serde_json::from_str(&space.read(&format!("{AT}/target/results/{task}.json"))).unwrap()
}

/// What a job wrote to one of its streams.
fn stream(space: &TestSpace, jobs: &Jobs, job: &str, name: &str) -> String {
    space.run(&["cat", jobs.by_name[job].2["result"][name]["digest"].as_str().unwrap()]).stdout
}

#[test]
fn warm_javascript_runs_scripts_that_know_nothing_of_each_other() {
    let space = TestSpace::new();
    copy_example(&space);
    let first = space.jobs(&[AT, "--keep-going"]);
    results_are_right(&space, &first);
    failures_are_readable(&space, &first);
    only_what_changed_runs_again(&space);
    odd_scripts_fail_alone(&space);
}

fn results_are_right(space: &TestSpace, jobs: &Jobs) {
    let words = result(space, "words");
    let text = space.read(&format!("{AT}/data/whales.txt"));
    // An apostrophe and a letter go on with a word; nothing else in this text does.
    let expected = text.split(|letter: char| !letter.is_alphabetic() && letter != '\'').filter(|word| !word.is_empty());
    assert_eq!(words["words"], expected.count(), "{words}");
    assert_eq!(words["common"]["whenever"], 4, "{words}");
    assert!(stream(space, jobs, "task[words]", "stdout").ends_with(" sentences\n"));

    let orders = result(space, "orders");
    let table = space.read(&format!("{AT}/data/orders.csv"));
    let total: f64 = table.lines().skip(1).map(worth).sum();
    assert_eq!(orders["orders"], table.lines().count() - 1);
    assert!((orders["total"].as_f64().unwrap() - total).abs() < 0.01, "{orders} is not {total}");
    assert_eq!(orders["countries"].as_array().unwrap().len(), 4);

    let kettle = json!({"latest": "1.10.0", "since": "2024-02-14", "days": 104, "older": ["1.9.0", "1.2.7"]});
    let toaster = json!({"latest": "0.3.2", "since": "2024-01-31", "days": null, "older": []});
    assert_eq!(result(space, "releases"), json!({"kettle": kettle, "toaster": toaster}));

    let mean = |task| result(space, task)["wait"]["mean"].as_f64().unwrap();
    assert!(mean("queue-busy") > mean("queue-quiet") && mean("queue-quiet") > 0.0);
}

/// Pieces times price of a line of the table, which has no quotes in its last two columns.
fn worth(line: &str) -> f64 {
    let mut columns = line.rsplit(',').map(|column| column.parse::<f64>().unwrap());
    columns.next().unwrap() * columns.next().unwrap()
}

fn failures_are_readable(space: &TestSpace, jobs: &Jobs) {
    assert_eq!(jobs.status("faulty[typo.js]"), "failed");
    let said = stream(space, jobs, "faulty[typo.js]", "stderr");
    assert!(said.starts_with("error: typo.js:8: TypeError: "), "{said}");
    assert_eq!(jobs.by_name["faulty[typo.js]"].2["result"]["outcome"], json!({"exited": {"code": 1}}));
    assert_eq!(stream(space, jobs, "faulty[typo.js]", "stdout"), "about to fail\n");
    assert_eq!(jobs.status("faulty[endless.js]"), "failed");
    let endless = &jobs.by_name["faulty[endless.js]"].2["result"]["outcome"];
    assert!(endless["out-of-fuel"].is_object(), "{endless}");
    // Nor do others fail by what these did.
    assert_eq!(jobs.status("faulty[spy.js]"), "succeeded");
    assert_eq!(jobs.executed().len(), 6, "{jobs:#?}");
    assert_eq!(jobs.by_name.len(), 8);
}

fn only_what_changed_runs_again(space: &TestSpace) {
    assert!(space.jobs(&[AT, "--keep-going"]).by_name.values().all(|job| job.1), "all is known, the failures too");
    // `verify` starts every engine anew, without the snapshot, and comes to the same bytes.
    let (code, events) = space.events(&["verify"]);
    assert_eq!((code, events.last().unwrap()["same"].as_u64()), (0, Some(8)), "{events:#?}");

    let table = space.read(&format!("{AT}/data/orders.csv"));
    space.write(&format!("{AT}/data/orders.csv"), table + "2024-03-31,Peru,lamp,2,24.5\n");
    assert_eq!(space.jobs(&[AT, "--keep-going"]).executed(), ["task[orders]"]);
    let countries = result(space, "orders")["countries"].clone();
    assert!(countries.as_array().unwrap().iter().any(|row| row["country"] == "Peru" && row["total"] == 49));

    let tasks = space.read(&format!("{AT}/tasks.json"));
    let before = result(space, "queue-busy");
    space.write(&format!("{AT}/tasks.json"), tasks.replace("busy.json\", \"seed\": 1", "busy.json\", \"seed\": 2"));
    assert_eq!(space.jobs(&[AT, "--keep-going"]).executed(), ["task[queue-busy]"]);
    assert_ne!(result(space, "queue-busy"), before);
}

fn odd_scripts_fail_alone(space: &TestSpace) {
    for (name, content) in [
        ("bytes.js", &b"\xff\xfe"[..]),
        ("syntax.js", b"let a = 1;\nlet = ;"),
        ("deep.js", b"function f() { [1].map(f) } f()"),
        ("empty.js", b""),
        ("grüße.js", "console.log('grüße', [1n], new Map([['a', 1]]))".as_bytes()),
    ] {
        space.write(&format!("{AT}/faulty/{name}"), content);
    }
    let jobs = space.jobs(&[AT, "--keep-going"]);
    assert_eq!(jobs.executed(), ["faulty[empty.js]", "faulty[grüße.js]"], "{jobs:#?}");
    for (name, said) in [
        ("bytes.js", "UTF-8"),
        ("syntax.js", "error: syntax.js:2: SyntaxError: "),
        ("deep.js", "error: deep.js:1: RuntimeLimit: "),
    ] {
        let stderr = stream(space, &jobs, &format!("faulty[{name}]"), "stderr");
        assert!(stderr.contains(said), "{name}: {stderr}");
    }
}
