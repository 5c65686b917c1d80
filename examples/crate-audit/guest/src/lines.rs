//! Counting lines by language.
//!
//! Owns: which extension is which language, and what counts as code, comment and blank. Does not know: syntax
//! beyond comments and strings. All work is on bytes, so that text in any encoding can be counted.
//!
//! In Rust and the languages with C's comments, a line is *blank* with nothing but white space, a *comment* if all
//! that is on it is within comments, and *code* otherwise (a blank line within a string is code). In every other
//! language a line that is not blank is code: telling comments apart would need a rule for each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wasmill_sdk::Schema;

/// Lines of one kind of file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Lines {
    /// How many files.
    pub files: u64,
    /// Lines with code.
    pub code: u64,
    /// Lines with nothing but comments; 0 for languages whose comments are not told apart.
    pub comment: u64,
    /// Lines with nothing but white space.
    pub blank: u64,
}

impl Lines {
    /// Adds another count to this one.
    pub fn add(&mut self, other: &Lines) {
        self.files += other.files;
        self.code += other.code;
        self.comment += other.comment;
        self.blank += other.blank;
    }
}

/// Lines by language.
pub type ByLanguage = BTreeMap<String, Lines>;

/// How comments look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comments {
    /// `//` and nested `/* */`, raw strings, lifetimes.
    Rust,
    /// `//` and `/* */`.
    CLike,
    /// Not told apart from code.
    Unknown,
}

/// The language of a file by its name, or none if it is not one of text that people write.
pub fn language(name: &str) -> Option<(&'static str, Comments)> {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    if stem.is_empty() {
        return None;
    }
    Some(match extension.to_ascii_lowercase().as_str() {
        "rs" => ("Rust", Comments::Rust),
        "c" | "h" => ("C", Comments::CLike),
        "cc" | "cpp" | "cxx" | "hh" | "hpp" | "hxx" => ("C++", Comments::CLike),
        "js" | "mjs" | "cjs" | "jsx" => ("JavaScript", Comments::CLike),
        "ts" | "tsx" => ("TypeScript", Comments::CLike),
        "go" => ("Go", Comments::CLike),
        "java" => ("Java", Comments::CLike),
        "proto" => ("Protobuf", Comments::CLike),
        "s" | "asm" => ("Assembly", Comments::Unknown),
        "py" => ("Python", Comments::Unknown),
        "sh" | "bash" => ("Shell", Comments::Unknown),
        "pl" | "pm" => ("Perl", Comments::Unknown),
        "toml" => ("TOML", Comments::Unknown),
        "json" => ("JSON", Comments::Unknown),
        "yml" | "yaml" => ("YAML", Comments::Unknown),
        "md" => ("Markdown", Comments::Unknown),
        "wat" | "wast" => ("WebAssembly text", Comments::Unknown),
        "cmake" => ("CMake", Comments::Unknown),
        "html" | "htm" => ("HTML", Comments::Unknown),
        "css" => ("CSS", Comments::Unknown),
        _ => return None,
    })
}

/// Counts the lines of one file.
pub fn count(text: &[u8], comments: Comments) -> Lines {
    if comments == Comments::Unknown {
        return count_plain(text);
    }
    let mut lines = Lines { files: 1, ..Lines::default() };
    let mut state = State::Code;
    let mut seen = Seen::default();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte == b'\n' {
            lines.tally(seen);
            if state == State::LineComment {
                state = State::Code;
            }
            seen = Seen { code: state.is_string(), comment: false };
            at += 1;
            continue;
        }
        let (next, width) = step(state, &text[at..], comments);
        if !byte.is_ascii_whitespace() {
            let comment = state.is_comment() || next.is_comment();
            seen.comment |= comment;
            seen.code |= !comment;
        }
        state = next;
        at += width;
    }
    if text.last().is_some_and(|&byte| byte != b'\n') {
        lines.tally(seen);
    }
    lines
}

/// What has been seen on the current line.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    code: bool,
    comment: bool,
}

impl Lines {
    fn tally(&mut self, seen: Seen) {
        match seen {
            Seen { code: true, .. } => self.code += 1,
            Seen { comment: true, .. } => self.comment += 1,
            _ => self.blank += 1,
        }
    }
}

/// What the lexer is within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Code,
    LineComment,
    /// A block comment and how many more of them it nests in (always 0 outside Rust).
    BlockComment(u32),
    /// A string that this quote ends, with backslash escapes.
    Quoted(u8),
    /// A raw string that a quote with so many `#` ends.
    Raw(usize),
}

impl State {
    fn is_comment(self) -> bool {
        matches!(self, State::LineComment | State::BlockComment(_))
    }

    fn is_string(self) -> bool {
        matches!(self, State::Quoted(_) | State::Raw(_))
    }
}

