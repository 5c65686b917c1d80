//! Every way in which a guest can end, and that each is the same every time.

use std::time::{Duration, Instant};

use wasmill_model::TrapKind;

use super::*;

#[test]
fn returning_and_exiting_are_told_apart_by_code_only() {
    let space = Space::new(1);
    assert_eq!(space.outcome(r#"(module (func (export "_start")))"#), Outcome::SUCCESS);
    for code in [0_u32, 1, 126, 4_294_967_295] {
        let body = format!(r#"(func (export "_start") (call $proc_exit (i32.const {})))"#, code.cast_signed());
        assert_eq!(space.outcome(&program(&body)), Outcome::Exited { code });
    }
}

#[test]
fn each_trap_has_its_name() {
    let cases = [
        ("unreachable", TrapKind::Unreachable),
        ("(drop (i32.load (i32.const -4)))", TrapKind::MemoryOutOfBounds),
        ("(drop (i32.div_s (i32.const 1) (i32.const 0)))", TrapKind::DivisionByZero),
        ("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", TrapKind::IntegerOverflow),
        ("(drop (i32.trunc_f32_s (f32.const nan)))", TrapKind::BadConversionToInteger),
        ("(call_indirect (i32.const 0))", TrapKind::IndirectCallToNull),
        ("(call_indirect (i32.const 9))", TrapKind::TableOutOfBounds),
        ("(call_indirect (param i32) (i32.const 1) (i32.const 1))", TrapKind::BadSignature),
    ];
    let space = Space::new(1);
    for (body, kind) in cases {
        let wat = format!(
            r#"(module (memory 1) (table 2 funcref) (elem (i32.const 1) $other) (func $other)
                (func $inner {body}) (func (export "_start") (call $inner)))"#
        );
        let Outcome::Trapped { trap, backtrace } = space.outcome(&wat) else { panic!("{body} does not trap") };
        assert_eq!(trap, kind, "{body}");
        let names: Vec<&str> = backtrace.iter().map(|frame| frame.function.as_str()).collect();
        assert_eq!(names, ["inner", "_start"].map(|name| if name == "inner" { "inner" } else { names[1] }));
        assert!(backtrace.iter().all(|frame| frame.offset.is_some()));
    }
}

const LOOP: &str = r#"(module (func (export "_start") (loop $again (br $again))))"#;

/// What a program costs is part of the results of jobs with a limit of fuel. If this changes with an upgrade, so must
/// `FUEL_SCHEDULE` in `engine.rs`.
#[test]
fn a_program_costs_the_fuel_that_it_always_did() {
    let space = Space::new(1);
    let mut action = space.action(
        r#"(module
          (memory (export "memory") 1)
          (func $step (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
          (func (export "_start") (local $i i32) (local $sum f64)
            (loop $again
              (local.set $sum (f64.add (local.get $sum) (f64.sqrt (f64.convert_i32_s (local.get $i)))))
              (i32.store (i32.const 8) (call $step (local.get $i)))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br_if $again (i32.lt_u (local.get $i) (i32.const 1000))))
            (memory.fill (i32.const 0) (i32.const 1) (i32.const 5000))
            (drop (memory.grow (i32.const 1)))))"#,
    );
    action.limits.fuel = Some(1_000_000);
    assert_eq!(space.run(&action).usage.fuel, Some(27007));
}

#[test]
fn fuel_runs_out_at_the_same_place_every_time() {
    let space = Space::new(1);
    let mut action = space.action(LOOP);
    action.limits.fuel = Some(10_000);
    let first = space.run(&action);
    assert_eq!(first.result.outcome, Outcome::OutOfFuel { limit: 10_000 });
    assert_eq!(first.usage.fuel, Some(10_000));
    let mut short = space.action(r#"(module (func (export "_start") (drop (i32.const 1))))"#);
    short.limits.fuel = Some(10_000);
    let used = space.run(&short).usage.fuel;
    assert!(used.is_some_and(|used| used > 0 && used < 100), "{used:?}");
    assert_eq!(space.run(&short).usage.fuel, used);
}

#[test]
fn a_timeout_strikes_soon_and_a_cancellation_too() {
    let space = Space::new(1);
    let action = space.action(LOOP);
    space.sandbox.check_module(&action.module).unwrap();
    let began = Instant::now();
    let ended = space.run_with(&action, 50, &Cancel::new()).unwrap();
    assert_eq!(ended.result.outcome, Outcome::TimedOut { limit_ms: 50 });
    assert!(began.elapsed() >= Duration::from_millis(50));

    let cancel = Cancel::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| space.run_with(&action, 60_000, &cancel).unwrap());
        std::thread::sleep(Duration::from_millis(30));
        cancel.cancel();
        assert_eq!(running.join().unwrap().result.outcome, Outcome::Cancelled);
    });
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// One call that takes long, after which the guest ends well.
#[test]
fn a_timeout_strikes_in_the_middle_of_a_call() {
    let space = Space::new(1);
    let stdin = space.put(vec![7; 200 << 20]);
    // The buffer at 0 has 200 MiB. Random numbers take longer.
    for (call, params, args) in [
        ("random_get", "i32 i32", "(i32.const 1024) (i32.const 41943040)"),
        ("fd_read", "i32 i32 i32 i32", "(i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)"),
        ("fd_write", "i32 i32 i32 i32", "(i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)"),
    ] {
        let mut action = space.action(&format!(
            r#"(module
                (import "wasi_snapshot_preview1" "{call}" (func $call (param {params}) (result i32)))
                (memory (export "memory") 4000)
                (data (i32.const 0) "\00\04\00\00\00\00\80\0c")
                (func (export "_start") (drop (call $call {args}))))"#
        ));
        action.stdin = stdin;
        action.limits = Limits { memory_bytes: 256 << 20, fuel: None, output_bytes: 256 << 20 };
        let whole = space.run_with(&action, 600_000, &Cancel::new()).unwrap();
        assert_eq!(whole.result.outcome, Outcome::SUCCESS, "{call}");
        let ended = space.run_with(&action, 10, &Cancel::new()).unwrap();
        assert_eq!(ended.result.outcome, Outcome::TimedOut { limit_ms: 10 }, "{call}");
    }
}

