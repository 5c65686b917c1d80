//! The page of a note.
//!
//! Owns: what stands around the note. Does not know: how its parts become HTML (`note`, `output`).

use crate::html::{Escaped, document};
use crate::note::{self, Note};

const STYLE: &str = include_str!("style/page.css");

/// The page, which needs no other file. Printed, it is a document with page numbers.
pub fn page(course: &str, note: &Note<'_>) -> String {
    let title = note.title();
    let mut body = format!(
        "<body>\n<nav><a href=\"../index.html\">{}</a><a href=\"slides.html\">Slides</a></nav>\n<main>\n",
        Escaped(course)
    );
    for warning in &note.warnings {
        body += &format!("<p class=\"error\">{}</p>\n", Escaped(warning));
    }
    if !note.has_title() {
        body += &format!("<h1>{}</h1>\n", Escaped(&title));
    }
    body += &note::to_html(&note.pieces);
    body += "</main>\n</body>\n";
    document(&format!("{title} – {course}"), STYLE, &body)
}
