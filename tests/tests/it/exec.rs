//! `wasmill exec`: one module, no plan; streams and exit codes pass through, and limits strike.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Said, TestSpace};

fn exec(guest: &str, args: &[&str]) -> Said {
    let space = TestSpace::new();
    space.guest(guest);
    let module = format!("{guest}.wasm");
    space.run(&[&["exec", module.as_str()], args].concat())
}

#[test]
fn what_a_guest_is_given_is_what_it_sees() {
    let said = exec("hello", &["--env", "NAME=värld", "--env", "A=b=c", "--", "one", "", "two words"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.stdout, "arg 0: main\narg 1: one\narg 2: \narg 3: two words\nenv A=b=c\nenv NAME=värld\nstdin: \n");
    assert_eq!(said.stderr, "hello on standard error\n");
}

#[test]
fn standard_input_comes_from_a_file_or_from_ours() {
    let space = TestSpace::new();
    space.guest("hello").write("text", "from a file");
    let said = space.run(&["exec", "hello.wasm", "--stdin", "text"]);
    assert!(said.stdout.ends_with("stdin: from a file\n"), "{said:?}");

    let mut command = space.command(&["exec", "hello.wasm", "--stdin", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"from a pipe").unwrap();
    let said = space.said(&child.wait_with_output().unwrap());
    assert!(said.stdout.ends_with("stdin: from a pipe\n"), "{said:?}");
}

#[test]
fn exit_codes_pass_through_and_outputs_of_failures_do_not() {
    for code in [0, 1, 3, 99, 255] {
        let space = TestSpace::new();
        space.guest("exit_code");
        let said = space.run(&["exec", "exit_code.wasm", "--out", "copied", "--", &code.to_string()]);
        assert_eq!(said.code, code, "{said:?}");
        assert_eq!(said.stdout, format!("on standard output, before exit code {code}\n"));
        assert_eq!(space.path("copied/left-behind").exists(), code == 0);
    }
}

#[test]
fn inputs_are_seen_and_outputs_are_copied() {
    let space = TestSpace::new();
    space.guest("files").write("data/b/2", "two").write("data/a", "one").write("single", "1");
    let args = ["exec", "files.wasm", "--in", "/in/d=data", "--in", "/in/s=single", "--out", "out"];
    let said = space.run(&args);
    assert_eq!(said.code, 0, "{said:?}");
    let lines: Vec<&str> = said.stdout.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(lines, ["/in/d/", "/in/d/a", "/in/d/b/", "/in/d/b/2", "/in/s"]);
    assert_eq!(space.read("out/listing.txt"), said.stdout);
    assert_eq!(space.read("out/after"), "renamed");
    assert_eq!(std::fs::read(space.path("out/nested/bytes")).unwrap(), (0..=255).collect::<Vec<u8>>());
    assert!(space.path("out/nested/empty-directory").is_dir());
    assert!(!space.path("out/removed").exists() && !space.path("out/before").exists());
}

#[test]
fn nothing_outside_the_sandbox_can_be_reached() {
    let space = TestSpace::new();
    space.guest("escape").write("data/file", "kept");
    let said = space.run(&["exec", "escape.wasm", "--in", "/in=data", "--out", "out"]);
    assert_eq!(said.code, 0, "{}", said.stdout);
    assert!(said.stdout.contains("read /etc/passwd: refused"));
    assert_eq!(space.read("data/file"), "kept");
}

#[test]
fn time_and_randomness_are_the_same_every_time() {
    let space = TestSpace::new();
    space.guest("clock_and_random");
    let args = ["exec", "clock_and_random.wasm", "--fresh"];
    let (first, second) = (space.run(&args), space.run(&args));
    assert_eq!(first.code, 0, "{first:?}");
    assert_eq!(first.stdout, second.stdout);
    let other = space.run(&["exec", "clock_and_random.wasm", "--seed", "1"]);
    assert_ne!(first.stdout, other.stdout, "another seed gives other random numbers");
}

#[test]
fn one_guest_leaves_nothing_for_the_next() {
    let space = TestSpace::new();
    space.guest("probe_secret").guest("hello");
    let mut plan = r#"
        modules.probe = { file = "probe_secret.wasm" }
        modules.other = { file = "hello.wasm" }
    "#
    .to_owned();
    // One behind the other, with little, with more than a slot keeps, and with another module in between.
    for (step, mib) in ["1", "100", "1", "4", "200", "200"].iter().enumerate() {
        let before = if step == 0 { String::new() } else { format!("'/in/x' = {{ job = 'search{}' }}", step - 1) };
        plan.push_str(&format!(
            r#"
            [jobs.plant{step}]
            module = "probe"
            seed = {step}
            args = ["plant", "{mib}"]
            in = {{ {before} }}
            [jobs.other{step}]
            module = "other"
            seed = {step}
            in = {{ '/in/x' = {{ job = 'plant{step}' }} }}
            [jobs.search{step}]
            module = "probe"
            seed = {step}
            args = ["search", "{mib}"]
            in = {{ '/in/x' = {{ job = 'plant{step}' }} }}
            "#
        ));
    }
    space.write("mill.toml", plan);
    // One worker, so that all use the same slot.
    let jobs = space.jobs(&["--jobs", "1"]);
    assert!(jobs.all("succeeded", false), "{jobs:#?}");
}

#[test]
fn a_sleeping_guest_takes_no_time() {
    let began = Instant::now();
    let said = exec("sleepy", &[]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn limits_strike() {
    let cases: [(&str, &[&str], i32); 6] = [
        ("loop_forever", &["--timeout", "200ms"], 115),
        ("loop_forever", &["--fuel", "1000000"], 111),
        ("eat_memory", &["--memory", "16MiB"], 112),
        ("deep_recursion", &[], 114),
        ("flood_stdout", &["--output", "1MiB"], 113),
        ("flood_out", &["--output", "1MiB"], 113),
    ];
    for (guest, args, code) in cases {
        let said = exec(guest, args);
        assert_eq!(said.code, code, "{guest}: {}", said.stderr);
        insta::assert_snapshot!(format!("{guest}_{code}"), last_lines(&said.stderr));
    }
}

/// What wasmill says, without what the guest wrote before, and without what differs between compilers.
fn last_lines(stderr: &str) -> String {
    let start = stderr.find("error: ").unwrap_or(0);
    let lines = stderr[start..].lines().filter(|line| !line.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    lines.filter(|line| !line.contains("more")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_panic_shows_where_it_came_from() {
    let said = exec("panics", &[]);
    assert_eq!(said.code, 110, "{said:?}");
    assert!(said.stderr.contains("this guest panics on purpose"), "{}", said.stderr);
    for name in ["fail_with_a_panic", "middle_function", "outer_function"] {
        let backtrace = &said.stderr[said.stderr.find("guest backtrace").expect("a backtrace")..];
        assert!(backtrace.contains(name), "{name} is not in {backtrace}");
    }
}

#[test]
fn a_second_time_comes_from_the_cache() {
    let space = TestSpace::new();
    space.guest("exit_code");
    let args = ["exec", "exit_code.wasm", "--", "7"];
    let first = space.run(&args);
    let (code, events) = space.events(&["exec", "exit_code.wasm"]);
    assert_eq!((first.code, code), (7, 110), "without an argument it is another action");
    assert_eq!(events.iter().filter(|event| event["event"] == "job-finished").count(), 1);
    let second = space.run(&args);
    assert_eq!((first.code, &first.stdout, &first.stderr), (second.code, &second.stdout, &second.stderr));
    let said = space.run(&["show", "3", "exec"]);
    assert!(said.stdout.starts_with("exec: failed, cached\n"), "{}", said.stdout);
}

/// A tree for `edit_tree`, below `NAME`.
fn tree(space: &TestSpace, name: &str) {
    let files =
        [("replaced", "old"), ("appended", "first"), ("dir/old", "moved"), ("dir/kept", "kept"), ("gone/x", "")];
    for (path, content) in files {
        space.write(&format!("{name}/{path}"), content);
    }
}

#[test]
fn a_guest_changes_a_copy_and_the_changed_tree_is_an_output() {
    // The path on which it is mounted, and the one by which the guest finds it.
    for (at, seen) in
        [("/w", "/w"), ("w", "w"), ("/", "/"), (".", "."), ("/out", "/out"), ("/a/b", "a/b"), ("/tmp/t", "/tmp/t")]
    {
        let space = TestSpace::new();
        space.guest("edit_tree");
        tree(&space, "tree");
        let out = format!("/{}=changed", at.trim_start_matches(['/', '.']));
        let said = space.run(&["exec", "edit_tree.wasm", "--in", &format!("{at}=tree:rw"), "--out", &out, "--", seen]);
        assert_eq!(said.code, 0, "{at}: {said:?}");
        assert_eq!(space.read("changed/added"), "added", "{at}");
        assert_eq!(space.read("changed/replaced"), "replaced", "{at}");
        assert_eq!(space.read("changed/appended"), "first and more", "{at}");
        assert_eq!(space.read("changed/new"), "moved", "{at}");
        assert_eq!(space.read("changed/dir/kept"), "kept", "{at}");
        assert!(!space.path("changed/gone").exists() && !space.path("changed/dir/old").exists(), "{at}");
        // The host's own is as it was.
        assert_eq!(space.read("tree/appended"), "first", "{at}");
        assert!(space.path("tree/gone/x").exists() && !space.path("tree/added").exists(), "{at}");
    }
}

#[test]
fn what_is_mounted_to_be_read_cannot_be_changed_wherever_it_is() {
    for at in ["/w", "/", "w"] {
        let space = TestSpace::new();
        space.guest("edit_tree");
        tree(&space, "tree");
        let said = space.run(&["exec", "edit_tree.wasm", "--in", &format!("{at}=tree"), "--", at]);
        assert!(said.stderr.contains("a file can be added") && said.stderr.contains("Read-only"), "{at}: {said:?}");
    }
}

#[test]
fn mounts_and_outputs_that_do_not_go_together_are_refused() {
    for (args, wrong) in [
        (&["--in", "/out=x"][..], "nothing can be mounted read-only at or below `/out`"),
        (&["--in", "/=x", "--in", ".=x"], "two inputs are mounted at `/`"),
        (&["--in", "/a=x", "--in", "a/b=x"], "`a/b` is mounted inside `/a`"),
        (&["--out", "x", "--out", "/w=x"], "either all of /out is copied, or some paths"),
        (&["--out", "/out/w=x", "--out", "/w=y"], "the outputs `w` and `/w` would be kept in the same place"),
    ] {
        let space = TestSpace::new();
        space.guest("hello").write("x/y", "");
        let said = space.run(&[&["exec", "hello.wasm"], args].concat());
        assert_eq!(said.code, 101, "{said:?}");
        assert!(said.stderr.contains(wrong), "{said:?}");
    }
    let space = TestSpace::new();
    space.guest("hello").write("file", "");
    let said = space.run(&["exec", "hello.wasm", "--in", "/=file"]);
    assert!(said.stderr.contains("the input at `/` is a file; it must be a directory"), "{said:?}");
}
