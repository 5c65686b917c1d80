//! TOML and JSON as one kind of document, with the place of every key and value.
//!
//! Owns: what a document is, and what is wrong with one that is not well-formed. Does not know: plans.

use std::borrow::Cow;
use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use jsonc_parser::common::Range;
use jsonc_parser::tokens::Token;
use jsonc_parser::{
    CollectOptions, CommentCollectionStrategy, ParseOptions, ParseResult, Scanner, ScannerOptions, parse_to_ast,
};
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

/// How deep lists and tables may be nested, which is what the parser allows.
const DEPTH_MAX: usize = 512;

/// Tables of fewer keys are searched one by one.
const FEW: usize = 8;

/// The tokens of JSON as RFC 8259 has it.
const TOKENS: ScannerOptions = ScannerOptions {
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

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
    let (scanner, wrong) = (Scanner::new(json, &TOKENS), Diagnostics::default());
    let mut reader = JsonReader { scanner, offset, keys: Vec::new(), items: Vec::new(), errors: wrong };
    if let Some(node) = reader.document() {
        errors.append(reader.errors);
        return node;
    }
    // It is not well-formed. The parser says how; what it makes of documents that are would take twice the time and the memory.
    let collect = CollectOptions { comments: CommentCollectionStrategy::Off, tokens: false };
    let wrong = match parse_to_ast(json, &collect, &STRICT) {
        Ok(ParseResult { value: None, .. }) => {
            Diagnostic::new("the plan is empty", 0..0).hint("the smallest plan is `{}`")
        }
        Ok(_) => Diagnostic::new("the plan is not well-formed", 0..text.len().min(1)),
        Err(error) => {
            let Range { start, end } = error.range();
            Diagnostic::new(lower_first(&error.kind().to_string()), start + offset..end + offset)
        }
    };
    errors.push(wrong);
    empty()
}

fn empty() -> Node<'static> {
    Node { span: 0..0, value: Value::Table(Vec::new()) }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// The keys of a large table, as numbers of its entries: of a million jobs' names there is no copy.
#[derive(Default)]
struct Seen {
    /// With what was made of the key, so that it is not looked at again where the table grows.
    entries: HashTable<(u32, u32)>,
    random: RandomState,
}

impl Seen {
    /// The entry of a key. If there is none, this key's is the next.
    fn find<'e, 't>(&mut self, entries: &'e [(Key<'t>, Node<'t>)], key: &str) -> Option<&'e (Key<'t>, Node<'t>)> {
        for at in self.entries.len()..entries.len() {
            let hash = self.hash(entries.get(at).map_or("", |(key, _)| &key.text));
            self.entries.insert_unique(spread(hash), (number(at), hash), |(_, hash)| spread(*hash));
        }
        let hash = self.hash(key);
        let is_it = |entry: &(u32, u32)| {
            entry.1 == hash && entries.get(entry.0 as usize).is_some_and(|(other, _)| other.text == key)
        };
        match self.entries.entry(spread(hash), is_it, |(_, hash)| spread(*hash)) {
            Entry::Occupied(found) => entries.get(found.get().0 as usize),
            Entry::Vacant(room) => {
                room.insert((number(entries.len()), hash));
                None
            }
        }
    }

    fn hash(&self, key: &str) -> u32 {
        // Half of it is as good, and half as large.
        self.random.hash_one(key) as u32
    }
}

/// A hash of all bits, as a table wants it.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Makes a document of tokens. Each step gives none where it is not well-formed.
struct JsonReader<'t> {
    scanner: Scanner<'t>,
    offset: usize,
    /// The entries of tables, and the items of lists, that have not come to their end: so these take no more memory than they need.
    keys: Vec<(Key<'t>, Node<'t>)>,
    items: Vec<Node<'t>>,
    errors: Diagnostics,
}

impl<'t> JsonReader<'t> {
    fn document(&mut self) -> Option<Node<'t>> {
        let token = self.next()?;
        let node = self.node(token, 0)?;
        matches!(self.scanner.scan(), Ok(None)).then_some(node)
    }

    fn next(&mut self) -> Option<Token<'t>> {
        self.scanner.scan().ok().flatten()
    }

    /// Where the latest token stands.
    fn span(&self) -> Span {
        self.scanner.token_start() + self.offset..self.scanner.token_end() + self.offset
    }

    /// What begins with a token.
    fn node(&mut self, token: Token<'t>, depth: usize) -> Option<Node<'t>> {
        let mut span = self.span();
        let value = match token {
            Token::Null => Value::Null,
            Token::Boolean(value) => Value::Bool(value),
            Token::String(value) => Value::String(value),
            Token::Number(text) => self.number(text, &span),
            Token::OpenBracket if depth < DEPTH_MAX => Value::Array(self.array(depth + 1)?),
            Token::OpenBrace if depth < DEPTH_MAX => Value::Table(self.table(depth + 1)?),
            _ => return None,
        };
        span.end = self.span().end;
        Some(Node { span, value })
    }

    /// What begins the first item of what ends with `close`; none inside if there is none.
    fn first(&mut self, close: &Token<'t>) -> Option<Option<Token<'t>>> {
        self.next().map(|token| Some(token).filter(|token| token != close))
    }

    /// What begins the item behind another.
    fn following(&mut self, close: &Token<'t>) -> Option<Option<Token<'t>>> {
        match self.next()? {
            Token::Comma => self.next().map(Some),
            token => (token == *close).then_some(None),
        }
    }

    fn array(&mut self, depth: usize) -> Option<Vec<Node<'t>>> {
        let (first, close) = (self.items.len(), Token::CloseBracket);
        let mut next = self.first(&close)?;
        while let Some(token) = next {
            let item = self.node(token, depth)?;
            self.items.push(item);
            next = self.following(&close)?;
        }
        Some(self.items.drain(first..).collect())
    }

    fn table(&mut self, depth: usize) -> Option<Vec<(Key<'t>, Node<'t>)>> {
        let (first, close) = (self.keys.len(), Token::CloseBrace);
        let mut seen = Seen::default();
        let mut next = self.first(&close)?;
        while let Some(token) = next {
            let Token::String(text) = token else { return None };
            let key = Key { span: self.span(), text };
            if self.next()? != Token::Colon {
                return None;
            }
            let token = self.next()?;
            let value = self.node(token, depth)?;
            self.entry(first, key, value, &mut seen);
            next = self.following(&close)?;
        }
        Some(self.keys.drain(first..).collect())
    }

    /// Adds an entry to the table that begins at `first`, unless there is one of the same key. `seen` has the keys of large tables.
    fn entry(&mut self, first: usize, key: Key<'t>, value: Node<'t>, seen: &mut Seen) {
        let entries = self.keys.get(first..).unwrap_or_default();
        let before = if entries.len() < FEW {
            entries.iter().find(|(other, _)| other.text == key.text).map(|(other, _)| other.span.clone())
        } else {
            seen.find(entries, &key.text).map(|(other, _)| other.span.clone())
        };
        if let Some(before) = before {
            let wrong = Diagnostic::new(format!("duplicate key {}", Quoted(&key.text)), key.span);
            self.errors.push(wrong.and_at(before, "it stands here first"));
            return;
        }
        self.keys.push((key, value));
    }

    fn number(&mut self, text: &str, span: &Span) -> Value<'t> {
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
}
