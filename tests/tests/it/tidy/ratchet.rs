//! How long functions and files may be, and the ratchet for those that are longer: their length may only shrink.
//!
//! Works on text as rustfmt leaves it: a function ends at the first `}` that is indented as its `fn` is.

use super::{Findings, Source};

/// As much as a reader sees at once.
const FUNCTION_LINES_MAX: usize = 70;

/// About ten functions; what needs more is two things.
const FILE_LINES_MAX: usize = 600;

/// Something that is over its limit, and how many lines it has: no more and no less.
pub(super) struct Exception {
    pub(super) path: &'static str,
    /// A function in that file; none means the file itself.
    pub(super) function: Option<&'static str>,
    pub(super) lines: usize,
}

/// What is over its limit today. Shorten it and lower the number; nothing may be added without a reason beside it.
pub(super) const EXCEPTIONS: &[Exception] = &[];

/// A file or a function with its length.
#[derive(Debug, PartialEq)]
struct Measured {
    path: String,
    function: Option<String>,
    lines: usize,
}

impl Measured {
    fn limit(&self) -> usize {
        if self.function.is_some() { FUNCTION_LINES_MAX } else { FILE_LINES_MAX }
    }

    fn name(&self) -> String {
        self.function.as_ref().map_or_else(|| self.path.clone(), |function| format!("{}: `{function}`", self.path))
    }

    fn is(&self, exception: &Exception) -> bool {
        self.path == exception.path && self.function.as_deref() == exception.function
    }
}

/// Holds every Rust file and function against the limits and the exceptions.
pub(super) fn check(sources: &[Source], exceptions: &[Exception]) -> Findings {
    let long: Vec<Measured> = (sources.iter().filter(|source| source.is_rust()).flat_map(measure))
        .filter(|measured| measured.lines > measured.limit())
        .collect();
    let mut findings = Findings::new();
    for measured in &long {
        let (name, lines) = (measured.name(), measured.lines);
        match exceptions.iter().find(|exception| measured.is(exception)) {
            None => findings.push(format!("{name} has {lines} lines, the limit is {}", measured.limit())),
            Some(exception) if lines > exception.lines => {
                findings.push(format!("{name} grew from {} to {lines} lines", exception.lines));
            }
            Some(exception) if lines < exception.lines => {
                findings.push(format!("{name} shrank from {} to {lines} lines: lower its exception", exception.lines));
            }
            Some(_) => {}
        }
    }
    for exception in exceptions.iter().filter(|exception| !long.iter().any(|measured| measured.is(exception))) {
        let function = exception.function.map(|function| format!(": `{function}`")).unwrap_or_default();
        findings.push(format!("{}{function} needs no exception any more", exception.path));
    }
    findings
}

/// The file and all its functions.
fn measure(source: &Source) -> Vec<Measured> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut all = vec![Measured { path: source.path.clone(), function: None, lines: lines.len() }];
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indentation = &line[..line.len() - line.trim_start().len()];
        let is_level = |line: &str| line.strip_prefix(indentation).is_some_and(|rest| !rest.starts_with(' '));
        let level = lines[start..].iter().filter(|line| is_level(line)).find_map(|line| {
            let is_declared_only = line.ends_with(';');
            let is_one_line = line.ends_with('}');
            (is_declared_only || is_one_line || line.ends_with('{')).then_some(is_declared_only)
        });
        if level != Some(false) {
            continue; // a trait's function without a body
        }
        let end = lines[start..].iter().position(|line| is_level(line) && line.ends_with('}'));
        if let Some(end) = end {
            all.push(Measured { path: source.path.clone(), function: Some(name.to_owned()), lines: end + 1 });
        }
    }
    all
}

/// The name of the function that a line begins.
fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    if let Some(restricted) = rest.strip_prefix("pub(") {
        rest = restricted.split_once(") ")?.1;
    }
    for qualifier in ["pub ", "default ", "const ", "async ", "safe ", "unsafe ", "extern \"C\" "] {
        rest = rest.strip_prefix(qualifier).unwrap_or(rest);
    }
    let name = rest.strip_prefix("fn ")?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    name.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, lines: usize) -> String {
        format!(
            "    pub(crate) const fn {name}(\n        &self,\n    ) {{\n{}    }}\n",
            "        x;\n".repeat(lines - 4)
        )
    }

    #[test]
    fn functions_are_measured_from_the_first_line_to_the_brace() {
        let text = format!(
            "//! A.\nfn one() {{ two() }}\n\ntrait T {{\n    fn declared(\n        &self,\n    ) -> u8;\n\n{}}}\n\
             pub async unsafe fn generic<T>(t: T)\nwhere\n    T: Copy,\n{{\n    if t {{\n    }}\n}}\n",
            function("long", 9)
        );
        let measured: Vec<(Option<String>, usize)> = (measure(&Source::sample("a.rs", &text)).into_iter())
            .map(|measured| (measured.function, measured.lines))
            .collect();
        let named = |name: &str| Some(name.to_owned());
        assert_eq!(measured, [(None, 25), (named("one"), 1), (named("long"), 9), (named("generic"), 7)]);
    }

    #[test]
    fn what_is_over_its_limit_is_found() {
        let source = |lines: usize| [Source::sample("a.rs", &format!("//! A.\n{}", function("long", lines)))];
        assert_eq!(check(&source(70), &[]), [""; 0]);
        assert_eq!(check(&source(71), &[]), ["a.rs: `long` has 71 lines, the limit is 70"]);
        let file = [Source::sample("a.rs", &"x\n".repeat(601))];
        assert_eq!(check(&file, &[]), ["a.rs has 601 lines, the limit is 600"]);
        assert_eq!(check(&[Source::sample("a.md", &"x\n".repeat(601))], &[]), [""; 0]);
    }

    #[test]
    fn an_exception_fits_exactly_or_is_found() {
        let source = |lines: usize| [Source::sample("a.rs", &format!("//! A.\n{}", function("long", lines)))];
        let exception = [Exception { path: "a.rs", function: Some("long"), lines: 80 }];
        assert_eq!(check(&source(80), &exception), [""; 0]);
        assert_eq!(check(&source(81), &exception), ["a.rs: `long` grew from 80 to 81 lines"]);
        assert_eq!(check(&source(79), &exception), ["a.rs: `long` shrank from 80 to 79 lines: lower its exception"]);
        assert_eq!(check(&source(70), &exception), ["a.rs: `long` needs no exception any more"]);
    }
}
