//! What is asked for and is not there, files that cannot be written, readers that have seen enough, whoever asks a run to end, and what is
//! logged of it.

use std::io::{BufRead as _, BufReader};
use std::process::Command;

use super::{explained, said};
use crate::support::TestSpace;

#[test]
fn an_unknown_run_names_the_latest() {
    let space = explained();
    space.run(&["run", "-q"]);
    space.run(&["run", "-q"]);
    for args in [
        ["show", "9"].as_slice(),
        &["why", "--run", "9"],
        &["analyze", "9"],
        &["compare", "1", "9"],
        &["show", "9", "--csv"],
        &["show", "9", "one", "--reproduce"],
    ] {
        let refused = space.run(args);
        let expected = "error: there is no run 9\n  hint: the latest is run 2; `wasmill runs` lists them\n";
        assert_eq!((refused.code, refused.stderr.as_str()), (103, expected), "{args:?}");
    }
}

#[test]
fn where_there_is_no_run_it_is_said_how_to_make_one() {
    let space = TestSpace::new();
    for args in [["why"].as_slice(), &["analyze"], &["stats"]] {
        let refused = space.run(args);
        let expected = "error: there is no run yet\n  hint: `wasmill run` makes one\n";
        assert_eq!((refused.code, refused.stderr.as_str()), (103, expected), "{args:?}");
    }
    let refused = space.run(&["show", "1"]);
    assert_eq!(refused.stderr, "error: there is no run 1\n  hint: no run is recorded in this store yet\n");
}

#[test]
fn an_unknown_job_names_the_nearest() {
    let space = explained();
    space.run(&["run", "-q"]);
    for args in [["why", "onee"].as_slice(), &["show", "1", "onee"], &["show", "1", "onee", "--reproduce"]] {
        let refused = space.run(args);
        let expected = "error: run 1 of `explained` has no record of a job `onee`\n  hint: did you mean `one`?\n";
        assert_eq!((refused.code, refused.stderr.as_str()), (103, expected), "{args:?}");
    }
    let far = space.run(&["why", "something else"]);
    assert!(far.stderr.ends_with("  hint: `wasmill show 1` lists its jobs\n"), "{far:?}");
}

/// For root, every file can be written; a folder cannot, for anybody.
#[test]
fn a_report_that_cannot_be_written_is_found_before_anything_is_executed() {
    let space = explained();
    std::fs::create_dir(space.path("folder")).unwrap();
    for flag in ["--report", "--trace"] {
        for path in ["nowhere/file", "folder", "x/file"] {
            let refused = space.run(&["run", flag, path]);
            assert_eq!((refused.code, refused.stdout.as_str()), (103, ""), "{refused:?}");
            let native = space.path(path).strip_prefix(space.path("")).unwrap().display().to_string();
            assert!(refused.stderr.starts_with(&format!("error: `{flag}`: [dir]")), "{refused:?}");
            assert!(refused.stderr.contains(&native) && refused.stderr.contains(" cannot be written\n"), "{refused:?}");
            assert!(refused.stderr.contains("\n  hint: name a file in a folder that is there"), "{refused:?}");
        }
    }
    assert_eq!(said(&space, &["runs"]), "no runs yet\n");
    assert!(space.jobs(&[]).executed() == ["one"], "nothing was executed before");
    let refused = space.run(&["analyze", "--report", "nowhere/file"]);
    assert!(refused.code == 103 && refused.stdout.is_empty(), "{refused:?}");
}

#[test]
fn a_report_stays_as_it_was_where_the_run_does_not_begin() {
    let space = explained();
    space.write("kept.html", "kept").write("kept.json", "kept");
    let files = ["--report", "kept.html", "--trace", "kept.json"];
    space.write("mill.toml", "name = 3\n");
    assert_eq!(space.run(&[&["run"], &files[..]].concat()).code, 102);
    assert_eq!((space.read("kept.html"), space.read("kept.json")), ("kept".to_owned(), "kept".to_owned()));
    // Nor is one left behind that is empty.
    assert_eq!(space.run(&["run", "--report", "new.html", "--trace", "new.json"]).code, 102);
    assert!(!space.path("new.html").exists() && !space.path("new.json").exists());
    assert_ne!(space.run(&["run", "nowhere", "--report", "new.html"]).code, 0);
    assert!(!space.path("new.html").exists());
}

#[test]
fn a_report_is_made_of_a_failed_run_and_again_of_a_recorded_one() {
    let space = TestSpace::new();
    let plan = "[modules.exit]\nfile = \"exit_code.wasm\"\n[jobs.bad]\nmodule = \"exit\"\nargs = [\"5\"]\n";
    space.guest("exit_code").write("mill.toml", plan).write("run.html", "old");
    assert_eq!(space.run(&["run", "-q", "--report", "run.html", "--trace", "run.json"]).code, 100);
    said(&space, &["analyze", "1", "--report", "later.html", "--trace", "later.json"]);
    assert!(space.read("run.html").contains("exited with code 5"));
    assert_eq!(space.read("run.html"), space.read("later.html"));
    assert_eq!(space.read("run.json"), space.read("later.json"));
}

