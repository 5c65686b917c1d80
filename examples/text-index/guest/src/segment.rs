//! The index as a file. What a shard comes to and what all of them come to are the same: a segment.
//!
//! Owns: the format, and reading no more of it than is asked for. Does not know: what the words of a text are, or what is
//! looked for.
//!
//! | part | content |
//! |---|---|
//! | the first 8 bytes | `WMTEXT` and the version as two digits |
//! | texts and postings, in any order | a text is packed by deflate; postings are `[(document, [position])]` as postcard writes them, each number as its distance from the one before, behind their length (4 bytes, the lowest first) |
//! | terms | an `fst::Map` from each term to the byte at which its postings are |
//! | catalogue | a [`Catalogue`] as postcard writes it |
//! | the last 16 bytes | the bytes at which the terms and the catalogue start |

use std::io::{Read, Seek, SeekFrom, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use fst::{Map, MapBuilder};
use serde::{Deserialize, Serialize};
use wasmill_sdk::{Context as _, Error, Result, Schema, bail};

const MAGIC: &[u8; 8] = b"WMTEXT01";
const FOOTER_BYTES: u64 = 16;

/// What a segment has in it.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// The documents; a document's number is its place.
    pub documents: Vec<Document>,
    /// What could not be read.
    pub left_out: Vec<LeftOut>,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its path below the corpus.
    pub path: String,
    /// What it is called.
    pub title: String,
    /// How many words it has.
    pub words: u32,
    /// How many bytes its text has.
    pub text_bytes: u64,
    /// Where its packed text is.
    packed: Span,
}

/// A piece of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    start: u64,
    bytes: u64,
}

/// A file that is not searched, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Schema)]
pub struct LeftOut {
    /// Its path below the corpus.
    pub path: String,
    /// The reason.
    pub why: String,
}

/// Where a term is in a document: the numbers of its words, from 0 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// The document's number.
    pub document: u32,
    /// In rising order.
    pub positions: Vec<u32>,
}

/// Writes a segment.
pub struct Writer<W> {
    out: W,
    at: u64,
    catalogue: Catalogue,
    terms: MapBuilder<Vec<u8>>,
    terms_count: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a segment.
    pub fn new(out: W) -> Result<Self> {
        let (catalogue, terms) = (Catalogue::default(), MapBuilder::memory());
        let mut writer = Self { out, at: 0, catalogue, terms, terms_count: 0 };
        writer.write(MAGIC)?;
        Ok(writer)
    }

    /// Writes some bytes and says where.
    fn write(&mut self, bytes: &[u8]) -> Result<Span> {
        self.out.write_all(bytes).context("failed to write the index")?;
        let span = Span { start: self.at, bytes: bytes.len() as u64 };
        self.at += span.bytes;
        Ok(span)
    }

    /// Adds the next document.
    pub fn document(&mut self, path: &str, title: &str, words: u32, text: &str) -> Result<()> {
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::default());
        packer.write_all(text.as_bytes())?;
        let packed = self.write(&packer.finish()?)?;
        let (path, title, text_bytes) = (path.to_owned(), title.to_owned(), text.len() as u64);
        self.catalogue.documents.push(Document { path, title, words, text_bytes, packed });
        Ok(())
    }

    /// Adds a document of another segment, with its text as it is packed there.
    pub fn packed_document(&mut self, document: &Document, packed: &[u8]) -> Result<()> {
        let packed = self.write(packed)?;
        self.catalogue.documents.push(Document { packed, ..document.clone() });
        Ok(())
    }

    /// Notes what could not be read.
    pub fn left_out(&mut self, left_out: impl IntoIterator<Item = LeftOut>) {
        self.catalogue.left_out.extend(left_out);
    }

    /// Adds the next term, in the order of their bytes, and where it is.
    pub fn term(&mut self, term: &[u8], postings: &[Posting]) -> Result<()> {
        let bytes = postcard::to_stdvec(&Encoded::of(postings)).context("failed to encode postings")?;
        let length = u32::try_from(bytes.len()).context("a term has more than 4 GiB of postings")?;
        let start = self.write(&length.to_le_bytes())?.start;
        self.write(&bytes)?;
        self.terms_count += 1;
        self.terms.insert(term, start).context("terms are out of order")
    }

    /// Ends the segment, and says how many bytes and terms it has.
    pub fn finish(mut self) -> Result<Written> {
        let terms = std::mem::replace(&mut self.terms, MapBuilder::memory());
        let terms = terms.into_inner().context("failed to write the terms")?;
        self.catalogue.left_out.sort();
        let catalogue = postcard::to_stdvec(&self.catalogue).context("failed to encode the catalogue")?;
        let terms_start = self.write(&terms)?.start;
        let catalogue_start = self.write(&catalogue)?.start;
        self.write(&terms_start.to_le_bytes())?;
        self.write(&catalogue_start.to_le_bytes())?;
        self.out.flush().context("failed to write the index")?;
        Ok(Written { bytes: self.at, terms: self.terms_count, catalogue: self.catalogue })
    }
}

