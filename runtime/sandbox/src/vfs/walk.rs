//! Paths: finding nodes, making and removing them.
//!
//! Owns: how a path is walked (links, `..`, never above where it starts), and every change of a directory.
//! Does not know: who asks.

use std::collections::BTreeMap;

use wasmill_model::check_name;

use super::{Buffer, Content, DEPTH_MAX, ENTRY_BYTES, Entries, Fail, Kind, Node, NodeId, Vfs};
use crate::wasi::Errno;

/// Links that one path may lead through, as on Linux.
const LINKS_MAX: usize = 40;

/// Longest path in bytes, as Linux's `PATH_MAX`.
pub(crate) const PATH_BYTES_MAX: usize = 4096;

/// Where a path leads.
#[derive(Debug)]
pub(crate) struct Place {
    /// The directory of the last name.
    pub(crate) directory: NodeId,
    /// The last name; none if the path leads to the directory itself (`.`, or something ending in `..`).
    pub(crate) name: Option<String>,
    /// What is there.
    pub(crate) node: Option<NodeId>,
    /// Whether the path ended in `/`, so that only a directory will do.
    pub(crate) wants_directory: bool,
}

impl Place {
    /// What is there.
    pub(crate) fn existing(&self) -> Result<NodeId, Errno> {
        self.node.ok_or(Errno::Noent)
    }
}

impl Vfs {
    /// Walks `path` from the directory `start`. Nothing above `start` can be reached, whether by `..`, by an
    /// absolute path or through a link, except that links may be absolute where `start` is `/`.
    pub(crate) fn walk(&mut self, start: NodeId, path: &str, follow_last: bool) -> Result<Place, Fail> {
        if path.is_empty() {
            return Err(Errno::Noent.into());
        }
        if path.len() > PATH_BYTES_MAX {
            return Err(Errno::Nametoolong.into());
        }
        if path.bytes().any(|byte| byte == 0) {
            return Err(Errno::Inval.into());
        }
        if path.starts_with('/') {
            return Err(Errno::Perm.into());
        }
        let wants_directory = path.ends_with('/');
        // The directories from `start` to here; names still to go, the next one last.
        let mut above = vec![start];
        let mut names: Vec<String> = split(path);
        let mut links = 0;
        while let Some(name) = names.pop() {
            let here = *above.last().ok_or(Errno::Perm)?;
            if self.kind(here)? != Kind::Directory {
                return Err(Errno::Notdir.into());
            }
            match name.as_str() {
                "." => continue,
                ".." => {
                    above.pop();
                    if above.is_empty() {
                        return Err(Errno::Perm.into());
                    }
                    continue;
                }
                _ if name.len() > 255 => return Err(Errno::Nametoolong.into()),
                _ => {}
            }
            let is_last = names.is_empty();
            let node = self.entries(here)?.by_name.get(&name).copied();
            match node {
                Some(node) => match self.node(node)? {
                    Node::Link { target, .. } if !is_last || follow_last || wants_directory => {
                        links += 1;
                        if links > LINKS_MAX {
                            return Err(Errno::Loop.into());
                        }
                        follow(target, start, &mut above, &mut names)?;
                    }
                    _ if is_last => {
                        return Ok(Place { directory: here, name: Some(name), node: Some(node), wants_directory });
                    }
                    _ => above.push(node),
                },
                None if is_last => {
                    return Ok(Place { directory: here, name: Some(name), node: None, wants_directory });
                }
                None => return Err(Errno::Noent.into()),
            }
        }
        let here = *above.last().ok_or(Errno::Perm)?;
        Ok(Place { directory: here, name: None, node: Some(here), wants_directory })
    }

    /// The name under which something new can be made at `place`.
    fn free_name(&mut self, place: &Place) -> Result<String, Fail> {
        let name = match (&place.name, place.node) {
            (Some(name), None) => name.clone(),
            _ => return Err(Errno::Exist.into()),
        };
        self.check_writable(place.directory)?;
        check_name(&name).map_err(|_| Errno::Inval)?;
        Ok(name)
    }

