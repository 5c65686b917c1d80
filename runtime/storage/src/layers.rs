//! Where blobs and results lie: rows by digest, in sorted layers inside the index.
//!
//! Owns: how a row is found, how rows are added without changing what is there, and when layers are merged. Does not know:
//! what a place is the place of, or when rows are written.
//!
//! Digests are as if drawn at random, so a row that is put into a B-tree changes a page of its own, and a hundred thousand
//! rows change every page of a million. A layer is written once instead, in ascending order, and the latest layers are merged as
//! soon as they are as large together as the one before (a log-structured merge tree, after O'Neil and others, 1996).
//! As digests are spread evenly, the chunk of a layer that a digest is in is computed, not looked for. A sketch of each layer
//! says of most digests that are not in it that they are not, so that no chunk is read for them.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use redb::{
    OwnedAccessGuard, ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, TableError,
    WriteTransaction,
};
use wasmill_model::Digest;

use crate::place::{Place, PlaceBytes};
use crate::sketch::{self, Sketch};

/// Rows of digests and places.
#[derive(Clone, Copy)]
pub(crate) struct Set {
    /// Layer → its rows, how many of these say that there is none, and its chunks.
    layers: TableDefinition<'static, u32, (u64, u64, u32)>,
    /// (Layer, chunk) → rows in ascending order.
    chunks: TableDefinition<'static, (u32, u32), &'static [u8]>,
    /// Layer → which keys it may have, behind a row of it; see [`sketch`]. There need be none.
    sketches: TableDefinition<'static, u32, &'static [u8]>,
}

/// Digest → where the blob is.
pub(crate) const BLOBS: Set = Set {
    layers: TableDefinition::new("blob-layers-1"),
    chunks: TableDefinition::new("blob-chunks-1"),
    sketches: TableDefinition::new("blob-sketches-1"),
};
/// Action key → where its record and action are.
pub(crate) const ACTIONS: Set = Set {
    layers: TableDefinition::new("action-layers-1"),
    chunks: TableDefinition::new("action-chunks-1"),
    sketches: TableDefinition::new("action-sketches-1"),
};

const KEY_BYTES: usize = 32;
const ROW_BYTES: usize = KEY_BYTES + size_of::<PlaceBytes>();

type Key = [u8; KEY_BYTES];
type Row = [u8; ROW_BYTES];

/// What stands in the place of a place where a row says that there is none.
const GONE: PlaceBytes = [0xff; size_of::<PlaceBytes>()];

/// How many rows a chunk has in the mean. redb takes a power of two pages for it, and with 78 rows it has 4 KiB: that is
/// more than two standard deviations above. (With twice as many, one that is not cached takes half as long again to look in.)
const CHUNK_ROWS: u64 = 58;

/// Layers that have fewer rows than this are merged with whatever comes: it costs less than a commit.
const LAYER_ROWS_MIN: u64 = if cfg!(test) { 64 } else { 1 << 14 };

/// How often it is guessed where a row is. Only in a damaged chunk, or one of very few rows, that is not enough.
const GUESSES_MAX: usize = 8;

/// How many rows wait in memory before they become a layer.
const STAGED_MAX: usize = if cfg!(test) { 700 } else { 1 << 17 };

/// Where fewer rows than this part of all are removed, others take their place that say so; else all are written again.
const REMOVED_PART_MIN: u64 = 16;

/// What is left of a layer's chunks at least, however many of its rows are said to be gone: no chunk becomes too large.
const CHUNKS_PART_MIN: u64 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layer {
    id: u32,
    rows: u64,
    gone: u64,
    chunks: u32,
}

impl Layer {
    /// The chunk that a key is in, if it is in this layer.
    fn chunk_of(&self, key: &Key) -> u32 {
        let chunk = (u128::from(prefix_of(key)) * u128::from(self.chunks)) >> 64;
        u32::try_from(chunk).unwrap_or(u32::MAX)
    }

