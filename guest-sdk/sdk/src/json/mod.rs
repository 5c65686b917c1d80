//! JSON as jobs are given it and give it, small as a program.
//!
//! Owns: reading and writing whatever serde describes, the way `serde_json` does, to the byte; but that fractions are read exactly, that a
//! type which asks for a whole number is never shown a fraction, and that numbers which `serde_json` would keep as they are written, if it
//! was told to, are read as fractions. Does not know: what is read.
//!
//! `serde_json` is 40 KB of a module that reads one text: its messages write fractions, quote with Unicode's tables, and end in
//! `std::io::Error`. Here a reader that takes no fractions has nothing that reads or writes them.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::fmt::{self, Display, Write as _};

use serde::de::{self, Expected, Unexpected};
use serde::ser;

pub(crate) use read::{Reader, fields, from_slice};
#[cfg(not(target_family = "wasm"))]
pub(crate) use write::string;
pub(crate) use write::to_vec;

/// Why JSON cannot be read or written.
pub struct Error(Box<Wrong>);

struct Wrong {
    message: String,
    /// Where in the text: the value that does not fit, or the byte that should not be there.
    at: Option<usize>,
}

impl Error {
    #[cold]
    fn new(message: impl Into<String>, at: Option<usize>) -> Self {
        Self(Box::new(Wrong { message: message.into(), at }))
    }

    /// A type's own error is about the value that it was read from.
    #[cold]
    fn or_at(mut self, at: usize) -> Self {
        self.0.at = self.0.at.or(Some(at));
        self
    }

    /// An error of a text within the text.
    #[cold]
    fn anywhere(mut self) -> Self {
        self.0.at = None;
        self
    }

    /// Where it is, in a text.
    pub(crate) fn at(&self) -> usize {
        self.0.at.unwrap_or(0)
    }

    /// What is wrong, and the line and the column of it.
    pub(crate) fn in_text(&self, text: &[u8]) -> String {
        let before = text.get(..self.at()).unwrap_or(text);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        format!("{} at line {line} column {column}", self.0.message)
    }
}

impl Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

impl ser::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string(), None)
    }
}

impl de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string(), None)
    }

    #[cold]
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        misfit("invalid type: ", found, expected)
    }

    #[cold]
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        misfit("invalid value: ", found, expected)
    }
}

/// As serde says it. Its own way of saying it can write fractions, and quotes with all of Unicode's tables.
#[cold]
fn misfit(what: &str, found: Unexpected<'_>, expected: &dyn Expected) -> Error {
    let mut message = what.to_owned();
    let quoted = |message: &mut String, kind: &str, text: &str| {
        message.push_str(kind);
        let mut json = Vec::new();
        write::string(&mut json, text);
        message.push_str(&String::from_utf8(json).unwrap_or_default());
    };
    // Writing to a String cannot fail.
    let _ = match found {
        Unexpected::Unsigned(number) => write!(message, "integer `{number}`"),
        Unexpected::Signed(number) => write!(message, "integer `{number}`"),
        other => {
            match other {
                Unexpected::Str(text) => quoted(&mut message, "string ", text),
                Unexpected::Char(char) => quoted(&mut message, "character ", char.encode_utf8(&mut [0; 4])),
                other => message.push_str(match other {
                    Unexpected::Bool(true) => "boolean `true`",
                    Unexpected::Bool(false) => "boolean `false`",
                    Unexpected::Float(_) => "floating point number",
                    Unexpected::Bytes(_) => "byte array",
                    Unexpected::Unit => "null",
                    Unexpected::Option => "Option value",
                    Unexpected::NewtypeStruct => "newtype struct",
                    Unexpected::Seq => "sequence",
                    Unexpected::Map => "map",
                    Unexpected::Enum => "enum",
                    Unexpected::UnitVariant => "unit variant",
                    Unexpected::NewtypeVariant => "newtype variant",
                    Unexpected::TupleVariant => "tuple variant",
                    Unexpected::StructVariant => "struct variant",
                    Unexpected::Other(other) => other,
                    _ => "something else",
                }),
            }
            Ok(())
        }
    };
    let _ = write!(message, ", expected {expected}");
    Error::new(message, None)
}
