//! That a run keeps to what is configured, and that none of it changes what jobs come to.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::said_with;
use crate::support::TestSpace;

/// A plan with a job that never ends by itself, and one that does.
const ENDLESS: &str = r#"
    name = "endless"
    [modules.loop]
    file = "loop_forever.wasm"
    [modules.exit]
    file = "exit_code.wasm"
    [jobs.endless]
    module = "loop"
    [jobs.own]
    module = "loop"
    limits = { timeout = "60ms" }
    [jobs.ends]
    module = "exit"
    args = ["0"]
    [profile.short]
    timeout = "90ms"
    sla = "10ms"
"#;

fn endless(more: &str) -> TestSpace {
    let space = TestSpace::new();
    space.guest("loop_forever").guest("exit_code").guest("copy").write("mill.toml", format!("{ENDLESS}{more}"));
    space
}

/// The `job-finished` of a job.
fn of<'a>(events: &'a [Value], job: &str) -> &'a Value {
    let found = events.iter().find(|event| event["event"] == "job-finished" && event["job"] == job);
    found.unwrap_or_else(|| panic!("no job {job} in {events:#?}"))
}

fn limit_ms<'a>(events: &'a [Value], job: &str) -> &'a Value {
    &of(events, job)["result"]["outcome"]["timed-out"]["limit_ms"]
}

#[test]
fn jobs_of_which_the_plan_says_no_timeout_keep_to_the_profile_s() {
    let space = endless("");
    let (code, events) = space.events(&["run", "-k", "--profile", "short"]);
    assert_eq!(code, 100);
    assert_eq!(limit_ms(&events, "endless"), 90);
    assert_eq!(limit_ms(&events, "own"), 60, "what the plan says counts");
    assert_eq!(of(&events, "ends")["status"], "succeeded");
    assert_eq!(events[0]["setup"]["profile"], "short");
}

#[test]
fn a_timeout_that_the_plan_s_defaults_say_counts_more_than_the_profile() {
    let space = endless("[defaults]\nlimits = { timeout = \"70ms\" }\n");
    let (_, events) = space.events(&["run", "-k", "--profile", "short"]);
    assert_eq!((limit_ms(&events, "endless"), limit_ms(&events, "own")), (&70.into(), &60.into()));
}

#[test]
fn jobs_of_which_the_plan_says_no_sla_get_the_profile_s() {
    let space = endless("[jobs.patient]\nmodule = \"exit\"\nargs = [\"0\"]\nsla = \"9m\"\n");
    let (_, events) = space.events(&["run", "-k", "--profile", "short"]);
    let target = |job: &str| of(&events, job)["trace"]["target"]["wall_ms"].clone();
    assert_eq!((target("endless"), target("ends"), target("patient")), (10.into(), 10.into(), 540_000.into()));
    assert_eq!(of(&events, "ends")["trace"]["target"]["is_critical"], false);
    let (_, without) = space.events(&["run", "-k", "--profile", "short", "--job", "ends"]);
    assert_eq!(of(&without, "ends")["cached"], true, "an SLA is no part of an action");
}

#[test]
fn a_failure_ends_the_run_unless_the_profile_goes_on() {
    let space = TestSpace::new();
    let plan = r#"
        [modules.exit]
        file = "exit_code.wasm"
        [jobs.bad]
        module = "exit"
        args = ["3"]
        [jobs.good]
        module = "exit"
        args = ["0"]
        in = { "/in/late" = { job = "slow" } }
        [jobs.slow]
        module = "exit"
        args = ["0", "slow"]
    "#;
    space.guest("exit_code").write("mill.toml", plan);
    let stopped = space.jobs(&["-j", "1"]);
    assert_eq!((stopped.code, stopped.status("good")), (100, "cancelled"));
    let thorough = space.jobs(&["-j", "1", "--profile", "thorough"]);
    assert_eq!((thorough.code, thorough.status("good")), (100, "succeeded"));
    let said = said_with(&space, &[("WASMILL_KEEP_GOING", "true")], &["run", "--fresh", "-j", "1"]);
    assert!(said.stderr.contains("2 of 3 jobs succeeded, 1 failed\n"), "{said:?}");
}

#[test]
fn the_run_timeout_of_a_profile_cancels_the_run() {
    let space = endless("[profile.brief]\nrun-timeout = \"300ms\"\n");
    let began = Instant::now();
    let (code, events) = space.events(&["run", "--profile", "brief", "--job", "endless"]);
    assert_eq!((code, &events.last().unwrap()["cancelled"]), (130, &true.into()), "{events:#?}");
    assert!(began.elapsed() < Duration::from_secs(60), "it goes on until the job's own limit");
    // A flag says more than the profile.
    let args = ["run", "--profile", "brief", "--job", "own", "--run-timeout", "1h"];
    assert_eq!(space.events(&args).0, 100);
}

/// The setup of a run of the least plan there is.
fn setup(args: &[&str]) -> Value {
    let space = TestSpace::new();
    space.guest("copy").write("leaf", "leaf");
    let job =
        "[modules.copy]\nfile = \"copy.wasm\"\n[jobs.copy]\nmodule = \"copy\"\nin = { \"/in/leaf\" = \"leaf\" }\n";
    let profile = "[profile.mine]\njobs = 3\nmemory = \"300MiB\"\nengine = \"pulley\"\nkeep-going = true\n";
    space.write("mill.toml", format!("{job}{profile}"));
    let (code, events) = space.events(&[&["run"], args].concat());
    assert_eq!(code, 0, "{args:?}: {events:#?}");
    assert_eq!(events[0]["event"], "run-started");
    events[0]["setup"].clone()
}