    /// The place of a key in its chunk. Where the chunk is damaged, that is another one or none: who reads it there notices.
    ///
    /// As digests are spread evenly, its row is a few rows from where it would be if they were spread quite evenly (interpolation
    /// search, Perl and others, 1978). Halving looks at six rows that are in no cache of the processor, this at two or three.
    fn find_in(&self, chunk: &[u8], key: &Key) -> Option<PlaceBytes> {
        let rows: &[Row] = chunk.as_chunks().0;
        let prefix = prefix_of(key);
        // How many rows there are between two prefixes that are so far apart.
        let rows_per = u128::from(self.chunks) * rows.len() as u128;
        let distance =
            |from: u64, to: u64| usize::try_from((u128::from(to.abs_diff(from)) * rows_per) >> 64).unwrap_or(0);
        let before = (u128::from(prefix) * u128::from(self.chunks)) & u128::from(u64::MAX);
        let mut at = usize::try_from((before * rows.len() as u128) >> 64).unwrap_or(0);
        let (mut low, mut high) = (0, rows.len());
        for _ in 0..GUESSES_MAX {
            let row = rows.get(at)?;
            let found = prefix_of(key_of(row));
            match found.cmp(&prefix).then_with(|| key_of(row).cmp(key)) {
                Ordering::Equal => return Some(*place_of(row)),
                Ordering::Less => {
                    low = at + 1;
                    at = low.saturating_add(distance(found, prefix).saturating_sub(1));
                }
                Ordering::Greater => {
                    high = at;
                    at = high.checked_sub(distance(found, prefix).max(1)).unwrap_or(low);
                }
            }
            if low >= high {
                return None;
            }
            at = at.clamp(low, high - 1);
        }
        let rest = rows.get(low..high)?;
        let at = rest.binary_search_by(|row| key_of(row).cmp(key)).ok()?;
        rest.get(at).map(place_of).copied()
    }
}

/// The part of a key that says how far from the least it is.
fn prefix_of(key: &Key) -> u64 {
    key.first_chunk().copied().map_or(0, u64::from_be_bytes)
}

fn key_of(row: &Row) -> &Key {
    const { assert!(KEY_BYTES < ROW_BYTES) };
    row.first_chunk().unwrap_or(&[0; KEY_BYTES])
}

fn place_of(row: &Row) -> &PlaceBytes {
    row.last_chunk().unwrap_or(&GONE)
}

/// Whether what a row names is not named again once it is gone: an entry of the log, as numbers of segments are not used twice.
fn is_named_once(row: &Row) -> bool {
    let place = place_of(row);
    *place != GONE && !Place::decode(place).is_file()
}

fn row_of(key: &Key, place: &PlaceBytes) -> Row {
    let mut row = [0; ROW_BYTES];
    row.iter_mut().zip(key.iter().chain(place)).for_each(|(to, from)| *to = *from);
    row
}

trait Chunks: ReadableTable<(u32, u32), &'static [u8]> {
    /// What a layer has at a key.
    fn find_in(&self, layer: &Layer, key: &Key) -> Result<Option<PlaceBytes>, redb::Error> {
        let chunk = self.get((layer.id, layer.chunk_of(key)))?;
        Ok(chunk.and_then(|chunk| layer.find_in(chunk.value(), key)))
    }

    /// Whether a sketch is of a layer. Who knows nothing of sketches may have removed all layers, and then have begun to number
    /// them anew; but what a row names is not named again.
    fn has_sketch(&self, layer: &Layer, sketch: &[u8]) -> Result<bool, redb::Error> {
        let Some(row) = sketch::head(sketch).first_chunk().filter(|row| is_named_once(row)) else { return Ok(false) };
        Ok(self.find_in(layer, key_of(row))?.as_ref() == Some(place_of(row)))
    }

    /// Asks layers, latest first.
    fn find<'l>(&self, layers: impl Iterator<Item = &'l Layer>, key: &Key) -> Result<Option<Place>, redb::Error> {
        for layer in layers {
            match self.find_in(layer, key)? {
                Some(GONE) => return Ok(None),
                Some(place) => return Ok(Some(Place::decode(&place))),
                None => {}
            }
        }
        Ok(None)
    }
}

