//! The filesystem that a guest sees: the same on every host, and nothing of the host's.
//!
//! Owns: the nodes (directories, files, links), what may be written, how many bytes are held, and reading mounts
//! from the store when they are first looked at. Does not know: descriptors, WASI's structures, host paths.

mod buffer;
mod content;
mod open;
mod output;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use wasmill_model::port::{BlobStore, StoreError};
use wasmill_model::{BlobRef, Directory, GuestPath, Input, Mount, MountMode, Traffic};

use crate::patience::{Over, Patience};
use crate::wasi::Errno;

pub(crate) use buffer::{Buffer, copy_from};
use content::Content;
pub(crate) use content::Spill;
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
    /// One of its names is in the output.
    is_taken: bool,
}

#[derive(Debug)]
enum Node {
    Directory(Entries),
    File(Content),
    Link {
        target: String,
        /// What it counts for against the budget: nothing in a mount that never changes.
        held_bytes: u64,
    },
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
    /// The guest is stopped: the host has no room for what it wrote.
    Disk(io::Error),
    /// The guest is stopped: it may not go on.
    Over(Over),
}

impl From<Errno> for Fail {
    fn from(errno: Errno) -> Self {
        Fail::Errno(errno)
    }
}

impl From<Over> for Fail {
    fn from(over: Over) -> Self {
        Fail::Over(over)
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
const ENTRY_BYTES: u64 = Directory::ENTRY_BYTES;

/// The bytes that an entry of a listing costs beside its name.
const LISTED_BYTES: u64 = 48;

/// Most directories above one that a guest makes. Paths are bounded, but directories can be made inside one another
/// without a long path; what follows from their depth (the output's tree, its copy on the host) must not be unbounded.
const DEPTH_MAX: u32 = 256;

/// Most directories above an entry of a mounted directory that is looked into: a tree that was nested deeper still, by
/// mounting one in another, is not walked to its end.
const MOUNTED_DEPTH_MAX: u32 = Directory::DEPTH_MAX as u32;

/// The filesystem of one attempt.
pub(crate) struct Vfs {
    nodes: Vec<Slot>,
    free: Vec<NodeId>,
    blobs: Arc<dyn BlobStore>,
    pub(crate) budget: Budget,
    /// Until when the guest may go on with a call that takes long.
    pub(crate) patience: Patience,
    /// What the guest has read of its files, each byte as often as it did.
    read_bytes: u64,
    spill: Spill,
    /// Bytes of files and streams that are in memory.
    memory_bytes: u64,
    out: NodeId,
    tmp: NodeId,
}

impl Vfs {
    /// `/` with what is mounted, `/out` and `/tmp`.
    pub(crate) fn new(
        blobs: Arc<dyn BlobStore>,
        limit_bytes: u64,
        spill: Spill,
        mounts: &BTreeMap<GuestPath, Input>,
    ) -> Result<Self, Fail> {
        let mut vfs = Self::empty(blobs, limit_bytes, spill);
        if let Some((_, input)) = mounts.iter().find(|(path, _)| path.names().next().is_none())
            && let Mount::Directory { blob } = input.content
        {
            let root = Entries::unread(blob, input.mode == MountMode::CopyOnWrite, 0);
            vfs.nodes[0].node = Node::Directory(root);
            // What follows is seen in front of it.
            vfs.entries(NodeId::ROOT)?;
        }
        vfs.out = vfs.own_directory("out")?;
        vfs.tmp = vfs.own_directory("tmp")?;
        for (path, input) in mounts.iter().filter(|(path, _)| path.names().next().is_some()) {
            vfs.mount(path, input)?;
        }
        // Something may have been mounted right there.
        if let Some(out) = vfs.entries(NodeId::ROOT)?.by_name.get("out").copied() {
            vfs.out = out;
        }
        if let Some(tmp) = vfs.entries(NodeId::ROOT)?.by_name.get("tmp").copied() {
            vfs.tmp = tmp;
        }
        Ok(vfs)
    }

    /// `/` with nothing in it, and room for so much.
    pub(crate) fn empty(blobs: Arc<dyn BlobStore>, limit_bytes: u64, spill: Spill) -> Self {
        let root = Slot { node: Node::Directory(Entries::new(false, 0)), names: 1, descriptors: 0, is_taken: false };
        let mut nodes = Vec::with_capacity(8);
        nodes.push(root);
        let (out, tmp) = (NodeId::ROOT, NodeId::ROOT);
        Self {
            nodes,
            free: Vec::new(),
            blobs,
            budget: Budget::new(limit_bytes),
            patience: Patience::default(),
            read_bytes: 0,
            spill,
            memory_bytes: 0,
            out,
            tmp,
        }
    }

    /// What the guest has read and holds.
    pub(crate) fn traffic(&self) -> Traffic {
        Traffic { read_bytes: self.read_bytes, written_bytes: self.budget.held_bytes }
    }

    /// `/out`.
    pub(crate) fn out(&self) -> NodeId {
        self.out
    }

    /// `/tmp`.
    pub(crate) fn tmp(&self) -> NodeId {
        self.tmp
    }

    /// The directory of a name in `/` that the guest may write to: one that is mounted with `/`, or a new one.
    fn own_directory(&mut self, name: &str) -> Result<NodeId, Fail> {
        let existing = self.entries(NodeId::ROOT)?.by_name.get(name).copied();
        match existing {
            Some(node) if matches!(self.node(node)?, Node::Directory(entries) if entries.is_writable) => Ok(node),
            _ => self.shadow(NodeId::ROOT, name, Node::Directory(Entries::new(true, 1))),
        }
    }

    /// Lets something be seen at a path below `/`, with the directories above it.
    fn mount(&mut self, path: &GuestPath, input: &Input) -> Result<(), Fail> {
        let is_writable = input.mode == MountMode::CopyOnWrite;
        let mut here = NodeId::ROOT;
        let mut depth = 0;
        let mut names = path.names().peekable();
        while let Some(name) = names.next() {
            depth += 1;
            let existing = self.entries(here)?.by_name.get(name).copied();
            here = match (names.peek().is_none(), existing) {
                (false, Some(node)) if matches!(self.node(node)?, Node::Directory(_)) => node,
                (false, _) => self.shadow(here, name, Node::Directory(Entries::new(false, depth)))?,
                (true, _) => {
                    let node = match input.content {
                        Mount::File { blob, is_executable } => {
                            Node::File(Content::Stored { blob, bytes: None, is_executable, is_writable })
                        }
                        Mount::Directory { blob } => Node::Directory(Entries::unread(blob, is_writable, depth)),
                    };
                    self.shadow(here, name, node)?
                }
            };
        }
        Ok(())
    }

    /// Puts a node in front of whatever has its name.
    fn shadow(&mut self, directory: NodeId, name: &str, node: Node) -> Result<NodeId, Fail> {
        let replaced = self.entries(directory)?.by_name.remove(name);
        let id = self.add(node);
        self.put(directory, name, id);
        match replaced {
            Some(replaced) => self.unnamed(replaced),
            // In a directory that can change every entry counts, or removing this one would give back too much.
            None if self.entries(directory)?.is_writable => self.budget.take(ENTRY_BYTES + name.len() as u64)?,
            None => {}
        }
        Ok(id)
    }

    /// Keeps a node that has no name yet.
    fn add(&mut self, node: Node) -> NodeId {
        let slot = Slot { node, names: 0, descriptors: 0, is_taken: false };
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
            Node::File(Content::Written { buffer, .. }) => {
                self.budget.give_back(buffer.len());
                self.memory_bytes = self.memory_bytes.saturating_sub(buffer.memory_bytes());
            }
            Node::Link { held_bytes, .. } => self.budget.give_back(held_bytes),
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
            Node::Link { .. } => Kind::Link,
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
            self.read_entries(id, directory)?;
        }
        match self.node_mut(id)? {
            Node::Directory(entries) => Ok(entries),
            _ => Err(Errno::Notdir.into()),
        }
    }

    /// Gives a directory its stored entries. Where the guest may change it, they count as if the guest had made them:
    /// it can take them away again.
    fn read_entries(&mut self, id: NodeId, directory: Directory) -> Result<(), Fail> {
        let (is_writable, depth) = match self.node(id)? {
            Node::Directory(entries) => (entries.is_writable, entries.depth + 1),
            _ => return Err(Errno::Notdir.into()),
        };
        if depth > MOUNTED_DEPTH_MAX {
            return Err(Errno::Nametoolong.into());
        }
        let mut add = |name: &str, node: Node, held_bytes: u64| -> Result<(), Fail> {
            if is_writable {
                self.budget.take(ENTRY_BYTES + name.len() as u64 + held_bytes)?;
            }
            let node = self.add(node);
            self.put(id, name, node);
            Ok(())
        };
        for file in directory.files {
            let (blob, is_executable) = (file.blob, file.is_executable);
            let content = Content::Stored { blob, bytes: None, is_executable, is_writable };
            add(&file.name, Node::File(content), 0)?;
        }
        for below in directory.directories {
            add(&below.name, Node::Directory(Entries::unread(below.blob, is_writable, depth)), 0)?;
        }
        for link in directory.symlinks {
            let held_bytes = if is_writable { link.target.len() as u64 } else { 0 };
            add(&link.name, Node::Link { target: link.target, held_bytes }, held_bytes)?;
        }
        Ok(())
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
            Node::File(Content::Stored { blob, .. }) => blob.size_bytes,
            Node::File(Content::Written { buffer, .. }) => buffer.len(),
            Node::Link { target, .. } => target.len() as u64,
        })
    }

    /// What a symbolic link points to.
    pub(crate) fn link_target(&self, id: NodeId) -> Result<&str, Errno> {
        match self.node(id)? {
            Node::Link { target, .. } => Ok(target),
            _ => Err(Errno::Inval),
        }
    }
}

impl Entries {
    fn new(is_writable: bool, depth: u32) -> Self {
        Self { by_name: BTreeMap::new(), unread: None, listing: None, is_writable, depth }
    }

    /// A stored directory.
    fn unread(blob: BlobRef, is_writable: bool, depth: u32) -> Self {
        Self { unread: Some(blob), ..Self::new(is_writable, depth) }
    }
}