/// One step of the lexer: the state behind it, and how many bytes it took (at least 1, and never past a line
/// end but for an escaped one).
fn step(state: State, rest: &[u8], comments: Comments) -> (State, usize) {
    let rust = comments == Comments::Rust;
    match state {
        State::Code if rest.starts_with(b"//") => (State::LineComment, 2),
        State::Code if rest.starts_with(b"/*") => (State::BlockComment(0), 2),
        State::Code if rest.starts_with(b"\"") => (State::Quoted(b'"'), 1),
        State::Code if rest.starts_with(b"'") && rust => (State::Code, char_or_lifetime(rest)),
        State::Code if rest.starts_with(b"'") => (State::Quoted(b'\''), 1),
        State::Code if rust && rest.starts_with(b"r") => match raw_start(rest) {
            Some(hashes) => (State::Raw(hashes), hashes + 2),
            None => (State::Code, 1),
        },
        State::Code | State::LineComment => (state, 1),
        State::BlockComment(depth) if rest.starts_with(b"*/") => match depth.checked_sub(1) {
            Some(depth) => (State::BlockComment(depth), 2),
            None => (State::Code, 2),
        },
        State::BlockComment(depth) if rust && rest.starts_with(b"/*") => (State::BlockComment(depth + 1), 2),
        State::Quoted(_) if rest.starts_with(b"\\") && rest.get(1).is_some_and(|&byte| byte != b'\n') => (state, 2),
        State::Quoted(quote) if rest.starts_with(&[quote]) => (State::Code, 1),
        State::Raw(hashes) if raw_end(rest, hashes) => (State::Code, hashes + 1),
        State::BlockComment(_) | State::Quoted(_) | State::Raw(_) => (state, 1),
    }
}

/// The length of a char literal, or of the quote of a lifetime.
fn char_or_lifetime(rest: &[u8]) -> usize {
    match rest.get(1) {
        Some(b'\\') => 1 + 2, // the character behind the backslash may be a quote; what follows is harmless
        Some(b'"' | b'/' | b'\'') if rest.get(2) == Some(&b'\'') => 3,
        _ => 1,
    }
}

/// How many `#` a raw string that starts here has, if one does.
fn raw_start(rest: &[u8]) -> Option<usize> {
    let hashes = rest.iter().skip(1).take_while(|&&byte| byte == b'#').count();
    (rest.get(hashes + 1) == Some(&b'"')).then_some(hashes)
}

/// Whether a raw string with so many `#` ends here.
fn raw_end(rest: &[u8], hashes: usize) -> bool {
    rest.first() == Some(&b'"') && rest.iter().skip(1).take(hashes).filter(|&&byte| byte == b'#').count() == hashes
}

fn count_plain(text: &[u8]) -> Lines {
    let mut lines = Lines { files: 1, ..Lines::default() };
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        lines.tally(Seen { code: !line.trim_ascii().is_empty(), comment: false });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rust(text: &str) -> (u64, u64, u64) {
        let lines = count(text.as_bytes(), Comments::Rust);
        assert_eq!(lines.code + lines.comment + lines.blank, text.lines().count() as u64, "of {text:?}");
        (lines.code, lines.comment, lines.blank)
    }

    #[test]
    fn lines_are_told_apart() {
        assert_eq!(rust(""), (0, 0, 0));
        assert_eq!(rust("fn a() {}\n"), (1, 0, 0));
        assert_eq!(rust("fn a() {} // why\n// why\n\n  \t\n"), (1, 1, 2));
        assert_eq!(rust("/* one\n\n two */\nfn a() {}"), (1, 2, 1));
        assert_eq!(rust("/* x */ fn a() {}"), (1, 0, 0));
    }

    #[test]
    fn comments_nest_in_rust_only() {
        let text = "/* a /* b */\nc\n*/\n";
        assert_eq!(rust(text), (0, 3, 0));
        let c = count(text.as_bytes(), Comments::CLike);
        assert_eq!((c.code, c.comment), (2, 1));
    }

    #[test]
    fn comment_marks_in_literals_are_code() {
        assert_eq!(rust("let a = \"// no\n/* no\n\n\";\n// yes\n"), (4, 1, 0));
        assert_eq!(rust("let a = r#\"\" // no\n/*\"#;\n// yes\n"), (2, 1, 0));
        assert_eq!(rust("let a = '\"';\n// yes\n"), (1, 1, 0));
        assert_eq!(rust("let a = '\\'';\n// yes\n"), (1, 1, 0));
        assert_eq!(rust("let a = \"\\\"\";\n// yes\n"), (1, 1, 0));
        assert_eq!(rust("fn a<'a>(b: &'a str) {}\n// yes\n"), (1, 1, 0));
        assert_eq!(rust("let a = \"\\\n// no\";\n// yes\n"), (2, 1, 0));
    }

    #[test]
    fn whatever_does_not_end_ends_with_the_file() {
        for text in ["\"", "/*", "r#\"", "'", "'\\", "\"\\", "r", "/", "r#"] {
            rust(text);
        }
    }

    #[test]
    fn other_languages_know_no_comments() {
        let lines = count(b"# a\n\nb = 1\n", Comments::Unknown);
        assert_eq!((lines.code, lines.comment, lines.blank), (2, 0, 1));
    }

    #[test]
    fn languages_go_by_extension() {
        assert_eq!(language("lib.rs").map(|(name, _)| name), Some("Rust"));
        assert_eq!(language("x.S").map(|(name, _)| name), Some("Assembly"));
        assert_eq!(language("a.tar.gz"), None);
        assert_eq!(language("LICENSE"), None);
        assert_eq!(language(".rs"), None);
    }
}
