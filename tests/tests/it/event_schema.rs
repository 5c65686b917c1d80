//! What programs are told is what `docs/events.schema.json` says, line by line, and the schema says no more than that.

use std::collections::BTreeMap;

use jsonschema::Validator;
use serde_json::{Value, json};
use wasmill_model::port::{ActionCache as _, BlobStore as _, RunLog as _};
use wasmill_model::{JobReport, RunId};
use wasmill_storage::Storage;

use crate::support::{TestSpace, repository};

/// A plan in which everything happens that can be said of a job.
const EVERYTHING: &str = r#"
    name = "everything"
    [modules]
    copy = { file = "copy.wasm" }
    exit = { file = "exit_code.wasm" }
    script = { file = "script.wasm" }
    loop = { file = "loop_forever.wasm" }
    sum = { file = "sum_tree.wasm" }
    batched = { file = "batched.wasm" }
    sdk = { file = "sdk_jobs.wasm" }
    memory = { file = "eat_memory.wasm" }
    flood = { file = "flood_stdout.wasm" }
    panics = { file = "panics.wasm" }
    deep = { file = "deep_recursion.wasm" }
    [defaults]
    module = "script"
    [jobs.copy]
    module = "copy"
    in = { "/in/leaf" = "leaf" }
    save = { "result" = "saved" }
    [jobs.tree]
    in = { "/in/dir" = "in" }
    args = ["join", "/in/dir", "all"]
    [jobs.twin]
    module = "copy"
    in = { "/in/leaf" = "leaf" }
    [jobs.bad]
    module = "exit"
    args = ["3"]
    [jobs.behind]
    in = { "/in/leaf" = { job = "bad", path = "left-behind" } }
    [jobs.late]
    module = "loop"
    limits = { timeout = "50ms" }
    retries = { count = 1, backoff = "1ms" }
    [jobs.fuel]
    module = "loop"
    limits = { fuel = 100_000 }
    [jobs.memory]
    module = "memory"
    limits = { memory = "16MiB" }
    [jobs.flood]
    module = "flood"
    limits = { output = "64KiB" }
    [jobs.panics]
    module = "panics"
    [jobs.deep]
    module = "deep"
    [jobs.missing]
    args = ["write", "one", "1"]
    out = ["other"]
    [jobs.gone]
    in = { "/in/gone" = "gone" }
    [jobs.race]
    for-each = { what = ["fail", "write"] }
    race = { first = 1 }
    args = ["{what}", "x", "y"]
    [jobs.lost]
    for-each = { what = ["fail"] }
    race = { first = 1 }
    args = ["{what}", "lost"]
    [jobs.each]
    module = "batched"
    for-each = { file = "in/*" }
    batch = 10
    in = { "/in/leaf" = "{file}" }
    [jobs.split]
    args = ["write", "parts/a", "1", "write", "parts/b", "2"]
    [jobs.part]
    for-each = { part = { entries = { job = "split", path = "parts" } } }
    args = ["write", "part", "{part}"]
    when = { job = "split", path = "parts/{part}", is = "1" }
    [jobs.sum]
    module = "sum"
    args = ["0", "8"]
    yields = "plan.json"
    [jobs.slow]
    args = ["write", "slow", "1"]
    sla = "1ms"
    [jobs.critical]
    module = "loop"
    limits = { fuel = 50_000_000 }
    sla = { target = "1ms", critical = true }
    [jobs.talks]
    module = "sdk"
    entry = "talks"
    input = { steps = 3 }
"#;

/// A folder with this plan, and all that it takes.
pub(crate) fn everything() -> TestSpace {
    let space = TestSpace::new();
    for guest in ["copy", "exit_code", "script", "loop_forever", "sum_tree", "batched", "sdk_jobs", "eat_memory"] {
        space.guest(guest);
    }
    for guest in ["flood_stdout", "panics", "deep_recursion"] {
        space.guest(guest);
    }
    for item in 0..6 {
        space.write(&format!("in/{item}"), item.to_string());
    }
    space.write("leaf", "leaf").write("mill.toml", EVERYTHING);
    space
}

struct Schema {
    text: Value,
    whole: Validator,
    /// Of each event, so that it is said what is wrong with a line.
    by_event: BTreeMap<String, Validator>,
    record: Validator,
}

