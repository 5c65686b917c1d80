//! Guests that mean harm: whatever they call with whatever numbers, the host neither panics nor hangs nor gives more
//! than the limits allow.

use std::time::{Duration, Instant};

use super::*;

/// Numbers that break careless code; the memory has one page, 65,536 bytes.
const NUMBERS: [i64; 14] =
    [0, 1, 3, 4, 8, 1024, 65_504, 65_535, 65_536, 0x7fff_ffff, 0x8000_0000, 0xffff_fff8, 0xffff_ffff, i64::MIN];

/// A few hundred calls of one function, each with other numbers, one after the other.
fn calls(name: &str, params: &str, seed: usize) -> String {
    let mut body = String::new();
    for round in 0..300_usize {
        let mut state = round * 7919 + seed * 104_729 + 1;
        let args = params.chars().map(|kind| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Descriptors that are open are more worth trying than others.
            let number = if round % 3 == 0 { (state >> 33) as i64 % 9 } else { NUMBERS[(state >> 33) % NUMBERS.len()] };
            if kind == 'l' { format!("(i64.const {number})") } else { format!("(i32.const {})", number as i32) }
        });
        let args: Vec<String> = args.collect();
        body.push_str(&format!("(drop (call ${name} {}))\n", args.join(" ")));
    }
    body
}

#[test]
fn no_call_with_whatever_numbers_harms_the_host() {
    let space = Space::new(1);
    for (index, (name, params)) in imports().into_iter().enumerate().filter(|(_, (name, _))| *name != "proc_exit") {
        let body = format!(
            r#"(data (i32.const 0) "out/x") (data (i32.const 1024) "tmp")
            (func (export "_start")
              (drop (call $open (i32.const 0) (i32.const 5) (i32.const 1) (i64.const 66) (i32.const 0)))
              (drop (call $open (i32.const 1024) (i32.const 3) (i32.const 2) (i64.const 0) (i32.const 0)))
              {})"#,
            calls(name, params, index)
        );
        let began = Instant::now();
        let outcome = space.run(&space.action(&program(&body))).result.outcome;
        assert!(matches!(outcome, Outcome::Exited { code: 0 } | Outcome::OutputTooLarge { .. }), "{name}: {outcome:?}");
        assert!(began.elapsed() < Duration::from_secs(20), "{name} took {:?}", began.elapsed());
    }
}

#[test]
fn a_module_without_a_memory_can_only_get_faults() {
    let space = Space::new(1);
    let wat = r#"(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (func (export "_start") (if (i32.ne (call $random (i32.const 0) (i32.const 1)) (i32.const 21)) (then unreachable))))"#;
    assert_eq!(space.outcome(wat), Outcome::SUCCESS);
}

#[test]
fn descriptors_run_out() {
    let body = r#"(data (i32.const 0) "out")
      (func (export "_start") (local $n i32)
        (loop $next
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $next (i32.gt_s (call $open (i32.const 0) (i32.const 3) (i32.const 2) (i64.const 0) (i32.const 0)) (i32.const 0))))
        (call $expect (i32.const 1) (call $open (i32.const 0) (i32.const 3) (i32.const 2) (i64.const 0) (i32.const 0)) (i32.const -33))
        (call $expect (i32.const 2) (local.get $n) (i32.const 1025))
        (call $expect (i32.const 3) (call $fd_close (i32.const 9)) (i32.const 0))
        (call $expect (i32.const 4) (call $open (i32.const 0) (i32.const 3) (i32.const 2) (i64.const 0) (i32.const 0)) (i32.const 9)))"#;
    assert_eq!(Space::new(1).outcome(&program(body)), Outcome::SUCCESS);
}

