//! A note: Markdown, with code that is run as cells.
//!
//! Owns: reading a note, its cells and what became of them, its title and headings. Does not know: how cells are run, what
//! a page or a slide looks like.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use crate::output::{self, CellResult};
use crate::{Section, math};

/// A note, as parts in their order.
pub struct Note<'a> {
    /// What the note is called in paths.
    pub name: &'a str,
    /// The parts.
    pub pieces: Vec<Piece<'a>>,
    /// What is wrong with the note as a whole.
    pub warnings: Vec<String>,
}

/// A part of a note.
pub enum Piece<'a> {
    /// Markdown as it is.
    Markdown(Event<'a>),
    /// Code that stands in a block of its own.
    Cell(Cell),
}

/// A block of JavaScript.
#[derive(Debug, PartialEq)]
pub struct Cell {
    /// The code.
    pub code: String,
    /// The note's line in which the code begins.
    pub line: usize,
    /// Words after the language.
    pub attributes: Vec<String>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a cell.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// It has not been run, as it has `no-run` or as that is yet to come.
    NotRun,
    /// It came to its end, or to an error.
    Ended(CellResult),
    /// It was stopped at a limit.
    Stopped,
    /// A cell before it did not come to its end.
    Skipped,
}

impl Cell {
    /// Whether only what it comes to is shown.
    pub fn is_hidden(&self) -> bool {
        self.has("hide")
    }

    /// Whether it is run.
    pub fn runs(&self) -> bool {
        !self.has("no-run")
    }

    fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|one| one == attribute)
    }
}

/// The text of a note, and whether all of it could be read.
pub fn decode(bytes: &[u8]) -> (String, bool) {
    let text = String::from_utf8_lossy(bytes);
    let is_utf8 = matches!(text, std::borrow::Cow::Borrowed(_));
    (text.trim_start_matches('\u{feff}').to_owned(), is_utf8)
}

impl<'a> Note<'a> {
    /// Reads a note.
    pub fn parse(name: &'a str, text: &'a str) -> Self {
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_TASKLISTS
            | Options::ENABLE_SMART_PUNCTUATION
            | Options::ENABLE_MATH
            | Options::ENABLE_GFM;
        let mut pieces = Vec::new();
        let mut events = Parser::new_ext(text, options).into_offset_iter();
        while let Some((event, range)) = events.next() {
            match attributes(&event) {
                Some(attributes) => {
                    pieces.push(Piece::Cell(cell(attributes, text, range, events.by_ref().map(|(event, _)| event))));
                }
                None => pieces.push(Piece::Markdown(event)),
            }
        }
        name_headings(&mut pieces);
        Self { name, pieces, warnings: Vec::new() }
    }

    /// Adds something that is wrong with the note as a whole.
    pub fn warn(&mut self, warning: &str) {
        self.warnings.push(warning.to_owned());
    }

    /// The code of the cells that are run.
    pub fn codes(&self) -> Vec<&str> {
        self.cells().filter(|cell| cell.runs()).map(|cell| cell.code.as_str()).collect()
    }

    /// Attributes of cells that mean nothing.
    pub fn unknown_attributes(&self) -> impl Iterator<Item = &str> {
        let all = self.cells().flat_map(|cell| &cell.attributes);
        all.map(String::as_str).filter(|attribute| !["hide", "no-run"].contains(attribute))
    }

    /// Gives each cell what it came to, and says how many did not come to their end.
    pub fn settle(&mut self, results: Vec<CellResult>) -> usize {
        let mut results = results.into_iter();
        let mut failed = 0;
        for piece in &mut self.pieces {
            let Piece::Cell(cell) = piece else { continue };
            if !cell.runs() {
                continue;
            }
            cell.outcome = match results.next() {
                Some(result) => {
                    failed += usize::from(result.error.is_some());
                    Outcome::Ended(result)
                }
                // Results end with the cell before the one that was stopped, or with an error.
                None if failed == 0 => {
                    failed += 1;
                    Outcome::Stopped
                }
                None => Outcome::Skipped,
            };
        }
        failed
    }

    /// Whether the note has a title of its own.
    pub fn has_title(&self) -> bool {
        headings(&self.pieces).any(|(_, level, _)| level == HeadingLevel::H1)
    }

