//! From many scans to one report.
//!
//! Owns: the sums. Does not know: how the report looks (`html`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wasmill_sdk::{Result, Schema};

use crate::lines::{ByLanguage, Lines};
use crate::scan::{Problem, Scan};
use crate::syntax::Syntax;

/// Everything about all crates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Report {
    /// The heading.
    pub title: String,
    /// The sums.
    pub totals: Totals,
    /// Every crate, by name.
    pub crates: Vec<Scan>,
    /// Scans that could not be read; the file is the crate's name.
    pub unread: Vec<Problem>,
}

/// Sums over all crates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Totals {
    /// How many crates were scanned.
    pub crates: u64,
    /// Crates that run within the compiler.
    pub proc_macros: u64,
    /// Crates with a build script.
    pub build_scripts: u64,
    /// Crates with any `unsafe`.
    pub with_unsafe: u64,
    /// Crates that say nothing of a licence and have no file of one.
    pub without_licence: u64,
    /// Files that could not be looked at, and scans that could not be read.
    pub problems: u64,
    /// Lines of all languages.
    pub lines: Lines,
    /// Lines by language.
    pub languages: ByLanguage,
    /// Counts over all Rust files.
    pub syntax: Syntax,
    /// How many crates have which licence, as they word it.
    pub licences: BTreeMap<String, u64>,
}

/// Adds up scans, in their order; one that cannot be read is listed and fails nothing else.
pub fn reduce(title: String, scans: impl Iterator<Item = (String, Result<Scan>)>) -> Report {
    let mut report = Report { title, totals: Totals::default(), crates: Vec::new(), unread: Vec::new() };
    for (name, scan) in scans {
        match scan {
            Ok(scan) => {
                report.totals.add(&scan);
                report.crates.push(scan);
            }
            Err(error) => {
                report.totals.problems += 1;
                report.unread.push(Problem { file: name, what: error.chain().collect::<Vec<_>>().join(": ") });
            }
        }
    }
    report
}

impl Totals {
    fn add(&mut self, scan: &Scan) {
        self.crates += 1;
        self.proc_macros += u64::from(scan.proc_macro);
        self.build_scripts += u64::from(!scan.build_scripts.is_empty());
        self.with_unsafe += u64::from(scan.syntax.unsafe_total() > 0);
        self.without_licence += u64::from(scan.licence.is_none() && scan.licence_files.is_empty());
        self.problems += scan.problems.len() as u64;
        self.syntax.add(&scan.syntax);
        for (language, lines) in &scan.lines {
            self.lines.add(lines);
            self.languages.entry(language.clone()).or_default().add(lines);
        }
        if let Some(licence) = &scan.licence {
            *self.licences.entry(licence.clone()).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(name: &str, code: u64) -> Scan {
        let lines = [("Rust".to_owned(), Lines { files: 1, code, comment: 1, blank: 2 })].into();
        let syntax = Syntax { functions: 3, unsafe_blocks: code % 2, ..Syntax::default() };
        Scan { name: name.to_owned(), licence: Some("MIT".to_owned()), lines, syntax, ..Scan::default() }
    }

    #[test]
    fn sums_are_over_all_that_could_be_read() {
        let unread = wasmill_sdk::Error::msg("gone").context("failed to read");
        let scans = [("a", Ok(scan("a", 5))), ("b", Err(unread)), ("c", Ok(scan("c", 4)))];
        let report = reduce("t".to_owned(), scans.into_iter().map(|(name, scan)| (name.to_owned(), scan)));
        assert_eq!((report.totals.crates, report.totals.problems, report.totals.with_unsafe), (2, 1, 1));
        assert_eq!(report.totals.lines, Lines { files: 2, code: 9, comment: 2, blank: 4 });
        assert_eq!(report.totals.syntax.functions, 6);
        assert_eq!(report.totals.licences, [("MIT".to_owned(), 2)].into());
        assert_eq!(report.unread, [Problem { file: "b".to_owned(), what: "failed to read: gone".to_owned() }]);
    }
}
