//! Taking a document's tables apart.
//!
//! Owns: what values are called in messages, wrong types, unknown keys. Does not know: which keys a plan has.

use std::fmt;

use super::diagnostic::{Diagnostic, Diagnostics, Quoted, Span, listed};
use super::document::{Key, Node, Value};
use super::quantity;
use super::spelling::nearest;

/// What a message is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// The whole plan.
    Plan,
    /// The whole configuration.
    Config,
    /// `[defaults]`.
    Defaults,
    /// A module, by its name.
    Module(&'a str),
    /// A job, by its name.
    Job(&'a str),
    /// The value of a key in something else.
    Key(&'a str, &'a Subject<'a>),
    /// An item of a list.
    Item(&'a Subject<'a>),
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Plan => f.write_str("the plan"),
            Subject::Config => f.write_str("the configuration"),
            Subject::Defaults => f.write_str("`[defaults]`"),
            Subject::Module(name) => write!(f, "module {}", Quoted(name)),
            Subject::Job(name) => write!(f, "job {}", Quoted(name)),
            Subject::Key(key, Subject::Plan | Subject::Config) => write!(f, "{}", Quoted(key)),
            Subject::Key(key, parent) => write!(f, "{} in {parent}", Quoted(key)),
            Subject::Item(list) => write!(f, "an item of {list}"),
        }
    }
}

/// A value together with what it is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    /// What it is called.
    pub(super) subject: Subject<'a>,
    /// Where its key stands; in a list, where it stands itself.
    pub(super) key_span: &'a Span,
    /// The value.
    pub(super) node: &'a Node<'a>,
}

impl<'a> Field<'a> {
    /// An entry of a table that `parent` has.
    pub(super) fn of((key, node): &'a (Key<'a>, Node<'a>), parent: &'a Subject<'a>) -> Self {
        Self { subject: Subject::Key(&key.text, parent), key_span: &key.span, node }
    }

    /// Where the value stands.
    pub(super) fn span(&self) -> Span {
        self.node.span.clone()
    }

    /// Says that the value is of the wrong type.
    pub(super) fn wrong_type(&self, expected: &str, errors: &mut Diagnostics) {
        let kind = self.node.value.kind();
        errors.push(
            Diagnostic::new(format!("{} must be {expected}, not {kind}", self.subject), self.span())
                .saying(format!("this is {kind}")),
        );
    }

    /// Says that the value cannot be used.
    pub(super) fn wrong(&self, wrong: impl fmt::Display, errors: &mut Diagnostics) {
        errors.push(Diagnostic::new(format!("{} cannot be used: {wrong}", self.subject), self.span()));
    }

    /// The value as a string.
    pub(super) fn string(&self, errors: &mut Diagnostics) -> Option<&'a str> {
        let Value::String(text) = &self.node.value else {
            self.wrong_type("a string", errors);
            return None;
        };
        Some(text)
    }

    /// The value as a string that names something: not empty and without NUL characters, which no host and no
    /// guest can take in a name, an argument or a path.
    pub(super) fn name(&self, errors: &mut Diagnostics) -> Option<&'a str> {
        let text = self.string(errors)?;
        if text.is_empty() {
            self.wrong("it is empty", errors);
            return None;
        }
        self.without_nul(text, errors)
    }

    /// Refuses a NUL character.
    pub(super) fn without_nul(&self, text: &'a str, errors: &mut Diagnostics) -> Option<&'a str> {
        if text.contains('\0') {
            self.wrong("it has a NUL character in it", errors);
            return None;
        }
        Some(text)
    }

    /// The value as a whole number of at least `min`.
    pub(super) fn whole(&self, min: u64, errors: &mut Diagnostics) -> Option<u64> {
        let Value::Int(number) = self.node.value else {
            self.wrong_type("a whole number", errors);
            return None;
        };
        let number = u64::try_from(number).ok().filter(|number| *number >= min);
        if number.is_none() {
            self.wrong(format_args!("it must be at least {min}"), errors);
        }
        number
    }

    /// The value as a size: a string with a unit, or a number of bytes.
    pub(super) fn bytes(&self, errors: &mut Diagnostics) -> Option<u64> {
        match &self.node.value {
            Value::Int(_) => self.whole(0, errors),
            Value::String(text) => self.quantity(quantity::bytes(text), errors),
            _ => {
                self.wrong_type("a size such as \"64MiB\"", errors);
                None
            }
        }
    }

    /// The value as a duration in milliseconds: a string with a unit.
    pub(super) fn milliseconds(&self, errors: &mut Diagnostics) -> Option<u64> {
        match &self.node.value {
            Value::String(text) => self.quantity(quantity::milliseconds(text), errors),
            _ => {
                self.wrong_type("a duration such as \"10s\"", errors);
                None
            }
        }
    }

    fn quantity(&self, read: Result<u64, String>, errors: &mut Diagnostics) -> Option<u64> {
        read.map_err(|wrong| self.wrong(wrong, errors)).ok()
    }

    /// The value as a list, item by item.
    pub(super) fn items<'b>(&'b self, errors: &mut Diagnostics) -> Vec<Field<'b>> {
        let Value::Array(items) = &self.node.value else {
            self.wrong_type("a list", errors);
            return Vec::new();
        };
        (items.iter()).map(|node| Field { subject: Subject::Item(&self.subject), key_span: &node.span, node }).collect()
    }

    /// The value as a table, entry by entry.
    pub(super) fn entries(&self, errors: &mut Diagnostics) -> &'a [(Key<'a>, Node<'a>)] {
        let Value::Table(entries) = &self.node.value else {
            self.wrong_type("a table", errors);
            return &[];
        };
        entries
    }
}

/// The keys of a table that are known beforehand.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    subject: &'a Subject<'a>,
    entries: &'a [(Key<'a>, Node<'a>)],
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The entries of the table that `subject` has.
    pub(super) fn of(entries: &'a [(Key<'a>, Node<'a>)], subject: &'a Subject<'a>) -> Self {
        // A plan may have many jobs.
        let keys = if matches!(subject, Subject::Job(_)) { 24 } else { 8 };
        Self { subject, entries, asked: Vec::with_capacity(keys) }
    }

    /// The value of a key, which counts as known from now on.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.asked.push(key);
        self.entries.iter().find(|(found, _)| found.text == key).map(|entry| Field::of(entry, self.subject))
    }

    /// Reports every key that nobody asked for. Returns the known keys that were probably meant, so that they need
    /// not be reported as missing too.
    pub(super) fn finish(self, errors: &mut Diagnostics) -> Vec<&'static str> {
        let mut meant = Vec::new();
        for (key, _) in self.entries.iter().filter(|(key, _)| !self.asked.iter().any(|asked| key.text == *asked)) {
            let near = nearest(&key.text, self.asked.iter().copied());
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the keys here are {}", listed(self.asked.iter().copied())),
            };
            let message = format!("unknown key {} in {}", Quoted(&key.text), self.subject);
            errors.push(Diagnostic::new(message, key.span.clone()).hint(hint));
            meant.extend(self.asked.iter().filter(|asked| Some(**asked) == near));
        }
        meant
    }
}
