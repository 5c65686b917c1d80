//! Bad input: each gives a clear error and its exit code, and loses nothing that was stored.

use std::process::Command;

use crate::support::{Said, TestSpace, binary};

/// A program of no effect, for what comes before it is executed.
const EMPTY: &str = r#"(module (func (export "_start")))"#;

fn exec_of(name: &str, module: impl AsRef<[u8]>) -> Said {
    let space = TestSpace::new();
    space.write(name, module);
    space.run(&["exec", name])
}

/// Puts what differs between runs (digests) out of sight.
fn stable(said: &Said) -> String {
    let hide = |word: &str| {
        let hex = word.trim_matches(|char: char| !char.is_ascii_hexdigit());
        if hex.len() == 64 { word.replace(hex, "[digest]") } else { word.to_owned() }
    };
    let whole = said.whole();
    whole.split(' ').map(hide).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_file_that_is_no_module() {
    insta::assert_snapshot!(stable(&exec_of("a.wasm", "#!/bin/sh\necho no\n")));
}

#[test]
fn an_empty_file() {
    insta::assert_snapshot!(stable(&exec_of("a.wasm", "")));
}

#[test]
fn a_truncated_module() {
    let space = TestSpace::new();
    let whole = std::fs::read(crate::support::guest("hello")).unwrap();
    space.write("a.wasm", &whole[..whole.len() / 2]);
    let said = space.run(&["exec", "a.wasm"]);
    assert_eq!(said.code, 103);
    let lines: Vec<&str> = said.stderr.lines().collect();
    assert!(lines[0].starts_with("error: module ") && lines[0].ends_with(" cannot be used"), "{said:?}");
    assert!(lines[1].starts_with("  caused by: it is not valid: "), "{said:?}");
}

#[test]
fn a_component_that_is_no_program() {
    insta::assert_snapshot!(stable(&exec_of("a.wasm", b"\0asm\x0d\0\x01\0")));
}

#[test]
fn a_component_that_wants_a_network() {
    let component = r#"(component
        (import "wasi:sockets/tcp-create-socket@0.2.0" (instance (export "create-tcp-socket" (func)))))"#;
    insta::assert_snapshot!(stable(&exec_of("a.wat", component)));
}

#[test]
fn an_import_that_is_not_offered() {
    let module = r#"(module (import "env" "launch_missiles" (func)) (func (export "_start")))"#;
    insta::assert_snapshot!(stable(&exec_of("a.wat", module)));
}

#[test]
fn an_import_that_is_misspelt() {
    let module = r#"(module (import "wasi_snapshot_preview1" "fd_wrlte" (func)) (func (export "_start")))"#;
    insta::assert_snapshot!(stable(&exec_of("a.wat", module)));
}

#[test]
fn an_import_of_another_type() {
    let module = r#"(module (import "wasi_snapshot_preview1" "fd_close" (func)) (func (export "_start")))"#;
    insta::assert_snapshot!(stable(&exec_of("a.wat", module)));
}

