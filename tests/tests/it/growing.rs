//! Plans whose jobs are known only during the run: items of outputs, plans that jobs yield, and jobs that are not wanted.

use crate::support::{Jobs, TestSpace};

fn space(plan: &str) -> TestSpace {
    let space = TestSpace::new();
    let header = "[modules.script]\nfile = \"script.wasm\"\n[modules.sum]\nfile = \"sum_tree.wasm\"\n\
                  [defaults]\nmodule = \"script\"\n";
    space.guest("script").guest("sum_tree").write("mill.toml", format!("{header}{plan}"));
    space
}

fn names(jobs: &Jobs) -> Vec<&str> {
    jobs.by_name.keys().map(String::as_str).collect()
}

/// `split` leaves three parts; each is scanned, each scan is graded, and everything is brought together.
const PARTS: &str = r#"
    [jobs.split]
    in = { "/in/parts" = "parts.txt" }
    args = ["write", "parts/a.txt", "1", "write", "parts/b.txt", "2", "write", "parts/c.txt", "3"]
    [jobs.scan]
    for-each = { part = { entries = { job = "split", path = "parts" } } }
    in = { "/in/part" = { job = "split", path = "parts/{part}" } }
    args = ["copy", "/in/part", "scanned", "write", "name", "{part.stem}"]
    [jobs.grade]
    for-each = { part = { entries = { job = "split", path = "parts" } } }
    in = { "/in/scan" = { job = "scan[{part}]" } }
    args = ["join", "/in/scan", "grade"]
    save = { "grade" = "grades/{part}" }
    [jobs.all]
    in = { "/in/grades" = { jobs = "grade" }, "/in/scans" = { jobs = "scan", path = "scanned" } }
    args = ["join", "/in", "all"]
    save = { "all" = "all.txt" }
"#;

