//! All answers together, for people and for programs.
//!
//! Owns: how they look. Does not know: how they were found. Texts are whatever the corpus has, so all of them go through
//! [`escape`] in HTML.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use wasmill_sdk::Schema;

use crate::query::{Answer, Hit};
use crate::segment::{LeftOut, Written};

const STYLE: &str = include_str!("page.css");

/// How many of the files that are left out the page names.
const LEFT_OUT_MAX: usize = 200;

/// What an index has in it.
#[derive(Debug, Default, Serialize, Deserialize, Schema)]
pub struct Contents {
    /// How many files can be searched.
    pub documents: u64,
    /// How many words these have together.
    pub words: u64,
    /// How many different words.
    pub terms: u64,
    /// The bytes of their texts, without markup.
    pub text_bytes: u64,
    /// The bytes of the index.
    pub index_bytes: u64,
    /// Which files cannot be searched.
    pub left_out: Vec<LeftOut>,
}

impl Contents {
    /// What was written.
    pub fn of(written: Written) -> Self {
        let documents = &written.catalogue.documents;
        Self {
            documents: documents.len() as u64,
            words: documents.iter().map(|document| u64::from(document.words)).sum(),
            terms: written.terms,
            text_bytes: documents.iter().map(|document| document.text_bytes).sum(),
            index_bytes: written.bytes,
            left_out: written.catalogue.left_out,
        }
    }
}

/// The index and what it was asked.
#[derive(Debug, Serialize)]
pub struct Page {
    /// What the index has in it.
    pub contents: Contents,
    /// The answers, in the order of their queries.
    pub answers: Vec<Answer>,
}

/// Answers in the order in which their queries stand in a text, one a line.
pub fn in_order(mut answers: Vec<Answer>, queries: &str) -> Vec<Answer> {
    let mut places = BTreeMap::new();
    for (place, line) in queries.lines().enumerate() {
        places.entry(line.trim()).or_insert(place);
    }
    answers.sort_by_key(|answer| places.get(answer.query.trim()).copied().unwrap_or(usize::MAX));
    answers
}

impl Page {
    /// For people with a terminal.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.summary());
        for (why, count) in self.reasons() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {count} left out: {why}");
        }
        for answer in &self.answers {
            let _ = write!(text, "\n{answer}");
        }
        text
    }

    fn summary(&self) -> String {
        let Contents { documents, words, terms, text_bytes, index_bytes, left_out } = &self.contents;
        format!(
            "{} of {} ({} different), {} of text; the index has {}; {} left out",
            counted(*documents, "document"),
            counted(*words, "word"),
            grouped(*terms),
            size(*text_bytes),
            size(*index_bytes),
            counted(left_out.len() as u64, "file"),
        )
    }

    /// Why files are left out, and how many for each reason.
    fn reasons(&self) -> BTreeMap<&str, u64> {
        let mut reasons = BTreeMap::new();
        for file in &self.contents.left_out {
            let (kind, _detail) = file.why.split_once(':').unwrap_or((&file.why, ""));
            *reasons.entry(kind).or_default() += 1;
        }
        reasons
    }

    /// For people with a browser: a page that needs no network and no other file.
    pub fn html(&self) -> String {
        let mut page = String::new();
        // Writing to a String cannot fail, so there is nothing to handle.
        let _ = self.write_html(&mut page);
        page
    }

    fn write_html(&self, page: &mut String) -> fmt::Result {
        write!(
            page,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>Answers</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Answers</h1>\n<p class=\"soft\">{}.</p>\n<nav>\n",
            escape(&self.summary())
        )?;
        for (number, answer) in (1..).zip(&self.answers) {
            writeln!(page, "<a href=\"#q{number}\">{}</a>", escape(&answer.query))?;
        }
        page.push_str("</nav>\n");
        for (number, answer) in (1..).zip(&self.answers) {
            write_answer(page, number, answer)?;
        }
        self.write_left_out(page)?;
        page.push_str("</main>\n</body>\n</html>\n");
        Ok(())
    }

    fn write_left_out(&self, page: &mut String) -> fmt::Result {
        let left_out = &self.contents.left_out;
        if left_out.is_empty() {
            return Ok(());
        }
        writeln!(page, "<details>\n<summary>{} left out</summary>\n<ul>", counted(left_out.len() as u64, "file"))?;
        for file in left_out.iter().take(LEFT_OUT_MAX) {
            writeln!(page, "<li><code>{}</code> {}</li>", escape(&file.path), escape(&file.why))?;
        }
        if left_out.len() > LEFT_OUT_MAX {
            writeln!(page, "<li>and {} more, in answers.json</li>", grouped((left_out.len() - LEFT_OUT_MAX) as u64))?;
        }
        page.push_str("</ul>\n</details>\n");
        Ok(())
    }
}

