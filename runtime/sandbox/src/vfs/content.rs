//! The bytes of files and streams.
//!
//! Owns: reading and changing them, copying what is mounted when it is first changed, and what leaves memory for disk.
//! Does not know: names and directories.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use wasmill_model::BlobRef;

use super::buffer::copy_from;
use super::{Buffer, Fail, Node, NodeId, Vfs};
use crate::patience::Patience;
use crate::wasi::Errno;

/// What a file has in it.
#[derive(Debug)]
pub(super) enum Content {
    /// A stored blob.
    Stored {
        blob: BlobRef,
        /// Its bytes, once somebody has read them.
        bytes: Option<Bytes>,
        is_executable: bool,
        /// Whether the guest may change it: it then gets a copy.
        is_writable: bool,
    },
    /// What the guest wrote.
    Written { buffer: Buffer, is_executable: bool },
}

/// Where bytes go that are too many to be kept in memory.
#[derive(Debug, Clone)]
pub(crate) struct Spill {
    /// A folder for temporary files.
    pub(crate) dir: Arc<Path>,
    /// Most bytes that one attempt keeps in memory.
    pub(crate) memory_bytes: u64,
}

impl Vfs {
    /// Copies a file's bytes from `offset` on into `to`; returns how many there were.
    pub(crate) fn read(&mut self, id: NodeId, offset: u64, to: &mut [u8]) -> Result<usize, Fail> {
        let Self { nodes, blobs, patience, .. } = self;
        let mut node = nodes.get_mut(id.0 as usize).map(|slot| &mut slot.node);
        let read = patience.fill(to, |at, to| {
            let offset = offset.saturating_add(at as u64);
            match &mut node {
                Some(Node::File(Content::Stored { blob, bytes, .. })) => {
                    let bytes = match bytes {
                        Some(bytes) => bytes,
                        None => bytes.insert(blobs.get(blob)?),
                    };
                    Ok(copy_from(bytes, offset, to))
                }
                Some(Node::File(Content::Written { buffer, .. })) => buffer.read(offset, to).map_err(Fail::Disk),
                Some(Node::Directory(_)) => Err(Errno::Isdir.into()),
                Some(Node::Link { .. } | Node::Free) => Err(Errno::Inval.into()),
                None => Err(Errno::Io.into()),
            }
        })?;
        self.read_bytes = self.read_bytes.saturating_add(read as u64);
        Ok(read)
    }

    /// Whether a file may be written.
    pub(crate) fn is_writable_file(&self, id: NodeId) -> Result<bool, Errno> {
        Ok(match self.node(id)? {
            Node::File(Content::Written { .. }) => true,
            Node::File(Content::Stored { is_writable, .. }) => *is_writable,
            _ => false,
        })
    }

    /// Writes to a file, filling a gap before `offset` with zeros; returns the end of what was written.
    pub(crate) fn write(&mut self, id: NodeId, offset: u64, bytes: &[u8]) -> Result<u64, Fail> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(Errno::Fbig)?;
        let before = self.own(id, u64::MAX)?;
        self.budget.take(end.saturating_sub(before))?;
        self.fill(id, end.max(before), offset, bytes)?;
        Ok(end)
    }

    /// Writes to a file of the guest's own, which will be `size` long then, one piece after the other.
    fn fill(&mut self, id: NodeId, size: u64, mut offset: u64, mut bytes: &[u8]) -> Result<(), Fail> {
        loop {
            let (piece, rest) = bytes.split_at(bytes.len().min(Patience::PIECE_BYTES));
            self.change(id, size, |buffer| buffer.write(offset, piece))?;
            self.patience.moved(piece.len())?;
            if rest.is_empty() {
                return Ok(());
            }
            (offset, bytes) = (offset.saturating_add(piece.len() as u64), rest);
        }
    }

    /// Cuts a file or lets it grow with zeros.
    pub(crate) fn resize(&mut self, id: NodeId, size: u64) -> Result<(), Fail> {
        let before = self.own(id, size)?;
        self.budget.take(size.saturating_sub(before))?;
        self.change(id, size, |buffer| buffer.resize(size))?;
        self.budget.give_back(before.saturating_sub(size));
        Ok(())
    }

    /// Makes sure that a file's bytes are the guest's own, copying the first `at_most` of a stored one; returns how
    /// many there are.
    fn own(&mut self, id: NodeId, at_most: u64) -> Result<u64, Fail> {
        let (blob, is_executable) = match self.node(id)? {
            Node::File(Content::Written { buffer, .. }) => return Ok(buffer.len()),
            Node::File(Content::Stored { is_writable: false, .. }) => return Err(Errno::Rofs.into()),
            Node::File(Content::Stored { blob, is_executable, .. }) => (*blob, *is_executable),
            Node::Directory(_) => return Err(Errno::Isdir.into()),
            Node::Link { .. } | Node::Free => return Err(Errno::Badf.into()),
        };
        let size = blob.size_bytes.min(at_most);
        self.budget.take(size)?;
        let stored = if size > 0 { self.blobs.get(&blob)? } else { Bytes::new() };
        *self.node_mut(id)? = Node::File(Content::Written { buffer: Buffer::default(), is_executable });
        let kept = usize::try_from(size).unwrap_or(usize::MAX).min(stored.len());
        self.fill(id, size, 0, stored.get(..kept).unwrap_or_default())?;
        Ok(size)
    }

    /// Changes the bytes of a file of the guest's own, which will be `size` long then.
    fn change(
        &mut self,
        id: NodeId,
        size: u64,
        change: impl FnOnce(&mut Buffer) -> io::Result<()>,
    ) -> Result<(), Fail> {
        let Self { nodes, spill, memory_bytes, .. } = self;
        match nodes.get_mut(id.0 as usize).map(|slot| &mut slot.node) {
            Some(Node::File(Content::Written { buffer, .. })) => spill.change(memory_bytes, buffer, size, change),
            _ => Err(Errno::Badf.into()),
        }
    }

    /// Appends to a stream of the guest's as much as the budget allows, so that what is kept of a guest that writes too
    /// much does not depend on how it cut what it wrote.
    pub(crate) fn append(&mut self, stream: &mut Buffer, bytes: &[u8]) -> Result<(), Fail> {
        let fitting = usize::try_from(self.budget.take_up_to(bytes.len() as u64)).unwrap_or(usize::MAX);
        let kept = bytes.get(..fitting).unwrap_or(bytes);
        let mut rest = kept;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(Patience::PIECE_BYTES));
            let at = stream.len();
            let size = at + piece.len() as u64;
            self.spill.change(&mut self.memory_bytes, stream, size, |buffer| buffer.write(at, piece))?;
            self.patience.moved(piece.len())?;
            rest = more;
        }
        if kept.len() < bytes.len() { Err(Fail::OutputTooLarge) } else { Ok(()) }
    }
}

impl Spill {
    /// Changes a buffer, which will be `size` long then, on disk if it does not fit into memory with the others.
    fn change(
        &self,
        memory_bytes: &mut u64,
        buffer: &mut Buffer,
        size: u64,
        change: impl FnOnce(&mut Buffer) -> io::Result<()>,
    ) -> Result<(), Fail> {
        let before = buffer.memory_bytes();
        let others = memory_bytes.saturating_sub(before);
        if matches!(buffer, Buffer::Memory(_)) && others.saturating_add(size) > self.memory_bytes {
            buffer.spill(&self.dir).map_err(Fail::Disk)?;
        }
        let changed = change(buffer).map_err(Fail::Disk);
        *memory_bytes = others + buffer.memory_bytes();
        changed
    }
}
