//! The report of a run as people see it: in a browser, on wide and narrow windows, in light and dark, with many jobs.

mod drawing;
mod trace;

use crate::browser::Page;
use crate::support::TestSpace;

/// Names and texts of which a careless page would make elements.
const ITEMS: [&str; 6] = [
    "<script src=x.js>alert(1)<-script>",
    "\"quotes\" & 'more' of them",
    "<img src=x onerror=alert(1)>",
    "<-script><b>bold",
    "plain",
    "a name with \u{202e}another direction",
];

const PLAN: &str = r#"
    name = "reported <b>plan</b>"
    [modules.exit]
    file = "exit_code.wasm"
    [jobs.check]
    module = "exit"
    for-each = { what = { json = "items.json" } }
    args = ["0", "{what}"]
    [jobs.bad]
    module = "exit"
    args = ["3"]
    in = { "/in/checks" = { jobs = "check" } }
    [jobs.behind]
    module = "exit"
    args = ["0"]
    in = { "/in/bad" = { job = "bad" } }
    [jobs.apart]
    module = "exit"
    args = ["0", "apart"]
    in = { "/in/x" = "x" }
    sla = { target = "10m", critical = true }
"#;

/// A second run: `check` is cached, `bad` fails once more, `behind` is skipped, `apart` has another input.
fn reported() -> TestSpace {
    let space = TestSpace::new();
    space.guest("exit_code").write("mill.toml", PLAN).write("x", "1");
    space.write("items.json", serde_json::json!(ITEMS).to_string());
    assert_eq!(space.run(&["run", "-k", "-q"]).code, 100);
    space.write("x", "2");
    let run = space.run(&["run", "-k", "-q", "--retry-failed", "--report", "r.html", "--trace", "t.json"]);
    assert_eq!(run.code, 100, "{run:?}");
    space
}

/// Opens the report, which has to be whole and to ask for nothing; none where there is no browser.
fn open(space: &TestSpace, place: &str) -> Option<Page> {
    let mut page = Page::open_at(&space.path("r.html"), place)?;
    let ready = page.evaluate("document.documentElement.dataset.ready");
    assert!(ready.as_str().is_some_and(|ms| ms.parse::<u64>().is_ok()), "{ready}: {:?}", page.complaints());
    assert_eq!(page.complaints(), [""; 0]);
    assert_eq!(page.requested().len(), 1, "{:?}", page.requested());
    assert!(page.requested()[0].starts_with("file://"), "{:?}", page.requested());
    Some(page)
}

/// The names in the table of jobs, in its order.
const NAMES: &str = "[...document.querySelectorAll('#jobs tr[data-job] td:first-child')].map(cell => cell.innerText)";