/// Nobody reads more than the first line; what the program says then has no other reader.
#[cfg(unix)]
#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let space = TestSpace::new();
    // Far more than fits into a pipe.
    let plan = r#"
        [modules.exit]
        file = "exit_code.wasm"
        [jobs.each]
        module = "exit"
        for-each = { number = { lines = "list" } }
        args = ["0", "{number}"]
    "#;
    let list: String = (0..600).map(|number| format!("{number}-{}\n", "long ".repeat(20).trim())).collect();
    space.guest("exit_code").write("mill.toml", plan).write("list", list);
    for args in [
        ["run", "--format", "json"].as_slice(),
        &["run", "--dry-run", "--fresh"],
        &["show", "1"],
        &["show", "1", "--format", "json"],
        &["show", "1", "--csv"],
        &["why", "--run", "1"],
        &["why", "--run", "1", "--format", "json"],
        &["analyze"],
        &["compare", "1", "1", "--format", "json"],
        &["stats", "--csv"],
        &["runs"],
    ] {
        let mut command = space.command(args);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut first = [0_u8; 16];
        let mut stdout = child.stdout.take().unwrap();
        std::io::Read::read_exact(&mut stdout, &mut first).unwrap_or_else(|error| panic!("{args:?}: {error}"));
        drop(stdout);
        let said = space.said(&child.wait_with_output().unwrap());
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{args:?}");
    }
    assert_eq!(super::json(&space, &["runs", "-n", "1"])["state"]["ended"]["counts"]["succeeded"], 600);
}

