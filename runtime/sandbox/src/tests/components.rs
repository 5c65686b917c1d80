//! Components: the same ends, limits and errors as modules have.

use std::fmt::Write as _;

use wasmill_model::TrapKind;
use wasmill_model::port::ModuleError;

use super::*;

/// A component whose `run` does `body` in a core module with a memory. `imports` are its imports in the text format,
/// with an instance `$name` each; `lowered` are functions of theirs, as `(instance, function, core type, options)`.
struct Program<'a> {
    imports: &'a str,
    lowered: &'a [(&'a str, &'a str, &'a str)],
    body: &'a str,
}

const PLAIN: Program<'_> = Program { imports: "", lowered: &[], body: "" };

impl Program<'_> {
    fn text(&self) -> String {
        let (mut aliases, mut core_imports, mut given) = (String::new(), String::new(), String::new());
        for (index, (instance, function, ty)) in self.lowered.iter().enumerate() {
            match function.strip_prefix("drop ") {
                Some(resource) => write!(
                    aliases,
                    r#"(alias export ${instance} "{resource}" (type $t{index}))
                       (core func $f{index} (canon resource.drop $t{index}))"#
                ),
                None => write!(
                    aliases,
                    r#"(core func $f{index} (canon lower (func ${instance} "{function}")
                         (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))"#
                ),
            }
            .unwrap();
            write!(core_imports, r#"(import "host" "{function}" (func $f{index} {ty}))"#).unwrap();
            write!(given, r#"(export "{function}" (func $f{index}))"#).unwrap();
        }
        format!(
            r#"(component
              {imports}
              (core module $memory
                (memory (export "memory") 2)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
              (core instance $memory (instantiate $memory))
              {aliases}
              (core module $main
                {core_imports}
                (import "memory" "memory" (memory 1))
                {body})
              (core instance $main (instantiate $main
                (with "host" (instance {given})) (with "memory" (instance $memory))))
              (func $run (result (result)) (canon lift (core func $main "run")))
              (instance $run (export "run" (func $run)))
              (export "wasi:cli/run@0.2.0" (instance $run)))"#,
            imports = self.imports,
            body = self.body,
        )
    }
}

/// A component that imports nothing and whose `run` is this.
fn bare(run: &str) -> String {
    let body = format!(r#"(func $inner (result i32) {run}) (func (export "run") (result i32) (call $inner))"#);
    Program { body: &body, ..PLAIN }.text()
}

const EXIT: &str = r#"(import "wasi:cli/exit@0.2.0" (instance $exit
  (export "exit" (func (param "status" (result))))
  (export "exit-with-code" (func (param "status-code" u8)))))"#;

