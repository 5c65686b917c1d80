//! Runs in which a part has changed: only that is gone through, and what comes of it is what comes of going through all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::support::TestSpace;

/// Longer than a file has to be as it is before its looks say what is in it.
fn settle() {
    std::thread::sleep(Duration::from_millis(250));
}

/// Numbers that look random, and are the same each time.
struct Dice(u64);

impl Dice {
    /// One of the numbers below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % sides
    }
}

const FILES: usize = 12;
const JOBS: usize = 20;

/// A plan whose jobs take from files, from a folder, by a glob and from each other. Some have conditions, some save what they leave, and
/// some plans have jobs that come to be during the run.
fn plan(dice: &mut Dice) -> String {
    let mut plan =
        "name = \"narrow\"\n[modules.script]\nfile = \"script.wasm\"\n[defaults]\nmodule = \"script\"\n".to_owned();
    for job in 0..JOBS {
        let mut inputs = vec![format!("\"/in/f\" = \"in/{}\"", dice.roll(FILES))];
        match dice.roll(8) {
            0 => inputs.push("\"/in/folder\" = \"folder\"".to_owned()),
            1 => inputs.push("\"/in/glob\" = { glob = \"folder/*.txt\" }".to_owned()),
            _ => {}
        }
        for other in (0..job).filter(|_| dice.roll(12) == 0) {
            inputs.push(format!("\"/in/j{other}\" = {{ job = \"j{other}\", path = \"all\", optional = true }}"));
        }
        let _ = writeln!(
            plan,
            "[jobs.j{job}]\nin = {{ {} }}\nargs = [\"join\", \"/in\", \"all\", \"write\", \"me\", \"{job}\"]",
            inputs.join(", ")
        );
        if dice.roll(3) == 0 {
            let _ = writeln!(plan, "save = {{ all = \"saved/{}/j{job}\" }}", dice.roll(3));
        }
        if job > 0 && dice.roll(6) == 0 {
            let _ =
                writeln!(plan, "when = {{ job = \"j{}\", path = \"all\", is = \"v0\", not = true }}", dice.roll(job));
        }
        if dice.roll(4) == 0 {
            let _ = writeln!(plan, "stdin = \"in/{}\"", dice.roll(FILES));
        }
    }
    match dice.roll(3) {
        0 => {
            let from = dice.roll(JOBS);
            let _ = writeln!(
                plan,
                "[jobs.late]\nfor-each = {{ line = {{ lines = {{ job = \"j{from}\", path = \"all\" }} }} }}\n\
                 args = [\"write\", \"line\", \"{{line}}\"]\n[jobs.after]\nin = {{ \"/in/late\" = {{ jobs = \"late\" }} }}\nargs = [\"join\", \"/in\", \"all\"]"
            );
        }
        1 => {
            let from = dice.roll(JOBS);
            let _ = writeln!(
                plan,
                "[jobs.race]\nfor-each = {{ c = [\"fail\", \"copy\"] }}\nrace = {{ first = 1 }}\n\
                 in = {{ \"/in/j\" = {{ job = \"j{from}\", path = \"all\", optional = true }}, \"/in/f\" = \"in/0\" }}\nargs = [\"{{c}}\", \"/in/f\", \"won\"]"
            );
        }
        _ => {}
    }
    plan
}

/// Changes something, in the same way in each of the spaces.
fn change(dice: &mut Dice, spaces: &[&TestSpace]) {
    let (what, file, value) = (dice.roll(12), dice.roll(FILES), dice.roll(3));
    let saved = format!("saved/{}/j{}", dice.roll(3), dice.roll(JOBS));
    for space in spaces {
        let lost = (0..FILES).map(|file| format!("in/{file}")).find(|path| !space.path(path).exists());
        if let Some(path) = lost {
            space.write(&path, "v0");
        }
        let removed = match what {
            0 => std::fs::remove_file(space.path(&format!("in/{file}"))),
            3 => std::fs::remove_file(space.path(&format!("folder/{value}.txt"))),
            5 => std::fs::remove_file(space.path(&saved)),
            6 => std::fs::remove_dir_all(space.path(&format!("saved/{value}"))),
            _ => Ok(()),
        };
        // It may not be there.
        drop(removed);
        match what {
            1 => space.write(&format!("folder/{value}.txt"), format!("v{file}")),
            2 => space.write(&format!("folder/sub/{value}"), format!("v{file}")),
            4 if space.path(&saved).exists() => space.write(&saved, "by hand"),
            0 | 3..=6 => space,
            _ => space.write(&format!("in/{file}"), format!("v{value}")),
        };
    }
}

