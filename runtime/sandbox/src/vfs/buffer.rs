//! Bytes that a guest writes: in memory, and in an unnamed temporary file once they are many.
//!
//! Owns: where the bytes of one file or stream are. Does not know: how much a guest may write, or which file is to
//! leave memory.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use wasmill_model::BlobRef;
use wasmill_model::port::{BlobStore, StoreError};

use crate::platform;

/// What is copied or filled with zeros at once.
const CHUNK_BYTES: usize = 1 << 20;

/// A growing sequence of bytes.
#[derive(Debug)]
pub(crate) enum Buffer {
    /// All of it in memory.
    Memory(Vec<u8>),
    /// All of it in a file without a name, which is gone when this is.
    Disk { file: File, len: u64 },
}

impl Default for Buffer {
    fn default() -> Self {
        Buffer::Memory(Vec::new())
    }
}

impl Buffer {
    /// The length in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Buffer::Memory(bytes) => bytes.len() as u64,
            Buffer::Disk { len, .. } => *len,
        }
    }

    /// How many of the bytes are in memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        match self {
            Buffer::Memory(bytes) => bytes.len() as u64,
            Buffer::Disk { .. } => 0,
        }
    }

    /// Copies from `offset` on into `to`, as far as there is something; returns how many bytes.
    pub(crate) fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Buffer::Memory(bytes) => Ok(copy_from(bytes, offset, to)),
            Buffer::Disk { file, len } => {
                let rest = len.saturating_sub(offset);
                let count = usize::try_from(rest).unwrap_or(usize::MAX).min(to.len());
                let to = to.get_mut(..count).unwrap_or_default();
                platform::read_exact_at(file, to, offset)?;
                Ok(count)
            }
        }
    }

    /// Writes at `offset`; a gap before it is filled with zeros.
    pub(crate) fn write(&mut self, offset: u64, from: &[u8]) -> io::Result<()> {
        let end = offset.saturating_add(from.len() as u64);
        match self {
            Buffer::Memory(bytes) => {
                let (start, end) = (to_index(offset)?, to_index(end)?);
                if start == bytes.len() {
                    bytes.extend_from_slice(from);
                } else {
                    if end > bytes.len() {
                        bytes.resize(end, 0);
                    }
                    if let Some(to) = bytes.get_mut(start..end) {
                        to.copy_from_slice(from);
                    }
                }
            }
            Buffer::Disk { file, len } => {
                // The system fills a gap with zeros by itself.
                platform::write_all_at(file, from, offset)?;
                *len = (*len).max(end);
            }
        }
        Ok(())
    }

    /// Cuts it, or lets it grow with zeros.
    pub(crate) fn resize(&mut self, size: u64) -> io::Result<()> {
        match self {
            Buffer::Memory(bytes) => {
                let size = to_index(size)?;
                let shrinks = size < bytes.len();
                bytes.resize(size, 0);
                if shrinks {
                    bytes.shrink_to_fit();
                }
            }
            Buffer::Disk { file, len } => {
                file.set_len(size)?;
                *len = size;
            }
        }
        Ok(())
    }

    /// Forgets all but the last so many bytes.
    pub(crate) fn keep_last(&mut self, bytes_max: usize) -> io::Result<()> {
        let first = self.len().saturating_sub(bytes_max as u64);
        if first > 0 {
            let mut last = vec![0; bytes_max];
            let read = self.read(first, &mut last)?;
            last.truncate(read);
            *self = Buffer::Memory(last);
        }
        Ok(())
    }

    /// Moves the bytes from memory into a file without a name in `dir`.
    pub(crate) fn spill(&mut self, dir: &Path) -> io::Result<()> {
        let Buffer::Memory(bytes) = self else { return Ok(()) };
        let file = tempfile::tempfile_in(dir)?;
        for (index, chunk) in bytes.chunks(CHUNK_BYTES).enumerate() {
            platform::write_all_at(&file, chunk, (index * CHUNK_BYTES) as u64)?;
        }
        *self = Buffer::Disk { file, len: bytes.len() as u64 };
        Ok(())
    }

    /// Puts the bytes into the store, which digests what is on disk while it copies it.
    pub(crate) fn store(self, blobs: &dyn BlobStore) -> Result<BlobRef, StoreError> {
        match self {
            Buffer::Memory(bytes) if bytes.is_empty() => Ok(BlobRef::EMPTY),
            Buffer::Memory(bytes) => blobs.put(Bytes::from(bytes)),
            Buffer::Disk { mut file, .. } => {
                file.seek(SeekFrom::Start(0)).map_err(|source| StoreError::Backend {
                    doing: "read what the guest wrote".to_owned(),
                    source: Box::new(source),
                })?;
                blobs.put_reader(&mut file)
            }
        }
    }
}

/// Copies what `from` has at `offset` into `to`; returns how many bytes.
pub(crate) fn copy_from(from: &[u8], offset: u64, to: &mut [u8]) -> usize {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(from.len());
    let from = from.get(start..).unwrap_or_default();
    let count = from.len().min(to.len());
    if let (Some(to), Some(from)) = (to.get_mut(..count), from.get(..count)) {
        to.copy_from_slice(from);
    }
    count
}

fn to_index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same steps in memory and on disk leave the same bytes.
    #[test]
    fn on_disk_and_in_memory_are_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (mut memory, mut disk) = (Buffer::default(), Buffer::default());
        disk.spill(dir.path()).unwrap();
        let mut seed = 7_u64;
        let mut below = |bound: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % bound
        };
        for step in 0..2000 {
            let (offset, len) = (below(5000), below(300));
            let bytes = vec![step as u8; len as usize];
            let at = if below(3) == 0 { memory.len() } else { offset };
            for buffer in [&mut memory, &mut disk] {
                match step % 7 {
                    6 => buffer.resize(offset).unwrap(),
                    _ => buffer.write(at, &bytes).unwrap(),
                }
            }
            assert_eq!(memory.len(), disk.len(), "step {step}");
            let (mut a, mut b) = (vec![1; 700], vec![2; 700]);
            let (got, same) = (memory.read(offset, &mut a).unwrap(), disk.read(offset, &mut b).unwrap());
            assert_eq!((got, &a[..got]), (same, &b[..same]), "step {step}");
        }
        assert_eq!(disk.memory_bytes(), 0);
        let mut kept = [Buffer::Memory(vec![7; 9]), Buffer::Memory((0..200).collect())];
        for buffer in &mut kept {
            buffer.write(buffer.len(), b"end").unwrap();
            buffer.keep_last(12).unwrap();
        }
        kept[1].spill(dir.path()).unwrap();
        kept[1].keep_last(5).unwrap();
        let read = |buffer: &Buffer| {
            let mut bytes = vec![0; 100];
            let count = buffer.read(0, &mut bytes).unwrap();
            bytes.truncate(count);
            bytes
        };
        assert_eq!(read(&kept[0]), *b"\x07\x07\x07\x07\x07\x07\x07\x07\x07end");
        assert_eq!(read(&kept[1]), *b"\xc6\xc7end");
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "the file has a name");
        memory.spill(dir.path()).unwrap();
        let (mut a, mut b) = (vec![0; 6000], vec![0; 6000]);
        assert_eq!(memory.read(0, &mut a).unwrap(), disk.read(0, &mut b).unwrap());
        assert_eq!(a, b);
    }
}
