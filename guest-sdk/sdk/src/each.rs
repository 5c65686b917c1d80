//! The results of many jobs as one input.
//!
//! Owns: finding and reading them, one at a time. Does not know: which jobs they were; each left its
//! `result.json` in a directory of its own, as `{ jobs = "…" }` in a plan mounts them.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use wasmill_abi::RESULT_FILE;

use crate::error::{Error, Result};
use crate::files::{Dir, Entry};
use crate::input::EACH;
use crate::json;
use crate::place::path_of;

/// The results of the items of a `for-each` job: what the plan mounts at `/in/NAME` as `{ jobs = "…" }`. Within a value it is a
/// string, the path of their directory, or an object with a value for each name.
///
/// Results are read one at a time, so that memory holds one of them.
#[derive(Debug, Clone)]
pub struct Each<T> {
    from: From,
    result: PhantomData<fn() -> T>,
}

/// Where results are.
#[derive(Debug, Clone)]
enum From {
    Dir(Dir),
    /// In memory, as they would lie there.
    Memory(Vec<(String, Vec<u8>)>),
}

impl<'de, T> Deserialize<'de> for Each<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        // The name says that a place is wanted.
        deserializer.deserialize_newtype_struct(EACH, Results).map(|from| Self { from, result: PhantomData })
    }
}

/// Reads where results are, or the results themselves.
struct Results;

impl<'de> Visitor<'de> for Results {
    type Value = From;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a directory of results, or an object with a value for each name")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<From, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_str<E>(self, path: &str) -> std::result::Result<From, E> {
        Ok(From::Dir(Dir::new(path)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> std::result::Result<From, A::Error> {
        let mut all = Vec::new();
        while let Some((name, value)) = fields.next_entry::<String, Box<RawValue>>()? {
            all.push((name, value.get().as_bytes().to_owned()));
        }
        all.sort();
        Ok(From::Memory(all))
    }
}

impl<T> Each<T> {
    /// The results below a directory.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { from: From::Dir(Dir::new(path)), result: PhantomData }
    }
}

/// Results by name, to call a job with in a test. They are written and read as those of jobs are.
impl<T: Serialize, N: Into<String>> FromIterator<(N, T)> for Each<T> {
    /// # Panics
    /// A value cannot be written as JSON.
    fn from_iter<I: IntoIterator<Item = (N, T)>>(results: I) -> Self {
        let write = |(name, value): (N, T)| (name.into(), json::to_vec(&value).expect("a value for JSON"));
        let mut all: Vec<_> = results.into_iter().map(write).collect();
        all.sort();
        Self { from: From::Memory(all), result: PhantomData }
    }
}

impl<T: Serialize, N: Into<String>, const COUNT: usize> std::convert::From<[(N, T); COUNT]> for Each<T> {
    fn from(results: [(N, T); COUNT]) -> Self {
        results.into_iter().collect()
    }
}

impl<T: DeserializeOwned> Each<T> {
    /// The name and the result of each item, sorted by name.
    ///
    /// A result that is missing or does not fit the type gives an error in its place.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn iter(&self) -> Result<impl Iterator<Item = (String, Result<T>)>> {
        let (dirs, memory) = match &self.from {
            From::Dir(dir) => (dir.entries()?, [].iter()),
            From::Memory(all) => (Vec::new(), all.iter()),
        };
        let dirs = dirs.into_iter().map(|item| (item.name().to_owned(), read(&item)));
        let memory = memory.map(|(name, json)| (name.clone(), parse(json, || format!("`{name}`"))));
        Ok(dirs.chain(memory))
    }
}

/// Reads the result in the directory of one item.
fn read<T: DeserializeOwned>(item: &Entry) -> Result<T> {
    if !item.is_dir() {
        crate::bail!("`{}` is no directory with the result of a job in it", item.path().display());
    }
    let file = item.dir().file(RESULT_FILE);
    parse(&file.read()?, || format!("`{}`", file.path().display()))
}

fn parse<T: DeserializeOwned>(json: &[u8], what: impl FnOnce() -> String) -> Result<T> {
    json::from_slice(json).map_err(|error| {
        let message = error.in_text(json);
        let wrong = match path_of(json, error.at()).as_str() {
            "" => Error::msg(message),
            path => Error::msg(format_args!("{path}: {message}")),
        };
        wrong.context(format_args!("failed to use {}", what()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_result_stands_for_itself_only() {
        let root = tempfile::tempdir().expect("a temporary directory");
        for (name, result) in [("b", "2"), ("c", "\"x\""), ("a", "1")] {
            std::fs::create_dir(root.path().join(name)).expect("made");
            std::fs::write(root.path().join(name).join(RESULT_FILE), result).expect("written");
        }
        std::fs::create_dir(root.path().join("d")).expect("made");
        std::fs::write(root.path().join("note.txt"), "no result").expect("written");
        let each: Each<u8> = serde_json::from_value(root.path().to_str().into()).expect("a path");
        let found: Vec<_> = each.iter().expect("readable").map(|(name, result)| (name, result.ok())).collect();
        let expected = [("a", Some(1)), ("b", Some(2)), ("c", None), ("d", None), ("note.txt", None)];
        assert_eq!(found, expected.map(|(name, result)| (name.to_owned(), result)));
    }

    #[test]
    fn results_may_be_values_themselves() {
        let each: Each<u8> = serde_json::from_str(r#"{ "b": 2, "a": 1, "c": "x" }"#).expect("values");
        let found: Vec<_> = each.iter().expect("readable").map(|(name, result)| (name, result.ok())).collect();
        assert_eq!(found, [("a", Some(1)), ("b", Some(2)), ("c", None)].map(|(name, value)| (name.to_owned(), value)));
        assert!(serde_json::from_str::<Each<u8>>("[1]").is_err());
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let error = Each::<u8>::new("/nowhere/at/all").iter().err().expect("missing");
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
