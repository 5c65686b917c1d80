//! The user's configuration: where it is looked for, and what is said where it cannot be used.

use super::{said_with, shown, with_slashes};
use crate::support::{Said, TestSpace};

/// What is said where the user has configured this.
fn said_of(config: impl AsRef<[u8]>) -> Said {
    let space = TestSpace::new();
    space.write("config.toml", config);
    let config = space.path("config.toml").display().to_string();
    let mut said = said_with(&space, &[("WASMILL_CONFIG", &config)], &["config", "show"]);
    said.stderr = with_slashes(&said.stderr);
    said
}

#[test]
fn a_variable_that_is_empty_says_that_there_is_none() {
    let said = TestSpace::new().run(&["config", "show"]);
    assert!(said.code == 0 && said.stdout.ends_with("\nyour config       none\n"), "{said:?}");
}

#[test]
fn a_file_that_is_named_has_to_be_there() {
    let space = TestSpace::new();
    for command in [["config", "show"].as_slice(), &["run"], &["runs"], &["exec", "x.wasm"]] {
        let file = space.path("nowhere.toml").display().to_string();
        let refused = said_with(&space, &[("WASMILL_CONFIG", &file)], command);
        assert_eq!((refused.code, refused.stdout.as_str()), (102, ""), "{command:?}: {refused:?}");
    }
    let file = space.path("nowhere.toml").display().to_string();
    let refused = with_slashes(&said_with(&space, &[("WASMILL_CONFIG", &file)], &["config", "show"]).stderr);
    assert!(
        refused.starts_with("error: failed to read the configuration [dir]/nowhere.toml\n  caused by: "),
        "{refused}"
    );
    assert!(refused.ends_with("\n  hint: WASMILL_CONFIG names it\n"), "{refused}");
}

#[test]
fn what_is_wrong_with_it_is_shown_where_it_is() {
    let said = said_of("default-profile = \"mine\"\n[profile.mine]\njobs = \"many\"\ntimeout = \"0s\"\nworkers = 3\n");
    insta::assert_snapshot!(said.whole());
}

#[test]
fn every_value_that_cannot_be_is_refused_with_its_line() {
    for (line, expected) in [
        ("jobs = 0", "no number from 1 to 4096"),
        ("jobs = 4097", "no number from 1 to 4096"),
        ("jobs = -1", "no number from 1 to 4096"),
        ("jobs = \"3..1\"", "3 is more than 1"),
        ("jobs = 1.5", "jobs"),
        ("memory = \"0%\"", "not from 1% to 100%"),
        ("memory = \"lots\"", "lots"),
        ("sla = \"0ms\"", "it must be more than nothing"),
        ("run-timeout = \"yesterday\"", "yesterday"),
        ("engine = \"v8\"", "it is `cranelift` or `pulley`"),
        ("engine = 1", "engine"),
        ("keep-going = \"yes\"", "true or false"),
        ("store-cache = true", "store-cache"),
        ("compile-time = []", "compile-time"),
    ] {
        let said = said_of(format!("# A comment.\n[profile.quick]\n{line}\n"));
        assert_eq!((said.code, said.stdout.as_str()), (102, ""), "{line}: {said:?}");
        assert!(said.stderr.contains("[dir]/config.toml:3:"), "{line}: {said:?}");
        assert!(said.stderr.contains(expected), "{line}: {said:?}");
    }
}

#[test]
fn what_is_no_configuration_at_all_is_refused() {
    let said = said_of("[profile.quick\n");
    assert!(said.code == 102 && said.stderr.contains("[dir]/config.toml:1:"), "{said:?}");
    let plan = said_of("[jobs.one]\nmodule = \"m\"\n");
    assert!(plan.code == 102 && plan.stderr.contains("unknown key `jobs`"), "{plan:?}");
    let bytes = said_of([0xff, 0xfe, 0]);
    assert!(bytes.code == 102 && bytes.stderr.starts_with("error: failed to read the configuration "), "{bytes:?}");
    let unknown = said_of("default-profile = \"nowhere\"\n");
    assert!(unknown.stderr.contains("there is no profile `nowhere` ([dir]/config.toml)"), "{unknown:?}");
}

