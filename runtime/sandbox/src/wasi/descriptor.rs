//! A guest's open descriptors.
//!
//! Owns: the table, and what each entry may be used for. Does not know: what calls do with them.

use std::borrow::Cow;

use super::errno::Errno;
use crate::vfs::{Listing, NodeId};

/// Most descriptors that a guest has open at once beside what it starts with, as the usual soft limit of Unix systems.
const OPEN_MAX: usize = 1024;

/// Append to the end with every write (`fdflags`).
pub(super) const APPEND: u16 = 1;
/// The flags that are remembered and have no effect here: everything is synchronous and nothing blocks.
pub(super) const FLAGS: u16 = 0b1_1111;

pub(super) mod right {
    //! Rights, as preview 1 numbers them.
    pub(in crate::wasi) const FD_READ: u64 = 1 << 1;
    pub(in crate::wasi) const FD_WRITE: u64 = 1 << 6;
    /// Everything that can be done with a file.
    pub(in crate::wasi) const FILE: u64 = 0x08e0_01ff;
    /// Everything that can be done with a directory.
    pub(in crate::wasi) const DIRECTORY: u64 = 0x07bf_fe18;
    /// Everything that can be done with standard input, output and error.
    pub(in crate::wasi) const STREAM: u64 = 0x0820_004a;
}

/// An open descriptor.
#[derive(Debug)]
pub(crate) enum Descriptor {
    Stdin { offset: u64 },
    Stdout,
    Stderr,
    File(OpenFile),
    Directory(OpenDirectory),
}

impl Descriptor {
    /// What it is open on, unless it is a stream.
    pub(super) fn node(&self) -> Option<NodeId> {
        match self {
            Descriptor::File(file) => Some(file.node),
            Descriptor::Directory(directory) => Some(directory.node),
            Descriptor::Stdin { .. } | Descriptor::Stdout | Descriptor::Stderr => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) node: NodeId,
    pub(crate) offset: u64,
    pub(crate) flags: u16,
    pub(crate) may_read: bool,
    pub(crate) may_write: bool,
}

#[derive(Debug)]
pub(crate) struct OpenDirectory {
    pub(crate) node: NodeId,
    /// The name that programs know it by, where it was open from the start.
    pub(crate) preopen: Option<Cow<'static, str>>,
    /// What was listed when reading began: removing entries in between must not move the others.
    pub(crate) listing: Option<Listing>,
}

/// The descriptors, by number.
#[derive(Debug)]
pub(crate) struct Descriptors {
    open: Vec<Option<Descriptor>>,
    /// How many are open.
    count: usize,
    count_max: usize,
}

impl Descriptors {
    /// The standard streams, and then `preopens` from 3 on.
    pub(crate) fn new(preopens: Vec<(Cow<'static, str>, NodeId)>) -> Self {
        let mut open = Vec::with_capacity(preopens.len() + 4);
        open.push(Some(Descriptor::Stdin { offset: 0 }));
        open.push(Some(Descriptor::Stdout));
        open.push(Some(Descriptor::Stderr));
        open.extend(preopens.into_iter().map(|(name, node)| {
            Some(Descriptor::Directory(OpenDirectory { node, preopen: Some(name), listing: None }))
        }));
        let count = open.len();
        Self { open, count, count_max: count + OPEN_MAX }
    }

    /// What programs find by name, and the names. Preview 2 knows nothing else of this table.
    pub(crate) fn preopens(&self) -> impl Iterator<Item = (&str, NodeId)> {
        self.open.iter().filter_map(|open| match open {
            Some(Descriptor::Directory(OpenDirectory { node, preopen: Some(name), .. })) => Some((&**name, *node)),
            _ => None,
        })
    }

    /// Whether no more can be opened.
    pub(super) fn is_full(&self) -> bool {
        self.count >= self.count_max
    }

    pub(super) fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.open.get(fd as usize).and_then(Option::as_ref).ok_or(Errno::Badf)
    }

    pub(super) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.open.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::Badf)
    }

    pub(super) fn file(&mut self, fd: u32) -> Result<&mut OpenFile, Errno> {
        match self.get_mut(fd)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Directory(_) => Err(Errno::Isdir),
            _ => Err(Errno::Spipe),
        }
    }

    pub(super) fn directory(&mut self, fd: u32) -> Result<&mut OpenDirectory, Errno> {
        match self.get_mut(fd)? {
            Descriptor::Directory(directory) => Ok(directory),
            _ => Err(Errno::Notdir),
        }
    }

    /// Opens under the lowest free number.
    pub(super) fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        if self.is_full() {
            return Err(Errno::Mfile);
        }
        let is_dense = self.count == self.open.len();
        let free = if is_dense { None } else { self.open.iter().position(Option::is_none) };
        let place = match free {
            Some(place) => place,
            None => {
                self.open.push(None);
                self.open.len() - 1
            }
        };
        if let Some(slot) = self.open.get_mut(place) {
            *slot = Some(descriptor);
        }
        self.count += 1;
        u32::try_from(place).map_err(|_| Errno::Mfile)
    }

    /// Closes a descriptor and returns what it was.
    pub(super) fn close(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        let slot = self.open.get_mut(fd as usize).ok_or(Errno::Badf)?;
        let closed = slot.take().ok_or(Errno::Badf)?;
        self.count -= 1;
        Ok(closed)
    }

    /// Moves a descriptor to another number; returns what was there, if that was another one.
    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Result<Option<Descriptor>, Errno> {
        self.get(from)?;
        self.get(to)?;
        if from == to {
            return Ok(None);
        }
        let closed = self.close(to)?;
        let moved = self.open.get_mut(from as usize).and_then(Option::take);
        if let Some(slot) = self.open.get_mut(to as usize) {
            *slot = moved;
        }
        Ok(Some(closed))
    }
}
