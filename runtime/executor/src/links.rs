//! Symbolic links of a tree that is copied to the host.
//!
//! Owns: which links lead outside of the tree. Does not know: how anything is written.

use std::collections::BTreeMap;

use wasmill_model::port::BlobStore;
use wasmill_model::{BlobRef, Directory, TreeError};

use crate::error::SaveError;

/// The links of a tree: where they are, by the names on the way, and what they say.
#[derive(Debug, Default)]
pub(crate) struct Links(BTreeMap<Vec<String>, String>);

impl Links {
    /// The links below a directory, all of which lead to somewhere below it.
    pub(crate) fn of(blobs: &dyn BlobStore, root: BlobRef) -> Result<Self, SaveError> {
        let mut links = Self::default();
        links.collect(blobs, root, &mut Vec::new())?;
        for (path, target) in &links.0 {
            if !stays_inside(path.len().saturating_sub(1), target) {
                return Err(SaveError::LinkOutside { path: path.join("/"), target: target.clone() });
            }
        }
        Ok(links)
    }

    /// Each link: the names on the way to it, and what it says.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[String], &str)> {
        self.0.iter().map(|(path, target)| (path.as_slice(), target.as_str()))
    }

    fn collect(&mut self, blobs: &dyn BlobStore, root: BlobRef, path: &mut Vec<String>) -> Result<(), SaveError> {
        if path.len() > Directory::DEPTH_MAX {
            return Err(TreeError::Depth.into());
        }
        let directory = Directory::decode(&blobs.get(&root)?)?;
        for link in directory.symlinks {
            path.push(link.name);
            self.0.insert(path.clone(), link.target);
            path.pop();
        }
        for below in directory.directories {
            path.push(below.name);
            self.collect(blobs, below.blob, path)?;
            path.pop();
        }
        Ok(())
    }
}

/// Whether a link in a directory so deep in the tree leads to somewhere in the tree, whatever else is on the host: upwards
/// only at its beginning, where it goes through folders of the tree, as what it comes through later may be a link.
fn stays_inside(depth: usize, target: &str) -> bool {
    // What these mean depends on the host.
    if target.is_empty() || target.starts_with('/') || target.contains(['\\', ':', '\0']) {
        return false;
    }
    let mut names = target.split('/').filter(|name| !matches!(*name, "" | ".")).peekable();
    let mut up = 0;
    while names.next_if(|name| *name == "..").is_some() {
        up += 1;
    }
    up <= depth && names.all(|name| name != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_go_up_only_at_their_beginning_and_not_too_far() {
        for (depth, target, expected) in [
            (0, "a/b", true),
            (0, "..", false),
            (1, "..", true),
            (2, "../.././a//b", true),
            (2, "../../../a", false),
            // On the host, `a` may be a link.
            (2, "a/../b", false),
            (2, "../a/..", false),
            (0, "/etc/passwd", false),
            (0, r"C:\x", false),
            (0, r"..\x", false),
            (0, "", false),
        ] {
            assert_eq!(stays_inside(depth, target), expected, "{target} at {depth}");
        }
    }
}
