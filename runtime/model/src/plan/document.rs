//! TOML and JSON as one kind of document, with the place of every key and value.
//!
//! Owns: what a document is, and what is wrong with one that is not well-formed. Does not know: plans.

use std::borrow::Cow;
use std::collections::HashMap;

use jsonc_parser::ast::{Object, ObjectPropName, Value as JsonValue};
use jsonc_parser::common::{Range, Ranged};
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast};
use toml::de::{DeArray, DeTable, DeValue};

use super::decode::Format;
use super::diagnostic::{Diagnostic, Diagnostics, Quoted, Span};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node<'t> {
    pub(super) span: Span,
    pub(super) value: Value<'t>,
}

/// A key of a table and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key<'t> {
    pub(super) text: Cow<'t, str>,
    pub(super) span: Span,
}

/// What TOML and JSON have in common.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'t> {
    /// JSON only.
    Null,
    Bool(bool),
    Int(i64),
    /// Any other number; TOML has infinities and not-a-number too.
    Float(f64),
    String(Cow<'t, str>),
    Array(Vec<Node<'t>>),
    /// In the order of the text, no key twice.
    Table(Vec<(Key<'t>, Node<'t>)>),
}

impl Value<'_> {
    /// The kind of value, with its article, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "a whole number",
            Value::Float(_) => "a fraction",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

/// Reads a document; what is wrong with it goes to `errors`, and what could be read is returned all the same.
pub(super) fn read<'t>(text: &'t str, format: Format, errors: &mut Diagnostics) -> Node<'t> {
    match format {
        Format::Toml => read_toml(text, errors),
        Format::Json => read_json(text, errors),
    }
}

fn read_toml<'t>(text: &'t str, errors: &mut Diagnostics) -> Node<'t> {
    let (root, wrong) = DeTable::parse_recoverable(text);
    for error in wrong {
        let span = error.span().unwrap_or(text.len()..text.len());
        let message = match (error.message(), text.get(span.clone())) {
            ("duplicate key", Some(key)) => format!("duplicate key {}", Quoted(key)),
            ("string values must be quoted, expected literal string", Some("")) => "the value is missing".to_owned(),
            (message, _) => message.to_owned(),
        };
        errors.push(Diagnostic::new(message, span));
    }
    Node { span: 0..text.len().min(1), value: Value::Table(toml_table(root.into_inner(), errors)) }
}

fn toml_table<'t>(table: DeTable<'t>, errors: &mut Diagnostics) -> Vec<(Key<'t>, Node<'t>)> {
    let mut entries: Vec<_> = (table.into_iter())
        .map(|(key, value)| {
            let key = Key { span: key.span(), text: key.into_inner() };
            let span = value.span();
            let value = toml_value(value.into_inner(), &span, errors);
            (key, Node { span, value })
        })
        .collect();
    // The parser hands tables out in the order of their keys.
    entries.sort_by_key(|(key, _)| key.span.start);
    entries
}

fn toml_value<'t>(value: DeValue<'t>, span: &Span, errors: &mut Diagnostics) -> Value<'t> {
    match value {
        DeValue::String(text) => Value::String(text),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Int(number),
            Err(_) => {
                errors.push(number_too_large(span.clone()));
                Value::Int(0)
            }
        },
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(float) if float.is_finite() || number.as_str().contains(['i', 'n']) => Value::Float(float),
            _ => {
                errors.push(number_too_large(span.clone()));
                Value::Float(0.0)
            }
        },
        DeValue::Datetime(_) => {
            let wrong =
                Diagnostic::new("a plan has no dates", span.clone()).hint("put it in quotes to make it a string");
            errors.push(wrong);
            Value::String(Cow::Borrowed(""))
        }
        DeValue::Array(items) => Value::Array(toml_array(items, errors)),
        DeValue::Table(table) => Value::Table(toml_table(table, errors)),
    }
}