    fn check_writable(&mut self, directory: NodeId) -> Result<(), Fail> {
        // A removed directory that is still open takes nothing in: nobody could take it out again.
        if self.is_nameless(directory) {
            return Err(Errno::Noent.into());
        }
        if self.entries(directory)?.is_writable { Ok(()) } else { Err(Errno::Rofs.into()) }
    }

    fn make(&mut self, place: &Place, node: Node) -> Result<NodeId, Fail> {
        let name = self.free_name(place)?;
        self.budget.take(ENTRY_BYTES + name.len() as u64)?;
        let id = self.add(node);
        self.put(place.directory, &name, id);
        Ok(id)
    }

    /// Makes an empty file.
    pub(crate) fn make_file(&mut self, place: &Place) -> Result<NodeId, Fail> {
        if place.wants_directory {
            return Err(Errno::Isdir.into());
        }
        self.make(place, Node::File(Content::Written { buffer: Buffer::default(), is_executable: false }))
    }

    /// Makes an empty directory.
    pub(crate) fn make_directory(&mut self, place: &Place) -> Result<(), Fail> {
        let depth = self.entries(place.directory)?.depth + 1;
        if depth > DEPTH_MAX {
            return Err(Errno::Nametoolong.into());
        }
        self.make(place, Node::Directory(Entries::new(true, depth))).map(drop)
    }

    /// Makes a symbolic link.
    pub(crate) fn make_link(&mut self, place: &Place, target: String) -> Result<(), Fail> {
        if target.is_empty() {
            return Err(Errno::Noent.into());
        }
        if target.len() > PATH_BYTES_MAX {
            return Err(Errno::Nametoolong.into());
        }
        // As in wasmtime: a link that leads out of its directory by name is refused when it is made.
        if target.starts_with('/') {
            return Err(Errno::Perm.into());
        }
        if place.wants_directory {
            return Err(if place.node.is_some() { Errno::Exist } else { Errno::Noent }.into());
        }
        self.free_name(place)?;
        self.budget.take(target.len() as u64)?;
        let held_bytes = target.len() as u64;
        self.make(place, Node::Link { target, held_bytes }).map(drop)
    }

    /// Gives a file a second name.
    pub(crate) fn make_hard_link(&mut self, node: NodeId, place: &Place) -> Result<(), Fail> {
        match self.node(node)? {
            Node::File(Content::Written { .. } | Content::Stored { is_writable: true, .. }) => {}
            Node::Directory(_) => return Err(Errno::Perm.into()),
            // A second name below /out would make a file of the inputs writable.
            _ => return Err(Errno::Rofs.into()),
        }
        if place.wants_directory {
            return Err(Errno::Noent.into());
        }
        let name = self.free_name(place)?;
        self.budget.take(ENTRY_BYTES + name.len() as u64)?;
        self.put(place.directory, &name, node);
        Ok(())
    }

    /// Removes a file or a link. Descriptors that are open on it keep its bytes until they are closed.
    pub(crate) fn remove_file(&mut self, place: &Place) -> Result<(), Fail> {
        let node = place.existing()?;
        let Some(name) = &place.name else { return Err(Errno::Isdir.into()) };
        self.check_writable(place.directory)?;
        if self.kind(node)? == Kind::Directory {
            return Err(Errno::Isdir.into());
        }
        if place.wants_directory {
            return Err(Errno::Notdir.into());
        }
        self.take_out(place.directory, name)
    }

    /// Removes an empty directory.
    pub(crate) fn remove_directory(&mut self, place: &Place) -> Result<(), Fail> {
        let node = place.existing()?;
        let Some(name) = &place.name else { return Err(Errno::Inval.into()) };
        if self.kind(node)? != Kind::Directory {
            return Err(Errno::Notdir.into());
        }
        self.check_writable(place.directory)?;
        if !self.entries(node)?.by_name.is_empty() {
            return Err(Errno::Notempty.into());
        }
        self.take_out(place.directory, name)
    }

