//! What is wrong with a plan, and where.
//!
//! Owns: diagnostics as data, and collecting them: at most 100 are kept, in the order of the text. Does not
//! know: how they are shown.

use std::fmt;
use std::ops::Range;

/// A range of bytes in the plan's text.
pub type Span = Range<usize>;

/// One thing that is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, lower-case, names in backticks.
    pub message: String,
    /// The place, and what to say at it; further places follow (the other of two duplicates, say). Empty only in
    /// the last diagnostic of a plan that has more errors than are kept.
    pub labels: Vec<Label>,
    /// How to mend it.
    pub hint: Option<String>,
}

/// A place in a plan and what to say there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What to say; may be empty.
    pub text: String,
}

impl Diagnostic {
    /// A diagnostic at one place.
    pub fn new(message: impl Into<String>, span: Span) -> Self {
        Self { message: message.into(), labels: vec![Label { span, text: String::new() }], hint: None }
    }

    /// Says something at the main place.
    #[must_use]
    pub fn saying(mut self, text: impl Into<String>) -> Self {
        if let Some(label) = self.labels.first_mut() {
            label.text = text.into();
        }
        self
    }

    /// Points at a further place.
    #[must_use]
    pub fn and_at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Says how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Diagnostics as they are found.
#[derive(Debug, Default)]
pub(super) struct Diagnostics {
    kept: Vec<Diagnostic>,
    left_out: usize,
}

impl Diagnostics {
    /// More than anybody reads, and few enough that a hostile plan costs little.
    const KEPT_MAX: usize = 100;

    /// Adds one, or counts it where there are many already.
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.push_with(|| diagnostic);
    }

    /// Adds one that is costly to make, or counts it where there are many already.
    pub(super) fn push_with(&mut self, diagnostic: impl FnOnce() -> Diagnostic) {
        if self.kept.len() < Self::KEPT_MAX {
            self.kept.push(diagnostic());
        } else {
            self.left_out += 1;
        }
    }

    /// Adds what was found behind these.
    pub(super) fn append(&mut self, others: Self) {
        others.kept.into_iter().for_each(|diagnostic| self.push(diagnostic));
        self.left_out += others.left_out;
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The diagnostics in the order of the text, and the number of the others last.
    pub(super) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.kept.sort_by_key(|diagnostic| diagnostic.labels.first().map(|label| label.span.start));
        if self.left_out > 0 {
            let noun = if self.left_out == 1 { "error" } else { "errors" };
            let message = format!("and {} more {noun}", self.left_out);
            self.kept.push(Diagnostic { message, labels: Vec::new(), hint: None });
        }
        self.kept
    }
}

/// A name out of the plan, to be shown: in backticks, cut short, control characters escaped.
pub(super) struct Quoted<'a>(pub(super) &'a str);

/// Longer names are cut when shown.
const SHOWN_CHARS_MAX: usize = 60;

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`")?;
        let mut chars = self.0.chars();
        for char in chars.by_ref().take(SHOWN_CHARS_MAX) {
            if char.is_control() {
                write!(f, "{}", char.escape_debug())?;
            } else {
                write!(f, "{char}")?;
            }
        }
        f.write_str(if chars.next().is_some() { "…`" } else { "`" })
    }
}

/// Names as a list in a sentence: `` `a`, `b` and `c` ``; long lists are cut short.
pub(super) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN_MAX: usize = 12;
    let total = names.len();
    let shown = total.min(SHOWN_MAX);
    let mut list = String::new();
    for (index, name) in names.take(shown).enumerate() {
        match index {
            0 => {}
            _ if index + 1 == total => list.push_str(" and "),
            _ => list.push_str(", "),
        }
        list.push_str(&Quoted(name).to_string());
    }
    if total > shown {
        list.push_str(&format!(" and {} more", total - shown));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hundred_are_kept_in_the_order_of_the_text() {
        let mut diagnostics = Diagnostics::default();
        for place in (0..100).rev().chain(100..117) {
            diagnostics.push(Diagnostic::new("wrong", place..place + 1));
        }
        let sorted = diagnostics.into_sorted();
        assert_eq!(sorted.len(), 101);
        assert!(sorted.iter().take(100).enumerate().all(|(place, found)| found.labels[0].span.start == place));
        assert_eq!(sorted[100].message, "and 17 more errors");
    }

    #[test]
    fn names_are_shown_short_and_on_one_line() {
        assert_eq!(Quoted("a\nb").to_string(), "`a\\nb`");
        assert_eq!(Quoted(&"é".repeat(61)).to_string(), format!("`{}…`", "é".repeat(60)));
        assert_eq!(listed(["a"].into_iter()), "`a`");
        assert_eq!(listed(["a", "b", "c"].into_iter()), "`a`, `b` and `c`");
        assert!(listed(vec!["x"; 20].into_iter()).ends_with("`x` and 8 more"));
    }
}
