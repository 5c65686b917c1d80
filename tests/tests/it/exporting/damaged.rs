//! Files that are no exported runs, or were before something happened to them. They may come from anybody.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{least, lines, there};
use crate::support::{Said, TestSpace};

/// What is said where a file is to be imported, after which there is no run.
fn refused(space: &TestSpace, content: impl AsRef<[u8]>) -> String {
    space.write("damaged.json", content);
    let said = there(space, &["import", "damaged.json"]);
    assert_eq!((said.code, said.stdout.as_str()), (103, ""), "{said:?}");
    assert_eq!(there(space, &["runs"]).stdout, "no runs yet\n");
    said.stderr
}

#[test]
fn a_file_that_was_cut_off_is_refused_wherever_that_was() {
    let space = least();
    let whole = space.read("run.json");
    let line_ends: Vec<usize> = whole.match_indices('\n').map(|(at, _)| at).collect();
    let mut cuts: Vec<usize> = (0..whole.len()).step_by(211).collect();
    cuts.extend(line_ends[..line_ends.len() - 1].iter().flat_map(|end| [end - 1, *end, end + 1]));
    for cut in cuts {
        let said = refused(&space, &whole[..cut]);
        assert!(said.starts_with("error: damaged.json is no exported run: line "), "cut off at {cut}: {said}");
        assert!(said.ends_with("  hint: `wasmill export RUN FILE` writes one\n"), "{said}");
    }
    // The end of the last line is no part of it.
    space.write("damaged.json", whole.trim_end());
    assert_eq!(there(&space, &["import", "damaged.json"]).code, 0);
}

#[test]
fn what_is_missing_or_too_much_is_said_with_its_line() {
    let space = least();
    let whole = space.read("run.json");
    let all: Vec<&str> = whole.lines().collect();
    for (content, expected) in [
        (format!("{}\n{}\n", all[0], all[1]), "line 2: it ends here, with 1 of 2 jobs\n"),
        (format!("{}\n{}\n{{}}\n", all[0], all[1]), "line 3: missing field `job`"),
        (format!("{}\nnothing\n{}\n", all[0], all[2]), "line 2: expected "),
        (format!("{}\n\n{}\n", all[0], all[2]), "line 2: EOF while parsing a value"),
        (
            whole.replace("\"wasmill_run\":1", "\"wasmill_run\":2"),
            "line 1: it has the form 2, and this wasmill reads 1\n",
        ),
        (
            whole.replace("\"wasmill_run\":1", "\"wasmill_run\":0"),
            "line 1: it has the form 0, and this wasmill reads 1\n",
        ),
        (whole.replace("\"wasmill_run\":1", "\"wasmill_run\":-1"), "line 1: invalid value"),
        (whole.replace("\"status\":\"succeeded\"", "\"status\":\"won\""), "line 2: unknown variant `won`"),
    ] {
        let said = refused(&space, content);
        assert!(said.contains(&format!("error: damaged.json is no exported run: {expected}")), "{expected}: {said}");
    }
    // More jobs than there are does not mean that it ends.
    let said = refused(&space, format!("{whole}{}\n", all[2]));
    assert!(said.contains("it has 3 jobs, and its first line says 2"), "{said}");
}

/// A file of a later version may have more in its first line, and another form of everything.
#[test]
fn a_newer_form_is_called_so_whatever_is_in_it() {
    let space = least();
    let said = refused(&space, "{\"wasmill_run\":2,\"run\":{\"plan\":\"x\"},\"parts\":[]}\n");
    assert!(said.contains("it has the form 2, and this wasmill reads 1\n"), "{said}");
}

#[test]
fn other_files_are_refused() {
    let space = least();
    for content in
        ["", "\n", "{}\n", "[]\n", "null\n", "{\"record\":{}}\n", "name = \"a plan\"\n", "{\"wasmill_run\":1}\n"]
    {
        let said = refused(&space, content);
        assert!(said.starts_with("error: damaged.json is no exported run: line 1: "), "{content:?}: {said}");
    }
    let module = std::fs::read(crate::support::guest("copy")).unwrap();
    assert!(refused(&space, module).starts_with("error: damaged.json "));
    for name in ["nowhere.json", "."] {
        let said = there(&space, &["import", name]);
        let expected = format!("error: {name} cannot be read\n  caused by: ");
        assert!(said.code == 103 && said.stderr.starts_with(&expected), "{said:?}");
    }
}

#[test]
fn fields_that_nobody_knows_yet_are_left_out() {
    let space = least();
    let mut all = lines(&space.read("run.json"));
    for line in &mut all {
        line["new"] = json!({ "more": [1, 2] });
    }
    all[0]["record"]["new"] = json!(1);
    all[1]["trace"]["new"] = json!("x");
    imported(&space, &all);
    assert_eq!(there(&space, &["show", "1"]).code, 0);
}

