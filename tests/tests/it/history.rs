//! `wasmill runs`, `show`, `cat` and `ls`: what can be found out afterwards.

use crate::support::TestSpace;

fn space() -> TestSpace {
    let space = TestSpace::new();
    space.guest("files").write("x", "x").write(
        "mill.toml",
        r#"
            name = "listed"
            [modules.files]
            file = "files.wasm"
            [jobs.one]
            module = "files"
            in = { "/in/x" = "x" }
        "#,
    );
    space
}

#[test]
fn runs_are_listed_newest_first() {
    let space = space();
    assert_eq!(space.run(&["runs"]).stdout, "no runs yet\n");
    space.run(&["run"]);
    space.run(&["run"]);
    let said = space.run(&["runs"]);
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", said.stdout);
    assert!(
        lines[1].trim().starts_with('2')
            && lines[1].ends_with("everything was cached (1 job), nothing had to be executed")
    );
    assert!(lines[2].trim().starts_with('1') && lines[2].ends_with("1 of 1 job succeeded"));
    let (_, events) = space.events(&["runs", "-n", "1"]);
    assert_eq!((events.len(), &events[0]["id"], &events[0]["plan"]), (1, &2.into(), &"listed".into()));
}

#[test]
fn a_job_leads_to_its_outputs() {
    let space = space();
    space.run(&["run"]);
    let (_, shown) = space.events(&["show", "1", "one"]);
    let output = shown[0]["report"]["result"]["output"]["digest"].as_str().unwrap();
    let listed = space.run(&["ls", output]);
    assert!(listed.stdout.contains("  listing.txt\n") && listed.stdout.contains("  nested/\n"), "{}", listed.stdout);
    let (_, all) = space.events(&["ls", "--recursive", output]);
    let paths: Vec<&str> = all.iter().map(|entry| entry["path"].as_str().unwrap()).collect();
    let whole = [
        "nested/",
        "nested/deep/",
        "nested/deep/empty",
        "nested/empty-directory/",
        "nested/bytes",
        "after",
        "listing.txt",
    ];
    assert_eq!(paths, whole);
    let listing = all.iter().find(|entry| entry["path"] == "listing.txt").unwrap();
    let content = space.run(&["cat", listing["digest"].as_str().unwrap()]);
    assert!(content.stdout.starts_with("/in/x 1 bytes"), "{}", content.stdout);
}

#[test]
fn what_is_not_there_is_said_to_be_not_there() {
    let space = space();
    space.run(&["run"]);
    let zeros = "0".repeat(64);
    for (args, code) in [
        (["show", "7"].as_slice(), 103),
        (&["show", "1", "two"], 103),
        (&["show", "x"], 101),
        (&["cat", zeros.as_str()], 103),
        (&["cat", "1234"], 101),
        (&["ls", zeros.as_str()], 103),
    ] {
        let said = space.run(args);
        assert_eq!(said.code, code, "{args:?}: {said:?}");
        assert!(said.stderr.starts_with("error: "), "{said:?}");
    }
    let (_, shown) = space.events(&["show", "1", "one"]);
    let stdout = shown[0]["report"]["result"]["stdout"]["digest"].as_str().unwrap();
    let said = space.run(&["ls", stdout]);
    assert!(said.code == 103 && said.stderr.contains("is not a directory"), "{said:?}");
}