#[test]
fn sleeping_moves_the_clock_and_takes_no_time() {
    // Sleeps for an hour, twice, and looks at the clock.
    let body = r#"
  (func (export "_start")
    (call $expect (i32.const 1) (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 200)) (i32.const 0))
    (call $expect (i32.const 2) (i64.ne (i64.load (i32.const 200)) (i64.const 946684800000000000)) (i32.const 0))
    (i64.store (i32.const 24) (i64.const 3600000000000))
    (call $expect (i32.const 3) (call $poll_oneoff (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 90)) (i32.const 0))
    (call $expect (i32.const 4) (i32.load (i32.const 90)) (i32.const 1))
    (call $expect (i32.const 5) (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 200)) (i32.const 0))
    (call $expect (i32.const 6) (i64.ne (i64.load (i32.const 200)) (i64.const 946688400000001000)) (i32.const 0)))"#;
    let space = Space::new(1);
    let began = Instant::now();
    assert_eq!(space.outcome(&program(body)), Outcome::SUCCESS);
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn memory_beyond_the_limit_is_refused_and_may_be_survived() {
    let space = Space::new(1);
    let grow = |after: &str| {
        format!(
            r#"(module (memory (export "memory") 1)
                (func (export "_start")
                  (if (i32.eq (memory.grow (i32.const 10000)) (i32.const -1)) (then {after}))))"#
        )
    };
    assert_eq!(space.outcome(&grow("")), Outcome::SUCCESS);
    let wanted = Outcome::OutOfMemory { limit_bytes: 16 << 20, wanted_bytes: 10_001 << 16 };
    assert_eq!(space.outcome(&grow("unreachable")), wanted);
    // A module that starts with more than it may have.
    let large = r#"(module (memory 300) (func (export "_start")))"#;
    assert_eq!(space.outcome(large), Outcome::OutOfMemory { limit_bytes: 16 << 20, wanted_bytes: 300 << 16 });
    // The limit itself can be reached, and is measured.
    let exact = r#"(module (memory 1) (func (export "_start") (if (i32.eq (memory.grow (i32.const 255)) (i32.const -1)) (then unreachable))))"#;
    let execution = space.run(&space.action(exact));
    assert_eq!((execution.result.outcome, execution.usage.memory_peak_bytes), (Outcome::SUCCESS, 16 << 20));
    // A module's own maximum is no limit of ours.
    let own = r#"(module (memory 1 2) (func (export "_start") (if (i32.eq (memory.grow (i32.const 2)) (i32.const -1)) (then unreachable))))"#;
    assert!(matches!(space.outcome(own), Outcome::Trapped { trap: TrapKind::Unreachable, .. }));
}