impl<T: ReadableTable<(u32, u32), &'static [u8]>> Chunks for T {}

/// The layers, latest first.
fn list(table: &impl ReadableTable<u32, (u64, u64, u32)>) -> Result<Vec<Layer>, redb::Error> {
    let rows = table.iter()?.rev().map(|row| {
        let (id, row) = row?;
        let (rows, gone, chunks) = row.value();
        Ok(Layer { id: id.value(), rows, gone: gone.min(rows), chunks })
    });
    rows.collect()
}

/// That there are chunks of all layers, and of no others. Nobody would miss a layer of which nothing is known.
fn check(layers: &[Layer], chunks: &impl Chunks) -> Result<(), redb::Error> {
    let mut expected = layers.iter().rev().map(|layer| layer.id);
    let mut from = (0, 0);
    loop {
        let found = chunks.range(from..)?.next().transpose()?.map(|(key, _)| key.value().0);
        if found != expected.next() {
            return Err(damaged("has rows of a layer that is not listed, or the other way round"));
        }
        match found.and_then(|id| id.checked_add(1)) {
            Some(next) => from = (next, 0),
            None => return Ok(()),
        }
    }
}

fn damaged(what: &str) -> redb::Error {
    redb::Error::Corrupted(format!("the index {what}"))
}

/// Goes through the rows of one layer. Nothing is left out where the index is damaged: whoever asks for all rows may be
/// about to remove what is in none.
struct Cursor<'s> {
    /// None at its end.
    layer: Option<Layer>,
    /// What is to have all its rows.
    sketch: Option<&'s [u8]>,
    next_chunk: u32,
    rows: Vec<Row>,
    at: usize,
}

impl<'s> Cursor<'s> {
    /// Rows that are in no layer yet.
    fn over(rows: Vec<Row>) -> Self {
        Self { layer: None, sketch: None, next_chunk: 0, rows, at: 0 }
    }

    /// At the first row after a key.
    fn of(
        layer: &Layer,
        sketch: Option<&'s [u8]>,
        after: Option<&Key>,
        table: &impl Chunks,
    ) -> Result<Self, redb::Error> {
        let next_chunk = after.map_or(0, |after| layer.chunk_of(after));
        let mut cursor = Self { layer: Some(*layer), sketch, next_chunk, rows: Vec::new(), at: 0 };
        cursor.fill(table)?;
        while let Some(after) = after
            && cursor.row().is_some_and(|row| key_of(row) <= after)
        {
            cursor.advance(table)?;
        }
        Ok(cursor)
    }

    fn row(&self) -> Option<&Row> {
        self.rows.get(self.at)
    }

    fn advance(&mut self, table: &impl Chunks) -> Result<(), redb::Error> {
        self.at += 1;
        self.fill(table)
    }

    fn fill(&mut self, table: &impl Chunks) -> Result<(), redb::Error> {
        while let Some(layer) = self.layer
            && self.at >= self.rows.len()
        {
            self.rows.clear();
            self.at = 0;
            // Not by their numbers: what a damaged row says of how many there are costs no time.
            let Some(chunk) = table.range((layer.id, self.next_chunk)..=(layer.id, u32::MAX))?.next() else {
                self.layer = None;
                break;
            };
            let (key, chunk) = chunk?;
            let (id, number) = key.value();
            let (rows, rest) = chunk.value().as_chunks();
            let is_ascending = rows.is_sorted_by(|a, b| key_of(a) < key_of(b));
            let is_here = rows.iter().all(|row| layer.chunk_of(key_of(row)) == number);
            if id != layer.id || number < self.next_chunk || !rest.is_empty() || !is_ascending || !is_here {
                return Err(damaged("has rows that are not where they should be"));
            }
            if let Some(sketch) = self.sketch
                && !rows.iter().all(|row| sketch::may_have(sketch, key_of(row)))
            {
                return Err(damaged("has rows that would not be looked for where they are"));
            }
            self.rows.extend_from_slice(rows);
            match number.checked_add(1) {
                Some(next) => self.next_chunk = next,
                None => self.layer = None,
            }
        }
        Ok(())
    }
}