/// A run of which one job is recorded, and that was killed in the next.
fn killed() -> TestSpace {
    let space = TestSpace::new();
    let plan = r#"
        name = "killed"
        [modules.exit]
        file = "exit_code.wasm"
        [modules.loop]
        file = "loop_forever.wasm"
        [jobs.first]
        module = "exit"
        args = ["0"]
        [jobs.endless]
        module = "loop"
        in = { "/in/first" = { job = "first" } }
    "#;
    space.guest("exit_code").guest("loop_forever").write("mill.toml", plan);
    let mut command = space.command(&["run", "--format", "json"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("the program starts");
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let ended = lines.map(Result::unwrap).find(|line| line.contains("job-finished"));
    assert!(ended.is_some_and(|line| line.contains("\"first\"")), "the first job is reported");
    // Its result is on disk by now. What the run notes of it follows.
    let is_noted = || space.run(&["show", "1"]).stdout.contains("  first");
    assert!((0..100).any(|_| is_noted() || wait()), "it is noted");
    child.kill().unwrap();
    child.wait().unwrap();
    space
}

/// A moment; always false.
fn wait() -> bool {
    std::thread::sleep(std::time::Duration::from_millis(50));
    false
}

#[test]
fn a_run_that_was_killed_can_be_looked_at() {
    let space = killed();
    assert!(said(&space, &["runs"]).contains("  not ended: it runs, or was killed"));
    let shown = said(&space, &["show", "1"]);
    assert!(shown.contains("  first (new job)\n"), "{shown}");
    assert_eq!(said(&space, &["why"]), "first: new job\n");
    said(&space, &["analyze", "--report", "r.html", "--trace", "t.json"]);
    assert!(said(&space, &["compare", "1", "1"]).contains("run 1 of killed: not ended\n"));
    let run = &super::rows(&said(&space, &["runs", "--csv"]))[0];
    assert_eq!((run["run"].as_str(), run["wall_ns"].as_str(), run["jobs"].as_str()), ("1", "", ""));
    assert_eq!(super::rows(&said(&space, &["show", "1", "--csv"])).len(), 1);
    // What it came to is a reason for nothing.
    space.write(
        "mill.toml",
        "name = \"killed\"\n[modules.e]\nfile = \"exit_code.wasm\"\n[jobs.first]\nmodule = \"e\"\nargs = [\"0\"]\n",
    );
    assert_eq!(space.run(&["run", "-q"]).code, 0);
    assert_eq!(said(&space, &["why", "first"]), "first in run 2: not executed: its result was known\n");
}

#[test]
fn the_analysis_of_a_run_that_was_killed_says_that_it_did_not_end() {
    let space = killed();
    let text = said(&space, &["analyze", "--report", "r.html"]);
    assert!(text.starts_with("run 1 of killed: not ended"), "{text}");
    let Some(mut page) = crate::browser::Page::open(&space.path("r.html")) else { return };
    let top = page.evaluate("document.getElementById('top').innerText").as_str().unwrap().to_owned();
    assert!(top.contains("not ended") && !top.contains("Succeeded"), "{top}");
}

#[test]
fn statistics_of_runs_that_did_not_end_do_not_suggest_the_same_name() {
    let space = killed();
    let refused = space.run(&["stats"]);
    assert_eq!(refused.code, 103, "{refused:?}");
    assert!(!refused.stderr.contains("did you mean `killed`"), "{refused:?}");
}

#[test]
fn a_run_that_is_stopped_leaves_its_report() {
    let space = killed();
    let args = ["run", "-q", "--run-timeout", "2s", "--report", "r.html", "--trace", "t.json"];
    assert_eq!(space.run(&args).code, 130);
    assert!(space.read("r.html").contains("1 of 2 jobs succeeded, 1 cached, 1 not finished, cancelled"));
    assert!(space.read("t.json").contains("\"endless\""));
    let endless = said(&space, &["why", "endless"]);
    assert!(endless.starts_with("endless was executed in run 2: "), "{endless}");
}

/// What a plan says may have been chosen by a guest, which is not to control anybody's terminal.
const CONTROLLING: &str = r#"
    name = "controlling"
    [modules.hello]
    file = "hello.wasm"
    [jobs.one]
    module = "hello"
    args = ["\u001b[2J FIRST"]
    env = { A = "\u001b[31m\nFIRST" }
    in = { "/in/dir" = "dir" }
"#;

/// Everything that is said of two runs of a plan, whose arguments differ.
fn all_that_is_said(plan: &str) -> String {
    let space = TestSpace::new();
    space.guest("hello").write("mill.toml", plan).write("dir/file", "1");
    let mut all = space.run(&["run"]).whole();
    if cfg!(unix) {
        space.write("dir/\u{1b}[31mred", "new");
    }
    space.write("mill.toml", plan.replace("FIRST", "SECOND"));
    for args in [
        ["run", "--dry-run"].as_slice(),
        &["run"],
        &["why"],
        &["why", "one"],
        &["show", "2"],
        &["show", "2", "one"],
        &["show", "2", "--csv"],
        &["compare", "1", "2"],
        &["analyze"],
        &["stats"],
        &["runs"],
    ] {
        let said = space.run(args);
        assert_eq!(said.code, 0, "{args:?}: {said:?}");
        all += &said.whole();
    }
    assert!(all.contains("SECOND"), "{all}");
    all
}

#[test]
fn nothing_that_a_job_is_given_controls_the_terminal() {
    let all = all_that_is_said(CONTROLLING);
    assert!(!all.contains(|char: char| char.is_control() && char != '\n'), "{all:?}");
}

#[test]
fn nor_do_the_names_of_what_it_is_given() {
    for (plain, controlling) in [("env = { A", "env = { \"A\\u001b[31m\""), ("/in/dir", "/in/\\u001b[31mdir")] {
        let all = all_that_is_said(&CONTROLLING.replace(plain, controlling));
        assert!(!all.contains(|char: char| char.is_control() && char != '\n'), "{all:?}");
    }
}

/// What is logged names the run and the job as the record does.
#[test]
fn what_is_logged_of_a_job_has_the_numbers_of_the_record() {
    let space = explained();
    let said = space.run(&["run", "-v"]);
    let (_, shown) = space.events(&["show", "1"]);
    let number = &shown[1]["trace"]["number"];
    let begins = "run{run=1 plan=\"explained\"}";
    assert!(said.stderr.lines().any(|line| line.contains(begins) && line.contains(": begun jobs=1")), "{said:?}");
    let span = format!("{begins}:job{{number={number} job=\"one\"}}");
    let key = shown[1]["key"].as_str().unwrap();
    let line = said.stderr.lines().find(|line| line.contains(&span)).unwrap_or_else(|| panic!("{said:?}"));
    assert!(line.contains("ended status=Succeeded cached=false") && line.contains(key), "{line}");
}

/// Whoever is asked to end by a signal ends as after Ctrl-C, and its run has ended too.
#[cfg(unix)]
#[test]
fn a_run_that_is_asked_to_end_has_ended() {
    let space = TestSpace::new();
    let plan = "[modules.l]\nfile = \"loop_forever.wasm\"\n[jobs.endless]\nmodule = \"l\"\n";
    space.guest("loop_forever").write("mill.toml", plan);
    let mut run = space.command(&["run", "--format", "json"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut events = BufReader::new(run.stdout.take().unwrap()).lines();
    assert!(events.any(|line| line.unwrap().contains("job-started")));
    let asks = format!("kill -TERM {}", run.id());
    assert!(Command::new("sh").args(["-c", &asks]).status().unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert!(
        said(&space, &["runs"]).contains("0 of 1 job succeeded, 1 not finished, cancelled"),
        "{}",
        said(&space, &["runs"])
    );
}