/// What is said of a run's jobs, of the run, and what is on the host then.
#[derive(Debug, PartialEq)]
struct Came {
    code: i32,
    jobs: BTreeMap<String, Value>,
    counts: Value,
    saved: BTreeMap<String, String>,
}

/// What of a job has to be the same however the run was carried out.
fn of_job(job: &Value) -> (String, Value) {
    let mut kept = serde_json::Map::new();
    for key in ["status", "key", "cached", "result", "error"] {
        kept.insert(key.to_owned(), job[key].clone());
    }
    // Where several of those that it needs fail, whichever ends first is the reason.
    if job["status"] == "skipped" {
        kept.remove("error");
    }
    kept.insert("needs".to_owned(), job["trace"]["needs"].clone());
    (job["job"].as_str().expect("a name").to_owned(), Value::Object(kept))
}

/// What came of a run, its number and the one that it repeats.
fn run(space: &TestSpace, args: &[&str]) -> (Came, String, Value) {
    let (code, events) = space.events(&[&["run", "-k"], args].concat());
    let jobs: Vec<_> = events.iter().filter(|event| event["event"] == "job-finished").collect();
    let by_name: BTreeMap<_, _> = jobs.iter().map(|job| of_job(job)).collect();
    assert_eq!(jobs.len(), by_name.len(), "each ends once: {events:#?}");
    let end = events.last().expect("an end");
    let mut saved = BTreeMap::new();
    for folder in 0..3 {
        for job in 0..JOBS {
            let path = format!("saved/{folder}/j{job}");
            if space.path(&path).exists() {
                saved.insert(path.clone(), space.read(&path));
            }
        }
    }
    let came = Came { code, jobs: by_name, counts: end["counts"].clone(), saved };
    (came, events[0]["run"].to_string(), end["repeats"].clone())
}

#[test]
fn what_is_gone_through_in_part_comes_to_the_same_as_all_of_it() {
    let (mut in_part, mut whole) = (0, 0);
    for seed in 0..5 {
        let mut dice = Dice(seed);
        let (one, other) = (TestSpace::new(), TestSpace::new());
        let plan = plan(&mut dice);
        for space in [&one, &other] {
            space.guest("script").write("mill.toml", &plan).write("folder/0.txt", "v0");
            for file in 0..FILES {
                space.write(&format!("in/{file}"), "v0");
            }
        }
        for round in 0..8 {
            settle();
            // What is to be drawn is gone through, whatever has changed.
            let (expected, ..) = run(&other, &["--report", "drawn.html"]);
            let (came, number, repeats) = run(&one, &[]);
            let same = |name: &str| came.jobs.get(name) == expected.jobs.get(name);
            let differ = came
                .jobs
                .keys()
                .filter(|name| !same(name))
                .map(|name| (name, &came.jobs[name], expected.jobs.get(name)));
            assert_eq!(differ.collect::<Vec<_>>(), [], "seed {seed}, round {round}: {plan}");
            assert_eq!(came, expected, "seed {seed}, round {round}: {plan}");
            let executed = came.jobs.values().any(|job| job["cached"] == false && job["status"] == "succeeded");
            in_part += usize::from(repeats.is_u64() && executed);
            whole += usize::from(repeats.is_null());
            // The record says what was said.
            let (_, shown) = one.events(&["show", &number]);
            let shown: BTreeMap<_, _> = shown[1..].iter().map(of_job).collect();
            assert_eq!(shown, came.jobs, "seed {seed}, round {round}");
            (0..=dice.roll(2)).for_each(|_| change(&mut dice, &[&one, &other]));
        }
        assert_eq!(one.run(&["doctor"]).code, 0);
    }
    assert!(in_part > 8 && whole > 8, "{in_part} in part, {whole} as a whole");
}

