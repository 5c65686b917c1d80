//! `wasmill tune`: numbers of workers compared by executing a plan and by replaying what it took. How long anything takes is a
//! matter of the machine, so only what has to hold of any times is looked at.

use serde_json::Value;

use crate::support::TestSpace;

const PLAN: &str = r#"
    name = "tuned"
    [modules.script]
    file = "script.wasm"
    [modules.exit]
    file = "exit_code.wasm"
    [jobs.each]
    module = "script"
    for-each = { n = ["1", "2", "3", "4"] }
    args = ["write", "n", "{n}"]
    save = { "n" = "saved/{n}" }
    [jobs.all]
    module = "script"
    args = ["join", "/in", "all"]
    in = { "/in" = { jobs = "each", path = "n" } }
"#;

fn space(plan: &str) -> TestSpace {
    let space = TestSpace::new();
    space.guest("script").guest("exit_code").guest("loop_forever").write("mill.toml", plan);
    space
}

/// The one line of JSON that is said.
fn tuned(space: &TestSpace, args: &[&str]) -> Value {
    let (code, mut lines) = space.events(&[&["tune"], args].concat());
    assert_eq!((code, lines.len()), (0, 1), "{args:?}: {lines:#?}");
    lines.remove(0)
}

fn number(row: &Value, key: &str) -> u64 {
    row[key].as_u64().unwrap_or_else(|| panic!("{key} in {row}"))
}

/// The numbers of workers, after checking that every row is of one piece with the others.
fn workers(tuned: &Value, repeats: usize) -> Vec<u64> {
    let rows = tuned["measured"].as_array().expect("rows");
    let first = number(&rows[0], "median_ns");
    let fastest = rows.iter().map(|row| number(row, "median_ns")).min().unwrap();
    for row in rows {
        let times: Vec<u64> = row["times_ns"].as_array().unwrap().iter().map(|time| time.as_u64().unwrap()).collect();
        assert!(times.len() == repeats && times.is_sorted(), "{row}");
        let median = number(row, "median_ns");
        assert_eq!(median, times[times.len() / 2], "{row}");
        let speed_up = row["speed_up"].as_f64().unwrap();
        assert!((speed_up - first as f64 / median as f64).abs() < 1e-9, "{row} beside {first}");
        let variation = row["variation"].as_f64().unwrap();
        assert!((variation - (times[repeats - 1] - times[0]) as f64 / median as f64).abs() < 1e-9, "{row}");
        assert!(number(row, "busy_ns") > 0 && number(row, "cpu_ns") > 0, "{row}");
    }
    let recommended = number(&tuned["recommended"], "workers");
    let near = |row: &&Value| number(row, "median_ns") as f64 <= fastest as f64 * 1.05;
    assert_eq!(Some(recommended), rows.iter().find(near).map(|row| number(row, "workers")), "{tuned}");
    rows.iter().map(|row| number(row, "workers")).collect()
}

#[test]
fn each_number_of_workers_is_measured_as_often_as_is_asked_for() {
    let space = space(PLAN);
    let found = tuned(&space, &["--workers", "4,1,2,1", "--repeats", "2"]);
    assert_eq!(workers(&found, 2), [1, 2, 4], "ascending, each once");
    assert_eq!(found["replay"], false);
    assert!(!space.path("saved").exists(), "nothing is saved");
    // One to warm up with, and two of each.
    let (_, runs) = space.events(&["runs"]);
    assert_eq!(runs.len(), 7);
    let mut of: Vec<u64> = runs.iter().map(|run| number(&run["setup"], "workers")).collect();
    of.sort_unstable();
    assert_eq!(of, [1, 1, 2, 2, 4, 4, 4], "the most workers warm up");
    assert!(runs.iter().all(|run| run["setup"]["fresh"] == true && run["state"]["ended"]["counts"]["succeeded"] == 5));
}

