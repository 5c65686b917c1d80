//! Compiled modules.
//!
//! Owns: keeping them in a private directory, named by their content, and finding them by key. Does not know:
//! what is in them, or whether they suit the engine: their key and whoever loads them say so.

use std::fs;

use redb::ReadableTable;
use wasmill_model::port::{Artifact, ArtifactCache, StoreError};
use wasmill_model::{BlobRef, Digest};

use crate::Storage;
use crate::error::on_index;
use crate::log::Entry;
use crate::record::Kind;
use crate::tables::{decode_artifact, encode_artifact};
use crate::tail::Look;

impl ArtifactCache for Storage {
    fn artifact(&self, key: &Digest) -> Result<Option<Artifact>, StoreError> {
        let look = self.shared.log.tail().look(|rows| rows.artifacts.get(key).copied());
        let content = match look {
            Look::Tail(content) => Some(content),
            Look::Index(view) => on_index("look up an artifact", || {
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
        let path = self.shared.files.publish_artifact(temp, &content.digest)?;
        let row = encode_artifact(&content);
        let entry = Entry { kind: Kind::Artifact, key: *key.as_bytes(), size_bytes: 0, body: &row };
        self.shared.log.hand_in(&entry, |tail, _| {
            tail.active.artifacts.insert(*key, content);
        })?;
        Ok(Artifact { path, digest: content.digest })
    }
}