/// Nests directories by opening each inside the one before, so that no path is long.
const NEST: &str = r#"(data (i32.const 0) "out") (data (i32.const 8) "d")
  (func (export "_start") (local $dir i32) (local $next i32)
    (local.set $dir (call $open (i32.const 0) (i32.const 3) (i32.const 2) (i64.const 0) (i32.const 0)))
    (loop $deeper
      (if (call $path_create_directory (local.get $dir) (i32.const 8) (i32.const 1)) (then (return)))
      (if (call $path_open (local.get $dir) (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 2) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 40))
        (then (return)))
      (local.set $next (i32.load (i32.const 40)))
      (drop (call $fd_close (local.get $dir)))
      (local.set $dir (local.get $next))
      (br $deeper)))"#;

#[test]
fn directories_nest_only_so_deep() {
    let space = Space::new(1);
    let mut action = space.action(&program(NEST));
    action.limits.output_bytes = 1 << 30;
    let execution = space.run(&action);
    assert_eq!(execution.result.outcome, Outcome::SUCCESS, "the guest is told, and may go on");
    let mut depth = 0;
    let mut here = execution.result.output;
    while let [below] = Directory::decode(&space.memory.get(&here).unwrap()).unwrap().directories.as_slice() {
        here = below.blob;
        depth += 1;
    }
    assert!((100..=1000).contains(&depth), "{depth}");
}

#[test]
fn files_that_are_made_and_removed_forever_do_not_fill_the_host() {
    // A hundred thousand files take more than the limit if anything of one stays, and their numbers, which are
    // their inodes, tell whether their places are used again.
    let body = r#"(data (i32.const 0) "tmp/x")
      (func (export "_start") (local $n i32)
        (loop $again
          (call $expect (i32.const 1) (call $fd_close (call $open (i32.const 0) (i32.const 5) (i32.const 1) (i64.const 64) (i32.const 0))) (i32.const 0))
          (call $expect (i32.const 2) (call $path_unlink_file (i32.const 3) (i32.const 0) (i32.const 5)) (i32.const 0))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $n) (i32.const 100000))))
        (drop (call $open (i32.const 0) (i32.const 5) (i32.const 1) (i64.const 64) (i32.const 0)))
        (call $expect (i32.const 3) (call $path_filestat_get (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 100)) (i32.const 0))
        (call $expect (i32.const 4) (i32.load (i32.const 108)) (i32.const 4)))"#;
    let space = Space::new(1);
    let action = space.action(&program(body));
    assert_eq!(space.run_with(&action, 60_000, &Cancel::new()).unwrap().result.outcome, Outcome::SUCCESS);
}

#[test]
fn a_program_that_cleans_up_after_itself_may_write_more_than_its_limit() {
    // 64 times 100 KB, each removed again: more than six times the limit of 1 MiB.
    let body = r#"(data (i32.const 0) "tmp/x")
      (func (export "_start") (local $n i32) (local $fd i32)
        (loop $again
          (local.set $fd (call $open (i32.const 0) (i32.const 5) (i32.const 1) (i64.const 64) (i32.const 0)))
          (call $expect (i32.const 1) (call $fd_filestat_set_size (local.get $fd) (i64.const 100000)) (i32.const 0))
          (call $expect (i32.const 2) (call $fd_close (local.get $fd)) (i32.const 0))
          (call $expect (i32.const 3) (call $path_unlink_file (i32.const 3) (i32.const 0) (i32.const 5)) (i32.const 0))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $n) (i32.const 64)))))"#;
    assert_eq!(Space::new(1).outcome(&program(body)), Outcome::SUCCESS);
}

#[test]
fn a_damaged_directory_is_an_error_and_no_outcome() {
    let space = Space::new(1);
    let body = r#"(data (i32.const 0) "in/t/x")
      (func (export "_start") (drop (call $open (i32.const 0) (i32.const 6) (i32.const 0) (i64.const 2) (i32.const 0))))"#;
    let mut action = space.action(&program(body));
    action.mounts.insert(path("/in/t"), Mount::Directory { blob: space.put("no directory") }.into());
    assert!(matches!(space.try_run(&action), Err(RunnerError::Store(StoreError::Damaged { .. }))));
}

