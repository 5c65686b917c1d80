//! Opening what a path leads to.
//!
//! Owns: what the flags of an open mean, and which of its errors comes first. Does not know: descriptors, or how
//! either version of WASI writes the flags.

use super::{Fail, Kind, NodeId, Vfs};
use crate::wasi::Errno;

/// How something is to be opened.
#[expect(clippy::struct_excessive_bools, reason = "they are the flags of an open, each on its own")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening {
    /// Follow a link at the path's end.
    pub(crate) follow: bool,
    /// Make a file if nothing is there.
    pub(crate) create: bool,
    /// Fail if it is no directory.
    pub(crate) directory: bool,
    /// Fail if `create` finds something.
    pub(crate) exclusive: bool,
    /// Cut the file to nothing.
    pub(crate) truncate: bool,
    /// The file is to be written.
    pub(crate) write: bool,
}

impl Vfs {
    /// Opens what a path leads to from `start`; returns it and whether it is a directory.
    pub(crate) fn open(&mut self, start: NodeId, path: &str, how: Opening) -> Result<(NodeId, bool), Fail> {
        // An exclusive creation must not go through a link.
        let place = self.walk(start, path, how.follow && !how.exclusive)?;
        let wants_directory = how.directory || place.wants_directory;
        let node = match place.node {
            Some(_) if how.create && how.exclusive => return Err(Errno::Exist.into()),
            Some(node) => node,
            None if !how.create => return Err(Errno::Noent.into()),
            None if place.wants_directory => return Err(Errno::Isdir.into()),
            None if wants_directory => return Err(Errno::Inval.into()),
            None => self.make_file(&place)?,
        };
        match self.kind(node)? {
            Kind::Link => Err(Errno::Loop.into()),
            Kind::Directory if how.truncate => Err(Errno::Isdir.into()),
            Kind::Directory if how.write && !how.directory => Err(Errno::Isdir.into()),
            Kind::Directory => Ok((node, true)),
            Kind::File if wants_directory => Err(Errno::Notdir.into()),
            Kind::File => {
                if (how.write || how.truncate) && !self.is_writable_file(node)? {
                    return Err(Errno::Rofs.into());
                }
                if how.truncate {
                    self.resize(node, 0)?;
                }
                Ok((node, false))
            }
        }
    }

    /// What is at the end of a path.
    pub(crate) fn find(&mut self, start: NodeId, path: &str, follow: bool) -> Result<NodeId, Fail> {
        let place = self.walk(start, path, follow)?;
        let node = place.existing()?;
        if place.wants_directory && self.kind(node)? != Kind::Directory {
            return Err(Errno::Notdir.into());
        }
        Ok(node)
    }
}
