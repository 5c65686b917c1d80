//! The filesystem that a guest sees: the same on every host, and nothing of the host's.
//!
//! Owns: the nodes (directories, files, links), what may be written, how many bytes are held, and reading mounts
//! from the store when they are first looked at. Does not know: descriptors, WASI's structures, host paths.

mod open;
mod output;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use wasmill_model::port::{BlobStore, StoreError};
use wasmill_model::{BlobRef, Directory, GuestPath, Mount};

use crate::wasi::Errno;

pub(crate) use open::Opening;
pub(crate) use walk::{PATH_BYTES_MAX, Place};

/// A node's place in the filesystem; its number is also its inode, which is the same on every host because nodes
/// come to be in the order in which the guest looks at them. A place becomes free when its node has no name and no
/// descriptor any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeId(u32);

impl NodeId {
    /// `/`.
    pub(crate) const ROOT: NodeId = NodeId(0);
    /// `/out`.
    pub(crate) const OUT: NodeId = NodeId(1);
    /// `/tmp`.
    pub(crate) const TMP: NodeId = NodeId(2);

    pub(crate) fn inode(self) -> u64 {
        u64::from(self.0) + 1
    }
}

/// A node and who holds it.
#[derive(Debug)]
struct Slot {
    node: Node,
    /// Entries of directories that name it.
    names: u32,
    /// Descriptors that are open on it.
    descriptors: u32,
}

#[derive(Debug)]
enum Node {
    Directory(Entries),
    File(Content),
    Link(String),
    /// Nothing: the place is free.
    Free,
}

/// What a directory has in it.
#[derive(Debug)]
struct Entries {
    by_name: BTreeMap<String, NodeId>,
    /// The stored directory that has not been read yet.
    unread: Option<BlobRef>,
    /// The listing of a directory that never changes, made with the first look at it.
    listing: Option<Arc<[Listed]>>,
    is_writable: bool,
    /// How many directories lie above it.
    depth: u32,
}

/// What a file has in it.
#[derive(Debug)]
enum Content {
    /// A stored blob that has not been opened yet.
    Unread(BlobRef),
    /// A stored blob.
    Read(Bytes),
    /// What the guest wrote.
    Written(Vec<u8>),
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
    Link,
}

/// An entry of a directory, as it was when the directory was listed.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) node: NodeId,
    pub(crate) kind: Kind,
}

/// The entries of a directory at one moment.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) entries: Arc<[Listed]>,
    /// What it counts for against the budget, until it is [forgotten](Vfs::forget).
    held_bytes: u64,
}

/// Why a call cannot be answered.
#[derive(Debug)]
pub(crate) enum Fail {
    /// The guest is told.
    Errno(Errno),
    /// The guest is stopped: it holds more bytes than it may.
    OutputTooLarge,
    /// The guest is stopped: the store failed.
    Store(StoreError),
}

impl From<Errno> for Fail {
    fn from(errno: Errno) -> Self {
        Fail::Errno(errno)
    }
}

impl From<StoreError> for Fail {
    fn from(error: StoreError) -> Self {
        Fail::Store(error)
    }
}

/// How many bytes a guest holds in files and has written to its streams, against its limit.
#[derive(Debug)]
pub(crate) struct Budget {
    held_bytes: u64,
    limit_bytes: u64,
}

impl Budget {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self { held_bytes: 0, limit_bytes }
    }

    /// Takes some bytes, or says that there are none left.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<(), Fail> {
        let held = self.held_bytes.saturating_add(bytes);
        if held > self.limit_bytes {
            return Err(Fail::OutputTooLarge);
        }
        self.held_bytes = held;
        Ok(())
    }

    /// Takes as many of some bytes as there are; returns how many.
    pub(crate) fn take_up_to(&mut self, bytes: u64) -> u64 {
        let taken = bytes.min(self.limit_bytes.saturating_sub(self.held_bytes));
        self.held_bytes = self.held_bytes.saturating_add(taken);
        taken
    }

    fn give_back(&mut self, bytes: u64) {
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
    }
}

/// The bytes that an entry of a directory costs beside its content, so that a guest cannot fill the host's memory
/// with empty files.
const ENTRY_BYTES: u64 = 256;

