//! Runs as OpenTelemetry spans: what a collector gets, and what becomes of a run whose collector does not do its part.

mod collector;
mod spans;

use std::time::{Duration, Instant};

use serde_json::Value;

use self::collector::{Answer, Collector, nobody};
use self::spans::Trace;
use crate::support::{Said, TestSpace};

const PLAN: &str = r#"
    name = "told"
    [modules.exit]
    file = "exit_code.wasm"
    [modules.copy]
    file = "copy.wasm"
    [jobs.copy]
    module = "copy"
    in = { "/in/leaf" = "leaf" }
    [jobs.each]
    module = "exit"
    for-each = { n = ["1", "2"] }
    args = ["0", "{n}"]
    [jobs.bad]
    module = "exit"
    args = ["3"]
    [jobs.behind]
    module = "copy"
    in = { "/in/leaf" = { job = "bad", path = "left-behind" } }
"#;

fn space() -> TestSpace {
    let space = TestSpace::new();
    space.guest("exit_code").guest("copy").write("leaf", "leaf").write("mill.toml", PLAN);
    space
}

/// The least that succeeds.
fn least() -> TestSpace {
    let space = space();
    let plan =
        "name = \"least\"\n[modules.exit]\nfile = \"exit_code.wasm\"\n[jobs.one]\nmodule = \"exit\"\nargs = [\"0\"]\n";
    space.write("mill.toml", plan);
    space
}

/// Whoever runs the tests may have set a proxy, which does not know this machine.
fn run(space: &TestSpace, args: &[&str]) -> Said {
    let mut command = space.command(args);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    space.said(&command.output().expect("the program starts"))
}

/// What was sent of a run of the plan.
fn told(space: &TestSpace, args: &[&str], code: i32) -> Trace {
    let collector = Collector::start(Answer::Status(200));
    let said = run(space, &[args, &["--otlp", &collector.url()]].concat());
    assert_eq!(said.code, code, "{said:?}");
    assert!(!said.stderr.contains("not sent"), "{said:?}");
    Trace::of(&collector.requests())
}

#[test]
fn each_job_is_a_span_in_that_of_its_run() {
    let space = space();
    let trace = told(&space, &["run", "-q", "-k"], 100);
    let mut names: Vec<&str> = trace.jobs.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["bad", "copy", "each[1]", "each[2]"], "`behind` never began");
    assert_eq!(trace.root.name, "wasmill run told");
    let of_root = |key: &str| trace.root.attributes[key].as_str();
    assert_eq!((of_root("wasmill.run"), of_root("wasmill.plan"), of_root("wasmill.jobs")), ("1", "told", "5"));
    for span in &trace.jobs {
        assert_eq!(span.attributes["wasmill.job"], span.name);
    }
    assert_eq!(trace.job("each[2]").attributes["wasmill.family"], "each");
    assert_eq!(trace.resource["service.name"], "wasmill");
    assert_eq!(trace.resource["os.type"], std::env::consts::OS);
}

#[test]
fn what_failed_has_the_status_of_an_error_and_says_why() {
    let space = space();
    let trace = told(&space, &["run", "-q", "-k"], 100);
    assert_eq!((trace.job("bad").status, trace.job("bad").message.as_str()), (2, "exited with code 3"));
    assert_eq!((trace.job("copy").status, trace.job("copy").message.as_str()), (1, ""));
    assert_eq!(trace.root.status, 2);
    space.write("mill.toml", PLAN.replace("\"leaf\" }", "\"gone\" }"));
    let trace = told(&space, &["run", "-q", "-k", "--job", "copy"], 100);
    assert_eq!(trace.job("copy").status, 2);
    assert!(!trace.job("copy").message.is_empty(), "what kept wasmill from it");
    assert_eq!(told(&least(), &["run", "-q"], 0).root.status, 1);
}

