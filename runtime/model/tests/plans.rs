//! Plans on disk against what is read from them: `good/NAME.{toml,json}` give `NAME.plan`, and everything in `bad`
//! gives the errors in its `.err`; plans in `yielded`, which are read against the job of another one, give either. `UPDATE_EXPECTED=1` writes what is read in place of what is expected.
//!
//! Does not know: how errors are shown to people.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use wasmill_model::plan::{Diagnostic, Format, Outer, Plan, Span, parse, parse_yielded};

fn plans(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| format(path).is_some());
    paths.sort();
    paths
}

fn format(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()? {
        "toml" => Some(Format::Toml),
        "json" => Some(Format::Json),
        _ => None,
    }
}

fn read(path: &Path) -> (String, Result<Plan, Vec<Diagnostic>>) {
    // A checkout may have turned the ends of lines.
    let text = fs::read_to_string(path).unwrap().replace("\r\n", "\n");
    let plan = parse(&text, format(path).unwrap());
    (text, plan)
}

/// Compares, or updates; returns what differs.
fn compare(path: &Path, actual: &str) -> Option<String> {
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(path, actual).unwrap();
        return None;
    }
    let expected = fs::read_to_string(path).unwrap_or_default().replace("\r\n", "\n");
    (expected != actual).then(|| format!("{}:\n--- expected\n{expected}\n+++ actual\n{actual}\n", path.display()))
}

/// A plan without the places, which are the one thing in which TOML and JSON differ.
fn without_places(plan: &Plan) -> String {
    let mut text = String::new();
    for line in format!("{plan:#?}").lines().filter(|line| !line.trim_start().starts_with("span: ")) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn position(text: &str, offset: usize) -> String {
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|char| *char != '\n').count() + 1;
    format!("{line}:{column}")
}

fn show(text: &str, diagnostics: &[Diagnostic]) -> String {
    let mut shown = String::new();
    for diagnostic in diagnostics {
        writeln!(shown, "{}", diagnostic.message).unwrap();
        for label in &diagnostic.labels {
            let marked: String = text[label.span.clone()].chars().take(40).collect();
            writeln!(shown, "    {} {marked:?} {}", position(text, label.span.start), label.text).unwrap();
        }
        if let Some(hint) = &diagnostic.hint {
            writeln!(shown, "    hint: {hint}").unwrap();
        }
    }
    shown
}