/// The bytes that an entry of a listing costs beside its name.
const LISTED_BYTES: u64 = 48;

/// Most directories above one that a guest makes. Paths are bounded, but directories can be made inside one another
/// without a long path; what follows from their depth (the output's tree, its copy on the host) must not be unbounded.
const DEPTH_MAX: u32 = 256;

/// The filesystem of one attempt.
pub(crate) struct Vfs {
    nodes: Vec<Slot>,
    free: Vec<NodeId>,
    blobs: Arc<dyn BlobStore>,
    pub(crate) budget: Budget,
}

impl Vfs {
    /// `/` with an empty `/out` and `/tmp`.
    pub(crate) fn new(blobs: Arc<dyn BlobStore>, limit_bytes: u64) -> Self {
        let mut vfs = Self::empty(blobs);
        vfs.budget = Budget::new(limit_bytes);
        for (name, id) in [("out", NodeId::OUT), ("tmp", NodeId::TMP)] {
            let added = vfs.add(Node::Directory(Entries::new(true, 1)));
            debug_assert_eq!(added, id, "places are given out in order");
            vfs.put(NodeId::ROOT, name, added);
        }
        vfs
    }

    /// `/` with nothing in it.
    pub(crate) fn empty(blobs: Arc<dyn BlobStore>) -> Self {
        let root = Slot { node: Node::Directory(Entries::new(false, 0)), names: 1, descriptors: 0 };
        let mut nodes = Vec::with_capacity(8);
        nodes.push(root);
        Self { nodes, free: Vec::new(), blobs, budget: Budget::new(0) }
    }

    /// Lets something be seen at a path, with the directories above it; returns what is there then.
    pub(crate) fn mount(&mut self, path: &GuestPath, mount: &Mount) -> Result<NodeId, Fail> {
        let mut here = NodeId::ROOT;
        let mut names = path.names().peekable();
        while let Some(name) = names.next() {
            let existing = self.entries(here)?.by_name.get(name).copied();
            here = match existing {
                Some(node) => node,
                None => {
                    let node = match (names.peek().is_none(), mount) {
                        (false, _) => Node::Directory(Entries::new(false, 0)),
                        (true, Mount::File { blob, .. }) => Node::File(Content::Unread(*blob)),
                        (true, Mount::Directory { blob }) => Node::Directory(Entries::unread(*blob)),
                    };
                    let node = self.add(node);
                    self.put(here, name, node);
                    node
                }
            };
        }
        Ok(here)
    }

    /// Keeps a node that has no name yet.
    fn add(&mut self, node: Node) -> NodeId {
        let slot = Slot { node, names: 0, descriptors: 0 };
        match self.free.pop() {
            Some(id) => {
                if let Some(place) = self.nodes.get_mut(id.0 as usize) {
                    *place = slot;
                }
                id
            }
            None => {
                let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
                self.nodes.push(slot);
                id
            }
        }
    }

    /// Gives a node a name.
    fn put(&mut self, directory: NodeId, name: &str, node: NodeId) {
        if let Some(Node::Directory(entries)) = self.nodes.get_mut(directory.0 as usize).map(|slot| &mut slot.node) {
            entries.by_name.insert(name.to_owned(), node);
        }
        if let Some(slot) = self.nodes.get_mut(node.0 as usize) {
            slot.names += 1;
        }
    }

    /// A descriptor was opened on a node.
    pub(crate) fn opened(&mut self, id: NodeId) {
        if let Some(slot) = self.nodes.get_mut(id.0 as usize) {
            slot.descriptors += 1;
        }
    }

    /// A descriptor on a node was closed.
    pub(crate) fn closed(&mut self, id: NodeId) {
        if let Some(slot) = self.nodes.get_mut(id.0 as usize) {
            slot.descriptors = slot.descriptors.saturating_sub(1);
        }
        self.free_if_unused(id);
    }

    /// A node lost a name.
    fn unnamed(&mut self, id: NodeId) {
        if let Some(slot) = self.nodes.get_mut(id.0 as usize) {
            slot.names = slot.names.saturating_sub(1);
        }
        self.free_if_unused(id);
    }

