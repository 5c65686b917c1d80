//! `wasmill run`: plans over real guests.

use crate::support::TestSpace;

const DIAMOND: &str = r#"
    name = "diamond"
    [modules.files]
    file = "files.wasm"
    [modules.copy]
    file = "copy.wasm"
    [jobs.top]
    module = "copy"
    in = { "/in/leaf" = "leaf" }
    [jobs.left]
    module = "copy"
    args = ["another action than that of `top`"]
    in = { "/in/leaf" = { job = "top", path = "result" } }
    [jobs.right]
    module = "files"
    in = { "/in/a" = { job = "top" }, "/in/b" = "side" }
    [jobs.bottom]
    module = "files"
    in = { "/in/left" = { job = "left" }, "/in/right" = { job = "right", path = "listing.txt" } }
    save = { "listing.txt" = "saved/list.txt", "." = "saved/whole" }
"#;

fn diamond() -> TestSpace {
    let space = TestSpace::new();
    space.guest("files").guest("copy").write("mill.toml", DIAMOND).write("leaf", "leaf").write("side/x", "x");
    space
}

#[test]
fn a_plan_runs_once() {
    let space = diamond();
    let first = space.jobs(&[]);
    assert_eq!(first.code, 0, "{first:#?}");
    assert_eq!(first.executed(), ["bottom", "left", "right", "top"]);
    assert!(space.read("saved/list.txt").contains("/in/left/result 4 bytes"));
    assert_eq!(space.read("saved/list.txt"), space.read("saved/whole/listing.txt"));

    let second = space.jobs(&[]);
    assert!(second.all("succeeded", true), "{second:#?}");
    for job in ["top", "left", "right", "bottom"] {
        assert_eq!(first.output_digest(job), second.output_digest(job));
    }
    let said = space.run(&["run"]);
    assert!(said.stderr.starts_with("diamond: everything was cached (4 jobs)"), "{}", said.stderr);
}

#[test]
fn what_changed_runs_again_and_nothing_else() {
    let space = diamond();
    space.jobs(&[]);
    space.write("side/x", "another");
    assert_eq!(space.jobs(&[]).executed(), ["bottom", "right"]);
    // Changed back: every result is still known.
    space.write("side/x", "x");
    assert!(space.jobs(&[]).executed().is_empty());
    space.write("leaf", "other leaf");
    assert_eq!(space.jobs(&[]).executed(), ["bottom", "left", "right", "top"]);
}

#[test]
fn an_unchanged_output_ends_the_rebuild() {
    let space = TestSpace::new();
    space.guest("exit_code").guest("files").write("x", "1").write(
        "mill.toml",
        r#"
            [modules.exit]
            file = "exit_code.wasm"
            [modules.files]
            file = "files.wasm"
            [jobs.same]
            module = "exit"
            args = ["0"]
            in = { "/in/x" = "x" }
            [jobs.behind]
            module = "files"
            in = { "/in/same" = { job = "same" } }
        "#,
    );
    assert_eq!(space.jobs(&[]).executed(), ["behind", "same"]);
    space.write("x", "2");
    assert_eq!(space.jobs(&[]).executed(), ["same"], "its output is what it was");
}

#[test]
fn a_saved_file_that_was_removed_or_changed_is_written_again() {
    let space = diamond();
    space.jobs(&[]);
    let before = space.read("saved/list.txt");
    std::fs::remove_file(space.path("saved/list.txt")).unwrap();
    space.write("saved/whole/after", "RENAMED").write("saved/whole/mine", "stays");
    assert!(space.jobs(&[]).executed().is_empty());
    assert_eq!(space.read("saved/list.txt"), before);
    assert_eq!(space.read("saved/whole/after"), "renamed");
    assert_eq!(space.read("saved/whole/mine"), "stays");
}

#[test]
fn fresh_runs_everything_again_with_the_same_bytes() {
    let space = diamond();
    let first = space.jobs(&[]);
    let fresh = space.jobs(&["--fresh", "--jobs", "3"]);
    assert!(fresh.all("succeeded", false));
    for job in first.by_name.keys() {
        assert_eq!(first.output_digest(job), fresh.output_digest(job));
    }
}

#[test]
fn only_the_named_job_and_what_it_needs_is_run() {
    let space = diamond();
    assert_eq!(space.jobs(&["--job", "left"]).executed(), ["left", "top"]);
    assert_eq!(space.jobs(&["--job", "left", "--job", "right"]).executed(), ["right"]);
}