#[test]
fn workers_and_memory_may_be_shares_of_the_machine_s() {
    let all = setup(&["--jobs", "100%", "--memory-budget", "100%"]);
    let half = setup(&["--jobs", "50%", "--memory-budget", "50%"]);
    let cores = all["cores"].as_u64().unwrap();
    assert_eq!((all["workers"].as_u64(), half["workers"].as_u64()), (Some(cores), Some((cores / 2).max(1))));
    assert_eq!(setup(&["--jobs", "300%"])["workers"], 3 * cores);
    assert_eq!(setup(&["--jobs", "1%"])["workers"], (cores / 100).max(1), "at least one");
    let bytes = |setup: &Value| setup["memory_bytes"].as_u64().expect("the machine's memory is known");
    assert!(bytes(&half).abs_diff(bytes(&all) / 2) <= 100, "{half} is half of {all}");
    assert_eq!(bytes(&setup(&["--memory-budget", "300MiB"])), 300 << 20);
}

#[test]
fn a_run_notes_how_it_was_carried_out() {
    let mine = setup(&["--profile", "mine"]);
    assert_eq!((&mine["profile"], &mine["workers"], &mine["engine"]), (&"mine".into(), &3.into(), &"pulley".into()));
    assert_eq!((&mine["memory_bytes"], &mine["keep_going"]), (&(300 << 20).into(), &true.into()));
    let standard = setup(&["--profile", "standard"]);
    assert_eq!((&standard["profile"], &standard["keep_going"]), (&Value::Null, &false.into()));
    let constrained = setup(&["--profile", "memory-constrained"]);
    let all = setup(&["--memory-budget", "100%"])["memory_bytes"].as_u64().unwrap();
    assert!(constrained["memory_bytes"].as_u64().unwrap().abs_diff(all / 4) <= 100, "{constrained} of {all}");
}

#[test]
fn every_built_in_profile_can_be_run_and_comes_to_the_same() {
    let space = TestSpace::new();
    let plan =
        "[modules.copy]\nfile = \"copy.wasm\"\n[jobs.copy]\nmodule = \"copy\"\nin = { \"/in/leaf\" = \"leaf\" }\n";
    space.guest("copy").write("leaf", "leaf").write("mill.toml", plan);
    let (_, profiles) = space.events(&["config", "profiles"]);
    let names: Vec<&str> = profiles.iter().map(|one| one["profile"].as_str().unwrap()).collect();
    for (at, name) in names.iter().enumerate() {
        // What was recorded with another profile is known.
        let jobs = space.jobs(&["--profile", name]);
        assert_eq!((jobs.code, jobs.all("succeeded", at > 0)), (0, true), "{name}: {jobs:#?}");
        assert_eq!(space.jobs(&["--profile", name, "--fresh"]).executed(), ["copy"], "{name}");
    }
    let (_, runs) = space.events(&["runs", "-n", "1"]);
    assert_eq!(runs[0]["setup"]["profile"], *names.last().unwrap());
}

/// The plan says how it is to be carried out, and a resumed run goes on with the plan as it was.
#[test]
fn a_resumed_run_keeps_to_the_plan_s_profiles() {
    let space = endless("");
    assert_eq!(space.events(&["run", "--profile", "short", "-k", "--job", "endless"]).0, 100);
    let (code, events) = space.events(&["run", "--resume", "1", "--profile", "short", "-k"]);
    assert_eq!((code, limit_ms(&events, "endless")), (100, &90.into()), "{events:#?}");
}

/// The same where the plan itself names its profile. Else the limit would be five minutes.
#[test]
fn a_resumed_run_keeps_to_the_plan_s_default_profile() {
    let space = endless("");
    space.write("mill.toml", format!("default-profile = \"short\"\n{ENDLESS}"));
    assert_eq!(space.events(&["run", "-k", "--job", "endless"]).0, 100);
    let (code, events) = space.events(&["run", "--resume", "1", "--run-timeout", "20s", "-k"]);
    assert_eq!((code, limit_ms(&events, "endless")), (100, &90.into()), "{events:#?}");
}

/// Whose limit it was decides where it is raised.
#[test]
fn a_job_that_ran_into_its_profile_s_timeout_names_the_profile() {
    let space = endless("");
    let said = space.run(&["run", "--profile", "short", "--job", "endless"]);
    assert!(said.stderr.contains("profile"), "{said:?}");
}

#[test]
fn a_profile_s_timeout_reaches_items_batches_and_plans_that_are_yielded() {
    let space = TestSpace::new();
    let plan = r#"
        [modules.script]
        file = "script.wasm"
        [defaults]
        module = "script"
        [jobs.each]
        for-each = { n = ["a", "b"] }
        args = ["spin", "{n}"]
        [jobs.list]
        args = ["write", "list", "x"]
        [jobs.late]
        for-each = { line = { lines = { job = "list", path = "list" } } }
        args = ["spin", "{line}"]
        [profile.standard]
        timeout = "80ms"
    "#;
    space.guest("script").write("mill.toml", plan);
    let (code, events) = space.events(&["run", "-k"]);
    assert_eq!(code, 100);
    for job in ["each[a]", "each[b]", "late[x]"] {
        assert_eq!(limit_ms(&events, job), 80, "{job}");
    }
}

#[test]
fn a_dry_run_and_a_check_take_profiles_as_well() {
    let space = endless("");
    assert_eq!(space.run(&["run", "--dry-run", "--profile", "short"]).code, 0);
    assert_eq!(space.run(&["plan", "check"]).code, 0);
    space.write("mill.toml", ENDLESS.replace("timeout = \"90ms\"", "timeout = \"soon\""));
    let refused = space.run(&["plan", "check"]);
    assert!(refused.code == 102 && refused.stderr.contains("mill.toml:"), "{refused:?}");
}