    fn take_out(&mut self, directory: NodeId, name: &str) -> Result<(), Fail> {
        if let Some(node) = self.entries(directory)?.by_name.remove(name) {
            self.budget.give_back(ENTRY_BYTES + name.len() as u64);
            self.unnamed(node);
        }
        Ok(())
    }

    /// Moves what is at `from` to `to`, replacing a file by a file or an empty directory by a directory.
    pub(crate) fn rename(&mut self, from: &Place, to: &Place) -> Result<(), Fail> {
        let moved = from.existing()?;
        let (Some(old), Some(new)) = (&from.name, &to.name) else { return Err(Errno::Inval.into()) };
        self.check_writable(from.directory)?;
        self.check_writable(to.directory)?;
        check_name(new).map_err(|_| Errno::Inval)?;
        let is_directory = self.kind(moved)? == Kind::Directory;
        if !is_directory && (from.wants_directory || to.wants_directory) {
            return Err(Errno::Notdir.into());
        }
        let moved_directories = if is_directory { self.directories_below(moved)? } else { Vec::new() };
        let depth = self.entries(to.directory)?.depth + 1;
        if moved_directories.iter().any(|(node, _)| *node == to.directory) {
            return Err(Errno::Inval.into());
        }
        if moved_directories.iter().any(|(_, below)| depth + below > DEPTH_MAX) {
            return Err(Errno::Nametoolong.into());
        }
        if let Some(replaced) = to.node {
            if replaced == moved {
                return Ok(());
            }
            match (is_directory, self.kind(replaced)? == Kind::Directory) {
                (true, false) => return Err(Errno::Notdir.into()),
                (false, true) => return Err(Errno::Isdir.into()),
                (true, true) if !self.entries(replaced)?.by_name.is_empty() => {
                    return Err(Errno::Notempty.into());
                }
                _ => self.take_out(to.directory, new)?,
            }
        }
        // The new name first: a node without any would be gone.
        self.budget.take(ENTRY_BYTES + new.len() as u64)?;
        self.put(to.directory, new, moved);
        for (node, below) in moved_directories {
            if let Node::Directory(entries) = self.node_mut(node)? {
                entries.depth = depth + below;
            }
        }
        self.take_out(from.directory, old)
    }

    /// A directory and all that lie in it, each with how deep it lies below the first.
    fn directories_below(&mut self, directory: NodeId) -> Result<Vec<(NodeId, u32)>, Fail> {
        let mut found = vec![(directory, 0)];
        let mut next = 0;
        while let Some((here, depth)) = found.get(next).copied() {
            // What has not been looked into yet takes its depth from this one when it is.
            let below: Vec<NodeId> = match self.node(here)? {
                Node::Directory(entries) => entries.by_name.values().copied().collect(),
                _ => Vec::new(),
            };
            for id in below {
                if self.kind(id)? == Kind::Directory {
                    found.push((id, depth + 1));
                }
            }
            next += 1;
        }
        Ok(found)
    }

    /// What a writable directory has in it, by name, for the outputs.
    pub(super) fn by_name(&mut self, id: NodeId) -> Result<BTreeMap<String, NodeId>, Fail> {
        Ok(self.entries(id)?.by_name.clone())
    }
}

/// Goes on where a link points to: from its directory, or from `/` where the walk started there.
fn follow(target: &str, start: NodeId, above: &mut Vec<NodeId>, names: &mut Vec<String>) -> Result<(), Errno> {
    if target.len() > PATH_BYTES_MAX {
        return Err(Errno::Nametoolong);
    }
    match target.strip_prefix('/') {
        Some(_) if start != NodeId::ROOT => return Err(Errno::Perm),
        Some(rest) => {
            above.truncate(1);
            names.extend(split(rest));
        }
        None => names.extend(split(target)),
    }
    Ok(())
}

/// The names of a path, the first one last.
fn split(path: &str) -> Vec<String> {
    path.split('/').filter(|name| !name.is_empty()).rev().map(str::to_owned).collect()
}
