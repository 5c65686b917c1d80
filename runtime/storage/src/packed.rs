//! Content in compressed form: zstd in chunks of one size, and a table of where they end.
//!
//! Owns: that layout, whether compressing pays, and that damage is noticed before it costs memory. Does not know: where
//! packed content lies. Described in `docs/storage-format.md`.

use std::cell::RefCell;
use std::io;
use std::ops::Range;

use zstd::bulk::{Compressor, Decompressor};

/// How much content is in a chunk, but for the last.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;

/// zstd's fastest level but for the negative ones: it compresses as fast as a good disk writes.
const LEVEL: i32 = 1;

/// How much of the beginning of some content is compressed to see whether that pays.
const SAMPLE_BYTES: usize = 64 << 10;

/// Less is not worth the table.
const PACKED_BYTES_MIN: usize = 1 << 10;

/// What packed content ends with: the size of the content (u64), the size of a chunk (u32), and this.
const MAGIC: &[u8; 4] = b"wmz1";
const TRAILER_BYTES: usize = 16;

/// Whether a sample of some content, from its beginning, becomes smaller by a fifth.
pub(crate) fn pays(content: &[u8]) -> bool {
    let sample = content.get(..SAMPLE_BYTES).unwrap_or(content);
    content.len() >= PACKED_BYTES_MIN && compress(sample).is_ok_and(|packed| is_worth_it(packed.len(), sample.len()))
}

fn is_worth_it(packed: usize, content: usize) -> bool {
    packed * 5 <= content * 4
}

/// Compresses a chunk. A thread does all of its work with one state, as making one costs more than a small chunk.
fn compress(chunk: &[u8]) -> io::Result<Vec<u8>> {
    thread_local!(static STATE: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) });
    STATE.with_borrow_mut(|state| {
        let state = match state {
            Some(state) => state,
            None => state.insert(Compressor::new(LEVEL)?),
        };
        state.compress(chunk)
    })
}

/// Packs content, if that pays.
pub(crate) fn pack(content: &[u8]) -> Option<Vec<u8>> {
    // Where the sample is all of it, it need not be compressed twice.
    if content.len() < PACKED_BYTES_MIN || (content.len() > SAMPLE_BYTES && !pays(content)) {
        return None;
    }
    let mut packer = Packer::default();
    let mut packed = Vec::with_capacity(content.len() / 2);
    for chunk in content.chunks(CHUNK_BYTES) {
        packed.extend_from_slice(&packer.chunk(chunk).ok()?);
    }
    packed.extend_from_slice(&packer.finish());
    is_worth_it(packed.len(), content.len()).then_some(packed)
}

/// Packs content chunk by chunk.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    ends: Vec<u64>,
    packed_bytes: u64,
    size_bytes: u64,
}

impl Packer {
    /// Packs the next chunk; all but the last are of [`CHUNK_BYTES`].
    pub(crate) fn chunk(&mut self, chunk: &[u8]) -> io::Result<Vec<u8>> {
        let packed = compress(chunk)?;
        self.packed_bytes += packed.len() as u64;
        self.size_bytes += chunk.len() as u64;
        self.ends.push(self.packed_bytes);
        Ok(packed)
    }

    /// What comes behind the chunks.
    pub(crate) fn finish(self) -> Vec<u8> {
        let table: Vec<u8> = self.ends.iter().flat_map(|end| end.to_le_bytes()).collect();
        let mut rest = Vec::with_capacity(table.len() + TRAILER_BYTES + 1);
        // What is as long as its content is not packed.
        if self.packed_bytes + (table.len() + TRAILER_BYTES) as u64 == self.size_bytes {
            rest.push(0);
        }
        rest.extend_from_slice(&table);
        rest.extend_from_slice(&self.size_bytes.to_le_bytes());
        rest.extend_from_slice(&(CHUNK_BYTES as u32).to_le_bytes());
        rest.extend_from_slice(MAGIC);
        rest
    }
}

/// Decompresses a chunk into `content`, which has room for it. Returns its length.
fn decompress(packed: &[u8], content: &mut Vec<u8>) -> io::Result<usize> {
    thread_local!(static STATE: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) });
    STATE.with_borrow_mut(|state| {
        let state = match state {
            Some(state) => state,
            None => state.insert(Decompressor::new()?),
        };
        state.decompress_to_buffer(packed, content)
    })
}

/// Packed content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packed<'a> {
    chunks: &'a [u8],
    ends: &'a [[u8; 8]],
    size_bytes: u64,
    chunk_bytes: usize,
}

