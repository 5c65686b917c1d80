//! Runs in which nothing has changed: they are not carried out again, and look as if they were.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Jobs, TestSpace};

/// Longer than a file has to be as it is before its looks say what is in it.
fn settle() {
    std::thread::sleep(Duration::from_millis(250));
}

/// Files by glob and by list, a folder, a pattern, a job that takes from others, and outputs that are saved.
fn space() -> TestSpace {
    let space = TestSpace::new();
    for name in ["a", "b"] {
        space.write(&format!("in/{name}"), format!("{name} 1\n"));
    }
    space.write("names.txt", "a\nb\n").write("folder/deep/x", "x").write("logs/1.log", "1").write("logs/1.txt", "no");
    space.guest("copy").guest("script").write("mill.toml", PLAN);
    space
}

const PLAN: &str = r#"
    name = "again"
    [modules]
    copy = { file = "copy.wasm" }
    script = { file = "script.wasm" }
    [jobs.copy]
    module = "copy"
    for-each = { file = "in/*" }
    in = { "/in/leaf" = "{file}" }
    save = { result = "out/{file.name}" }
    [jobs.listed]
    module = "copy"
    for-each = { name = { lines = "names.txt" } }
    in = { "/in/leaf" = "in/{name}" }
    args = ["another action"]
    [jobs.folder]
    module = "script"
    in = { "/in/folder" = "folder", "/in/logs" = { glob = "logs/*.log" } }
    args = ["join", "/in/folder", "all"]
    save = { all = "all.txt" }
    [jobs.behind]
    module = "copy"
    in = { "/in/leaf" = { job = "folder", path = "all" } }
    [profile.quick]
    timeout = "9s"
"#;

/// One file that is copied and saved.
fn copying() -> TestSpace {
    let space = TestSpace::new();
    space.write("leaf", "x").guest("copy").write(
        "mill.toml",
        "[modules.copy]\nfile = \"copy.wasm\"\n[jobs.c]\nmodule = \"copy\"\nin = { \"/in/leaf\" = \"leaf\" }\nsave = { result = \"out/r\" }\n",
    );
    space
}

/// Carries the plan out, and repeats that: what was saved just now is read once more, as its looks say nothing yet.
fn carried_out(space: &TestSpace) -> Jobs {
    settle();
    assert_eq!(space.jobs(&[]).code, 0);
    assert_eq!(repeated(space, &[]), Some(1));
    settle();
    assert_eq!(repeated(space, &[]), Some(1));
    space.jobs(&[])
}

/// The run that another run of the plan repeats.
fn repeated(space: &TestSpace, args: &[&str]) -> Option<u64> {
    let (code, events) = space.events(&[&["run"], args].concat());
    assert_eq!(code, 0, "{events:#?}");
    events.last().expect("an end")["repeats"].as_u64()
}

/// What is said of jobs, without what differs each time.
fn said_of_jobs(jobs: &Jobs) -> Vec<Value> {
    let strip = |job: &(String, bool, Value)| {
        let mut job = job.2.clone();
        for key in ["ready_ns", "started_ns", "ended_ns"] {
            job[key] = Value::Null;
        }
        for key in ["worker", "phases"] {
            job["trace"][key] = Value::Null;
        }
        job
    };
    jobs.by_name.values().map(strip).collect()
}