/// Imports these lines, which is all right.
fn imported(space: &TestSpace, lines: &[Value]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    space.write("changed.json", text);
    let said = there(space, &["import", "changed.json"]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn the_record_of_an_early_version_stays_without_a_setup() {
    let space = least();
    let mut all = lines(&space.read("run.json"));
    all[0]["record"].as_object_mut().unwrap().remove("setup");
    imported(&space, &all);
    let said = there(&space, &["show", "1", "--format", "json"]);
    assert_eq!(lines(&said.stdout)[0].get("setup"), None, "{said:?}");
}

#[test]
fn names_that_control_terminals_are_made_harmless() {
    let space = least();
    let mut all = lines(&space.read("run.json"));
    all[0]["record"]["plan"] = "\u{1b}[2Jplan".into();
    all[1]["job"] = "\u{1b}[31m\n</script><b>".into();
    all[1]["error"] = json!(["\u{1b}[31m\u{9b}"]);
    imported(&space, &all);
    for args in
        [["import", "changed.json"].as_slice(), &["show", "1"], &["analyze", "1"], &["runs"], &["stats"], &["why"]]
    {
        let said = there(&space, args);
        assert_eq!(said.code, 0, "{args:?}: {said:?}");
        assert!(!said.whole().contains(|char: char| char.is_control() && char != '\n'), "{args:?}: {said:?}");
    }
    assert_eq!(there(&space, &["analyze", "1", "--report", "r.html"]).code, 0);
    assert!(!space.read("r.html").contains("</script><b>"));
}

/// What the program says, if it ends within a time in which it does a hundred times as much.
fn said_in_time(space: &TestSpace, args: &[&str]) -> Option<Said> {
    let mut command = space.command(&[&["--store", "there"], args].concat());
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(15) {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(space.said(&child.wait_with_output().unwrap()))
}

/// Imports a run of which something was changed, and has every command look at it.
fn all_look_at(change: impl Fn(&mut Vec<Value>)) {
    let space = least();
    let mut all = lines(&space.read("run.json"));
    change(&mut all);
    imported(&space, &all);
    assert_eq!(there(&space, &["import", "run.json"]).code, 0);
    for args in [
        ["show", "1"].as_slice(),
        &["show", "1", "one"],
        &["show", "1", "--csv"],
        &["why", "--run", "1"],
        &["why", "--run", "2"],
        &["analyze", "1"],
        &["analyze", "1", "--report", "r.html", "--trace", "t.json"],
        &["compare", "1", "2"],
        &["stats"],
        &["runs"],
        &["tune", "--replay"],
        &["plan", "graph", "--run", "1"],
        &["verify", "1"],
        &["gc"],
        &["run", "-q", "--jobs", "2"],
    ] {
        let said = said_in_time(&space, args).unwrap_or_else(|| panic!("{args:?} does not end"));
        // What it was asked to do is not here, so nothing of it can be verified.
        let is_verified = args[0] == "verify" && said.code == 106;
        assert!([0, 103].contains(&said.code) || is_verified, "{args:?}: {said:?}");
    }
}

/// The same change for each job.
fn of_jobs(lines: &mut [Value], change: impl Fn(&mut Value)) {
    lines[1..].iter_mut().for_each(change);
}

#[test]
fn a_record_whose_jobs_need_what_is_not_there_or_each_other_can_be_looked_at() {
    all_look_at(|lines| lines[1]["trace"]["needs"] = json!([[7, 1], [u32::MAX, u32::MAX]]));
    all_look_at(|lines| of_jobs(lines, |job| job["trace"]["needs"] = json!([[0, 2]])));
    all_look_at(|lines| of_jobs(lines, |job| job["trace"]["came_of"] = json!([1, 0])));
}

#[test]
fn a_record_whose_jobs_have_the_same_number_or_name_can_be_looked_at() {
    all_look_at(|lines| of_jobs(lines, |job| job["trace"]["number"] = 0.into()));
    all_look_at(|lines| of_jobs(lines, |job| job["job"] = "same".into()));
    all_look_at(|lines| lines[1]["trace"]["number"] = u32::MAX.into());
}

#[test]
fn a_record_whose_times_cannot_be_can_be_looked_at() {
    all_look_at(|lines| lines[1]["ended_ns"] = 0.into());
    all_look_at(|lines| ["ready_ns", "started_ns", "ended_ns"].iter().for_each(|key| lines[1][*key] = u64::MAX.into()));
    all_look_at(|lines| lines[0]["record"]["started_unix_ms"] = u64::MAX.into());
    all_look_at(|lines| {
        ["wall_ns", "cpu_ns", "busy_ns"]
            .iter()
            .for_each(|key| lines[0]["record"]["state"]["ended"][*key] = u64::MAX.into());
    });
}

#[test]
fn a_record_whose_jobs_need_all_there_could_be_can_be_looked_at() {
    all_look_at(|lines| lines[1]["trace"]["needs"] = json!([[2, u32::MAX]]));
}

#[test]
fn a_record_whose_times_come_to_more_than_a_number_holds_can_be_looked_at() {
    all_look_at(|lines| of_jobs(lines, |job| job["usage"]["wall_ns"] = u64::MAX.into()));
    all_look_at(|lines| of_jobs(lines, |job| job["trace"]["phases"]["resolve_ns"] = u64::MAX.into()));
}

#[test]
fn a_record_whose_worker_has_the_last_number_can_be_looked_at() {
    all_look_at(|lines| lines[1]["trace"]["worker"] = u32::MAX.into());
}

#[test]
fn a_record_with_more_workers_than_can_be_can_be_looked_at() {
    all_look_at(|lines| lines[0]["record"]["setup"]["workers"] = u32::MAX.into());
}