#[test]
fn without_being_asked_the_numbers_go_from_one_to_twice_the_cores() {
    let space = space(PLAN);
    assert_eq!(space.run(&["run", "-q"]).code, 0);
    let (_, runs) = space.events(&["runs"]);
    let cores = number(&runs[0]["setup"], "cores");
    let found = workers(&tuned(&space, &["--repeats", "1"]), 1);
    assert_eq!(found.first(), Some(&1));
    assert!(found.is_sorted() && found.contains(&cores) && found.iter().all(|workers| *workers <= 2 * cores));
    assert_eq!(found, workers(&tuned(&space, &["--replay"]), 1), "a replay has the same");
}

#[test]
fn what_is_executed_comes_to_the_recorded_results() {
    let space = space(PLAN);
    tuned(&space, &["--workers", "2", "--repeats", "1"]);
    assert!(space.jobs(&[]).all("succeeded", true), "they are known afterwards");
    assert_eq!(space.run(&["verify"]).code, 0);
}

#[test]
fn a_replay_executes_nothing() {
    let space = space(PLAN);
    assert_eq!(space.run(&["run", "-q", "-j", "2"]).code, 0);
    let found = tuned(&space, &["--replay", "--workers", "1,2,3,64"]);
    assert_eq!((workers(&found, 1), &found["replay"]), (vec![1, 2, 3, 64], &true.into()));
    let (_, runs) = space.events(&["runs"]);
    assert_eq!(runs.len(), 1, "there is no other run");
    // It is the simulation that `analyze` shows, but for compiling, which no later run does again.
    let (_, analyzed) = space.events(&["analyze", "1"]);
    let of_analyze = analyzed[0]["workers"].as_array().unwrap().iter().find(|row| row["workers"] == 2).unwrap();
    assert!(number(&found["measured"][1], "median_ns") < number(of_analyze, "time_ns"), "{found}");
    // More workers are never slower in a simulation.
    let times: Vec<u64> = found["measured"].as_array().unwrap().iter().map(|row| number(row, "median_ns")).collect();
    assert!(times.is_sorted_by(|before, after| before >= after), "{times:?}");
}

#[test]
fn a_replay_is_of_the_latest_run_of_that_plan() {
    let space = space(PLAN);
    let refused = space.run(&["tune", "--replay"]);
    let expected = "error: no run of a plan `tuned` is recorded\n";
    assert!(refused.code == 103 && refused.stderr.starts_with(expected), "{refused:?}");
    space.write(
        "other/mill.toml",
        "name = \"other\"\n[modules.e]\nfile = \"../exit_code.wasm\"\n[jobs.e]\nmodule = \"e\"\nargs = [\"0\"]\n",
    );
    assert_eq!(space.run(&["run", "-q", "other"]).code, 0);
    assert_eq!(space.run(&["tune", "--replay"]).code, 103, "another plan's run is none of this one");
    assert_eq!(space.run(&["run", "-q"]).code, 0);
    // The other plan has one job, so that more workers have nothing to do.
    let rows = |plan: &[&str]| tuned(&space, &[plan, &["--replay", "--workers", "1,2"]].concat())["measured"].clone();
    let (this, other) = (rows(&[]), rows(&["other"]));
    assert_eq!(other[0]["median_ns"], other[1]["median_ns"]);
    assert_ne!(this[0]["median_ns"], this[1]["median_ns"]);
}

/// Whoever asks for some numbers of workers wants these and no others.
#[test]
fn a_replay_has_the_numbers_that_are_asked_for() {
    let space = space(PLAN);
    assert_eq!(space.run(&["run", "-q", "-j", "2"]).code, 0);
    assert_eq!(workers(&tuned(&space, &["--replay", "--workers", "1,4"]), 1), [1, 4]);
}

