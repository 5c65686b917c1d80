//! Making segments: one of the files of a shard, and one of several segments.
//!
//! Owns: which document gets which number, and the order of terms. Does not know: the format.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use fst::Streamer as _;
use fst::map::OpBuilder;
use wasmill_sdk::prelude::*;

use crate::document::{self, Read};
use crate::segment::{LeftOut, Posting, Segment, Writer, Written};
use crate::words;

/// Longer words are not indexed: they are data rather than words.
pub const TERM_BYTES_MAX: usize = 64;

/// Makes a segment of the files below a directory.
pub fn shard(files: &Dir, out: impl Write) -> Result<Written> {
    let mut writer = Writer::new(out)?;
    let mut terms: BTreeMap<String, Vec<Posting>> = BTreeMap::new();
    let files = files.walk().collect::<Result<Vec<_>>>()?;
    let mut documents = 0;
    for (done, file) in files.iter().enumerate() {
        progress(done as u64, files.len() as u64);
        let path = file.relative();
        match document::read(path, file.file().read()?) {
            Ok(Read { title, text }) => {
                let words = note_words(&mut terms, documents, &text);
                writer.document(path, &title, words, &text)?;
                documents += 1;
            }
            Err(why) => {
                log::debug!("`{path}` is left out: {why}");
                writer.left_out([LeftOut { path: path.to_owned(), why }]);
            }
        }
    }
    for (term, postings) in &terms {
        writer.term(term.as_bytes(), postings)?;
    }
    writer.finish()
}

/// Notes where the words of a document are, and says how many it has.
fn note_words(terms: &mut BTreeMap<String, Vec<Posting>>, document: u32, text: &str) -> u32 {
    let mut count = 0;
    for (position, (_, word)) in (0..).zip(words::words(text)) {
        count = position + 1;
        let term = words::fold(word);
        if term.len() > TERM_BYTES_MAX {
            continue;
        }
        // Most words are known: only new ones need memory of their own.
        if !terms.contains_key(term.as_ref()) {
            terms.insert(term.clone().into_owned(), Vec::new());
        }
        let Some(postings) = terms.get_mut(term.as_ref()) else { continue };
        match postings.last_mut().filter(|last| last.document == document) {
            Some(posting) => posting.positions.push(position),
            None => postings.push(Posting { document, positions: vec![position] }),
        }
    }
    count
}

/// Makes one segment of several. The documents of each follow those of the one before.
pub fn merge(segments: Vec<Vec<u8>>, left_out: Vec<LeftOut>, out: impl Write) -> Result<Written> {
    let mut writer = Writer::new(out)?;
    writer.left_out(left_out);
    let mut terms = Vec::new();
    let mut bodies = Vec::new();
    let mut documents = 0;
    for segment in segments {
        let mut segment = Segment::open(Cursor::new(segment))?;
        for document in &segment.catalogue.documents {
            writer.packed_document(document, &segment.body.packed(document)?)?;
        }
        bodies.push((segment.body, documents));
        documents += u32::try_from(segment.catalogue.documents.len())?;
        writer.left_out(segment.catalogue.left_out);
        terms.push(segment.terms);
    }
    let mut union = terms.iter().fold(OpBuilder::new(), |all, terms| all.add(terms)).union();
    while let Some((term, places)) = union.next() {
        let mut places = places.to_vec();
        places.sort_by_key(|place| place.index);
        let mut postings = Vec::new();
        for place in places {
            let Some((body, first)) = bodies.get_mut(place.index) else { continue };
            let shifted = body.postings(place.value)?.into_iter();
            postings.extend(
                shifted.map(|posting| Posting { document: posting.document.saturating_add(*first), ..posting }),
            );
        }
        writer.term(term, &postings)?;
    }
    writer.finish()
}