fn write_answer(page: &mut String, number: usize, answer: &Answer) -> fmt::Result {
    writeln!(page, "<section id=\"q{number}\">\n<h2>{}</h2>", escape(&answer.query))?;
    write!(page, "<p class=\"soft\">{}", counted(answer.documents, "document"))?;
    for found in &answer.clauses {
        let (clause, count) = (escape(&found.clause), grouped(found.documents));
        write!(page, " <span class=\"chip\">{clause} <b>{count}</b></span>")?;
    }
    page.push_str("</p>\n<ol>\n");
    for hit in &answer.hits {
        write_hit(page, hit)?;
    }
    page.push_str("</ol>\n</section>\n");
    Ok(())
}

fn write_hit(page: &mut String, hit: &Hit) -> fmt::Result {
    let (title, path, score) = (escape(&hit.title), escape(&hit.path), hit.score);
    write!(page, "<li><b>{title}</b> <code>{path}</code> <span class=\"score\">{score:.2}</span><p>")?;
    for piece in &hit.snippet {
        let text = escape(&piece.text);
        if piece.hit {
            write!(page, "<mark>{text}</mark>")?;
        } else {
            page.push_str(&text);
        }
    }
    page.push_str("</p></li>\n");
    Ok(())
}

/// A text so that HTML takes it for text.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// So many of something.
fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// A number with a blank between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snippet::Piece;

    fn answer(query: &str) -> Answer {
        let snippet =
            vec![Piece { text: "<b>".to_owned(), hit: true }, Piece { text: " & more".to_owned(), hit: false }];
        let hits = vec![Hit { path: "a\"b".to_owned(), title: "<i>".to_owned(), score: 1.5, snippet }];
        Answer { query: query.to_owned(), clauses: Vec::new(), documents: 1, hits }
    }

    fn page() -> Page {
        let left_out = |path: &str, why: &str| LeftOut { path: path.to_owned(), why: why.to_owned() };
        let left_out =
            vec![left_out("a", "not UTF-8: byte 3"), left_out("b", "not UTF-8: byte 17"), left_out("c", "x: y")];
        Page { contents: Contents { words: 1_234_567, left_out, ..Contents::default() }, answers: vec![answer("<q>")] }
    }

    #[test]
    fn nothing_of_the_corpus_is_markup() {
        let html = page().html();
        assert!(html.contains("<mark>&lt;b&gt;</mark> &amp; more") && html.contains("a&quot;b"), "{html}");
        for raw in ["<q>", "<i>", "a\"b"] {
            assert!(!html.contains(raw), "{raw} is in the page");
        }
    }

    #[test]
    fn reasons_are_counted() {
        let text = page().text();
        assert!(text.contains("of 1 234 567 words"), "{text}");
        assert!(text.contains("  2 left out: not UTF-8\n  1 left out: x\n"), "{text}");
        assert!(text.contains("«<b>» & more"), "{text}");
    }

    #[test]
    fn answers_stand_as_they_were_asked() {
        let sorted = in_order(["a", "b", "c"].map(answer).into(), " c\n\nb \nc\n");
        assert_eq!(sorted.iter().map(|answer| answer.query.as_str()).collect::<Vec<_>>(), ["c", "b", "a"]);
    }

    #[test]
    fn numbers_can_be_read() {
        assert_eq!([0, 999, 1000, 12_345_678].map(grouped), ["0", "999", "1 000", "12 345 678"]);
        assert_eq!([counted(1, "word"), counted(2000, "word")], ["1 word", "2 000 words"]);
        assert_eq!([17, 1536, 3 << 20].map(size), ["17 B", "1.5 KiB", "3.0 MiB"]);
    }
}