/// The figures of a span are those of the record.
#[test]
fn spans_have_the_figures_of_the_record() {
    let space = space();
    let trace = told(&space, &["run", "-q", "-k"], 100);
    let (_, shown) = space.events(&["show", "1"]);
    let started_ns = u128::from(shown[0]["started_unix_ms"].as_u64().unwrap()) * 1_000_000;
    let summary = &shown[0]["state"]["ended"];
    assert_eq!(trace.root.attributes["wasmill.cpu_ns"], summary["cpu_ns"].to_string());
    assert_eq!(trace.root.end_ns - trace.root.start_ns, u128::from(summary["wall_ns"].as_u64().unwrap()));
    for job in shown[1..].iter().filter(|job| !job["trace"]["worker"].is_null()) {
        let span = trace.job(job["job"].as_str().unwrap());
        let number = |value: &Value| u128::from(value.as_u64().unwrap());
        assert_eq!(span.end_ns - span.start_ns, number(&job["ended_ns"]) - number(&job["started_ns"]));
        assert_eq!(span.start_ns - trace.root.start_ns, number(&job["started_ns"]));
        assert!(span.start_ns.abs_diff(started_ns + number(&job["started_ns"])) < 10_000_000_000);
        for (key, value) in [
            ("wasmill.action", job["key"].as_str().unwrap().to_owned()),
            ("wasmill.cached", job["cached"].to_string()),
            ("wasmill.worker", job["trace"]["worker"].to_string()),
            ("wasmill.attempts", job["trace"]["attempts"].to_string()),
            ("wasmill.execute_ns", job["usage"]["wall_ns"].to_string()),
            ("wasmill.cpu_ns", job["usage"]["cpu_ns"].to_string()),
            ("wasmill.resolve_ns", job["trace"]["phases"]["resolve_ns"].to_string()),
            ("wasmill.memory_peak_bytes", job["usage"]["memory_peak_bytes"].to_string()),
        ] {
            assert_eq!(span.attributes[key], value, "{key} of {job}");
        }
    }
}

/// What is over cannot end later than it is told.
#[test]
fn nothing_ends_after_it_was_told() {
    let space = space();
    // A plan that takes a while to be read: its lists are looked through before the run begins.
    for at in 0..3_000 {
        space.write(&format!("many/{at}"), "");
    }
    let many = "[jobs.many]\nmodule = \"exit\"\nfor-each = { file = \"many/*7\" }\nargs = [\"0\"]\n";
    space.write("mill.toml", format!("{PLAN}{many}"));
    let collector = Collector::start(Answer::Status(200));
    run(&space, &["run", "-q", "--job", "copy", "--otlp", &collector.url()]);
    let requests = collector.requests();
    let trace = Trace::of(&requests);
    assert!(trace.root.end_ns <= requests[0].at_unix_ns + 1_000_000, "{:?} at {}", trace.root, requests[0].at_unix_ns);
}

#[test]
fn what_was_cached_is_a_span_that_says_so() {
    let space = least();
    assert_eq!(told(&space, &["run", "-q"], 0).job("one").attributes["wasmill.cached"], "false");
    let again = told(&space, &["run", "-q"], 0);
    assert_eq!(again.job("one").attributes["wasmill.cached"], "true");
    assert_eq!(again.job("one").attributes["wasmill.attempts"], "0");
    assert_eq!(again.root.attributes["wasmill.jobs.cached"], "1");
}

/// Whoever sends a run again gets the same spans, and other runs get others.
#[test]
fn a_run_can_be_sent_later_and_is_the_same() {
    let space = space();
    let first = told(&space, &["run", "-q", "-k"], 100);
    let second = told(&space, &["run", "-q", "-k"], 100);
    let later = told(&space, &["analyze", "1"], 0);
    assert_eq!(
        format!("{:?}", (&first.id, &first.root, &first.jobs)),
        format!("{:?}", (&later.id, &later.root, &later.jobs))
    );
    assert_ne!(first.id, second.id);
    let latest = told(&space, &["analyze"], 0);
    assert_eq!(latest.id, second.id);
}

