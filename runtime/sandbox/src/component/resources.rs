//! What a component holds open.
//!
//! Owns: the types behind the resources of `wit/`, and the bounded table of them. Does not know: what can be done
//! with each.
#![expect(
    unreachable_pub,
    reason = "what is generated of the interfaces re-exports these types, so they must be `pub`"
)]

use std::any::Any;

use wasmtime::component::{Resource, ResourceTable};

use crate::vfs::{Fail, Listing, NodeId};
use crate::wasi::Errno;

/// Most things that a component holds open at once: four for each descriptor that a core module may have, because a
/// file is read and written through streams, and waited for through pollables, of their own.
const OPEN_MAX: usize = 4 * 1024;

/// An open descriptor.
#[derive(Debug, Clone, Copy)]
pub enum Descriptor {
    Directory(NodeId),
    File { node: NodeId, may_read: bool, may_write: bool },
}

/// The entries of a directory that were not read yet.
#[derive(Debug)]
pub struct Entries {
    pub(crate) listing: Listing,
    pub(crate) next: usize,
}

/// Where a guest reads from.
#[derive(Debug, Clone, Copy)]
pub enum Input {
    /// All of them share one position.
    Stdin,
    File {
        node: NodeId,
        offset: u64,
    },
}

/// Where a guest writes to.
#[derive(Debug, Clone, Copy)]
pub enum Output {
    Stdout,
    Stderr,
    File {
        node: NodeId,
        /// None for its end, wherever that is.
        offset: Option<u64>,
    },
}

/// What became of a stream's last operation.
#[derive(Debug, Clone, Copy)]
pub struct Failed(pub(crate) Errno);

/// Something that a guest can wait for.
#[derive(Debug, Clone, Copy)]
pub enum Pollable {
    /// A stream: everything is in memory.
    Stream,
    /// A point of the virtual time.
    Instant(u64),
}

/// There are no terminals, and so there are no values of this type.
#[derive(Debug)]
pub enum Terminal {}

/// Why a call is not answered as it was asked.
#[derive(Debug)]
pub enum Refusal {
    /// The stream is at its end.
    Closed,
    /// The filesystem says no.
    Fail(Fail),
    /// The guest is stopped.
    Trap(wasmtime::Error),
}

impl From<Fail> for Refusal {
    fn from(fail: Fail) -> Self {
        Refusal::Fail(fail)
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Refusal::Fail(Fail::Errno(errno))
    }
}

impl From<wasmtime::Error> for Refusal {
    fn from(error: wasmtime::Error) -> Self {
        Refusal::Trap(error)
    }
}

/// What one component holds open. Nothing is allocated for a guest that is none.
#[derive(Debug, Default)]
pub(crate) struct Held {
    table: ResourceTable,
    count: usize,
    /// How far standard input was read.
    pub(super) stdin_offset: u64,
}

impl Held {
    pub(super) fn is_full(&self) -> bool {
        self.count >= OPEN_MAX
    }

    pub(super) fn push<T: Any + Send>(&mut self, thing: T) -> Result<Resource<T>, Errno> {
        if self.is_full() {
            return Err(Errno::Mfile);
        }
        let resource = self.table.push(thing).map_err(|_| Errno::Mfile)?;
        self.count += 1;
        Ok(resource)
    }

    pub(super) fn get<T: Any>(&self, resource: &Resource<T>) -> wasmtime::Result<&T> {
        Ok(self.table.get(resource)?)
    }

    pub(super) fn get_mut<T: Any>(&mut self, resource: &Resource<T>) -> wasmtime::Result<&mut T> {
        Ok(self.table.get_mut(resource)?)
    }

    pub(super) fn remove<T: Any>(&mut self, resource: Resource<T>) -> wasmtime::Result<T> {
        let thing = self.table.delete(resource)?;
        self.count = self.count.saturating_sub(1);
        Ok(thing)
    }
}
