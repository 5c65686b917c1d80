//! Compiled modules.
//!
//! Owns: keeping them in a private directory, named by their content, and finding them by key. Does not know:
//! what is in them, or whether they suit the engine: their key and whoever loads them say so.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use redb::ReadableTable;
use wasmill_model::port::{Artifact, ArtifactCache, StoreError};
use wasmill_model::{BlobRef, Digest};

use crate::Storage;
use crate::error::{failed, on_index};
use crate::log::Entry;
use crate::record::Kind;
use crate::tables::{decode_artifact, encode_artifact};
use crate::tail::Look;

/// How exactly it is known when an artifact was last used.
const USE_NOTED_EVERY: Duration = Duration::from_secs(24 * 3600);

/// The time of modification of its file says when an artifact was last used; a collection goes by that.
fn note_use(path: &Path, found: &fs::Metadata) {
    let is_old = found.modified().is_ok_and(|time| time.elapsed().is_ok_and(|age| age > USE_NOTED_EVERY));
    if is_old && let Err(error) = fs::File::open(path).and_then(|file| file.set_modified(SystemTime::now())) {
        tracing::debug!(%error, path = %path.display(), "it is not noted that an artifact was used");
    }
}

impl Storage {
    /// Removes artifacts that were not used for so long. Returns how many bytes that gave back.
    pub(crate) fn sweep_artifacts(&self, age: Duration) -> Result<u64, StoreError> {
        let doing = || failed("remove compiled modules that are not used");
        let mut freed = 0;
        for entry in fs::read_dir(self.shared.files.compiled_dir()).map_err(doing())? {
            let entry = entry.map_err(doing())?;
            let Ok(found) = entry.metadata() else { continue };
            let is_old = found.modified().is_ok_and(|time| time.elapsed().is_ok_and(|unused| unused > age));
            if is_old && found.is_file() && self.shared.disk.remove(&entry.path()).is_ok() {
                freed += found.len();
            }
        }
        Ok(freed)
    }
}

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
        let found = fs::metadata(&path).ok().filter(|found| found.is_file() && found.len() == content.size_bytes);
        let Some(found) = found else { return Ok(None) };
        note_use(&path, &found);
        Ok(Some(Artifact { path, digest: content.digest }))
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