fn toml_array<'t>(items: DeArray<'t>, errors: &mut Diagnostics) -> Vec<Node<'t>> {
    let node = |item: toml::Spanned<DeValue<'t>>| {
        let span = item.span();
        let value = toml_value(item.into_inner(), &span, errors);
        Node { span, value }
    };
    items.into_iter().map(node).collect()
}

fn number_too_large(span: Span) -> Diagnostic {
    let hint = format!("whole numbers go from {} to {}, others to {:e}", i64::MIN, i64::MAX, f64::MAX);
    Diagnostic::new("the number is too large", span).hint(hint)
}

/// JSON as RFC 8259 has it; a byte order mark is skipped, as the RFC allows.
const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

fn read_json<'t>(text: &'t str, errors: &mut Diagnostics) -> Node<'t> {
    let json = text.strip_prefix('\u{feff}').unwrap_or(text);
    let offset = text.len() - json.len();
    let collect = CollectOptions { comments: CommentCollectionStrategy::Off, tokens: false };
    match parse_to_ast(json, &collect, &STRICT) {
        Ok(result) => match result.value {
            Some(value) => JsonReader { offset, errors }.node(value),
            None => {
                errors.push(Diagnostic::new("the plan is empty", 0..0).hint("the smallest plan is `{}`"));
                empty()
            }
        },
        Err(error) => {
            let Range { start, end } = error.range();
            let message = lower_first(&error.kind().to_string());
            errors.push(Diagnostic::new(message, start + offset..end + offset));
            empty()
        }
    }
}

fn empty() -> Node<'static> {
    Node { span: 0..0, value: Value::Table(Vec::new()) }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

struct JsonReader<'a> {
    offset: usize,
    errors: &'a mut Diagnostics,
}

impl JsonReader<'_> {
    fn span(&self, range: Range) -> Span {
        range.start + self.offset..range.end + self.offset
    }

    fn node<'t>(&mut self, value: JsonValue<'t>) -> Node<'t> {
        let span = self.span(value.range());
        let value = match value {
            JsonValue::NullKeyword(_) => Value::Null,
            JsonValue::BooleanLit(literal) => Value::Bool(literal.value),
            JsonValue::StringLit(literal) => Value::String(literal.value),
            JsonValue::NumberLit(literal) => self.number(literal.value, &span),
            JsonValue::Array(array) => Value::Array(array.elements.into_iter().map(|item| self.node(item)).collect()),
            JsonValue::Object(object) => Value::Table(self.table(object)),
        };
        Node { span, value }
    }

    fn number(&mut self, text: &str, span: &Span) -> Value<'static> {
        let is_whole = !text.contains(['.', 'e', 'E']);
        let number = if is_whole {
            text.parse().ok().map(Value::Int)
        } else {
            text.parse().ok().filter(|float: &f64| float.is_finite()).map(Value::Float)
        };
        number.unwrap_or_else(|| {
            self.errors.push(number_too_large(span.clone()));
            Value::Int(0)
        })
    }

    fn table<'t>(&mut self, object: Object<'t>) -> Vec<(Key<'t>, Node<'t>)> {
        let mut seen: HashMap<Cow<'t, str>, Span> = HashMap::with_capacity(object.properties.len());
        let mut entries = Vec::with_capacity(object.properties.len());
        for property in object.properties {
            let (text, range) = match property.name {
                ObjectPropName::String(name) => (name.value, name.range),
                ObjectPropName::Word(name) => (Cow::Borrowed(name.value), name.range),
            };
            let key = Key { span: self.span(range), text };
            let value = self.node(property.value);
            if let Some(first) = seen.get(&key.text) {
                self.errors.push(
                    Diagnostic::new(format!("duplicate key {}", Quoted(&key.text)), key.span)
                        .and_at(first.clone(), "it stands here first"),
                );
            } else {
                seen.insert(key.text.clone(), key.span.clone());
                entries.push((key, value));
            }
        }
        entries
    }
}
