//! Answering a query.
//!
//! Owns: what a query means, and which documents answer it best. Does not know: how the index is stored.
//!
//! A query is words and phrases, none of which must be there: a document scores for each that it has, by BM25, and twice
//! as much for what is in its title too. What stands between blanks and has several words (`mill.toml`), or stands in
//! quotation marks, is a phrase. `*` at the end of a word stands for any rest of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Seek};
use std::ops::Range;

use fst::automaton::{Automaton as _, Str};
use fst::{IntoStreamer as _, Streamer as _};
use wasmill_sdk::prelude::*;

use crate::document::one_line;
use crate::segment::{Document, Segment};
use crate::snippet::{self, Piece};
use crate::words;

/// How many documents an answer names.
const HITS_MAX: usize = 10;

/// BM25's usual constants: how soon a word's repetition stops to count, and how much long documents are held back.
const K1: f64 = 1.2;
const B: f64 = 0.75;
/// How much more a word is worth that the title has too.
const IN_TITLE: f64 = 2.0;

/// What a query comes to.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub struct Answer {
    /// The query as it was asked.
    pub query: String,
    /// What is looked for, each once.
    pub clauses: Vec<Found>,
    /// How many documents have any of it.
    pub documents: u64,
    /// The best of them, best first.
    pub hits: Vec<Hit>,
}

/// A word or phrase of a query.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub struct Found {
    /// It as it was understood.
    pub clause: String,
    /// How many documents have it.
    pub documents: u64,
}

/// A document that answers a query.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub struct Hit {
    /// Its path below the corpus.
    pub path: String,
    /// What it is called.
    pub title: String,
    /// How well it answers; scores of different queries cannot be compared.
    pub score: f64,
    /// The place that has most of the query, in pieces.
    pub snippet: Vec<Piece>,
}

/// Words in a row.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Clause(Vec<Part>);

/// A word that is looked for.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    term: String,
    /// Whether it is the beginning of words.
    is_prefix: bool,
}

impl fmt::Display for Clause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> =
            self.0.iter().map(|part| format!("{}{}", part.term, if part.is_prefix { "*" } else { "" })).collect();
        match parts.as_slice() {
            [one] => formatter.write_str(one),
            several => write!(formatter, "\"{}\"", several.join(" ")),
        }
    }
}

