//! Programs that know nothing of wasmill: C and Go built from source, CPython as it is.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::{TestSpace, foreign, repository};

/// Runs a program with the same inputs in two stores, and returns what it wrote; everything must be the same.
fn twice(name: &str, program: &Path) -> String {
    let mut said = Vec::new();
    for _ in 0..2 {
        let space = TestSpace::new();
        space.write("program.wasm", std::fs::read(program).unwrap());
        space.write("data/numbers", "1 4 9 16 2").write("data/other", "").write("stdin", "first\nsecond\n");
        let run = space.run(&[
            "exec",
            "program.wasm",
            "--in",
            "/in/data=data",
            "--stdin",
            "stdin",
            "--env",
            "NAME=a name",
            "--out",
            "out",
            "--",
            "one",
            "two words",
        ]);
        assert_eq!(run.code, 0, "{name}: {run:?}");
        let verified = space.run(&["verify", "--engine", "pulley"]);
        assert_eq!(verified.code, 0, "{name}: {verified:?}");
        let shown = space.run(&["show", "1", "exec"]).stdout;
        let digests: Vec<&str> =
            shown.lines().filter(|line| line.starts_with("  output") || line.starts_with("  std")).collect();
        said.push((run.stdout, run.stderr, digests.join("\n")));
    }
    assert_eq!(said[0], said[1], "{name}");
    said.swap_remove(0).0
}

