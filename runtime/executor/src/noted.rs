//! Places on the host and how they look, in little memory: a run may see a million.
//!
//! Owns: what a place and a look are, and how they are written, so that the order of the bytes is that of the places. Does not know:
//! which places are noted, or what follows from how they look (`footprint`).

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Serialize, Serializer};
use wasmill_model::port::Stamp;

/// Bytes are asked for in pieces of so many, so that nothing that is there is ever moved.
const CHUNK_BYTES: usize = 1 << 16;

/// A place on the host that a run has looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Place<S = String> {
    /// A file or a folder, by its path.
    Path(S),
    /// What a pattern matches in a folder.
    Glob(S, S),
    /// A file or a folder that an output was saved to. Links are not followed.
    Saved(S),
}

/// How it looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Look {
    /// A file.
    File(Stamp),
    /// A file whose stamp says too little, by what is in it and whether it is executable.
    Content([u8; 32], bool),
    /// A folder or what a glob matched: a digest over all names, links and stamps.
    Tree([u8; 32]),
    /// A folder of which only matters that it is there.
    Folder,
}

impl Place {
    /// The same, borrowed.
    pub(crate) fn borrowed(&self) -> Place<&str> {
        match self {
            Self::Path(path) => Place::Path(path),
            Self::Glob(base, pattern) => Place::Glob(base, pattern),
            Self::Saved(path) => Place::Saved(path),
        }
    }
}

impl<'a> Place<&'a str> {
    /// Bytes in the same order as places. No path and no pattern has a NUL character in it.
    fn key(self) -> Vec<u8> {
        let (kind, text, more) = match self {
            Self::Path(path) => (0, path, None),
            Self::Glob(base, pattern) => (1, base, Some(pattern)),
            Self::Saved(path) => (2, path, None),
        };
        let mut key = Vec::with_capacity(2 + text.len() + more.map_or(0, str::len));
        key.push(kind);
        key.extend_from_slice(text.as_bytes());
        if let Some(more) = more {
            key.push(0);
            key.extend_from_slice(more.as_bytes());
        }
        key
    }

    /// The place of a key.
    fn of(key: &'a [u8]) -> Option<Self> {
        let (kind, text) = key.split_first()?;
        let text = str::from_utf8(text).ok()?;
        match kind {
            0 => Some(Self::Path(text)),
            1 => text.split_once('\0').map(|(base, pattern)| Self::Glob(base, pattern)),
            _ => Some(Self::Saved(text)),
        }
    }
}

/// Places, and how they look where that matters at all. Each takes some ten bytes more than its path and its stamp.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    /// Keys and looks one after the other, in postcard.
    chunks: Vec<Vec<u8>>,
    /// Where the latest entry of each place is: the chunk, and the byte in it.
    table: HashTable<u32>,
    hasher: RandomState,
}

impl Noted {
    /// How much it is; what was noted twice counts twice.
    pub(crate) fn bytes(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum()
    }

    /// How a place looks, if it was noted.
    pub(crate) fn get(&self, place: Place<&str>) -> Option<Option<Look>> {
        let key = place.key();
        let at = self.table.find(self.hasher.hash_one(key.as_slice()), |at| self.key(*at) == key)?;
        Some(self.entry(*at)?.1)
    }

    /// Notes how a place looks, in the place of what was noted before. False where there is no room for more.
    #[must_use]
    pub(crate) fn insert(&mut self, place: Place<&str>, look: Option<Look>) -> bool {
        let key = place.key();
        // Nothing of it can fail to be written.
        let entry = postcard::to_stdvec(&(key.as_slice(), look)).unwrap_or_default();
        let Some(new) = self.append(&entry) else { return false };
        let hash = self.hasher.hash_one(key.as_slice());
        let (chunks, hasher) = (&self.chunks, &self.hasher);
        if let Some(at) = self.table.find_mut(hash, |at| key_in(chunks, *at) == key) {
            *at = new;
        } else {
            self.table.insert_unique(hash, new, |at| hasher.hash_one(key_in(chunks, *at)));
        }
        true
    }

