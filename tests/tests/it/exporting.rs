//! `wasmill export` and `import`: a run that goes to another store is there what it was here.

mod damaged;

use serde_json::{Value, json};

use crate::event_schema::everything;
use crate::support::{Said, TestSpace};

/// The same command in another store.
fn there(space: &TestSpace, args: &[&str]) -> Said {
    space.run(&[&["--store", "there"], args].concat())
}

fn events_there(space: &TestSpace, args: &[&str]) -> Vec<Value> {
    let (code, events) = space.events(&[&["--store", "there"], args].concat());
    assert_eq!(code, 0, "{args:?}: {events:#?}");
    events
}

fn lines(said: &str) -> Vec<Value> {
    said.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// A run in which everything happened, exported to `run.json`.
fn exported() -> TestSpace {
    let space = everything();
    assert_eq!(space.run(&["run", "-q", "-k"]).code, 100);
    let said = space.run(&["export", "1", "run.json"]);
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (0, "", ""));
    space
}

/// The least run that there is, exported to `run.json`; its store has run 1 only.
fn least() -> TestSpace {
    let space = TestSpace::new();
    let plan = "name = \"least\"\n[modules.copy]\nfile = \"copy.wasm\"\n[jobs.one]\nmodule = \"copy\"\nin = { \"/in/leaf\" = \"leaf\" }\n[jobs.two]\nmodule = \"copy\"\nargs = [\"another action\"]\nin = { \"/in/leaf\" = { job = \"one\", path = \"result\" } }\n";
    space.guest("copy").write("leaf", "leaf").write("mill.toml", plan);
    assert_eq!(space.run(&["run", "-q"]).code, 0);
    assert_eq!(space.run(&["export", "1", "run.json"]).code, 0);
    space
}

#[test]
fn nothing_of_a_run_is_lost_on_its_way() {
    let space = exported();
    // It gets another number than it had.
    assert_eq!(there(&space, &["run", "-q", "--job", "copy"]).code, 0);
    let said = there(&space, &["import", "run.json"]);
    let (_, here) = space.events(&["show", "1"]);
    let expected = format!("run 1 of everything is run 2 here, with {} jobs\n", here.len() - 1);
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (0, expected.as_str(), ""));
    let imported = events_there(&space, &["show", "2"]);
    let mut record = here[0].clone();
    // What it began with stays where it is.
    record.as_object_mut().unwrap().remove("snapshot");
    record["id"] = 2.into();
    // That is said, so that nothing is looked for here that never was.
    record["setup"]["imported"] = 1.into();
    assert_eq!(imported[0], record);
    assert_eq!(imported[1..], here[1..], "every job, in the same order");
    let (_, of_runs) = space.events(&["runs"]);
    assert_eq!(events_there(&space, &["runs", "-n", "1"])[0]["state"], of_runs[0]["state"]);
}

#[test]
fn what_is_said_of_it_is_the_same() {
    let space = exported();
    assert_eq!(there(&space, &["import", "run.json"]).code, 0);
    for args in [["show", "1", "--csv"].as_slice(), &["show", "1"], &["analyze", "1"], &["runs"], &["runs", "--csv"]] {
        assert_eq!(space.run(args).stdout, there(&space, args).stdout.replace("; imported", ""), "{args:?}");
    }
    for args in [["analyze", "1"].as_slice(), &["stats"]] {
        assert_eq!(space.events(args).1, events_there(&space, args), "{args:?}");
    }
    let trace = |space: &TestSpace, store: &str| {
        let args = ["--store", store, "analyze", "1", "--trace", "t.json", "--report", "r.html"];
        let said = space.run(&args);
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said:?}");
        assert!(space.read("r.html").contains("talks"));
        space.read("t.json")
    };
    assert_eq!(trace(&space, "store"), trace(&space, "there"));
}