    fn free_if_unused(&mut self, id: NodeId) {
        let Some(slot) = self.nodes.get_mut(id.0 as usize) else { return };
        if slot.names > 0 || slot.descriptors > 0 {
            return;
        }
        match std::mem::replace(&mut slot.node, Node::Free) {
            Node::File(Content::Written(bytes)) => self.budget.give_back(bytes.len() as u64),
            Node::Link(target) => self.budget.give_back(target.len() as u64),
            Node::File(_) | Node::Directory(_) => {}
            Node::Free => return,
        }
        self.free.push(id);
    }

    /// Whether a node was removed and is only still open.
    fn is_nameless(&self, id: NodeId) -> bool {
        self.nodes.get(id.0 as usize).is_none_or(|slot| slot.names == 0)
    }

    fn node(&self, id: NodeId) -> Result<&Node, Errno> {
        self.nodes.get(id.0 as usize).map(|slot| &slot.node).ok_or(Errno::Io)
    }

    fn node_mut(&mut self, id: NodeId) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(id.0 as usize).map(|slot| &mut slot.node).ok_or(Errno::Io)
    }

    pub(crate) fn kind(&self, id: NodeId) -> Result<Kind, Errno> {
        Ok(match self.node(id)? {
            Node::Directory(_) => Kind::Directory,
            Node::File(_) => Kind::File,
            Node::Link(_) => Kind::Link,
            Node::Free => return Err(Errno::Io),
        })
    }

    /// The entries of a directory, read from the store if this is the first look at them.
    fn entries(&mut self, id: NodeId) -> Result<&mut Entries, Fail> {
        let unread = match self.node_mut(id)? {
            Node::Directory(entries) => entries.unread.take(),
            _ => return Err(Errno::Notdir.into()),
        };
        if let Some(blob) = unread {
            let directory = self.blobs.get(&blob)?;
            let directory = Directory::decode(&directory)
                .map_err(|error| StoreError::Damaged { digest: blob.digest, wrong: error.to_string() })?;
            self.read_entries(id, directory);
        }
        match self.node_mut(id)? {
            Node::Directory(entries) => Ok(entries),
            _ => Err(Errno::Notdir.into()),
        }
    }

    fn read_entries(&mut self, id: NodeId, directory: Directory) {
        for file in directory.files {
            let node = self.add(Node::File(Content::Unread(file.blob)));
            self.put(id, &file.name, node);
        }
        for below in directory.directories {
            let node = self.add(Node::Directory(Entries::unread(below.blob)));
            self.put(id, &below.name, node);
        }
        for link in directory.symlinks {
            let node = self.add(Node::Link(link.target));
            self.put(id, &link.name, node);
        }
    }

    /// What a directory has in it now: `.` and `..`, then its entries by name. The listing of a directory that can
    /// change is the guest's to hold and counts against its budget, or a thousand descriptors on one large directory
    /// would fill the host's memory; that of a mounted one is shared.
    pub(crate) fn list(&mut self, id: NodeId) -> Result<Listing, Fail> {
        let entries = self.entries(id)?;
        if let Some(listing) = &entries.listing {
            return Ok(Listing { entries: Arc::clone(listing), held_bytes: 0 });
        }
        let is_writable = entries.is_writable;
        let names = entries.by_name.iter();
        let held_bytes = names.map(|(name, _)| LISTED_BYTES + name.len() as u64).sum();
        if is_writable {
            self.budget.take(held_bytes)?;
        }
        let named = |name: &str, node, kind| Listed { name: name.to_owned(), node, kind };
        let mut listed = vec![named(".", id, Kind::Directory), named("..", id, Kind::Directory)];
        if let Node::Directory(entries) = self.node(id)? {
            listed.reserve(entries.by_name.len());
            for (name, node) in &entries.by_name {
                listed.push(named(name, *node, self.kind(*node)?));
            }
        }
        let listing: Arc<[Listed]> = listed.into();
        if is_writable {
            return Ok(Listing { entries: listing, held_bytes });
        }
        self.entries(id)?.listing = Some(Arc::clone(&listing));
        Ok(Listing { entries: listing, held_bytes: 0 })
    }

    /// A listing is gone.
    pub(crate) fn forget(&mut self, listing: &Listing) {
        self.budget.give_back(listing.held_bytes);
    }

    /// The size of a file, or of a link's target; directories have none.
    pub(crate) fn size(&self, id: NodeId) -> Result<u64, Errno> {
        Ok(match self.node(id)? {
            Node::Directory(_) | Node::Free => 0,
            Node::File(Content::Unread(blob)) => blob.size_bytes,
            Node::File(Content::Read(bytes)) => bytes.len() as u64,
            Node::File(Content::Written(bytes)) => bytes.len() as u64,
            Node::Link(target) => target.len() as u64,
        })
    }

    /// What a symbolic link points to.
    pub(crate) fn link_target(&self, id: NodeId) -> Result<&str, Errno> {
        match self.node(id)? {
            Node::Link(target) => Ok(target),
            _ => Err(Errno::Inval),
        }
    }

    /// The bytes of a file from `offset` on; empty at and past its end.
    pub(crate) fn read(&mut self, id: NodeId, offset: u64) -> Result<&[u8], Fail> {
        let unread = match self.node(id)? {
            Node::File(Content::Unread(blob)) => Some(*blob),
            Node::File(_) => None,
            Node::Directory(_) => return Err(Errno::Isdir.into()),
            Node::Link(_) | Node::Free => return Err(Errno::Inval.into()),
        };
        if let Some(blob) = unread {
            let bytes = self.blobs.get(&blob)?;
            *self.node_mut(id)? = Node::File(Content::Read(bytes));
        }
        let bytes: &[u8] = match self.node(id)? {
            Node::File(Content::Read(bytes)) => bytes,
            Node::File(Content::Written(bytes)) => bytes,
            _ => &[],
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        Ok(&bytes[start..])
    }

    /// Whether a file may be written.
    pub(crate) fn is_writable_file(&self, id: NodeId) -> Result<bool, Errno> {
        Ok(matches!(self.node(id)?, Node::File(Content::Written(_))))
    }

    /// Writes to a file, filling a gap before `offset` with zeros; returns the end of what was written.
    pub(crate) fn write(&mut self, id: NodeId, offset: u64, bytes: &[u8]) -> Result<u64, Fail> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(Errno::Fbig)?;
        let file = Self::written(&mut self.nodes, id)?;
        let grown = end.saturating_sub(file.len() as u64);
        self.budget.take(grown)?;
        let (start, end) = (to_index(offset)?, to_index(end)?);
        if start == file.len() {
            file.extend_from_slice(bytes);
        } else {
            if end > file.len() {
                file.resize(end, 0);
            }
            file.get_mut(start..end).ok_or(Errno::Fbig)?.copy_from_slice(bytes);
        }
        Ok(end as u64)
    }

    /// Cuts a file or lets it grow with zeros.
    pub(crate) fn resize(&mut self, id: NodeId, size: u64) -> Result<(), Fail> {
        let file = Self::written(&mut self.nodes, id)?;
        let before = file.len() as u64;
        self.budget.take(size.saturating_sub(before))?;
        file.resize(to_index(size)?, 0);
        if size < before {
            file.shrink_to_fit();
            self.budget.give_back(before - size);
        }
        Ok(())
    }

    fn written(nodes: &mut [Slot], id: NodeId) -> Result<&mut Vec<u8>, Errno> {
        match nodes.get_mut(id.0 as usize).map(|slot| &mut slot.node) {
            Some(Node::File(Content::Written(bytes))) => Ok(bytes),
            Some(Node::File(_)) => Err(Errno::Rofs),
            Some(Node::Directory(_)) => Err(Errno::Isdir),
            _ => Err(Errno::Badf),
        }
    }
}

impl Entries {
    fn new(is_writable: bool, depth: u32) -> Self {
        Self { by_name: BTreeMap::new(), unread: None, listing: None, is_writable, depth }
    }

    /// A mounted directory; how deep it lies matters to nobody.
    fn unread(blob: BlobRef) -> Self {
        Self { unread: Some(blob), ..Self::new(false, 0) }
    }
}

fn to_index(offset: u64) -> Result<usize, Errno> {
    usize::try_from(offset).map_err(|_| Errno::Fbig)
}