/// Makes 200 files in `/tmp`, then opens and lists the directory over and over, as `after` says.
fn listings(after: &str) -> String {
    format!(
        r#"(data (i32.const 0) "tmp/xxx") (data (i32.const 16) "tmp")
      (func (export "_start") (local $n i32) (local $fd i32)
        (loop $make
          (i32.store8 (i32.const 5) (i32.add (i32.const 97) (i32.rem_u (local.get $n) (i32.const 20))))
          (i32.store8 (i32.const 6) (i32.add (i32.const 97) (i32.div_u (local.get $n) (i32.const 20))))
          (drop (call $fd_close (call $open (i32.const 0) (i32.const 7) (i32.const 1) (i64.const 64) (i32.const 0))))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $make (i32.lt_u (local.get $n) (i32.const 200))))
        (local.set $n (i32.const 0))
        (loop $again
          (local.set $fd (call $open (i32.const 16) (i32.const 3) (i32.const 2) (i64.const 0) (i32.const 0)))
          (call $expect (i32.const 1) (call $fd_readdir (local.get $fd) (i32.const 100) (i32.const 1000) (i64.const 0) (i32.const 90)) (i32.const 0))
          (call $expect (i32.const 2) (i32.load (i32.const 90)) (i32.const 1000))
          {after}
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $n) (i32.const 1000)))))"#
    )
}

#[test]
fn listings_that_are_kept_open_count_and_closed_ones_do_not() {
    let space = Space::new(1);
    let kept = program(&listings(""));
    assert_eq!(space.outcome(&kept), Outcome::OutputTooLarge { limit_bytes: 1 << 20 });
    let closed = program(&listings("(drop (call $fd_close (local.get $fd)))"));
    assert_eq!(space.outcome(&closed), Outcome::SUCCESS);
    let renumbered = program(&listings("(drop (call $fd_renumber (local.get $fd) (i32.const 0)))"));
    assert_eq!(space.outcome(&renumbered), Outcome::SUCCESS);
}

#[test]
fn listing_the_inputs_costs_a_guest_nothing() {
    let body = r#"(data (i32.const 0) "in/t")
      (func (export "_start") (local $n i32)
        (loop $again
          (call $expect (i32.const 1) (call $fd_readdir (call $open (i32.const 0) (i32.const 4) (i32.const 2) (i64.const 0) (i32.const 0)) (i32.const 100) (i32.const 60000) (i64.const 0) (i32.const 90)) (i32.const 0))
          (call $expect (i32.const 2) (i32.load (i32.const 90)) (i32.const 14715))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $n) (i32.const 1000)))))"#;
    let space = Space::new(1);
    let name = |n: usize| format!("a-name-{n:03}-{}", "x".repeat(12));
    let file = |n| wasmill_model::FileNode { name: name(n), blob: BlobRef::EMPTY, is_executable: false };
    let mut tree = Directory { files: (0..312).map(file).collect(), ..Directory::default() };
    let blob = space.put(tree.encode());
    let mut action = space.action(&program(body));
    action.mounts.insert(path("/in/t"), Mount::Directory { blob }.into());
    action.limits.output_bytes = 1;
    assert_eq!(space.run(&action).result.outcome, Outcome::SUCCESS);
}

#[test]
fn long_paths_and_long_links_are_refused_before_they_cost_anything() {
    let body = r#"(data (i32.const 0) "tmp/l")
      (func (export "_start")
        (memory.fill (i32.const 100) (i32.const 97) (i32.const 50000))
        (call $expect (i32.const 1) (call $path_symlink (i32.const 100) (i32.const 4097) (i32.const 3) (i32.const 0) (i32.const 5)) (i32.const 37))
        (call $expect (i32.const 2) (call $path_symlink (i32.const 100) (i32.const 4096) (i32.const 3) (i32.const 0) (i32.const 5)) (i32.const 0))
        (call $expect (i32.const 3) (call $path_create_directory (i32.const 3) (i32.const 100) (i32.const 4097)) (i32.const 37))
        (call $expect (i32.const 4) (call $path_create_directory (i32.const 5) (i32.const 100) (i32.const 256)) (i32.const 37))
        (call $expect (i32.const 5) (call $path_create_directory (i32.const 5) (i32.const 100) (i32.const 255)) (i32.const 0)))"#;
    assert_eq!(Space::new(1).outcome(&program(body)), Outcome::SUCCESS);
}