#[test]
fn the_entries_of_an_output_become_jobs() {
    let space = space(PARTS);
    space.write("parts.txt", "");
    let first = space.jobs(&[]);
    assert_eq!(first.code, 0, "{first:#?}");
    let items = ["grade[a.txt]", "grade[b.txt]", "grade[c.txt]", "scan[a.txt]", "scan[b.txt]", "scan[c.txt]"];
    assert_eq!(names(&first), [&["all"], &items[..], &["split"]].concat());
    assert_eq!(space.read("all.txt"), "a\n1\nb\n2\nc\n3\n1\n2\n3\n");
    assert_eq!(space.read("grades/b.txt"), "b\n2\n");

    // Everything is cached as any other job is.
    let second = space.jobs(&[]);
    assert!(second.all("succeeded", true), "{second:#?}");
    assert_eq!(names(&second), names(&first));

    // One more part is one more item of each, and what brings them together.
    let plan = space.read("mill.toml").replace(r#""3"]"#, r#""3", "write", "parts/d", "4"]"#);
    space.write("mill.toml", plan);
    assert_eq!(space.jobs(&[]).executed(), ["all", "grade[d]", "scan[d]", "split"]);
    let said = space.run(&["run", "--quiet"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));

    // The run's record knows the jobs that came to be.
    let shown = space.run(&["show", "1"]);
    assert!(shown.stdout.contains("scan[b.txt]"), "{}", shown.stdout);
}

#[test]
fn the_graph_of_a_run_has_the_jobs_that_came_to_be() {
    let space = space(PARTS);
    space.write("parts.txt", "");
    assert_eq!(space.jobs(&[]).code, 0);
    space.write("mill.toml", "this is no plan any more");
    std::fs::remove_dir_all(space.path("grades")).unwrap();
    let drawn = space.run(&["plan", "graph", "--run", "1", "--as", "json"]);
    assert_eq!(drawn.code, 0, "{}", drawn.stderr);
    let drawn: serde_json::Value = serde_json::from_str(&drawn.stdout).unwrap();
    let boxes = drawn["nodes"].as_array().unwrap();
    let needs = |name: &str| -> Vec<&str> {
        let drawn = boxes.iter().find(|drawn| drawn["name"] == name).unwrap_or_else(|| panic!("{name}: {boxes:#?}"));
        drawn["needs"].as_array().unwrap().iter().map(|needed| needed.as_str().unwrap()).collect()
    };
    assert_eq!(boxes.len(), 10, "{boxes:#?}");
    assert_eq!(needs("scan[b.txt]"), ["split", "scan"]);
    assert_eq!(needs("grade[b.txt]"), ["grade", "scan[b.txt]"]);
    let all = needs("all");
    assert!(["grade[a.txt]", "scan[c.txt]", "scan", "grade"].iter().all(|name| all.contains(name)), "{all:?}");
    // Looking at it does nothing: neither is anything saved, nor is there another run.
    assert!(!space.path("grades").exists());
    assert_eq!(space.run(&["runs"]).stdout.lines().count(), 2);
}

#[test]
fn jobs_that_come_to_be_are_announced() {
    let space = space(PARTS);
    space.write("parts.txt", "");
    let (_, events) = space.events(&["run"]);
    assert_eq!(events[0]["jobs"], 4);
    let added: Vec<_> = events.iter().filter(|event| event["event"] == "jobs-added").collect();
    assert_eq!(added.len(), 2, "{events:#?}");
    assert!(added.iter().all(|event| event["jobs"] == 3 && event["instead"] == true));
    let end = events.last().expect("an end");
    assert_eq!((&end["counts"]["jobs"], &end["counts"]["succeeded"]), (&8.into(), &8.into()));
    // What was opened is counted no more: there are as many jobs as there are lines, not one for each that stood for some.
    let said = space.run(&["run", "--fresh"]).stderr;
    assert!(said.contains("[8/8]") && !said.contains("/9]") && !said.contains("/10]"), "{said}");
}

#[test]
fn lines_and_json_of_an_output_become_jobs() {
    let space = space(
        r#"
        [jobs.list]
        args = ["write", "lines", "x\n\n y \n", "write", "crates.json",
                '[{{"name": "serde", "version": [1, 2]}}, {{"name": "toml", "version": "3"}}]']
        [jobs.line]
        for-each = { line = { lines = { job = "list", path = "lines" } }, n = [1, 2] }
        args = ["write", "said", "{line}{n}"]
        [jobs.crate]
        for-each = { crate = { json = { job = "list", path = "crates.json" } } }
        args = ["write", "said", "{crate.name} {crate.version} {crate}"]
        [jobs.known]
        for-each = { it = { json = "known.json" } }
        args = ["write", "said", "{it}"]
        [jobs.all]
        in = { "/in/1" = { jobs = "line" }, "/in/2" = { jobs = "crate" }, "/in/3" = { jobs = "known" } }
        args = ["join", "/in", "all"]
        save = { "all" = "all.txt" }
        "#,
    );
    space.write("known.json", r#"["p", 7, true]"#);
    let jobs = space.jobs(&[]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    assert!(names(&jobs).contains(&"line[y,2]") && names(&jobs).contains(&"crate[serde]"), "{:?}", names(&jobs));
    let expected = "x1\nx2\ny1\ny2\nserde [1,2] {\"name\":\"serde\",\"version\":[1,2]}\n\
                    toml 3 {\"name\":\"toml\",\"version\":\"3\"}\n7\np\ntrue\n";
    assert_eq!(space.read("all.txt"), expected);
}

#[test]
fn a_job_may_yield_a_plan_and_that_one_another() {
    let space = space(
        r#"
        [jobs.sum]
        module = "sum"
        args = ["0", "100"]
        yields = "plan.json"
        save = { "sum" = "sum.txt" }
        [jobs.after]
        in = { "/in/sum" = { job = "sum", path = "sum" } }
        args = ["copy", "/in/sum", "copy"]
        save = { "copy" = "copy.txt" }
        "#,
    );
    let first = space.jobs(&[]);
    assert_eq!(first.code, 0, "{first:#?}");
    assert_eq!((space.read("sum.txt"), space.read("copy.txt")), ("4950".to_owned(), "4950".to_owned()));
    assert!(names(&first).contains(&"sum/left/right/add"), "{:?}", names(&first));
    let second = space.jobs(&[]);
    assert!(second.all("succeeded", true), "{second:#?}");
    assert_eq!(names(&second), names(&first));
    // Another sum has parts that are known: from 0 to 50.
    space.write("mill.toml", space.read("mill.toml").replace("\"100\"", "\"50\""));
    let third = space.jobs(&[]);
    assert!(third.executed().len() <= 2, "{:?}", third.executed());
    assert_eq!(space.read("sum.txt"), "1225");
}

#[test]
fn what_is_yielded_is_bounded() {
    let deep = r#"
        [growth]
        depth = 3
        [jobs.sum]
        module = "sum"
        args = ["0", "100"]
        yields = "plan.json"
    "#;
    let space = space(deep);
    let jobs = space.jobs(&["--keep-going"]);
    assert_eq!(
        (jobs.code, jobs.status("sum"), jobs.status("sum/left/left/left")),
        (100, "skipped", "error"),
        "{jobs:#?}"
    );
    let error = jobs.by_name["sum/left/left/left"].2["error"].to_string();
    assert!(error.contains("4 deep") && error.contains("3 are allowed"), "{error}");

    space.write("mill.toml", space.read("mill.toml").replace("depth = 3", "jobs = 20"));
    let said = space.run(&["run"]);
    assert_eq!(said.code, 100, "{}", said.stderr);
    assert!(said.stderr.contains("there may be 20") && said.stderr.contains("`[growth]`"), "{}", said.stderr);
    // Nothing was lost by that.
    space.write("mill.toml", space.read("mill.toml").replace("jobs = 20", "jobs = 1000"));
    assert_eq!(space.jobs(&[]).code, 0);
}

#[test]
fn a_plan_that_is_yielded_takes_what_its_job_saw_and_left_and_nothing_else() {
    let plan = r#"
        [jobs.make]
        in = { "/in/data" = "data", "/in/plan.json" = "plan.json", "/in/made.wasm" = "script.wasm" }
        args = ["copy", "/in/plan.json", "plan.json", "copy", "/in/made.wasm", "made.wasm", "write", "more/own", "own"]
        yields = "plan.json"
        save = { "joined" = "joined.txt" }
    "#;
    let space = space(plan);
    space.write("data/sub/x", "x").write("data/y", "y").write("secret", "secret");
    space.write(
        "plan.json",
        r#"{
          "modules": { "made": { "output": "made.wasm" } },
          "jobs": {
            "each": {
              "module": "made", "for-each": { "it": { "entries": { "input": "/in/data/sub" } } },
              "args": ["write", "it", "{it}"]
            },
            "all": {
              "module": "script",
              "in": {
                "/in/a": { "jobs": "each" }, "/in/b": { "input": "/in/data" }, "/in/c": { "output": "more" },
                "/in/d": { "text": "text" }
              },
              "args": ["join", "/in", "joined"]
            }
          },
          "result": { "job": "all" }
        }"#,
    );
    let jobs = space.jobs(&[]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    assert_eq!(space.read("joined.txt"), "x\nx\ny\nown\ntext\n");
    assert_eq!(names(&jobs), ["make", "make/all", "make/each[x]"]);

    let refused = [
        (r#"{ "path": "secret" }"#, "names a host file"),
        (r#"{ "input": "/in/other" }"#, "sees nothing at `/in/other`"),
        (r#"{ "input": "/in/data/z" }"#, "sees nothing at `/in/data/z`"),
        (r#"{ "output": "less" }"#, "has no output `less`"),
        (r#"{ "job": "make" }"#, "there is no job `make`"),
    ];
    let plan = space.read("plan.json");
    for (source, expected) in refused {
        space.write("plan.json", plan.replace(r#"{ "text": "text" }"#, source));
        let said = space.run(&["run"]);
        assert_eq!(said.code, 100, "{}", said.stderr);
        assert!(said.stderr.contains(expected), "{source}: {}", said.stderr);
    }
    for broken in ["", "[]", "{", r#"{ "jobs": {} }"#, "\u{feff}\0"] {
        space.write("plan.json", broken);
        let said = space.run(&["run"]);
        assert_eq!(said.code, 100, "{}", said.stderr);
        assert!(said.stderr.contains("plan.json:1:"), "{}", said.stderr);
    }
}

#[test]
fn what_is_not_wanted_is_omitted_and_what_can_does_without() {
    let space = space(
        r#"
        [jobs.probe]
        in = { "/in/mode" = "mode" }
        args = ["copy", "/in/mode", "mode", "write", "there/x", ""]
        [jobs.full]
        when = { job = "probe", path = "mode", is = "full" }
        args = ["write", "made", "full"]
        [jobs.quick]
        when = { job = "probe", path = "mode", is = "full", not = true }
        args = ["write", "made", "quick"]
        [jobs.behind]
        in = { "/in/full" = { job = "full" } }
        args = ["join", "/in", "made"]
        [jobs.each]
        for-each = { name = ["x", "y"] }
        when = { job = "probe", path = "there/{name}" }
        args = ["write", "made", "{name}"]
        [jobs.all]
        in = { "/in/1" = { job = "full", path = "made", optional = true }, "/in/2" = { job = "quick", optional = true },
               "/in/3" = { jobs = "each" }, "/in/4" = { job = "probe", path = "not there", optional = true } }
        args = ["join", "/in", "all"]
        save = { "all" = "all.txt" }
        "#,
    );
    space.write("mode", "full\n");
    let jobs = space.jobs(&[]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    assert_eq!(space.read("all.txt"), "full\nx\n");
    let omitted = |jobs: &Jobs| -> Vec<String> {
        jobs.by_name.iter().filter(|(_, job)| job.0 == "omitted").map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(omitted(&jobs), ["each[y]", "quick"]);
    space.write("mode", "fast");
    let jobs = space.jobs(&[]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    assert_eq!(space.read("all.txt"), "quick\nx\n");
    assert_eq!(omitted(&jobs), ["behind", "each[y]", "full"]);
    let said = space.run(&["run"]);
    assert!(said.stderr.contains("4 of 7 jobs succeeded, 4 cached, 3 omitted"), "{}", said.stderr);
    assert!(space.run(&["show", "2"]).stdout.contains("omitted"));
}

#[test]
fn a_failure_among_what_came_to_be_skips_what_needs_it() {
    let space = space(
        r#"
        [jobs.list]
        args = ["write", "lines", "write x ok\nfail"]
        [jobs.each]
        for-each = { command = { lines = { job = "list", path = "lines" } } }
        args = ["write", "x", "x", "{command}", "y", "y"]
        [jobs.all]
        in = { "/in" = { jobs = "each" } }
        args = ["join", "/in", "all"]
        [jobs.other]
        args = ["write", "x", "x"]
        "#,
    );
    space.write("mill.toml", space.read("mill.toml").replace("write x ok", "write"));
    let jobs = space.jobs(&["--keep-going"]);
    assert_eq!(jobs.code, 100);
    let statuses = ["list", "each[write]", "each[fail]", "all", "other"].map(|job| jobs.status(job));
    assert_eq!(statuses, ["succeeded", "succeeded", "failed", "skipped", "succeeded"], "{jobs:#?}");
    // What has no entries has no jobs, and what brings them together still runs.
    let plan = space.read("mill.toml").replace("write\\nfail", "");
    space.write("mill.toml", plan);
    let jobs = space.jobs(&[]);
    assert_eq!((jobs.code, jobs.by_name.len()), (0, 3), "{jobs:#?}");
}

#[test]
fn items_that_cannot_be_read_are_the_entry_s_error() {
    let cases = [
        (r#"{ json = { job = "list", path = "lines" } }"#, "no list in JSON"),
        (r#"{ lines = { job = "list", path = "dir" } }"#, "is a directory"),
        (r#"{ entries = { job = "list", path = "lines" } }"#, "is a file"),
        (r#"{ entries = { job = "list", path = "nothing" } }"#, "has no output `nothing`"),
        (r#"{ lines = { job = "list", path = "twice" } }"#, "have the same name `a`"),
    ];
    for (items, expected) in cases {
        let space = space(&format!(
            "[jobs.list]\nargs = [\"write\", \"lines\", \"a\\nb\", \"write\", \"dir/x\", \"\", \"write\", \"twice\", \"a\\na\"]\n\
             [jobs.each]\nfor-each = {{ it = {items} }}\nargs = [\"write\", \"x\", \"{{it}}\"]\n\
             [jobs.all]\nin = {{ \"/in\" = {{ jobs = \"each\" }} }}\n"
        ));
        let said = space.run(&["run"]);
        assert_eq!(said.code, 100, "{}", said.stderr);
        assert!(said.stderr.contains(expected) && said.stderr.contains("`each`"), "{items}: {}", said.stderr);
    }
}

#[test]
fn a_circle_through_what_comes_to_be_is_found_before_anything_runs() {
    let space = space(
        r#"
        [jobs.list]
        args = ["write", "lines", "a"]
        [jobs.each]
        for-each = { it = { lines = { job = "list", path = "lines" } } }
        in = { "/in" = { job = "needs-all" } }
        [jobs.needs-all]
        in = { "/in" = { jobs = "each" } }
        "#,
    );
    let said = space.run(&["plan", "check"]);
    assert_eq!(said.code, 102, "{}", said.stderr);
    assert!(said.stderr.contains("in a circle"), "{}", said.stderr);
}

#[test]
fn a_part_can_be_selected_and_what_is_late_is_shown_as_such() {
    let space = space(PARTS);
    space.write("parts.txt", "");
    let jobs = space.jobs(&["--job", "scan"]);
    assert_eq!(names(&jobs), ["scan[a.txt]", "scan[b.txt]", "scan[c.txt]", "split"]);
    let said = space.run(&["plan", "graph", "--as", "mermaid"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stdout.contains("scan …"), "{}", said.stdout);
    let said = space.run(&["plan", "show"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
}

#[test]
fn what_a_guest_chose_leads_nowhere_else_on_the_host() {
    let plan = |line: &str, more: &str| {
        format!(
            "[jobs.list]\nargs = [\"write\", \"list\", '{line}']\n[jobs.each]\n\
             for-each = {{ p = {{ lines = {{ job = \"list\", path = \"list\" }} }} }}\nargs = [\"write\", \"x\", \"evil\"]\n{more}\n"
        )
    };
    let save = "save = { x = \"public/{p}.txt\" }";
    let cases = [
        ("../../up", save),
        ("/tmp/wasmill-evil", "save = { x = \"{p}\" }"),
        ("../secret", "in = { \"/in\" = \"data/{p}\" }"),
        ("*", "in = { \"/in\" = { glob = \"data/{p}\" } }"),
    ];
    for (line, more) in cases {
        let space = space(&plan(line, more));
        space.write("data/a", "a").write("secret", "secret");
        let said = space.run(&["run"]);
        assert_eq!(said.code, 100, "{line}: {}", said.stderr);
        assert!(said.stderr.contains("would lead elsewhere"), "{line}: {}", said.stderr);
        assert!(!space.path("up.txt").exists() && !std::path::Path::new("/tmp/wasmill-evil").exists());
    }
    let space = space(&plan("below/a", save));
    assert_eq!(space.jobs(&[]).code, 0);
    assert_eq!(space.read("public/below/a.txt"), "evil");
}

#[test]
fn a_circle_that_only_values_show_is_found_as_well() {
    let inner = r#"{ "jobs": {
        "a": { "module": "script", "for-each": { "x": { "lines": { "text": "b" } } }, "in": { "/in": { "job": "{x}" } } },
        "b": { "module": "script", "in": { "/in": { "jobs": "a" } } } }, "result": { "job": "b" } }"#;
    let space = space(
        "[jobs.make]\nin = { \"/in/plan.json\" = \"plan.json\" }\nargs = [\"copy\", \"/in/plan.json\", \"plan.json\"]\n\
         yields = \"plan.json\"\n",
    );
    space.write("plan.json", inner);
    let said = space.run(&["run", "--run-timeout", "30s"]);
    assert_eq!(said.code, 100, "{}", said.stderr);
    assert!(said.stderr.contains("in a circle"), "{}", said.stderr);
}

#[test]
fn a_late_job_that_is_selected_brings_what_its_items_take() {
    let plan = r#"
        [jobs.list]
        args = ["write", "list", "a"]
        [jobs.other]
        args = ["write", "o", "other"]
        [jobs.late]
        for-each = { p = { lines = { job = "list", path = "list" } } }
        in = { "/in/o" = { job = "other" } }
        args = ["join", "/in", "late"]
    "#;
    let space = space(plan);
    let jobs = space.jobs(&["--job", "late"]);
    assert_eq!((jobs.code, names(&jobs)), (0, vec!["late[a]", "list", "other"]), "{jobs:#?}");
    let graph = space.run(&["plan", "graph", "--as", "json"]);
    assert!(graph.stdout.contains(r#""needs":["list","other"]"#), "{}", graph.stdout);
}

#[test]
fn what_was_omitted_omits_what_is_late() {
    let plan = r#"
        [jobs.probe]
        args = ["write", "x", "x"]
        [jobs.late]
        when = { job = "probe", path = "list" }
        for-each = { p = { lines = { job = "probe", path = "list" } } }
        [jobs.single]
        in = { "/in/late" = { job = "late[a]", optional = true } }
        args = ["write", "done", "single"]
        [jobs.single-too]
        in = { "/in/late" = { job = "late[a]" } }
        [jobs.all]
        in = { "/in" = { jobs = "late" } }
        args = ["write", "done", "all"]
        [jobs.full]
        when = { job = "probe", path = "full" }
        [jobs.solve]
        for-each = { c = ["a", "b"] }
        race = { first = 1 }
        in = { "/in/full" = { job = "full" } }
    "#;
    let space = space(plan);
    let jobs = space.jobs(&["--keep-going"]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    let omitted: Vec<&str> =
        jobs.by_name.iter().filter(|(_, job)| job.0 == "omitted").map(|(name, _)| name.as_str()).collect();
    assert_eq!(omitted, ["full", "late", "single-too", "solve", "solve[a]", "solve[b]"], "{jobs:#?}");
    assert_eq!(jobs.status("all"), "succeeded");
}

#[test]
fn the_result_of_a_plan_may_be_an_item_that_came_to_be() {
    let space = space(
        "[jobs.make]\nin = { \"/in/plan.json\" = \"plan.json\" }\nargs = [\"copy\", \"/in/plan.json\", \"plan.json\"]\n\
         yields = \"plan.json\"\nsave = { made = \"made.txt\" }\n",
    );
    let plan = r#"{ "jobs": { "a": { "module": "script", "for-each": { "x": { "lines": { "text": "b\nc" } } },
                    "args": ["write", "made", "by {x}"] } }, "result": { "job": "a[c]" } }"#;
    space.write("plan.json", plan);
    assert_eq!(space.jobs(&[]).code, 0);
    assert_eq!(space.read("made.txt"), "by c");
    // Too many are not even made.
    let many = (0..2_000).map(|n| n.to_string()).collect::<Vec<_>>().join("\",\"");
    let plan = format!(
        r#"{{ "jobs": {{ "a": {{ "module": "script", "for-each": {{ "x": ["{many}"], "y": ["{many}"] }} }} }}, "result": {{ "jobs": "a" }} }}"#
    );
    space.write("plan.json", plan);
    let said = space.run(&["run"]);
    assert_eq!(said.code, 100, "{}", said.stderr);
    assert!(said.stderr.contains("expands to more than 100000 jobs"), "{}", said.stderr);
}

#[test]
fn jobs_that_come_to_be_save_where_nobody_else_does() {
    let plan = r#"
        [jobs.fixed]
        args = ["write", "x", "fixed"]
        save = { x = "target/a" }
        [jobs.list]
        args = ["write", "list", "a"]
        [jobs.late]
        for-each = { p = { lines = { job = "list", path = "list" } } }
        args = ["write", "x", "late"]
        save = { x = "target/{p}" }
    "#;
    let first = space(plan);
    let said = first.run(&["run"]);
    assert_eq!(said.code, 100, "{}", said.stderr);
    assert!(said.stderr.contains("would both save to"), "{}", said.stderr);
    let other = space(&plan.replace("target/a", "target/b"));
    assert_eq!(other.jobs(&[]).code, 0);
    assert_eq!((other.read("target/a"), other.read("target/b")), ("late".to_owned(), "fixed".to_owned()));
}

#[test]
fn items_that_would_have_one_name_are_refused() {
    let plan = "[jobs.each]\nfor-each = { a = [\"q\", \"q,z\"], b = [\"z,w\", \"w\"] }\nargs = [\"write\", \"{a}\", \"{b}\"]\n";
    let said = space(plan).run(&["run"]);
    assert_eq!(said.code, 102, "{}", said.stderr);
    assert!(said.stderr.contains("the same name"), "{}", said.stderr);
}
