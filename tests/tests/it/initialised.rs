//! Modules that initialise themselves: once, before the first job, and to the same end as if each job did it.

use crate::support::TestSpace;

const PLAN: &str = r#"
    name = "initialised"
    [modules]
    m = { file = "initialised.wasm" }
    [defaults]
    module = "m"
    [jobs.plain]
    for-each = { n = ["1", "2", "3"] }
    args = ["{n}"]
    env = { NAME = "{n}" }
    in = { "/in/text" = { text = "number {n}" } }
    [jobs.metered]
    limits = { fuel = 100_000_000 }
    [jobs.small]
    limits = { memory = "2MiB" }
"#;

#[test]
fn from_a_snapshot_and_from_nothing_come_to_the_same_on_both_engines() {
    let space = TestSpace::new();
    space.guest("initialised").write("mill.toml", PLAN);
    let jobs = space.jobs(&["--keep-going"]);
    for (name, status) in [("plain[1]", "succeeded"), ("metered", "succeeded"), ("small", "failed")] {
        assert_eq!(jobs.status(name), status, "{jobs:#?}");
    }
    // Which is far less than the initialiser takes.
    let fuel = jobs.by_name["metered"].2["usage"]["fuel"].as_u64().unwrap();
    assert!(fuel < 2_000_000, "{fuel}");
    let stdout = space.run(&["cat", jobs.by_name["plain[2]"].2["result"]["stdout"]["digest"].as_str().unwrap()]).stdout;
    assert!(stdout.starts_with("args [\"2\"]\nNAME Ok(\"2\")\n148933 primes, the last is Some(1999993)\n"), "{stdout}");
    // `verify` makes every instance from nothing, so each runs the initialiser itself.
    for engine in ["cranelift", "pulley"] {
        let (code, events) = space.events(&["verify", "--engine", engine]);
        assert_eq!((code, events.last().unwrap()["same"].as_u64()), (0, Some(5)), "{events:#?}");
    }
}

#[test]
fn an_initialiser_must_not_depend_on_a_job() {
    let space = TestSpace::new();
    space.guest("initialised_wrongly");
    let said = space.run(&["exec", "initialised_wrongly.wasm"]);
    assert_eq!(said.code, 103, "{said:?}");
    assert!(said.stderr.contains("its initialiser called `environ_sizes_get`"), "{said:?}");
}

/// A module with this for an initialiser.
fn with_initialiser(body: &str) -> String {
    format!(
        r#"(module
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1)
          (global $state (mut i32) (i32.const 0))
          (data (i32.const 32) "\28\00\00\00\06\00\00\00oh no\0a")
          (table 1 funcref)
          (func (export "wizer-initialize") {body})
          (func (export "_start") (call $exit (i32.add (global.get $state) (i32.load (i32.const 100))))))"#
    )
}

#[test]
fn globals_and_memory_are_as_the_initialiser_left_them() {
    let space = TestSpace::new();
    space.write(
        "m.wat",
        with_initialiser("(global.set $state (i32.const 40)) (i32.store (i32.const 100) (i32.const 2))"),
    );
    assert_eq!(space.run(&["exec", "m.wat"]).code, 42);
    assert_eq!(space.run(&["exec", "m.wat", "--fuel", "1000", "--fresh"]).code, 42);
    assert_eq!(space.run(&["exec", "m.wat", "--engine", "pulley", "--fresh"]).code, 42);
    assert_eq!(space.run(&["verify"]).code, 0);
}

