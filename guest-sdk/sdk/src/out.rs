//! Writing output files.
//!
//! Owns: the step from a relative path to a file below `/out`. Does not know: which outputs a plan keeps.
//! A job's return value needs none of this: it is written to `/out/result.json` by itself.

use std::fs::File;
use std::path::{Component, Path, PathBuf};

use crate::error::{Context as _, Result};
use crate::root::out_dir;

/// Writes a whole file at a path below `/out`, making its parent directories.
///
/// # Errors
/// The path leaves `/out` or names no file, or the file cannot be written.
pub fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<()> {
    let path = prepare(Path::new(&out_dir()), path.as_ref())?;
    std::fs::write(&path, bytes).with_context(|| format!("failed to write `{}`", path.display()))
}

/// Creates a file at a path below `/out`, making its parent directories, and empties one that is there.
///
/// # Errors
/// The path leaves `/out` or names no file, or the file cannot be created.
pub fn create(path: impl AsRef<Path>) -> Result<File> {
    let path = prepare(Path::new(&out_dir()), path.as_ref())?;
    File::create(&path).with_context(|| format!("failed to create `{}`", path.display()))
}

/// The full path of an output, whose parent directory is there.
fn prepare(out_dir: &Path, path: &Path) -> Result<PathBuf> {
    let stays = path.components().all(|component| matches!(component, Component::Normal(_)));
    if !stays || path.as_os_str().is_empty() {
        crate::bail!("`{}` is no path of an output: it must be relative, without `..`", path.display());
    }
    let path = out_dir.join(path);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)
            .with_context(|| format!("failed to create the directory `{}`", parent.display()))?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_made() {
        let out = tempfile::tempdir().expect("a temporary directory");
        let path = prepare(out.path(), Path::new("a/b/c.txt")).expect("a good path");
        assert_eq!(path, out.path().join("a/b/c.txt"));
        assert!(out.path().join("a/b").is_dir());
    }

    #[test]
    fn paths_that_leave_the_output_are_refused() {
        let out = tempfile::tempdir().expect("a temporary directory");
        for path in ["", "..", "../x", "a/../../x", "/etc/passwd", "."] {
            let error = prepare(out.path(), Path::new(path)).expect_err(path);
            assert!(error.to_string().contains("no path of an output"), "{error}");
        }
        assert_eq!(std::fs::read_dir(out.path()).expect("readable").count(), 0);
    }
}