#[test]
fn more_memory_than_there_can_be_is_refused_like_any_other() {
    let space = Space::new(1);
    let greedy = |pages: i64| {
        format!(
            r#"(module (memory (export "memory") 1) (func (export "_start")
                (if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable))))"#
        )
    };
    for pages in [65_535, 65_536, 0x7fff_ffff, -1] {
        for memory_bytes in [1 << 20, Limits::MEMORY_BYTES_MAX, u64::MAX] {
            let mut action = space.action(&greedy(pages));
            action.limits.memory_bytes = memory_bytes;
            let outcome = space.run(&action).result.outcome;
            if pages == 65_535 && memory_bytes > 1 << 20 {
                assert_eq!(outcome, Outcome::SUCCESS, "4 GiB are allowed and take no memory until they are used");
            } else {
                assert!(matches!(outcome, Outcome::OutOfMemory { .. }), "{pages}: {outcome:?}");
            }
        }
    }
}

#[test]
fn tables_have_a_bound() {
    let space = Space::new(1);
    let grow = r#"(module (table 1 funcref) (func (export "_start")
        (if (i32.ne (table.grow (ref.null func) (i32.const 1000001)) (i32.const -1)) (then unreachable))
        (if (i32.eq (table.grow (ref.null func) (i32.const 1000)) (i32.const -1)) (then unreachable))))"#;
    assert_eq!(space.outcome(grow), Outcome::SUCCESS);
}