/// Four copies of files, what is made of all of them, and a job that takes long beside them.
fn copies() -> TestSpace {
    let space = TestSpace::new();
    space.guest("script").write(
        "mill.toml",
        r#"
        name = "copies"
        [modules.script]
        file = "script.wasm"
        [defaults]
        module = "script"
        [jobs.copy]
        for-each = { name = ["a", "b", "c", "d"] }
        in = { "/in/f" = "in/{name}" }
        args = ["copy", "/in/f", "copied", "write", "me", "{name}"]
        save = { copied = "out/{name}" }
        [jobs.some]
        in = { "/in/a" = { job = "copy[a]", path = "copied" }, "/in/b" = { job = "copy[b]", path = "copied" } }
        args = ["join", "/in", "both"]
        save = { both = "out/both" }
        [jobs.long]
        in = { "/in/how" = "in/how", "/in/d" = { job = "copy[d]", path = "copied" } }
        args = ["do", "/in/how"]
        "#,
    );
    for name in ["a", "b", "c", "d"] {
        space.write(&format!("in/{name}"), format!("{name} 1"));
    }
    space.write("in/how", "write x y");
    settle();
    assert_eq!(space.jobs(&[]).code, 0);
    settle();
    assert_eq!(space.jobs(&[]).code, 0);
    space
}

/// The number of the latest run, and the one that it repeats.
fn latest(space: &TestSpace) -> (u64, Value) {
    let record = &space.events(&["runs"]).1[0];
    (record["id"].as_u64().expect("a number"), record["repeats"].clone())
}

#[test]
fn people_are_told_of_what_was_gone_through_and_of_the_rest() {
    let space = copies();
    space.write("in/a", "a 2");
    settle();
    let said = space.run(&["run"]);
    assert_eq!((said.code, space.read("out/both").as_str()), (0, "a 2\nb 1\n"), "{}", said.stderr);
    for expected in ["copy[a] in", "some in", "6 of 6 jobs succeeded, 4 cached", "input /in/f changed"] {
        assert!(said.stderr.contains(expected), "no {expected:?} in {}", said.stderr);
    }
    assert!(!said.stderr.contains("copy[c] in"), "{}", said.stderr);
    let (run, repeats) = latest(&space);
    assert_eq!(repeats, 1);
    let shown = space.run(&["show", &run.to_string()]).stdout;
    assert!(shown.contains("what had not changed since run 1 was not gone through"), "{shown}");
    assert_eq!(space.events(&["show", &run.to_string()]).1.len(), 7);
    for args in
        [&["analyze"][..], &["why", "copy[a]"], &["why", "copy[b]"], &["compare", "1", &run.to_string()], &["stats"]]
    {
        let said = space.run(args);
        assert_eq!(said.code, 0, "{args:?}: {}{}", said.stdout, said.stderr);
    }
    // What came of both runs is as it was if that is asked for in one more.
    settle();
    let jobs = space.jobs(&[]);
    assert!(jobs.all("succeeded", true) && jobs.by_name.len() == 6, "{jobs:#?}");
    assert_eq!(latest(&space).1, 1);
    // A file that looks otherwise and is the same leads to nothing.
    space.write("in/a", "a 2");
    settle();
    let said = space.run(&["run"]);
    assert!(said.stderr.contains("everything was cached (6 jobs)"), "{}", said.stderr);
}

#[test]
fn a_run_in_part_that_fails_is_no_base_for_others() {
    let space = copies();
    space.write("in/how", "fail");
    settle();
    let (code, events) = space.events(&["run"]);
    assert_eq!((code, &events.last().unwrap()["repeats"]), (100, &Value::from(1)));
    let (run, _) = latest(&space);
    let (_, shown) = space.events(&["show", &run.to_string()]);
    let failed = |job: &&Value| job["status"] == "failed";
    assert_eq!((shown.len(), shown[1..].iter().filter(failed).count()), (7, 1), "{shown:#?}");
    assert_eq!(space.events(&["run"]).0, 100, "it is recorded");
    space.write("in/how", "write x z").write("in/c", "c 2");
    settle();
    let jobs = space.jobs(&[]);
    assert_eq!((jobs.code, jobs.executed()), (0, vec!["copy[c]", "long"]));
    assert_eq!((latest(&space).1, space.read("out/c").as_str()), (1.into(), "c 2"));
}

