//! What a guest left in `/out`, as a tree in the store.
//!
//! Owns: which parts are kept, and putting them into the store. Does not know: when the guest is done.

use std::collections::BTreeSet;

use bytes::Bytes;
use wasmill_model::{BlobRef, Directory, DirectoryNode, FileNode, OutputPath, SymlinkNode};

use super::{Content, Fail, Node, NodeId, Vfs};
use crate::wasi::Errno;

/// What is to be kept of `/out`.
#[derive(Debug, Clone, Copy)]
enum Keep<'a> {
    All,
    /// These paths, each whole.
    Only(&'a BTreeSet<OutputPath>),
}

impl Vfs {
    /// Puts the outputs into the store and returns their tree, or the first declared one that is not there. The
    /// files' bytes are handed over, so this ends the filesystem's life.
    pub(crate) fn take_outputs(
        &mut self,
        declared: &BTreeSet<OutputPath>,
    ) -> Result<Result<BlobRef, OutputPath>, Fail> {
        for path in declared {
            if !self.has_output(path)? {
                return Ok(Err(path.clone()));
            }
        }
        let keep = if declared.is_empty() { Keep::All } else { Keep::Only(declared) };
        self.take_directory(NodeId::OUT, "", keep).map(Ok)
    }

    fn has_output(&mut self, path: &OutputPath) -> Result<bool, Fail> {
        let mut here = NodeId::OUT;
        for name in path.names() {
            if !matches!(self.node(here)?, Node::Directory(_)) {
                return Ok(false);
            }
            match self.by_name(here)?.get(name) {
                Some(node) => here = *node,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Directories are not nested deeper than `DEPTH_MAX`, and so is the recursion.
    fn take_directory(&mut self, id: NodeId, path: &str, keep: Keep<'_>) -> Result<BlobRef, Fail> {
        let mut directory = Directory::default();
        for (name, node) in self.by_name(id)? {
            let here = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            let keep = match keep {
                Keep::All => Keep::All,
                Keep::Only(paths) => match is_kept(&here, paths) {
                    Kept::Whole => Keep::All,
                    Kept::Partly => keep,
                    Kept::Not => continue,
                },
            };
            match self.node(node)? {
                Node::Directory(_) => {
                    let blob = self.take_directory(node, &here, keep)?;
                    directory.directories.push(DirectoryNode { name, blob });
                }
                Node::Link(target) => {
                    let target = target.clone();
                    directory.symlinks.push(SymlinkNode { name, target });
                }
                Node::Free => {}
                Node::File(_) => {
                    let blob = self.take_file(node)?;
                    directory.files.push(FileNode { name, blob, is_executable: false });
                }
            }
        }
        self.keep(Bytes::from(directory.encode()))
    }

    /// Puts a file's bytes into the store; the file shares them from then on (it may have a second name).
    fn take_file(&mut self, id: NodeId) -> Result<BlobRef, Fail> {
        let Node::File(content) = self.node_mut(id)? else { return Err(Errno::Io.into()) };
        let bytes = match content {
            Content::Unread(blob) => return Ok(*blob),
            Content::Read(bytes) => bytes.clone(),
            Content::Written(bytes) => Bytes::from(std::mem::take(bytes)),
        };
        *content = Content::Read(bytes.clone());
        self.keep(bytes)
    }

    fn keep(&self, bytes: Bytes) -> Result<BlobRef, Fail> {
        if bytes.is_empty() { Ok(BlobRef::EMPTY) } else { Ok(self.blobs.put(bytes)?) }
    }
}

enum Kept {
    Whole,
    Partly,
    Not,
}

fn is_kept(path: &str, declared: &BTreeSet<OutputPath>) -> Kept {
    let below = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
    let mut kept = Kept::Not;
    for other in declared.iter().map(OutputPath::as_str) {
        if other == path || below(path, other) {
            return Kept::Whole;
        }
        if below(other, path) {
            kept = Kept::Partly;
        }
    }
    kept
}