#[test]
fn the_page_says_what_came_of_the_run_and_of_each_job() {
    let space = reported();
    let Some(mut page) = open(&space, "") else { return };
    let top = page.evaluate("document.getElementById('top').innerText").as_str().unwrap().to_owned();
    for expected in ["reported <b>plan</b> run 2", "Failed", "7 of 9 jobs succeeded, 6 cached, 1 failed, 1 skipped"] {
        assert!(top.contains(expected), "{expected:?} is not in {top}");
    }
    assert_eq!(page.evaluate("document.title"), "reported <b>plan</b> · run 2");
    assert_eq!(page.evaluate("document.querySelector('#jobs [role=status]').innerText"), "9 jobs");
    let rows = page.evaluate("[...document.querySelectorAll('#jobs tr[data-job]')].map(row => row.innerText)");
    let row = |name: &str| {
        let found = rows.as_array().unwrap().iter().map(|row| row.as_str().unwrap());
        found.clone().find(|row| row.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {rows}")).to_owned()
    };
    assert!(row("bad").contains("failed") && row("bad").contains("failed last time: exited with code 3"));
    assert!(row("behind").contains("skipped"));
    assert!(row("apart").contains("input /in/x changed: 6b86b273… → d4735e3a…"));
    assert!(row("check[plain]").contains("succeeded") && row("check[plain]").contains("cached"));
    let text = page.text();
    for expected in ["1 of 1", "6 jobs of 9 came from the cache", "cached: not executed"] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    assert!(!text.contains("NaN") && !text.contains("undefined") && !text.contains("[object"), "{text}");
}

#[test]
fn a_job_is_shown_whole_where_the_address_names_it() {
    let space = reported();
    let Some(mut page) = open(&space, "") else { return };
    let job = page.evaluate(
        "[...document.querySelectorAll('#jobs tr[data-job]')].find(row => row.innerText.startsWith('bad')).dataset.job",
    );
    let Some(mut page) = open(&space, &format!("#jobs?job={}", job.as_str().unwrap())) else { return };
    let details = page.evaluate("document.getElementById('details').innerText").as_str().unwrap().to_owned();
    for expected in ["bad", "failed", "exited with code 3"] {
        assert!(details.contains(expected), "{expected:?} is not in {details}");
    }
    assert_eq!(page.evaluate("document.getElementById('details').hidden"), false);
    // A job that is not there is none.
    let Some(mut page) = open(&space, "#jobs?job=4711") else { return };
    assert_eq!(page.evaluate("document.getElementById('details').hidden"), true);
}

#[test]
fn the_table_is_filtered_by_the_address() {
    let space = reported();
    for (filter, expected) in [
        ("status:failed", ["bad"].as_slice()),
        ("status:skipped", &["behind"]),
        ("cached:no%20status:succeeded", &["apart"]),
        ("PLAIN", &["check[plain]"]),
        ("why:%22input%20/in/x%22", &["apart"]),
        ("family:check%20bold", &["check[<-script><b>bold]"]),
        ("none-is-called-so", &[]),
    ] {
        let Some(mut page) = open(&space, &format!("#jobs?filter={filter}")) else { return };
        assert_eq!(page.evaluate(NAMES), serde_json::json!(expected), "{filter}");
        let count = format!("{} of 9 jobs", expected.len());
        assert_eq!(page.evaluate("document.querySelector('#jobs [role=status]').innerText"), count.as_str());
    }
    // The same while the page is open, and back.
    let Some(mut page) = open(&space, "") else { return };
    let change = |page: &mut Page, hash: &str| {
        let wait = "new Promise(done => setTimeout(() => done(true), 200))";
        page.evaluate(&format!("(location.hash = '{hash}', {wait})"));
        page.evaluate(NAMES).as_array().unwrap().len()
    };
    assert_eq!(change(&mut page, "#jobs?filter=status:failed"), 1);
    assert_eq!(page.evaluate("document.getElementById('filter').value"), "status:failed");
    assert_eq!(change(&mut page, "#jobs"), 9);
}

#[test]
fn the_table_is_sorted_by_what_is_pressed() {
    let space = reported();
    let Some(mut page) = open(&space, "#jobs?sort=name") else { return };
    let names: Vec<String> = serde_json::from_value(page.evaluate(NAMES)).unwrap();
    assert_eq!((names[0].as_str(), names[1].as_str(), names[2].as_str()), ("apart", "bad", "behind"));
    page.evaluate("document.querySelector('#jobs th[data-key=name] button').click()");
    let back: Vec<String> = serde_json::from_value(page.evaluate(NAMES)).unwrap();
    assert_eq!(back, names.into_iter().rev().collect::<Vec<_>>());
    assert_eq!(page.evaluate("document.querySelector('#jobs th[data-key=name]').ariaSort"), "descending");
}

/// Names are text, wherever they are shown.
#[test]
fn no_name_becomes_an_element() {
    let space = reported();
    let Some(mut page) = open(&space, "#jobs?job=0") else { return };
    page.resize(1400, 900);
    let made = "document.querySelectorAll('script[src], img, b, #main script, iframe, [onerror]').length";
    assert_eq!(page.evaluate(made), 0);
    assert_eq!(page.evaluate("document.querySelectorAll('script').length"), 2, "the data and the page's own");
    let names: Vec<String> = serde_json::from_value(page.evaluate(NAMES)).unwrap();
    for item in &ITEMS[..5] {
        let shown = |name: &String| name == &format!("check[{item}]");
        assert!(names.iter().any(shown), "{item} is not in {names:?}");
    }
    assert!(names.iter().any(|name| name == "check[a name with \u{fffd}another direction]"), "{names:?}");
    assert!(!page.text().contains('\u{202e}'));
    assert_eq!(page.requested().len(), 1, "{:?}", page.requested());
    // Nor does one end the element with the data.
    let source = space.read("r.html");
    assert_eq!(source.matches("</script>").count(), 2);
    assert!(!source.contains("<script src") && !source.contains("<img"));
}

#[test]
fn what_may_be_loaded_is_nothing() {
    let space = reported();
    let source = space.read("r.html");
    assert!(source.contains("content=\"default-src 'none';"), "{}", &source[..600]);
    // The namespace of SVG is a name and no address.
    let rest = source.replace("http://www.w3.org/2000/svg", "");
    assert!(!rest.contains("http://") && !rest.contains("https://"));
    assert!(!source.contains("/*STYLE*/") && !source.contains("/*DATA*/") && !source.contains("/*SCRIPT*/"));
}

#[test]
fn a_run_without_jobs_has_a_page() {
    let space = TestSpace::new();
    space.write("mill.toml", "name = \"empty\"\n");
    assert_eq!(space.run(&["run", "-q", "--report", "r.html"]).code, 0);
    let Some(mut page) = open(&space, "") else { return };
    let text = page.text();
    for expected in ["empty run 1", "Succeeded", "the plan has no jobs", "The run had no jobs."] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    assert!(!text.contains("NaN") && !text.contains("Infinity"), "{text}");
}

#[test]
fn an_address_that_makes_no_sense_is_no_failure() {
    let space = reported();
    for place in [
        "#nowhere",
        "#jobs?sort=nothing&from=9&to=1",
        "#jobs?filter=%22open%20status:",
        "#timeline?from=1&to=2",
        "#?%zz",
    ] {
        let Some(mut page) = open(&space, place) else { return };
        assert!(page.text().contains("Environment"), "{place}");
    }
}

/// The data has what the record of the run has.
#[test]
fn the_data_in_the_page_is_that_of_the_record() {
    let space = reported();
    let source = space.read("r.html");
    let (_, data) = source.split_once("id=\"data\">").unwrap();
    let data: serde_json::Value = serde_json::from_str(data.split("</script>").next().unwrap()).unwrap();
    let (_, shown) = space.events(&["show", "2"]);
    let jobs = &shown[1..];
    let column = |name: &str| data["jobs"][name].as_array().unwrap_or_else(|| panic!("no column {name}"));
    for name in ["name", "status", "wall_us", "needs", "why", "family", "slack_us"] {
        assert_eq!(column(name).len(), jobs.len(), "{name}");
    }
    for (at, job) in jobs.iter().enumerate() {
        assert_eq!((&column("name")[at], &column("status")[at]), (&job["job"], &job["status"]));
        assert_eq!(column("cached")[at] == 1, job["cached"] == true, "{job}");
        assert_eq!(column("memory")[at], job["usage"]["memory_peak_bytes"]);
        assert_eq!(column("wall_us")[at].as_u64(), job["usage"]["wall_ns"].as_u64().map(|ns| ns / 1_000));
        assert_eq!(column("end_us")[at].as_u64(), job["ended_ns"].as_u64().map(|ns| ns / 1_000));
    }
    assert_eq!((&data["run"]["id"], &data["run"]["success"]), (&2.into(), &false.into()));
    assert_eq!(data["run"]["wall_ns"], shown[0]["state"]["ended"]["wall_ns"]);
}

/// Whether the target is critical is not whether the job is on the critical path.
#[test]
fn a_target_that_is_critical_is_not_called_a_path() {
    let space = reported();
    let Some(mut page) = open(&space, "") else { return };
    let heads = page.evaluate("[...document.querySelectorAll('#slas th')].map(head => head.innerText)");
    assert!(!heads.as_array().unwrap().contains(&"Critical path".into()), "{heads}");
}
