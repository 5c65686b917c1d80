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
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use wasmill_abi as abi;

use crate::job::Failure;
use crate::place::path_of;

/// The names of the newtypes that stand for a place.
pub(crate) const FILE: &str = "$wasmill::File";
pub(crate) const DIR: &str = "$wasmill::Dir";
pub(crate) const EACH: &str = "$wasmill::Each";
pub(crate) const TEXT: &str = "$wasmill::Text";

/// The values of a job's parameters, until they are taken.
#[derive(Debug)]
pub struct Inputs {
    in_dir: PathBuf,
    given: Fields,
    taken: Vec<&'static str>,
}

impl Inputs {
    /// The values in an object of JSON (no bytes at all are an empty one), and in what is mounted below a directory.
    ///
    /// # Errors
    /// [`Failure::Input`]: it is something else.
    #[inline]
    pub fn new(json: &[u8], in_dir: impl Into<PathBuf>) -> Result<Self, Failure> {
        let json = json.trim_ascii();
        let given: Option<Fields> = match json {
            b"" => None,
            json => serde_json::from_slice(json).map_err(|error| {
                Failure::Input(format!("it is an object with a field for each parameter, and this is not one: {error}"))
            })?,
        };
        Ok(Self { in_dir: in_dir.into(), given: given.unwrap_or_default(), taken: Vec::new() })
    }

    /// The value of a parameter.
    ///
    /// # Errors
    /// [`Failure::Input`]: it is given twice, or not at all, or does not fit.
    pub fn take<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T, Failure> {
        let (path, given) = self.find(name)?;
        let from = match (&path, &given) {
            (Some(path), _) => From::Mount(path),
            (None, Some(json)) => From::Json(json.get()),
            (None, None) => From::Nowhere(name),
        };
        let loaded = OnceCell::new();
        T::deserialize(Source { from, loaded: &loaded }).map_err(|wrong| wrong.with(name))
    }

    /// Where a parameter is mounted, or the field with its value. All that need not be there once for each type.
    fn find(&mut self, name: &'static str) -> Result<(Option<PathBuf>, Option<Box<RawValue>>), Failure> {
        self.taken.push(name);
        let path = self.in_dir.join(name);
        let given = self.given.0.iter().position(|(field, _)| field == name).map(|at| self.given.0.swap_remove(at).1);
        let is_mounted = path.symlink_metadata().is_ok();
        if is_mounted && given.is_some() {
            let path = path.display();
            return Err(Failure::Input(format!("`{name}` is given twice: at `{path}`, and as a field of `input`")));
        }
        Ok((is_mounted.then_some(path), given))
    }

    /// Makes sure that nothing is given that the job does not take.
    ///
    /// # Errors
    /// [`Failure::Input`] if there is.
    pub fn finish(self) -> Result<(), Failure> {
        let Some((unknown, _)) = self.given.0.first() else { return Ok(()) };
        let takes = match self.taken.as_slice() {
            [] => "nothing".to_owned(),
            taken => format!("`{}`", taken.join("`, `")),
        };
        Err(Failure::Input(format!("`input` has `{unknown}`, which the job does not take: it takes {takes}")))
    }
}

/// The fields of an object, unread. There are few: a map would be larger as a program than as data.
#[derive(Debug, Default)]
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Fields;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Fields, A::Error> {
                let mut all = Vec::<(String, Box<RawValue>)>::new();
                while let Some((name, value)) = fields.next_entry()? {
                    if all.iter().any(|(before, _)| *before == name) {
                        return Err(de::Error::custom(format_args!("`{name}` is there twice")));
                    }
                    all.push((name, value));
                }
                Ok(Fields(all))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// Where a value is.
#[derive(Debug, Clone, Copy)]
enum From<'a> {
    Json(&'a str),
    Mount(&'a Path),
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
        let at = if at.is_empty() { at } else { format!(", `{at}`") };
        Failure::Input(format!("`{name}`{at}: {message}"))
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
    /// The value as JSON.
    fn json(self) -> Result<&'de [u8], Wrong> {
        match self.from {
            From::Json(text) => Ok(text.as_bytes()),
            From::Nowhere(name) => Err(Wrong::of_all(format!(
                "nothing is given: mount something at `{}/{name}`, or give a field `{name}` of `input`",
                abi::IN_DIR
            ))),
            From::Mount(path) => {
                let bytes = if path.is_dir() { read_result(path) } else { read(path) }?;
                Ok(self.loaded.get_or_init(|| bytes))
            }
        }
    }

    fn wrong(self, text: &[u8], error: &serde_json::Error) -> Wrong {
        let message = match self.from {
            From::Mount(path) => format!("in `{}`: {error}", path.display()),
            _ => error.to_string(),
        };
        Wrong { at: path_of(text, error), message }
    }

    /// The value itself, for whoever wants to see it as what it is.
    fn value<T>(
        self,
        visit: impl FnOnce(&mut serde_json::Deserializer<serde_json::de::SliceRead<'de>>) -> serde_json::Result<T>,
    ) -> Result<T, Wrong> {
        let text = self.json()?;
        let mut json = serde_json::Deserializer::from_slice(text);
        let value = visit(&mut json).and_then(|value| json.end().map(|()| value));
        value.map_err(|error| self.wrong(text, &error))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Wrong> {
    std::fs::read(path).map_err(|error| Wrong::of_all(format!("failed to read `{}`: {error}", path.display())))
}

/// The result that an SDK job left in a directory.
fn read_result(dir: &Path) -> Result<Vec<u8>, Wrong> {
    let path = dir.join(abi::RESULT_FILE);
    if !path.is_file() {
        let (dir, file) = (dir.display(), abi::RESULT_FILE);
        return Err(Wrong::of_all(format!(
            "`{dir}` has no `{file}`: whoever left it is no job that returns a value; take a `Dir`, or mount one file of it"
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
            From::Nowhere(_) | From::Json("null") => visitor.visit_none(),
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
        let shown = path.display();
        let wrong = match name {
            FILE | TEXT if path.is_dir() => format!("`{shown}` is a directory, and a file is wanted"),
            DIR | EACH if !path.is_dir() => format!("`{shown}` is a file, and a directory is wanted"),
            TEXT => match String::from_utf8(read(path)?) {
                Ok(text) => return visitor.visit_newtype_struct(text.into_deserializer()),
                Err(error) => {
                    let at = error.utf8_error().valid_up_to();
                    format!("`{shown}` is no text: byte {at} is not UTF-8")
                }
            },
            FILE | DIR | EACH => match path.to_str() {
                Some(path) => return visitor.visit_newtype_struct(path.into_deserializer()),
                None => format!("`{shown}` is not UTF-8"),
            },
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
