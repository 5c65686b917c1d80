//! `examples/solver-race`: the first candidate that solves a puzzle, whoever is faster and whatever the others do.

use serde_json::{Value, json};

use crate::support::{Jobs, TestSpace, repository};

/// The example, whose guest stays where it is.
fn space() -> TestSpace {
    let space = TestSpace::new();
    let example = repository().join("examples/solver-race");
    let plan = std::fs::read_to_string(example.join("mill.toml")).expect("a plan");
    let guest = example.join("guest").display().to_string();
    space.write("mill.toml", plan.replace("crate = \"guest\"", &format!("crate = '{guest}'")));
    for name in ["puzzle.json", "candidates.json", "library.txt"] {
        space.write(name, std::fs::read(example.join(name)).expect("a file"));
    }
    space
}

fn json(space: &TestSpace, name: &str) -> Value {
    serde_json::from_str(&space.read(name)).expect("JSON")
}

/// What was executed of a family of jobs.
fn executed(jobs: &Jobs, family: &str) -> Vec<String> {
    let of_family = |name: &&str| name.starts_with(&format!("{family}["));
    jobs.by_name
        .iter()
        .filter(|(_, job)| !job.1 && job.2["result"].is_object())
        .map(|(name, _)| name.as_str())
        .filter(of_family)
        .map(str::to_owned)
        .collect()
}

const WINNER: &str = "fix(sink) | below(flip | paint 8)";

#[test]
fn the_first_candidate_that_solves_the_puzzle_wins() {
    let space = space();
    let first = space.jobs(&[]);
    assert_eq!(first.code, 0, "{first:#?}");
    the_answer_is_right(&space, &first);
    // The choice does not depend on how many are tried at once.
    let before = (space.read("target/answer.json"), space.read("target/report.html"));
    for workers in ["1", "2"] {
        space.run(&["run", "--fresh", "--jobs", workers]);
        assert_eq!(before, (space.read("target/answer.json"), space.read("target/report.html")), "{workers}");
    }
    let (code, events) = space.events(&["verify", "1"]);
    assert_eq!(code, 0, "{:#?}", events.last());
    only_what_is_needed_is_executed_again(&space);
}

fn the_answer_is_right(space: &TestSpace, jobs: &Jobs) {
    let answer = json(space, "target/answer.json");
    assert_eq!(answer["program"], WINNER);
    let puzzle = json(space, "puzzle.json");
    assert_eq!(answer["outputs"][0], puzzle["test"][0]["output"]);

    let outcome = |name: &str| jobs.by_name[&format!("attempt[{name}]")].2["result"]["outcome"].clone();
    assert!(outcome("spin")["out-of-fuel"].is_object() && outcome("carpet")["out-of-memory"].is_object());
    assert_eq!(outcome("mirror image"), json!({ "exited": { "code": 1 } }));
    // The last two are behind the winner; whether they had begun when it ended depends on the machine.
    for behind in ["by hand", "spin again"] {
        assert_ne!(jobs.status(&format!("attempt[{behind}]")), "succeeded", "{behind}");
    }
    // Two that come to the same program are one.
    let keys =
        ["one step", "one step, spelt out"].map(|name| jobs.by_name[&format!("attempt[{name}]")].2["key"].clone());
    assert_eq!(keys[0], keys[1]);

    let report = space.read("target/report.html");
    for said in
        ["sand, then water", "Stopped: it ran out of fuel or of memory.", "is it `settle`?", "because it needs itself"]
    {
        assert!(report.contains(said), "{said} is not in the report");
    }
    assert!(!report.contains("http"), "the page needs nothing from elsewhere");
}

fn only_what_is_needed_is_executed_again(space: &TestSpace) {
    let again = space.jobs(&[]);
    let attempts = |jobs: &Jobs| (executed(jobs, "inline"), executed(jobs, "attempt"));
    // What had been behind the winner is no matter.
    let begun = |name: &String| !name.contains("by hand") && !name.contains("spin again");
    let (inlined, tried) = attempts(&again);
    assert!(inlined.is_empty() && !tried.iter().any(begun), "{inlined:?} {tried:?}");

    let mut candidates = json(space, "candidates.json");
    candidates.as_array_mut().expect("a list").push(json!({ "name": "late", "cost": 10, "program": "rotate" }));
    space.write("candidates.json", candidates.to_string());
    let (inlined, tried) = attempts(&space.jobs(&[]));
    assert_eq!(inlined, ["inline[late]"]);
    assert!(!tried.iter().any(|name| begun(name) && name != "attempt[late]"), "{tried:?}");

    let mut puzzle = json(space, "puzzle.json");
    puzzle["train"].as_array_mut().expect("a list").remove(2);
    space.write("puzzle.json", puzzle.to_string());
    let jobs = space.jobs(&[]);
    let (inlined, tried) = attempts(&jobs);
    assert!(inlined.is_empty() && tried.contains(&"attempt[as it is]".to_owned()), "{inlined:?} {tried:?}");

    puzzle["train"][0]["output"] = json!([[1]]);
    space.write("puzzle.json", puzzle.to_string());
    let said = space.run(&["run"]);
    assert_eq!(said.code, 100, "no candidate does that: {said:?}");
}
