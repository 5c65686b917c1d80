//! Several processes and one store.

use std::process::Stdio;

use crate::support::TestSpace;

const JOBS: usize = 120;

/// Three plans over the same inputs, two of which have jobs in common with the third.
fn overlapping() -> TestSpace {
    let space = TestSpace::new();
    for index in 0..JOBS {
        space.write(&format!("in/{index:03}"), format!("input {index}"));
    }
    space.guest("copy");
    for (plan, pattern) in [("all", "in/*"), ("even", "in/*[02468]"), ("low", "in/0*")] {
        let text = format!(
            r#"
                [modules.copy]
                file = "copy.wasm"
                [jobs.copy]
                module = "copy"
                for-each = {{ file = "{pattern}" }}
                in = {{ "/in/leaf" = "{{file}}" }}
                save = {{ "result" = "out-{plan}/{{file.name}}" }}
            "#
        );
        space.write(&format!("{plan}.toml"), text);
    }
    space
}

#[test]
fn runs_at_the_same_time_share_a_store() {
    let space = overlapping();
    for round in 0..8 {
        if round > 0 {
            for index in (0..JOBS).step_by(3) {
                space.write(&format!("in/{index:03}"), format!("input {index}, {round}"));
            }
        }
        let children: Vec<_> = (["all", "even", "low", "all"].iter())
            .map(|plan| {
                let file = format!("{plan}.toml");
                let mut command = space.command(&["run", &file]);
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for child in children {
            let said = child.wait_with_output().unwrap();
            assert!(said.status.success(), "round {round}: {}", String::from_utf8_lossy(&said.stderr));
        }
        for index in 0..JOBS {
            let input = space.read(&format!("in/{index:03}"));
            assert_eq!(space.read(&format!("out-all/{index:03}")), input);
            assert!(index % 2 == 1 || space.read(&format!("out-even/{index:03}")) == input);
            assert!(index > 99 || space.read(&format!("out-low/{index:03}")) == input);
        }
        let again = space.run(&["run", "all.toml"]);
        assert!(again.stderr.contains("everything was cached (120 jobs)"), "{again:?}");
    }
    let runs = space.run(&["runs", "-n", "100"]).stdout;
    assert_eq!(runs.lines().count(), 1 + 8 * 5, "{runs}");
}

#[test]
fn a_run_can_be_looked_at_while_it_goes_on() {
    let space = TestSpace::new();
    space.guest("loop_forever").guest("copy").write("leaf", "x").write(
        "mill.toml",
        r#"
            [modules.loop]
            file = "loop_forever.wasm"
            [modules.copy]
            file = "copy.wasm"
            [jobs.done]
            module = "copy"
            in = { "/in/leaf" = "leaf" }
            [jobs.endless]
            module = "loop"
            in = { "/in/x" = { job = "done" } }
        "#,
    );
    let mut command = space.command(&["run", "--format", "json"]);
    let mut other = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut events = std::io::BufReader::new(other.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(r#""job":"endless""#) || !line.contains("job-started") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut events, &mut line).unwrap() > 0, "the run ended");
    }
    let runs = space.run(&["runs"]);
    assert!(runs.code == 0 && runs.stdout.contains(" 1  "), "{runs:?}");
    // What it has recorded is there for everybody else.
    let done = space.jobs(&["--job", "done"]);
    assert!(done.all("succeeded", true), "{done:?}");
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(space.jobs(&["--job", "done"]).all("succeeded", true));
}