#[test]
fn endless_recursion_exhausts_the_stack() {
    let space = Space::new(1);
    let outcome = space.outcome(r#"(module (func $deep (call $deep)) (func (export "_start") (call $deep)))"#);
    let Outcome::StackExhausted { backtrace } = outcome else { panic!("{outcome:?}") };
    assert!(!backtrace.is_empty() && backtrace.len() <= 32);
}

#[test]
fn output_is_bounded_over_all_ways_to_write() {
    let space = Space::new(1);
    let too_large = Outcome::OutputTooLarge { limit_bytes: 1 << 20 };
    let stream = |fd: u32| {
        format!(
            r#"(func (export "_start") (loop $again (drop (call $write (i32.const {fd}) (i32.const 0) (i32.const 60000))) (br $again)))"#
        )
    };
    let file = |call: &str| {
        format!(
            r#"(data (i32.const 0) "out/x")
            (func (export "_start") (local $fd i32)
              (local.set $fd (call $open (i32.const 0) (i32.const 5) (i32.const 1) (i64.const 64) (i32.const 0)))
              (loop $again {call} (br $again)))"#
        )
    };
    let sparse = file("(drop (call $fd_filestat_set_size (local.get $fd) (i64.const 0x7fffffffffffffff)))");
    let far = file("(i32.store (i32.const 40) (i32.const 0)) (i32.store (i32.const 44) (i32.const 1))
        (drop (call $fd_pwrite (local.get $fd) (i32.const 40) (i32.const 1) (i64.const 0x7ffffffffffffff0) (i32.const 60)))");
    let appended = file("(drop (call $write (local.get $fd) (i32.const 0) (i32.const 60000)))");
    let allocated = file("(drop (call $fd_allocate (local.get $fd) (i64.const 0) (i64.const 0x7fffffffffffffff)))");
    // Files without content, each under a new name of eight digits.
    let names = r#"(data (i32.const 0) "tmp/00000000")
      (func (export "_start") (local $digit i32)
        (loop $again
          (drop (call $fd_close (call $open (i32.const 0) (i32.const 12) (i32.const 1) (i64.const 64) (i32.const 0))))
          (local.set $digit (i32.const 11))
          (loop $carry
            (i32.store8 (local.get $digit) (i32.add (i32.load8_u (local.get $digit)) (i32.const 1)))
            (if (i32.gt_u (i32.load8_u (local.get $digit)) (i32.const 57))
              (then
                (i32.store8 (local.get $digit) (i32.const 48))
                (local.set $digit (i32.sub (local.get $digit) (i32.const 1)))
                (br $carry))))
          (br $again)))"#;
    for body in [stream(1), stream(2), sparse, far, appended, allocated, names.to_owned()] {
        let execution = space.run(&space.action(&program(&body)));
        assert_eq!(execution.result.outcome, too_large, "{body}");
        assert_eq!(execution.result.output, BlobRef::EMPTY);
    }
}

#[test]
fn declared_outputs_are_kept_and_must_be_there() {
    let space = Space::new(1);
    let body = r#"(data (i32.const 0) "out/aout/bout/d/c")
      (func (export "_start")
        (drop (call $write (call $open (i32.const 0) (i32.const 5) (i32.const 1) (i64.const 64) (i32.const 0)) (i32.const 4) (i32.const 1)))
        (drop (call $write (call $open (i32.const 5) (i32.const 5) (i32.const 1) (i64.const 64) (i32.const 0)) (i32.const 9) (i32.const 1)))
        (drop (call $path_create_directory (i32.const 3) (i32.const 10) (i32.const 5)))
        (drop (call $write (call $open (i32.const 10) (i32.const 7) (i32.const 1) (i64.const 64) (i32.const 0)) (i32.const 16) (i32.const 1))))"#;
    let mut action = space.action(&program(body));
    let names = |action: &Action| space.outputs(&space.run(action).result).into_keys().collect::<Vec<_>>();
    assert_eq!(names(&action), ["a", "b", "d/", "d/c"]);
    action.outputs = BTreeSet::from([OutputPath::new("d/c").unwrap(), OutputPath::new("b").unwrap()]);
    assert_eq!(names(&action), ["b", "d/", "d/c"]);
    action.outputs = BTreeSet::from([OutputPath::new("d").unwrap(), OutputPath::new("d/x").unwrap()]);
    let result = space.run(&action).result;
    assert_eq!(result.outcome, Outcome::OutputMissing { path: "d/x".to_owned() });
    assert_eq!(result.output, BlobRef::EMPTY);
}

#[test]
fn the_same_action_gives_the_same_result_on_a_used_slot_and_on_a_new_one() {
    let body = r#"
      (func (export "_start")
        (drop (call $random_get (i32.const 0) (i32.const 64)))
        (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 64)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 72))))"#;
    let space = Space::new(1);
    let action = space.action(&program(body));
    let first = space.run(&action).result;
    assert_eq!(first, space.run(&action).result);
    let other = Space::new(3);
    assert_eq!(first, other.run(&other.action(&program(body))).result);
    let mut seeded = action.clone();
    seeded.seed = 1;
    assert_ne!(first.stdout, space.run(&seeded).result.stdout);
}

