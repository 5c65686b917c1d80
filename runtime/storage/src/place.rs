//! Where a blob or a record lies.
//!
//! Owns: places and their encoding in the index. Does not know: how to read one.

/// Where something lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The segment, or [`Place::FILE`].
    pub(crate) segment: u32,
    /// Where its entry begins in the segment.
    pub(crate) offset: u32,
    /// Length of the entry's body in bytes.
    pub(crate) body_bytes: u32,
    /// Size of the content in bytes.
    pub(crate) size_bytes: u64,
}

/// A place as it is in the index, integers in little-endian.
pub(crate) type PlaceBytes = [u8; 20];

impl Place {
    /// Stands for a segment where a blob has a file of its own. Segments are numbered from 1 on.
    pub(crate) const FILE: u32 = 0;

    /// The place of a blob in a file of its own.
    pub(crate) fn file(size_bytes: u64) -> Self {
        Self { segment: Self::FILE, offset: 0, body_bytes: 0, size_bytes }
    }

    /// Whether it is an entry of the log with packed content.
    pub(crate) fn is_packed(&self) -> bool {
        !self.is_file() && u64::from(self.body_bytes) != self.size_bytes
    }

    pub(crate) fn is_file(&self) -> bool {
        self.segment == Self::FILE
    }

    pub(crate) fn encode(&self) -> PlaceBytes {
        let mut bytes = [0; 20];
        let fields = self.segment.to_le_bytes().into_iter();
        let fields = fields.chain(self.offset.to_le_bytes()).chain(self.body_bytes.to_le_bytes());
        let fields = fields.chain(self.size_bytes.to_le_bytes());
        bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        bytes
    }

    pub(crate) fn decode(bytes: &PlaceBytes) -> Self {
        let word = |at: usize| {
            let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk).copied();
            u32::from_le_bytes(bytes.unwrap_or_default())
        };
        let size_bytes = u64::from(word(12)) | u64::from(word(16)) << 32;
        Self { segment: word(0), offset: word(4), body_bytes: word(8), size_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let place =
            Place { segment: 0x0102_0304, offset: 5, body_bytes: 0xffff_fffe, size_bytes: 0x0a0b_0c0d_0e0f_1011 };
        assert_eq!(Place::decode(&place.encode()), place);
        assert_eq!(Place::decode(&Place::file(7).encode()), Place::file(7));
    }
}