    /// The first heading of the first level, or else the note's name.
    pub fn title(&self) -> String {
        let mut titles = headings(&self.pieces).filter(|(_, level, _)| *level == HeadingLevel::H1);
        titles.next().map_or_else(|| self.name.to_owned(), |(_, _, title)| title)
    }

    /// The headings of the second level.
    pub fn sections(&self) -> Vec<Section> {
        let sections = headings(&self.pieces).filter(|(_, level, _)| *level == HeadingLevel::H2);
        sections.map(|(at, _, title)| Section { title, id: heading_id(&self.pieces[at]) }).collect()
    }

    /// The first paragraph, as text alone.
    pub fn about(&self) -> String {
        let is_start = |piece: &Piece<'_>| matches!(piece, Piece::Markdown(Event::Start(Tag::Paragraph)));
        let begins = self.pieces.iter().position(is_start);
        begins.map_or_else(String::new, |at| text_until(&self.pieces[at..], TagEnd::Paragraph))
    }

    fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Cell(cell) => Some(cell),
            Piece::Markdown(_) => None,
        })
    }
}

/// Parts as HTML.
pub fn to_html<'a>(pieces: impl IntoIterator<Item = &'a Piece<'a>>) -> String {
    let events = pieces.into_iter().map(|piece| match piece {
        Piece::Cell(cell) => Event::Html(output::cell(cell).into()),
        Piece::Markdown(Event::InlineMath(latex)) => Event::InlineHtml(math::mathml(latex, false).into()),
        Piece::Markdown(Event::DisplayMath(latex)) => Event::InlineHtml(math::mathml(latex, true).into()),
        Piece::Markdown(event) => event.clone(),
    });
    let mut written = String::new();
    html::push_html(&mut written, events);
    written
}

/// The words after the language, if a cell begins here.
fn attributes(event: &Event<'_>) -> Option<Vec<String>> {
    let Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) = event else { return None };
    let mut words = info.split_whitespace().map(str::to_lowercase);
    let language = words.next()?;
    matches!(language.as_str(), "js" | "javascript").then(|| words.collect())
}

/// Reads a cell up to its end.
fn cell<'a>(attributes: Vec<String>, text: &str, at: Range<usize>, events: impl Iterator<Item = Event<'a>>) -> Cell {
    let mut code = String::new();
    for event in events {
        match event {
            Event::Text(part) => code.push_str(&part),
            Event::End(TagEnd::CodeBlock) => break,
            _ => {}
        }
    }
    // The line after the fence, which begins at `at`.
    let line = text[..at.start].matches('\n').count() + 2;
    Cell { code: code.trim_end().to_owned(), line, attributes, outcome: Outcome::NotRun }
}

/// Gives each heading an `id` that no other has.
fn name_headings(pieces: &mut [Piece<'_>]) {
    let mut taken = HashSet::new();
    let all: Vec<_> = headings(pieces).map(|(at, _, title)| (at, title)).collect();
    for (at, title) in all {
        let words = title.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
        let base = words.map(str::to_lowercase).collect::<Vec<_>>().join("-");
        let mut name = base.clone();
        let mut number = 2;
        while name.is_empty() || !taken.insert(name.clone()) {
            name = format!("{base}-{number}");
            number += 1;
        }
        if let Piece::Markdown(Event::Start(Tag::Heading { id, .. })) = &mut pieces[at] {
            *id = Some(name.into());
        }
    }
}

/// Where each heading begins, its level and its text.
fn headings(pieces: &[Piece<'_>]) -> impl Iterator<Item = (usize, HeadingLevel, String)> {
    pieces.iter().enumerate().filter_map(|(at, piece)| match piece {
        Piece::Markdown(Event::Start(Tag::Heading { level, .. })) => {
            Some((at, *level, text_until(&pieces[at..], TagEnd::Heading(*level))))
        }
        _ => None,
    })
}

fn heading_id(piece: &Piece<'_>) -> String {
    match piece {
        Piece::Markdown(Event::Start(Tag::Heading { id: Some(id), .. })) => id.to_string(),
        _ => String::new(),
    }
}

/// The text of parts up to an end.
fn text_until(pieces: &[Piece<'_>], end: TagEnd) -> String {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Markdown(Event::End(found)) if *found == end => break,
            Piece::Markdown(Event::Text(part) | Event::Code(part) | Event::InlineMath(part)) => text.push_str(part),
            Piece::Markdown(Event::SoftBreak | Event::HardBreak) => text.push(' '),
            _ => {}
        }
    }
    text
}
