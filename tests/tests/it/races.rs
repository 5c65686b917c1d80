//! Races: the first candidates that succeed win, whatever the others do.

use std::time::{Duration, Instant};

use crate::support::{Jobs, TestSpace};

fn space(candidates: &str, race: &str, others: &str) -> TestSpace {
    let space = TestSpace::new();
    space.guest("script").write(
        "mill.toml",
        format!(
            "[modules.script]\nfile = \"script.wasm\"\n[defaults]\nmodule = \"script\"\n[jobs.solve]\n\
             for-each = {{ c = {candidates} }}\nrace = {race}\nargs = [\"{{c}}\", \"found\", \"by {{c.name}}\"]\n\
             limits = {{ timeout = \"100s\" }}\n{others}"
        ),
    );
    space
}

const TAKES_ONE: &str = "save = { found = \"best.txt\" }\n[jobs.use]\nin = { \"/in\" = { job = \"solve\" } }\n\
                         args = [\"join\", \"/in\", \"used\"]\nsave = { used = \"used.txt\" }\n";

fn with_status(jobs: &Jobs, status: &str) -> Vec<String> {
    jobs.by_name.iter().filter(|(_, job)| job.0 == status).map(|(name, _)| name.clone()).collect()
}

#[test]
fn the_first_that_succeeds_wins_and_stops_those_behind_it() {
    let space = space(r#"["fail", "write", "spin"]"#, "{ first = 1 }", TAKES_ONE);
    let began = Instant::now();
    let jobs = space.jobs(&["--jobs", "3"]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    assert!(began.elapsed() < Duration::from_secs(50), "nobody stopped the one that spins");
    assert_eq!(space.read("best.txt"), "by write");
    assert_eq!(space.read("used.txt"), "by write\n");
    assert_eq!(with_status(&jobs, "omitted"), ["solve[fail]", "solve[spin]"]);
    assert!(jobs.by_name["solve[fail]"].2["error"].to_string().contains("exited with code 7"), "{jobs:#?}");
    assert_eq!(jobs.status("solve"), "succeeded");
    // Who won is known: nothing is executed, on however many workers.
    let second = space.jobs(&["--jobs", "3"]);
    assert!(second.executed().is_empty(), "{second:#?}");
    assert_eq!(with_status(&second, "omitted"), with_status(&jobs, "omitted"));
    // Alone, one that fails would be omitted, and all would be well.
    let alone = space.run(&["run", "--job", "solve[fail]"]);
    assert!(alone.code != 0 && alone.stderr.contains("`solve`"), "{alone:?}");
    assert_eq!(space.jobs(&["--job", "solve"]).code, 0);
}

#[test]
fn several_may_be_wanted_and_too_few_are_a_failure() {
    let others = "save = { found = \"found/{c}\" }\n[jobs.use]\nin = { \"/in\" = { jobs = \"solve\", path = \"found\" } }\n\
                  args = [\"join\", \"/in\", \"used\"]\nsave = { used = \"used.txt\" }\n";
    let space = space(r#"["x", "y", "z", "w"]"#, "{ first = 2 }", others);
    space.write("mill.toml", space.read("mill.toml").replace("[\"{c}\",", "[\"write\","));
    let jobs = space.jobs(&[]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    assert_eq!(space.read("used.txt"), "by x\nby y\n");
    assert_eq!(space.read("found/x"), "by x");
    assert!(!space.path("found/z").exists());

    space.write("mill.toml", space.read("mill.toml").replace("first = 2", "first = 5"));
    let said = space.run(&["run"]);
    assert_eq!(said.code, 100, "{}", said.stderr);
    assert!(said.stderr.contains("4 of 4 candidates succeeded, and 5 are wanted"), "{}", said.stderr);
}

#[test]
fn the_candidates_may_come_out_of_an_output() {
    let space = TestSpace::new();
    space.guest("script").write(
        "mill.toml",
        r#"
        [modules.script]
        file = "script.wasm"
        [defaults]
        module = "script"
        [jobs.list]
        args = ["write", "list", "fail\nwrite\nspin"]
        [jobs.solve]
        for-each = { c = { lines = { job = "list", path = "list" } } }
        race = { first = 1 }
        args = ["{c}", "found", "by {c}"]
        save = { found = "best.txt" }
        [jobs.use]
        in = { "/in/found" = { job = "solve", path = "found" }, "/in/all" = { jobs = "solve" } }
        args = ["join", "/in", "used"]
        save = { used = "used.txt" }
        "#,
    );
    let jobs = space.jobs(&["--jobs", "3"]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    assert_eq!(
        (space.read("best.txt"), space.read("used.txt")),
        ("by write".to_owned(), "by write\nby write\n".to_owned())
    );
}

#[test]
fn what_a_race_cannot_be_is_said_before_anything_runs() {
    let cases = [
        ("race = { first = 0 }", "at least 1"),
        ("race = {}", "has no `first`"),
        ("race = { first = 1 }\nyields = \"plan.json\"", "yields nothing"),
    ];
    for (race, expected) in cases {
        let race = race.strip_prefix("race = ").expect("a race");
        let said = space(r#"["a", "b"]"#, race, "").run(&["plan", "check"]);
        assert_eq!(said.code, 102, "{}", said.stderr);
        assert!(said.stderr.contains(expected), "{race}: {}", said.stderr);
    }
    let item = "[jobs.use]\nin = { \"/in\" = { job = \"solve[a]\" } }\n";
    let said = space(r#"["a", "b"]"#, "{ first = 1 }", item).run(&["plan", "check"]);
    assert!(said.stderr.contains("is a race"), "{}", said.stderr);
    let one = "[jobs.use]\nin = { \"/in\" = { job = \"solve\" } }\n";
    let said = space(r#"["a", "b"]"#, "{ first = 2 }", one).run(&["plan", "check"]);
    assert!(said.stderr.contains("say which of its items"), "{}", said.stderr);
}

#[test]
fn a_candidate_that_cannot_be_carried_out_counts_only_if_it_might_have_won() {
    let plan = |order: &str| {
        let header = "[modules.script]\nfile = \"script.wasm\"\n[defaults]\nmodule = \"script\"\n";
        format!(
            "{header}[jobs.solve]\nfor-each = {{ c = [{order}] }}\nrace = {{ first = 1 }}\nin = {{ \"/in/c\" = \"{{c}}\" }}\n\
             args = [\"write\", \"found\", \"by {{c}}\"]\nsave = {{ found = \"best.txt\" }}\n"
        )
    };
    let space = TestSpace::new();
    space.guest("script").write("there", "").write("mill.toml", plan("\"there\", \"missing\""));
    for workers in ["1", "4"] {
        let jobs = space.jobs(&["--jobs", workers, "--fresh"]);
        assert_eq!((jobs.code, jobs.status("solve[missing]")), (0, "omitted"), "{jobs:#?}");
    }
    space.write("mill.toml", plan("\"missing\", \"there\""));
    for workers in ["1", "4"] {
        let said = space.run(&["run", "--jobs", workers, "--fresh"]);
        assert_eq!(said.code, 100, "{}", said.stderr);
        assert!(said.stderr.contains("`solve[missing]` could not be carried out"), "{}", said.stderr);
    }
}

#[test]
fn a_beaten_candidate_is_not_waited_for_until_it_is_tried_again() {
    let space = space(
        r#"["write", "spin"]"#,
        "{ first = 1 }",
        "retries = { count = 3, backoff = \"10m\" }\nin = { \"/in\" = { job = \"slow\" } }\n[jobs.slow]\nargs = [\"write\", \"x\", \"y\"]\n",
    );
    space.write("mill.toml", space.read("mill.toml").replace("timeout = \"100s\"", "timeout = \"300ms\""));
    let began = Instant::now();
    let jobs = space.jobs(&["--jobs", "2"]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    assert!(began.elapsed() < Duration::from_secs(60));
}