impl Schema {
    fn read() -> Self {
        let text = std::fs::read_to_string(repository().join("docs/events.schema.json")).expect("the schema is there");
        let text: Value = serde_json::from_str(&text).expect("it is JSON");
        let part = |name: &str| {
            let part = json!({ "$schema": text["$schema"], "$ref": format!("#/$defs/{name}"), "$defs": text["$defs"] });
            jsonschema::draft202012::new(&part).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let defs = text["$defs"].as_object().expect("definitions").iter();
        let events = defs.filter_map(|(name, def)| Some((def["properties"]["event"]["const"].as_str()?, name)));
        let by_event = events.map(|(event, name)| (event.to_owned(), part(name))).collect();
        let (whole, record) = (jsonschema::draft202012::new(&text).expect("it is a schema"), part("runRecord"));
        Self { text, whole, by_event, record }
    }

    /// Why a line is not valid; nothing if it is.
    fn wrong(&self, line: &Value) -> Vec<String> {
        let Some(event) = line["event"].as_str() else {
            return said(&self.record, line);
        };
        let Some(own) = self.by_event.get(event) else { return vec![format!("there is no event {event}")] };
        let wrong = said(own, line);
        assert_eq!(wrong.is_empty(), self.whole.is_valid(line), "each event is one of the whole: {line}");
        wrong
    }

    /// Holds all lines that a command prints to the schema.
    fn check(&self, space: &TestSpace, args: &[&str]) -> Vec<Value> {
        let (_, lines) = space.events(args);
        for line in &lines {
            let wrong = self.wrong(line);
            assert!(wrong.is_empty(), "{args:?}: {}\n{line:#}", wrong.join("\n"));
        }
        lines
    }
}

fn said(schema: &Validator, line: &Value) -> Vec<String> {
    schema.iter_errors(line).map(|error| format!("{} (at `{}`)", error, error.instance_path())).collect()
}

/// The events that are among some lines.
fn kinds(lines: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[test]
fn it_is_a_schema_and_every_event_is_one_of_its_own() {
    let schema = Schema::read();
    assert!(jsonschema::draft202012::meta::is_valid(&schema.text));
    let named = schema.text["oneOf"].as_array().unwrap().len();
    assert_eq!(named, schema.by_event.len(), "each event is in the list at the top");
}

#[test]
fn every_line_of_runs_in_which_everything_happens_is_valid() {
    let (schema, space) = (Schema::read(), everything());
    let mut all = schema.check(&space, &["run", "-k", "-j", "2", "--job", "copy", "--job", "talks"]);
    all.extend(schema.check(&space, &["run", "-k", "-j", "3"]));
    space.write("leaf", "changed").write("in/3", "changed");
    all.extend(schema.check(&space, &["run", "-k", "--retry-failed", "-j", "1..3", "--profile", "thorough"]));
    all.extend(schema.check(&space, &["run", "-j", "1"]));
    all.extend(schema.check(&space, &["run", "-k", "--fresh", "--engine", "pulley"]));
    all.extend(schema.check(&space, &["run", "-k", "--resume", "2"]));
    let expected = ["job-finished", "job-log", "job-progress", "job-retried", "job-started", "jobs-added"];
    let more = ["run-estimated", "run-finished", "run-started", "saved", "warning"];
    let kinds = kinds(&all);
    for kind in expected.iter().chain(&more) {
        assert!(kinds.contains(kind), "{kind} is not in {kinds:?}");
    }
    let has = |is: &dyn Fn(&Value) -> bool, what: &str| assert!(all.iter().any(is), "no line has {what}");
    for status in ["succeeded", "failed", "error", "skipped", "cancelled", "omitted"] {
        has(&|line| line["status"] == status, status);
    }
    let outcomes = ["exited", "trapped", "out-of-fuel", "out-of-memory", "output-too-large", "output-missing"];
    for outcome in outcomes.iter().chain(&["stack-exhausted", "timed-out"]) {
        has(&|line| line["result"]["outcome"].get(outcome).is_some(), outcome);
    }
    for reason in ["new", "changed", "failed", "unrecorded", "fresh"] {
        has(&|line| line["why"]["reason"] == reason, reason);
    }
    has(&|line| line["job"] == "race" && line["status"] == "succeeded" && line.get("why").is_none(), "a race's end");
    has(&|line| line["trace"]["target"]["is_critical"] == true, "a critical target");
    has(&|line| !line["usage"]["fuel"].is_null() && line["event"] == "job-finished", "fuel");
    has(&|line| line["trace"]["came_of"].as_array().is_some_and(|jobs| !jobs.is_empty()), "a job that came to be");
}

#[test]
fn every_line_of_a_run_that_is_cancelled_is_valid() {
    let (schema, space) = (Schema::read(), everything());
    space.write("mill.toml", EVERYTHING.replace("limits = { timeout = \"50ms\" }", ""));
    let lines = schema.check(&space, &["run", "--job", "late", "--run-timeout", "300ms"]);
    assert!(lines.iter().any(|line| line["result"]["outcome"] == "cancelled"), "{lines:#?}");
}

#[test]
fn every_line_of_a_rehearsal_is_valid() {
    let (schema, space) = (Schema::read(), everything());
    let first = schema.check(&space, &["run", "--dry-run"]);
    assert_eq!(kinds(&first), ["job-rehearsed", "run-rehearsed"]);
    assert_eq!(first.last().unwrap()["event"], "run-rehearsed");
    let would = |word: &str| first.iter().filter(|line| line["would"] == word).count();
    let end = first.last().unwrap();
    for (word, key) in [("execute", "execute"), ("look-up", "look_up"), ("fail", "fail"), ("skip", "skip")] {
        assert_eq!(json!(would(word)), end[key], "{word}: {first:#?}");
    }
    assert!(would("execute") > 0 && would("look-up") > 0 && would("fail") > 0, "{first:#?}");
    space.run(&["run", "-k", "-q"]);
    space.write("leaf", "changed");
    let again = schema.check(&space, &["run", "--dry-run"]);
    assert!(again.iter().any(|line| line["would"] == "skip"), "a recorded failure is in the way: {again:#?}");
    schema.check(&space, &["run", "--dry-run", "--retry-failed"]);
    schema.check(&space, &["run", "--dry-run", "--fresh"]);
}

#[test]
fn every_line_of_the_record_is_valid() {
    let (schema, space) = (Schema::read(), everything());
    space.run(&["run", "-k", "-q"]);
    space.run(&["run", "-q", "--job", "copy"]);
    assert_eq!(schema.check(&space, &["runs"]).len(), 2);
    let lines = schema.check(&space, &["show", "1"]);
    assert!(lines.len() > 30 && lines[0].get("event").is_none(), "{lines:#?}");
    assert!(lines[1..].iter().all(|line| line["event"] == "job-finished" && line.get("why").is_none()));
}

/// Records something else for a job than what came of it.
fn lie(space: &TestSpace, job: &str) {
    let storage = Storage::open(&space.path("store"), wasmill_storage::Options::default()).unwrap();
    let reports: Vec<JobReport> = storage.jobs(RunId(1)).unwrap();
    let key = reports.iter().find(|report| report.job == job).unwrap().key.unwrap();
    let action = storage.action(&key).unwrap().unwrap();
    let mut record = storage.lookup(&key).unwrap().hit().unwrap();
    record.result.stdout = storage.put(b"a lie".to_vec().into()).unwrap();
    storage.again(&key).record(&action, &record, Box::new(|durable| durable.unwrap())).unwrap();
    storage.close().unwrap();
}

#[test]
fn every_line_of_other_commands_that_have_events_is_valid() {
    let (schema, space) = (Schema::read(), everything());
    space.run(&["run", "-k", "-q", "--job", "copy", "--job", "talks", "--job", "bad"]);
    assert_eq!(kinds(&schema.check(&space, &["verify"])), ["verified", "verify-finished"]);
    lie(&space, "talks");
    let lies = schema.check(&space, &["verify"]);
    assert!(lies.iter().any(|line| line["verdict"] == "different" && line["at_byte"] == 0), "{lies:#?}");
    let (_, put) = space.events(&["put", "in", "leaf"]);
    assert_eq!(put.len(), 2, "{put:#?}");
    assert_eq!(schema.check(&space, &["pin"]).len(), 2);
    for (command, event) in [
        (["store"].as_slice(), "store"),
        (&["gc", "--dry-run"], "collected"),
        (&["gc", "--keep-last", "0", "--keep-days", "0", "--grace", "0s"], "collected"),
        (&["scrub"], "scrubbed"),
        (&["doctor"], "examined"),
        (&["doctor", "--repair"], "examined"),
        (&["doctor", "--migrate"], "migrated"),
    ] {
        assert_eq!(kinds(&schema.check(&space, command)), [event], "{command:?}");
    }
    // What is damaged is named in them.
    let log = std::fs::read_dir(space.path("store/log")).unwrap().map(|entry| entry.unwrap().path());
    for segment in log.filter(|path| path.extension().is_some_and(|end| end == "seg")) {
        let mut bytes = std::fs::read(&segment).unwrap();
        let at = bytes.windows(5).position(|bytes| bytes == b"a lie").expect("it was put");
        bytes[at] ^= 1;
        std::fs::write(segment, bytes).unwrap();
    }
    space.run(&["gc", "--dry-run"]);
    schema.check(&space, &["scrub"]);
    schema.check(&space, &["doctor"]);
    schema.check(&space, &["doctor", "--repair"]);
}

#[test]
fn every_line_of_a_single_job_is_valid() {
    let (schema, space) = (Schema::read(), everything());
    space.write("text", "no module");
    let copy = ["exec", "copy.wasm", "--in", "/in/leaf=leaf", "--out"];
    let well = schema.check(&space, &[&copy[..], &["out"]].concat());
    assert_eq!(kinds(&well), ["job-finished", "job-started", "run-finished", "run-started", "saved"]);
    let setup = well.iter().find_map(|line| line.get("setup")).expect("it says how it is carried out");
    assert!(setup["memory_bytes"].is_null(), "there is no bound: {setup}");
    schema.check(&space, &[&copy[..], &["cached"]].concat());
    // Where it may not be written to.
    let refused = schema.check(&space, &[&copy[..], &["leaf"]].concat());
    assert_eq!(refused.last().unwrap()["event"], "error");
    for args in [
        ["exec", "panics.wasm"].as_slice(),
        &["exec", "text"],
        &["exec", "loop_forever.wasm", "--timeout", "50ms"],
        &["exec", "sdk_jobs.wasm", "--entry", "talks", "--input", "{\"steps\": 2}"],
    ] {
        schema.check(&space, args);
    }
}

#[test]
fn every_error_is_valid_whatever_the_command() {
    let (schema, space) = (Schema::read(), everything());
    space.write("wrong/mill.toml", "name = 3\n[jobs.x]\nmodule = \"none\"\n").write("text", "no module");
    let none = "0".repeat(64);
    for args in [
        ["run", "nowhere"].as_slice(),
        &["run", "wrong"],
        &["run", "--job", "copi"],
        &["run", "--resume", "9"],
        &["run", "--profile", "fats"],
        &["run", "--report", "nowhere/x"],
        &["run", "--otlp", "nowhere"],
        &["plan", "check", "wrong"],
        &["plan", "show", "wrong"],
        &["plan", "graph", "wrong"],
        &["exec", "nowhere.wasm"],
        &["exec", "copy.wasm", "--memory", "lots"],
        &["exec", "--action", &none],
        &["show", "9"],
        &["why"],
        &["analyze"],
        &["compare", "1", "2"],
        &["stats"],
        &["verify"],
        &["tune", "--workers", "0"],
        &["tune", "--replay"],
        &["config", "show", "nowhere"],
        &["export", "9"],
        &["import", "text"],
        &["inspect", "text"],
        &["put", "nowhere"],
        &["get", &none, "target"],
        &["cat", &none],
        &["ls", &none],
        &["pin", "--remove", &none],
        &["gc", "--grace", "soon"],
        &["scrub", "--rate", "fast"],
        &["new", "in"],
        &["debug", "copy"],
        &["test", "nowhere"],
    ] {
        let said = space.run(&[args, &["--format", "json"]].concat());
        let lines = schema.check(&space, args);
        assert_eq!(kinds(&lines), ["error"], "{args:?}: {said:?}");
        assert_eq!(lines.last().unwrap()["exit_code"], said.code, "{args:?}: {said:?}");
    }
}

/// Commands whose lines are no events print lines of JSON as well.
#[test]
fn every_line_is_an_object_whatever_the_command() {
    let space = everything();
    space.run(&["run", "-k", "-q"]);
    space.run(&["run", "-q", "--job", "copy"]);
    assert_eq!(space.run(&["export", "1", "exported"]).code, 0);
    for args in [
        ["why"].as_slice(),
        &["why", "copy", "--run", "1"],
        &["show", "1", "copy"],
        &["analyze"],
        &["compare", "1", "2"],
        &["stats"],
        &["plan", "check"],
        &["plan", "show"],
        &["config", "show"],
        &["config", "profiles"],
        &["tune", "--replay"],
        &["inspect", "sdk_jobs.wasm"],
        &["put", "in"],
        &["ls"],
        &["export", "1"],
        &["import", "exported"],
    ] {
        let (code, lines) = space.events(args);
        assert_eq!(code, 0, "{args:?}: {lines:#?}");
        assert!(!lines.is_empty() && lines.iter().all(Value::is_object), "{args:?}: {lines:#?}");
        assert!(lines.iter().all(|line| line.get("event").is_none_or(|event| event == "job-finished")), "{args:?}");
    }
}

/// The same report, with what the job was asked to do beside it.
#[test]
fn a_job_of_a_run_is_shown_as_its_event_was() {
    let (schema, space) = (Schema::read(), everything());
    space.run(&["run", "-q", "-k"]);
    let lines = schema.check(&space, &["show", "1"]);
    for event in
        lines[1..].iter().filter(|line| ["copy", "bad", "talks", "behind"].contains(&line["job"].as_str().unwrap()))
    {
        let (_, shown) = space.events(&["show", "1", event["job"].as_str().unwrap()]);
        let mut report = shown[0]["report"].clone();
        report.as_object_mut().unwrap().insert("event".to_owned(), json!("job-finished"));
        assert_eq!(&report, event);
    }
}

/// All objects in a value, by the way that leads to them.
fn objects(value: &Value, way: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(way.to_owned());
            fields.iter().for_each(|(key, value)| objects(value, &format!("{way}/{key}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| objects(item, &format!("{way}/{at}"), found));
        }
        _ => {}
    }
}

/// What is in every line is named, and what is named as required is needed: else this schema would hold nobody to anything.
#[test]
fn a_field_more_or_less_is_not_valid() {
    let (schema, space) = (Schema::read(), everything());
    let mut lines = schema.check(&space, &["run", "-k"]);
    lines.extend(schema.check(&space, &["run", "--dry-run", "--fresh"]));
    lines.extend(schema.check(&space, &["runs"]));
    lines.extend(schema.check(&space, &["run", "nowhere"]));
    lines.extend(schema.check(&space, &["store"]));
    let optional = ["/why", "/setup", "/snapshot"];
    for line in &lines {
        let mut ways = Vec::new();
        objects(line, "", &mut ways);
        for way in ways {
            let mut more = line.clone();
            more.pointer_mut(&way).unwrap().as_object_mut().unwrap().insert("surplus".to_owned(), json!(1));
            assert!(!schema.wrong(&more).is_empty(), "a field more at `{way}` of {line:#}");
            let keys: Vec<String> = line.pointer(&way).unwrap().as_object().unwrap().keys().cloned().collect();
            for key in keys {
                let mut less = line.clone();
                less.pointer_mut(&way).unwrap().as_object_mut().unwrap().remove(&key);
                let is_optional = way.is_empty()
                    && optional.contains(&format!("/{key}").as_str())
                    && line["event"] != "run-started"
                    && line["event"] != "job-rehearsed";
                assert_eq!(schema.wrong(&less).is_empty(), is_optional, "without `{way}/{key}`: {line:#}");
            }
        }
    }
}

#[test]
fn the_document_names_what_the_schema_names() {
    let schema = Schema::read();
    let document = std::fs::read_to_string(repository().join("docs/events.md")).expect("the document is there");
    for event in schema.by_event.keys() {
        assert!(document.contains(&format!("`{event}`")), "{event} is not in docs/events.md");
    }
    let others = ["verified", "verifyFinished", "store", "pin", "collected", "scrubbed", "examined", "migrated"];
    for (name, def) in schema.text["$defs"].as_object().unwrap() {
        let fields = def["properties"].as_object().into_iter().flatten().map(|(field, _)| field);
        for field in fields.filter(|_| !others.contains(&name.as_str())) {
            assert!(document.contains(&format!("`{field}`")), "{field} of {name} is not in docs/events.md");
        }
    }
}
