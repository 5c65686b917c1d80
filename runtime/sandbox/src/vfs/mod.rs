//! The filesystem that a guest sees: the same on every host, and nothing of the host's.
//!
//! Owns: the nodes (directories, files, links), what may be written, how many bytes are held, and reading mounts
//! from the store when they are first looked at. Does not know: descriptors, WASI's structures, host paths.

mod output;
mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use wasmill_model::port::{BlobStore, StoreError};
use wasmill_model::{BlobRef, Directory, GuestPath, Mount};

use crate::wasi::Errno;

pub(crate) use walk::Place;

/// A node's place in the filesystem; its number is also its inode, which is the same on every host because nodes
/// come to be in the order in which the guest looks at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeId(u32);

impl NodeId {
    /// `/`.
    pub(crate) const ROOT: NodeId = NodeId(0);
    /// `/out`.
    pub(crate) const OUT: NodeId = NodeId(1);

    pub(crate) fn inode(self) -> u64 {
        u64::from(self.0) + 1
    }
}

#[derive(Debug)]
enum Node {
    Directory(Entries),
    File(Content),
    Link(String),
}

/// What a directory has in it.
#[derive(Debug)]
struct Entries {
    by_name: BTreeMap<String, NodeId>,
    /// The stored directory that has not been read yet.
    unread: Option<BlobRef>,
    is_writable: bool,
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

    fn give_back(&mut self, bytes: u64) {
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
    }
}

/// The bytes that an entry of a directory costs beside its content, so that a guest cannot fill the host's memory
/// with empty files.
const ENTRY_BYTES: u64 = 256;

/// The filesystem of one attempt.
pub(crate) struct Vfs {
    nodes: Vec<Node>,
    blobs: Arc<dyn BlobStore>,
    pub(crate) budget: Budget,
}

