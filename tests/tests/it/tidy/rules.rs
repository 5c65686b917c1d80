//! Rules that look at one file at a time. Each has a test here which shows that it can fail.
//!
//! What is forbidden is spelled in two halves, so that this file does not forbid itself.

use super::{Findings, Source};

/// Left behind while working, or a way around a lint that gives no reason.
const FORBIDDEN: [&str; 8] = [
    concat!("db", "g!("),
    concat!("to", "do!("),
    concat!("unimpl", "emented!("),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
    concat!("#[al", "low("),
    concat!("#![al", "low("),
];

/// A test that is left out has to say why: `#[ignore = "…"]`.
const IGNORE: &str = concat!("#[ign", "ore]");

/// Only there on Unix.
const UNIX_ONLY: [&str; 6] = [
    concat!("std::os::", "unix"),
    concat!("std::os::", "fd"),
    concat!("std::os::", "linux"),
    concat!("rust", "ix::"),
    concat!("li", "bc::"),
    concat!("ni", "x::"),
];

/// Where people keep their own files.
const DEVELOPER_PATHS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/"), concat!("C:\\Us", "ers")];

/// Files that are worth their length only while they are short, and how long they may get.
pub(super) const LINE_LIMITS: [(&str, usize); 2] = [("ARCHITECTURE.md", 150), ("runtime/cli/src/main.rs", 17)];

/// Every Rust file begins with a `//!`; a library's says what it owns and what it does not know.
pub(super) fn header(source: &Source) -> Findings {
    if !source.is_rust() {
        return Findings::new();
    }
    let lines = source.text.lines().map_while(|line| line.strip_prefix("//!"));
    // A sentence may go on in the next line.
    let header = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
    let is_library = ["runtime/", "guest-sdk/", "xtask/"].iter().any(|folder| source.path.starts_with(folder))
        && source.path.contains("/src/")
        && !source.is_test();
    let wrong = if header.is_empty() {
        "does not begin with `//!`"
    } else if is_library && !header.contains("Owns") {
        "does not say what it owns (`Owns: …`)"
    } else if is_library && !header.contains("oes not know") {
        "does not say what it does not know (`Does not know: …`)"
    } else {
        return Findings::new();
    };
    vec![format!("{}: {wrong}", source.path)]
}

/// Nothing unfinished, and no lint switched off without a reason.
pub(super) fn forbidden_words(source: &Source) -> Findings {
    if !source.is_rust() {
        return Findings::new();
    }
    let mut findings = find(&source.path, &source.text, &FORBIDDEN, "remove");
    findings.extend(find(&source.path, &source.text, &[IGNORE], "give a reason (`= \"…\"`) to"));
    findings
}

/// What is only there on Unix is in files named `platform.rs`, or below a folder `platform`, or in tests.
pub(super) fn unix_only(source: &Source) -> Findings {
    let is_platform = source.path.ends_with("/platform.rs") || source.path.contains("/platform/");
    if !source.is_rust() || is_platform || source.is_test() {
        return Findings::new();
    }
    find(&source.path, source.production(), &UNIX_ONLY, "move to a platform file")
}

/// Nobody's own folders are named.
pub(super) fn developer_paths(source: &Source) -> Findings {
    find(&source.path, &source.text, &DEVELOPER_PATHS, "do not name")
}

/// Every crate takes the workspace's lints. Guest crates are workspaces of their own.
pub(super) fn lints(source: &Source) -> Findings {
    let is_guest =
        ["examples/", "tests/guests/", "tests/benches/", "tests/fuzz/"].iter().any(|own| source.path.starts_with(own));
    if !source.path.ends_with("/Cargo.toml") || is_guest || source.text.contains("\n[lints]\nworkspace = true\n") {
        return Findings::new();
    }
    vec![format!("{}: does not take the workspace's lints", source.path)]
}

/// Short files stay short.
pub(super) fn line_limits(source: &Source) -> Findings {
    let lines = source.text.lines().count();
    (LINE_LIMITS.iter())
        .filter(|(path, limit)| source.path == *path && lines > *limit)
        .map(|(path, limit)| format!("{path}: has {lines} lines, and {limit} are enough"))
        .collect()
}

/// Finds words that stand alone, each with its line.
pub(super) fn find(path: &str, text: &str, words: &[&str], advice: &str) -> Findings {
    let mut findings = Findings::new();
    for (index, line) in text.lines().enumerate() {
        for word in words.iter().filter(|word| has_word(line, word)) {
            findings.push(format!("{path}:{}: {advice} `{word}`", index + 1));
        }
    }
    findings
}

