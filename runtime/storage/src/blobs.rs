//! Blobs by digest: small ones in the index, large ones in files of their own.
//!
//! Owns: where a blob goes by its size, and what is checked when it is read. Does not know: trees, or who refers
//! to a blob.

use std::io::{self, Read};

use bytes::Bytes;
use wasmill_model::port::{BlobStore, StoreError};
use wasmill_model::{BlobRef, Digest, Hasher};

use crate::Storage;
use crate::error::{failed, on_index};
use crate::files;
use crate::pending::{Look, NewBlob};
use crate::tables::{BlobRow, INLINE_BYTES_MAX};

/// How much of a large blob is in memory while it is taken in.
const COPY_BYTES: usize = 64 << 10;

impl BlobStore for Storage {
    fn get(&self, blob: &BlobRef) -> Result<Bytes, StoreError> {
        if *blob == BlobRef::EMPTY {
            return Ok(Bytes::new());
        }
        match self.locate(&blob.digest)?.ok_or(StoreError::Missing(blob.digest))? {
            Located::Inline(content) => {
                check_size(blob, content.len() as u64)?;
                Ok(content)
            }
            Located::File { size_bytes, temp } => {
                check_size(blob, size_bytes)?;
                // The committer moves it from there to here, never back.
                let pending = temp.map(|path| files::map(&path, &blob.digest, size_bytes)).transpose()?.flatten();
                match pending {
                    Some(content) => Ok(content),
                    None => files::map(&self.shared.files.blob(&blob.digest), &blob.digest, size_bytes)?
                        .ok_or(StoreError::Missing(blob.digest)),
                }
            }
        }
    }

    fn find(&self, digest: &Digest) -> Result<Option<BlobRef>, StoreError> {
        if *digest == Digest::EMPTY {
            return Ok(Some(BlobRef::EMPTY));
        }
        let size_bytes = self.locate(digest)?.map(|located| match located {
            Located::Inline(content) => content.len() as u64,
            Located::File { size_bytes, .. } => size_bytes,
        });
        Ok(size_bytes.map(|size_bytes| BlobRef { digest: *digest, size_bytes }))
    }

    fn put(&self, bytes: Bytes) -> Result<BlobRef, StoreError> {
        if bytes.is_empty() {
            return Ok(BlobRef::EMPTY);
        }
        let blob = BlobRef::of(&bytes);
        if bytes.len() <= INLINE_BYTES_MAX {
            self.add(blob, NewBlob::Inline(bytes))?;
        } else if self.locate(&blob.digest)?.is_none() {
            let mut temp = self.shared.files.temp()?;
            temp.write(&bytes)?;
            self.add(blob, NewBlob::File { size_bytes: blob.size_bytes, temp: temp.seal() })?;
        }
        Ok(blob)
    }

    fn put_reader(&self, reader: &mut dyn Read) -> Result<BlobRef, StoreError> {
        let mut head = Vec::new();
        let reading = || failed("read the content to be stored");
        (&mut *reader).take(INLINE_BYTES_MAX as u64 + 1).read_to_end(&mut head).map_err(reading())?;
        if head.len() <= INLINE_BYTES_MAX {
            return self.put(head.into());
        }
        let mut temp = self.shared.files.temp()?;
        let mut hasher = Hasher::new();
        temp.write(&head)?;
        hasher.update(&head);
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let piece = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => buffer.get(..read).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(reading()(error)),
            };
            temp.write(piece)?;
            hasher.update(piece);
        }
        let blob = hasher.finish();
        if self.locate(&blob.digest)?.is_none() {
            self.add(blob, NewBlob::File { size_bytes: blob.size_bytes, temp: temp.seal() })?;
        }
        Ok(blob)
    }
}

/// Where the content of a blob is.
enum Located {
    Inline(Bytes),
    /// In the file of its name; in `temp` until it is committed.
    File {
        size_bytes: u64,
        temp: Option<std::path::PathBuf>,
    },
}

impl Storage {
    /// Hands in a new blob. Whether the index has a small one is left to the committer, which passes by its place
    /// anyway.
    fn add(&self, blob: BlobRef, content: NewBlob) -> Result<(), StoreError> {
        let waiting_bytes = match &content {
            NewBlob::Inline(content) => content.len(),
            // It takes a name and no memory, but may not pile up without bound either.
            NewBlob::File { .. } => INLINE_BYTES_MAX,
        };
        self.shared.pending.hand_in(waiting_bytes, |state| {
            if !state.has_blob(&blob.digest) {
                state.filling.blobs.insert(blob.digest, content);
            }
        })
    }

    fn locate(&self, digest: &Digest) -> Result<Option<Located>, StoreError> {
        let look = self.shared.pending.read().look(|batch| {
            batch.blobs.get(digest).map(|blob| match blob {
                NewBlob::Inline(content) => Located::Inline(content.clone()),
                NewBlob::File { size_bytes, temp } => {
                    Located::File { size_bytes: *size_bytes, temp: Some(temp.path().to_owned()) }
                }
            })
        });
        let view = match look {
            Look::Pending(located) => return Ok(Some(located)),
            Look::Committed(view) => view,
        };
        let found = on_index("look up a blob", || {
            Ok(view.blobs.get(digest.as_bytes())?.map(|row| read_row(digest, row.value())))
        })?;
        found.transpose()
    }
}

fn read_row(digest: &Digest, row: &[u8]) -> Result<Located, StoreError> {
    let damaged = |wrong: &str| StoreError::Damaged { digest: *digest, wrong: wrong.to_owned() };
    match BlobRow::decode(row) {
        // redb does not check what it reads, and digesting 16 KB at most costs no more than finding them.
        Some(BlobRow::Inline(content)) if Digest::of(content) != *digest => {
            Err(damaged("its content has another digest"))
        }
        Some(BlobRow::Inline(content)) => Ok(Located::Inline(Bytes::copy_from_slice(content))),
        Some(BlobRow::File { size_bytes }) => Ok(Located::File { size_bytes, temp: None }),
        None => Err(damaged("its row in the index makes no sense")),
    }
}

fn check_size(blob: &BlobRef, found: u64) -> Result<(), StoreError> {
    if found == blob.size_bytes {
        return Ok(());
    }
    let wrong = format!("it has {found} bytes instead of {}", blob.size_bytes);
    Err(StoreError::Damaged { digest: blob.digest, wrong })
}
