//! Compiled modules.
//!
//! Owns: keeping them in a private directory, named by their content, and finding them by key. Does not know:
//! what is in them, or whether they suit the engine: their key and whoever loads them say so.

use std::fs;

use wasmill_model::port::{Artifact, ArtifactCache, StoreError};
use wasmill_model::{BlobRef, Digest};

use crate::Storage;
use crate::error::on_index;
use crate::pending::Look;
use crate::tables::decode_artifact;

impl ArtifactCache for Storage {
    fn artifact(&self, key: &Digest) -> Result<Option<Artifact>, StoreError> {
        let look = self.shared.pending.read().look(|batch| batch.artifacts.get(key).copied());
        let content = match look {
            Look::Pending(content) => Some(content),
            Look::Committed(view) => on_index("look up an artifact", || {
                Ok(view.compiled.get(key.as_bytes())?.and_then(|row| decode_artifact(row.value())))
            })?,
        };
        let Some(content) = content else { return Ok(None) };
        let path = self.shared.files.artifact(&content.digest);
        // It is a cache that people may delete: a file that is gone or cut short is a miss.
        let is_whole = fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() == content.size_bytes);
        Ok(is_whole.then_some(Artifact { path, digest: content.digest }))
    }

    fn keep_artifact(&self, key: &Digest, bytes: &[u8]) -> Result<Artifact, StoreError> {
        let content = BlobRef::of(bytes);
        let mut temp = self.shared.files.temp()?;
        temp.write(bytes)?;
        let path = self.shared.files.publish_artifact(&temp.seal(), &content.digest)?;
        self.shared.pending.hand_in(0, |state| state.filling.artifacts.insert(*key, content))?;
        Ok(Artifact { path, digest: content.digest })
    }
}