#[test]
fn many_jobs_are_sent_in_several_requests() {
    let space = TestSpace::new();
    let plan = r#"
        [modules.work]
        file = "batched.wasm"
        [jobs.each]
        module = "work"
        for-each = { n = { lines = "list" } }
        batch = 1200
        in = { "/in/leaf" = "leaf" }
        args = ["{n}"]
    "#;
    let list: String = (0..1_200).map(|at| format!("{at}\n")).collect();
    space.guest("batched").write("mill.toml", plan).write("list", list).write("leaf", "leaf");
    let collector = Collector::start(Answer::Status(200));
    let said = run(&space, &["run", "-q", "--otlp", &collector.url()]);
    assert_eq!(said.code, 0, "{said:?}");
    let requests = collector.requests();
    assert_eq!(requests.len(), 2, "1201 spans, at most 1000 in each");
    assert_eq!(Trace::of(&requests).jobs.len(), 1_200);
}

#[test]
fn the_collector_may_be_below_a_path() {
    let space = least();
    let collector = Collector::start(Answer::Status(200));
    for end in ["/below", "/below/"] {
        assert_eq!(run(&space, &["run", "-q", "--otlp", &format!("{}{end}", collector.url())]).code, 0);
        assert_eq!(collector.requests()[0].line, "POST /below/v1/traces HTTP/1.1");
    }
    assert_eq!(run(&space, &["run", "-q", "--otlp", &format!("{}/", collector.url())]).code, 0);
    assert_eq!(collector.requests()[0].line, "POST /v1/traces HTTP/1.1");
}

#[test]
fn every_status_of_success_is_one() {
    let space = least();
    for status in [200, 202] {
        let collector = Collector::start(Answer::Status(status));
        let said = run(&space, &["run", "-q", "--otlp", &collector.url()]);
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{status}");
    }
}

/// The run is what it is, whoever hears of it: what is said, and what the program ends with.
fn not_told(space: &TestSpace, url: &str, code: i32) -> String {
    let began = Instant::now();
    let said = run(space, &["run", "-q", "--otlp", url]);
    assert_eq!(said.code, code, "{said:?}");
    assert!(began.elapsed() < Duration::from_secs(60), "nobody waits for a collector for ever");
    let start = format!("warning: the run was not sent to {url}/v1/traces\n  caused by: ");
    assert!(said.stderr.contains(&start), "{said:?}");
    let end = "\n  hint: the run itself is recorded; `wasmill analyze RUN --otlp URL` sends it again\n";
    assert!(said.stderr.ends_with(end), "{said:?}");
    said.stderr
}

#[test]
fn a_run_ends_as_it_would_where_nobody_listens() {
    let space = least();
    not_told(&space, &nobody(), 0);
    // And it can be sent once somebody does.
    assert_eq!(told(&space, &["analyze", "1"], 0).root.attributes["wasmill.run"], "1");
    let failing = self::space();
    let stderr = not_told(&failing, &nobody(), 100);
    assert!(stderr.contains("job `bad` exited with code 3"), "{stderr}");
}

#[test]
fn a_run_ends_as_it_would_where_the_collector_refuses_or_breaks_off() {
    let space = least();
    for answer in [Answer::Status(500), Answer::Status(404), Answer::Close, Answer::CloseAtOnce, Answer::Nonsense] {
        let collector = Collector::start(answer);
        let stderr = not_told(&space, &collector.url(), 0);
        if let Answer::Status(status) = answer {
            assert!(stderr.contains(&status.to_string()), "{answer:?}: {stderr}");
        }
    }
}

#[test]
fn a_collector_that_says_nothing_is_not_waited_for_long() {
    let collector = Collector::start(Answer::Hang);
    let stderr = not_told(&least(), &collector.url(), 0);
    assert!(stderr.contains("timeout"), "{stderr}");
}