impl Clause {
    /// Whether some words in a row are those of the clause.
    fn is_in(&self, words: &[Cow<'_, str>]) -> bool {
        words.windows(self.0.len()).any(|row| row.iter().zip(&self.0).all(|(word, part)| part.is(word)))
    }
}

impl Part {
    fn is(&self, word: &str) -> bool {
        if self.is_prefix { word.starts_with(&self.term) } else { word == self.term }
    }
}

/// What a query asks for.
fn parse(query: &str) -> Vec<Clause> {
    let mut clauses: Vec<Clause> = Vec::new();
    for (index, piece) in query.split('"').enumerate() {
        let is_quoted = index % 2 == 1;
        let chunks = if is_quoted { vec![piece] } else { piece.split_whitespace().collect() };
        for chunk in chunks {
            let parts = words::words(chunk).map(|(start, word)| Part {
                term: words::fold(word).into_owned(),
                is_prefix: chunk[start + word.len()..].starts_with('*'),
            });
            let clause = Clause(parts.collect());
            if !clause.0.is_empty() && !clauses.contains(&clause) {
                clauses.push(clause);
            }
        }
    }
    clauses
}

/// Where something starts, by document.
type Places = BTreeMap<u32, Vec<u32>>;

/// Where a word is, or all that it is the beginning of.
fn part_places<R: Read + Seek>(segment: &mut Segment<R>, part: &Part) -> Result<Places> {
    let mut starts = Vec::new();
    if part.is_prefix {
        let mut terms = segment.terms.search(Str::new(&part.term).starts_with()).into_stream();
        while let Some((_, start)) = terms.next() {
            starts.push(start);
        }
    } else {
        starts.extend(segment.terms.get(&part.term));
    }
    let is_one = starts.len() == 1;
    let mut places = Places::new();
    for start in starts {
        for posting in segment.body.postings(start)? {
            places.entry(posting.document).or_default().extend(posting.positions);
        }
    }
    if !is_one {
        places.values_mut().for_each(|positions| positions.sort_unstable());
    }
    Ok(places)
}

/// Where the words of a clause are in a row.
fn clause_places<R: Read + Seek>(segment: &mut Segment<R>, clause: &Clause) -> Result<Places> {
    let mut rows: Option<Places> = None;
    for (offset, part) in (0u32..).zip(&clause.0) {
        let places = part_places(segment, part)?;
        rows = Some(match rows {
            None => places,
            Some(mut rows) => {
                rows.retain(|document, starts| {
                    let next = places.get(document).map_or(&[] as &[u32], Vec::as_slice);
                    starts.retain(|start| {
                        start.checked_add(offset).is_some_and(|position| next.binary_search(&position).is_ok())
                    });
                    !starts.is_empty()
                });
                rows
            }
        });
    }
    Ok(rows.unwrap_or_default())
}

/// Answers a query.
pub fn answer<R: Read + Seek>(segment: &mut Segment<R>, query: String) -> Result<Answer> {
    let mut looked_for = Vec::new();
    for clause in parse(&query) {
        let places = clause_places(segment, &clause)?;
        // How much it says that a document has it: BM25's inverse document frequency.
        let (all, with) = (segment.catalogue.documents.len() as f64, places.len() as f64);
        let weight = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
        looked_for.push(LookedFor { clause, places, weight });
    }
    let scores = scores(&segment.catalogue.documents, &looked_for)?;
    let mut ranked: Vec<_> = scores.iter().map(|(number, (document, score))| (*number, *document, *score)).collect();
    ranked
        .sort_by(|(_, one, first), (_, other, second)| second.total_cmp(first).then_with(|| one.path.cmp(&other.path)));
    let mut hits = Vec::new();
    for (number, document, score) in ranked.into_iter().take(HITS_MAX) {
        let text = segment.body.text(document)?;
        let rows: Vec<_> = looked_for.iter().map(|one| (one.weight, one.rows_in(number))).collect();
        let (path, title) = (document.path.clone(), document.title.clone());
        hits.push(Hit { path, title, score, snippet: snippet::of(&text, &rows) });
    }
    let found = looked_for
        .iter()
        .map(|one| Found { clause: one.clause.to_string(), documents: one.places.len() as u64 })
        .collect();
    Ok(Answer { clauses: found, documents: scores.len() as u64, hits, query })
}

/// A clause, and where it is.
struct LookedFor {
    clause: Clause,
    places: Places,
    weight: f64,
}

impl LookedFor {
    /// The words of a document that are those of the clause.
    fn rows_in(&self, document: u32) -> Vec<Range<u32>> {
        let starts = self.places.get(&document).map_or(&[] as &[u32], Vec::as_slice);
        starts.iter().map(|start| *start..start.saturating_add(self.clause.0.len() as u32)).collect()
    }
}

/// What each document scores that has any of what is looked for.
fn scores<'a>(documents: &'a [Document], looked_for: &[LookedFor]) -> Result<BTreeMap<u32, (&'a Document, f64)>> {
    let words: u64 = documents.iter().map(|document| u64::from(document.words)).sum();
    let average = words as f64 / documents.len().max(1) as f64;
    let mut scores = BTreeMap::new();
    for LookedFor { clause, places, weight } in looked_for {
        for (number, positions) in places {
            let Some(document) = documents.get(*number as usize) else {
                bail!("the index is damaged: it has no document {number}");
            };
            let count = positions.len() as f64;
            let length = f64::from(document.words) / average;
            let mut score = weight * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length));
            let title: Vec<_> = words::words(&document.title).map(|(_, word)| words::fold(word)).collect();
            if clause.is_in(&title) {
                score *= IN_TITLE;
            }
            scores.entry(*number).or_insert((document, 0.0)).1 += score;
        }
    }
    Ok(scores)
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", one_line(&self.query))?;
        let clauses: Vec<_> =
            self.clauses.iter().map(|found| format!("{} in {}", found.clause, found.documents)).collect();
        match (clauses.as_slice(), self.documents) {
            ([], _) => writeln!(formatter, "  there are no words in it")?,
            (_, 1) => writeln!(formatter, "  1 document; {}", clauses.join(", "))?,
            (_, count) => writeln!(formatter, "  {count} documents; {}", clauses.join(", "))?,
        }
        for (rank, hit) in (1..).zip(&self.hits) {
            writeln!(formatter, "\n  {rank:>2}. {}   {:.2}\n      {}", hit.title, hit.score, one_line(&hit.path))?;
            let pieces = hit.snippet.iter();
            let marked = pieces.map(|piece| if piece.hit { format!("«{}»", piece.text) } else { piece.text.clone() });
            writeln!(formatter, "      {}", marked.collect::<String>())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::build;

    /// An index of some documents, each in the shard that its path begins with.
    fn index(documents: &[(&str, &str)]) -> Segment<Cursor<Vec<u8>>> {
        let root = tempfile::tempdir().expect("a temporary directory");
        for (path, text) in documents {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let mut segments = Vec::new();
        for shard in Dir::new(root.path()).entries().expect("readable") {
            let mut segment = Vec::new();
            build::shard(&shard.dir(), &mut segment).expect("a segment");
            segments.push(segment);
        }
        let mut merged = Vec::new();
        build::merge(segments, Vec::new(), &mut merged).expect("a segment");
        Segment::open(Cursor::new(merged)).expect("a segment")
    }

    fn sample() -> Segment<Cursor<Vec<u8>>> {
        index(&[
            ("0/a.md", "# Fuel\n\nThe fuel limit. Fuel is counted: the limit of fuel."),
            ("0/b.txt", "A limit, as in mill.toml, for for each job, is caused by its cause."),
            ("1/c.txt", "Nothing of this is it; it has the most words of them all, and a limit far from fuel."),
            ("1/d.txt", "each for"),
        ])
    }

    fn ask(query: &str) -> Answer {
        answer(&mut sample(), query.to_owned()).expect("an answer")
    }

    fn paths(query: &str) -> Vec<String> {
        ask(query).hits.into_iter().map(|hit| hit.path).collect()
    }

    #[test]
    fn queries_are_words_phrases_and_beginnings() {
        let parsed = |query: &str| parse(query).iter().map(Clause::to_string).collect::<Vec<_>>();
        assert_eq!(parsed("Fuel FUEL caus* --jobs"), ["fuel", "caus*", "jobs"]);
        assert_eq!(parsed("mill.toml \"a  Word*\" b"), ["\"mill toml\"", "\"a word*\"", "b"]);
        assert_eq!(parsed("\"not ended"), ["\"not ended\""]);
        for nothing in ["", " ", "*", "\"\"", "\"", "-- …"] {
            assert!(parsed(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn documents_are_found_and_ranked() {
        assert_eq!(paths("fuel"), ["a.md", "c.txt"]);
        assert_eq!(paths("FUEL limit"), ["a.md", "c.txt", "b.txt"]);
        assert_eq!(paths("\"fuel limit\""), ["a.md"]);
        assert_eq!(paths("for-each"), ["b.txt"]);
        assert_eq!(paths("mill.toml"), ["b.txt"]);
        assert_eq!(paths("unicorn"), [] as [&str; 0]);
        assert_eq!(paths("***"), [] as [&str; 0]);
    }

    #[test]
    fn beginnings_stand_for_all_their_words() {
        let answer = ask("caus*");
        assert_eq!((answer.clauses[0].clause.as_str(), answer.clauses[0].documents), ("caus*", 1));
        let marked: Vec<_> = answer.hits[0].snippet.iter().filter(|piece| piece.hit).map(|piece| &piece.text).collect();
        assert_eq!(marked, ["caused", "cause"]);
        assert!(paths("unic*").is_empty());
        assert_eq!(paths("\"fuel lim*\""), ["a.md"]);
    }

    #[test]
    fn scores_are_those_of_bm25() {
        // `for` is in two of four documents, twice in the 15 words of `b.txt`.
        let words: u32 = sample().catalogue.documents.iter().map(|document| document.words).sum();
        let answer = ask("for");
        let hit = answer.hits.iter().find(|hit| hit.path == "b.txt").expect("found");
        let length = 15.0 / (f64::from(words) / 4.0);
        let expected = 2.0_f64.ln() * 2.0 * 2.2 / (2.0 + 1.2 * (0.25 + 0.75 * length));
        assert!((hit.score - expected).abs() < 1e-12, "{} is not {expected}", hit.score);
    }

    #[test]
    fn an_empty_index_answers_nothing() {
        let answer = answer(&mut index(&[]), "fuel".to_owned()).expect("an answer");
        assert_eq!((answer.documents, answer.clauses[0].documents, answer.hits.len()), (0, 0, 0));
    }
}