#[test]
fn programs_are_told_where_it_is_wrong_as_well() {
    let space = TestSpace::new();
    space.write("config.toml", "\n[profile.x]\njobs = 0\n");
    let config = space.path("config.toml").display().to_string();
    let said = said_with(&space, &[("WASMILL_CONFIG", &config)], &["config", "show", "--format", "json"]);
    let error: serde_json::Value = serde_json::from_str(&said.stdout).expect("one line of JSON");
    let message = with_slashes(error["message"].as_str().unwrap());
    assert_eq!(message, "the configuration [dir]/config.toml is not valid");
    let detail = &error["details"][0];
    assert_eq!((&detail["line"], &error["exit_code"]), (&3.into(), &102.into()));
    assert!(with_slashes(detail["file"].as_str().unwrap()).ends_with("/config.toml"), "{error}");
}

/// Looks for the configuration below a folder of the test's, as for a user whose settings are there.
#[cfg(target_os = "linux")]
fn at_its_place(space: &TestSpace) -> Said {
    let mut command = space.command(&["config", "show"]);
    command.env_remove("WASMILL_CONFIG").env("XDG_CONFIG_HOME", space.path("settings"));
    space.said(&command.output().expect("the program starts"))
}

#[cfg(target_os = "linux")]
#[test]
fn where_none_is_named_it_is_looked_for_at_its_place() {
    let space = TestSpace::new();
    let said = at_its_place(&space);
    assert!(said.stdout.ends_with("\nyour config       [dir]/settings/wasmill/config.toml (not there)\n"), "{said:?}");
    space.write("settings/wasmill/config.toml", "[profile.standard]\njobs = 9\n");
    let said = at_its_place(&space);
    assert!(said.stdout.contains("9 (9)") && said.stdout.ends_with("/wasmill/config.toml\n"), "{said:?}");
    space.write("settings/wasmill/config.toml", "jobs = 9\n");
    assert_eq!(at_its_place(&space).code, 102);
}

#[cfg(target_os = "linux")]
#[test]
fn a_place_that_cannot_be_looked_into_has_none() {
    use std::os::unix::fs::PermissionsExt as _;
    let space = TestSpace::new();
    space.write("settings", "a file where the folder would be");
    let said = at_its_place(&space);
    assert_eq!(said.code, 0, "{said:?}");
    std::fs::remove_file(space.path("settings")).unwrap();
    space.write("settings/wasmill/config.toml", "this is no configuration");
    let close = |mode| std::fs::set_permissions(space.path("settings"), std::fs::Permissions::from_mode(mode)).unwrap();
    close(0o000);
    // Nothing is closed to root.
    let is_closed = std::fs::read_dir(space.path("settings")).is_err();
    let said = at_its_place(&space);
    close(0o755);
    assert_eq!(said.code, if is_closed { 0 } else { 102 }, "{said:?}");
}

#[test]
fn the_plan_s_profiles_are_found_without_naming_it_and_by_its_folder() {
    let space = TestSpace::new();
    space.write("below/mill.json", r#"{"profile": {"standard": {"jobs": "3..5"}}}"#);
    assert_eq!(shown(&space, &[], &[])["jobs"].1, "default");
    let (value, origin) = &shown(&space, &[], &["below"])["jobs"];
    assert_eq!((value.as_str(), origin.as_str()), ("3..5 (3 to 5)", "profile standard in [dir]/below/mill.json"));
    let refused = space.run(&["config", "show", "nowhere"]);
    assert!(
        refused.code == 102 && refused.stderr.starts_with("error: failed to read the plan nowhere\n"),
        "{refused:?}"
    );
}