#[test]
fn an_initialiser_that_does_not_do_well_says_so() {
    for (body, wrong) in [
        ("unreachable", "its initialiser failed: "),
        ("(call $exit (i32.const 3))", "its initialiser ended the program with code 3"),
        (
            "(drop (call $write (i32.const 2) (i32.const 32) (i32.const 1) (i32.const 8))) unreachable",
            "`unreachable` instruction executed; it said: oh no",
        ),
        (
            "(loop (drop (call $write (i32.const 2) (i32.const 32) (i32.const 1) (i32.const 8))) (br 0))",
            "its initialiser wrote more than 64 KiB to standard error; it said: oh no",
        ),
        ("(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))", "called `fd_write`"),
        ("(loop (br 0))", "more than the 0.3 s of CPU time that it may"),
        ("(table.set (i32.const 0) (ref.null func))", "unsupported `table.set` instruction"),
    ] {
        let space = TestSpace::new();
        space.write("m.wat", with_initialiser(body));
        let said = space.run(&["exec", "m.wat", "--compile-time", "300ms"]);
        assert_eq!(said.code, 103, "{body}: {said:?}");
        assert!(said.stderr.contains(wrong), "{body}: {said:?}");
    }
    let space = TestSpace::new();
    space.write("m.wat", r#"(module (func (export "wizer-initialize") (param i32)) (func (export "_start")))"#);
    let said = space.run(&["exec", "m.wat"]);
    assert!(said.stderr.contains("its `wizer-initialize` takes or returns something"), "{said:?}");
}

#[test]
fn a_module_can_go_on_elsewhere_than_where_it_starts() {
    let space = TestSpace::new();
    let text = with_initialiser("(global.set $state (i32.const 7))");
    let resume = r#"(func (export "wizer-resume") (call $exit (i32.mul (global.get $state) (i32.const 3)))))"#;
    space.write("m.wat", format!("{}{resume}", text.trim_end().strip_suffix(')').unwrap()));
    assert_eq!(space.run(&["exec", "m.wat"]).code, 21);
    assert_eq!(space.run(&["verify"]).code, 0);
}

#[test]
fn a_reactor_is_initialised_too_and_then_goes_on() {
    let space = TestSpace::new();
    let reactor = r#"(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      (global $state (mut i32) (i32.const 0))
      (func (export "_initialize") (global.set $state (i32.const 5)))
      (func (export "wizer-initialize") (global.set $state (i32.mul (global.get $state) (i32.const 5))))
      (func (export "wizer-resume") (call $exit (global.get $state))))"#;
    space.write("m.wat", reactor);
    assert_eq!(space.run(&["exec", "m.wat"]).code, 25);
    assert_eq!(space.run(&["exec", "m.wat", "--fuel", "1000", "--fresh"]).code, 25);
    assert_eq!(space.run(&["verify"]).code, 0);
    assert_eq!(space.run(&["verify", "--engine", "pulley"]).code, 0);

    space.write("m.wat", reactor.replace("(export \"wizer-resume\")", ""));
    let said = space.run(&["exec", "m.wat"]);
    assert!(said.code == 103 && said.stderr.contains("export `wizer-initialize` and `wizer-resume`"), "{said:?}");
    space.write("m.wat", reactor.replace("\"wizer-resume\")", "\"wizer-resume\") (param i32)"));
    let said = space.run(&["exec", "m.wat"]);
    assert!(said.code == 103 && said.stderr.contains("takes or returns something"), "{said:?}");
}

const SDK_PLAN: &str = r#"
    name = "from what was made"
    [modules]
    m = { file = "sdk_init.wasm" }
    [defaults]
    module = "m"
    [jobs.order]
    entry = "order"
    [jobs.begin_with]
    entry = "begin_with"
    for-each = { letter = ["a", "s", "Z"] }
    input = { letter = "{letter}" }
    save = { "result.json" = "saved/{letter}" }
    limits = { fuel = 2_000_000 }
"#;

#[test]
fn jobs_of_the_sdk_start_with_what_its_initialiser_made() {
    let space = TestSpace::new();
    space.guest("sdk_init").write("mill.toml", SDK_PLAN);
    let jobs = space.jobs(&[]);
    assert!(jobs.code == 0 && jobs.all("succeeded", false), "{jobs:#?}");
    // Each is the first to ask.
    let (a, z) = (space.read("saved/a"), space.read("saved/Z"));
    assert!(a.ends_with(",1]\n") && !a.starts_with("[0,"), "{a}");
    assert_eq!(z, "[0,1]\n");
    let stderr = jobs.by_name["order"].2["result"]["stderr"]["size_bytes"].as_u64();
    assert_eq!(stderr, Some(0), "what an initialiser says is no part of any result");
    for engine in ["cranelift", "pulley"] {
        let (code, events) = space.events(&["verify", "--engine", engine]);
        assert_eq!((code, events.last().unwrap()["same"].as_u64()), (0, Some(4)), "{events:#?}");
    }
}

#[test]
fn an_initialiser_of_the_sdk_that_fails_says_where_and_why() {
    let space = TestSpace::new();
    space.guest("sdk_init_fails");
    let said = space.run(&["exec", "sdk_init_fails.wasm", "--", "len"]);
    assert_eq!(said.code, 103, "{said:?}");
    insta::assert_snapshot!(said.stderr);
}
