//! `docs/guide.md`, followed step by step: its files are written, its commands are run, and what they print is compared.

use crate::support::{TestSpace, repository};

/// Where one is while following.
struct Follower {
    space: TestSpace,
    /// The folder that one has gone to.
    folder: String,
    steps: usize,
    /// What is not as the guide says.
    untrue: Vec<String>,
}

/// What a block of code is for.
enum Step {
    Write(String),
    Add(String),
    Replace { file: String, text: String },
    Commands,
}

impl Step {
    /// Of a comment in front of a block: `file: PATH`, `add: PATH`, or `replace in PATH: TEXT`.
    fn of(comment: &str) -> Self {
        let (what, rest) = comment.split_once(": ").unwrap_or_else(|| panic!("`{comment}` says nothing"));
        match what.split_once(" in ") {
            _ if what == "file" => Step::Write(rest.to_owned()),
            _ if what == "add" => Step::Add(rest.to_owned()),
            Some(("replace", file)) => Step::Replace { file: file.to_owned(), text: rest.to_owned() },
            _ => panic!("`{comment}` is no step"),
        }
    }
}

impl Follower {
    fn path(&self, file: &str) -> String {
        format!("{}{file}", self.folder)
    }

    fn take(&mut self, step: &Step, block: &str) {
        self.steps += 1;
        match step {
            Step::Write(file) => drop(self.space.write(&self.path(file), block)),
            Step::Add(file) => {
                let path = self.path(file);
                let whole = format!("{}\n{block}", self.space.read(&path));
                self.space.write(&path, whole);
            }
            Step::Replace { file, text } => {
                let path = self.path(file);
                let whole = self.space.read(&path);
                assert_eq!(whole.matches(text.as_str()).count(), 1, "{file} has `{text}` not once");
                self.space.write(&path, whole.replace(text.as_str(), block.trim_end()));
            }
            Step::Commands => self.commands(block),
        }
    }

    /// Runs commands, each of which has what it prints below it.
    fn commands(&mut self, block: &str) {
        let mut lines = block.lines().peekable();
        while let Some(line) = lines.next() {
            let command = line.strip_prefix("$ ").unwrap_or_else(|| panic!("`{line}` is no command"));
            let mut expected = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
                expected.push(line);
            }
            let printed = self.command(command);
            if !fits(&expected, &printed.lines().collect::<Vec<_>>()) {
                self.untrue.push(format!("$ {command}\n{printed}\n-- and not:\n{}", expected.join("\n")));
            }
        }
    }

    fn command(&mut self, command: &str) -> String {
        let words = shlex::split(command).expect("words");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["cd", folder] => {
                self.folder = format!("{}{folder}/", self.folder);
                String::new()
            }
            ["cat", file] => match std::fs::read_to_string(self.space.path(&self.path(file))) {
                Ok(text) => text,
                Err(error) => format!("{file}: {error}"),
            },
            ["wasmill", args @ ..] => {
                let mut wasmill = self.space.command(args);
                wasmill.current_dir(self.space.path(&self.folder));
                let said = self.space.said(&wasmill.output().expect("the program starts"));
                if let ["new", name] = args {
                    // What is resolved anew each time would be something else next year.
                    let lock =
                        std::fs::read_to_string(repository().join("tests/new-project.lock")).expect("a lock file");
                    self.space.write(&format!("{name}/guest/Cargo.lock"), lock);
                }
                format!("{}{}", said.stderr, said.stdout)
            }
            _ => panic!("`{command}` is nothing that can be done here"),
        }
    }
}

/// Whether lines are as expected: a line `…` stands for any lines, and `…` in a line for anything.
fn fits(expected: &[&str], printed: &[&str]) -> bool {
    match (expected, printed) {
        ([], []) => true,
        (["…", rest @ ..], _) => (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..])),
        ([line, rest @ ..], [first, others @ ..]) => line_fits(line, first.trim_end()) && fits(rest, others),
        _ => false,
    }
}

fn line_fits(expected: &str, printed: &str) -> bool {
    match expected.split_once('…') {
        None => expected == printed,
        Some((start, rest)) => printed.strip_prefix(start).is_some_and(|behind| {
            let mut ends = behind.char_indices().map(|(at, _)| at).chain([behind.len()]);
            ends.any(|at| line_fits(rest, &behind[at..]))
        }),
    }
}

#[test]
fn the_guide_is_true() {
    let guide = std::fs::read_to_string(repository().join("docs/guide.md")).expect("the guide");
    let mut follower = Follower { space: TestSpace::new(), folder: String::new(), steps: 0, untrue: Vec::new() };
    let mut comment = None;
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        if let Some(said) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            comment = Some(Step::of(said));
        } else if let Some(kind) = line.strip_prefix("```") {
            let block: String =
                lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            let step = comment.take().or((kind == "console").then_some(Step::Commands));
            let step = step.unwrap_or_else(|| panic!("nobody says what this is for:\n{block}"));
            follower.take(&step, &block);
        }
    }
    assert!(follower.untrue.is_empty(), "{}", follower.untrue.join("\n\n"));
    assert!(follower.steps > 30, "there were {} steps only", follower.steps);
}

#[test]
fn what_is_printed_is_compared() {
    assert!(fits(&["…", "a … c", "…"], &["x", "a b c", "y"]));
    assert!(fits(&["a", "…"], &["a"]));
    assert!(!fits(&["a"], &["a", "b"]));
    assert!(!fits(&["…", "a…"], &["x", "ba"]));
}
