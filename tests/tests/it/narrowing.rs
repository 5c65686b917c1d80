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