#[test]
fn a_long_link_among_the_inputs_leads_nowhere() {
    let body = r#"(data (i32.const 0) "in/t/l")
      (func (export "_start")
        (call $expect (i32.const 1) (call $open (i32.const 0) (i32.const 6) (i32.const 0) (i64.const 2) (i32.const 0)) (i32.const -37)))"#;
    let space = Space::new(1);
    let link = wasmill_model::SymlinkNode { name: "l".to_owned(), target: "a/".repeat(1 << 20) };
    let blob = space.put(Directory { symlinks: vec![link], ..Directory::default() }.encode());
    let mut action = space.action(&program(body));
    action.mounts.insert(path("/in/t"), Mount::Directory { blob }.into());
    assert_eq!(space.run(&action).result.outcome, Outcome::SUCCESS);
}

#[test]
fn a_removed_directory_that_is_still_open_takes_nothing_in() {
    let body = r#"(data (i32.const 0) "tmp/d") (data (i32.const 8) "x") (data (i32.const 16) "tmp/f")
      (func (export "_start") (local $dir i32)
        (call $expect (i32.const 1) (call $path_create_directory (i32.const 3) (i32.const 0) (i32.const 5)) (i32.const 0))
        (drop (call $fd_close (call $open (i32.const 16) (i32.const 5) (i32.const 1) (i64.const 64) (i32.const 0))))
        (local.set $dir (call $open (i32.const 0) (i32.const 5) (i32.const 2) (i64.const 0) (i32.const 0)))
        (call $expect (i32.const 2) (call $path_remove_directory (i32.const 3) (i32.const 0) (i32.const 5)) (i32.const 0))
        (call $expect (i32.const 3) (call $path_open (local.get $dir) (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 90)) (i32.const 44))
        (call $expect (i32.const 4) (call $path_create_directory (local.get $dir) (i32.const 8) (i32.const 1)) (i32.const 44))
        (call $expect (i32.const 5) (call $path_symlink (i32.const 8) (i32.const 1) (local.get $dir) (i32.const 8) (i32.const 1)) (i32.const 44))
        (call $expect (i32.const 6) (call $path_link (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 5) (local.get $dir) (i32.const 8) (i32.const 1)) (i32.const 44))
        (call $expect (i32.const 7) (call $path_rename (i32.const 3) (i32.const 16) (i32.const 5) (local.get $dir) (i32.const 8) (i32.const 1)) (i32.const 44)))"#;
    assert_eq!(Space::new(1).outcome(&program(body)), Outcome::SUCCESS);
}

#[test]
fn one_guest_s_table_is_not_the_next_one_s() {
    let space = Space::new(1);
    let fill = space.action(
        r#"(module (table $t 1000 funcref) (elem declare func $f) (func $f)
          (func (export "_start") (table.fill $t (i32.const 0) (ref.func $f) (i32.const 1000))))"#,
    );
    let look = space.action(
        r#"(module (table $t 1000 funcref)
          (func (export "_start") (local $at i32)
            (loop $next
              (if (i32.eqz (ref.is_null (table.get $t (local.get $at)))) (then unreachable))
              (local.set $at (i32.add (local.get $at) (i32.const 1)))
              (br_if $next (i32.lt_u (local.get $at) (i32.const 1000))))))"#,
    );
    // More often than there are slots, so that each slot has had both.
    for _ in 0..40 {
        for action in [&fill, &look] {
            assert_eq!(space.run(action).result.outcome, Outcome::SUCCESS);
        }
    }
}
