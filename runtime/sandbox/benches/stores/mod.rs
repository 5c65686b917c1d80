//! Stores in memory, so that the sandbox alone is measured.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Mutex;

use bytes::Bytes;
use wasmill_model::port::{Artifact, ArtifactCache, BlobStore, StoreError};
use wasmill_model::{BlobRef, Digest};

/// Blobs in memory, as the store holds them until they are committed.
#[derive(Default)]
pub(crate) struct Memory(Mutex<HashMap<Digest, Bytes>>);

impl BlobStore for Memory {
    fn get(&self, blob: &BlobRef) -> Result<Bytes, StoreError> {
        self.0.lock().unwrap().get(&blob.digest).cloned().ok_or(StoreError::Missing(blob.digest))
    }
    fn find(&self, digest: &Digest) -> Result<Option<BlobRef>, StoreError> {
        let size = self.0.lock().unwrap().get(digest).map(|bytes| bytes.len() as u64);
        Ok(size.map(|size_bytes| BlobRef { digest: *digest, size_bytes }))
    }
    fn put(&self, bytes: Bytes) -> Result<BlobRef, StoreError> {
        let blob = BlobRef::of(&bytes);
        self.0.lock().unwrap().insert(blob.digest, bytes);
        Ok(blob)
    }
    fn put_reader(&self, reader: &mut dyn Read) -> Result<BlobRef, StoreError> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        self.put(bytes.into())
    }
}

/// Machine code in a temporary folder.
pub(crate) struct Artifacts(tempfile::TempDir);

impl Artifacts {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl ArtifactCache for Artifacts {
    fn artifact(&self, _key: &Digest) -> Result<Option<Artifact>, StoreError> {
        Ok(None)
    }
    fn keep_artifact(&self, key: &Digest, bytes: &[u8]) -> Result<Artifact, StoreError> {
        let path = self.0.path().join(key.to_hex());
        std::fs::write(&path, bytes).unwrap();
        Ok(Artifact { path, digest: Digest::of(bytes) })
    }
}
