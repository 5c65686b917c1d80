//! What can be found out about runs: why jobs were executed, where the time went, what is different, how it develops.

mod analyzing;
mod comparing;
mod edges;
mod older;
mod rehearsing;
mod reproducing;
#[cfg(target_os = "linux")]
mod terminal;
mod texts;
mod trends;
mod why;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::TestSpace;

/// A row of comma-separated values, by the names in the header.
type Row = BTreeMap<String, String>;

/// A plan whose one job takes all kinds of things. `job.wasm` is one of two programs that do without them.
const EXPLAINED: &str = r#"
    name = "explained"
    [modules.job]
    file = "job.wasm"
    [jobs.one]
    module = "job"
    in = { "/in/x" = "x", "/in/dir" = "dir" }
    env = { MODE = "a" }
    limits = { memory = "64MiB" }
"#;

fn explained() -> TestSpace {
    let space = TestSpace::new();
    space.write("mill.toml", EXPLAINED).write("x", "1").write("dir/kept", "k").write("dir/below/file", "f");
    program(&space, "files");
    space
}

/// Makes a guest the program of the explained job.
fn program(space: &TestSpace, guest: &str) {
    space.write("job.wasm", std::fs::read(crate::support::guest(guest)).unwrap());
}

/// What a command says that succeeds.
fn said(space: &TestSpace, args: &[&str]) -> String {
    let said = space.run(args);
    assert_eq!(said.code, 0, "{args:?}: {said:?}");
    said.stdout
}

/// The one line of JSON that a command says.
fn json(space: &TestSpace, args: &[&str]) -> Value {
    let (_, mut lines) = space.events(args);
    assert_eq!(lines.len(), 1, "{args:?}: {lines:?}");
    lines.remove(0)
}

/// Reads comma-separated values (RFC 4180). Each row has to have as many fields as the header.
fn rows(csv: &str) -> Vec<Row> {
    let mut lines = vec![vec![String::new()]];
    let mut chars = csv.chars().peekable();
    let mut is_quoted = false;
    while let Some(char) = chars.next() {
        let line = lines.last_mut().unwrap();
        match char {
            '"' if is_quoted && chars.next_if_eq(&'"').is_some() => line.last_mut().unwrap().push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => line.push(String::new()),
            '\n' if !is_quoted => lines.push(vec![String::new()]),
            char => line.last_mut().unwrap().push(char),
        }
    }
    assert!(!is_quoted, "a quote does not end: {csv}");
    assert_eq!(lines.pop(), Some(vec![String::new()]), "the last line ends: {csv}");
    let header = lines.remove(0);
    let row = |line: Vec<String>| {
        assert_eq!(line.len(), header.len(), "{line:?} for {header:?}");
        header.iter().cloned().zip(line).collect()
    };
    lines.into_iter().map(row).collect()
}

/// The text with `#` for each number and its unit, and one space for many: what is the same however long things take.
fn masked(text: &str) -> String {
    const UNITS: [&str; 10] = ["ns", "µs", "ms", "s", "min", "B", "KiB", "MiB", "GiB", "%"];
    let line = |line: &str| {
        let mut words: Vec<String> = Vec::new();
        for word in line.split_whitespace() {
            let bare = word.trim_matches(|char: char| !char.is_alphanumeric() && char != '%');
            if words.last().is_some_and(|last| last.ends_with('#')) && UNITS.contains(&bare) {
                let rest = word.replacen(bare, "", 1);
                words.last_mut().unwrap().push_str(&rest);
            } else if bare.starts_with(|char: char| char.is_ascii_digit()) {
                words.push(word.replacen(bare, "#", 1));
            } else {
                words.push(word.to_owned());
            }
        }
        words.join(" ") + "\n"
    };
    text.lines().map(line).collect()
}

#[test]
fn the_reader_of_rows_knows_quotes() {
    let row = &rows("a,b\n\"x, \"\"y\"\"\n\",2\n")[0];
    assert_eq!((row["a"].as_str(), row["b"].as_str()), ("x, \"y\"\n", "2"));
    assert_eq!(masked("  took 2.5 ms (99 %), 3 jobs\n"), "took # (#), # jobs\n");
}
