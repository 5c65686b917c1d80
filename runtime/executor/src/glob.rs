//! Globs over host files.
//!
//! Owns: how a pattern is split into the folder to search and the part that is matched, and that `*` and `?`
//! stop at a `/` while `**` does not. Does not know: what is done with what is found.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// A glob as a plan has it.
#[derive(Debug)]
pub(crate) struct Glob {
    /// The folder before the first wildcard, as written; may be empty.
    fixed: String,
    rest: GlobMatcher,
    deep: bool,
    levels: usize,
}

/// Why a glob cannot be expanded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GlobError {
    #[error("it is not a valid glob: {0}")]
    Syntax(String),
    #[error("it has `..` behind a wildcard")]
    Escapes,
    #[error("failed to list {path}: {source}")]
    List { path: PathBuf, source: std::io::Error },
    #[error("the name {0:?} is not valid UTF-8")]
    NotUtf8(PathBuf),
}

impl Glob {
    pub(crate) fn new(pattern: &str) -> Result<Self, GlobError> {
        let is_wild = |part: &str| part.contains(['*', '?', '[', '{']);
        let parts: Vec<&str> = pattern.split('/').collect();
        let wild = parts.iter().position(|part| is_wild(part)).unwrap_or(parts.len().saturating_sub(1));
        let (fixed, rest) = parts.split_at(wild);
        if rest.contains(&"..") {
            return Err(GlobError::Escapes);
        }
        let matcher = GlobBuilder::new(&rest.join("/"))
            .literal_separator(true)
            .build()
            .map_err(|error| GlobError::Syntax(error.kind().to_string()))?
            .compile_matcher();
        let mut fixed = fixed.join("/");
        if wild > 0 {
            fixed.push('/');
        }
        Ok(Self { fixed, rest: matcher, deep: rest.contains(&"**"), levels: rest.len() })
    }

    /// The folder that is searched.
    pub(crate) fn folder(&self, base: &Path) -> PathBuf {
        base.join(&self.fixed)
    }

    /// What matches, relative to [`Glob::folder`], `/`-separated and sorted. Symbolic links to folders are not
    /// walked through.
    pub(crate) fn expand(&self, base: &Path) -> Result<Vec<String>, GlobError> {
        let folder = self.folder(base);
        let depth = if self.deep { usize::MAX } else { self.levels };
        if depth == 1 {
            return self.expand_one(&folder);
        }
        let mut found = Vec::new();
        for entry in walkdir::WalkDir::new(&folder).min_depth(1).max_depth(depth) {
            let entry = entry.map_err(|error| GlobError::List {
                path: error.path().unwrap_or(&folder).to_owned(),
                source: error.into_io_error().unwrap_or_else(|| std::io::Error::other("a loop of links")),
            })?;
            let relative = entry.path().strip_prefix(&folder).unwrap_or(entry.path());
            let Some(relative) = relative.to_str() else {
                return Err(GlobError::NotUtf8(entry.path().to_owned()));
            };
            let relative = relative.replace(std::path::MAIN_SEPARATOR, "/");
            if self.rest.is_match(&relative) {
                found.push(relative);
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The same for a pattern without folders, as most are: nothing but names is read.
    fn expand_one(&self, folder: &Path) -> Result<Vec<String>, GlobError> {
        let failed = |source| GlobError::List { path: folder.to_owned(), source };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().into_string().map_err(|_| GlobError::NotUtf8(entry.path()))?;
            if self.rest.is_match(&name) {
                found.push(name);
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// A found path as the plan would write it.
    pub(crate) fn display(&self, relative: &str) -> String {
        format!("{}{relative}", self.fixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(files: &[&str], pattern: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let glob = Glob::new(pattern).unwrap();
        glob.expand(dir.path()).unwrap().iter().map(|found| glob.display(found)).collect()
    }

    #[test]
    fn a_star_stays_in_its_folder_and_two_do_not() {
        let files = ["a/1.txt", "a/2.txt", "a/b/3.txt", "c.txt", "a/1.md"];
        assert_eq!(expand(&files, "a/*.txt"), ["a/1.txt", "a/2.txt"]);
        assert_eq!(expand(&files, "a/**/*.txt"), ["a/1.txt", "a/2.txt", "a/b/3.txt"]);
        assert_eq!(expand(&files, "*"), ["a", "c.txt"]);
        assert_eq!(expand(&files, "*/b/*"), ["a/b/3.txt"]);
        assert_eq!(expand(&files, "a/[12].{txt,md}"), ["a/1.md", "a/1.txt", "a/2.txt"]);
        assert_eq!(expand(&files, "c.txt"), ["c.txt"]);
        assert!(expand(&files, "nothing*").is_empty());
    }

    #[test]
    fn what_is_no_glob_says_why() {
        assert!(matches!(Glob::new("a/[").unwrap_err(), GlobError::Syntax(_)));
        assert!(matches!(Glob::new("*/../x").unwrap_err(), GlobError::Escapes));
        let missing = Glob::new("no-such-folder/*").unwrap().expand(Path::new("/nonexistent"));
        assert!(matches!(missing, Err(GlobError::List { .. })));
    }
}
