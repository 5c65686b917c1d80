//! `examples/course-notes`: its notes, and notes made for this, whose cells go wrong in every way.

use crate::support::{Jobs, TestSpace, repository};

const AT: &str = "examples/course-notes";

/// Cells that know of each other, and attributes.
const SHARING: &str = "# Sharing\n\n```js\nconst shared = 6; let data = 1; const result = 'r'; globalThis.leak = 1;\n\
    class P { constructor(a) { this.a = a } }\n```\n```js\nconsole.log('seen', shared * 7, result, data);\n```\n```js\nconst shared = 'again';\n```\n\
    ```js hide\n[shared, new P([1n]), null]\n```\n```js no-run\nneverRun()\n```\n```js\n[{ a: '<i>', b: 1 }, { b: 2.5 }]\n```\n";

/// Copies the example but for the guests, which stay where they are.
fn copy_example(space: &TestSpace) {
    let example = repository().join(AT);
    let mut plan = std::fs::read_to_string(example.join("mill.toml")).unwrap();
    let other = repository().join("examples/warm-javascript/guest").display().to_string();
    plan = plan.replace("../warm-javascript/guest", &other);
    plan = plan.replace("crate = \"guest\"", &format!("crate = '{}'", example.join("guest").display()));
    // An endless cell takes less time to be stopped.
    assert!(plan.contains("20_000_000_000"));
    space.write(&format!("{AT}/mill.toml"), plan.replace("20_000_000_000", "6_000_000_000"));
    for entry in std::fs::read_dir(example.join("notes")).unwrap() {
        let entry = entry.unwrap();
        note(space, entry.file_name().to_str().unwrap(), std::fs::read(entry.path()).unwrap());
    }
}

fn note(space: &TestSpace, name: &str, text: impl AsRef<[u8]>) {
    space.write(&format!("{AT}/notes/{name}"), text);
}

fn page(space: &TestSpace, name: &str) -> String {
    space.read(&format!("{AT}/target/course/{name}/page.html"))
}

/// What was executed, without `run[0]`, which is a candidate that may or may not have begun when another won.
fn executed(jobs: &Jobs) -> Vec<&str> {
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    jobs.executed().into_iter().filter(|job| !job.ends_with("/run[0]")).collect()
}

#[test]
fn course_notes_show_what_cells_come_to_and_run_only_what_changed() {
    let space = TestSpace::new();
    copy_example(&space);
    let first = space.jobs(&[AT]);
    assert_eq!(first.code, 0, "{first:#?}");
    pages_have_values(&space);
    assert!(executed(&space.jobs(&[AT])).is_empty());
    // `verify` starts the engine from nothing for each job, which takes a while: two notes suffice for it and for the rest.
    for name in ["2-simulating-a-queue.md", "3-compound-interest.md"] {
        std::fs::remove_file(space.path(&format!("{AT}/notes/{name}"))).unwrap();
    }
    assert_eq!(executed(&space.jobs(&[AT])), ["index"]);
    let (code, events) = space.events(&["verify"]);
    let last = events.last().unwrap();
    assert!(code == 0 && last["same"].as_u64().unwrap() >= 9, "{events:#?}");
    only_what_changed_runs_again(&space);
    broken_cells_stop_nothing_else(&space);
}

fn pages_have_values(space: &TestSpace) {
    let means = page(space, "1-means-and-medians");
    let incomes = [1650.0, 1800.0, 1900.0, 2050.0, 2100.0, 2250.0, 2400.0, 2700.0, 3100.0];
    let mean = incomes.iter().sum::<f64>() / 9.0;
    assert!(means.contains(&format!("<pre class=\"value\">{mean}</pre>")), "{means}");
    assert!(means.contains("<td class=\"number\">7995</td><td class=\"number\">2175</td>"), "{means}");
    assert!(means.contains("<svg") && means.contains("<math") && means.contains("@page"), "{means}");
    assert!(page(space, "2-simulating-a-queue").matches("<rect").count() > 40);

    let interest = page(space, "3-compound-interest");
    for (year, amount) in [(0, "1000.00"), (1, "1050.00"), (2, "1102.50"), (5, "1276.28")] {
        let row = format!("<td class=\"number\">{year}</td><td class=\"number\">{amount}</td>");
        assert!(interest.contains(&row), "{row}: {interest}");
    }

    let sorting = page(space, "4-sorting");
    let text = space.read(&format!("{AT}/notes/4-sorting.md"));
    let line = 1 + text.lines().position(|line| line.contains("second.toFixed")).unwrap();
    assert!(sorting.contains(&format!("line {line} of the note")), "{line}: {sorting}");
    assert!(sorting.contains("<pre class=\"printed\">5.0</pre>") && sorting.contains("line bad"), "{sorting}");
    let slides = space.read(&format!("{AT}/target/course/4-sorting/slides.html"));
    assert_eq!(slides.matches("class=\"slide\"").count(), 8);

    let index = space.read(&format!("{AT}/target/course/index.html"));
    for title in ["Means and medians", "Simulating a queue", "Compound interest", "Sorting"] {
        assert!(index.contains(&format!("/page.html\">{title}</a>")), "{title}: {index}");
    }
    assert_eq!(index.matches("did not come to its end").count(), 1);
}

