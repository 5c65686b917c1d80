//! `wasmill verify`: what was recorded comes about again, on either engine, and a lie is found out.

use wasmill_model::port::{ActionCache as _, BlobStore as _, RunLog as _};
use wasmill_model::{ActionKey, ActionRecord, Directory, JobReport, Outcome, RunId};
use wasmill_storage::Storage;

use crate::support::TestSpace;

/// A plan with jobs of every kind of recorded outcome.
fn recorded() -> TestSpace {
    let space = TestSpace::new();
    for guest in ["hello", "files", "clock_and_random", "panics", "eat_memory", "flood_stdout", "loop_forever"] {
        space.guest(guest);
    }
    let plan = r#"
        name = "all kinds"
        [modules]
        hello = { file = "hello.wasm" }
        files = { file = "files.wasm" }
        clock = { file = "clock_and_random.wasm" }
        panics = { file = "panics.wasm" }
        memory = { file = "eat_memory.wasm" }
        flood = { file = "flood_stdout.wasm" }
        forever = { file = "loop_forever.wasm" }
        [jobs.hello]
        module = "hello"
        for-each = { n = ["1", "2", "3", "4", "5"] }
        args = ["{n}"]
        [jobs.files]
        module = "files"
        in = { "/in/a/b" = { text = "some text" } }
        [jobs.clock]
        module = "clock"
        limits = { fuel = 100_000_000 }
        [jobs.panics]
        module = "panics"
        [jobs.memory]
        module = "memory"
        limits = { memory = "16MiB" }
        [jobs.flood]
        module = "flood"
        limits = { output = "1MiB" }
        [jobs.fuel]
        module = "forever"
        limits = { fuel = 1_000_000 }
        [jobs.timeout]
        module = "forever"
        limits = { timeout = "100ms" }
    "#;
    space.write("mill.toml", plan);
    let jobs = space.jobs(&["--keep-going"]);
    assert_eq!(jobs.code, 100, "{jobs:#?}");
    space
}

#[test]
fn everything_that_was_recorded_comes_about_again_on_both_engines() {
    let space = recorded();
    for engine in ["cranelift", "pulley"] {
        let (code, events) = space.events(&["verify", "--engine", engine]);
        assert_eq!(code, 0, "{events:#?}");
        let end = events.last().unwrap();
        // All but the one that timed out.
        assert_eq!((end["same"].as_u64(), end["skipped"].as_u64(), end["run"].as_u64()), (Some(11), Some(0), Some(1)));
        assert_eq!(end["engine"], engine);
    }
    let said = space.run(&["verify", "1"]);
    assert!(said.stdout.starts_with("run 1: 11 actions gave the same result again (on cranelift, "), "{said:?}");
    let (code, events) = space.events(&["verify", "--sample", "3"]);
    assert_eq!((code, events.len()), (0, 4), "{events:#?}");
}

#[test]
fn an_engine_s_results_are_the_other_s() {
    let (one, other) = (recorded(), TestSpace::new());
    for guest in ["hello", "files", "clock_and_random", "panics", "eat_memory", "flood_stdout", "loop_forever"] {
        other.guest(guest);
    }
    other.write("mill.toml", one.read("mill.toml"));
    let here = one.jobs(&["--keep-going"]);
    let there = other.jobs(&["--keep-going", "--engine", "pulley"]);
    assert!(here.by_name.len() == 12 && there.by_name.len() == 12);
    for (name, (status, cached, report)) in &here.by_name {
        let (their_status, _, theirs) = &there.by_name[name];
        assert_eq!(cached, &(name != "timeout"), "{name}");
        assert_eq!((status, &report["result"], &report["key"]), (their_status, &theirs["result"], &theirs["key"]));
    }
}

/// Records something else for the job of a name than what came of it.
fn lie(space: &TestSpace, job: &str, change: impl FnOnce(&Storage, &mut ActionRecord)) -> ActionKey {
    let storage = Storage::open(&space.path("store"), wasmill_storage::Options::default()).unwrap();
    let reports: Vec<JobReport> = storage.jobs(RunId(1)).unwrap();
    let key = reports.iter().find(|report| report.job == job).unwrap().key.unwrap();
    let action = storage.action(&key).unwrap().unwrap();
    let mut record = storage.lookup(&key).unwrap().hit().unwrap();
    change(&storage, &mut record);
    storage.again(&key).record(&action, &record, Box::new(|durable| durable.unwrap())).unwrap();
    storage.close().unwrap();
    key
}

#[test]
fn a_result_that_does_not_come_about_is_shown_where_it_differs_first() {
    let space = recorded();
    let key = lie(&space, "files", |storage, record| {
        let mut tree = Directory::decode(&storage.get(&record.result.output).unwrap()).unwrap();
        let file = tree.files.iter_mut().find(|file| file.name == "listing.txt").unwrap();
        let mut bytes = storage.get(&file.blob).unwrap().to_vec();
        bytes[4] = b'!';
        file.blob = storage.put(bytes.into()).unwrap();
        record.result.output = storage.put(tree.encode().into()).unwrap();
    });
    let said = space.run(&["verify"]);
    assert_eq!(said.code, 106, "{said:?}");
    for part in ["job `files` came to another result", "/out/listing.txt differs", "number 4", &key.to_string()] {
        assert!(said.stderr.contains(part), "{part}: {said:?}");
    }
    assert!(said.stdout.contains("10 actions gave the same result again, 1 gave another result"), "{said:?}");

    lie(&space, "hello[2]", |storage, record| {
        record.result.stdout = storage.put("arg 0: main\narg 1: 3\n".into()).unwrap();
    });
    lie(&space, "panics", |_, record| record.result.outcome = Outcome::Exited { code: 7 });
    lie(&space, "fuel", |_, record| record.usage.fuel = Some(1));
    let (code, events) = space.events(&["verify", "--engine", "pulley"]);
    assert_eq!(code, 106);
    let different = |job: &str| events.iter().find(|event| event["job"] == job).unwrap();
    assert_eq!(
        (&different("hello[2]")["what"], &different("hello[2]")["at_byte"]),
        (&"standard output".into(), &19.into())
    );
    assert_eq!(different("panics")["recorded"], "exited with code 7");
    assert_eq!(different("fuel")["what"], "the fuel used");
    assert_eq!(events.last().unwrap()["different"], 4);
}

#[test]
fn what_cannot_be_verified_says_why() {
    let space = TestSpace::new();
    let said = space.run(&["verify"]);
    assert_eq!(said.code, 103, "{said:?}");
    assert!(said.stderr.contains("there is no run yet"), "{said:?}");

    space.guest("hello");
    assert_eq!(space.run(&["exec", "hello.wasm", "--floats", "native"]).code, 0);
    assert!(space.run(&["verify"]).stdout.contains("1 action gave the same result again"));
    let said = space.run(&["verify", "--engine", "pulley"]);
    assert!(said.stderr.contains("its floating-point numbers are those of"), "{said:?}");
    assert!(said.stdout.contains("0 actions gave the same result again, 1 cannot be verified here"), "{said:?}");
    assert_eq!(space.run(&["verify", "7"]).code, 103);
}
