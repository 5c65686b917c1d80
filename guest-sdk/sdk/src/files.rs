//! Input files and directories as parameters of a job.
//!
//! Owns: reading them in an order that is the same everywhere. Does not know: what is mounted where (`input`).

use std::fs::FileType;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Context as _, Error, Result};

/// An input directory: what the plan mounts at `/in/NAME`. Within a value it is a string, its path; that it is there only shows when
/// it is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename = "$wasmill::Dir")]
pub struct Dir(PathBuf);

impl Dir {
    /// The directory at a path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What is directly in it, sorted by name.
    ///
    /// # Errors
    /// It cannot be read, or has a name that is not UTF-8.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        list(&self.0, "")
    }

    /// All that is below it except directories, each directory's content sorted by name.
    ///
    /// A directory that cannot be read gives an error in its place; the walk then goes on. Symbolic links are
    /// given, not followed.
    pub fn walk(&self) -> Walk {
        Walk { root: Some(self.0.clone()), pending: Vec::new() }
    }

    /// The directory at a path below.
    pub fn dir(&self, path: impl AsRef<Path>) -> Dir {
        Dir(self.0.join(path))
    }

    /// The file at a path below.
    pub fn file(&self, path: impl AsRef<Path>) -> File {
        File(self.0.join(path))
    }

    /// The content of the file at a path below.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Vec<u8>> {
        self.file(path).read()
    }

    /// The text of the file at a path below.
    ///
    /// # Errors
    /// It cannot be read or is not UTF-8.
    pub fn read_to_string(&self, path: impl AsRef<Path>) -> Result<String> {
        self.file(path).read_to_string()
    }
}

/// An input file: what the plan mounts at `/in/NAME`. Within a value it is a string, its path; that it is there only shows when it is
/// read. Nothing of it is in memory but what is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename = "$wasmill::File")]
pub struct File(PathBuf);

impl File {
    /// The file at a path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Its size in bytes.
    ///
    /// # Errors
    /// It is not there.
    pub fn size_bytes(&self) -> Result<u64> {
        let metadata = self.0.metadata();
        metadata.map(|metadata| metadata.len()).with_context(|| format!("failed to look at `{}`", self.0.display()))
    }

    /// Opens it for reading piece by piece; unbuffered.
    ///
    /// # Errors
    /// It is not there.
    pub fn open(&self) -> Result<std::fs::File> {
        std::fs::File::open(&self.0).with_context(|| format!("failed to open `{}`", self.0.display()))
    }

    /// Its whole content.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self) -> Result<Vec<u8>> {
        std::fs::read(&self.0).with_context(|| format!("failed to read `{}`", self.0.display()))
    }

    /// Its whole text.
    ///
    /// # Errors
    /// It cannot be read or is not UTF-8.
    pub fn read_to_string(&self) -> Result<String> {
        std::fs::read_to_string(&self.0).with_context(|| format!("failed to read `{}`", self.0.display()))
    }
}

/// The text in an input file, whole: what the plan mounts at `/in/NAME`, or a string of its `input`. It is UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename = "$wasmill::Text")]
pub struct Text(String);

impl Text {
    /// It as a string.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Something found in a directory.
#[derive(Debug, Clone)]
pub struct Entry {
    path: PathBuf,
    relative: String,
    file_type: FileType,
}

impl Entry {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its path below the directory that was listed or walked, with `/` on every system.
    pub fn relative(&self) -> &str {
        &self.relative
    }

    /// Its name: the last part of its path.
    pub fn name(&self) -> &str {
        self.relative.rsplit('/').next().unwrap_or_default()
    }

    /// Whether it is a file.
    pub fn is_file(&self) -> bool {
        self.file_type.is_file()
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.file_type.is_dir()
    }

    /// As a file to read.
    pub fn file(&self) -> File {
        File(self.path.clone())
    }

    /// As a directory to read.
    pub fn dir(&self) -> Dir {
        Dir(self.path.clone())
    }
}

/// The walk of [`Dir::walk`].
#[derive(Debug)]
pub struct Walk {
    /// The directory to begin with, until it has been read.
    root: Option<PathBuf>,
    /// What is still to come, the next one last.
    pending: Vec<Entry>,
}

impl Walk {
    /// Puts the content of a directory in front of what is to come.
    fn enter(&mut self, path: &Path, relative: &str) -> Result<()> {
        self.pending.extend(list(path, relative)?.into_iter().rev());
        Ok(())
    }
}

impl Iterator for Walk {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(root) = self.root.take() {
            if let Err(error) = self.enter(&root, "") {
                return Some(Err(error));
            }
        }
        loop {
            let entry = self.pending.pop()?;
            if !entry.is_dir() {
                return Some(Ok(entry));
            }
            if let Err(error) = self.enter(&entry.path, &entry.relative) {
                return Some(Err(error));
            }
        }
    }
}

/// What is directly in a directory, sorted by name; `relative` is the directory's own path below the root.
fn list(path: &Path, relative: &str) -> Result<Vec<Entry>> {
    let failed = || format!("failed to read the directory `{}`", path.display());
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let file_type = entry.file_type().with_context(failed)?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| {
            Error::msg(format_args!("the name `{}` is not UTF-8", Path::new(&name).display())).context(failed())
        })?;
        let relative = if relative.is_empty() { name.to_owned() } else { format!("{relative}/{name}") };
        entries.push(Entry { path: entry.path(), relative, file_type });
    }
    entries.sort_by(|one, other| one.name().cmp(other.name()));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary directory");
        for path in ["b/z", "b/a/deep", "b.txt", "a", "c"] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, "x").expect("written");
        }
        root
    }

    #[test]
    fn a_walk_is_sorted_and_leaves_directories_out() {
        let root = sample();
        let walk = Dir::new(root.path()).walk();
        let found: Vec<_> = walk.map(|entry| entry.expect("readable").relative().to_owned()).collect();
        assert_eq!(found, ["a", "b/a/deep", "b/z", "b.txt", "c"]);
    }

    #[test]
    fn entries_are_sorted_and_know_what_they_are() {
        let root = sample();
        let entries = Dir::new(root.path()).entries().expect("readable");
        let found: Vec<_> = entries.iter().map(|entry| (entry.name(), entry.is_dir())).collect();
        assert_eq!(found, [("a", false), ("b", true), ("b.txt", false), ("c", false)]);
        let deep = entries[1].dir().dir("a").file("deep");
        assert_eq!((deep.size_bytes().expect("there"), deep.read_to_string().expect("text")), (1, "x".to_owned()));
    }

    #[test]
    fn what_is_missing_is_named() {
        let root = sample();
        let dir = Dir::new(root.path().join("nowhere"));
        let mut walk = dir.walk();
        let error = walk.next().expect("an item").expect_err("missing");
        assert!(error.to_string().starts_with("failed to read the directory"), "{error}");
        assert!(walk.next().is_none());
        let error = dir.read("x").expect_err("missing");
        assert!(error.to_string().contains("nowhere"), "{error}");
    }

    #[test]
    fn inputs_are_paths_as_strings() {
        let dir: Dir = serde_json::from_str("\"/in/crate\"").expect("a path");
        assert_eq!(dir.path(), Path::new("/in/crate"));
        let file: File = serde_json::from_str("\"/in/x\"").expect("a path");
        assert_eq!(file.path(), Path::new("/in/x"));
    }
}