#[test]
fn nothing_of_a_guest_is_left_for_the_next() {
    let plant = r#"(module (memory (export "memory") 16) (global $g (mut i32) (i32.const 0)) (table 4 funcref)
        (func $f)
        (elem declare func $f)
        (func (export "_start")
          (memory.fill (i32.const 0) (i32.const 0xaa) (i32.const 1048576))
          (global.set $g (i32.const 7))
          (table.set (i32.const 2) (ref.func $f))))"#;
    let search = r#"(module (memory (export "memory") 16) (global $g (mut i32) (i32.const 0)) (table 4 funcref)
        (func (export "_start") (local $at i32)
          (if (global.get $g) (then unreachable))
          (if (i32.eqz (ref.is_null (table.get (i32.const 2)))) (then unreachable))
          (loop $next
            (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then unreachable))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 1048576))))))"#;
    let space = Space::new(1);
    let (plant, search) = (space.action(plant), space.action(search));
    for _ in 0..20 {
        assert_eq!(space.run(&plant).result.outcome, Outcome::SUCCESS);
        assert_eq!(space.run(&search).result.outcome, Outcome::SUCCESS);
    }
}

#[test]
fn more_threads_than_slots_wait_for_their_turn() {
    let space = Space::new(1);
    let action = space.action(r#"(module (memory 1) (func (export "_start")))"#);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert_eq!(space.run(&action).result.outcome, Outcome::SUCCESS);
                }
            });
        }
    });
}

#[test]
fn a_missing_input_is_the_stores_failure_and_no_outcome() {
    let space = Space::new(1);
    let body = r#"(data (i32.const 0) "in/x")
      (func (export "_start")
        (drop (call $read (call $open (i32.const 0) (i32.const 4) (i32.const 0) (i64.const 2) (i32.const 0)) (i32.const 100) (i32.const 10))))"#;
    let mut action = space.action(&program(body));
    let lost = BlobRef::of(b"never put");
    action.mounts.insert(path("/in/x"), Mount::File { blob: lost, is_executable: false }.into());
    assert!(
        matches!(space.try_run(&action), Err(RunnerError::Store(StoreError::Missing(digest))) if digest == lost.digest)
    );
}

#[test]
#[cfg(target_os = "linux")]
fn memory_goes_back_when_its_guest_ends() {
    let resident_bytes = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    };
    let wat = r#"(module (memory (export "memory") 512) (func (export "_start")
        (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x2000000))))"#;
    let space = Space::new(1);
    let mut action = space.action(wat);
    action.limits.memory_bytes = 32 << 20;
    let before = resident_bytes();
    for _ in 0..14 {
        assert_eq!(space.run(&action).result.outcome, Outcome::SUCCESS);
    }
    // 14 guests of 32 MiB had 448 MiB in all; other tests run beside this one, so there is some slack.
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes are still held");
}

#[test]
fn a_backtrace_has_lines_where_the_module_has_debug_information() {
    let text = "(module\n  (func $inner\n    unreachable)\n  (func (export \"_start\")\n    call $inner))\n";
    let space = Space::new(1);
    let wasm = wat::Parser::new()
        .generate_dwarf(wat::GenerateDwarf::Full)
        .parse_bytes(Some("program.wat".as_ref()), text.as_bytes())
        .unwrap();
    let action = Action { module: space.put(wasm.to_vec()).digest, ..space.action("(module)") };
    let Outcome::Trapped { backtrace, .. } = space.run(&action).result.outcome else { panic!("no trap") };
    let lines: Vec<_> = backtrace.iter().map(|frame| frame.line.as_ref().map(ToString::to_string)).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].as_ref().is_some_and(|line| line.ends_with("program.wat:3")), "{lines:?}");
    assert!(lines[1].as_ref().is_some_and(|line| line.ends_with("program.wat:5")), "{lines:?}");
    // Damaged debug information is none.
    for place in 60..wasm.len() {
        let mut damaged = wasm.to_vec();
        damaged[place] ^= 0x55;
        let action = Action { module: space.put(damaged).digest, ..action.clone() };
        // Whatever becomes of the module, the host lives.
        let _ = space.try_run(&action);
    }
}