/// Goes through the rows of several layers, latest first, as if they were one.
struct Merge<'s>(Vec<Cursor<'s>>);

impl Merge<'_> {
    /// The next key's latest row, even if it says that there is none.
    fn next(&mut self, table: &impl Chunks) -> Result<Option<Row>, redb::Error> {
        let mut least: Option<Row> = None;
        for row in self.0.iter().filter_map(Cursor::row) {
            if least.as_ref().is_none_or(|least| key_of(row) < key_of(least)) {
                least = Some(*row);
            }
        }
        let Some(least) = least else { return Ok(None) };
        for cursor in &mut self.0 {
            while cursor.row().is_some_and(|row| key_of(row).cmp(key_of(&least)) != Ordering::Greater) {
                cursor.advance(table)?;
            }
        }
        Ok(Some(least))
    }
}

/// What is kept of a layer beside its rows.
type Guard = OwnedAccessGuard<&'static [u8]>;

/// A set as of one commit.
pub(crate) struct Places {
    layers: Vec<Layer>,
    chunks: ReadOnlyTable<(u32, u32), &'static [u8]>,
    sketched: Option<ReadOnlyTable<u32, &'static [u8]>>,
    /// One for each layer, or none; read when somebody asks.
    sketches: OnceLock<Vec<Option<Guard>>>,
}

impl Places {
    pub(crate) fn open(read: &ReadTransaction, set: Set) -> Result<Self, redb::Error> {
        let sketched = match read.open_table(set.sketches) {
            Err(TableError::TableDoesNotExist(_)) => None,
            table => Some(table?),
        };
        let (layers, chunks) = (list(&read.open_table(set.layers)?)?, read.open_table(set.chunks)?);
        Ok(Self { layers, chunks, sketched, sketches: OnceLock::new() })
    }

    pub(crate) fn get(&self, key: &Key) -> Result<Option<Place>, redb::Error> {
        let may_have = |sketch: Option<&[u8]>| sketch.is_none_or(|sketch| sketch::may_have(sketch, key));
        let layers = self.layers.iter().zip(self.sketches()?).filter(|(_, sketch)| may_have(*sketch));
        self.chunks.find(layers.map(|(layer, _)| layer), key)
    }

    /// The sketch of each layer.
    fn sketches(&self) -> Result<impl Iterator<Item = Option<&[u8]>>, redb::Error> {
        let sketches = match self.sketches.get() {
            Some(sketches) => sketches,
            None => {
                let sketches = self.layers.iter().map(|layer| self.sketch_of(layer)).collect::<Result<_, _>>()?;
                self.sketches.get_or_init(|| sketches)
            }
        };
        Ok(sketches.iter().map(|sketch| sketch.as_ref().map(Guard::value)))
    }

    fn sketch_of(&self, layer: &Layer) -> Result<Option<Guard>, redb::Error> {
        let Some(table) = &self.sketched else { return Ok(None) };
        let Some(sketch) = table.get_owned(layer.id)? else { return Ok(None) };
        let is_its_own = self.chunks.has_sketch(layer, sketch.value())?;
        Ok(Some(sketch).filter(|_| is_its_own))
    }

    /// All rows after a key, ascending.
    pub(crate) fn rows(
        &self,
        after: Option<&Key>,
    ) -> Result<impl Iterator<Item = Result<(Digest, Place), redb::Error>> + '_, redb::Error> {
        check(&self.layers, &self.chunks)?;
        let layers = self.layers.iter().zip(self.sketches()?);
        let cursors = layers.map(|(layer, sketch)| Cursor::of(layer, sketch, after, &self.chunks));
        let mut merge = Merge(cursors.collect::<Result<_, _>>()?);
        let next = move || merge.next(&self.chunks).transpose();
        Ok(std::iter::from_fn(next).filter_map(|row| match row {
            Ok(row) if *place_of(&row) == GONE => None,
            row => Some(row.map(|row| (Digest::from_bytes(*key_of(&row)), Place::decode(place_of(&row))))),
        }))
    }

    /// No fewer than there are.
    pub(crate) fn len_max(&self) -> u64 {
        self.layers.iter().fold(0, |rows, layer| rows.saturating_add(layer.rows))
    }
}

