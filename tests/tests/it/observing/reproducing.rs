//! `wasmill show RUN JOB --reproduce`: a command that does once more exactly what a job did.

use super::said;
use crate::support::TestSpace;

const PLAN: &str = r#"
    [modules.hello]
    file = "hello.wasm"
    [modules.files]
    file = "files.wasm"
    [modules.exit]
    file = "exit_code.wasm"
    [jobs."the 'first' one"]
    module = "hello"
    args = ["an argument", "it's $HOME and \"more\""]
    env = { WHO = "someone" }
    stdin = { text = "from the plan" }
    [jobs.tree]
    module = "files"
    in = { "/in/x" = "x" }
    [jobs.bad]
    module = "exit"
    args = ["7"]
    [jobs.behind]
    module = "exit"
    args = ["0"]
    in = { "/in/bad" = { job = "bad" } }
"#;

fn space() -> TestSpace {
    let space = TestSpace::new();
    space.guest("hello").guest("files").guest("exit_code").write("mill.toml", PLAN).write("x", "x");
    assert_eq!(space.run(&["run", "-k", "-q"]).code, 100);
    // What it was asked to do is recorded: none of these has to be as it was.
    space.write("mill.toml", "").write("x", "other").write("hello.wasm", "gone");
    space
}

/// The command that the program prints.
fn command(space: &TestSpace, job: &str) -> String {
    let line = said(space, &["show", "1", job, "--reproduce"]);
    assert!(line.starts_with("wasmill exec --action ") && line.lines().count() == 1, "{line}");
    let folder = space.path("");
    line.trim_end().replace("[dir]", folder.display().to_string().trim_end_matches('/'))
}

/// Has a shell do what the program says, in a folder that has nothing but `bin/wasmill`, the program itself.
#[cfg(unix)]
fn in_a_shell(space: &TestSpace, line: &str) -> crate::support::Said {
    let bin = space.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    if !bin.join("wasmill").exists() {
        std::os::unix::fs::symlink(crate::support::binary(), bin.join("wasmill")).unwrap();
    }
    std::fs::create_dir_all(space.path("elsewhere")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut shell = std::process::Command::new("sh");
    space.isolate(&mut shell);
    shell.args(["-c", line]).env("PATH", path).env_remove("WASMILL_STORE").current_dir(space.path("elsewhere"));
    space.said(&shell.output().expect("there is a shell"))
}

#[cfg(unix)]
#[test]
fn the_command_gives_the_same_output_again() {
    let space = space();
    let job = "the 'first' one";
    let again = in_a_shell(&space, &command(&space, job));
    assert_eq!(again.code, 0, "{again:?}");
    let (_, shown) = space.events(&["show", "1", job]);
    let stdout = shown[0]["report"]["result"]["stdout"]["digest"].as_str().unwrap();
    assert_eq!(again.stdout, said(&space, &["cat", stdout]));
    assert!(again.stdout.contains("arg 2: it's $HOME and \"more\"\nenv WHO=someone\nstdin: from the plan\n"));
    assert_eq!(again.stderr, "hello on standard error\n");
}

#[cfg(unix)]
#[test]
fn the_command_leaves_the_same_files_where_it_is_told_to() {
    let space = space();
    let again = in_a_shell(&space, &format!("{} --out files", command(&space, "tree")));
    assert_eq!(again.code, 0, "{again:?}");
    let (_, shown) = space.events(&["show", "1", "tree"]);
    let output = shown[0]["report"]["result"]["output"]["digest"].as_str().unwrap();
    let put = said(&space, &["put", "elsewhere/files"]);
    assert_eq!(put.split_whitespace().nth(1), Some(output), "the same tree");
    assert!(space.read("elsewhere/files/listing.txt").contains("/in/x 1 bytes"));
}

#[cfg(unix)]
#[test]
fn a_failure_comes_about_again() {
    let space = space();
    let again = in_a_shell(&space, &command(&space, "bad"));
    assert_eq!(again.code, 7, "{again:?}");
    assert_eq!(again.stdout, "on standard output, before exit code 7\n");
}

#[test]
fn nothing_more_is_recorded() {
    let space = space();
    let before = super::json(&space, &["store"]);
    let words = shlex::split(&command(&space, "tree")).unwrap();
    let args: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    let again = super::json(&space, &args);
    assert_eq!(again["as_recorded"], true, "{again}");
    let after = super::json(&space, &["store"]);
    assert_eq!((&before["runs"], &before["actions"]), (&after["runs"], &after["actions"]));
}

#[test]
fn a_job_that_never_began_cannot_be_reproduced() {
    let space = space();
    let refused = space.run(&["show", "1", "behind", "--reproduce"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (103, ""));
    assert_eq!(refused.stderr, "error: what `behind` was asked to do was never known: it did not begin\n");
    let unknown = space.run(&["show", "1", "tre", "--reproduce"]);
    assert!(unknown.code == 103 && unknown.stderr.contains("did you mean `tree`?"), "{unknown:?}");
    let none = space.run(&["exec", "--action", &"0".repeat(64)]);
    assert!(none.code == 103 && none.stderr.starts_with("error: there is no action 0000"), "{none:?}");
}

/// Above all of one that reached its time limit somebody wants to see it again.
#[test]
fn a_job_that_was_not_recorded_can_be_reproduced_too() {
    let space = TestSpace::new();
    let plan = "[modules.loop]\nfile = \"loop_forever.wasm\"\n[jobs.late]\nmodule = \"loop\"\n";
    space.guest("loop_forever").write("mill.toml", format!("{plan}limits = {{ timeout = \"50ms\" }}\n"));
    assert_eq!(space.run(&["run", "-q"]).code, 100);
    let words = shlex::split(&command(&space, "late")).unwrap();
    let args: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    assert_eq!(space.run(&args).code, 115, "{args:?}");
    // It is known, too, what has changed when that is changed.
    space.write("mill.toml", format!("{plan}limits = {{ timeout = \"50ms\", memory = \"64MiB\" }}\n"));
    space.run(&["run", "-q"]);
    assert_eq!(said(&space, &["why"]), "late: limits memory changed: 256 MiB → 64 MiB\n");
}
