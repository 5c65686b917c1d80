//! Which keys a layer may have, told by ten bits for each instead of its rows.
//!
//! Owns: how a sketch is laid out, and what it says of a key. Does not know: layers, or where sketches are kept.
//!
//! A Bloom filter (1970), with all bits of a key in one line of the processor's cache (Putze, Sanders and Singler, 2007). Keys
//! are digests, so their own bytes say which bits: nothing is hashed again. Who chooses keys so that they have the same bits makes
//! others read what they need not have read, and no more.

use crate::record::Key;

/// What stands before the bits: something by which its maker knows it again.
const HEAD_BYTES: usize = BLOCK_BYTES;

/// One line of the processor's cache.
const BLOCK_BYTES: usize = 64;

/// What a block is for, in the mean: one key in a hundred that is not there is then said to be there perhaps.
const BLOCK_ROWS: u64 = 51;

/// Of more rows no sketch is made: it would take 10 MB, and as much of the memory that the index is cached in.
const ROWS_MAX: u64 = 1 << 23;

/// How many bits of a block a key has; its second eight bytes say which, nine bits for each.
const BITS: u32 = 7;

/// A sketch that is being made.
#[derive(Debug)]
pub(crate) struct Sketch(Vec<u8>);

impl Sketch {
    /// For so many keys, or a few more or less; none is for too many.
    pub(crate) fn for_rows(rows: u64) -> Option<Self> {
        let blocks = usize::try_from(rows.div_ceil(BLOCK_ROWS).max(1)).ok().filter(|_| rows <= ROWS_MAX)?;
        Some(Self(vec![0; HEAD_BYTES + blocks * BLOCK_BYTES]))
    }

    pub(crate) fn add(&mut self, key: &Key) {
        let block = block_of(&self.0, key);
        if let Some(block) = self.0.get_mut(block..).and_then(<[u8]>::first_chunk_mut::<BLOCK_BYTES>) {
            bits_of(key).for_each(|(byte, bit)| block[byte] |= bit);
        }
    }

    /// As it is kept.
    pub(crate) fn encode(mut self, head: &[u8]) -> Vec<u8> {
        self.0.iter_mut().take(HEAD_BYTES).zip(head).for_each(|(to, from)| *to = *from);
        self.0
    }
}

/// What stands before the bits, and zeros.
pub(crate) fn head(sketch: &[u8]) -> &[u8] {
    sketch.get(..HEAD_BYTES).unwrap_or_default()
}

/// False where a key is not there.
pub(crate) fn may_have(sketch: &[u8], key: &Key) -> bool {
    let block = sketch.get(block_of(sketch, key)..).and_then(<[u8]>::first_chunk::<BLOCK_BYTES>);
    block.is_none_or(|block| bits_of(key).all(|(byte, bit)| block[byte] & bit != 0))
}

/// Where the block of a key begins. Blocks are in the order of the keys.
fn block_of(sketch: &[u8], key: &Key) -> usize {
    let blocks = (sketch.len() / BLOCK_BYTES).saturating_sub(HEAD_BYTES / BLOCK_BYTES);
    let block = (u128::from(number_at(key, 0)) * blocks as u128) >> 64;
    HEAD_BYTES + usize::try_from(block).unwrap_or(0) * BLOCK_BYTES
}

/// The bits of a key in its block, each as a byte and what of it.
fn bits_of(key: &Key) -> impl Iterator<Item = (usize, u8)> + use<> {
    let numbers = number_at(key, 8);
    (0..BITS).map(move |n| {
        let bit = (numbers >> (9 * n)) & 0x1ff;
        ((bit >> 3) as usize, 1 << (bit & 7))
    })
}

fn number_at(key: &Key, at: usize) -> u64 {
    key.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use wasmill_model::Digest;

    use super::*;

    fn keys(range: std::ops::Range<u64>) -> impl Iterator<Item = Key> {
        range.map(|number| *Digest::of(&number.to_le_bytes()).as_bytes())
    }

    fn sketch(rows: u64, keys: impl Iterator<Item = Key>) -> Vec<u8> {
        let mut sketch = Sketch::for_rows(rows).unwrap();
        keys.for_each(|key| sketch.add(&key));
        sketch.encode(b"head")
    }

    #[test]
    fn what_is_there_is_never_denied_and_what_is_not_nearly_always() {
        for rows in [1, 51, 1_000, 100_000] {
            let sketch = sketch(rows, keys(0..rows));
            assert!(head(&sketch).starts_with(b"head\0"));
            assert!(sketch.len() as u64 <= 192 + rows * 10 / 8 + rows / 100);
            assert!(keys(0..rows).all(|key| may_have(&sketch, &key)));
            let wrong = keys(rows..rows + 100_000).filter(|key| may_have(&sketch, key)).count();
            assert!(wrong < 2_000, "{rows}: {wrong}");
        }
    }

    #[test]
    fn keys_that_are_alike_are_there_as_well() {
        let alike = || (0..=255).map(|byte| [byte; 32]);
        let sketch = sketch(100, alike());
        assert!(alike().all(|key| may_have(&sketch, &key)));
    }

    #[test]
    fn there_is_none_of_what_would_take_too_much_and_one_that_is_cut_off_denies_nothing_behind() {
        assert!(Sketch::for_rows(ROWS_MAX + 1).is_none() && Sketch::for_rows(u64::MAX).is_none());
        let empty = sketch(0, std::iter::empty());
        assert!(!may_have(&empty, &[3; 32]));
        for len in 0..empty.len() {
            assert!(may_have(&empty[..len], &[3; 32]), "{len}");
        }
    }
}
