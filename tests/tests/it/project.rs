//! `wasmill new`, and what is done with what it makes: a project from nothing to a tested result.

use std::path::PathBuf;

use crate::support::{TestSpace, repository};

fn command(space: &TestSpace, folder: &str, args: &[&str]) -> crate::support::Said {
    let mut command = space.command(args);
    command.current_dir(space.path(folder)).env("CARGO_BUILD_TARGET", "wasm32-wasip1");
    space.said(&command.output().expect("the program starts"))
}

#[test]
fn a_new_project_runs_and_is_tested() {
    let space = TestSpace::new();
    let made = space.run(&["new", "word-counts"]);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.stdout.contains("cd word-counts\n    wasmill run\n"), "{made:?}");
    // What is resolved anew each time would be something else next year.
    std::fs::copy(repository().join("tests/new-project.lock"), space.path("word-counts/guest/Cargo.lock"))
        .expect("a lock file");

    let ran = command(&space, "word-counts", &["run"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(space.read("word-counts/out/total.json"), "{\"texts\":2,\"words\":28,\"most_frequent\":\"over\"}\n");

    let tested = command(&space, "word-counts", &["test"]);
    assert_eq!(tested.code, 0, "{}", tested.stderr);
    for said in ["2 passed", "everything was cached (3 jobs)", "3 actions gave the same result again"] {
        assert!(tested.stderr.contains(said) || tested.stdout.contains(said), "{said} is not in {tested:?}");
    }

    jobs_are_looked_into(&space);

    // What breaks a test ends it there.
    let main = PathBuf::from("word-counts/guest/src/main.rs");
    let source = space.read(main.to_str().expect("UTF-8"));
    space.write(main.to_str().expect("UTF-8"), source.replace("(\"be\", 2)", "(\"be\", 3)"));
    let tested = command(&space, "word-counts", &["test"]);
    assert!(tested.code == 100 && tested.stderr.contains("error: the tests of the crate in"), "{tested:?}");
    // What does not fit is found by name and place.
    let plan = space.read("word-counts/mill.toml");
    space.write("word-counts/mill.toml", plan.replace("entry = \"total\"", "entry = \"totla\""));
    let checked = command(&space, "word-counts", &["plan", "check"]);
    assert!(checked.code == 102 && checked.stderr.contains("did you mean `total`?"), "{checked:?}");

    sizes_are_bounded(&space);

    let again = space.run(&["new", "word-counts"]);
    assert!(again.code == 103 && again.stderr.contains("word-counts is there already"), "{again:?}");
}

const HELLO: &str = r#"
    use wasmill_sdk::prelude::*;

    /// Greets.
    #[job]
    fn hello(name: String) -> String {
        format!("Hello, {name}!")
    }

    wasmill_sdk::main!();
"#;

const HELLO_PLAN: &str = r#"
    [modules]
    jobs = { crate = "guest" }
    small = { crate = "guest", profile = "size" }
    [jobs.usual]
    module = "jobs"
    entry = "hello"
    input = { name = "you" }
    [jobs.small]
    module = "small"
    entry = "hello"
    input = { name = "you" }
"#;

/// The least job, as it is compiled for projects: how large its module is, of which names are for backtraces.
fn sizes_are_bounded(space: &TestSpace) {
    space.write("word-counts/guest/src/main.rs", HELLO);
    space.write("word-counts/mill.toml", HELLO_PLAN);
    let ran = command(space, "word-counts", &["run"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // In bytes; a little above what they are. docs/benchmarks.md has what is in them.
    for (profile, most) in [("release", 76_000), ("size", 60_000)] {
        let module = format!("word-counts/guest/target/guest/wasm32-wasip1/{profile}/word-counts-jobs.wasm");
        let size = space.path(&module).metadata().expect("a module").len();
        println!("a hello job of the SDK, profile {profile}: {size} bytes");
        assert!(size <= most, "profile {profile}: {size} bytes, more than {most}");
    }
}

/// A recorded job as a program of this machine: it comes to what it came to in the sandbox.
fn jobs_are_looked_into(space: &TestSpace) {
    let alone = command(space, "word-counts", &["debug", "total", "--no-debugger"]);
    assert!(alone.code == 0 && alone.stderr.contains("WASMILL_ROOT="), "{alone:?}");
    let left = space.read("word-counts/target/debug-job/total/sandbox/out/result.json");
    assert_eq!(left, space.read("word-counts/out/total.json"));

    let job = "count[brook.txt]";
    let counted = command(space, "word-counts", &["debug", job, "-q", "--no-debugger", "--dir", "looked-into"]);
    assert!(
        counted.code == 0 && space.path("word-counts/looked-into/sandbox/out/result.json").is_file(),
        "{counted:?}"
    );
    let again = command(space, "word-counts", &["debug", job, "--no-debugger", "--dir", "looked-into"]);
    assert!(again.code == 103 && again.stderr.contains("looked-into is not empty"), "{again:?}");
    let unknown = command(space, "word-counts", &["debug", "totla"]);
    assert!(
        unknown.code == 103
            && unknown.stderr.contains("no run of the plan `word-counts` has a record of a job `totla`"),
        "{unknown:?}"
    );

    // A debugger stops in the job's function. Not every machine has one.
    if std::process::Command::new("gdb").arg("--version").output().is_ok_and(|said| said.status.success()) {
        let gdb = "gdb -batch -ex run -ex 'info args'";
        let stopped = command(space, "word-counts", &["debug", "total", "--debugger", gdb]);
        assert!(stopped.stdout.contains("word_counts_jobs::total (counts="), "{stopped:?}");
    }
    let none = command(space, "word-counts", &["debug", "total", "--debugger", "no-such-debugger"]);
    assert!(none.code == 103 && none.stderr.contains("failed to start `no-such-debugger`"), "{none:?}");
}

#[test]
fn what_can_be_no_project_is_refused() {
    let space = TestSpace::new();
    for name in ["Words", "1st", "a b", "é", "..", "x".repeat(61).as_str()] {
        let said = space.run(&["new", name]);
        assert!(said.code == 101 && said.stderr.contains("cannot be the name of a project"), "{said:?}");
        assert!(name == ".." || !space.path(name).exists());
    }
    std::fs::create_dir(space.path("here")).expect("a folder");
    assert_eq!(command(&space, "here", &["new", "."]).code, 0);
    assert!(space.read("here/mill.toml").contains("name = \"here\""));
    space.write("file", "x");
    assert_eq!(space.run(&["new", "file"]).code, 103);
    let said = space.run(&["new", "words", "--sdk", "nowhere"]);
    assert!(said.code == 103 && said.stderr.contains("there is no guest SDK in nowhere"), "{said:?}");
    let said = space.run(&["new", "words", "--sdk", repository().join("guest-sdk").to_str().expect("UTF-8")]);
    assert!(said.code == 0 && !space.path("words/wasmill-sdk").exists(), "{said:?}");
}