impl<'a> Packed<'a> {
    /// Reads the table. `None` where it makes no sense.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (rest, trailer) = bytes.split_last_chunk::<TRAILER_BYTES>()?;
        let (size, rest_of_trailer) = trailer.split_first_chunk::<8>()?;
        let (chunk, magic) = rest_of_trailer.split_first_chunk::<4>()?;
        let (size_bytes, chunk_bytes) = (u64::from_le_bytes(*size), u32::from_le_bytes(*chunk) as usize);
        if magic != MAGIC || !(1..=CHUNK_BYTES).contains(&chunk_bytes) {
            return None;
        }
        let count = usize::try_from(size_bytes.div_ceil(chunk_bytes as u64)).ok()?;
        let (chunks, table) = rest.split_at_checked(rest.len().checked_sub(count.checked_mul(8)?)?)?;
        Some(Self { chunks, ends: table.as_chunks().0, size_bytes, chunk_bytes })
    }

    /// The size of the content in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// All of the content. `None` where something is damaged.
    pub(crate) fn unpack(&self) -> Option<Vec<u8>> {
        self.range(0..self.size_bytes)
    }

    /// A part of the content; only the chunks that it is in are unpacked.
    pub(crate) fn range(&self, range: Range<u64>) -> Option<Vec<u8>> {
        let end = range.end.min(self.size_bytes);
        let start = range.start.min(end);
        let mut part = Vec::new();
        let first = usize::try_from(start / self.chunk_bytes as u64).ok()?;
        let mut at = first as u64 * self.chunk_bytes as u64;
        self.chunks_from(first, |chunk| {
            let within =
                |offset: u64| usize::try_from(offset.saturating_sub(at)).unwrap_or(usize::MAX).min(chunk.len());
            part.extend_from_slice(chunk.get(within(start)..within(end)).unwrap_or_default());
            at += chunk.len() as u64;
            at < end
        })?;
        Some(part)
    }

    /// Calls `use_chunk` with the content of each chunk, until it says that it has enough.
    pub(crate) fn each(&self, mut use_chunk: impl FnMut(&[u8])) -> Option<()> {
        self.chunks_from(0, |chunk| {
            use_chunk(chunk);
            true
        })
    }

    fn chunks_from(&self, first: usize, mut use_chunk: impl FnMut(&[u8]) -> bool) -> Option<()> {
        let chunk_bytes = usize::try_from(self.size_bytes).unwrap_or(usize::MAX).min(self.chunk_bytes);
        let mut content = Vec::with_capacity(chunk_bytes);
        let end_of =
            |number: usize| self.ends.get(number).and_then(|end| usize::try_from(u64::from_le_bytes(*end)).ok());
        let mut begin = if first == 0 { 0 } else { end_of(first - 1).unwrap_or(0) };
        for number in first..self.ends.len() {
            let end = end_of(number)?;
            let left = self.size_bytes.checked_sub(number as u64 * self.chunk_bytes as u64)?;
            let expected = usize::try_from(left).map_or(self.chunk_bytes, |left| left.min(self.chunk_bytes));
            content.clear();
            if decompress(self.chunks.get(begin..end)?, &mut content).ok()? != expected {
                return None;
            }
            if !use_chunk(&content) {
                break;
            }
            begin = end;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(len: usize) -> Vec<u8> {
        (0..).flat_map(|line: u64| format!("line {line} of some text\n").into_bytes()).take(len).collect()
    }

    #[test]
    fn what_is_packed_comes_out_again_whole_and_in_parts() {
        for len in [1_024, 5_000, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7] {
            let content = text(len);
            let packed = pack(&content).expect("text can be compressed");
            assert!(packed.len() < len / 2);
            let read = Packed::parse(&packed).unwrap();
            assert_eq!(read.size_bytes(), len as u64);
            assert!(read.unpack().unwrap() == content);
            let c = CHUNK_BYTES as u64;
            for range in [0..0, 0..1, 5..900, c - 1..c + 1, c..2 * c, 2 * c + 5..3 * c + 100, 7..u64::MAX] {
                let within = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(len);
                let expected = &content[within(range.start)..within(range.end)];
                assert!(read.range(range.clone()).unwrap() == expected, "{range:?} of {len}");
            }
        }
    }

    #[test]
    fn what_does_not_become_smaller_is_not_packed() {
        let random = crate::tests::content(1, 100_000);
        assert_eq!(pack(&random), None);
        assert_eq!(pack(&text(900)), None);
    }

    #[test]
    fn damage_is_noticed_or_changes_nothing() {
        let content = text(CHUNK_BYTES + 500);
        let packed = pack(&content).unwrap();
        for bit in (0..packed.len() * 8).step_by(7) {
            let mut damaged = packed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // Whoever unpacks compares the digest.
            let _ = Packed::parse(&damaged).and_then(|read| read.unpack());
        }
        for len in 0..packed.len() {
            assert!(Packed::parse(&packed[..len]).and_then(|read| read.unpack()).is_none_or(|read| read != content));
        }
    }
}
