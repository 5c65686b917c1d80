//! How large a stored tree is once each of its paths is written out.
//!
//! Owns: counting what is in more than one place as often as it is there, without going there more than once. Does not know: how
//! much is too much.
//!
//! Trees share what they have in common: thirty directories, of which each has the one before ten times, are a few kilobytes in the
//! store and more files than any disk has room for.

use std::collections::HashMap;

use wasmill_model::port::BlobStore;
use wasmill_model::{BlobRef, Digest, Directory, TreeError};

use crate::resolve::FindError;

/// How large the tree at `root` is: the bytes of every file, and of every entry what it counts for where a guest makes it. As large as
/// can be said where it is larger than that.
pub(crate) fn extent_bytes(blobs: &dyn BlobStore, root: BlobRef) -> Result<u64, FindError> {
    Ok(Extents { blobs, known: HashMap::new() }.of(root, 0)?.bytes)
}

#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    bytes: u64,
    /// How many directories are above the lowest one.
    height: usize,
}

impl Extent {
    fn add(&mut self, name: &str, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes).saturating_add(Directory::ENTRY_BYTES + name.len() as u64);
    }
}

struct Extents<'a> {
    blobs: &'a dyn BlobStore,
    known: HashMap<Digest, Extent>,
}

impl Extents<'_> {
    /// The extent of a directory with so many above it.
    fn of(&mut self, blob: BlobRef, depth: usize) -> Result<Extent, FindError> {
        let known = self.known.get(&blob.digest).copied();
        if depth + known.map_or(0, |known| known.height) > Directory::DEPTH_MAX {
            return Err(TreeError::Depth.into());
        }
        if let Some(known) = known {
            return Ok(known);
        }
        let directory = Directory::decode(&self.blobs.get(&blob)?)?;
        let mut extent = Extent::default();
        for file in &directory.files {
            extent.add(&file.name, file.blob.size_bytes);
        }
        for link in &directory.symlinks {
            extent.add(&link.name, link.target.len() as u64);
        }
        for below in &directory.directories {
            let Extent { bytes, height } = self.of(below.blob, depth + 1)?;
            extent.add(&below.name, bytes);
            extent.height = extent.height.max(height + 1);
        }
        self.known.insert(blob.digest, extent);
        Ok(extent)
    }
}