#[test]
fn what_a_job_said_while_it_ran_comes_along() {
    let space = exported();
    assert_eq!(there(&space, &["import", "run.json"]).code, 0);
    let (_, here) = space.events(&["show", "1", "talks"]);
    let imported = &events_there(&space, &["show", "1", "talks"])[0];
    assert!(!here[0]["log"].as_array().unwrap().is_empty(), "{here:#?}");
    assert_eq!((&imported["log"], &imported["report"]), (&here[0]["log"], &here[0]["report"]));
}

#[test]
fn it_goes_to_standard_output_where_no_file_is_named() {
    let space = least();
    let said = space.run(&["export", "1"]);
    assert_eq!((said.code, said.stdout.as_str()), (0, space.read("run.json").as_str()));
    let lines = lines(&said.stdout);
    assert_eq!((&lines[0]["wasmill_run"], &lines[0]["jobs"], lines.len()), (&1.into(), &2.into(), 3));
    assert_eq!(space.run(&["export", "1", "--format", "json"]).stdout, said.stdout);
}

#[test]
fn a_run_may_be_imported_twice_and_is_two_runs() {
    let space = least();
    for run in [2, 3] {
        let (code, said) = space.events(&["import", "run.json"]);
        assert_eq!((code, &said[0]), (0, &json!({ "run": run, "was": 1 })));
    }
    let compared = space.run(&["compare", "2", "3"]);
    assert_eq!(compared.code, 0, "{compared:?}");
    assert!(compared.stdout.contains("2 jobs with the same inputs and the same result"), "{compared:?}");
    assert_eq!(space.run(&["import", "-q", "run.json"]).stdout, "");
    assert_eq!(space.events(&["runs"]).1.len(), 4);
    // It can go on from here.
    assert_eq!(space.run(&["export", "4", "again.json"]).code, 0);
    let (first, again) = (lines(&space.read("run.json")), lines(&space.read("again.json")));
    assert_eq!(first[1..], again[1..]);
}

#[test]
fn it_can_be_compared_with_a_run_of_here() {
    let space = least();
    space.write("leaf", "another");
    assert_eq!(there(&space, &["run", "-q"]).code, 0);
    assert_eq!(there(&space, &["import", "run.json"]).code, 0);
    let compared = there(&space, &["compare", "1", "2"]);
    assert_eq!(compared.code, 0, "{compared:?}");
    assert!(
        compared.stdout.contains("run 1 of least: ") && compared.stdout.contains("run 2 of least: "),
        "{compared:?}"
    );
    let compared = events_there(&space, &["compare", "1", "2"]);
    assert!(compared[0].to_string().contains("\"one\""), "{compared:#?}");
}

/// What it needs of the store it comes from is not here, and that is no damage.
#[test]
fn a_store_with_an_imported_run_is_in_order() {
    let space = least();
    assert_eq!(there(&space, &["import", "run.json"]).code, 0);
    for args in [["doctor"].as_slice(), &["scrub"], &["gc"], &["store"], &["runs"], &["verify", "1"], &["why"]] {
        let said = there(&space, args);
        let expected = if args[0] == "verify" { 106 } else { 0 };
        assert!(said.code == expected && !said.stderr.contains("panicked"), "{args:?}: {said:?}");
    }
    assert_eq!(events_there(&space, &["runs"]).len(), 1, "it is kept as any other run");
    let refused = there(&space, &["run", "--resume", "1"]);
    assert_eq!(refused.code, 103);
    assert!(refused.stderr.starts_with("error: run 1 cannot be resumed: it was imported, "), "{refused:?}");
    for args in [["show", "1", "one", "--reproduce"].as_slice(), &["plan", "graph", "--run", "1"]] {
        let refused = there(&space, args);
        assert!(refused.code == 103 && refused.stdout.is_empty(), "{args:?}: {refused:?}");
    }
    // Nothing of it is taken for a result.
    let (_, run) = space.events(&["--store", "there", "run"]);
    assert!(run.iter().filter(|event| event["event"] == "job-finished").all(|job| job["cached"] == false));
}