const FAILING: &str = r#"
    [modules.exit]
    file = "exit_code.wasm"
    [jobs.bad]
    module = "exit"
    args = ["3"]
    [jobs.needs-bad]
    module = "exit"
    args = ["0"]
    in = { "/in/x" = { job = "bad" } }
    [jobs.further]
    module = "exit"
    args = ["0"]
    in = { "/in/x" = { job = "needs-bad" } }
    [jobs.apart]
    module = "exit"
    args = ["0"]
    [jobs.behind-apart]
    module = "exit"
    args = ["0"]
    in = { "/in/x" = { job = "apart" } }
"#;

#[test]
fn a_failure_stops_what_depends_on_it_and_with_keep_going_nothing_else() {
    let space = TestSpace::new();
    space.guest("exit_code").write("mill.toml", FAILING);
    let jobs = space.jobs(&["--keep-going"]);
    assert_eq!(jobs.code, 100);
    assert_eq!(jobs.status("bad"), "failed");
    assert_eq!(jobs.status("needs-bad"), "skipped");
    assert_eq!(jobs.status("further"), "skipped");
    assert_eq!(jobs.status("behind-apart"), "succeeded");

    // The failure is known now; nothing is executed again unless asked for.
    let again = space.jobs(&["--keep-going"]);
    assert!(again.by_name["bad"].1 && again.executed().is_empty(), "{again:#?}");
    let retried = space.jobs(&["--keep-going", "--retry-failed"]);
    assert!(!retried.by_name["bad"].1);
}

#[test]
fn a_failure_without_keep_going_stops_the_run() {
    let space = TestSpace::new();
    space.guest("exit_code").write("mill.toml", FAILING);
    let jobs = space.jobs(&["--jobs", "1"]);
    assert_eq!(jobs.code, 100);
    assert_eq!(jobs.by_name.len(), 5, "every job is accounted for");
    assert_eq!(jobs.status("bad"), "failed");
    assert_eq!(jobs.status("needs-bad"), "skipped");
    assert_eq!(jobs.status("behind-apart"), "cancelled");
}

#[test]
fn a_failure_is_told_with_what_the_guest_wrote() {
    let space = TestSpace::new();
    space.guest("exit_code").write("mill.toml", FAILING);
    let said = space.run(&["run", "--job", "bad"]);
    let headline = said.stderr.lines().take(3).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(headline, @"
    error: job `bad` exited with code 3
      caused by: it wrote to stderr:
        on standard error, before exit code 3
    ");
}

#[test]
fn a_job_is_repeated_for_each_item() {
    let space = TestSpace::new();
    space.guest("copy").guest("files").write("in/a.txt", "A").write("in/b.txt", "B").write("in/c.md", "C");
    space.write("list", "in/a.txt\n\nin/c.md\n").write(
        "mill.toml",
        r#"
            [modules.copy]
            file = "copy.wasm"
            [modules.files]
            file = "files.wasm"
            [jobs.text]
            module = "copy"
            for-each = { file = "in/*.txt" }
            in = { "/in/leaf" = "{file}" }
            save = { "result" = "out/{file.stem}" }
            [jobs.listed]
            module = "copy"
            for-each = { file = { lines = "list" }, size = ["s", "l"] }
            in = { "/in/leaf" = "{file}" }
            args = ["{size}"]
            [jobs.again]
            module = "copy"
            args = ["again"]
            for-each = { file = "in/*.txt" }
            in = { "/in/leaf" = { job = "text[{file.name}]", path = "result" } }
            [jobs.all]
            module = "files"
            in = { "/in/all" = { jobs = "listed", path = "result" } }
        "#,
    );
    let jobs = space.jobs(&[]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    let names: Vec<&str> = jobs.by_name.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "again[a.txt]",
            "again[b.txt]",
            "all",
            "listed[a.txt,l]",
            "listed[a.txt,s]",
            "listed[c.md,l]",
            "listed[c.md,s]",
            "text[a.txt]",
            "text[b.txt]"
        ]
    );
    assert_eq!((space.read("out/a"), space.read("out/b")), ("A".to_owned(), "B".to_owned()));
    space.write("in/d.txt", "D");
    assert_eq!(space.jobs(&[]).executed(), ["again[d.txt]", "text[d.txt]"]);
}