#[test]
fn good_plans_are_read_alike_from_toml_and_json() {
    let mut wrong = Vec::new();
    for path in plans("good") {
        match read(&path) {
            (_, Ok(plan)) => wrong.extend(compare(&path.with_extension("plan"), &without_places(&plan))),
            (text, Err(errors)) => wrong.push(format!("{}:\n{}", path.display(), show(&text, &errors))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(plans("good").len() >= 20);
}

#[test]
fn bad_plans_have_all_their_errors_reported_at_once() {
    let mut wrong = Vec::new();
    for path in plans("bad") {
        match read(&path) {
            (_, Ok(_)) => wrong.push(format!("{} was accepted", path.display())),
            (text, Err(errors)) => wrong.extend(compare(&path.with_extension("err"), &show(&text, &errors))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(plans("bad").len() >= 40);
}

#[test]
fn plans_that_jobs_yield_reach_nothing_of_the_host() {
    let by = "[modules.m]\nfile = 'm.wasm'\n[resources]\nlicence = 1\n[jobs.by]\nmodule = 'm'\nyields = 'p.json'\n\
              limits = { memory = '64MiB', fuel = 1000, output = '1MiB', timeout = '1s' }\n";
    let around = parse(by, Format::Toml).unwrap();
    let modules = around.modules.keys().cloned().collect();
    let outer = Outer { modules: &modules, resources: &around.resources, by: &around.jobs[0] };
    let mut wrong = Vec::new();
    for path in plans("yielded") {
        let text = fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
        let name = path.file_stem().unwrap().to_str().unwrap();
        match parse_yielded(&text, outer) {
            Ok(plan) if name.starts_with("good") => {
                assert!(plan.jobs.iter().all(|job| job.limits.fuel == Some(1000) && job.timeout.wall_ms == 1000));
                wrong.extend(compare(&path.with_extension("plan"), &without_places(&plan)));
            }
            Ok(_) => wrong.push(format!("{} was accepted", path.display())),
            Err(errors) => wrong.extend(compare(&path.with_extension("err"), &show(&text, &errors))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_expectation_has_its_plan() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    for (folder, extension) in [(folder.join("good"), "plan"), (folder.join("bad"), "err")] {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.extension().is_some_and(|found| found == extension) {
                assert!(path.with_extension("toml").exists() || path.with_extension("json").exists(), "{path:?}");
            }
        }
    }
}

#[test]
fn the_examples_of_the_reference_are_valid_plans() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plan.md");
    let reference = fs::read_to_string(reference).unwrap().replace("\r\n", "\n");
    let mut examples = 0;
    for block in reference.split("```toml\n").skip(1) {
        let example = block.split("```").next().unwrap();
        let has_modules = example.contains("[modules");
        let prelude = if has_modules { "" } else { "[modules.m]\nfile = \"m.wasm\"\n[defaults]\nmodule = \"m\"\n" };
        let text = format!("{example}{prelude}");
        if let Err(errors) = parse(&text, Format::Toml) {
            panic!("{text}\n{}", show(&text, &errors));
        }
        examples += 1;
    }
    assert!(examples >= 5);
}

#[test]
fn the_reference_has_the_values_of_every_built_in_profile() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plan.md");
    let reference = fs::read_to_string(reference).unwrap().replace("\r\n", "\n");
    for one in wasmill_model::plan::built_in() {
        let row = reference.lines().find_map(|line| line.strip_prefix(&format!("| `{}` | ", one.name)));
        let values = row.unwrap_or_else(|| panic!("no row for `{}`", one.name)).split(" | ").next().unwrap();
        let lines = values.trim_matches('`').replace("`, `", "\n");
        let lines = if lines == "none" { String::new() } else { lines };
        let text = format!("[profile.{}]\n{lines}\n", one.name);
        let read =
            wasmill_model::plan::parse_config(&text, Format::Toml).unwrap_or_else(|errors| panic!("{text}{errors:?}"));
        assert_eq!(read.by_name[one.name], one.profile, "{text}");
    }
}

/// Reads anything as both notations. Whatever comes of it, places must lie in the text and errors must be there.
fn survives(text: &str) {
    for format in [Format::Toml, Format::Json] {
        if let Err(errors) = parse(text, format) {
            assert!(!errors.is_empty());
            let spans = errors.iter().flat_map(|error| &error.labels).map(|label| &label.span);
            for Span { start, end } in spans {
                assert!(text.get(*start..*end).is_some(), "{start}..{end} of {text:?}");
            }
            let starts: Vec<_> = errors.iter().filter_map(|error| error.labels.first()).collect();
            assert!(starts.is_sorted_by_key(|label| label.span.start));
        }
    }
}

#[test]
fn a_plan_that_is_damaged_anywhere_is_no_catastrophe() {
    for path in plans("good").into_iter().filter(|path| path.file_stem().is_some_and(|stem| stem == "sources")) {
        let text = fs::read_to_string(path).unwrap();
        for (at, char) in text.char_indices() {
            survives(&text[..at]);
            survives(&text[at..]);
            let rest = &text[at + char.len_utf8()..];
            for other in ["", "\0", "{", "}", "[", "]", "\"", "\n", "=", ".", ",", "é", "'''", "9", "\\u"] {
                survives(&format!("{}{other}{rest}", &text[..at]));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn any_bytes_that_are_text_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        survives(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_heap_of_pieces_is_read_or_refused(pieces in prop::collection::vec(0_usize..PIECES.len(), 0..60)) {
        survives(&pieces.into_iter().map(|piece| PIECES[piece]).collect::<String>());
    }
}

const PIECES: [&str; 44] = [
    "[jobs.a]\n",
    "[jobs.b]\n",
    "[jobs.a.in]\n",
    "[[jobs]]\n",
    "[modules.m]\n",
    "[defaults]\n",
    "module = \"m\"\n",
    "file = \"m.wasm\"\n",
    "for-each = ",
    "save = ",
    "in = ",
    "limits = ",
    "stdin = ",
    "input = ",
    "args = ",
    "jobs",
    "\"jobs\"",
    "\"a\"",
    "\"/in\"",
    "\"modules\"",
    "{ job = \"a\" }",
    "{ jobs = \"a\" }",
    "{",
    "}",
    "[",
    "]",
    ":",
    "=",
    ",",
    ".",
    "\n",
    "\"",
    "'",
    "\"\"\"",
    "{x}",
    "\"{x}\"",
    "null",
    "true",
    "1",
    "1e9",
    "1979-05-27",
    "#",
    "\\",
    "é",
];

#[test]
fn deep_nesting_is_refused_and_does_not_use_up_the_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        assert!(parse(&deep, Format::Json).is_err());
    }
    let open = "[".repeat(100_000);
    assert!(parse(&format!("x = {open}"), Format::Toml).is_err());
    assert!(parse(&format!("x{}= 1", ".a".repeat(100_000)), Format::Toml).is_err());
}

#[test]
fn a_long_chain_is_no_cycle_and_a_long_cycle_is_found() {
    const JOBS: usize = 50_000;
    let plan = |last: &str| {
        let mut text =
            String::from("{\"modules\":{\"m\":{\"file\":\"m.wasm\"}},\"defaults\":{\"module\":\"m\"},\"jobs\":{");
        for job in 1..JOBS {
            write!(text, "\"j{job}\":{{\"in\":{{\"/in\":{{\"job\":\"j{}\"}}}}}},", job + 1).unwrap();
        }
        write!(text, "\"j{JOBS}\":{last}}}}}").unwrap();
        text
    };
    assert_eq!(parse(&plan("{}"), Format::Json).unwrap().jobs.len(), JOBS);
    let errors = parse(&plan("{\"in\":{\"/in\":{\"job\":\"j1\"}}}"), Format::Json).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].message.contains("(49990 more) -> `j1`"), "{}", errors[0].message);
}