#[test]
fn a_run_in_part_that_is_killed_is_gone_on_with_as_it_began() {
    let space = copies();
    space.write("in/how", "spin").write("in/a", "a 2");
    settle();
    let mut run = space.command(&["run", "-q"]).spawn().expect("the program starts");
    let began = std::time::Instant::now();
    while !space.path("out/both").exists() || space.read("out/both") != "a 2\nb 1\n" {
        assert!(began.elapsed() < Duration::from_secs(60), "it did not come to that");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Pages are written each second.
    std::thread::sleep(Duration::from_millis(1_500));
    run.kill().expect("it can be killed");
    run.wait().expect("it ends");
    let (number, repeats) = latest(&space);
    assert_eq!(repeats, 1);
    let (_, shown) = space.events(&["show", &number.to_string()]);
    let of = |name: &str| {
        shown[1..].iter().find(|job| job["job"] == name).map(|job| (job["status"].clone(), job["cached"].clone()))
    };
    assert_eq!(of("copy[a]"), Some(("succeeded".into(), false.into())), "{shown:#?}");
    assert_eq!(of("copy[b]"), Some(("succeeded".into(), true.into())));
    assert_eq!((of("long"), shown.len()), (None, 6), "it has not ended");
    // What its jobs had read is as it was, also where they were not gone through.
    space.write("in/how", "write x y").write("in/a", "a 3").write("in/b", "b 3");
    let jobs = space.jobs(&["--resume", &number.to_string()]);
    assert_eq!((jobs.code, jobs.executed()), (0, Vec::new()), "{jobs:#?}");
    assert_eq!(space.read("out/both"), "a 2\nb 1\n");
    // And what it depends on is nothing that others can rely on.
    let jobs = space.jobs(&[]);
    assert_eq!((jobs.code, jobs.executed()), (0, vec!["copy[a]", "copy[b]", "some"]));
    assert_eq!(space.read("out/both"), "a 3\nb 3\n");
}

#[test]
fn what_is_collected_is_nothing_that_a_run_in_part_is_made_of() {
    let space = copies();
    for round in 2..6 {
        space.write(&format!("in/{}", ["a", "b", "c", "d"][round % 4]), format!("{round}"));
        settle();
        assert_eq!(space.jobs(&[]).code, 0);
        assert_eq!(latest(&space).1, 1);
    }
    let before = space.events(&["show"]).1;
    let said = space.run(&["gc", "--keep-last", "1", "--keep-days", "0", "--grace", "0s"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(space.events(&["runs"]).1.len(), 2, "the latest, and the one that it repeats");
    assert_eq!(space.events(&["show"]).1, before);
    let jobs = space.jobs(&[]);
    assert!(jobs.all("succeeded", true) && latest(&space).1 == 1, "{jobs:#?}");
    assert_eq!(space.run(&["doctor"]).code, 0);
    // Where what it came to is lost, all is gone through.
    space.write("in/a", "6");
    settle();
    let jobs = space.jobs(&["--fresh"]);
    assert_eq!((jobs.executed().len(), latest(&space).1), (6, Value::Null));
}

/// Which of the two comes first is for nobody to say; so that it is not decided by what is gone through, all is.
#[test]
fn what_reads_from_the_host_what_others_save_is_not_left_out() {
    for (input, target) in [("gen/x", "gen/x"), ("gen", "gen/deep/x"), ("gen/x/all", "gen/x"), ("gen/*", "gen/x")] {
        let space = TestSpace::new();
        let read = if input.contains('*') { format!("{{ glob = \"{input}\" }}") } else { format!("\"{input}\"") };
        let save = if input == "gen/x/all" { "\".\"" } else { "all" };
        space.guest("script").write("in/f", "1").write("in/g", "1").write(
            "mill.toml",
            format!(
                "[modules.script]\nfile = \"script.wasm\"\n[defaults]\nmodule = \"script\"\n\
                 [jobs.saves]\nin = {{ \"/in/f\" = \"in/f\" }}\nargs = [\"join\", \"/in\", \"all\"]\n\
                 save = {{ {save} = \"{target}\" }}\n\
                 [jobs.reads]\nin = {{ \"/in/gen\" = {read} }}\nargs = [\"join\", \"/in\", \"all\"]\n\
                 [jobs.other]\nin = {{ \"/in/g\" = \"in/g\" }}\nargs = [\"join\", \"/in\", \"all\"]\n"
            ),
        );
        match input {
            "gen/x/all" => space.write("gen/x/all", "1\n"),
            _ => space.write(target, "1\n"),
        };
        for _ in 0..3 {
            settle();
            assert_eq!(space.jobs(&[]).code, 0, "{input}");
        }
        assert!(latest(&space).1.is_u64(), "{input}: nothing has changed");
        space.write("in/g", "2");
        settle();
        assert_eq!((space.jobs(&[]).executed(), latest(&space).1.is_u64()), (vec!["other"], true), "{input}");
        space.write("in/f", "2");
        settle();
        let jobs = space.jobs(&[]);
        assert_eq!((jobs.code, latest(&space).1), (0, Value::Null), "{input}: {:?}", jobs.executed());
        assert!(jobs.executed().contains(&"saves"), "{input}");
    }
}