#[test]
fn a_c_program_does_what_it_does_every_day() {
    let Some(program) = foreign("c") else { return };
    let said = twice("c", &program);
    let expected = [
        "argv[0] = main\nargv[1] = one\nargv[2] = two words\n",
        "NAME = a name, HOME = unset\n",
        "stdin: first\nstdin: second\n",
        "/in/data/numbers\n/in/data/other\n",
        "5 numbers, the sum of their roots is 11.414213562373\n",
        "writing an input: Read-only file system\n",
        "outside: No such file or directory\n",
        " bytes, modified 946684800\n",
        "it is 2000-01-01, and 3600 s later\n",
    ];
    for part in expected {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}

#[test]
fn a_c_program_speaks_the_protocol() {
    let Some(program) = foreign("c_protocol") else { return };
    let space = TestSpace::new();
    space.guest("sdk_jobs").write("letters.wasm", std::fs::read(program).unwrap()).write("text", "Abc 1 {z}");
    space.write(
        "mill.toml",
        r#"
            [modules]
            c = { file = "letters.wasm" }
            rust = { file = "sdk_jobs.wasm" }
            [jobs.letters]
            module = "c"
            entry = "letters"
            in = { "/in/text" = "text" }
            [jobs.add]
            module = "rust"
            entry = "add"
            in = { "/in/left" = { job = "letters" } }
            input = { right = 1 }
            save = { "result.json" = "saved" }
            [jobs.misspelt]
            module = "c"
            entry = "leters"
        "#,
    );
    let (code, events) = space.events(&["run", "--keep-going"]);
    assert_eq!((code, space.read("saved").as_str()), (100, "5\n"), "{events:#?}");
    let said: Vec<&str> = events
        .iter()
        .filter(|event| event["event"] == "job-log")
        .map(|event| event["message"].as_str().unwrap())
        .collect();
    let [letters, long, made] = said.as_slice() else { panic!("{said:#?}") };
    assert_eq!((*letters, *made), ("4 \"letters\"\nin 9 bytes \\ größer", "made 1 times"));
    assert!(long.len() > 2_000 && long.chars().all(|char| char == 'ä'), "{long}");
    let progress = events.iter().find(|event| event["event"] == "job-progress").expect("progress");
    assert_eq!(progress["done"], 9);
    for engine in ["cranelift", "pulley"] {
        assert_eq!(space.run(&["verify", "--engine", engine]).code, 0);
    }
}

#[test]
fn a_go_program_does_what_it_does_every_day() {
    let Some(program) = foreign("go") else { return };
    let said = twice("go", &program);
    for part in [
        "stdin: first\nstdin: second\n",
        "2000-01-01 true\n",
        "outside: open /etc/passwd: No such file or directory\n",
        "writing an input: open /in/new: Read-only file system\n",
        "[report.json]\n",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}

/// The example, with CPython.
fn grader(python: &Path) -> TestSpace {
    let space = TestSpace::new();
    let example = repository().join("examples/python-grader");
    for folder in ["", "submissions", "cases"] {
        for entry in std::fs::read_dir(example.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_file() && name != "python.wasm" {
                space.write(format!("{folder}/{name}").trim_start_matches('/'), std::fs::read(&path).unwrap());
            }
        }
    }
    // As a link: the module is large.
    if std::fs::hard_link(python, space.path("python.wasm")).is_err() {
        std::fs::copy(python, space.path("python.wasm")).unwrap();
    }
    space
}

/// What a submission's verdict has to be.
const VERDICTS: [(&str, &str, &str); 22] = [
    ("error_exception", "runtime error", "exit code 1"),
    ("error_exit", "runtime error", "exit code 77"),
    ("error_syntax", "runtime error", "exit code 1"),
    ("good_library", "accepted", ""),
    ("good_loop", "accepted", ""),
    ("good_one_line", "accepted", ""),
    ("good_patience", "accepted", ""),
    ("hostile_dice", "wrong answer", ""),
    ("hostile_endless_loop", "time limit", "out of fuel"),
    ("hostile_files", "accepted", ""),
    ("hostile_floods_disk", "output limit", ""),
    ("hostile_floods_stdout", "output limit", ""),
    ("hostile_fork", "runtime error", "exit code 1"),
    ("hostile_memory_bomb", "runtime error", "exit code 1"),
    ("hostile_network", "runtime error", "exit code 1"),
    ("hostile_recursion", "runtime error", "exit code 1"),
    ("hostile_rewrites_input", "runtime error", "exit code 1"),
    ("hostile_stack", "runtime error", "trapped: memory-out-of-bounds"),
    ("hostile_subprocess", "runtime error", "exit code 1"),
    ("hostile_threads", "runtime error", "exit code 1"),
    ("wrong_large", "wrong answer", ""),
    ("wrong_sum", "wrong answer", ""),
];

#[test]
fn python_submissions_are_graded_whatever_they_try() {
    let Some(python) = foreign("python") else { return };
    let (one, other) = (grader(&python), grader(&python));
    let args = ["run", "--keep-going", "--format", "json"];
    let graded = one.run(&args);
    assert_eq!(graded.code, 100, "{graded:?}");
    one.write("events", &graded.stdout);
    let report = one.run(&[
        "exec",
        "python.wasm",
        "--in",
        "/in/report.py=report.py",
        "--in",
        "/in/cases=cases",
        "--stdin",
        "events",
        "--out",
        "out",
        "--",
        "-I",
        "/in/report.py",
    ]);
    assert_eq!(report.code, 0, "{report:?}");
    let report: BTreeMap<String, Value> = serde_json::from_str(&one.read("out/report.json")).unwrap();
    assert_eq!(report.len(), VERDICTS.len());
    for (name, verdict, why) in VERDICTS {
        let found = &report[&format!("{name}.py")];
        assert_eq!((&found["verdict"], &found["why"]), (&verdict.into(), &why.into()), "{name}: {found}");
    }

    // Nothing runs twice, however it ended.
    let again = one.jobs(&["--keep-going"]);
    assert!(again.by_name.len() == 44 && again.by_name.values().all(|(_, cached, _)| *cached), "{again:#?}");
    // In another store everything comes to the same, byte for byte.
    let theirs = other.jobs(&["--keep-going"]);
    for (name, (status, _, report)) in &again.by_name {
        let (their_status, cached, their_report) = &theirs.by_name[name];
        assert!(!cached);
        assert_eq!((status, &report["result"]), (their_status, &their_report["result"]), "{name}");
    }
}
