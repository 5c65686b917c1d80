//! Inputs and outputs that are larger than what may be held in memory.

use std::process::Stdio;

use crate::support::TestSpace;

/// Most anonymous memory of a process while it ran, in bytes: what is not the page cache's.
#[cfg(target_os = "linux")]
fn anonymous_peak(child: &mut std::process::Child) -> u64 {
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0_u64);
        peak = peak.max(kib << 10);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    peak
}

/// Adds up the bytes of `/in/x`, in pieces of 1 MiB, and ends with the lowest bits of the sum of their first bytes.
const ADD: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 17)
  (data (i32.const 0) "\00\00\01\00\00\00\10\00") (data (i32.const 16) "in/x")
  (func (export "_start") (local $sum i32)
    (if (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0)
      (i32.const 0) (i32.const 48)) (then unreachable))
    (loop $next
      (if (call $read (i32.load (i32.const 48)) (i32.const 0) (i32.const 1) (i32.const 56)) (then unreachable))
      (if (i32.load (i32.const 56))
        (then
          (local.set $sum (i32.add (local.get $sum) (i32.load8_u (i32.const 65536))))
          (br $next))))
    (call $exit (i32.and (local.get $sum) (i32.const 63)))))"#;

#[cfg(target_os = "linux")]
#[test]
fn an_input_of_a_gibibyte_takes_no_memory_beyond_the_page_cache() {
    let space = TestSpace::new();
    space.write("add.wat", ADD).write("x", "");
    let file = std::fs::OpenOptions::new().write(true).open(space.path("x")).unwrap();
    file.set_len(1 << 30).unwrap();
    // One byte here and there, so that something depends on it.
    for piece in [0_u64, 5, 1023] {
        std::os::unix::fs::FileExt::write_all_at(&file, &[7], piece << 20).unwrap();
    }
    let mut child = space.command(&["exec", "add.wat", "--in", "/in/x=x"]).spawn().unwrap();
    let peak = anonymous_peak(&mut child);
    assert_eq!(child.wait().unwrap().code(), Some(21));
    assert!(peak > 0 && peak < 100 << 20, "{peak} bytes");
}

#[cfg(target_os = "linux")]
#[test]
fn large_outputs_take_no_memory_either() {
    let space = TestSpace::new();
    space.guest("flood_stdout").guest("flood_out");
    for guest in ["flood_stdout", "flood_out"] {
        let module = format!("{guest}.wasm");
        let mut command = space.command(&["exec", &module, "--output", "1GiB", "--timeout", "5m"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let peak = anonymous_peak(&mut child);
        assert_eq!(child.wait().unwrap().code(), Some(113), "{guest}");
        assert!(peak > 0 && peak < 250 << 20, "{guest}: {peak} bytes");
        // What was spilled is gone.
        assert!(std::fs::read_dir(space.path("store/live")).unwrap().next().is_none(), "{guest}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn where_there_is_no_room_for_a_pool_instances_are_made_one_by_one() {
    let space = TestSpace::new();
    space.guest("hello");
    let binary = crate::support::binary();
    let script = format!("ulimit -v 16000000 && exec {} exec hello.wasm -- a", binary.display());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]).current_dir(space.path(""));
    space.isolate(&mut shell);
    let said = space.said(&shell.output().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.contains("arg 1: a"), "{said:?}");
    assert!(said.stderr.contains("no pool of instances on this host"), "{said:?}");
}