/// A set that is being changed.
pub(crate) struct PlacesMut<'t> {
    list: Table<'t, u32, (u64, u64, u32)>,
    chunks: Table<'t, (u32, u32), &'static [u8]>,
    sketches: Table<'t, u32, &'static [u8]>,
    layers: Vec<Layer>,
    staged: BTreeMap<Key, PlaceBytes>,
}

impl<'t> PlacesMut<'t> {
    /// Makes the set if there is none. What is changed is in the transaction once [`Self::finish`] was called.
    pub(crate) fn open(write: &'t WriteTransaction, set: Set) -> Result<Self, redb::Error> {
        let (table, chunks) = (write.open_table(set.layers)?, write.open_table(set.chunks)?);
        let (layers, sketches) = (list(&table)?, write.open_table(set.sketches)?);
        Ok(Self { list: table, chunks, sketches, layers, staged: BTreeMap::new() })
    }

    pub(crate) fn get(&self, key: &Key) -> Result<Option<Place>, redb::Error> {
        match self.staged.get(key) {
            Some(&GONE) => Ok(None),
            Some(place) => Ok(Some(Place::decode(place))),
            None => self.chunks.find(self.layers.iter(), key),
        }
    }

    pub(crate) fn insert(&mut self, key: &Key, place: &Place) -> Result<(), redb::Error> {
        self.stage(key, place.encode())
    }

    pub(crate) fn remove(&mut self, key: &Key) -> Result<(), redb::Error> {
        self.stage(key, GONE)
    }

    fn stage(&mut self, key: &Key, place: PlaceBytes) -> Result<(), redb::Error> {
        self.staged.insert(*key, place);
        if self.staged.len() >= STAGED_MAX { self.flush() } else { Ok(()) }
    }

    /// Writes what was changed.
    pub(crate) fn finish(mut self) -> Result<(), redb::Error> {
        self.flush()
    }