/// Whether `word` is in `line` and is not part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let goes_on_before = word.starts_with(is_part) && line[..at].ends_with(is_part);
        let goes_on_after = word.ends_with(is_part) && line[at + word.len()..].starts_with(is_part);
        !goes_on_before && !goes_on_after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "//! Digests. Owns: names. Does\n//! not know: places.\n";

    #[test]
    fn a_file_without_a_header_is_found() {
        let findings = |path: &str, text: &str| header(&Source::sample(path, text));
        assert_eq!(findings("runtime/model/src/a.rs", HEADER), [""; 0]);
        assert_eq!(
            findings("runtime/model/src/a.rs", "//! Digests."),
            ["runtime/model/src/a.rs: does not say what it owns (`Owns: …`)"]
        );
        assert_eq!(
            findings("xtask/src/a.rs", "//! Digests. Owns: names."),
            ["xtask/src/a.rs: does not say what it does not know (`Does not know: …`)"]
        );
        assert_eq!(findings("tests/tests/a.rs", "//! Digests."), [""; 0]);
        assert_eq!(findings("tests/tests/a.rs", "use std;"), ["tests/tests/a.rs: does not begin with `//!`"]);
        assert_eq!(findings("docs/a.md", "# Digests"), [""; 0]);
    }

    #[test]
    fn every_forbidden_word_is_found_with_its_line() {
        for word in FORBIDDEN.into_iter().chain([IGNORE]) {
            let text = format!("{HEADER}\n    {word}\n");
            let findings = forbidden_words(&Source::sample("a.rs", &text));
            assert!(matches!(findings.as_slice(), [one] if one.starts_with("a.rs:4: ")), "{word}: {findings:?}");
        }
        let fine = concat!("my_db", "g!(x); XX", "XX; #[ign", "ore = \"why\"]");
        assert_eq!(forbidden_words(&Source::sample("a.rs", fine)), [""; 0]);
    }

    #[test]
    fn unix_outside_of_platform_files_is_found() {
        for word in UNIX_ONLY {
            let findings = |path: &str| unix_only(&Source::sample(path, &format!("use {word}fs;"))).len();
            // A word that ends in a letter is not found as part of a longer one.
            let expected = usize::from(word.ends_with(':'));
            assert_eq!(findings("runtime/a/src/b.rs"), expected, "{word}");
            let findings = |path: &str| unix_only(&Source::sample(path, &format!("use {word}{{}};"))).len();
            assert_eq!(findings("runtime/a/src/b.rs"), 1, "{word}");
            assert_eq!(findings("runtime/a/src/platform.rs"), 0);
            assert_eq!(findings("runtime/a/src/platform/unix.rs"), 0);
            assert_eq!(findings("runtime/a/tests/b.rs"), 0);
        }
        let in_unit_tests = format!("//! A.\n\n#[cfg(test)]\nmod tests {{\n    use {}fs;\n}}\n", UNIX_ONLY[3]);
        assert_eq!(unix_only(&Source::sample("runtime/a/src/b.rs", &in_unit_tests)), [""; 0]);
    }

    #[test]
    fn a_developer_s_folder_is_found() {
        for path in DEVELOPER_PATHS {
            assert_eq!(developer_paths(&Source::sample("a.md", &format!("in {path}/me"))).len(), 1, "{path}");
        }
        assert_eq!(developer_paths(&Source::sample("a.md", "in /usr/share/")), [""; 0]);
    }

    #[test]
    fn a_crate_with_lints_of_its_own_is_found() {
        let findings = |path: &str, text: &str| lints(&Source::sample(path, text)).len();
        assert_eq!(findings("runtime/a/Cargo.toml", "[package]\n"), 1);
        assert_eq!(findings("runtime/a/Cargo.toml", "[package]\n\n[lints]\nworkspace = true\n"), 0);
        assert_eq!(findings("examples/a/guest/Cargo.toml", "[package]\n"), 0);
    }

    #[test]
    fn a_file_over_its_limit_is_found() {
        let findings = |lines: usize| line_limits(&Source::sample("runtime/cli/src/main.rs", &"x\n".repeat(lines)));
        assert_eq!(findings(17), [""; 0]);
        assert_eq!(findings(18), ["runtime/cli/src/main.rs: has 18 lines, and 17 are enough"]);
    }
}
