//! The rules of the house, as tests over the source tree.
//!
//! Whoever breaks one finds out here, with the file and the line, and not in a review. The rules themselves are in
//! `tidy/rules.rs` and `tidy/dependencies.rs`; what is over a limit of length is listed in `tidy/ratchet.rs`.

mod dependencies;
mod ratchet;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

/// A text file of the repository.
struct Source {
    /// Its path from the root, with `/` on every system.
    path: String,
    text: String,
}

/// What a rule has to say about a file.
type Findings = Vec<String>;

impl Source {
    /// A file that does not exist, to test a rule on.
    fn sample(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it is only there to test or to measure something.
    fn is_test(&self) -> bool {
        let is_named = |name: &str| self.path.split('/').any(|part| part == name);
        is_named("tests") || is_named("benches") || self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs")
    }

    /// The text up to the unit tests at its end.
    fn production(&self) -> &str {
        self.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace has a root")
}

/// Every text file of the repository, sorted by path, without what is built or downloaded.
fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    let root = root();
    walk(&root, &root, &mut sources);
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.iter().any(|source| source.path == "tests/tests/it/tidy.rs"), "the walk finds this very file");
    sources
}

fn walk(root: &Path, dir: &Path, sources: &mut Vec<Source>) {
    // What `wasmill new` writes is its users'.
    const SKIPPED: [&str; 5] = ["target", ".git", ".wasmill", "node_modules", "template"];
    for entry in fs::read_dir(dir).expect("the folder can be listed") {
        let entry = entry.expect("the folder can be listed");
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type().expect("an entry has a type").is_dir() {
            if !SKIPPED.iter().any(|skipped| name == *skipped) {
                walk(root, &path, sources);
            }
        } else if is_text(&path) {
            let path_from_root = path.strip_prefix(root).expect("the walk began at the root");
            let parts: Vec<_> = path_from_root.iter().map(|part| part.to_string_lossy()).collect();
            let text = fs::read_to_string(&path).expect("a source is text");
            sources.push(Source { path: parts.join("/"), text });
        }
    }
}

fn is_text(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("rs" | "toml" | "md" | "sh" | "wat" | "yml")) || path.ends_with(".ci/run")
}

/// Applies a rule to every file, and fails with everything that it found.
fn check(rule: impl Fn(&Source) -> Findings) {
    let findings: Findings = sources().iter().flat_map(rule).collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn crates_depend_in_one_direction() {
    check(dependencies::manifest);
}

#[test]
fn layers_do_not_reach_around_their_ports() {
    check(dependencies::imports);
}

#[test]
fn every_file_says_what_it_owns_and_what_it_does_not_know() {
    check(rules::header);
}

#[test]
fn nothing_unfinished_is_left() {
    check(rules::forbidden_words);
}

#[test]
fn what_is_special_about_unix_is_in_platform_files() {
    check(rules::unix_only);
}

#[test]
fn nobody_s_own_folders_are_named() {
    check(rules::developer_paths);
}

#[test]
fn every_crate_takes_the_workspace_s_lints() {
    check(rules::lints);
}

#[test]
fn short_files_stay_short() {
    let sources = sources();
    for (path, _) in rules::LINE_LIMITS {
        assert!(sources.iter().any(|source| source.path == path), "{path} is missing");
    }
    check(rules::line_limits);
}

#[test]
fn functions_and_files_only_get_shorter() {
    let findings = ratchet::check(&sources(), ratchet::EXCEPTIONS);
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}
