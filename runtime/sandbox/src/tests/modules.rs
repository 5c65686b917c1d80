//! Modules that cannot be used, and machine code that cannot be trusted.

use wasmill_model::port::ModuleError;

use super::*;

fn error_of(wasm: impl Into<Vec<u8>>) -> ModuleError {
    let space = Space::new(1);
    let digest = space.put(wasm).digest;
    match space.sandbox.check_module(&digest) {
        Err(RunnerError::Module { module, source }) if module == digest => source,
        other => panic!("{other:?}"),
    }
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn what_is_no_module_is_told_apart() {
    assert!(matches!(error_of("hello"), ModuleError::NotWasm(start) if start == "68 65 6c 6c 6f"));
    assert!(matches!(error_of("\0as"), ModuleError::NotWasm(_)));
    assert!(matches!(error_of(b"\0asm"), ModuleError::Invalid(_)));
    assert!(matches!(error_of(b"\0asm\x02\0\0\0"), ModuleError::Invalid(_)));
    let whole = wat(&program(r#"(func (export "_start"))"#));
    assert!(matches!(error_of(&whole[..whole.len() - 3]), ModuleError::Invalid(_)));
}

#[test]
fn imports_must_be_offered_with_the_right_type() {
    let import = |text: &str| match error_of(wat(text)) {
        ModuleError::Import { module, name, wrong } => (module, name, wrong),
        other => panic!("{other:?}"),
    };
    let (module, name, wrong) = import(r#"(module (import "env" "f" (func)) (func (export "_start")))"#);
    assert_eq!((module.as_str(), name.as_str()), ("env", "f"));
    assert!(wrong.contains("wasi_snapshot_preview1"), "{wrong}");
    let (_, _, wrong) =
        import(r#"(module (import "wasi_snapshot_preview1" "fd_raed" (func)) (func (export "_start")))"#);
    assert!(wrong.ends_with("did you mean `fd_read`?"), "{wrong}");
    let (_, _, wrong) =
        import(r#"(module (import "wasi_snapshot_preview1" "gpu_dispatch" (func)) (func (export "_start")))"#);
    assert!(wrong.contains("offered are args_get, "), "{wrong}");
    let (_, _, wrong) =
        import(r#"(module (import "wasi_snapshot_preview1" "fd_read" (func (result i64))) (func (export "_start")))"#);
    assert!(wrong.contains("() -> (i64)") && wrong.contains("(i32, i32, i32, i32) -> (i32)"), "{wrong}");
    let (_, _, wrong) =
        import(r#"(module (import "wasi_snapshot_preview1" "fd_read" (memory 1)) (func (export "_start")))"#);
    assert_eq!(wrong, "which is a function and nothing else");
}

#[test]
fn a_program_has_a_start() {
    let no_start = |text: &str| match error_of(wat(text)) {
        ModuleError::NoStart(wrong) => wrong,
        other => panic!("{other:?}"),
    };
    assert_eq!(no_start("(module)"), "it exports no function at all");
    assert!(no_start(r#"(module (func (export "run")))"#).starts_with("it exports `run`"));
    assert!(no_start(r#"(module (func (export "_initialize")))"#).starts_with("it is a library"));
    assert!(no_start(r#"(module (func (export "_start") (param i32)))"#).starts_with("its `_start` takes"));
    assert!(no_start(r#"(module (memory (export "_start") 1))"#).starts_with("its `_start` takes"));
}

#[test]
fn proposals_that_are_not_listed_are_off() {
    for text in [
        r#"(module (memory i64 1) (func (export "_start")))"#,
        r#"(module (memory 1) (memory 1) (func (export "_start")))"#,
        r#"(module (memory 1 1 shared) (func (export "_start")))"#,
        r#"(module (tag $t) (func (export "_start") (throw $t)))"#,
        r#"(module (type (struct)) (func (export "_start")))"#,
    ] {
        assert!(matches!(error_of(wat(text)), ModuleError::Invalid(_)), "{text}");
    }
}

#[test]
fn proposals_that_compilers_use_are_on() {
    let space = Space::new(1);
    for body in [
        "(drop (i32.extend8_s (i32.const 1)))",
        "(drop (i32.trunc_sat_f32_s (f32.const nan)))",
        "(memory.fill (i32.const 0) (i32.const 0) (i32.const 0))",
        "(drop (i32x4.splat (i32.const 1)))",
        "(drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))",
        "(drop (ref.is_null (ref.null func)))",
        "(return_call $other)",
    ] {
        let text = format!(r#"(module (memory 1) (func $other) (func (export "_start") {body}))"#);
        assert_eq!(space.outcome(&text), Outcome::SUCCESS, "{body}");
    }
    let tables = r#"(module (table 1 funcref) (table 2 funcref) (table 3 funcref) (func (export "_start")))"#;
    assert_eq!(space.outcome(tables), Outcome::SUCCESS);
}

#[test]
fn a_module_that_is_not_stored_is_missing() {
    let space = Space::new(1);
    let error = space.sandbox.check_module(&Digest::of(b"nowhere")).unwrap_err();
    assert!(matches!(error, RunnerError::Store(StoreError::Missing(_))));
}

#[test]
fn changed_machine_code_is_noticed_and_made_again() {
    let first = Space::new(1);
    let action = first.action(r#"(module (func (export "_start")))"#);
    assert_eq!(first.run(&action).result.outcome, Outcome::SUCCESS);
    let artifact = first.memory.artifacts.lock().unwrap().values().next().unwrap().clone();
    let good = std::fs::read(&artifact.path).unwrap();
    for place in [0, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[place] ^= 1;
        // As a new file: the old one is mapped.
        std::fs::remove_file(&artifact.path).unwrap();
        std::fs::write(&artifact.path, &bad).unwrap();
        let memory = Arc::clone(&first.memory);
        let sandbox = Sandbox::new(Options::default(), Arc::clone(&memory) as _, memory as _).unwrap();
        sandbox.check_module(&action.module).unwrap();
        assert_eq!(std::fs::read(&artifact.path).unwrap(), good, "byte {place}");
    }
    // A file that is gone is no more than that.
    std::fs::remove_file(&artifact.path).unwrap();
    let memory = Arc::clone(&first.memory);
    let sandbox = Sandbox::new(Options::default(), Arc::clone(&memory) as _, memory as _).unwrap();
    sandbox.check_module(&action.module).unwrap();
}

#[test]
fn metered_and_unmetered_code_are_kept_apart() {
    let space = Space::new(1);
    let mut action = space.action(r#"(module (func (export "_start")))"#);
    space.run(&action);
    action.limits.fuel = Some(100);
    space.run(&action);
    assert_eq!(space.memory.artifacts.lock().unwrap().len(), 2);
}

#[test]
fn a_module_can_call_before_its_start() {
    // What AssemblyScript does: everything happens in the start function, while the instance is being made.
    let body = r#"(data (i32.const 0) "hello")
      (func $early (drop (call $write (i32.const 1) (i32.const 0) (i32.const 5))))
      (start $early)
      (func (export "_start"))"#;
    let space = Space::new(1);
    let result = space.run(&space.action(&program(body))).result;
    assert_eq!((result.outcome, space.text(result.stdout).as_str()), (Outcome::SUCCESS, "hello"));
}

#[test]
fn an_instance_may_be_larger_than_the_engine_s_default() {
    // Globals take 16 bytes each beside the memory, as much as half a function that is called indirectly.
    let globals = "(global (mut i32) (i32.const 7))".repeat(80_000);
    let text = format!(r#"(module {globals} (func (export "_start") (drop (global.get 79999))))"#);
    assert_eq!(Space::new(1).outcome(&text), Outcome::SUCCESS);
}

#[test]
fn tables_that_do_not_fit_are_the_modules_fault() {
    let many = format!(r#"(module {} (func (export "_start")))"#, "(table 1 funcref)".repeat(9));
    for text in [many.as_str(), r#"(module (table 1000001 funcref) (func (export "_start")))"#] {
        assert!(matches!(error_of(wat(text)), ModuleError::Invalid(_)), "{text}");
    }
}

#[test]
fn names_out_of_a_module_cannot_write_to_a_terminal() {
    let import = r#"(module (import "\1b[31m" "\07" (func)) (func (export "_start")))"#;
    let export = r#"(module (func (export "\1b[31m")))"#;
    for text in [import, export] {
        let error = error_of(wat(text)).to_string();
        assert!(!error.chars().any(char::is_control), "{error:?}");
    }
    let long = format!(r#"(module (import "env" "{}" (func)) (func (export "_start")))"#, "x".repeat(5000));
    assert!(error_of(wat(&long)).to_string().len() < 1000);
}
