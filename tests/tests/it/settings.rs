//! How plans are carried out: every value, where it comes from, and that it is kept to.

mod applying;
mod files;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Said, TestSpace};

/// What the program says with these variables in its environment.
fn said_with(space: &TestSpace, variables: &[(&str, &str)], args: &[&str]) -> Said {
    let mut command = space.command(args);
    command.envs(variables.iter().copied());
    space.said(&command.output().expect("the program starts"))
}

/// Paths as they are written on Unix. On macOS, the folder that a program is in has a longer name than it was given.
fn with_slashes(text: &str) -> String {
    text.replace("\\\\", "/").replace('\\', "/").replace("/private[dir]", "[dir]")
}

/// Each value with its origin, by its key.
fn shown(space: &TestSpace, variables: &[(&str, &str)], args: &[&str]) -> BTreeMap<String, (String, String)> {
    let said = said_with(space, variables, &[&["config", "show", "--format", "json"], args].concat());
    assert_eq!(said.code, 0, "{said:?}");
    let said: Value = serde_json::from_str(&with_slashes(&said.stdout)).expect("a line of JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let rows = said["values"].as_array().expect("values").iter();
    rows.map(|row| (text(&row["key"]), (text(&row["value"]), text(&row["origin"])))).collect()
}

/// A key, and how it is given in each place, what counts first first.
struct Row {
    key: &'static str,
    /// The flag's name without dashes; its variable is called the same.
    flag: Option<&'static str>,
    /// By flag, by variable, in the plan, in the user's configuration.
    given: [&'static str; 4],
    /// What is shown of these, of the built-in profile, and of none: how it begins.
    said: [&'static str; 6],
    /// A built-in profile that says something of it.
    built_in: Option<&'static str>,
}

const fn row(
    key: &'static str,
    flag: &'static str,
    given: [&'static str; 4],
    said: [&'static str; 6],
    built_in: &'static str,
) -> Row {
    let flag = if flag.is_empty() { None } else { Some(flag) };
    let built_in = if built_in.is_empty() { None } else { Some(built_in) };
    Row { key, flag, given, said, built_in }
}

const SIZES: [&str; 4] = ["7MiB", "6MiB", "\"5MiB\"", "\"4MiB\""];
const TIMES: [&str; 4] = ["7s", "6s", "\"5s\"", "\"4s\""];

const ROWS: [Row; 10] = [
    row(
        "jobs",
        "jobs",
        ["7", "6", "5", "\"4..4\""],
        ["7 (7)", "6", "5", "4..4 (4 to 4)", "200%", "100%"],
        "io-intensive",
    ),
    row("memory", "memory-budget", SIZES, ["7 MiB", "6 MiB", "5 MiB", "4 MiB", "25%", "80%"], "memory-constrained"),
    row("timeout", "", TIMES, ["", "", "5.00 s", "4.00 s", "30.00 s", "5 min"], "quick"),
    row("run-timeout", "run-timeout", TIMES, ["7.00 s", "6.00 s", "5.00 s", "4.00 s", "5 min", "none"], "quick"),
    row("sla", "", TIMES, ["", "", "5.00 s", "4.00 s", "5.00 s", "none"], "quick"),
    row(
        "keep-going",
        "keep-going",
        ["", "true", "false", "true"],
        ["true", "true", "false", "true", "true", "false"],
        "thorough",
    ),
    row(
        "engine",
        "engine",
        ["pulley", "cranelift", "\"pulley\"", "\"cranelift\""],
        ["pulley", "cranelift", "pulley", "cranelift", "", "cranelift"],
        "",
    ),
    row("store-cache", "store-cache", SIZES, ["7 MiB", "6 MiB", "5 MiB", "4 MiB", "2 GiB", "512 MiB"], "io-intensive"),
    row(
        "compile-memory",
        "compile-memory",
        SIZES,
        ["7 MiB", "6 MiB", "5 MiB", "4 MiB", "1 GiB", "2 GiB"],
        "memory-constrained",
    ),
    row(
        "compile-time",
        "compile-time",
        TIMES,
        ["7.00 s", "6.00 s", "5.00 s", "4.00 s", "10 min", "2 min"],
        "cpu-intensive",
    ),
];

/// What is said of a key where it is given in this place and in those that count less, with the given profile.
fn said_from(row: &Row, place: usize, profile: &str) -> (String, String) {
    let space = TestSpace::new();
    let in_file = |place: usize| format!("[profile.{profile}]\n{} = {}\n", row.key, row.given[place]);
    space.write("mill.toml", if place <= 2 { in_file(2) } else { String::new() });
    space.write("config.toml", if place <= 3 { in_file(3) } else { String::new() });
    let config = space.path("config.toml").display().to_string();
    let mut variables = vec![("WASMILL_CONFIG", config.as_str())];
    let flag = row.flag.map(|flag| format!("--{flag}"));
    let variable = row.flag.map(|flag| format!("WASMILL_{}", flag.replace('-', "_").to_uppercase()));
    if let Some(variable) = variable.as_ref().filter(|_| place <= 1) {
        variables.push((variable, row.given[1]));
    }
    let mut args = vec!["--profile", profile];
    if let Some(flag) = flag.as_ref().filter(|_| place == 0) {
        args.extend([flag.as_str(), row.given[0]].into_iter().filter(|arg| !arg.is_empty()));
    }
    shown(&space, &variables, &args).remove(row.key).expect("each key is there")
}

#[test]
fn flag_environment_plan_configuration_built_in_profile_and_default_count_in_this_order() {
    for row in &ROWS {
        let profile = row.built_in.unwrap_or("mine");
        let flag = row.flag.unwrap_or_default();
        let expected = [
            format!("flag --{flag}"),
            format!("environment WASMILL_{}", flag.replace('-', "_").to_uppercase()),
            format!("profile {profile} in [dir]/mill.toml"),
            format!("profile {profile} in [dir]/config.toml"),
            format!("built-in profile {profile}"),
            "default".to_owned(),
        ];
        for (place, origin) in expected.iter().enumerate() {
            let is_given = (place > 1 || row.flag.is_some()) && (place != 4 || row.built_in.is_some());
            if is_given {
                let profile = if place == 5 { "standard" } else { profile };
                let (value, found) = said_from(row, place, profile);
                assert!(value.starts_with(row.said[place]), "{} in place {place}: {value}", row.key);
                assert_eq!(&found, origin, "{}", row.key);
            }
        }
    }
}

#[test]
fn which_profile_counts_is_said_in_the_same_order() {
    let space = TestSpace::new();
    space.write("mill.toml", "default-profile = \"thorough\"\n");
    space.write("config.toml", "default-profile = \"large-data\"\n");
    let config = space.path("config.toml").display().to_string();
    let profile = |variables: &[(&str, &str)], args: &[&str]| shown(&space, variables, args).remove("profile").unwrap();
    let user = ("WASMILL_CONFIG", config.as_str());
    let pair = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    let variable = ("WASMILL_PROFILE", "io-intensive");
    assert_eq!(profile(&[user, variable], &["--profile", "quick"]), pair("quick", "flag --profile"));
    assert_eq!(profile(&[user, variable], &[]), pair("io-intensive", "environment WASMILL_PROFILE"));
    assert_eq!(profile(&[user], &[]), pair("thorough", "[dir]/mill.toml"));
    space.write("mill.toml", "");
    assert_eq!(profile(&[user], &[]), pair("large-data", "[dir]/config.toml"));
    assert_eq!(profile(&[], &[]), pair("standard", "default"));
}

/// clap knows them by the same name wherever they stand.
#[test]
fn a_flag_before_the_command_counts_more_than_the_environment() {
    let space = TestSpace::new();
    let said = said_with(&space, &[("WASMILL_PROFILE", "quick")], &["--profile", "thorough", "config", "show"]);
    assert!(said.stdout.contains("profile           thorough                  flag --profile\n"), "{said:?}");
}

#[test]
fn what_the_plan_says_of_standard_counts_for_every_profile_that_says_nothing_of_it() {
    let space = TestSpace::new();
    space.write("mill.toml", "[profile.standard]\nkeep-going = true\ntimeout = \"1s\"\n[profile.mine]\njobs = 3\n");
    let values = shown(&space, &[], &["--profile", "quick"]);
    let origin = |key: &str| values[key].1.as_str();
    assert_eq!(origin("keep-going"), "profile standard in [dir]/mill.toml");
    assert_eq!(origin("timeout"), "built-in profile quick");
    let values = shown(&space, &[], &["--profile", "mine"]);
    assert_eq!(values["timeout"], ("1.00 s".to_owned(), "profile standard in [dir]/mill.toml".to_owned()));
    assert_eq!(shown(&space, &[], &[])["keep-going"].1, "profile standard in [dir]/mill.toml");
}

/// Whoever says no in the environment says more than a profile does.
#[test]
fn the_environment_can_take_back_what_a_profile_says() {
    let space = TestSpace::new();
    let values = shown(&space, &[("WASMILL_KEEP_GOING", "false")], &["--profile", "thorough"]);
    assert_eq!(values["keep-going"], ("false".to_owned(), "environment WASMILL_KEEP_GOING".to_owned()));
}

#[test]
fn every_value_is_shown_with_its_origin() {
    let space = TestSpace::new();
    space.write("mill.toml", "default-profile = \"mine\"\n[profile.mine]\ntimeout = \"90s\"\nengine = \"pulley\"\n");
    space.write("config.toml", "[profile.mine]\nsla = \"2m\"\nengine = \"cranelift\"\n");
    let config = space.path("config.toml").display().to_string();
    let variables = [("WASMILL_CONFIG", config.as_str()), ("WASMILL_RUN_TIMEOUT", "1h")];
    let said = said_with(&space, &variables, &["config", "show", "-j", "2..3", "--memory-budget", "64MiB"]);
    insta::assert_snapshot!(with_slashes(&said.whole()));
}

#[test]
fn the_built_in_profiles_are_listed_with_their_reasons() {
    insta::assert_snapshot!(TestSpace::new().run(&["config", "profiles"]).whole());
}

#[test]
fn programs_are_told_the_same_of_the_built_in_profiles() {
    let space = TestSpace::new();
    let (code, profiles) = space.events(&["config", "profiles"]);
    assert_eq!((code, profiles.len()), (0, 7));
    let text = space.run(&["config", "profiles"]).stdout;
    for one in &profiles {
        let name = one["profile"].as_str().unwrap();
        assert!(text.contains(&format!("{name}: {}\n", one["reason"].as_str().unwrap())), "{one}");
        let values = shown(&space, &[], &["--profile", name]);
        for (key, value) in one["values"].as_object().unwrap() {
            let (found, origin) = &values[key];
            assert!(found.starts_with(value.as_str().unwrap()), "{name}: {key} = {found}, {one}");
            assert_eq!(origin, &format!("built-in profile {name}"));
            assert!(text.contains(&format!("{key} = {}", value.as_str().unwrap())));
        }
        let said = values.values().filter(|(_, origin)| origin.starts_with("built-in")).count();
        assert_eq!(said, one["values"].as_object().unwrap().len(), "{name}");
    }
}

#[test]
fn an_unknown_profile_names_the_nearest_and_who_asked_for_it() {
    let space = TestSpace::new();
    let refused = space.run(&["config", "show", "--profile", "thorogh"]);
    let expected = "error: there is no profile `thorogh` (flag --profile)\n  hint: did you mean `thorough`?\n";
    assert_eq!((refused.code, refused.stderr.as_str()), (101, expected));
    space.write("mill.toml", "default-profile = \"nihgt\"\n[profile.night]\njobs = 1\n");
    for command in [["config", "show"].as_slice(), &["run"], &["tune"], &["run", "--dry-run"]] {
        let refused = space.run(command);
        assert_ne!(refused.code, 0);
        let expected = "error: there is no profile `nihgt` ([dir]/mill.toml)\n  hint: did you mean `night`?\n";
        assert_eq!(with_slashes(&refused.stderr), expected, "{command:?}");
    }
    let refused = said_with(&space, &[("WASMILL_PROFILE", "something else")], &["run"]);
    assert!(refused.stderr.starts_with("error: there is no profile `something else` (environment WASMILL_PROFILE)\n"));
    assert!(refused.stderr.contains("memory-constrained, night, quick, standard, thorough\n"), "{refused:?}");
}

#[test]
fn values_of_flags_and_variables_that_cannot_be_used_are_refused() {
    let space = TestSpace::new();
    for (flag, variable, value, expected) in [
        ("--jobs", "WASMILL_JOBS", "0", "no number from 1 to 4096"),
        ("--jobs", "WASMILL_JOBS", "8..2", "8 is more than 2"),
        ("--jobs", "WASMILL_JOBS", "0%", "not from 1% to 1600%"),
        ("--memory-budget", "WASMILL_MEMORY_BUDGET", "101%", "not from 1% to 100%"),
        ("--memory-budget", "WASMILL_MEMORY_BUDGET", "0B", "more than nothing"),
        ("--memory-budget", "WASMILL_MEMORY_BUDGET", "7", "its unit must be one of"),
        ("--run-timeout", "WASMILL_RUN_TIMEOUT", "soon", "it must start with a whole number"),
        ("--store-cache", "WASMILL_STORE_CACHE", "much", "it must start with a whole number"),
        ("--compile-time", "WASMILL_COMPILE_TIME", "-1s", "it must start with a whole number"),
        ("--engine", "WASMILL_ENGINE", "fast", "fast"),
    ] {
        let by_flag = space.run(&["config", "show", &format!("{flag}={value}")]);
        assert!(by_flag.code == 101 && by_flag.stderr.contains(expected), "{flag}={value}: {by_flag:?}");
        let by_variable = said_with(&space, &[(variable, value)], &["config", "show"]);
        assert!(
            by_variable.code == 101 && by_variable.stderr.contains(expected),
            "{variable}={value}: {by_variable:?}"
        );
    }
}
