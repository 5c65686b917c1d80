//! Paths as guests see them: `/`-separated, case-sensitive, UTF-8, the same on every host.
//!
//! Owns: what a valid guest path and a valid output path is. Does not know: host paths.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::tree::check_name;

/// Longest guest path in bytes, as Linux's `PATH_MAX`.
const PATH_BYTES_MAX: usize = 4096;

/// A normalised path inside the sandbox, such as `/in/crate`. A relative one, such as `data` or `.`, starts from `/`
/// too; it differs in how it is written, which is the name that a program finds the mount under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GuestPath(String);

/// A normalised path of something that a job leaves: below `/out`, such as `pages/index.html`, or an absolute one,
/// such as `/work`. In the tree of the outputs it stands under its names, whichever it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OutputPath(String);

/// Why a text is no valid guest path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuestPathError {
    /// It is longer than the limit.
    #[error("the path is {0} bytes long; at most {PATH_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// A `..` leads out of the directory.
    #[error("`{0}` escapes: `..` is not allowed in it")]
    Escapes(String),
    /// Empty, or one of its names is not usable.
    #[error("`{path}` is not a usable path: {wrong}")]
    Name {
        /// The whole path.
        path: String,
        /// What is wrong with which name.
        wrong: String,
    },
}

impl GuestPath {
    /// Normalises `text`: repeated and trailing slashes and `.` are dropped.
    ///
    /// # Errors
    /// A path that is empty, has `..` in it, is too long, or has an unusable name.
    pub fn new(text: &str) -> Result<Self, GuestPathError> {
        if text.is_empty() {
            return Err(GuestPathError::Name { path: String::new(), wrong: "it is empty".to_owned() });
        }
        let path = normalise(text)?;
        Ok(Self(match (text.starts_with('/'), path.is_empty()) {
            (true, _) => format!("/{path}"),
            (false, true) => ".".to_owned(),
            (false, false) => path,
        }))
    }

    /// The path as programs know it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names on the way from the root; none for `/` itself.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|name| !matches!(*name, "" | "."))
    }

    /// Whether `self` is `other` or lies above it.
    pub fn contains(&self, other: &GuestPath) -> bool {
        let mut theirs = other.names();
        self.names().all(|name| theirs.next() == Some(name))
    }
}

impl OutputPath {
    /// Normalises `text`: repeated and trailing slashes and `.` are dropped, and `/out/x` is `x`.
    ///
    /// # Errors
    /// A path that is empty or `/out` itself, has `..` in it, is too long, or has an unusable name.
    pub fn new(text: &str) -> Result<Self, GuestPathError> {
        let path = normalise(text)?;
        let nothing = |wrong: &str| GuestPathError::Name { path: shorten(text), wrong: wrong.to_owned() };
        if !text.starts_with('/') {
            return if path.is_empty() { Err(nothing("it names nothing")) } else { Ok(Self(path)) };
        }
        match path.strip_prefix("out/") {
            Some(below) => Ok(Self(below.to_owned())),
            None if path == "out" => Err(nothing("all of `/out` is what is kept where no output is named")),
            None => Ok(Self(format!("/{path}"))),
        }
    }

    /// The path: relative to `/out` unless it starts with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is not below `/out`.
    pub fn is_absolute(&self) -> bool {
        self.0.starts_with('/')
    }

    /// The names on the way from `/out`, or from `/` where it is absolute; none for `/` itself.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|name| !name.is_empty())
    }
}

fn normalise(whole: &str) -> Result<String, GuestPathError> {
    if whole.len() > PATH_BYTES_MAX {
        return Err(GuestPathError::TooLong(whole.len()));
    }
    let mut path = String::with_capacity(whole.len());
    for name in whole.split('/').filter(|name| !matches!(*name, "" | ".")) {
        if name == ".." {
            return Err(GuestPathError::Escapes(shorten(whole)));
        }
        check_name(name).map_err(|error| GuestPathError::Name { path: shorten(whole), wrong: error.to_string() })?;
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(name);
    }
    Ok(path)
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

macro_rules! string_like {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $type {
            type Error = GuestPathError;
            fn try_from(text: String) -> Result<Self, GuestPathError> {
                Self::new(&text)
            }
        }
        impl From<$type> for String {
            fn from(path: $type) -> String {
                path.0
            }
        }
    };
}
string_like!(GuestPath);
string_like!(OutputPath);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_path_are_one_path() {
        for text in ["/in/a", "//in//a/", "/in/./a"] {
            assert_eq!(GuestPath::new(text).unwrap().as_str(), "/in/a");
        }
        assert_eq!(GuestPath::new("/").unwrap().as_str(), "/");
        for (text, path) in [("in", "in"), ("./in//a/", "in/a"), (".", "."), ("./", ".")] {
            assert_eq!(GuestPath::new(text).unwrap().as_str(), path);
        }
        assert_eq!(GuestPath::new(".").unwrap().names().count(), 0);
        assert_eq!(OutputPath::new("./a//b/").unwrap().as_str(), "a/b");
        assert_eq!(OutputPath::new("/out//a").unwrap().as_str(), "a");
        assert_eq!(OutputPath::new("/w/a/").unwrap().as_str(), "/w/a");
        assert_eq!(OutputPath::new("/").unwrap().names().count(), 0);
    }

    #[test]
    fn nothing_escapes() {
        for text in ["/..", "/in/../..", "/a/..", "..", ""] {
            assert!(GuestPath::new(text).is_err(), "{text}");
        }
        for text in ["..", "a/../b", "/a/..", "/out", "", ".", "a\0b"] {
            assert!(OutputPath::new(text).is_err(), "{text}");
        }
        assert!(GuestPath::new(&format!("/{}", "a/".repeat(4000))).is_err());
    }

    #[test]
    fn a_path_contains_what_lies_below_it() {
        let path = |text| GuestPath::new(text).unwrap();
        assert!(path("/in").contains(&path("/in/a")));
        assert!(path("/").contains(&path("/in")));
        assert!(!path("/in/a").contains(&path("/in/ab")));
    }
}
