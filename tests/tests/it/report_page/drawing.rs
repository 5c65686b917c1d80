//! How the report is drawn: screenshots, narrow windows, dark colours, and a run of many jobs.

use std::path::PathBuf;

use super::{NAMES, open, reported};
use crate::support::TestSpace;

/// Where screenshots are kept for people to look at, if `WASMILL_TEST_ARTIFACTS` names a folder.
fn artifacts(space: &TestSpace) -> PathBuf {
    let dir = std::env::var_os("WASMILL_TEST_ARTIFACTS").map_or_else(|| space.path("screenshots"), PathBuf::from);
    std::fs::create_dir_all(&dir).expect("folders can be made");
    dir
}

fn width_of(png: &[u8]) -> u32 {
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    assert_eq!(&png[12..16], b"IHDR");
    u32::from_be_bytes(png[16..20].try_into().unwrap())
}

#[test]
fn it_is_drawn_in_light_and_dark_on_wide_and_narrow_windows() {
    let space = reported();
    let Some(mut page) = open(&space, "") else { return };
    let dir = artifacts(&space);
    for width in [1400, 500] {
        page.resize(width, 1000);
        let shots = ["light", "dark"].map(|scheme| {
            page.prefer(scheme);
            let shot = page.screenshot();
            std::fs::write(dir.join(format!("report-{scheme}-{width}.png")), &shot).expect("files can be written");
            assert_eq!(width_of(&shot), width);
            (shot, page.evaluate("getComputedStyle(document.body).backgroundColor"))
        });
        assert_ne!(shots[0].0, shots[1].0, "light and dark are the same at {width}");
        assert_ne!(shots[0].1, shots[1].1, "with the same background");
    }
    assert_eq!(page.complaints(), [""; 0]);
}

/// What there is, and what there is room for.
const WIDTHS: &str = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]";

/// What does not fit is scrolled where it is; the page as a whole is not.
#[test]
fn nothing_is_wider_than_a_narrow_window() {
    let space = reported();
    for place in ["", "#jobs?job=0", "#jobs?filter=status:failed"] {
        let Some(mut page) = open(&space, place) else { return };
        for width in [500, 360] {
            page.resize(width, 800);
            let widths = page.evaluate(WIDTHS);
            assert_eq!(widths[0], widths[1], "at {width} with {place:?}");
            assert!(widths[1].as_u64() <= Some(width.into()), "{widths}");
        }
    }
}

#[test]
fn the_theme_can_be_chosen_whatever_the_system_prefers() {
    let space = reported();
    let Some(mut page) = open(&space, "") else { return };
    page.prefer("light");
    let background = "getComputedStyle(document.body).backgroundColor";
    let light = page.evaluate(background);
    let press = "[...document.querySelectorAll('#top button')].find(one => one.innerText.startsWith('Theme')).click()";
    page.evaluate(press);
    assert_eq!(
        (page.evaluate("document.documentElement.dataset.theme"), page.evaluate(background)),
        ("light".into(), light.clone())
    );
    page.evaluate(press);
    assert_eq!(page.evaluate("document.documentElement.dataset.theme"), "dark");
    assert_ne!(page.evaluate(background), light);
    page.evaluate(press);
    assert_eq!(page.evaluate(background), light);
}

/// Ten thousand jobs, most of them cached, so that the run itself takes seconds.
#[test]
fn a_report_of_ten_thousand_jobs_is_small_and_soon_ready() {
    const JOBS: usize = 10_000;
    let space = TestSpace::new();
    let plan = r#"
        name = "large"
        [modules.script]
        file = "script.wasm"
        [jobs.each]
        module = "script"
        for-each = { name = { lines = "names" } }
        args = ["write", "name", "{name}"]
        [jobs.last]
        module = "script"
        args = ["fail"]
        in = { "/in/all" = { jobs = "each" } }
    "#;
    let names: String = (1..JOBS).map(|at| format!("item-{at}-of-many\n")).collect();
    space.guest("script").write("mill.toml", plan).write("names", names);
    assert_eq!(space.run(&["run", "-q", "--report", "r.html"]).code, 100);
    let bytes = std::fs::metadata(space.path("r.html")).unwrap().len();
    assert!(bytes < 5_000_000, "{bytes} bytes");
    let Some(mut page) = open(&space, "") else { return };
    let ready = page.evaluate("Number(document.documentElement.dataset.ready)");
    assert!(ready.as_u64().is_some_and(|ms| ms < 10_000), "ready after {ready} ms");
    assert_eq!(page.evaluate("document.querySelector('#jobs [role=status]').innerText"), "10,000 jobs");
    let rows = page.evaluate(NAMES).as_array().unwrap().len();
    assert!((1..200).contains(&rows), "only rows in view exist, and there are {rows}");
    let elements = page.evaluate("document.querySelectorAll('*').length").as_u64().unwrap();
    assert!(elements < 20_000, "{elements} elements");
    assert_eq!(page.evaluate("document.querySelector('#jobs table').ariaRowCount"), "10001");
    // The last rows come when one scrolls to them.
    let scroll = "(box => (box.scrollTop = box.scrollHeight, new Promise(done => setTimeout(() => done(true), 300))))";
    page.evaluate(&format!("{scroll}(document.querySelector('#jobs .rows'))"));
    let names: Vec<String> = serde_json::from_value(page.evaluate(NAMES)).unwrap();
    assert_eq!(names.last().map(String::as_str), Some("last"), "{names:?}");
    let Some(mut page) = open(&space, "#jobs?filter=status:failed") else { return };
    assert_eq!(page.evaluate(NAMES), serde_json::json!(["last"]));
}