#[test]
fn who_only_sends_fails_where_it_cannot() {
    let space = least();
    assert_eq!(run(&space, &["run", "-q"]).code, 0);
    let said = run(&space, &["analyze", "--otlp", &nobody()]);
    assert!(said.code == 105 && said.stderr.starts_with("error: the run was not sent to "), "{said:?}");
    let collector = Collector::start(Answer::Status(503));
    let said = run(&space, &["analyze", "--otlp", &collector.url()]);
    assert!(said.code == 105 && said.stderr.contains("503"), "{said:?}");
    assert!(said.stdout.contains("critical path"), "what it was asked for is said all the same: {said:?}");
}

/// A program reads the exit code in the last `error` (docs/events.md), and the run has another.
#[test]
fn programs_are_told_the_exit_code_that_there_is() {
    let said = run(&least(), &["run", "--format", "json", "--otlp", &nobody()]);
    let last: Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    assert!(last["event"] != "error" || last["exit_code"] == said.code, "{said:?}");
}

#[test]
fn a_place_that_is_none_is_refused_before_anything_runs() {
    let space = least();
    for url in ["localhost:4318", "", "https://localhost:4318", "ftp://x", "http://", "http:///", "/v1/traces"] {
        for command in ["run", "analyze"] {
            let refused = run(&space, &[command, "--otlp", url]);
            assert_eq!((refused.code, refused.stdout.as_str()), (101, ""), "{url}: {refused:?}");
            assert!(
                refused.stderr.starts_with("error: cannot use --otlp: it has to begin with `http://`"),
                "{refused:?}"
            );
        }
    }
    assert_eq!(space.run(&["runs"]).stdout, "no runs yet\n");
}

#[test]
fn a_place_that_only_looks_like_one_is_refused_before_anything_runs() {
    let space = least();
    for url in
        ["http://a b", "http://[::1", "http://127.0.0.1:99999", "http://127.0.0.1:port", "http://:4318", "http://x?y"]
    {
        let refused = run(&space, &["run", "--otlp", url]);
        assert_eq!((refused.code, refused.stdout.as_str()), (101, ""), "{url}: {refused:?}");
    }
    assert_eq!(space.run(&["runs"]).stdout, "no runs yet\n");
}

#[test]
fn nothing_is_sent_of_a_run_that_does_not_begin_or_is_only_rehearsed() {
    let space = least();
    let collector = Collector::start(Answer::Status(200));
    assert_eq!(run(&space, &["run", "nowhere", "--otlp", &collector.url()]).code, 102);
    assert_eq!(run(&space, &["run", "--dry-run", "--otlp", &collector.url()]).code, 101);
    assert_eq!(run(&space, &["analyze", "7", "--otlp", &collector.url()]).code, 103);
    assert!(collector.requests().is_empty());
}

/// A run that is cancelled has ended, and is told of with what it came to.
#[test]
fn a_run_that_is_cancelled_is_told_of() {
    let space = TestSpace::new();
    let plan = "[modules.l]\nfile = \"loop_forever.wasm\"\n[jobs.endless]\nmodule = \"l\"\n";
    space.guest("loop_forever").write("mill.toml", plan);
    let trace = told(&space, &["run", "-q", "--run-timeout", "200ms"], 130);
    assert_eq!((trace.root.status, trace.jobs.len()), (2, 1), "{trace:#?}");
}

#[test]
fn a_job_that_was_cancelled_did_not_go_well() {
    let space = TestSpace::new();
    let plan = "[modules.l]\nfile = \"loop_forever.wasm\"\n[jobs.endless]\nmodule = \"l\"\n";
    space.guest("loop_forever").write("mill.toml", plan);
    let trace = told(&space, &["run", "-q", "--run-timeout", "200ms"], 130);
    assert_ne!(trace.job("endless").status, 1, "{trace:#?}");
}

/// Nobody knows whether it would have gone well.
#[test]
fn a_run_that_did_not_end_did_not_go_well() {
    let trace = told(&crate::exporting::killed(), &["analyze", "1"], 0);
    assert_ne!(trace.root.status, 1, "{trace:#?}");
}
