//! The place of a text that shows best why it was found.
//!
//! Owns: which words are shown, and which of them are marked. Does not know: how marks look.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use wasmill_sdk::Schema;

use crate::words;

/// How many words a snippet has at most.
const WORDS_MAX: usize = 32;
/// How many of them stand before the first that was looked for.
const WORDS_BEFORE: usize = 6;
/// Where words are long, or a word is no word, this is enough. In bytes.
const BYTES_MAX: usize = 400;
/// What stands behind the last word of a text is shown if it is no longer. In bytes.
const REST_BYTES_MAX: usize = 4;

/// A part of a snippet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether it was looked for.
    pub hit: bool,
}

/// The words of a text that are those of a clause, and how much that clause says.
pub type Rows = (f64, Vec<Range<u32>>);

/// The snippet of a text, in which the clauses of a query are.
pub fn of(text: &str, clauses: &[Rows]) -> Vec<Piece> {
    let words: Vec<(usize, &str)> = words::words(text).collect();
    let is_hit = marked(words.len(), clauses);
    let start = best_start(clauses).saturating_sub(WORDS_BEFORE).min(words.len().saturating_sub(WORDS_MAX));
    let end = (start + WORDS_MAX).min(words.len());
    let mut pieces = Vec::new();
    let Some(shown) = words.get(start..end) else { return pieces };
    let Some((mut at, _)) = shown.first().copied() else { return pieces };
    let first = at;
    if start > 0 {
        push(&mut pieces, "… ", false);
    }
    for ((from, word), hit) in shown.iter().zip(&is_hit[start..end]) {
        if from + word.len() - first > BYTES_MAX && at > first {
            break;
        }
        // What stands between two words that are marked is marked with them.
        let was_hit = pieces.last().is_some_and(|piece: &Piece| piece.hit);
        push(&mut pieces, &text[at..*from], was_hit && *hit);
        push(&mut pieces, &text[*from..from + word.len()], *hit);
        at = from + word.len();
    }
    // A full stop, say, behind the last word of all.
    let rest = text[at..].trim_end();
    let is_end = words.last().is_some_and(|(from, word)| from + word.len() == at) && rest.len() <= REST_BYTES_MAX;
    push(&mut pieces, if is_end { rest } else { " …" }, false);
    pieces
}

/// Adds a text with each run of white space as one blank, to the last piece if that is marked alike.
fn push(pieces: &mut Vec<Piece>, text: &str, hit: bool) {
    for char in text.chars() {
        let char = if char.is_whitespace() || char.is_control() { ' ' } else { char };
        let is_after_blank = pieces.last().is_some_and(|piece| piece.text.ends_with(' '));
        match pieces.last_mut() {
            _ if char == ' ' && is_after_blank => {}
            Some(last) if last.hit == hit => last.text.push(char),
            _ => pieces.push(Piece { text: char.to_string(), hit }),
        }
    }
}

/// Which words were looked for.
fn marked(words: usize, clauses: &[Rows]) -> Vec<bool> {
    let mut marked = vec![false; words];
    for row in clauses.iter().flat_map(|(_, rows)| rows) {
        let (start, end) = (row.start as usize, (row.end as usize).min(words));
        if let Some(row) = marked.get_mut(start..end) {
            row.fill(true);
        }
    }
    marked
}

/// The start of the window whose clauses say most, of these the one with most rows, of these the first.
fn best_start(clauses: &[Rows]) -> usize {
    let mut rows: Vec<(u32, usize)> = Vec::new();
    for (clause, (_, starts)) in clauses.iter().enumerate() {
        rows.extend(starts.iter().map(|row| (row.start, clause)));
    }
    rows.sort_unstable();
    let width = (WORDS_MAX - WORDS_BEFORE) as u32;
    let mut inside = vec![0usize; clauses.len()];
    let mut end = 0;
    let mut best = (0.0, 0, 0);
    for (index, (start, clause)) in rows.iter().enumerate() {
        while let Some((_, entering)) = rows.get(end).filter(|(at, _)| at - start < width) {
            inside[*entering] += 1;
            end += 1;
        }
        let says: f64 =
            inside.iter().zip(clauses).map(|(count, (weight, _))| if *count > 0 { *weight } else { 0.0 }).sum();
        if (says, end - index) > (best.0, best.1) {
            best = (says, end - index, *start as usize);
        }
        inside[*clause] -= 1;
    }
    best.2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clauses' rows are given by their first words, and all have as many words.
    fn shown(text: &str, words: u32, clauses: &[&[u32]]) -> String {
        let rows = |starts: &&[u32]| (1.0, starts.iter().map(|start| *start..start + words).collect());
        let clauses: Vec<Rows> = clauses.iter().map(rows).collect();
        let piece = |piece: Piece| if piece.hit { format!("[{}]", piece.text) } else { piece.text };
        of(text, &clauses).into_iter().map(piece).collect()
    }

    #[test]
    fn a_short_text_is_shown_whole() {
        assert_eq!(shown("One two,\n\tthree.", 1, &[&[1]]), "One [two], three.");
        assert_eq!(shown("mill.toml it is", 2, &[&[0]]), "[mill.toml] it is");
        assert_eq!(shown("", 1, &[]), "");
        assert_eq!(shown("…", 1, &[&[]]), "");
    }

    #[test]
    fn the_place_with_most_of_the_query_is_shown() {
        let text: String = (0..200).map(|number| format!("w{number} ")).collect();
        let snippet = shown(&text, 1, &[&[3, 100], &[110], &[]]);
        assert!(snippet.starts_with("… w94 ") && snippet.ends_with(" w125 …"), "{snippet}");
        assert!(snippet.contains(" [w100] w101 ") && snippet.contains(" [w110] "), "{snippet}");
    }

    #[test]
    fn words_that_are_not_there_and_long_ones_do_no_harm() {
        assert_eq!(shown("a b", 2, &[&[7]]), "a b");
        let long = format!("{} end", "x".repeat(1000));
        assert!(shown(&long, 1, &[&[0]]).len() < 1020);
        let far = format!("a{}", " - ".repeat(1000));
        assert_eq!(shown(&far, 1, &[&[0]]), "[a] …");
    }
}