/// What was written.
pub struct Written {
    /// How long the file is.
    pub bytes: u64,
    /// How many different words it has.
    pub terms: u64,
    /// What it has in it.
    pub catalogue: Catalogue,
}

/// Postings as they are written.
#[derive(Serialize, Deserialize)]
struct Encoded(Vec<(u32, Vec<u32>)>);

impl Encoded {
    fn of(postings: &[Posting]) -> Self {
        let mut before = 0;
        let encode = |posting: &Posting| {
            let distance = posting.document.saturating_sub(before);
            before = posting.document;
            let starts = [0].into_iter().chain(posting.positions.iter().copied());
            let positions = posting
                .positions
                .iter()
                .zip(starts)
                .map(|(position, before)| position.saturating_sub(before))
                .collect();
            (distance, positions)
        };
        Self(postings.iter().map(encode).collect())
    }

    /// `None` where a number would become too large.
    fn decode(self) -> Option<Vec<Posting>> {
        let mut document = 0u32;
        let decode = |(distance, mut positions): (u32, Vec<u32>)| {
            document = document.checked_add(distance)?;
            let mut at = 0u32;
            for position in &mut positions {
                at = at.checked_add(*position)?;
                *position = at;
            }
            Some(Posting { document, positions })
        };
        self.0.into_iter().map(decode).collect()
    }
}

/// A segment that is open: its terms and its catalogue are in memory, all else is read when it is asked for.
pub struct Segment<R> {
    /// What it has in it.
    pub catalogue: Catalogue,
    /// Each term, and where its postings are.
    pub terms: Map<Vec<u8>>,
    /// The rest.
    pub body: Body<R>,
}

/// The texts and postings of a segment.
pub struct Body<R> {
    from: R,
    bytes: u64,
}

impl<R: Read + Seek> Segment<R> {
    /// Opens a segment.
    pub fn open(mut from: R) -> Result<Self> {
        let bytes = from.seek(SeekFrom::End(0))?;
        let mut body = Body { from, bytes };
        if bytes < MAGIC.len() as u64 || body.read(0, 6)? != MAGIC[..6] {
            bail!("this is no text index");
        }
        let version = body.read(6, 2)?;
        if version != MAGIC[6..] {
            bail!("the index has version {}, and this program reads 01", String::from_utf8_lossy(&version));
        }
        let footer_start = bytes.checked_sub(FOOTER_BYTES).ok_or_else(damaged)?;
        let [terms_start, catalogue_start] = [body.number(footer_start)?, body.number(footer_start + 8)?];
        let catalogue_bytes = footer_start.checked_sub(catalogue_start).ok_or_else(damaged)?;
        let terms_bytes = catalogue_start.checked_sub(terms_start).ok_or_else(damaged)?;
        let catalogue = postcard::from_bytes(&body.read(catalogue_start, catalogue_bytes)?);
        let terms = Map::new(body.read(terms_start, terms_bytes)?).context("the index is damaged")?;
        terms.as_fst().verify().context("the index is damaged")?;
        Ok(Self { catalogue: catalogue.context("the index is damaged")?, terms, body })
    }
}