fn exits(function: &str, value: u32) -> String {
    let body = format!(r#"(func (export "run") (result i32) (call $f0 (i32.const {value})) (unreachable))"#);
    Program { imports: EXIT, lowered: &[("exit", function, "(param i32)")], body: &body }.text()
}

#[test]
fn a_component_ends_as_a_module_does() {
    let space = Space::new(1);
    assert_eq!(space.outcome(&bare("(i32.const 0)")), Outcome::SUCCESS);
    assert_eq!(space.outcome(&bare("(i32.const 1)")), Outcome::Exited { code: 1 });
    assert_eq!(space.outcome(&exits("exit", 0)), Outcome::SUCCESS);
    assert_eq!(space.outcome(&exits("exit", 1)), Outcome::Exited { code: 1 });
    assert_eq!(space.outcome(&exits("exit-with-code", 7)), Outcome::Exited { code: 7 });
    for (body, wanted) in [
        ("(unreachable)", TrapKind::Unreachable),
        ("(i32.div_s (i32.const 1) (i32.const 0))", TrapKind::DivisionByZero),
        ("(i32.load (i32.const 1000000))", TrapKind::MemoryOutOfBounds),
    ] {
        let outcome = space.outcome(&bare(body));
        let Outcome::Trapped { trap, backtrace } = outcome else { panic!("{outcome:?}") };
        assert_eq!(trap, wanted);
        assert_eq!(backtrace[0].function, "inner");
    }
    let deep = r#"(func $deep (export "run") (result i32) (i32.add (call $deep) (i32.const 1)))"#;
    let outcome = space.outcome(&Program { body: deep, ..PLAIN }.text());
    assert!(matches!(outcome, Outcome::StackExhausted { .. }), "{outcome:?}");
}

const STDOUT: &str = r#"
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error (type $error'))
    (export "output-stream" (type $stream (sub resource)))
    (export "error" (type $e (eq $error')))
    (type $failure' (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $failure (eq $failure')))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $failure)))))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $stream (type $stream'))
    (export "output-stream" (type $s (eq $stream')))
    (export "get-stdout" (func (result (own $s))))))
"#;
const WRITE: &str = "[method]output-stream.blocking-write-and-flush";
const STDOUT_FUNCTIONS: [(&str, &str, &str); 3] = [
    ("stdout", "get-stdout", "(result i32)"),
    ("streams", WRITE, "(param i32 i32 i32 i32)"),
    ("streams", "drop output-stream", "(param i32)"),
];

#[test]
fn a_component_that_breaks_the_rules_of_a_call_is_stopped() {
    let space = Space::new(1);
    let writes = |body: &str| {
        let body = format!(r#"(func (export "run") (result i32) {body} (i32.const 0))"#);
        space.outcome(&Program { imports: STDOUT, lowered: &STDOUT_FUNCTIONS, body: &body }.text())
    };
    assert_eq!(writes("(call $f1 (call $f0) (i32.const 0) (i32.const 9) (i32.const 100))"), Outcome::SUCCESS);
    for body in [
        // A pointer outside the memory; a handle that there is not, given and dropped.
        "(call $f1 (call $f0) (i32.const 131000) (i32.const 500) (i32.const 100))",
        "(call $f1 (call $f0) (i32.const 0) (i32.const -1) (i32.const 100))",
        "(call $f1 (i32.const 77) (i32.const 0) (i32.const 9) (i32.const 100))",
        "(call $f2 (i32.const 77))",
        // A handle for each of what is too much.
        "(loop (drop (call $f0)) (br 0))",
        // No such result.
        "(return (i32.const 7))",
    ] {
        let outcome = writes(body);
        assert!(matches!(outcome, Outcome::Trapped { trap: TrapKind::WasiMisuse, .. }), "{body}: {outcome:?}");
    }
    // In a core module's start function, before `run`.
    let start =
        r#"(func $start (call $f2 (i32.const 77))) (start $start) (func (export "run") (result i32) (i32.const 0))"#;
    let outcome = space.outcome(&Program { imports: STDOUT, lowered: &STDOUT_FUNCTIONS, body: start }.text());
    assert!(matches!(outcome, Outcome::Trapped { trap: TrapKind::WasiMisuse, .. }), "{outcome:?}");
}

#[test]
fn limits_hold_for_components() {
    let space = Space::new(1);
    let endless = space.action(&bare("(loop (br 0)) (i32.const 0)"));
    let execution = space.run_with(&endless, 50, &Cancel::new()).unwrap();
    assert_eq!(execution.result.outcome, Outcome::TimedOut { limit_ms: 50 });
    let cancel = Cancel::new();
    cancel.cancel();
    assert_eq!(space.run_with(&endless, 10_000, &cancel).unwrap().result.outcome, Outcome::Cancelled);

    let mut metered = endless.clone();
    metered.limits.fuel = Some(10_000);
    assert_eq!(space.run(&metered).result.outcome, Outcome::OutOfFuel { limit: 10_000 });

    let flood = r#"(func (export "run") (result i32) (local $to i32) (local.set $to (call $f0))
      (loop (call $f1 (local.get $to) (i32.const 0) (i32.const 4096) (i32.const 100)) (br 0)) (unreachable))"#;
    let flood = Program { imports: STDOUT, lowered: &STDOUT_FUNCTIONS, body: flood };
    let mut flood = space.action(&flood.text());
    flood.limits.output_bytes = 10_000;
    let result = space.run(&flood).result;
    assert_eq!(result.outcome, Outcome::OutputTooLarge { limit_bytes: 10_000 });
    assert_eq!(result.stdout.size_bytes, 10_000, "what fits is kept, however it was cut");
}

/// A component of two modules with a memory each.
fn two_memories(first_pages: u32, second_pages: u32, body: &str) -> String {
    format!(
        r#"(component
          (core module $other (memory (export "memory") {first_pages})
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
          (core instance $other (instantiate $other))
          (core module $main (import "other" "grow" (func $grow (param i32) (result i32))) (memory {second_pages})
            (func (export "run") (result i32) {body}))
          (core instance $main (instantiate $main (with "other" (instance $other))))
          (func $run (result (result)) (canon lift (core func $main "run")))
          (instance $run (export "run" (func $run)))
          (export "wasi:cli/run@0.2.0" (instance $run)))"#
    )
}

#[test]
fn the_limit_of_memory_is_for_all_memories_together() {
    let space = Space::new(1);
    // 16 MiB are 256 pages.
    let fits = two_memories(100, 100, "(i32.eq (call $grow (i32.const 56)) (i32.const -1))");
    let execution = space.run(&space.action(&fits));
    assert_eq!(execution.result.outcome, Outcome::SUCCESS);
    assert_eq!(execution.usage.memory_peak_bytes, 16 << 20);
    let refused = "(i32.ne (memory.grow (i32.const 57)) (i32.const -1))";
    assert_eq!(space.outcome(&two_memories(100, 100, refused)), Outcome::SUCCESS);
    let gives_up = "(drop (call $grow (i32.const 57))) (unreachable)";
    let wanted_bytes = 257 << 16;
    let out_of_memory = Outcome::OutOfMemory { limit_bytes: 16 << 20, wanted_bytes };
    assert_eq!(space.outcome(&two_memories(100, 100, gives_up)), out_of_memory);
    assert_eq!(space.outcome(&two_memories(200, 57, "(i32.const 0)")), out_of_memory);
}

fn error_of(space: &Space, text: &str) -> ModuleError {
    let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
    match space.sandbox.check_module(&space.put(wasm).digest) {
        Err(RunnerError::Module { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_component_is_told() {
    let space = Space::new(1);
    let whole = wat::parse_str(bare("(i32.const 0)")).unwrap();
    let check = |wasm: &[u8]| match space.sandbox.check_module(&space.put(wasm).digest) {
        Err(RunnerError::Module { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    for len in [8, 9, 20, whole.len() / 2, whole.len() - 1] {
        let error = check(&whole[..len]);
        let is_told =
            if len == 8 { matches!(error, ModuleError::NoRun(_)) } else { matches!(error, ModuleError::Invalid(_)) };
        assert!(is_told, "{len}: {error:?}");
    }
    let mut other_version = whole.clone();
    other_version[4] = 0x0c;
    assert!(matches!(check(&other_version), ModuleError::Invalid(_)));
}

#[test]
fn imports_of_components_are_checked() {
    let space = Space::new(1);
    let import = |imports: &str| match error_of(
        &space,
        &Program { imports, body: r#"(func (export "run") (result i32) (i32.const 0))"#, ..PLAIN }.text(),
    ) {
        ModuleError::Import { module, name, wrong } => (module, name, wrong),
        other => panic!("{other:?}"),
    };
    let of = |interface: &str, function: &str| {
        import(&format!(r#"(import "{interface}" (instance (export "{function}" (func))))"#))
    };
    let (module, name, wrong) = of("wasi:sockets/tcp-create-socket@0.2.0", "create-tcp-socket");
    assert_eq!((module.as_str(), name.as_str()), ("wasi:sockets/tcp-create-socket@0.2.0", "create-tcp-socket"));
    assert_eq!(wrong, "which is not offered: a job has no network");
    let (module, _, wrong) =
        import(r#"(import "wasi:sockets/network@0.2.6" (instance (export "network" (type (sub resource)))))"#);
    assert_eq!(
        (module.as_str(), wrong.as_str()),
        ("wasi:sockets/network@0.2.6", "which is not offered: a job has no network")
    );
    let (_, name, wrong) = of("wasi:http/outgoing-handler@0.2.0", "handle");
    assert_eq!((name.as_str(), wrong.as_str()), ("handle", "which is not offered: a job has no network"));
    assert!(of("acme:gpu/device", "dispatch").2.contains("`wasi:cli/command` 0.2"));
    for version in ["0.3.0", "0.2.0-rc-2023-11-10", "1.0.0"] {
        let (_, _, wrong) = of(&format!("wasi:cli/exit@{version}"), "exit");
        assert_eq!(wrong, "which is offered as of WASI 0.2 only");
    }
    let (module, name, wrong) = of("wasi:cli/exit@0.2.0", "exit-now");
    assert_eq!((module.as_str(), name.as_str()), ("wasi:cli/exit@0.2.0", "exit-now"));
    assert!(wrong.contains("function implementation is missing"), "{wrong}");
    let (module, name, wrong) = of("wasi:cli/exit@0.2.0", "exit");
    assert_eq!((module.as_str(), name.as_str()), ("wasi:cli/exit@0.2.0", "exit"));
    assert!(wrong.starts_with("which is not offered like that: "), "{wrong}");
    let (module, name, _) = import(r#"(import "alert" (func))"#);
    assert_eq!((module.as_str(), name.as_str()), ("$root", "alert"));
    assert_eq!(import(r#"(import "lib" (core module))"#).1, "lib");
}

/// One thing out of each interface that is offered.
const INTERFACES: &str = r#"
  (import "wasi:io/error@V" (instance $error (export "error" (type (sub resource)))))
  (import "wasi:io/poll@V" (instance (export "pollable" (type (sub resource)))))
  (import "wasi:io/streams@V" (instance (export "input-stream" (type (sub resource)))))
  (import "wasi:cli/environment@V" (instance (export "get-arguments" (func (result (list string))))))
  (import "wasi:cli/exit@V" (instance (export "exit" (func (param "status" (result))))))
  (import "wasi:cli/stdin@V" (instance $stdin))
  (import "wasi:cli/terminal-input@V" (instance (export "terminal-input" (type (sub resource)))))
  (import "wasi:cli/terminal-output@V" (instance (export "terminal-output" (type (sub resource)))))
  (import "wasi:clocks/monotonic-clock@V" (instance (export "now" (func (result u64)))))
  (import "wasi:clocks/wall-clock@V" (instance
    (type $d (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $d)))
    (export "now" (func (result $datetime)))))
  (import "wasi:filesystem/types@V" (instance (export "descriptor" (type (sub resource)))))
  (import "wasi:random/random@V" (instance (export "get-random-u64" (func (result u64)))))
  (import "wasi:random/insecure@V" (instance (export "get-insecure-random-u64" (func (result u64)))))
  (import "wasi:random/insecure-seed@V" (instance (export "insecure-seed" (func (result (tuple u64 u64))))))
"#;

#[test]
fn every_patch_of_0_2_is_linked() {
    let space = Space::new(1);
    for patch in [0, 1, 2, 3, 4, 5, 6, 8, 12, 99] {
        let imports = INTERFACES.replace("@V", &format!("@0.2.{patch}"));
        let text = Program { imports: &imports, body: r#"(func (export "run") (result i32) (i32.const 0))"#, ..PLAIN };
        let text = text.text().replace("run@0.2.0", &format!("run@0.2.{patch}"));
        assert_eq!(space.outcome(&text), Outcome::SUCCESS, "0.2.{patch}");
    }
}

#[test]
fn a_component_has_a_run() {
    let space = Space::new(1);
    let no_run = |text: &str| match error_of(&space, text) {
        ModuleError::NoRun(wrong) => wrong,
        other => panic!("{other:?}"),
    };
    assert_eq!(no_run("(component)"), "it exports nothing at all");
    let wrong = no_run(r#"(component (instance $i) (export "acme:lib/api" (instance $i)))"#);
    assert_eq!(wrong, "it exports `acme:lib/api`; build it as a program");
    let wrong = no_run(r#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#);
    assert!(wrong.contains("run"), "{wrong}");
    let wrong = no_run(&bare("(i32.const 0)").replace("run@0.2.0", "run@0.3.0"));
    assert_eq!(wrong, "it exports `wasi:cli/run@0.3.0`; that of WASI 0.2 is run");
}

#[test]
fn a_component_takes_no_more_than_a_slot_has() {
    let space = Space::new(1);
    let many = |module: &str, count: usize| {
        let instances = "(core instance (instantiate $m))".repeat(count);
        format!(
            r#"(component (core module $m {module}) {instances}
              (core module $main (func (export "run") (result i32) (i32.const 0)))
              (core instance $main (instantiate $main))
              (func $run (result (result)) (canon lift (core func $main "run")))
              (instance $run (export "run" (func $run)))
              (export "wasi:cli/run@0.2.0" (instance $run)))"#
        )
    };
    for (module, most) in [("", 63), ("(memory 1)", 4), ("(table 1 funcref)", 8)] {
        assert_eq!(space.outcome(&many(module, most)), Outcome::SUCCESS, "{module}");
        let error = error_of(&space, &many(module, most + 1));
        assert!(matches!(error, ModuleError::Invalid(_)), "{module}: {error:?}");
    }
    let error = error_of(&space, &many("(table 1000001 funcref)", 1));
    assert!(matches!(error, ModuleError::Invalid(_)), "{error:?}");
    // 16 MiB are for all instances together: each of these takes 2 MiB of them.
    let globals = format!("{} (func)", "(global (mut v128) (v128.const i64x2 0 0))".repeat(130_000));
    assert_eq!(space.outcome(&many(&globals, 7)), Outcome::SUCCESS);
    assert!(matches!(error_of(&space, &many(&globals, 9)), ModuleError::Invalid(_)));
}

#[test]
fn a_components_machine_code_is_kept_and_checked() {
    let first = Space::new(1);
    let action = first.action(&bare("(i32.const 0)"));
    assert_eq!(first.run(&action).result.outcome, Outcome::SUCCESS);
    let artifact = first.memory.artifacts.lock().unwrap().values().next().unwrap().clone();
    let good = std::fs::read(&artifact.path).unwrap();
    let again = || {
        let memory = Arc::clone(&first.memory);
        let sandbox = Sandbox::new(Options::default(), Arc::clone(&memory) as _, memory as _).unwrap();
        sandbox.check_module(&action.module)
    };
    for place in [0, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[place] ^= 1;
        std::fs::write(&artifact.path, &bad).unwrap();
        again().unwrap();
        assert_eq!(std::fs::read(&artifact.path).unwrap(), good, "byte {place}");
    }
    // With the code at hand, the component is not needed any more.
    first.memory.blobs.lock().unwrap().remove(&action.module);
    again().unwrap();
    assert_eq!(first.memory.artifacts.lock().unwrap().len(), 1);
}

#[test]
fn a_component_gets_the_numbers_and_times_that_a_module_gets() {
    let space = Space::new(1);
    let module = program(
        r#"(func (export "_start")
          (drop (call $random_get (i32.const 200) (i32.const 8)))
          (drop (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 208)))
          (drop (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 208)))
          (drop (call $write (i32.const 1) (i32.const 200) (i32.const 16))))"#,
    );
    let imports = format!(
        r#"{STDOUT}
        (import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (result u64)))))
        (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))"#
    );
    let lowered = [
        STDOUT_FUNCTIONS[0],
        STDOUT_FUNCTIONS[1],
        ("random", "get-random-u64", "(result i64)"),
        ("clock", "now", "(result i64)"),
    ];
    let body = r#"(func (export "run") (result i32)
      (i64.store (i32.const 200) (call $f2))
      (drop (call $f3))
      (i64.store (i32.const 208) (call $f3))
      (call $f1 (call $f0) (i32.const 200) (i32.const 16) (i32.const 100))
      (i32.const 0))"#;
    let component = Program { imports: &imports, lowered: &lowered, body }.text();
    let key = space.action(&module).key();
    let stdout = |text: &str| {
        let action = space.action(text);
        let request = Request { action: &action, key, timeout: Timeout { wall_ms: 10_000 }, listener: None };
        let result = space.sandbox.run(request, &Cancel::new()).unwrap().result;
        assert_eq!(result.outcome, Outcome::SUCCESS);
        assert_eq!(result.stdout.size_bytes, 16);
        result.stdout
    };
    assert_eq!(stdout(&module), stdout(&component));
}
