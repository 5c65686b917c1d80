//! What a job is repeated for.
//!
//! Owns: how `for-each` is written. Does not know: which items there are, but for lists.

use std::collections::HashMap;

use super::diagnostic::{Diagnostic, Diagnostics, Quoted, Span};
use super::document::Value;
use super::fields::{Field, Fields};
use super::source::Reader;
use super::{InputSource, Items, Spanned, Template};

/// The variables, each with its items.
pub(super) type ForEach = Vec<(Spanned<String>, Spanned<Items>)>;

/// What stands in for the variable of a `for-each` that could not be read. Templates with any other variable are
/// then let pass: nobody knows which ones there are.
pub(super) const UNREADABLE: &str = "";

impl Reader<'_> {
    /// Reads `for-each`.
    pub(super) fn for_each(&mut self, field: &Field<'_>, errors: &mut Diagnostics) -> ForEach {
        if !matches!(field.node.value, Value::Table(_)) {
            field.wrong_type("a table of variables", errors);
            let stand_in = Spanned { value: UNREADABLE.to_owned(), span: field.span() };
            return vec![(stand_in, Spanned { value: Items::List(Vec::new()), span: field.span() })];
        }
        let entries = field.entries(errors);
        if entries.is_empty() {
            let wrong = Diagnostic::new(format!("{} has no variable", field.subject), field.span());
            errors.push(wrong.hint("name one, for instance `for-each = { file = \"data/*.csv\" }`"));
        }
        let mut variables = Vec::new();
        for entry in entries {
            let (key, node) = entry;
            let mut chars = key.text.chars();
            let is_identifier = chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
                && chars.all(|char| char.is_ascii_alphanumeric() || char == '_');
            if !is_identifier {
                let wrong = Diagnostic::new(format!("{} cannot be a variable", Quoted(&key.text)), key.span.clone());
                errors.push(wrong.saying("a variable has letters, digits and `_` only, and starts with no digit"));
            }
            let items = self.items(&Field::of(entry, &field.subject), errors);
            let items = items.unwrap_or_else(|| Items::List(Vec::new()));
            let name = Spanned { value: key.text.to_string(), span: key.span.clone() };
            variables.push((name, Spanned { value: items, span: node.span.clone() }));
        }
        variables
    }

    fn items(&mut self, field: &Field<'_>, errors: &mut Diagnostics) -> Option<Items> {
        let entries = match &field.node.value {
            Value::String(_) => return self.host_items(field, errors),
            Value::Array(_) => return Some(Items::List(list(field, errors))),
            Value::Table(entries) => entries,
            _ => {
                field.wrong_type("a glob, a list, or a table with `glob`, `lines`, `json` or `entries`", errors);
                return None;
            }
        };
        let mut fields = Fields::of(entries, &field.subject);
        let kinds = [fields.take("glob"), fields.take("lines"), fields.take("json"), fields.take("entries")];
        let meant = fields.finish(errors);
        match kinds {
            [Some(glob), None, None, None] => self.host_items(&glob, errors),
            [None, Some(lines), None, None] => Some(Items::Lines(self.list_file(&lines, errors)?)),
            [None, None, Some(json), None] => Some(Items::Json(self.list_file(&json, errors)?)),
            [None, None, None, Some(entries)] => match self.source(&entries, None, errors)? {
                InputSource::Path(_) | InputSource::Glob(_) | InputSource::Text(_) => {
                    let wrong = Diagnostic::new(format!("{} must be a job's output", entries.subject), entries.span());
                    errors.push(wrong.hint("the files of a host directory are a glob: `\"data/*\"`"));
                    None
                }
                source => Some(Items::Entries(source)),
            },
            kinds => {
                if kinds.iter().flatten().count() > 1 || meant.is_empty() {
                    let message =
                        format!("{} must have exactly one of `glob`, `lines`, `json` and `entries`", field.subject);
                    errors.push(Diagnostic::new(message, field.span()));
                }
                None
            }
        }
    }

    fn host_items(&self, glob: &Field<'_>, errors: &mut Diagnostics) -> Option<Items> {
        self.check_host(glob, errors)?;
        Some(Items::Glob(glob.name(errors)?.to_owned()))
    }

    /// Reads where a list stands: a host file, by its name alone, or one file of a job's output.
    fn list_file(&mut self, field: &Field<'_>, errors: &mut Diagnostics) -> Option<InputSource> {
        if let Value::String(_) = field.node.value {
            self.check_host(field, errors)?;
            return Some(InputSource::Path(Template::literal(field.name(errors)?)));
        }
        self.file(field, errors)
    }
}

fn list(field: &Field<'_>, errors: &mut Diagnostics) -> Vec<String> {
    let mut seen: HashMap<String, Span> = HashMap::new();
    let mut list = Vec::new();
    for item in field.items(errors) {
        let text = match &item.node.value {
            Value::Int(number) => number.to_string(),
            Value::String(text) => text.to_string(),
            _ => {
                item.wrong_type("a string or a whole number", errors);
                continue;
            }
        };
        if text.is_empty() || text.contains(char::is_control) {
            item.wrong("it becomes part of a job's name, which is not empty and has no control characters", errors);
        }
        if let Some(first) = seen.insert(text.clone(), item.span()) {
            let message = format!("{} is twice in {}", Quoted(&text), field.subject);
            errors.push(Diagnostic::new(message, item.span()).and_at(first, "it stands here first"));
        }
        list.push(text);
    }
    list
}