fn only_what_changed_runs_again(space: &TestSpace) {
    let path = format!("{AT}/notes/1-means-and-medians.md");
    let text = space.read(&path);
    let all = |last: &[&str]| last.iter().map(|job| format!("note[1-means-and-medians.md]{job}")).collect::<Vec<_>>();

    // Words: no cell is run.
    let words = text.replace("So far the two agree", "Until now the two agree");
    assert_ne!(words, text);
    space.write(&path, &words);
    // `settle` sees the note as well.
    assert_eq!(executed(&space.jobs(&[AT])), all(&["", "/render", "/settle"]));
    assert!(page(space, "1-means-and-medians").contains("Until now the two agree"));

    // A cell: the cells of this note.
    space.write(&path, words.replace("[1650,", "[1653,"));
    assert_eq!(executed(&space.jobs(&[AT])), all(&["", "/render", "/run", "/run[5]", "/settle"]));
    assert!(page(space, "1-means-and-medians").contains("<pre class=\"value\">2217</pre>"));

    // A title: the index as well.
    space.write(&path, words.replace("[1650,", "[1653,").replace("# Means and medians", "# Averages"));
    let jobs = space.jobs(&[AT]);
    assert_eq!(executed(&jobs), [vec!["index".to_owned()], all(&["", "/render", "/settle"])].concat());
    assert!(space.read(&format!("{AT}/target/course/index.html")).contains(">Averages</a>"));
}

fn broken_cells_stop_nothing_else(space: &TestSpace) {
    for (name, text) in [
        ("a {shared} é.md", SHARING.as_bytes()),
        ("b-spy.md", b"```js\n[typeof shared, typeof leak, typeof data, typeof P].join()\n```\n"),
        (
            "c-endless.md",
            b"# Endless\n\n```js\nlet i = 20 + 3; i\n```\n```js\nwhile (true) i++;\n```\n```js\n'after'\n```\n",
        ),
        ("d-deep.md", b"```js hide\nconst f = () => f(); f()\n```\n"),
        ("e-syntax.md", b"```js\nlet a = 1;\nlet b = ;\n```\n```js\na\n```\n"),
        ("f-bytes.md", b"# caf\xe9\n\n```js\n1 + 1\n```\n"),
        ("g-empty.md", b""),
    ] {
        note(space, name, text);
    }
    let jobs = space.jobs(&[AT]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    let has = |name: &str, texts: &[&str]| {
        let page = page(space, name);
        for text in texts {
            assert!(page.contains(text), "{name} has no {text}: {page}");
        }
        page
    };
    let cells = "<pre class=\"value\">[&quot;again&quot;, { a: [1n] }, null]</pre>";
    let shared =
        has("a {shared} é", &["seen 42 r 1", cells, "<td>&lt;i&gt;</td><td class=\"number\">1</td>", "neverRun"]);
    assert!(!shared.contains("new</span> P") && !shared.contains("class=\"error\""), "{shared}");
    has("b-spy", &["undefined,undefined,undefined,undefined"]);
    has("c-endless", &["<pre class=\"value\">23</pre>", "This cell did not end.", "Not run, because"]);
    has("d-deep", &["This cell did not end."]);
    has("e-syntax", &["SyntaxError", "line 3 of the note", "Not run, because"]);
    has("f-bytes", &["caf\u{fffd}", "not UTF-8", "<pre class=\"value\">2</pre>"]);
    has("g-empty", &["<h1>g-empty</h1>"]);
    let index = space.read(&format!("{AT}/target/course/index.html"));
    assert!(index.contains("a%20%7Bshared%7D%20%C3%A9/page.html"), "{index}");
    assert_eq!(index.matches("did not come to its end").count(), 4, "{index}");
    assert!(executed(&space.jobs(&[AT])).is_empty());
}
