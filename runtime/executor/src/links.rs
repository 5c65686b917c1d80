//! Symbolic links of a tree that is copied to the host.
//!
//! Owns: which links lead outside of the tree. Does not know: how anything is written.

use std::collections::BTreeMap;

use wasmill_model::port::BlobStore;
use wasmill_model::{BlobRef, Directory};

use crate::error::SaveError;

/// How many links a path may lead through, as on Linux.
const HOPS_MAX: usize = 40;

/// The links of a tree: where they are, by the names on the way, and what they say.
#[derive(Debug, Default)]
pub(crate) struct Links(BTreeMap<Vec<String>, String>);

impl Links {
    /// The links below a directory, all of which lead to somewhere below it.
    pub(crate) fn of(blobs: &dyn BlobStore, root: BlobRef) -> Result<Self, SaveError> {
        let mut links = Self::default();
        links.collect(blobs, root, &mut Vec::new())?;
        for (path, target) in &links.0 {
            let parent = path.split_last().map_or(&[][..], |(_, parent)| parent);
            if links.follow(parent.to_vec(), target, &mut 0).is_none() {
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

    /// Where `target` leads from the directory `at`, through whatever links are on the way. `None` is outside, or nowhere.
    fn follow(&self, mut at: Vec<String>, target: &str, hops: &mut usize) -> Option<Vec<String>> {
        // What these mean depends on the host.
        if target.is_empty() || target.starts_with('/') || target.contains(['\\', ':', '\0']) {
            return None;
        }
        for name in target.split('/') {
            match name {
                "" | "." => continue,
                ".." => {
                    at.pop()?;
                }
                name => at.push(name.to_owned()),
            }
            if let Some(target) = self.0.get(&at) {
                *hops += 1;
                if *hops > HOPS_MAX {
                    return None;
                }
                at.pop();
                at = self.follow(at, target, hops)?;
            }
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(links: &[(&str, &str)]) -> Links {
        let path = |path: &str| path.split('/').map(ToOwned::to_owned).collect();
        Links(links.iter().map(|(at, target)| (path(at), (*target).to_owned())).collect())
    }

    #[test]
    fn links_are_followed_through_links() {
        let found = |others: &[(&str, &str)], at: &str, target: &str| {
            let at = at.split('/').filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect();
            links(others).follow(at, target, &mut 0).map(|path| path.join("/"))
        };
        let inside = |path: &str| Some(path.to_owned());
        assert_eq!(found(&[], "a/b", "../c/./d"), inside("a/c/d"));
        assert_eq!(found(&[], "a", "../.."), None);
        assert_eq!(found(&[], "", "/etc/passwd"), None);
        assert_eq!(found(&[], "", r"C:\x"), None);
        // By its letters this stays inside; through the link it does not.
        assert_eq!(found(&[("a/b/up", "../..")], "a/b", "up/../x"), None);
        assert_eq!(found(&[("deep", "a/b")], "", "deep/../x"), inside("a/x"));
        assert_eq!(found(&[("x", "y"), ("y", "x")], "", "x/z"), None);
    }
}