impl Vfs {
    /// `/` with an empty `/out` and `/tmp`, and the mounts.
    pub(crate) fn new<'a>(
        mounts: impl Iterator<Item = (&'a GuestPath, &'a Mount)>,
        blobs: Arc<dyn BlobStore>,
        limit_bytes: u64,
    ) -> Result<Self, Fail> {
        let mut vfs = Self::empty(blobs);
        vfs.budget = Budget::new(limit_bytes);
        let out = vfs.add(Node::Directory(Entries::new(true)));
        let tmp = vfs.add(Node::Directory(Entries::new(true)));
        vfs.put(NodeId::ROOT, "out", out);
        vfs.put(NodeId::ROOT, "tmp", tmp);
        for (path, mount) in mounts {
            vfs.mount(path, mount)?;
        }
        Ok(vfs)
    }

    /// `/` with nothing in it.
    pub(crate) fn empty(blobs: Arc<dyn BlobStore>) -> Self {
        let root = Node::Directory(Entries::new(false));
        let mut nodes = Vec::with_capacity(8);
        nodes.push(root);
        Self { nodes, blobs, budget: Budget::new(0) }
    }

    fn mount(&mut self, path: &GuestPath, mount: &Mount) -> Result<(), Fail> {
        let mut here = NodeId::ROOT;
        let mut names = path.names().peekable();
        while let Some(name) = names.next() {
            let existing = self.entries(here)?.by_name.get(name).copied();
            here = match existing {
                Some(node) => node,
                None => {
                    let node = match (names.peek().is_none(), mount) {
                        (false, _) => Node::Directory(Entries::new(false)),
                        (true, Mount::File { blob, .. }) => Node::File(Content::Unread(*blob)),
                        (true, Mount::Directory { blob }) => Node::Directory(Entries::unread(*blob)),
                    };
                    let node = self.add(node);
                    self.put(here, name, node);
                    node
                }
            };
        }
        Ok(())
    }

    fn add(&mut self, node: Node) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(node);
        id
    }

    fn put(&mut self, directory: NodeId, name: &str, node: NodeId) {
        if let Some(Node::Directory(entries)) = self.nodes.get_mut(directory.0 as usize) {
            entries.by_name.insert(name.to_owned(), node);
        }
    }

    fn node(&self, id: NodeId) -> Result<&Node, Errno> {
        self.nodes.get(id.0 as usize).ok_or(Errno::Io)
    }

    pub(crate) fn kind(&self, id: NodeId) -> Result<Kind, Errno> {
        Ok(match self.node(id)? {
            Node::Directory(_) => Kind::Directory,
            Node::File(_) => Kind::File,
            Node::Link(_) => Kind::Link,
        })
    }

    /// The entries of a directory, read from the store if this is the first look at them.
    fn entries(&mut self, id: NodeId) -> Result<&mut Entries, Fail> {
        let unread = match self.nodes.get_mut(id.0 as usize) {
            Some(Node::Directory(entries)) => entries.unread.take(),
            _ => return Err(Errno::Notdir.into()),
        };
        if let Some(blob) = unread {
            let directory = self.blobs.get(&blob)?;
            let directory = Directory::decode(&directory)
                .map_err(|error| StoreError::Damaged { digest: blob.digest, wrong: error.to_string() })?;
            self.read_entries(id, directory);
        }
        match self.nodes.get_mut(id.0 as usize) {
            Some(Node::Directory(entries)) => Ok(entries),
            _ => Err(Errno::Notdir.into()),
        }
    }

    fn read_entries(&mut self, id: NodeId, directory: Directory) {
        let mut by_name = BTreeMap::new();
        for file in directory.files {
            by_name.insert(file.name, self.add(Node::File(Content::Unread(file.blob))));
        }
        for below in directory.directories {
            by_name.insert(below.name, self.add(Node::Directory(Entries::unread(below.blob))));
        }
        for link in directory.symlinks {
            by_name.insert(link.name, self.add(Node::Link(link.target)));
        }
        if let Some(Node::Directory(entries)) = self.nodes.get_mut(id.0 as usize) {
            entries.by_name.append(&mut by_name);
        }
    }

    /// A directory's entries, sorted by name.
    pub(crate) fn list(&mut self, id: NodeId) -> Result<Vec<(String, NodeId, Kind)>, Fail> {
        let entries: Vec<(String, NodeId)> =
            self.entries(id)?.by_name.iter().map(|(name, id)| (name.clone(), *id)).collect();
        entries.into_iter().map(|(name, id)| Ok((name, id, self.kind(id)?))).collect()
    }

    /// The size of a file, or of a link's target; directories have none.
    pub(crate) fn size(&self, id: NodeId) -> Result<u64, Errno> {
        Ok(match self.node(id)? {
            Node::Directory(_) => 0,
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
            Node::Link(_) => return Err(Errno::Inval.into()),
        };
        if let Some(blob) = unread {
            let bytes = self.blobs.get(&blob)?;
            if let Some(node) = self.nodes.get_mut(id.0 as usize) {
                *node = Node::File(Content::Read(bytes));
            }
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

    fn written(nodes: &mut [Node], id: NodeId) -> Result<&mut Vec<u8>, Errno> {
        match nodes.get_mut(id.0 as usize) {
            Some(Node::File(Content::Written(bytes))) => Ok(bytes),
            Some(Node::File(_)) => Err(Errno::Rofs),
            Some(Node::Directory(_)) => Err(Errno::Isdir),
            _ => Err(Errno::Badf),
        }
    }
}

impl Entries {
    fn new(is_writable: bool) -> Self {
        Self { by_name: BTreeMap::new(), unread: None, is_writable }
    }

    fn unread(blob: BlobRef) -> Self {
        Self { by_name: BTreeMap::new(), unread: Some(blob), is_writable: false }
    }
}

fn to_index(offset: u64) -> Result<usize, Errno> {
    usize::try_from(offset).map_err(|_| Errno::Fbig)
}