    /// Makes a layer of what is staged and of the latest layers, as far as they are not larger than what comes upon them.
    fn flush(&mut self) -> Result<(), redb::Error> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let staged: Vec<Row> = self.staged.iter().map(|(key, place)| row_of(key, place)).collect();
        self.staged.clear();
        let (mut rows, mut count) = (staged.len() as u64, 0);
        while let Some(layer) = self.layers.get(count)
            && layer.rows <= rows.max(LAYER_ROWS_MIN)
        {
            rows = rows.saturating_add(layer.rows);
            count += 1;
        }
        self.merge(staged, count, 0, |_| true)
    }

    /// Removes rows that still are what they were: ascending, and so many. Many are removed by making one layer of what is left.
    pub(crate) fn remove_all(
        &mut self,
        count: u64,
        rows: impl Iterator<Item = (Digest, Place)>,
    ) -> Result<(), redb::Error> {
        self.flush()?;
        let all = self.layers.iter().fold(0, |rows: u64, layer| rows.saturating_add(layer.rows));
        if count < all / REMOVED_PART_MIN {
            for (digest, place) in rows {
                if self.get(digest.as_bytes())? == Some(place) {
                    self.remove(digest.as_bytes())?;
                }
            }
            return self.flush();
        }
        let mut rows = rows.peekable();
        self.merge(Vec::new(), self.layers.len(), count, |row| {
            while rows.next_if(|(dead, _)| dead.as_bytes() < key_of(row)).is_some() {}
            rows.peek() != Some(&(Digest::from_bytes(*key_of(row)), Place::decode(place_of(row))))
        })
    }

    /// Makes one layer of rows and of the latest so many layers. Rows that say that there is none are left out where nothing is
    /// below them.
    fn merge(
        &mut self,
        rows: Vec<Row>,
        count: usize,
        removed: u64,
        mut keeps: impl FnMut(&Row) -> bool,
    ) -> Result<(), redb::Error> {
        check(&self.layers, &self.chunks)?;
        let is_gone = |row: &Row| *place_of(row) == GONE;
        let is_all = count == self.layers.len();
        let merged: Vec<Layer> = self.layers.drain(..count).collect();
        let gone = rows.iter().filter(|row| is_gone(row)).count() as u64;
        let sum = |of: fn(&Layer) -> u64, more: u64| merged.iter().map(of).fold(more, u64::saturating_add);
        let (sum, gone) = (sum(|layer| layer.rows, rows.len() as u64), sum(|layer| layer.gone, gone));
        // Each row that says that there is none goes with the one that it says it of.
        let removed = if is_all { removed.saturating_add(gone.saturating_mul(2)) } else { removed };
        let expected = sum.saturating_sub(removed).max(sum / CHUNKS_PART_MIN);
        let chunks = u32::try_from(expected.div_ceil(CHUNK_ROWS)).unwrap_or(u32::MAX).max(1);
        let id = merged.iter().chain(&self.layers).map(|layer| layer.id).max().unwrap_or(0);
        let id = id.checked_add(1).ok_or_else(|| damaged("has a layer of the last number"))?;
        let mut layer = Layer { id, rows: 0, gone: 0, chunks };
        let sketches: Vec<_> = merged.iter().map(|layer| self.sketch_of(layer)).collect::<Result<_, _>>()?;
        let mut cursors = vec![Cursor::over(rows)];
        for (layer, sketch) in merged.iter().zip(&sketches) {
            cursors.push(Cursor::of(layer, sketch.as_deref(), None, &self.chunks)?);
        }
        let (mut merge, mut chunk, mut bytes) = (Merge(cursors), 0, Vec::new());
        let (mut sketch, mut last) = (Sketch::for_rows(expected), None);
        while let Some(row) = merge.next(&self.chunks)? {
            if is_gone(&row) && is_all || !is_gone(&row) && !keeps(&row) {
                continue;
            }
            layer.rows += 1;
            layer.gone += u64::from(is_gone(&row));
            let of = layer.chunk_of(key_of(&row));
            if of > chunk {
                self.put(id, chunk, &mut bytes)?;
                chunk = of;
            }
            bytes.extend_from_slice(&row);
            sketch.iter_mut().for_each(|sketch| sketch.add(key_of(&row)));
            last = Some(row).filter(is_named_once).or(last);
        }
        self.put(id, chunk, &mut bytes)?;
        match sketch.zip(last) {
            Some((sketch, last)) => drop(self.sketches.insert(id, sketch.encode(&last).as_slice())?),
            None => drop(self.sketches.remove(id)?),
        }
        self.replace(&merged, layer)
    }

    fn sketch_of(&self, layer: &Layer) -> Result<Option<Vec<u8>>, redb::Error> {
        let Some(sketch) = self.sketches.get(layer.id)? else { return Ok(None) };
        let is_its_own = self.chunks.has_sketch(layer, sketch.value())?;
        Ok(is_its_own.then(|| sketch.value().to_vec()))
    }

    /// Names a layer in the place of others, which are the latest.
    fn replace(&mut self, others: &[Layer], layer: Layer) -> Result<(), redb::Error> {
        for other in others {
            self.chunks.retain_in((other.id, 0)..=(other.id, u32::MAX), |_, _| false)?;
            self.sketches.remove(other.id)?;
            self.list.remove(other.id)?;
        }
        if layer.rows > 0 {
            self.list.insert(layer.id, (layer.rows, layer.gone, layer.chunks))?;
            self.layers.insert(0, layer);
        }
        Ok(())
    }

    fn put(&mut self, layer: u32, chunk: u32, bytes: &mut Vec<u8>) -> Result<(), redb::Error> {
        if !bytes.is_empty() {
            self.chunks.insert((layer, chunk), bytes.as_slice())?;
            bytes.clear();
        }
        Ok(())
    }
}

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn find_in_any(chunk: &[u8], key: &Digest) -> Option<Place> {
    Layer { id: 0, rows: 0, gone: 0, chunks: 7 }.find_in(chunk, key.as_bytes()).map(|place| Place::decode(&place))
}
