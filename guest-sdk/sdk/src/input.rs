//! What a job is given, by the names of its parameters.
//!
//! Owns: where a parameter's value is found, and reading it as the type that the job takes. Does not know: how the job is called
//! (`job`), or what the plan says.
//!
//! A parameter has its value from one of two places: what the plan mounts at `/in/NAME`, or the field `NAME` of the plan's
//! `input`. All types are read through serde. Those that stand for a place ([`crate::File`], [`crate::Dir`], [`crate::Each`]) and
//! [`crate::Text`] are newtypes of names that no other type has; who reads a mount sees these names and hands over the place, or the
//! text, in place of a value (as `serde_json` does for its `RawValue`).

use std::cell::OnceCell;
use std::fmt::{self, Display};
use std::ops::Range;

use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer as _, Visitor};
use wasmill_abi as abi;

use crate::job::Failure;
use crate::json;
use crate::place::path_of;
use crate::system;
use crate::text::text;

/// The names of the newtypes that stand for a place.
pub(crate) const FILE: &str = "$wasmill::File";
pub(crate) const DIR: &str = "$wasmill::Dir";
pub(crate) const EACH: &str = "$wasmill::Each";
pub(crate) const TEXT: &str = "$wasmill::Text";

/// The values of a job's parameters, until they are taken.
#[derive(Debug)]
pub struct Inputs {
    in_dir: String,
    json: Vec<u8>,
    /// The fields of the object that `json` is, and where in it their values are. There are few: a map would be larger as a program
    /// than as data.
    given: Vec<(String, Range<usize>)>,
    taken: Vec<&'static str>,
}

impl Inputs {
    /// The values in an object of JSON (no bytes at all are an empty one), and in what is mounted below a directory.
    ///
    /// # Errors
    /// [`Failure::Input`]: it is something else.
    pub fn new(json: Vec<u8>, in_dir: impl Into<String>) -> Result<Self, Failure> {
        let given = if json.trim_ascii().is_empty() { Ok(Vec::new()) } else { json::fields(&json) };
        let given = given.map_err(|error| {
            let error = error.in_text(&json);
            Failure::Input(text!("it is an object with a field for each parameter, and this is not one: ", error))
        })?;
        for (at, (name, _)) in given.iter().enumerate() {
            if given.iter().take(at).any(|(before, _)| before == name) {
                return Err(Failure::Input(text!(
                    "`",
                    name,
                    "` is there twice in the object with a field for each parameter"
                )));
            }
        }
        Ok(Self { in_dir: in_dir.into(), json, given, taken: Vec::new() })
    }

    /// The value of a parameter.
    ///
    /// # Errors
    /// [`Failure::Input`]: it is given twice, or not at all, or does not fit.
    pub fn take<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T, Failure> {
        let (path, given) = self.find(name)?;
        let from = match (&path, given) {
            (Some(path), _) => From::Mount(path),
            (None, Some(at)) => From::Json(self.json.get(at).unwrap_or_default()),
            (None, None) => From::Nowhere(name),
        };
        let loaded = OnceCell::new();
        let (mut source, mut refused) = (Source { from, loaded: &loaded }, None);
        // In one place, or there would be two of what reads each type.
        loop {
            match T::deserialize(source) {
                Ok(value) => return Ok(value),
                Err(wrong) => source = source.again(wrong, &mut refused).map_err(|wrong| wrong.with(name))?,
            }
        }
    }

    /// Where a parameter is mounted, or the field with its value. All that need not be there once for each type.
    fn find(&mut self, name: &'static str) -> Result<(Option<String>, Option<Range<usize>>), Failure> {
        self.taken.push(name);
        let path = text!(self.in_dir, "/", name);
        let given = self.given.iter().position(|(field, _)| field == name).map(|at| self.given.swap_remove(at).1);
        let is_mounted = system::is_there(&path);
        if is_mounted && given.is_some() {
            return Err(Failure::Input(text!(
                "`",
                name,
                "` is given twice: at `",
                path,
                "`, and as a field of `input`"
            )));
        }
        Ok((is_mounted.then_some(path), given))
    }

    /// Makes sure that nothing is given that the job does not take.
    ///
    /// # Errors
    /// [`Failure::Input`] if there is.
    pub fn finish(self) -> Result<(), Failure> {
        let Some((unknown, _)) = self.given.first() else { return Ok(()) };
        let mut takes = String::new();
        for name in &self.taken {
            takes.push_str(if takes.is_empty() { "`" } else { ", `" });
            takes.push_str(name);
            takes.push('`');
        }
        if takes.is_empty() {
            takes.push_str("nothing");
        }
        Err(Failure::Input(text!("`input` has `", unknown, "`, which the job does not take: it takes ", takes)))
    }
}