#[test]
fn a_run_in_which_nothing_has_changed_repeats_the_one_before() {
    let space = space();
    let again = carried_out(&space);
    assert!(again.all("succeeded", true), "{again:#?}");
    // A file that looks otherwise and is the same: everything is gone through, and comes to the same.
    space.write("in/a", "a 1\n");
    settle();
    let gone_through = space.jobs(&[]);
    assert_eq!(said_of_jobs(&again), said_of_jobs(&gone_through));

    let said = space.run(&["run"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let expected = "again: everything was cached (6 jobs), nothing had to be executed";
    assert!(said.stderr.contains(expected), "{}", said.stderr);
    // What was saved is there, and said.
    assert!(said.stderr.contains("out") && said.stderr.contains("all.txt"), "{}", said.stderr);
    let (_, events) = space.events(&["run"]);
    let count = |event: &str| events.iter().filter(|one| one["event"] == event).count();
    assert_eq!((count("run-started"), count("saved"), count("job-finished"), count("run-finished")), (1, 3, 6, 1));
    assert_eq!(events[0]["jobs"], 6);
    let counts = &events.last().unwrap()["counts"];
    assert_eq!((&counts["succeeded"], &counts["cached"]), (&6.into(), &6.into()));
}

#[test]
fn a_repeated_run_is_asked_about_as_any_other() {
    let space = space();
    carried_out(&space);
    let run = space.events(&["run"]).1[0]["run"].to_string();
    let (code, shown) = space.events(&["show", &run]);
    assert_eq!(code, 0);
    assert_eq!(shown.len(), 7, "the run and its jobs: {shown:#?}");
    assert_eq!(shown[0]["state"]["ended"]["repeats"], 1);
    assert!(shown[1..].iter().all(|job| job["cached"] == true), "{shown:#?}");
    for args in [
        &["show", &run, "copy[a]"][..],
        &["show", &run, "copy[a]", "--reproduce"],
        &["why", "copy[a]"],
        &["analyze"],
        &["compare", "1", &run],
        &["run", "--report", "r.html"],
        &["stats"],
        &["plan", "graph", "--run", &run],
    ] {
        let said = space.run(args);
        assert_eq!(said.code, 0, "{args:?}: {}{}", said.stdout, said.stderr);
    }
    // In another store its jobs are its own.
    assert_eq!(space.run(&["export", &run, "run.json"]).code, 0);
    assert_eq!(space.run(&["--store", "there", "import", "run.json"]).code, 0);
    let (_, there) = space.events(&["--store", "there", "show", "1"]);
    assert_eq!((there.len(), &there[0]["state"]["ended"]["repeats"]), (7, &Value::Null));
}

/// Whatever a run depends on, a change of it is seen.
#[test]
fn every_change_is_seen() {
    let link = |space: &TestSpace| {
        let _ = std::fs::remove_file(space.path("folder/link"));
        #[cfg(unix)]
        std::os::unix::fs::symlink("deep/x", space.path("folder/link")).unwrap();
        #[cfg(not(unix))]
        space.write("folder/link", "x");
    };
    type Change = Box<dyn Fn(&TestSpace)>;
    let write = |path: &'static str, content: &'static str| -> Change {
        Box::new(move |space| {
            space.write(path, content);
        })
    };
    let remove =
        |path: &'static str| -> Change { Box::new(move |space| std::fs::remove_file(space.path(path)).unwrap()) };
    let changes: Vec<(&str, Change, &[&str])> = vec![
        ("a file of another length", write("in/a", "a 22\n"), &["copy[a]", "listed[a]"]),
        ("a file of the same length", write("in/a", "a 33\n"), &["copy[a]", "listed[a]"]),
        ("a file more for a glob", write("in/c", "c\n"), &["copy[c]"]),
        ("a file less for a glob", remove("in/c"), &[]),
        ("a longer list", write("names.txt", "a\nb\na\n"), &[]),
        ("a file more in a folder", write("folder/new", "new"), &["behind", "folder"]),
        ("a file less in a folder", remove("folder/new"), &[]),
        ("a folder more", Box::new(|space| std::fs::create_dir(space.path("folder/empty")).unwrap()), &["folder"]),
        ("a link more", Box::new(link), &["behind", "folder"]),
        ("a match more", write("logs/2.log", "2"), &["folder"]),
        ("something that does not match", write("logs/3.txt", "2"), &[]),
        ("a module", write("copy.wasm", "no module"), &[]),
        (
            "the module as it was",
            Box::new(|space| {
                space.guest("copy");
            }),
            &[],
        ),
        ("what was saved, changed", write("out/a", "by hand"), &[]),
        ("what was saved, removed", remove("all.txt"), &[]),
    ];
    let space = space();
    carried_out(&space);
    for (what, change, executed) in changes {
        settle();
        change(&space);
        settle();
        // Where a list names an item twice, or a module is none, that is an error and nothing is repeated either.
        if ["a longer list", "a module"].contains(&what) {
            assert_ne!(space.run(&["run"]).code, 0, "{what}");
            space.write("names.txt", "a\nb\n");
            continue;
        }
        let jobs = space.jobs(&[]);
        assert_eq!((jobs.code, jobs.executed()), (0, executed.to_vec()), "{what}");
        for name in ["a", "b", "c"].iter().filter(|name| space.path(&format!("in/{name}")).exists()) {
            assert_eq!(space.read(&format!("out/{name}")), space.read(&format!("in/{name}")), "{what}");
        }
        assert!(space.path("all.txt").exists(), "{what}");
        settle();
        assert_eq!(space.jobs(&[]).executed(), Vec::<&str>::new());
        assert!(repeated(&space, &[]).is_some(), "{what}");
    }
    assert_eq!((space.read("out/a"), space.path("all.txt").exists()), ("a 33\n".to_owned(), true));
}

#[test]
fn what_is_asked_for_otherwise_is_another_run() {
    let space = space();
    carried_out(&space);
    assert_eq!(repeated(&space, &["--fresh"]), None);
    settle();
    assert_eq!(repeated(&space, &["--job", "behind"]), None, "other jobs");
    let of_behind = repeated(&space, &["--job", "behind"]);
    assert!(of_behind.is_some_and(|run| run > 2), "{of_behind:?}");
    // How it is carried out decides no result.
    assert!(repeated(&space, &["--profile", "quick", "--jobs", "1", "-k"]).is_some());
    let plan = space.read("mill.toml");
    space.write("mill.toml", format!("{plan}# a remark\n"));
    assert_eq!(repeated(&space, &[]), None, "the text is another");
    space.write("mill.toml", plan);
    assert!(repeated(&space, &[]).is_some(), "an earlier text");
    // The same plan in another folder reads other files.
    for file in ["mill.toml", "names.txt", "copy.wasm", "script.wasm", "in/a", "in/b", "folder/deep/x", "logs/1.log"] {
        space.write(&format!("there/{file}"), std::fs::read(space.path(file)).unwrap());
    }
    assert_eq!(repeated(&space, &["there"]), None);
    assert!(repeated(&space, &[]).is_some(), "and hides nothing");
}

#[test]
fn what_fails_or_was_resumed_is_not_repeated() {
    let space = TestSpace::new();
    space.write("leaf", "x").guest("script").write(
        "mill.toml",
        "[modules.script]\nfile = \"script.wasm\"\n[jobs.fails]\nmodule = \"script\"\nin = { \"/in/leaf\" = \"leaf\" }\nargs = [\"fail\"]\n",
    );
    settle();
    for _ in 0..3 {
        let (code, events) = space.events(&["run"]);
        assert_eq!((code, &events.last().unwrap()["repeats"]), (100, &Value::Null));
    }
    space.write("mill.toml", space.read("mill.toml").replace("[\"fail\"]", "[\"join\", \"/in\", \"all\"]"));
    assert_eq!(repeated(&space, &[]), None);
    assert_eq!(repeated(&space, &[]), Some(4));
    assert_eq!(repeated(&space, &["--resume", "4"]), None);
    // What a run that was resumed saw is not all that it depends on.
    assert_eq!(repeated(&space, &[]), Some(4));
}

#[test]
fn jobs_that_came_to_be_are_repeated_with_the_others() {
    let space = TestSpace::new();
    space.guest("script").guest("sum_tree").write("parts.txt", "").write("wanted/w.txt", "w").write(
        "mill.toml",
        r#"
        [modules]
        script = { file = "script.wasm" }
        sum = { file = "sum_tree.wasm" }
        [defaults]
        module = "script"
        [jobs.split]
        in = { "/in/parts" = "parts.txt" }
        args = ["write", "parts/w.txt", "1", "write", "parts/v.txt", "2"]
        [jobs.scan]
        for-each = { part = { entries = { job = "split", path = "parts" } } }
        in = { "/in/part" = { job = "split", path = "parts/{part}" } }
        args = ["copy", "/in/part", "scanned"]
        [jobs.sum]
        module = "sum"
        args = ["0", "100"]
        yields = "plan.json"
        [jobs.solve]
        for-each = { c = ["fail", "write", "later"] }
        race = { first = 1 }
        args = ["{c}", "found", "by {c.name}"]
        [jobs.not]
        when = { job = "split", path = "nothing" }
        args = ["write", "x", "y"]
        "#,
    );
    settle();
    let first = space.jobs(&["-j", "1"]);
    assert_eq!(first.code, 0, "{first:#?}");
    assert_eq!(repeated(&space, &[]), Some(1));
    let again = space.jobs(&[]);
    let words = |jobs: &Jobs| jobs.by_name.iter().map(|(name, job)| (name.clone(), job.0.clone())).collect::<Vec<_>>();
    assert_eq!(words(&again), words(&first));
    space.write("parts.txt", "");
    settle();
    let gone_through = space.jobs(&[]);
    assert_eq!(words(&again), words(&gone_through));
    let cached = |jobs: &Jobs| jobs.by_name.iter().map(|(name, job)| (name.clone(), job.1)).collect::<Vec<_>>();
    assert_eq!(cached(&again), cached(&gone_through));
    // A file that only an item reads which came to be during the run.
    let plan = space.read("mill.toml").replace(
        r#"in = { "/in/part" = { job = "split", path = "parts/{part}" } }"#,
        r#"in = { "/in/part" = "wanted/w.txt" }"#,
    );
    space.write("mill.toml", plan);
    settle();
    assert_eq!(space.jobs(&["-j", "1"]).code, 0);
    assert!(repeated(&space, &[]).is_some());
    space.write("wanted/w.txt", "other");
    // Both are the same action.
    assert_eq!(space.jobs(&[]).executed().len(), 1);
}

#[test]
fn a_run_that_others_repeat_is_kept_and_what_was_collected_is_made_again() {
    let space = space();
    carried_out(&space);
    // Run 4 repeats run 1; the others go.
    let said = space.run(&["gc", "--keep-last", "1", "--keep-days", "0", "--grace", "0s"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let (_, shown) = space.events(&["show", "4"]);
    assert_eq!(shown.len(), 7, "{shown:#?}");
    assert_eq!(repeated(&space, &[]), Some(1));
    assert_eq!(space.run(&["show", "2"]).code, space.run(&["show", "1000"]).code, "the second run is gone");
    // Nothing that is repeated refers to what is gone.
    assert_eq!(space.run(&["doctor"]).code, 0);
}

#[test]
fn what_was_only_measured_is_not_repeated_as_it_saved_nothing() {
    let space = copying();
    settle();
    let said = space.run(&["tune", "--repeats", "1", "--workers", "1"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!((repeated(&space, &[]), space.read("out/r").as_str()), (None, "x"));
    assert!(repeated(&space, &[]).is_some());
    assert_eq!(space.run(&["tune", "--repeats", "1", "--workers", "1"]).code, 0);
    std::fs::remove_file(space.path("out/r")).unwrap();
    assert_eq!((repeated(&space, &[]), space.read("out/r").as_str()), (None, "x"));
}

/// A race that one candidate lost only because it took too long on that day.
#[test]
fn what_time_has_decided_is_decided_again() {
    let space = TestSpace::new();
    space.write("leaf", "x").guest("script").write(
        "mill.toml",
        "[modules.script]\nfile = \"script.wasm\"\n[jobs.solve]\nmodule = \"script\"\nfor-each = { c = [\"spin\", \"write\"] }\n\
         race = { first = 1 }\nargs = [\"{c}\", \"found\", \"x\"]\nlimits = { timeout = \"200ms\" }\n",
    );
    settle();
    for _ in 0..3 {
        assert_eq!(repeated(&space, &["-j", "2"]), None);
    }
    space.write("mill.toml", space.read("mill.toml").replace("\"spin\"", "\"fail\""));
    assert_eq!(repeated(&space, &["-j", "2"]), None);
    assert!(repeated(&space, &["-j", "2"]).is_some(), "to fail is to fail on any day");
    assert_eq!(repeated(&space, &["--retry-failed"]), None, "and is tried again where that is asked for");
}

/// A file may be written twice without its time changing. How it looks says nothing then, and what is in it does.
#[test]
fn what_was_written_just_now_is_read_again() {
    let space = copying();
    for round in 0..20 {
        space.write("leaf", round.to_string());
        let first = repeated(&space, &[]);
        assert_eq!((first, space.read("out/r")), (None, round.to_string()));
        space.write("leaf", round.to_string());
        if round % 2 == 0 {
            // Whether that is repeated depends on how fast this machine is.
            repeated(&space, &[]);
            assert_eq!(space.read("out/r"), round.to_string());
        } else {
            space.write("out/r", "?");
            assert_eq!((repeated(&space, &[]), space.read("out/r")), (None, round.to_string()));
        }
    }
}
