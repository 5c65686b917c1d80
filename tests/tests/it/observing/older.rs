//! Runs that an earlier wasmill recorded, which noted less of them.

use std::fs;
use std::path::Path;

use super::{json, rows, said};
use crate::browser::Page;
use crate::support::TestSpace;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A store of an earlier format, brought to that of this program. It has one run of three jobs.
fn store_of(format: u32) -> TestSpace {
    let space = TestSpace::new();
    let fixtures = crate::support::repository().join("runtime/storage/src/tests/fixtures");
    copy(&fixtures.join(format!("format-{format}")), &space.path("store"));
    assert_eq!(space.run(&["doctor", "--migrate"]).code, 0);
    space
}

#[test]
fn every_command_takes_a_run_of_an_earlier_version() {
    for format in 1..=3 {
        let space = store_of(format);
        assert_eq!(said(&space, &["runs"]).lines().count(), 2);
        assert!(said(&space, &["show", "1"]).contains("  job-0"));
        for args in [
            ["show", "1", "job-0"].as_slice(),
            &["why"],
            &["why", "job-1"],
            &["analyze"],
            &["analyze", "1", "--report", "page.html", "--trace", "trace.json"],
            &["compare", "1", "1"],
            &["stats"],
        ] {
            said(&space, args);
            space.events(args);
        }
        let run = &rows(&said(&space, &["runs", "--csv"]))[0];
        assert_eq!((run["plan"].as_str(), run["workers"].as_str()), ("plan", ""), "not 0: it is not known");
        let job = &rows(&said(&space, &["show", "1", "--csv"]))[0];
        assert_eq!((job["worker"].as_str(), job["outcome"].as_str()), ("", ""));
        assert_eq!(json(&space, &["compare", "1", "1"])["same"], 3);
        let trace: serde_json::Value = serde_json::from_str(&space.read("trace.json")).unwrap();
        assert!(trace["traceEvents"].is_array());
    }
}

/// What its jobs took is not there: the fixtures have no modules.
#[test]
fn reproducing_a_job_whose_module_is_gone_says_so() {
    let space = store_of(2);
    let line = said(&space, &["show", "1", "job-0", "--reproduce"]);
    let key = line.split_whitespace().nth(3).unwrap();
    let refused = space.run(&["exec", "--action", key]);
    assert_eq!((refused.code, refused.stdout.as_str()), (103, ""));
    assert!(refused.stderr.ends_with("which the action takes, is not in the store any more\n"), "{refused:?}");
}

#[test]
fn the_page_of_such_a_run_says_that_less_was_noted() {
    let space = store_of(2);
    said(&space, &["analyze", "--report", "page.html"]);
    let Some(mut page) = Page::open(&space.path("page.html")) else { return };
    let text = page.text();
    assert!(text.contains("of an earlier version of wasmill, which noted less"), "{text}");
    assert!(text.contains("job-2"), "{text}");
    assert!(!text.contains("NaN") && !text.contains("undefined") && !text.contains("Infinity"), "{text}");
    assert_eq!(page.complaints(), [""; 0]);
}

/// It is not known how many workers there were, or what was executed.
#[test]
fn what_was_not_noted_is_not_made_up() {
    let space = store_of(2);
    let analysis = said(&space, &["analyze"]);
    assert!(!analysis.contains("as it was"), "{analysis}");
    assert!(analysis.contains("earlier version of wasmill"), "{analysis}");
    let why = said(&space, &["why"]);
    assert!(!why.contains("did not have to be executed"), "{why}");
}