/// Where a value is.
#[derive(Debug, Clone, Copy)]
enum From<'a> {
    Json(&'a [u8]),
    Mount(&'a str),
    /// The parameter's name.
    Nowhere(&'static str),
}

/// A value that is read when it is known what for.
#[derive(Debug, Clone, Copy)]
struct Source<'a> {
    from: From<'a>,
    /// What was read of a mount.
    loaded: &'a OnceCell<Vec<u8>>,
}

/// Why a value cannot be read.
#[derive(Debug)]
struct Wrong {
    /// Where in it; empty for the whole.
    at: String,
    message: String,
}

impl Wrong {
    fn of_all(message: String) -> Self {
        Self { at: String::new(), message }
    }

    /// What is said of it where it is a parameter's value.
    fn with(self, name: &str) -> Failure {
        let Self { at, message } = self;
        let at = if at.is_empty() { at } else { text!(", `", at, "`") };
        Failure::Input(text!("`", name, "`", at, ": ", message))
    }
}

impl Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: Display>(message: T) -> Self {
        Self::of_all(message.to_string())
    }
}

impl<'de> Source<'de> {
    /// What is left to try where the value was refused: what another job returned may be nothing. Only what is no file or folder to
    /// look into has been read by then, and is a value.
    fn again(mut self, wrong: Wrong, refused: &mut Option<Wrong>) -> Result<Self, Wrong> {
        if let Some(first) = refused.take() {
            return Err(first);
        }
        if self.loaded.get().is_none_or(|text| text.trim_ascii() != b"null") {
            return Err(wrong);
        }
        self.from = From::Json(b"null");
        *refused = Some(wrong);
        Ok(self)
    }

    /// The value as JSON.
    fn json(self) -> Result<&'de [u8], Wrong> {
        match self.from {
            From::Json(text) => Ok(text),
            From::Nowhere(name) => Err(Wrong::of_all(text!(
                "nothing is given: mount something at `",
                abi::IN_DIR,
                "/",
                name,
                "`, or give a field `",
                name,
                "` of `input`"
            ))),
            From::Mount(path) => {
                let bytes = if system::is_dir(path) { read_result(path) } else { read(path) }?;
                Ok(self.loaded.get_or_init(|| bytes))
            }
        }
    }

    fn wrong(self, text: &[u8], error: &json::Error) -> Wrong {
        let message = error.in_text(text);
        let message = match self.from {
            From::Mount(path) => text!("in `", path, "`: ", message),
            _ => message,
        };
        Wrong { at: path_of(text, error.at()), message }
    }

    /// The value itself, for whoever wants to see it as what it is.
    fn value<T>(self, visit: impl FnOnce(&mut json::Reader<'de>) -> Result<T, json::Error>) -> Result<T, Wrong> {
        let text = self.json()?;
        let read = json::Reader::new(text).and_then(|mut json| {
            let value = visit(&mut json)?;
            json.end().map(|()| value)
        });
        read.map_err(|error| self.wrong(text, &error))
    }
}

fn read(path: &str) -> Result<Vec<u8>, Wrong> {
    system::read(path).map_err(|error| Wrong::of_all(text!("failed to read `", path, "`: ", error)))
}

/// The result that an SDK job left in a directory.
fn read_result(dir: &str) -> Result<Vec<u8>, Wrong> {
    let file = abi::RESULT_FILE;
    let path = text!(dir, "/", file);
    if !system::is_file(&path) {
        return Err(Wrong::of_all(text!(
            "`",
            dir,
            "` has no `",
            file,
            "`: whoever left it is no job that returns a value; take a `Dir`, or mount one file of it"
        )));
    }
    read(&path)
}

macro_rules! forward {
    ($($method:ident($($argument:ident: $ty:ty),*);)*) => {
        $(fn $method<V: Visitor<'de>>(self, $($argument: $ty,)* visitor: V) -> Result<V::Value, Wrong> {
            self.value(|json| json.$method($($argument,)* visitor))
        })*
    };
}

impl<'de> Deserializer<'de> for Source<'de> {
    type Error = Wrong;

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.from {
            From::Nowhere(_) | From::Json(b"null") => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.from {
            From::Nowhere(_) => visitor.visit_unit(),
            _ => self.value(|json| json.deserialize_unit(visitor)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        let From::Mount(path) = self.from else { return visitor.visit_newtype_struct(self) };
        let shown = path;
        let wrong = match name {
            FILE | TEXT if system::is_dir(path) => text!("`", shown, "` is a directory, and a file is wanted"),
            DIR | EACH if !system::is_dir(path) => text!("`", shown, "` is a file, and a directory is wanted"),
            TEXT => match String::from_utf8(read(path)?) {
                Ok(text) => return visitor.visit_newtype_struct(text.into_deserializer()),
                Err(error) => {
                    let at = error.utf8_error().valid_up_to();
                    format!("`{shown}` is no text: byte {at} is not UTF-8")
                }
            },
            FILE | DIR | EACH => return visitor.visit_newtype_struct(path.into_deserializer()),
            _ => return visitor.visit_newtype_struct(self),
        };
        Err(Wrong::of_all(wrong))
    }

    forward! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_unit_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