#[test]
fn no_start() {
    insta::assert_snapshot!(stable(&exec_of("a.wat", r#"(module (func (export "main")))"#)));
}

#[test]
fn a_text_that_is_no_module() {
    insta::assert_snapshot!(stable(&exec_of("a.wat", "(module (fun))")));
}

#[test]
fn a_module_that_is_not_there() {
    insta::assert_snapshot!(stable(&TestSpace::new().run(&["exec", "nowhere.wasm"])));
}

#[test]
fn a_digest_that_is_not_stored() {
    insta::assert_snapshot!(stable(&TestSpace::new().run(&["exec", &format!("sha256:{}", "0".repeat(64))])));
}

#[test]
fn flags_that_make_no_sense() {
    let space = TestSpace::new();
    space.write("a.wat", EMPTY);
    for args in [
        ["--in", "x"],
        ["--in", "in/../x=a.wat"],
        ["--in", "/out/x=a.wat"],
        ["--in", "/in/../../x=a.wat"],
        ["--env", "=x"],
        ["--memory", "lots"],
        ["--memory", "1B"],
        ["--memory", "5GiB"],
        ["--timeout", "10"],
        ["--fuel", "0"],
        ["--colour", "red"],
    ] {
        let said = space.run(&["exec", "a.wat", args[0], args[1]]);
        assert_eq!(said.code, 101, "{args:?}: {said:?}");
        assert!(said.stderr.starts_with("error: "), "{args:?}: {said:?}");
    }
}

#[cfg(unix)]
#[test]
fn arguments_that_are_not_utf8() {
    use std::os::unix::ffi::OsStrExt as _;
    let space = TestSpace::new();
    space.write("a.wat", EMPTY);
    let mut command = space.command(&["exec", "a.wat", "--"]);
    let said = space.said(&command.arg(std::ffi::OsStr::from_bytes(b"a\xffb")).output().unwrap());
    insta::assert_snapshot!(stable(&said));
}

/// A plan with one job whose input is `input`.
fn plan_with(space: &TestSpace, input: &str) {
    space.write("a.wat", EMPTY).write(
        "mill.toml",
        format!("[modules.m]\nfile = \"a.wat\"\n[jobs.one]\nmodule = \"m\"\nin = {{ \"/in/x\" = \"{input}\" }}\n"),
    );
}

/// The error of a run, without the summary behind it.
fn error_of(space: &TestSpace) -> String {
    let said = space.run(&["run", "--quiet"]);
    stable(&said)
}

#[test]
fn an_input_that_is_not_there() {
    let space = TestSpace::new();
    plan_with(&space, "no/such/file");
    insta::assert_snapshot!(error_of(&space));
}

#[cfg(unix)]
#[test]
fn an_input_that_is_a_socket_or_a_pipe() {
    let space = TestSpace::new();
    plan_with(&space, "socket");
    let _listener = std::os::unix::net::UnixListener::bind(space.path("socket")).unwrap();
    insta::assert_snapshot!(error_of(&space));
    space.write("dir/file", "");
    plan_with(&space, "dir");
    assert!(Command::new("mkfifo").arg(space.path("dir/pipe")).status().unwrap().success());
    let said = error_of(&space);
    assert!(said.contains("dir/pipe is a pipe"), "{said}");
}

/// Runs as somebody who is not root, for whom permissions count. Root runs the program as `nobody`.
#[cfg(unix)]
fn run_unprivileged(space: &TestSpace, args: &[&str]) -> Said {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::process::CommandExt as _;
    let mut command = space.command(args);
    if std::fs::metadata(space.path(".")).unwrap().uid() == 0 {
        // The program may lie where nobody can go.
        let copy = space.path("wasmill-copy");
        if !copy.exists() {
            std::fs::copy(binary(), &copy).unwrap();
            std::fs::set_permissions(space.path("."), std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        let mut unprivileged = Command::new(&copy);
        unprivileged.args(args).current_dir(space.path(".")).uid(65534).gid(65534);
        space.isolate(&mut unprivileged);
        command = unprivileged;
    }
    // While the copy was written, another test may have started a process, which then holds it open for a moment.
    for _ in 0..200 {
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            output => return space.said(&output.unwrap()),
        }
    }
    panic!("the copy of the program stays busy");
}

#[cfg(unix)]
#[test]
fn an_input_that_may_not_be_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let space = TestSpace::new();
    plan_with(&space, "secret");
    space.write("secret", "x");
    std::fs::set_permissions(space.path("secret"), std::fs::Permissions::from_mode(0o0)).unwrap();
    insta::assert_snapshot!(stable(&run_unprivileged(&space, &["run", "--quiet"])));
}

#[cfg(unix)]
#[test]
fn a_store_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let space = TestSpace::new();
    plan_with(&space, "a.wat");
    std::fs::create_dir(space.path("store")).unwrap();
    std::fs::set_permissions(space.path("store"), std::fs::Permissions::from_mode(0o555)).unwrap();
    let said = run_unprivileged(&space, &["run", "--quiet"]);
    assert_eq!(said.code, 104, "{said:?}");
    assert!(said.stderr.contains("[dir]/store"), "{said:?}");
    assert!(said.stderr.contains("Permission denied"), "{said:?}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing_that_was_stored() {
    let space = TestSpace::new();
    space.guest("copy").write("leaf", "small").write(
        "mill.toml",
        r#"
            [modules.copy]
            file = "copy.wasm"
            [jobs.small]
            module = "copy"
            in = { "/in/leaf" = "leaf" }
        "#,
    );
    assert!(space.jobs(&[]).all("succeeded", false));

    // Files beyond 4 MiB cannot be written: what a full disk is to a program, without one.
    space.write("huge", vec![7; 16 << 20]);
    let plan = space.read("mill.toml").replace("\"leaf\"", "\"huge\"");
    space.write("big.toml", plan);
    let script = format!(
        "trap '' XFSZ; ulimit -f 8192; exec '{}' run big.toml --quiet --store '{}'",
        binary().display(),
        space.path("store").display()
    );
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).current_dir(space.path("."));
    space.isolate(&mut shell);
    let output = shell.output();
    let said = space.said(&output.unwrap());
    assert!(said.code == 104 || said.code == 100, "{said:?}");
    assert!(said.stderr.contains("File too large"), "{said:?}");

    assert!(space.jobs(&[]).all("succeeded", true), "the earlier result is still there");
    assert!(space.jobs(&["big.toml"]).all("succeeded", false), "and the store can be used again");
}

#[test]
fn a_store_of_a_newer_format() {
    let space = TestSpace::new();
    plan_with(&space, "a.wat");
    space.write("store/FORMAT", "wasmill store\nformat 99\n");
    insta::assert_snapshot!(error_of(&space));
    assert_eq!(std::fs::read_dir(space.path("store")).unwrap().count(), 1, "nothing was touched");
}

#[test]
fn a_folder_that_is_no_store() {
    let space = TestSpace::new();
    plan_with(&space, "a.wat");
    space.write("store/holiday.jpg", "not ours");
    insta::assert_snapshot!(error_of(&space));
    assert_eq!(std::fs::read_dir(space.path("store")).unwrap().count(), 1, "nothing was touched");
}

#[test]
fn a_plan_says_everything_that_is_wrong() {
    let space = TestSpace::new();
    space.write("a.wat", EMPTY).write(
        "mill.toml",
        r#"name = "wrong"
[modules.m]
file = "a.wat"
[jobs.one]
modul = "m"
[jobs.two]
module = "n"
in = { "/in/x" = { job = "three" } }
[jobs.three]
module = "m"
in = { "/in/x" = { job = "two" } }
out = ["../escape"]
[jobs.four]
module = "m"
in = { "/in/x" = { job = "tow" } }
save = { "." = "saved" }
[jobs.five]
module = "m"
save = { "." = "saved" }
"#,
    );
    let said = space.run(&["plan", "check"]);
    insta::assert_snapshot!(said.whole());
    // The same for programs.
    let (code, events) = space.events(&["plan", "check"]);
    let details = events[0]["details"].as_array().unwrap();
    assert_eq!((code, &events[0]["event"]), (102, &"error".into()));
    assert!(
        details.len() >= 5 && details[0]["line"] == 5 && details[0]["hint"] == "did you mean `module`?",
        "{details:#?}"
    );
    // And `run` says no less.
    assert_eq!(space.run(&["run"]).stderr, said.stderr);
}

#[test]
fn duplicate_names() {
    let space = TestSpace::new();
    space.write("mill.toml", "[modules.m]\nfile = \"a.wat\"\n[jobs.one]\nmodule = \"m\"\n[jobs.one]\nmodule = \"m\"\n");
    let said = space.run(&["plan", "check"]);
    assert!(said.code == 102 && said.stderr.contains("mill.toml:5:7"), "{}", said.stderr);
    space.write("mill.json", r#"{ "modules": {}, "jobs": { "one": {}, "one": {} } }"#);
    let said = space.run(&["plan", "check", "mill.json"]);
    assert!(said.code == 102 && said.stderr.contains("one"), "{}", said.stderr);
}

#[test]
fn what_only_the_files_show_is_wrong_with_a_plan() {
    let space = TestSpace::new();
    space.write("a/x", "").write("b/x", "").write("mod.wat", EMPTY).write(
        "mill.toml",
        r#"[modules.m]
file = "mod.wat"
[jobs.lines]
module = "m"
for-each = { line = { lines = "no-such-list" } }
[jobs.none]
module = "m"
for-each = { dir = "no-such-folder/*" }
"#,
    );
    insta::assert_snapshot!(space.run(&["plan", "check"]).whole());
    space.write(
        "mill.toml",
        r#"[modules.m]
file = "mod.wat"
[jobs.each]
module = "m"
for-each = { dir = ["a", "b"] }
[jobs.other]
module = "m"
in = { "/in/x" = { job = "each[c]" } }
"#,
    );
    insta::assert_snapshot!(space.run(&["plan", "check"]).whole());
}

#[test]
fn items_that_need_each_other_in_a_circle() {
    let space = TestSpace::new();
    space.write("mod.wat", EMPTY).write(
        "mill.toml",
        r#"[modules.m]
file = "mod.wat"
[jobs.step]
module = "m"
for-each = { n = ["1", "2"] }
in = { "/in/x" = { job = "step[{n}]" } }
"#,
    );
    insta::assert_snapshot!(space.run(&["plan", "check"]).whole());
}

#[test]
fn no_plan_and_no_such_job() {
    let space = TestSpace::new();
    insta::assert_snapshot!(space.run(&["run"]).whole());
    plan_with(&space, "a.wat");
    insta::assert_snapshot!(space.run(&["run", "--job", "onee"]).whole());
    space.write("mill.toml", b"name = \"\xff\"");
    let said = space.run(&["run"]);
    assert!(said.code == 102 && said.stderr.contains("not valid UTF-8"), "{said:?}");
}

#[test]
fn names_that_a_guest_or_the_host_chose_cannot_write_to_the_terminal() {
    let space = TestSpace::new();
    let guest = r#"(module
      (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "out/\1b[31mred\0aline")
      (func (export "_start")
        (drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 17)
          (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 100)))))"#;
    space.write("names.wat", guest);
    assert_eq!(space.run(&["exec", "names.wat"]).code, 0);
    let shown = space.run(&["show", "1", "exec"]).stdout;
    assert!(shown.contains("\u{fffd}[31mred\u{fffd}line") && !shown.contains('\x1b'), "{shown}");
    let digest = shown.lines().find_map(|line| line.trim().strip_prefix("output")).unwrap().trim().to_owned();
    let listed = space.run(&["ls", &digest]).stdout;
    assert!(listed.contains("\u{fffd}[31mred\u{fffd}line") && !listed.contains('\x1b'), "{listed}");

    let plan = r#"
        name = "p"
        modules.m = { file = "names.wat" }
        [jobs.j]
        module = "m"
        for-each = { line = { lines = "lines" } }
    "#;
    space.write("mill.toml", plan).write("lines", "fine\n\x1b[31mred\n");
    let said = space.run(&["run"]);
    assert_eq!(said.code, 102, "{said:?}");
    assert!(said.stderr.contains("there are control characters in it") && !said.stderr.contains('\x1b'), "{said:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_no_success() {
    let space = TestSpace::new();
    space.guest("hello");
    assert_eq!(space.run(&["exec", "hello.wasm"]).code, 0);
    for args in [&["exec", "hello.wasm"][..], &["runs"], &["show", "1"], &["exec", "hello.wasm", "--format", "json"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let said = space.said(&space.command(args).stdout(full).output().unwrap());
        assert_eq!(said.code, 105, "{args:?}: {said:?}");
        assert!(said.stderr.contains("failed to write to standard output"), "{args:?}: {said:?}");
    }
}
