//! What a guest left, as a tree in the store.
//!
//! Owns: which parts are kept, and putting them into the store. Does not know: when the guest is done.

use std::collections::BTreeSet;

use bytes::Bytes;
use wasmill_model::{BlobRef, Directory, DirectoryNode, FileNode, OutputPath, SymlinkNode};

use super::{Content, Fail, Node, NodeId, Vfs};
use crate::wasi::Errno;

/// What is to be kept of a directory.
#[derive(Debug, Clone, Copy)]
enum Keep<'a> {
    All,
    /// These paths, each whole.
    Only(&'a BTreeSet<String>),
    /// All but the directories that the guest has for itself: what a changed `/` is.
    Root,
}

impl Vfs {
    /// Puts the outputs into the store and returns their tree, or the first declared one that is not there. The
    /// files' bytes are handed over, so this ends the filesystem's life.
    ///
    /// What lies in `/out` and what was declared by an absolute path are laid over each other: an output stands under
    /// its names, from `/out` or from `/`.
    pub(crate) fn take_outputs(
        &mut self,
        declared: &BTreeSet<OutputPath>,
    ) -> Result<Result<BlobRef, OutputPath>, Fail> {
        for path in declared {
            if self.find_output(path)?.is_none() {
                return Ok(Err(path.clone()));
            }
        }
        let out = self.out();
        if declared.is_empty() {
            return self.take_directory(out, "", Keep::All).map(Ok);
        }
        if declared.iter().any(|path| path.names().next().is_none()) {
            return self.take_directory(NodeId::ROOT, "", Keep::Root).map(Ok);
        }
        let names_of = |is_absolute| {
            let of_kind = declared.iter().filter(move |path| path.is_absolute() == is_absolute);
            of_kind.map(|path| path.names().collect::<Vec<_>>().join("/")).collect::<BTreeSet<_>>()
        };
        let (below_out, elsewhere) = (names_of(false), names_of(true));
        let mut tree = self.directory_of(out, "", Keep::Only(&below_out))?;
        if !elsewhere.is_empty() {
            let other = self.directory_of(NodeId::ROOT, "", Keep::Only(&elsewhere))?;
            self.lay_over(&mut tree, other)?;
        }
        self.keep(Bytes::from(tree.encode())).map(Ok)
    }

    /// Adds one tree to another; nothing but directories is in both.
    fn lay_over(&self, tree: &mut Directory, other: Directory) -> Result<(), Fail> {
        for below in other.directories {
            match tree.directories.iter_mut().find(|there| there.name == below.name) {
                Some(there) => {
                    let decode = |blob: &BlobRef| -> Result<Directory, Fail> {
                        Directory::decode(&self.blobs.get(blob)?).map_err(|_| Errno::Io.into())
                    };
                    let mut both = decode(&there.blob)?;
                    self.lay_over(&mut both, decode(&below.blob)?)?;
                    there.blob = self.keep(Bytes::from(both.encode()))?;
                }
                None => tree.directories.push(below),
            }
        }
        tree.files.extend(other.files);
        tree.symlinks.extend(other.symlinks);
        Ok(())
    }

    fn find_output(&mut self, path: &OutputPath) -> Result<Option<NodeId>, Fail> {
        let mut here = if path.is_absolute() { NodeId::ROOT } else { self.out() };
        for name in path.names() {
            if !matches!(self.node(here)?, Node::Directory(_)) {
                return Ok(None);
            }
            match self.entries(here)?.by_name.get(name) {
                Some(node) => here = *node,
                None => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    /// Directories are not nested deeper than `MOUNTED_DEPTH_MAX`, and so is the recursion.
    fn take_directory(&mut self, id: NodeId, path: &str, keep: Keep<'_>) -> Result<BlobRef, Fail> {
        // One that nobody looked into is as it was.
        if let (Node::Directory(entries), Keep::All) = (self.node(id)?, keep)
            && let Some(blob) = entries.unread
        {
            return Ok(blob);
        }
        let mut directory = self.directory_of(id, path, keep)?;
        self.keep(Bytes::from(directory.encode()))
    }

    fn directory_of(&mut self, id: NodeId, path: &str, keep: Keep<'_>) -> Result<Directory, Fail> {
        let mut directory = Directory::default();
        for (name, node) in self.by_name(id)? {
            let here = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            let keep = match keep {
                Keep::Root if node == self.out() || node == self.tmp() => continue,
                Keep::All | Keep::Root => Keep::All,
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
                Node::Link { target, .. } => {
                    let target = target.clone();
                    directory.symlinks.push(SymlinkNode { name, target });
                }
                Node::Free => {}
                Node::File(_) => {
                    let file = self.take_file(node, name)?;
                    // The guest holds it once, but whoever copies the output makes a file of each of its names.
                    let is_taken = self.nodes.get_mut(node.0 as usize).map(|slot| &mut slot.is_taken);
                    if is_taken.is_some_and(|is_taken| std::mem::replace(is_taken, true)) {
                        self.budget.take(file.blob.size_bytes)?;
                    }
                    directory.files.push(file);
                }
            }
        }
        Ok(directory)
    }

    /// Puts a file's bytes into the store, from where the file has them from then on (it may have a second name).
    fn take_file(&mut self, id: NodeId, name: String) -> Result<FileNode, Fail> {
        let Self { nodes, blobs, .. } = self;
        let Some(Node::File(content)) = nodes.get_mut(id.0 as usize).map(|slot| &mut slot.node) else {
            return Err(Errno::Io.into());
        };
        let (blob, is_executable) = match content {
            Content::Stored { blob, is_executable, .. } => (*blob, *is_executable),
            Content::Written { buffer, is_executable } => {
                let is_executable = *is_executable;
                let blob = std::mem::take(buffer).store(blobs.as_ref())?;
                *content = Content::Stored { blob, bytes: None, is_executable, is_writable: false };
                (blob, is_executable)
            }
        };
        Ok(FileNode { name, blob, is_executable })
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

fn is_kept(path: &str, declared: &BTreeSet<String>) -> Kept {
    let below = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
    let mut kept = Kept::Not;
    for other in declared.iter().map(String::as_str) {
        if other == path || below(path, other) {
            return Kept::Whole;
        }
        if below(other, path) {
            kept = Kept::Partly;
        }
    }
    kept
}