    /// Where an entry is from now on.
    fn append(&mut self, entry: &[u8]) -> Option<u32> {
        let has_room = |chunk: &Vec<u8>| chunk.len() + entry.len() <= CHUNK_BYTES;
        if !self.chunks.last().is_some_and(has_room) {
            self.chunks.push(Vec::with_capacity(entry.len().max(CHUNK_BYTES)));
        }
        let number = self.chunks.len() - 1;
        let chunk = self.chunks.last_mut()?;
        let at = u32::try_from(number * CHUNK_BYTES + chunk.len()).ok()?;
        chunk.extend_from_slice(entry);
        Some(at)
    }

    fn key(&self, at: u32) -> &[u8] {
        key_in(&self.chunks, at)
    }

    fn entry(&self, at: u32) -> Option<(Place<&str>, Option<Look>)> {
        let (key, look) = postcard::take_from_bytes::<&[u8]>(bytes_in(&self.chunks, at)).ok()?;
        Some((Place::of(key)?, postcard::take_from_bytes(look).ok()?.0))
    }
}

fn bytes_in(chunks: &[Vec<u8>], at: u32) -> &[u8] {
    let (chunk, byte) = (at as usize / CHUNK_BYTES, at as usize % CHUNK_BYTES);
    chunks.get(chunk).and_then(|chunk| chunk.get(byte..)).unwrap_or_default()
}

fn key_in(chunks: &[Vec<u8>], at: u32) -> &[u8] {
    postcard::take_from_bytes(bytes_in(chunks, at)).map_or(&[], |(key, _)| key)
}

impl Serialize for Noted {
    /// As a list of the places, ascending.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all: Vec<(&[u8], u32)> = self.table.iter().map(|at| (self.key(*at), *at)).collect();
        all.sort_unstable();
        let mut list = serializer.serialize_seq(Some(all.len()))?;
        for entry in all.into_iter().filter_map(|(_, at)| self.entry(at)) {
            list.serialize_element(&entry)?;
        }
        list.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn place() -> impl Strategy<Value = Place> {
        let text = "[a-c/é]{0,6}";
        prop_oneof![
            text.prop_map(Place::Path),
            (text, text).prop_map(|(base, pattern)| Place::Glob(base, pattern)),
            text.prop_map(Place::Saved),
        ]
    }

    fn look() -> impl Strategy<Value = Option<Look>> {
        let stamp = |(size_bytes, mtime_ns)| Stamp { size_bytes, mtime_ns, ctime_ns: -1, inode: u64::MAX, device: 7 };
        proptest::option::of(prop_oneof![
            any::<(u64, i64)>().prop_map(stamp).prop_map(Look::File),
            any::<([u8; 32], bool)>().prop_map(|(content, is_executable)| Look::Content(content, is_executable)),
            any::<[u8; 32]>().prop_map(Look::Tree),
            Just(Look::Folder),
        ])
    }

    proptest! {
        /// It is a map, and is written as one.
        #[test]
        fn it_is_a_map(entries in proptest::collection::vec((place(), look()), 0..60)) {
            let (mut noted, mut map) = (Noted::default(), BTreeMap::new());
            for (place, look) in entries {
                prop_assert_eq!(noted.get(place.borrowed()), map.get(&place).copied());
                prop_assert!(noted.insert(place.borrowed(), look));
                map.insert(place, look);
            }
            prop_assert_eq!(noted.bytes() == 0, map.is_empty());
            let written = postcard::to_stdvec(&noted).unwrap();
            prop_assert_eq!(&written, &postcard::to_stdvec(&map).unwrap());
            let read: Vec<(Place, Option<Look>)> = postcard::from_bytes(&written).unwrap();
            prop_assert!(read.into_iter().eq(map));
        }
    }

    #[test]
    fn nothing_is_lost_among_many_or_long_ones() {
        let mut noted = Noted::default();
        let name =
            |number: usize| format!("{number}{}", "x".repeat(if number.is_multiple_of(1000) { 100_000 } else { 20 }));
        for number in 0..5_000 {
            assert!(noted.insert(Place::Path(&name(number)), Some(Look::Tree([(number % 251) as u8; 32]))));
        }
        for number in 0..5_000 {
            let expected = Some(Some(Look::Tree([(number % 251) as u8; 32])));
            assert_eq!(noted.get(Place::Path(&name(number))), expected, "{number}");
        }
        assert_eq!(noted.get(Place::Saved(&name(1))), None);
    }
}