/// Of what was cached there is nothing to learn.
#[test]
fn a_replay_of_a_run_that_executed_nothing_does_not_fail() {
    let space = space(PLAN);
    space.run(&["run", "-q"]);
    // So that it is gone through, and does not only repeat the other.
    space.run(&["run", "-q", "--retry-failed"]);
    let said = space.run(&["tune", "--replay"]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn a_replay_of_a_run_that_executed_nothing_recommends_nothing() {
    let space = space(PLAN);
    space.run(&["run", "-q"]);
    // So that it is gone through, and does not only repeat the other.
    space.run(&["run", "-q", "--retry-failed"]);
    assert_eq!(tuned(&space, &["--replay"])["recommended"], Value::Null);
}

#[test]
fn people_see_a_row_for_each_number_and_the_profile_to_put_in_the_plan() {
    let space = space(PLAN);
    let said = space.run(&["tune", "--workers", "1,3", "--repeats", "2"]);
    assert_eq!(said.code, 0, "{said:?}");
    let rounds =
        ["round 1 of 2: 1 worker", "round 1 of 2: 3 workers", "round 2 of 2: 1 worker", "round 2 of 2: 3 workers"];
    assert_eq!(said.stderr.lines().collect::<Vec<_>>(), rounds);
    let lines: Vec<Vec<&str>> = said.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["WORKERS", "TIME", "VARIATION", "SPEED-UP", "EFFICIENCY"]);
    assert_eq!((lines[1][0], lines[2][0], lines[3].len()), ("1", "3", 0), "{said:?}");
    assert_eq!(lines[1][lines[1].len() - 3..], ["1.00", "100", "%"]);
    let parsed = |words: &[&str]| {
        let speed_up: f64 = words[words.len() - 3].parse().unwrap();
        let efficiency: f64 = words[words.len() - 2].parse().unwrap();
        (speed_up, efficiency)
    };
    let (speed_up, efficiency) = parsed(&lines[2]);
    assert!((speed_up / 3.0 * 100.0 - efficiency).abs() <= 1.0, "{said:?}");
    let recommended = lines[4][1];
    assert!(lines[4][0] == "recommended:" && ["1", "3"].contains(&recommended), "{said:?}");
    assert!(said.stdout.ends_with(&format!("]\njobs = {recommended}\n")), "{said:?}");
    // What it prints is a profile that a plan can have: the recommended one, with that many workers.
    let (name, profile) = said.stdout.split_once("\n[profile.").unwrap().1.split_once(']').unwrap();
    assert!(said.stdout.contains(&format!(" and profile `{name}`: ")), "{said:?}");
    space.write("mill.toml", format!("default-profile = \"{name}\"\n{PLAN}\n[profile.{name}]{profile}"));
    let (_, events) = space.events(&["run"]);
    assert_eq!(events[0]["setup"]["workers"].to_string(), recommended);
}

#[test]
fn a_quiet_one_says_nothing_while_it_measures() {
    let space = space(PLAN);
    let said = space.run(&["tune", "-q", "--workers", "1", "--repeats", "1"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    assert!(said.stdout.starts_with("WORKERS") || said.stdout.starts_with(' '), "{said:?}");
}

#[test]
fn efficiency_is_against_the_fewest_workers() {
    let space = space(PLAN);
    space.run(&["run", "-q"]);
    let said = space.run(&["tune", "--replay", "--workers", "2,8"]);
    assert!(said.stdout.starts_with("replayed from what the jobs took the last time\n"), "{said:?}");
    let first: Vec<&str> = said.stdout.lines().nth(2).unwrap().split_whitespace().collect();
    assert_eq!((first[0], &first[first.len() - 4..]), ("2", ["-", "1.00", "100", "%"].as_slice()));
}

#[test]
fn what_cannot_be_measured_is_said() {
    let space = space(PLAN);
    for (args, code, expected) in [
        (["--workers", "0"].as_slice(), 101, "error: cannot use --workers: each has to be a number from 1 to 4096\n"),
        (&["--workers", "1,5000"], 101, "error: cannot use --workers: each has to be a number from 1 to 4096\n"),
        (&["--workers", ""], 101, "error: invalid value '' for '--workers <N,…>'"),
        (&["--workers", "1,x"], 101, "error: invalid value 'x' for '--workers <N,…>'"),
        (&["--repeats", "0"], 101, "error: invalid value '0' for '--repeats <N>'"),
        (&["--replay", "--repeats", "2"], 101, "error: the argument '--replay' cannot be used with '--repeats <N>'"),
        (&["nowhere"], 102, "error: failed to read the plan nowhere\n"),
    ] {
        let refused = space.run(&[&["tune"], args].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (code, ""), "{args:?}: {refused:?}");
        assert!(refused.stderr.starts_with(expected), "{args:?}: {refused:?}");
    }
    space.write("mill.toml", "name = 3\n");
    assert_eq!(space.run(&["tune"]).code, 102);
    assert_eq!(TestSpace::new().run(&["tune"]).code, 102);
}

#[test]
fn a_plan_that_fails_says_nothing_of_its_times() {
    let plan = "[modules.e]\nfile = \"exit_code.wasm\"\n[jobs.bad]\nmodule = \"e\"\nargs = [\"3\"]\n";
    let space = space(plan);
    let refused = space.run(&["tune", "--workers", "1", "--repeats", "1"]);
    let expected =
        "error: the plan does not succeed, so its times say nothing\n  hint: `wasmill show 1` says what failed\n";
    assert_eq!((refused.code, refused.stdout.as_str(), refused.stderr.as_str()), (100, "", expected));
    assert!(space.run(&["show", "1"]).stdout.contains("bad: exited with code 3"));
}

#[test]
fn a_module_that_is_not_there_is_named() {
    let space = space("[modules.e]\nfile = \"gone.wasm\"\n[jobs.one]\nmodule = \"e\"\n");
    let refused = space.run(&["tune"]);
    assert!(refused.code == 103 && refused.stderr.contains("gone.wasm"), "{refused:?}");
}

/// There is nothing to measure, and dividing by nothing gives no number.
#[test]
fn a_plan_without_jobs_ends_well_or_is_refused() {
    let space = space("name = \"empty\"\n");
    for args in [["tune", "--workers", "1,2", "--repeats", "1"].as_slice(), &["tune", "--replay"]] {
        let said = space.run(args);
        assert!(said.code < 104, "{args:?}: {said:?}");
        assert!(!said.stdout.contains("NaN") && !said.stdout.contains("inf"), "{args:?}: {said:?}");
    }
}

#[test]
fn nothing_is_recommended_for_a_plan_without_jobs() {
    let space = space("name = \"empty\"\n");
    assert_eq!(tuned(&space, &["--workers", "1,2", "--repeats", "1"])["recommended"], Value::Null);
}

#[test]
fn it_keeps_to_profiles() {
    let plan = "[modules.l]\nfile = \"loop_forever.wasm\"\n[jobs.one]\nmodule = \"l\"\n[profile.standard]\ntimeout = \"50ms\"\nengine = \"pulley\"\n";
    let space = space(plan);
    assert_eq!(space.run(&["tune", "--workers", "1", "--repeats", "1"]).code, 100);
    let (_, shown) = space.events(&["show", "1"]);
    assert_eq!(shown[0]["setup"]["engine"], "pulley");
    assert_eq!(shown[1]["result"]["outcome"]["timed-out"]["limit_ms"], 50);
}

/// Names of profiles stay names where programs read them.
#[test]
fn programs_are_told_the_name_of_the_profile() {
    let space = space(PLAN);
    let found = tuned(&space, &["--workers", "1", "--repeats", "1"]);
    let profile = found["recommended"]["profile"].as_str().expect("a name");
    let (_, known) = space.events(&["config", "profiles"]);
    assert!(known.iter().any(|one| one["profile"] == profile), "{profile}");
}