#[test]
fn looking_at_an_imported_job_loses_nothing() {
    let space = least();
    assert_eq!(there(&space, &["import", "run.json"]).code, 0);
    let shown = there(&space, &["show", "1", "one"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    assert_eq!(events_there(&space, &["store"])[0]["lost"], 0);
}

/// It was never in this store, so nothing removed it.
#[test]
fn what_was_never_here_is_not_said_to_be_evicted() {
    let space = least();
    assert_eq!(there(&space, &["import", "run.json"]).code, 0);
    let (_, run) = space.events(&["--store", "there", "run"]);
    let why = |job: &Value| job["why"]["reason"].clone();
    let reasons: Vec<Value> = run.iter().filter(|event| event["event"] == "job-finished").map(why).collect();
    assert!(!reasons.contains(&"evicted".into()), "{reasons:?}");
}

#[test]
fn a_file_that_is_there_is_replaced_as_a_whole() {
    let space = least();
    let first = space.read("run.json");
    space.write("run.json", format!("{first}{}", "longer than before\n".repeat(1_000)));
    assert_eq!(space.run(&["export", "1", "run.json"]).code, 0);
    assert_eq!(space.read("run.json"), first);
    // And left alone where there is nothing to write.
    assert_eq!(space.run(&["export", "9", "run.json"]).code, 103);
    assert_eq!(space.read("run.json"), first);
}

#[test]
fn what_cannot_be_exported_is_said() {
    let space = least();
    let refused = space.run(&["export", "9", "new.json"]);
    let expected = "error: there is no run 9\n  hint: the latest is run 1; `wasmill runs` lists them\n";
    assert_eq!((refused.code, refused.stderr.as_str()), (103, expected));
    assert!(!space.path("new.json").exists());
    std::fs::create_dir(space.path("folder")).unwrap();
    for target in ["nowhere/run.json", "folder", "leaf/run.json"] {
        let refused = space.run(&["export", "1", target]);
        assert_eq!((refused.code, refused.stdout.as_str()), (103, ""), "{refused:?}");
        let expected = format!("error: {target} cannot be written\n  caused by: ");
        assert!(refused.stderr.starts_with(&expected), "{refused:?}");
    }
    let refused = there(&TestSpace::new(), &["export", "1"]);
    assert!(refused.code == 103 && refused.stderr.contains("no run is recorded in this store yet"), "{refused:?}");
    assert_eq!(space.run(&["export", "one"]).code, 101);
}

/// A folder with a run that was killed, exported to `run.json`.
pub(crate) fn killed() -> TestSpace {
    let space = TestSpace::new();
    let plan = "name = \"killed\"\n[modules.loop]\nfile = \"loop_forever.wasm\"\n[jobs.endless]\nmodule = \"loop\"\n";
    space.guest("loop_forever").write("mill.toml", plan);
    let mut command = space.command(&["run", "--format", "json"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("the program starts");
    let said = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let begun = said.map(Result::unwrap).find(|line| line.contains("job-started"));
    assert!(begun.is_some(), "the job begins");
    // That the run began is on disk a little later.
    let is_noted = || space.run(&["export", "1", "run.json"]).code == 0;
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
fn a_run_that_did_not_end_has_not_ended_there_either() {
    let space = killed();
    assert_eq!(there(&space, &["import", "run.json"]).code, 0);
    assert_eq!(events_there(&space, &["runs"])[0]["state"], "started");
    assert!(there(&space, &["runs"]).stdout.contains("not ended"));
    for args in [["analyze"].as_slice(), &["show", "1"], &["gc"]] {
        let said = there(&space, args);
        assert_eq!(said.code, 0, "{args:?}: {said:?}");
    }
}

#[test]
fn a_run_that_cannot_be_resumed_is_not_offered_to_be() {
    let space = killed();
    assert_eq!(there(&space, &["import", "run.json"]).code, 0);
    assert!(!there(&space, &["runs"]).stdout.contains("--resume"));
}
