//! Jobs made with the SDK: what a plan gives them, what they say of themselves, and what is wrong before anything runs.

use serde_json::Value;

use crate::support::{TestSpace, repository};

const PLAN: &str = r#"
    name = "words"
    [modules.jobs]
    file = "sdk_jobs.wasm"
    [defaults]
    module = "jobs"
    [jobs.count]
    entry = "count"
    for-each = { text = "texts/*" }
    in = { "/in/text" = "{text}" }
    input = { options = { letters_min = 2, case = "ignored" } }
    [jobs.total]
    entry = "total"
    in = { "/in/counts" = { jobs = "count" } }
    [jobs.headline]
    entry = "headline"
    in = { "/in/report" = { job = "total" } }
    save = { "result.json" = "headline.json" }
"#;

fn space(plan: &str) -> TestSpace {
    let space = TestSpace::new();
    space.guest("sdk_jobs").write("mill.toml", plan);
    space.write("texts/a", "One two a THREE two").write("texts/b", "one");
    space
}

#[test]
fn values_go_from_job_to_job() {
    let space = space(PLAN);
    let jobs = space.jobs(&[]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    assert_eq!(space.read("headline.json"), "\"5 words in 2 texts\"\n");
    let checked = space.run(&["plan", "check"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{checked:?}");
}

#[test]
fn what_a_module_says_of_itself_is_shown() {
    let space = space(PLAN);
    // Its size and digest are those of whatever compiled it.
    let said = space.run(&["inspect", "sdk_jobs.wasm"]);
    let (first, rest) = said.stdout.split_once('\n').expect("lines");
    assert!(said.code == 0 && first.starts_with("module of "), "{said:?}");
    insta::assert_snapshot!(rest);
    let said = space.run(&["inspect", "sdk_jobs.wasm", "--format", "json"]);
    let said: Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!((said["kind"].as_str(), said["interface"]["jobs"].as_array().map(Vec::len)), (Some("module"), Some(14)));

    space.guest("copy");
    let said = space.run(&["inspect", "copy.wasm"]);
    assert!(said.code == 0 && said.stdout.contains("it says nothing of itself"), "{said:?}");
    let said = space.run(&["inspect", "mill.toml"]);
    assert!(said.code == 103 && said.stderr.contains("neither a module nor a component"), "{said:?}");
    assert_eq!(space.run(&["inspect", "nowhere.wasm"]).code, 103);
}

#[test]
fn jobs_that_are_given_something_else_are_refused_before_any_runs() {
    let plan = r#"
    [modules.jobs]
    file = "sdk_jobs.wasm"
    [defaults]
    module = "jobs"
    [jobs.scan]
    entry = "lines"
    for-each = { text = "texts/*" }
    in = { "/in/text" = "{text}" }
    [jobs.total]
    entry = "total"
    in = { "/in/counts" = { jobs = "scan" } }
    input = { note = 1, nte = "x" }
    [jobs.count]
    entry = "count"
    in = { "/in/text" = { job = "scan[a]" } }
    input = { options = { case = "upper" } }
    [jobs.nowhere]
    entry = "headline"
    [jobs.twice]
    entry = "lines"
    in = { "/in/text" = "texts/a" }
    input = { text = "x" }
    [jobs.numbers]
    entry = "panics"
    input = { at = -1 }
    [jobs.misspelt]
    entry = "cuont"
    [jobs.unnamed]
    [jobs.one]
    entry = "total"
    in = { "/in/counts" = { job = "scan[a]" } }
    [jobs.folder]
    entry = "lines"
    in = { "/in/text" = { glob = "texts/*" } }
    [jobs.batched]
    entry = "nothing"
    for-each = { x = ["a", "b"] }
    batch = 2
    [jobs.of-nothing]
    entry = "headline"
    in = { "/in/report" = { job = "batched[a]" } }
"#;
    let space = space(plan);
    let checked = space.run(&["plan", "check"]);
    insta::assert_snapshot!(checked.whole());
    let run = space.run(&["run"]);
    assert_eq!((run.code, run.stderr), (102, checked.stderr));
    let json = space.run(&["plan", "check", "--format", "json"]);
    assert!(json.stdout.contains("which the job does not take"), "{json:?}");
}

#[test]
fn plans_that_work_are_not_refused() {
    let plan = r#"
    [modules.jobs]
    file = "sdk_jobs.wasm"
    [defaults]
    module = "jobs"
    [jobs.whole-folder]
    entry = "count"
    in = { "/in" = "data" }
    input = { options = [2, "ignored"] }
    [jobs.count]
    entry = "count"
    for-each = { text = "texts/*" }
    in = { "in/text" = "{text}" }
    input = { options = { case = "as-it-is" } }
    [jobs.saved-results]
    entry = "total"
    in = { "/in/counts" = "saved" }
    [jobs.undescribed]
    entry = "undescribed"
    in = { "/in/all" = { jobs = "count" }, "/in/folder" = { glob = "texts/*" } }
    input = { default = {} }
    [jobs.maybe]
    entry = "undescribed"
    in = { "/in/maybe" = { jobs = "count" }, "/in/all" = { jobs = "count" }, "/in/folder" = "texts" }
    input = { default = { a = 1 } }
    [jobs.writes]
    entry = "writes"
    [jobs.reads]
    entry = "headline"
    in = { "/in/report" = { job = "writes" } }
"#;
    let space = space(plan);
    space.write("data/text", "one two").write("saved/x/result.json", r#"{"words": {"one": 1}}"#);
    let checked = space.run(&["plan", "check"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{checked:?}");
    let said = space.run(&["run"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
}

#[test]
fn what_is_not_described_is_not_refused() {
    // A job of another language in between, and a module that is not there.
    let space = space(
        r#"
    [modules.jobs]
    file = "sdk_jobs.wasm"
    [modules.copy]
    file = "copy.wasm"
    [modules.nowhere]
    file = "nowhere.wasm"
    [jobs.copy]
    module = "copy"
    in = { "/in/leaf" = "value" }
    [jobs.headline]
    module = "jobs"
    entry = "headline"
    in = { "/in/report" = { job = "copy", path = "result" } }
    [jobs.other]
    module = "nowhere"
"#,
    );
    space.guest("copy").write("value", r#"{"texts": ["a"], "words": 1, "note": null}"#);
    let checked = space.run(&["plan", "check"]);
    assert!(
        checked.code == 0 && checked.stderr.contains("was not checked: cannot load module `nowhere`"),
        "{checked:?}"
    );
    let jobs = space.jobs(&["--job", "headline"]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");

    let plan = "[modules.text]\nfile = \"text.wasm\"\n[jobs.a]\nmodule = \"text\"\n";
    space.write("text.wasm", "no module").write("mill.toml", plan);
    let checked = space.run(&["plan", "check"]);
    assert!(checked.stderr.contains("text.wasm is neither a WebAssembly module nor a component"), "{checked:?}");
}

#[test]
fn jobs_fail_in_words() {
    let plan = r#"
    [modules.jobs]
    file = "sdk_jobs.wasm"
    [defaults]
    module = "jobs"
    [jobs.panics]
    entry = "panics"
    input = { at = 3 }
    [jobs.binary]
    entry = "lines"
    in = { "/in/text" = "binary" }
    [jobs.error]
    entry = "headline"
    in = { "/in/report" = { text = '{{"texts": [], "words": 0}}' } }
    [jobs.damaged]
    entry = "headline"
    in = { "/in/report" = { text = '{{"texts": [], "words": "0"}}' } }
    [jobs.cut-short]
    entry = "headline"
    in = { "/in/report" = { text = '{{"texts": [' } }
"#;
    let space = space(plan);
    space.write("binary", [b'a', 0xff]);
    let said = space.run(&["run", "--keep-going"]);
    assert_eq!(said.code, 100, "{said:?}");
    let source = std::fs::read_to_string(repository().join("tests/guests/src/bin/sdk_jobs.rs")).expect("the guest");
    let line = 1 + source.lines().position(|line| line.trim() == "bytes[at]").expect("the line that panics");
    for line in [
        format!("error: the job panicked, at src/bin/sdk_jobs.rs:{line}:5").as_str(),
        "index out of bounds: the len is 3 but the index is 3",
        "`text`: `/in/text` is no text: byte 1 is not UTF-8",
        "error: there are no words in []",
        "`report`, `words`: in `/in/report`: invalid type: string \"0\", expected u64 at line 1 column 24",
        "`report`, `texts[0]`: in `/in/report`: the text ends too soon at line 1 column 12",
    ] {
        assert!(said.stderr.contains(line), "{line} is not in:\n{}", said.stderr);
    }
    let jobs = space.jobs(&["--keep-going"]);
    assert!(jobs.code == 100 && jobs.by_name.len() == 5 && jobs.all("failed", true), "{jobs:#?}");
}

#[test]
fn jobs_return_plans_of_other_jobs() {
    let plan = r#"
    [modules.jobs]
    file = "sdk_jobs.wasm"
    [defaults]
    module = "jobs"
    [jobs.fan]
    entry = "fan_out"
    in = { "/in/texts" = "texts" }
    input = { case = "ignored" }
    yields = "result.json"
    [jobs.headline]
    entry = "headline"
    in = { "/in/report" = { job = "fan" } }
    save = { "result.json" = "headline.json" }
    [jobs.sum]
    entry = "sum_to"
    input = { from = 0, to = 33 }
    yields = "result.json"
    save = { "result.json" = "sum.json" }
"#;
    let space = space(plan);
    let checked = space.run(&["plan", "check"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let jobs = space.jobs(&[]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    assert_eq!(space.read("headline.json"), "\"5 words in 2 texts\"\n");
    assert_eq!(space.read("sum.json"), "528\n");
    let names: Vec<&str> = jobs.by_name.keys().map(String::as_str).filter(|name| name.starts_with("fan")).collect();
    assert_eq!(names, ["fan", "fan/count-a", "fan/count-b", "fan/total"]);
    // One text changes: the others' counts are known, as is all of the other plan.
    space.write("texts/b", "one two three");
    assert_eq!(space.jobs(&[]).executed(), ["fan", "fan/count-b", "fan/total", "headline"]);
    assert_eq!(space.read("headline.json"), "\"7 words in 2 texts\"\n");

    // What such a job comes to is checked as well, and that its plan is taken for one.
    space
        .write("mill.toml", plan.replace("job = \"fan\"", "job = \"sum\"").replacen("yields = \"result.json\"", "", 1));
    let checked = space.run(&["plan", "check"]);
    assert_eq!(checked.code, 102, "{checked:?}");
    for wrong in [
        "job `fan` returns a plan, and does not say that it yields one",
        "help: write `yields = \"result.json\"`",
        "`report` of job `headline` is a `Report`, and `sum` gives a `u64`",
    ] {
        assert!(checked.stderr.contains(wrong), "{wrong} is not in:\n{}", checked.stderr);
    }
}

#[test]
fn what_a_job_says_while_it_works_is_heard_and_changes_nothing() {
    let plan = r#"
    [modules.jobs]
    file = "sdk_jobs.wasm"
    [jobs.talks]
    module = "jobs"
    entry = "talks"
    input = { steps = 4 }
"#;
    let space = space(plan);
    let (code, events) = space.events(&["run"]);
    assert_eq!(code, 0, "{events:#?}");
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).collect::<Vec<_>>();
    let (progress, logged) = (of("job-progress"), of("job-log"));
    // Not more often than anybody looks, but the last one is always among them.
    let last = progress.last().expect("progress");
    assert_eq!((&last["job"], &last["done"], &last["total"]), (&"talks".into(), &4.into(), &4.into()));
    assert_eq!((logged.len(), &logged[4]["level"]), (6, &"warn".into()), "{logged:#?}");
    // What is said with `tracing`.
    assert_eq!(
        (&logged[5]["level"], &logged[5]["message"]),
        (&"debug".into(), &"traced steps=4".into()),
        "{logged:#?}"
    );
    let stderr = of("job-finished")[0]["result"]["stderr"]["digest"].as_str().expect("a digest");
    assert_eq!(space.run(&["cat", stderr]).stdout, "this stays\n");

    // It is kept with the run, for whoever looks later; what only its author wants to see is not.
    let shown = space.run(&["show", "1", "talks"]).stdout;
    assert!(
        shown.contains("said         warning: 4 steps are \u{fffd}[31mmany") && !shown.contains("step 1"),
        "{shown}"
    );
    let shown = space.run(&["show", "1", "talks", "--format", "json"]).stdout;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["log"][0]["level"], "warn", "{shown:#?}");

    // On a terminal or a pipe, what matters, harmless; with -v more of it.
    let said = space.run(&["run", "--fresh"]).stderr;
    assert!(said.contains("talks: warning: 4 steps are \u{fffd}[31mmany") && !said.contains("step 1"), "{said}");
    assert!(space.run(&["run", "--fresh", "-v"]).stderr.contains("talks: debug: step 1"));
    assert!(!space.run(&["run", "--fresh", "-q"]).stderr.contains("many"));
    let exec = |input| space.run(&["exec", "sdk_jobs.wasm", "--fresh", "--input", input, "--entry", "talks"]);
    let said = exec("{steps: 1}");
    assert!(said.code == 101 && said.stderr.contains("--input"), "{said:?}");
    let said = exec(r#"{"steps": 1}"#);
    assert_eq!((said.code, said.stderr.as_str()), (0, "warning: 1 steps are \u{fffd}[31mmany\nthis stays\n"));
}

#[test]
fn a_file_is_read_where_a_job_looks_and_never_whole() {
    // Twice as large as the job's memory may be.
    let half = 4 << 20;
    let plan = r#"
    [modules.jobs]
    file = "sdk_jobs.wasm"
    [jobs.pieces]
    module = "jobs"
    entry = "pieces"
    in = { "/in/file" = "large" }
    input = { bytes = 6 }
    limits = { memory = "4MiB" }
    save = { "result.json" = "pieces.json" }
"#;
    let space = space(plan);
    space.write("large", [vec![b'-'; half], b"middle".to_vec(), vec![b'+'; half - 12], b"at end".to_vec()].concat());
    let said = space.run(&["run"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(space.read("pieces.json"), "[\"at end\",\"middle\"]\n");
}

#[test]
fn a_module_for_another_version_of_the_abi_is_refused() {
    let space = space(PLAN);
    let mut module = std::fs::read(space.path("sdk_jobs.wasm")).expect("a module");
    let abi = b"\"abi\":1}";
    let at = module.windows(abi.len()).position(|bytes| bytes == abi).expect("its version");
    module[at + abi.len() - 2] = b'9';
    space.write("sdk_jobs.wasm", module);
    for command in [&["plan", "check"][..], &["run"]] {
        let said = space.run(command);
        assert_eq!(said.code, 102, "{said:?}");
        assert!(
            said.stderr.contains("was made for version 9 of the guest ABI, and this wasmill has version 1"),
            "{said:?}"
        );
        assert!(said.stderr.contains("build it again, with the SDK of this wasmill"), "{said:?}");
    }
}

#[test]
fn a_job_s_heap_keeps_what_is_put_there() {
    let plan = r#"
    [modules.jobs]
    file = "heap.wasm"
    [jobs.many]
    module = "jobs"
    entry = "heap"
    input = { rounds = 20000 }
    save = { "result.json" = "most" }
    # 8 bytes, and 12 for the heap and the list.
    [jobs.small]
    module = "jobs"
    entry = "boxes"
    input = { count = 1000000 }
    limits = { memory = "32MiB" }
"#;
    let space = TestSpace::new();
    space.guest("heap").write("mill.toml", plan);
    let said = space.run(&["run"]);
    assert_eq!(said.code, 0, "{said:?}");
    let most: usize = space.read("most").trim().parse().expect("a number");
    assert!(most > 1 << 20, "{most} bytes are no more than the heap has to begin with");
}

#[test]
fn values_that_are_too_large_or_cut_off_fail_in_words() {
    let plan = r#"
    [modules.jobs]
    file = "sdk_jobs.wasm"
    [defaults]
    module = "jobs"
    limits = { memory = "16MiB" }
    [jobs.large]
    entry = "lines"
    in = { "/in/text" = "large" }
    [jobs.large-value]
    entry = "headline"
    in = { "/in/report" = "large.json" }
    [jobs.cut-off]
    entry = "headline"
    in = { "/in/report" = "cut.json" }
"#;
    let space = space(plan);
    space.write("large", "x\n".repeat(16 << 20)).write("cut.json", r#"{"texts": ["a", "b"#);
    space.write("large.json", format!(r#"{{"words": 1, "note": null, "texts": ["{}"]}}"#, "x".repeat(24 << 20)));
    let said = space.run(&["run", "--keep-going"]);
    assert_eq!(said.code, 100, "{said:?}");
    for name in ["text", "report"] {
        let what = format!("`{name}`: failed to read `/in/{name}`: out of memory");
        assert!(said.stderr.contains(&what), "{}", said.stderr);
    }
    let cut_off = "`report`, `texts[1]`: in `/in/report`: the text ends too soon at line 1 column 19";
    assert!(said.stderr.contains(cut_off), "{}", said.stderr);
}

#[test]
fn items_are_values_where_that_is_said() {
    let plan = r#"
    [modules.jobs]
    file = "sdk_jobs.wasm"
    [defaults]
    module = "jobs"
    [jobs.add]
    entry = "add"
    for-each = { pair = { json = "pairs.json" } }
    input = { left = "{pair.left:json}", right = "{pair.right:json}" }
    save = { "result.json" = "saved/{pair.name}" }
    [jobs.whole]
    entry = "headline"
    for-each = { report = { json = "reports.json" } }
    input = { report = "{report:json}" }
    save = { "result.json" = "saved/report-{report.words}" }
    [jobs.text]
    entry = "headline"
    for-each = { report = ["a {text}"] }
    input = { report = "{report:json}" }
"#;
    let space = space(plan);
    space.write(
        "pairs.json",
        r#"[{"name": "a", "left": 1, "right": 2}, {"name": "b", "left": 18446744073709551614, "right": 1}]"#,
    );
    space.write("reports.json", r#"[{"texts": ["{x}"], "words": 7, "note": null}]"#);
    let said = space.run(&["run", "--keep-going"]);
    assert_eq!(said.code, 100, "{said:?}");
    assert!(space.path("saved/a").exists(), "{said:?}");
    let saved = |name: &str| space.read(&format!("saved/{name}"));
    assert_eq!((saved("a"), saved("b")), ("3\n".to_owned(), "18446744073709551615\n".to_owned()), "{said:?}");
    assert_eq!(saved("report-7"), "\"7 words in 1 texts\"\n");
    assert!(
        said.code == 100 && said.stderr.contains("`a {text}` is to be JSON, and is not: expected value"),
        "{said:?}"
    );
    let plan = space.read("mill.toml").replace("{report:json}", "a {report:json}");
    let said = space.write("mill.toml", plan).run(&["plan", "check"]);
    assert!(said.code == 102 && said.stderr.contains("`report:json`"), "{said:?}");
}
