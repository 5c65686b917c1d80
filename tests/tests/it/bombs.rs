//! Modules that are made to hurt whoever compiles them: the compilation is ended, the message says why, and other
//! jobs go on.

use std::time::{Duration, Instant};

use crate::support::TestSpace;

/// A number in LEB128.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(content.len()), content].concat()
}

/// A program whose functions have these bodies (with their locals before them); the first one is `_start`.
fn module(bodies: &[Vec<u8>]) -> Vec<u8> {
    let types = section(1, &[1, 0x60, 0, 0]);
    let functions = section(3, &[leb(bodies.len()), vec![0; bodies.len()]].concat());
    let exports = section(7, &[&[1, 6][..], b"_start", &[0, 0]].concat());
    let code: Vec<u8> = bodies.iter().flat_map(|body| [leb(body.len()), body.clone()].concat()).collect();
    let code = section(10, &[leb(bodies.len()), code].concat());
    [b"\0asm\x01\0\0\0".to_vec(), types, functions, exports, code].concat()
}

const END: u8 = 0x0b;

/// Loops in loops: 60 KB that the compiler takes many seconds for, in time that grows with the square of the depth.
fn nested_loops() -> Vec<u8> {
    const DEPTH: usize = 20_000;
    module(&[[vec![0], [0x03, 0x40].repeat(DEPTH), vec![END; DEPTH], vec![END]].concat()])
}

/// The same with a branch back out of each: 210 KB.
fn branching_loops() -> Vec<u8> {
    const DEPTH: usize = 30_000;
    let branches = [0x20, 0, 0x0d, 0].repeat(DEPTH);
    module(&[[vec![1, 50, 0x7f], [0x03, 0x40].repeat(DEPTH), branches, vec![END; DEPTH], vec![END]].concat()])
}

/// 400 KB of functions that do nothing: half a gigabyte of the compiler's memory.
fn many_functions() -> Vec<u8> {
    module(&vec![vec![0, END]; 100_000])
}

/// One long function in which every value depends on the ones before and may end it.
fn long_function() -> Vec<u8> {
    let step = |i: usize| {
        let [a, b, c] = [i % 50, i * 7 % 50, i * 13 % 50].map(|local| local as u8);
        [0x20, a, 0x20, b, 0x6a, 0x22, c, 0x0d, 0]
    };
    let steps: Vec<u8> = (0..200_000).flat_map(step).collect();
    module(&[[vec![1, 50, 0x7f], steps, vec![END]].concat()])
}

#[test]
fn a_bomb_is_ended_and_the_message_says_why() {
    for (name, bomb) in [
        ("nested_loops", nested_loops()),
        ("branching_loops", branching_loops()),
        ("many_functions", many_functions()),
        ("long_function", long_function()),
    ] {
        let space = TestSpace::new();
        space.write("bomb.wasm", bomb);
        let began = Instant::now();
        let said = space.run(&["exec", "bomb.wasm", "--compile-time", "200ms"]);
        assert_eq!(said.code, 103, "{name}: {said:?}");
        assert!(said.stderr.contains("more than the 0.2 s of CPU time that it may"), "{name}: {said:?}");
        assert!(said.stderr.contains("hint: if the module is to be trusted"), "{name}: {said:?}");
        // Far from what it would have taken; no measurement, only that it was not waited for.
        assert!(began.elapsed() < Duration::from_secs(20), "{name}");
    }
}

#[test]
fn memory_is_bounded_as_well() {
    let space = TestSpace::new();
    space.write("bomb.wasm", many_functions());
    let said = space.run(&["exec", "bomb.wasm", "--compile-memory", "120MiB"]);
    assert_eq!(said.code, 103, "{said:?}");
    assert!(said.stderr.contains("more than the 120 MiB of memory that it may"), "{said:?}");
}

#[test]
fn other_jobs_go_on_beside_a_bomb_and_it_is_tried_once() {
    let space = TestSpace::new();
    space.guest("hello").write("bomb.wasm", nested_loops());
    let plan = r#"
        name = "beside"
        [modules]
        bomb = { file = "bomb.wasm" }
        good = { file = "hello.wasm" }
        [jobs.bad]
        module = "bomb"
        for-each = { n = ["1", "2", "3", "4", "5", "6", "7", "8"] }
        args = ["{n}"]
        [jobs.good]
        module = "good"
        for-each = { n = ["1", "2", "3"] }
        args = ["{n}"]
    "#;
    space.write("mill.toml", plan);
    let began = Instant::now();
    let jobs = space.jobs(&["--keep-going", "--jobs", "2", "--compile-time", "1s"]);
    assert_eq!(jobs.code, 100, "{jobs:#?}");
    for n in 1..=3 {
        assert_eq!(jobs.status(&format!("good[{n}]")), "succeeded");
    }
    for n in 1..=8 {
        assert_eq!(jobs.status(&format!("bad[{n}]")), "error");
    }
    assert!(began.elapsed() < Duration::from_secs(8), "each of them compiled it again");
}

/// A run that makes its store compiles what its first job executes while it reads on.
const BEGUN: &str = r#"
    name = "begun"
    [modules]
    bomb = { file = "bomb.wasm" }
    [jobs.bad]
    module = "bomb"
    for-each = { n = { lines = "numbers" } }
    args = ["{n}"]
"#;

#[test]
fn a_compilation_that_is_of_no_use_is_ended() {
    let space = TestSpace::new();
    space.write("bomb.wasm", branching_loops()).write("mill.toml", BEGUN);
    let began = Instant::now();
    // There are no lines: the plan is wrong, after the compilation was begun.
    let said = space.run(&["run"]);
    assert_eq!(said.code, 102, "{said:?}");
    assert!(said.stderr.contains("numbers"), "{said:?}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(!space.path("store").exists(), "a plan that is wrong makes no store");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_compilation() {
    for arguments in [&["exec", "bomb.wasm"][..], &["run"]] {
        let space = TestSpace::new();
        space.write("bomb.wasm", branching_loops()).write("mill.toml", BEGUN).write("numbers", "1\n2\n");
        let child = space.command(arguments).stderr(std::process::Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(700));
        let interrupted = Instant::now();
        let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        let said = space.said(&child.wait_with_output().unwrap());
        assert_eq!(said.code, 130, "{said:?}");
        assert!(interrupted.elapsed() < Duration::from_secs(3), "{:?}", interrupted.elapsed());
    }
}