#[test]
fn toml_and_json_say_the_same() {
    let space = diamond();
    let first = space.jobs(&[]);
    space.write(
        "mill.json",
        r#"{ "name": "diamond",
             "modules": { "copy": { "file": "copy.wasm" } },
             "jobs": { "top": { "module": "copy", "in": { "/in/leaf": "leaf" } },
                       "left": { "module": "copy", "in": { "/in/leaf": { "job": "top", "path": "result" } } } } }"#,
    );
    let second = space.jobs(&["mill.json"]);
    assert!(second.all("succeeded", true), "the same actions: {second:#?}");
    assert_eq!(first.output_digest("left"), second.output_digest("left"));
}

#[test]
fn modules_come_as_text_and_by_digest_too() {
    let space = TestSpace::new();
    space.write("empty.wat", r#"(module (func (export "_start")))"#).write(
        "mill.toml",
        r#"
            [modules.text]
            file = "empty.wat"
            [jobs.one]
            module = "text"
        "#,
    );
    let jobs = space.jobs(&[]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    let said = space.run(&["show", "1", "one"]);
    let digest = said.stdout.lines().find_map(|line| line.trim().strip_prefix("module")).unwrap().trim().to_owned();
    space.write("mill.toml", format!("[modules.m]\ndigest = \"sha256:{digest}\"\n[jobs.one]\nmodule = \"m\"\n"));
    assert!(space.jobs(&[]).all("succeeded", true), "the same module is the same action");
}

#[test]
fn equal_jobs_are_executed_once() {
    let space = TestSpace::new();
    space.guest("copy").write("leaf", "x").write(
        "mill.toml",
        r#"
            [modules.copy]
            file = "copy.wasm"
            [jobs.same]
            module = "copy"
            for-each = { n = ["1", "2", "3", "4", "5", "6", "7", "8"] }
            in = { "/in/leaf" = "leaf" }
        "#,
    );
    let jobs = space.jobs(&["--jobs", "4"]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    assert_eq!(jobs.executed().len(), 1, "{jobs:#?}");
}

#[test]
fn a_plan_without_jobs_does_nothing_well() {
    let space = TestSpace::new();
    space.write("mill.toml", "name = \"nothing\"\n");
    let said = space.run(&["run"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stderr.starts_with("nothing: the plan has no jobs"), "{}", said.stderr);
}

#[test]
fn a_declared_output_must_be_written_and_others_are_dropped() {
    let space = TestSpace::new();
    space.guest("files").write("x", "x").write(
        "mill.toml",
        r#"
            [modules.files]
            file = "files.wasm"
            [jobs.some]
            module = "files"
            in = { "/in/x" = "x" }
            out = ["nested/deep", "after"]
            save = { "." = "kept" }
            [jobs.missing]
            module = "files"
            in = { "/in/x" = "x" }
            out = ["after", "nowhere"]
        "#,
    );
    let jobs = space.jobs(&["--keep-going"]);
    assert_eq!((jobs.status("some"), jobs.status("missing")), ("succeeded", "failed"));
    assert!(space.path("kept/nested/deep/empty").exists() && space.path("kept/after").exists());
    assert!(!space.path("kept/nested/bytes").exists() && !space.path("kept/listing.txt").exists());
    let said = space.run(&["run", "--job", "missing"]);
    assert!(said.stderr.contains("job `missing` did not write its output `nowhere`"), "{}", said.stderr);
}

#[test]
fn the_same_plan_elsewhere_finds_everything_cached() {
    let space = diamond();
    space.jobs(&[]);
    for file in ["mill.toml", "files.wasm", "copy.wasm", "leaf", "side/x"] {
        space.write(&format!("moved/{file}"), std::fs::read(space.path(file)).unwrap());
    }
    let moved = space.jobs(&["moved"]);
    assert!(moved.all("succeeded", true), "host paths are in no action: {moved:#?}");
    assert!(space.path("moved/saved/list.txt").exists());
}

#[test]
fn inputs_come_from_globs_texts_and_standard_input() {
    let space = TestSpace::new();
    space.guest("files").guest("hello").write("src/a.rs", "a").write("src/deep/b.rs", "bb").write("src/c.md", "c");
    space.write("said", "from a file").write(
        "mill.toml",
        r#"
            [modules.files]
            file = "files.wasm"
            [modules.hello]
            file = "hello.wasm"
            [defaults]
            env = { LANG = "C" }
            [jobs.files]
            module = "files"
            in = { "/in/rust" = { glob = "src/**/*.rs" }, "/in/note" = { text = "{{written}} here" } }
            save = { "listing.txt" = "listing" }
            [jobs.file]
            module = "hello"
            stdin = "said"
            env = { NAME = "file" }
            [jobs.value]
            module = "hello"
            entry = "greet"
            input = { b = [1, true, "x"], a = 0.5 }
        "#,
    );
    let jobs = space.jobs(&[]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    let listing = space.read("listing");
    let names: Vec<&str> = listing.lines().map(|line| line.split(", ").next().unwrap()).collect();
    let expected =
        ["/in/note 14 bytes", "/in/rust/", "/in/rust/a.rs 1 bytes", "/in/rust/deep/", "/in/rust/deep/b.rs 2 bytes"];
    assert_eq!(names, expected);
    let stdout = |job: &str| {
        let digest = jobs.by_name[job].2["result"]["stdout"]["digest"].as_str().unwrap().to_owned();
        space.run(&["cat", &digest]).stdout
    };
    assert_eq!(stdout("file"), "arg 0: main\nenv LANG=C\nenv NAME=file\nstdin: from a file\n");
    assert_eq!(stdout("value"), "arg 0: greet\nenv LANG=C\nstdin: {\"a\":0.5,\"b\":[1,true,\"x\"]}\n");
}

#[test]
fn limits_in_a_plan_strike_and_a_timeout_is_not_recorded() {
    let space = TestSpace::new();
    space.guest("loop_forever").guest("eat_memory").write(
        "mill.toml",
        r#"
            [modules.loop]
            file = "loop_forever.wasm"
            [modules.eat]
            file = "eat_memory.wasm"
            [defaults]
            limits = { memory = "8MiB", timeout = "100ms" }
            [jobs.memory]
            module = "eat"
            limits = { timeout = "1m" }
            [jobs.fuel]
            module = "loop"
            limits = { fuel = 1000, timeout = "1m" }
            [jobs.time]
            module = "loop"
        "#,
    );
    let outcome = |jobs: &crate::support::Jobs, job: &str| jobs.by_name[job].2["result"]["outcome"].clone();
    let jobs = space.jobs(&["--keep-going"]);
    assert!(outcome(&jobs, "memory")["out-of-memory"]["limit_bytes"] == 8 << 20, "{jobs:#?}");
    assert!(outcome(&jobs, "fuel")["out-of-fuel"]["limit"] == 1000, "{jobs:#?}");
    assert!(outcome(&jobs, "time")["timed-out"]["limit_ms"] == 100, "{jobs:#?}");
    let again = space.jobs(&["--keep-going"]);
    let cached = |job: &str| again.by_name[job].1;
    assert_eq!([cached("memory"), cached("fuel"), cached("time")], [true, true, false]);
}

#[cfg(unix)]
#[test]
fn an_input_whose_time_was_put_back_is_a_changed_one() {
    let space = TestSpace::new();
    space.guest("copy").write("leaf", "AAAA");
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let put_back = || std::fs::File::options().write(true).open(space.path("leaf")).unwrap().set_modified(long_ago);
    let run = || {
        put_back().unwrap();
        // Old enough to be remembered.
        std::thread::sleep(std::time::Duration::from_millis(1200));
        let said = space.run(&["exec", "copy.wasm", "--in", "/in/leaf=leaf", "--out", "out"]);
        assert_eq!(said.code, 0, "{said:?}");
        space.read("out/result")
    };
    assert_eq!((run(), run()), ("AAAA".to_owned(), "AAAA".to_owned()));
    std::fs::write(space.path("leaf"), "DDDD").unwrap();
    assert_eq!(run(), "DDDD");
}

/// How many of a run's jobs were under way at the same time, at most.
fn at_once(events: &[serde_json::Value]) -> usize {
    let jobs = events.iter().filter(|event| event["event"] == "job-finished");
    let spans = jobs.map(|job| (job["started_ns"].as_u64().unwrap(), job["ended_ns"].as_u64().unwrap()));
    let spans: Vec<_> = spans.collect();
    let during = |at: u64| spans.iter().filter(|(from, to)| (*from..*to).contains(&at)).count();
    spans.iter().map(|(from, _)| during(*from)).max().unwrap_or(0)
}

#[test]
fn jobs_that_run_at_the_same_time_take_no_more_than_there_is() {
    let space = TestSpace::new();
    let plan = |job: &str| {
        format!(
            r#"
            [modules.loop]
            file = "loop_forever.wasm"
            [resources]
            db = 2
            [defaults]
            limits = {{ timeout = "400ms", memory = "100MiB" }}
            [jobs.busy]
            module = "loop"
            args = ["{{n}}"]
            for-each = {{ n = [1, 2, 3] }}
            {job}
            "#
        )
    };
    let at_once = |job: &str, args: &[&str]| {
        space.guest("loop_forever").write("mill.toml", plan(job));
        let (_, events) = space.events(&[&["run", "--keep-going", "-j", "3"], args].concat());
        assert!(events.iter().any(|event| event["event"] == "run-finished"), "{events:#?}");
        at_once(&events)
    };
    assert_eq!(at_once("", &[]), 3);
    assert_eq!(at_once("resources = { db = 1 }", &[]), 2);
    assert_eq!(at_once("cpus = 2", &[]), 1);
    // More than there is: then alone.
    assert_eq!(at_once("cpus = 100", &[]), 1);
    assert_eq!(at_once("", &["--memory-budget", "250MiB"]), 2);
    assert_eq!(space.run(&["run", "--memory-budget", "0B"]).code, 101);
    let wrong = space.run(&["run", "--memory-budget", "much"]);
    assert_eq!((wrong.code, wrong.stderr.contains("--memory-budget")), (101, true), "{}", wrong.stderr);
}

#[test]
fn what_is_more_important_goes_first() {
    let space = TestSpace::new();
    let jobs = [("last", -1), ("second", 0), ("first", 7)];
    let jobs = jobs.map(|(name, priority)| {
        format!("[jobs.{name}]\nmodule = \"hello\"\nargs = [\"{name}\"]\npriority = {priority}\n")
    });
    space.guest("hello").write("mill.toml", "[modules.hello]\nfile = \"hello.wasm\"\n".to_owned() + &jobs.concat());
    let (code, events) = space.events(&["run", "-j", "1"]);
    assert_eq!(code, 0);
    let started = events.iter().filter(|event| event["event"] == "job-started");
    let started: Vec<_> = started.map(|event| event["job"].as_str().unwrap()).collect();
    assert_eq!(started, ["first", "second", "last"]);
}

#[test]
fn a_job_that_reached_its_timeout_is_tried_again_if_asked_for() {
    let space = TestSpace::new();
    let plan = "[modules.loop]\nfile = \"loop_forever.wasm\"\n[jobs.slow]\nmodule = \"loop\"\n\
                limits = { timeout = \"200ms\" }\nretries = { count = 2, backoff = \"50ms\" }\n";
    space.guest("loop_forever").write("mill.toml", plan);
    let (code, events) = space.events(&["run"]);
    assert_eq!(code, 100, "{events:#?}");
    let retried = events.iter().filter(|event| event["event"] == "job-retried");
    let attempts: Vec<_> = retried.map(|event| event["attempt"].as_u64().unwrap()).collect();
    assert_eq!(attempts, [1, 2]);
    assert_eq!(events.iter().filter(|event| event["event"] == "job-started").count(), 3);
    let said = space.run(&["run"]);
    assert!(said.stderr.contains("`slow`, attempt 1: "), "{}", said.stderr);
    assert!(said.stderr.contains("; trying again in "), "{}", said.stderr);
}

#[test]
fn a_run_that_takes_too_long_is_cancelled() {
    let space = TestSpace::new();
    let plan = "[modules.loop]\nfile = \"loop_forever.wasm\"\n[modules.hello]\nfile = \"hello.wasm\"\n\
                [jobs.quick]\nmodule = \"hello\"\npriority = 1\n[jobs.slow]\nmodule = \"loop\"\n";
    space.guest("loop_forever").guest("hello").write("mill.toml", plan);
    let said = space.run(&["run", "-j", "1", "--run-timeout", "3s"]);
    assert_eq!(said.code, 130, "{}", said.stderr);
    assert!(said.stderr.contains("the run is cancelled, as it took longer than 3 s"), "{}", said.stderr);
    let (_, events) = space.events(&["run", "--run-timeout", "1s"]);
    let quick = events.iter().find(|event| event["event"] == "job-finished" && event["job"] == "quick");
    assert_eq!(quick.unwrap()["cached"], true, "what was done stays");
    assert_eq!(space.run(&["run", "--run-timeout", "soon"]).code, 101);
}