impl<R: Read + Seek> Body<R> {
    fn read(&mut self, start: u64, bytes: u64) -> Result<Vec<u8>> {
        if start.checked_add(bytes).is_none_or(|end| end > self.bytes) {
            return Err(damaged());
        }
        self.from.seek(SeekFrom::Start(start))?;
        let mut read = vec![0; usize::try_from(bytes)?];
        self.from.read_exact(&mut read).context("failed to read the index")?;
        Ok(read)
    }

    fn number(&mut self, start: u64) -> Result<u64> {
        let bytes = self.read(start, 8)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The postings at a place that the terms say.
    pub fn postings(&mut self, start: u64) -> Result<Vec<Posting>> {
        let length = self.read(start, 4)?.iter().rev().fold(0, |length, byte| length << 8 | u64::from(*byte));
        let bytes = self.read(start.saturating_add(4), length)?;
        let encoded: Encoded = postcard::from_bytes(&bytes).context("the index is damaged")?;
        encoded.decode().ok_or_else(damaged)
    }

    /// The packed text of a document.
    pub fn packed(&mut self, document: &Document) -> Result<Vec<u8>> {
        self.read(document.packed.start, document.packed.bytes)
    }

    /// The text of a document.
    pub fn text(&mut self, document: &Document) -> Result<String> {
        let packed = self.packed(document)?;
        let mut text = String::new();
        let unpacker = DeflateDecoder::new(packed.as_slice());
        unpacker.take(document.text_bytes).read_to_string(&mut text).context("the index is damaged")?;
        Ok(text)
    }
}

fn damaged() -> Error {
    Error::msg("the index is damaged: it leads to places that are not there")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn posting(document: u32, positions: &[u32]) -> Posting {
        Posting { document, positions: positions.to_vec() }
    }

    fn sample() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes).expect("memory");
        writer.document("a.md", "A", 3, "one two one").expect("memory");
        writer.document("b.md", "B", 1, "two").expect("memory");
        writer.left_out([LeftOut { path: "c.png".to_owned(), why: "binary".to_owned() }]);
        writer.term(b"one", &[posting(0, &[0, 2])]).expect("in order");
        writer.term(b"two", &[posting(0, &[1]), posting(1, &[0])]).expect("in order");
        let written = writer.finish().expect("memory");
        assert_eq!((written.terms, written.bytes), (2, bytes.len() as u64));
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let mut segment = Segment::open(Cursor::new(sample())).expect("a segment");
        let at = segment.terms.get("two").expect("a term");
        assert_eq!(segment.body.postings(at).expect("postings"), [posting(0, &[1]), posting(1, &[0])]);
        let document = &segment.catalogue.documents[0];
        assert_eq!((document.path.as_str(), document.words), ("a.md", 3));
        assert_eq!(segment.body.text(document).expect("a text"), "one two one");
        assert_eq!(segment.catalogue.left_out[0].path, "c.png");
        assert_eq!(segment.terms.get("three"), None);
    }

    #[test]
    fn what_is_no_segment_is_refused() {
        let open = |bytes: &[u8]| Segment::open(Cursor::new(bytes.to_vec())).err().expect("refused").to_string();
        assert_eq!(open(b""), "this is no text index");
        assert_eq!(open(b"# Markdown, say"), "this is no text index");
        assert_eq!(open(b"WMTEXT99"), "the index has version 99, and this program reads 01");
        assert!(open(MAGIC).contains("damaged"));
    }

    #[test]
    fn a_damaged_segment_panics_nowhere() {
        let good = sample();
        for at in 0..good.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[at] ^= flip;
                visit(bytes);
            }
            visit(good[..at].to_vec());
        }
    }

    /// Reads all of it that can be read.
    fn visit(bytes: Vec<u8>) {
        let Ok(mut segment) = Segment::open(Cursor::new(bytes)) else { return };
        for document in &segment.catalogue.documents {
            let _ = segment.body.text(document);
        }
        for at in segment.terms.stream().into_values() {
            let _ = segment.body.postings(at);
        }
    }
}
