//! Every guest program twice: as the module that it is, and as a component made of that module and wasmtime's adapter
//! of preview 1 to preview 2. Both must come to the same action result.

use std::collections::BTreeSet;

use serde_json::Value;
use wasi_preview1_component_adapter_provider as adapter;
use wit_component::ComponentEncoder;

use crate::support::{TestSpace, guest, repository};

/// What a program is run with, and in what its component may differ.
struct Case {
    guest: &'static str,
    /// For `wasmill exec`, behind the module.
    args: &'static [&'static str],
    but_for: &'static [Differs],
}

/// The differences that are no mistakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Differs {
    /// The adapter ends with `exit`, which knows success and failure only: every other code becomes 1.
    ExitCode,
    /// The random numbers follow from the action key, and a component is another module.
    Random,
    /// A component has more functions around the same ones, so a backtrace's places move and it gets longer at its
    /// outer end; where it is cut off, fewer of the outer ones are seen.
    Backtrace,
    /// The adapter takes a few pages of the program's memory, so the refused size is larger by them.
    WantedBytes,
}
use Differs::{Backtrace, ExitCode, Random, WantedBytes};

const fn case(guest: &'static str, args: &'static [&'static str], but_for: &'static [Differs]) -> Case {
    Case { guest, args, but_for }
}

/// Programs that no component is made of: snapshots are of core modules, and what the programs of single calls ask of
/// preview 1 is not what the adapter passes on.
fn is_core_only(program: &str) -> bool {
    program.starts_with("initialised") || program.starts_with("sdk_init") || program.starts_with("p1_")
}

const CASES: [Case; 35] = [
    case("batched", &["--in", "/items/a/in/leaf=single", "--stdin", "items"], &[]),
    case("clock_and_random", &[], &[Random]),
    case("copy", &["--in", "/in/leaf=single"], &[]),
    case("copy", &["--in", "/in=data"], &[]),
    case("deep_recursion", &[], &[]),
    case("eat_memory", &["--memory", "16MiB"], &[WantedBytes]),
    case("eat_memory", &["--memory", "1MiB"], &[]),
    case("edit_tree", &["--in", "/w=tree:rw", "--out", "/w=changed", "--", "/w"], &[]),
    case("escape", &["--in", "/in=data"], &[]),
    case("exit_code", &["--", "0"], &[]),
    case("exit_code", &["--", "1"], &[]),
    case("exit_code", &["--", "3"], &[ExitCode]),
    case("exit_code", &["--", "255"], &[ExitCode]),
    case("files", &["--in", "/in/d=data", "--in", "/in/s=single"], &[]),
    case("files", &[], &[]),
    case("flood_out", &["--output", "1MiB"], &[]),
    case("flood_out", &["--output", "1MiB", "--", "files"], &[]),
    case("flood_stdout", &["--output", "1MiB"], &[]),
    case("flood_stdout", &["--output", "123457B"], &[]),
    case("heap", &["--stdin", "rounds", "--", "heap"], &[]),
    case("hello", &["--env", "NAME=värld", "--env", "A=b=c", "--", "one", "", "two words"], &[]),
    case("hello", &["--stdin", "large", "--entry", "hallo"], &[]),
    case("loop_forever", &["--timeout", "200ms"], &[]),
    case("loop_forever", &["--fuel", "1000000"], &[]),
    case("panics", &[], &[Backtrace]),
    case("probe_secret", &["--", "plant"], &[]),
    case("probe_secret", &["--", "search"], &[]),
    case("sdk_jobs", &["--in", "/in/text=single", "--stdin", "options", "--", "count"], &[]),
    case("sdk_outputs", &["--in", "/in/text=single", "--", "split"], &[]),
    case("sdk_jobs", &["--", "headline"], &[ExitCode]),
    case("sdk_jobs", &["--stdin", "far", "--", "panics"], &[ExitCode]),
    case("script", &["--", "write", "a/b", "text", "copy", "/out/a/b", "c", "join", "/out", "all"], &[]),
    case("script", &["--", "fail"], &[ExitCode]),
    case("sleepy", &[], &[]),
    case("sum_tree", &["--", "0", "100"], &[]),
];

/// The module of a guest program as a component.
fn component(name: &str) -> Vec<u8> {
    let module = std::fs::read(guest(name)).expect("guests are built");
    let encoder = ComponentEncoder::default().validate(true).module(&module).expect("a module");
    let name = adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;
    let mut encoder = encoder.adapter(name, adapter::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER).expect("an adapter");
    encoder.encode().expect("a component")
}

#[test]
fn every_guest_program_is_here() {
    let folder = repository().join("tests/guests/src/bin");
    let programs = std::fs::read_dir(folder).expect("the guests' sources").map(|entry| {
        let path = entry.expect("an entry").path();
        path.file_stem().expect("a name").to_string_lossy().into_owned()
    });
    let programs = programs.filter(|program| !is_core_only(program));
    let cases = CASES.iter().map(|case| case.guest.to_owned());
    assert_eq!(programs.collect::<BTreeSet<_>>(), cases.collect::<BTreeSet<_>>());
}

#[test]
fn a_component_comes_to_the_same_result_as_its_module() {
    let space = TestSpace::new();
    space.write("data/b/2", "two").write("data/leaf", "one").write("single", vec![7; 200_000]);
    space.write("items", r#"{"args":[],"input":null,"item":"a"}"#);
    space.write("options", r#"{"options":{"case":"ignored"}}"#).write("far", r#"{"at":3}"#);
    space.write("rounds", r#"{"rounds":3000}"#);
    space.write("large", "a line of standard input\n".repeat(10_000));
    for path in ["replaced", "appended", "dir/old", "dir/kept", "gone/x"] {
        space.write(&format!("tree/{path}"), path);
    }
    for Case { guest, args, but_for } in CASES {
        space.guest(guest).write(&format!("{guest}.component.wasm"), component(guest));
        let [of_module, of_component] =
            [format!("{guest}.wasm"), format!("{guest}.component.wasm")].map(|module| result(&space, &module, args));
        let what = format!("{guest} {args:?}");
        let (wanted, got) = (without(but_for, &of_module), without(but_for, &of_component));
        assert_eq!(wanted, got, "{what}");
        // What is excused is really so.
        for differs in but_for {
            let others: Vec<Differs> = but_for.iter().copied().filter(|other| other != differs).collect();
            let (wanted, got) = (without(&others, &of_module), without(&others, &of_component));
            assert_ne!(wanted, got, "{what}: there is no difference in {differs:?} any more");
        }
        if but_for.contains(&ExitCode) {
            assert_eq!(of_component["outcome"]["exited"]["code"], 1, "{what}");
        }
        if but_for.contains(&Backtrace) {
            assert_same_calls(&of_module, &of_component);
        }
    }
}

/// The action result of one execution.
fn result(space: &TestSpace, module: &str, args: &[&str]) -> Value {
    let said = space.run(&[&["exec", module, "--format", "json"], args].concat());
    let events: Vec<Value> = said.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let finished = events.iter().find(|event| event["event"] == "job-finished");
    let mut result = finished.unwrap_or_else(|| panic!("{module} {args:?}: {events:#?}"))["result"].clone();
    assert!(result.is_object(), "{module} {args:?}: {events:#?}");
    // The text, for messages, in place of the digest.
    for stream in ["stdout", "stderr"] {
        let digest = result[stream]["digest"].as_str().expect("a digest").to_owned();
        result[stream] = if result[stream]["size_bytes"] == 0 {
            Value::String(String::new())
        } else {
            Value::String(space.run(&["cat", &digest]).stdout)
        };
    }
    result
}

/// A result without what may differ.
fn without(differences: &[Differs], result: &Value) -> Value {
    let mut result = result.clone();
    for differs in differences {
        match differs {
            Differs::ExitCode => result["outcome"]["exited"]["code"] = Value::Null,
            Differs::WantedBytes => result["outcome"]["out-of-memory"]["wanted_bytes"] = Value::Null,
            Differs::Backtrace => {
                for outcome in result["outcome"].as_object_mut().expect("an outcome").values_mut() {
                    outcome["backtrace"] = Value::Null;
                }
            }
            Differs::Random => {
                let stdout = result["stdout"].as_str().expect("text");
                let is_random = |line: &&str| line.starts_with("hash map order") || line.starts_with("random");
                let kept: Vec<&str> = stdout.lines().filter(|line| !is_random(line)).collect();
                result["stdout"] = Value::String(kept.join("\n"));
            }
        }
    }
    result
}

/// The functions of the program itself are the same, from the innermost on.
fn assert_same_calls(of_module: &Value, of_component: &Value) {
    let functions = |result: &Value| -> Vec<String> {
        let outcome = result["outcome"].as_object().expect("an outcome").values().next().expect("one").clone();
        let frames = outcome["backtrace"].as_array().cloned().unwrap_or_default();
        frames.iter().map(|frame| frame["function"].as_str().expect("a name").to_owned()).collect()
    };
    let (wanted, got) = (functions(of_module), functions(of_component));
    let shared = wanted.len().min(got.len());
    assert_eq!(wanted[..shared], got[..shared]);
}

#[test]
fn a_component_is_a_module_of_a_plan() {
    let space = TestSpace::new();
    space.write("copy.wasm", component("copy")).write("leaf", "through a plan").write(
        "mill.toml",
        r#"
            [modules.copy]
            file = "copy.wasm"
            [jobs.first]
            module = "copy"
            in = { "/in/leaf" = "leaf" }
            [jobs.second]
            module = "copy"
            args = ["again"]
            in = { "/in/leaf" = { job = "first", path = "result" } }
        "#,
    );
    let jobs = space.jobs(&[]);
    assert!(jobs.all("succeeded", false), "{jobs:#?}");
    assert_eq!(jobs.output_digest("first"), jobs.output_digest("second"));
    assert!(space.jobs(&[]).all("succeeded", true), "a component's result is recorded");
}
