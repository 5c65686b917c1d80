//! One entry of the log.
//!
//! Owns: its layout, its checksum, and that anything else is not taken for one. Does not know: where it lies, or what
//! its body means. Described in `docs/storage-format.md`.

use sha2::{Digest as _, Sha256};

/// What an entry begins with, in bytes.
pub(crate) const HEADER_BYTES: usize = 64;

/// Entries begin at multiples of this many bytes.
pub(crate) const ALIGNMENT: usize = 8;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Key: the digest of the body.
    Blob = 1,
    /// A blob in a file of its own. Key: its digest; no body.
    File = 2,
    /// Key: the action key. Body: record and action.
    Action = 3,
    /// Key: the run's number. Body: its record.
    Run = 4,
    /// Key: the run's number and a page's. Body: job reports.
    Jobs = 5,
    /// Body: paths, each with its stamp and blob.
    Stats = 6,
    /// Key: the artifact's. Body: digest and size of its content.
    Artifact = 7,
    /// Key: the digest of a blob that was found damaged or missing. No body.
    Lost = 8,
    /// Key: what is pinned, or not any more. Body: which of the two.
    Pin = 9,
    /// Key: the digest of the content. Body: the content, packed.
    Packed = 10,
}

impl Kind {
    /// The kind that a byte stands for.
    pub(crate) fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Blob,
            2 => Self::File,
            3 => Self::Action,
            4 => Self::Run,
            5 => Self::Jobs,
            6 => Self::Stats,
            7 => Self::Artifact,
            8 => Self::Lost,
            9 => Self::Pin,
            10 => Self::Packed,
            _ => return None,
        })
    }
}

/// The key of an entry.
pub(crate) type Key = [u8; 32];

/// An entry without its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Length of the body in bytes.
    pub(crate) body_bytes: u32,
    /// Size of a blob's content in bytes.
    pub(crate) size_bytes: u64,
    pub(crate) key: Key,
}

impl Header {
    /// Its bytes, with a checksum of the body, unless the key is its digest anyway, and one of the header.
    pub(crate) fn encode(&self, body: &[u8]) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let (fields, checksum) = bytes.split_at_mut(HEADER_BYTES - 8);
        for (at, field) in [
            (0, &[self.kind as u8][..]),
            (4, &self.body_bytes.to_le_bytes()),
            (8, &self.size_bytes.to_le_bytes()),
            (16, &self.key),
            (48, &self.body_check(body)),
        ] {
            fields.iter_mut().skip(at).zip(field).for_each(|(to, from)| *to = *from);
        }
        checksum.copy_from_slice(&check(fields));
        bytes
    }

    /// The header at the start of `bytes`, where one is there. Its body may still be damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (fields, checksum) = bytes.first_chunk::<HEADER_BYTES>()?.split_at(HEADER_BYTES - 8);
        let kind = Kind::of(*fields.first()?)?;
        let body_bytes = u32::from_le_bytes(fields.get(4..8)?.try_into().ok()?);
        let size_bytes = u64::from_le_bytes(fields.get(8..16)?.try_into().ok()?);
        let key: Key = fields.get(16..48)?.try_into().ok()?;
        (checksum == check(fields)).then_some(Self { kind, body_bytes, size_bytes, key })
    }

    /// The body of the entry at the start of `bytes`, whose header this is. `None` where it is not what it was.
    pub(crate) fn body<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let body = rest.get(..self.body_bytes as usize)?;
        let is_right = match self.kind {
            Kind::Blob if self.size_bytes != u64::from(self.body_bytes) => false,
            Kind::Blob => Sha256::digest(body).as_slice() == self.key.as_slice(),
            _ => header.get(48..56) == Some(&self.body_check(body)),
        };
        is_right.then_some(body)
    }

    fn body_check(&self, body: &[u8]) -> [u8; 8] {
        if self.kind == Kind::Blob { [0; 8] } else { check(body) }
    }

    /// How far it is from this entry to the next.
    pub(crate) fn step_bytes(&self) -> usize {
        padded(HEADER_BYTES + self.body_bytes as usize)
    }
}

/// The length of an entry with what fills it up.
pub(crate) fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}

/// The first bytes of a SHA-256: guests choose what is in bodies, and nothing that they choose may make half an entry
/// look like a whole one.
fn check(bytes: &[u8]) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written_and_no_bit_may_change() {
        for (kind, body) in [(Kind::Blob, &b"content"[..]), (Kind::Action, b"row"), (Kind::File, b"")] {
            let key = if kind == Kind::Blob { Sha256::digest(body).into() } else { [7; 32] };
            let header =
                Header { kind, body_bytes: u32::try_from(body.len()).unwrap(), size_bytes: body.len() as u64, key };
            let mut bytes = header.encode(body).to_vec();
            bytes.extend_from_slice(body);
            let read =
                |bytes: &[u8]| Header::decode(bytes).map(|header| (header, header.body(bytes).map(<[u8]>::to_vec)));
            assert_eq!(read(&bytes), Some((header, Some(body.to_vec()))));
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                let expected = (bit >= HEADER_BYTES * 8).then_some((header, None));
                assert_eq!(read(&bytes), expected, "bit {bit}");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            for len in 0..bytes.len() {
                assert_eq!(read(&bytes[..len]), (len >= HEADER_BYTES).then_some((header, None)));
            }
        }
        assert_eq!(Header::decode(&[0; 200]), None);
    }
}
