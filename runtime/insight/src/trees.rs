//! Which files of two directories differ.
//!
//! Owns: walking two Merkle trees at once, which visits only what differs. Does not know: whose directories they are.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use wasmill_model::port::BlobStore;
use wasmill_model::{BlobRef, Directory};

/// A file of a tree that has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TreeChange {
    /// Where it lies in the tree.
    pub path: String,
    /// Its digest, or what its link leads to, before.
    pub before: Option<String>,
    /// The same, after.
    pub after: Option<String>,
}

/// The files of two trees that differ, in the order of their paths, at most so many, and whether there are more. Trees that
/// are not in the store any more have no files.
pub fn tree_changes(
    blobs: &dyn BlobStore,
    before: Option<BlobRef>,
    after: Option<BlobRef>,
    at_most: usize,
) -> (Vec<TreeChange>, bool) {
    // One more than is wanted, to know whether there are more.
    let mut walk = Walk { blobs, at_most: at_most.saturating_add(1), found: Vec::new(), fruitless: HashSet::new() };
    walk.on(before, after, "", 0);
    let mut found = walk.found;
    let has_more = found.len() > at_most;
    found.truncate(at_most);
    (found, has_more)
}

struct Walk<'a> {
    blobs: &'a dyn BlobStore,
    at_most: usize,
    found: Vec<TreeChange>,
    /// Directories in which no file differs, as only folders do. The same two may be in very many places.
    fruitless: HashSet<(Option<BlobRef>, Option<BlobRef>)>,
}

impl Walk<'_> {
    fn on(&mut self, before: Option<BlobRef>, after: Option<BlobRef>, prefix: &str, depth: usize) {
        if before == after || depth > Directory::DEPTH_MAX || self.fruitless.contains(&(before, after)) {
            return;
        }
        let read = |blob: Option<BlobRef>| {
            blob.and_then(|blob| Directory::decode(&self.blobs.get(&blob).ok()?).ok()).unwrap_or_default()
        };
        let (old, new) = (Names::of(&read(before)), Names::of(&read(after)));
        let there = self.found.len();
        let mut names: Vec<&String> = old.0.keys().chain(new.0.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            if self.found.len() >= self.at_most {
                return;
            }
            let (was, is) = (old.0.get(name), new.0.get(name));
            if was == is {
                continue;
            }
            let path = format!("{prefix}{name}");
            let below = |node: Option<&Node>| match node {
                Some(Node::Directory(blob)) => Some(*blob),
                _ => None,
            };
            let said = |node: Option<&Node>| match node {
                Some(Node::Leaf(said)) => Some(said.clone()),
                _ => None,
            };
            if said(was).is_some() || said(is).is_some() {
                self.found.push(TreeChange { path: path.clone(), before: said(was), after: said(is) });
            }
            self.on(below(was), below(is), &format!("{path}/"), depth + 1);
        }
        if self.found.len() == there {
            self.fruitless.insert((before, after));
        }
    }
}

/// The first file of two trees that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FirstFile {
    /// Where it lies; with a slash at its end, a folder that only one of the trees has.
    pub path: String,
    /// Whether there are more.
    pub more: bool,
}

/// The first file of two trees that differs; none where that cannot be known, as not
/// all of the trees is in the store.
pub(crate) fn first_file(
    blobs: &dyn BlobStore,
    before: BlobRef,
    after: BlobRef,
    prefix: &str,
    depth: usize,
) -> Option<FirstFile> {
    if depth > Directory::DEPTH_MAX {
        return None;
    }
    let read = |blob: BlobRef| Directory::decode(&blobs.get(&blob).ok()?).ok();
    let (old, new) = (Names::of(&read(before)?), Names::of(&read(after)?));
    let names = old.0.keys().chain(new.0.keys().filter(|name| !old.0.contains_key(*name)));
    let mut differing: Vec<&String> = names.filter(|name| old.0.get(*name) != new.0.get(*name)).collect();
    differing.sort_unstable();
    let first = differing.first()?;
    let more = differing.len() > 1;
    let path = format!("{prefix}{first}");
    match (old.0.get(*first), new.0.get(*first)) {
        (Some(Node::Directory(before)), Some(Node::Directory(after))) => {
            let below = first_file(blobs, *before, *after, &format!("{path}/"), depth + 1)?;
            Some(FirstFile { more: more || below.more, ..below })
        }
        (Some(Node::Directory(_)), None) | (None, Some(Node::Directory(_))) => {
            Some(FirstFile { path: path + "/", more })
        }
        _ => Some(FirstFile { path, more }),
    }
}

#[derive(PartialEq, Eq)]
enum Node {
    /// A digest, or where a link leads.
    Leaf(String),
    Directory(BlobRef),
}

struct Names(BTreeMap<String, Node>);

impl Names {
    fn of(directory: &Directory) -> Self {
        let files = directory.files.iter().map(|file| {
            let mark = if file.is_executable { " (executable)" } else { "" };
            (file.name.clone(), Node::Leaf(format!("{}{mark}", file.blob.digest)))
        });
        let directories = directory.directories.iter().map(|one| (one.name.clone(), Node::Directory(one.blob)));
        let links = directory.symlinks.iter().map(|link| (link.name.clone(), Node::Leaf(format!("→ {}", link.target))));
        Self(files.chain(directories).chain(links).collect())
    }
}
