//! The slides of a note.
//!
//! Owns: where a slide begins, and what stands around the slides. Does not know: how parts become HTML (`note`, `output`).

use pulldown_cmark::{Event, HeadingLevel, Tag};

use crate::html::{Escaped, document};
use crate::note::{self, Note, Piece};

const STYLE: &str = include_str!("style/slides.css");
const SCRIPT: &str = include_str!("style/slides.js");

/// The slides in one file, which needs no other.
pub fn slides(course: &str, note: &Note<'_>) -> String {
    let title = note.title();
    let mut body = String::from("<body>\n");
    if !note.has_title() {
        body += &format!("<section class=\"slide\"><div><h1>{}</h1></div></section>\n", Escaped(&title));
    }
    for slide in cut(&note.pieces) {
        body += &format!("<section class=\"slide\"><div>\n{}</div></section>\n", note::to_html(slide));
    }
    body += &format!(
        "<nav><a href=\"page.html\">{}</a><button data-go=\"-1\" aria-label=\"Back\">‹</button><output></output>\
         <button data-go=\"1\" aria-label=\"Next\">›</button></nav>\n<script>\n{SCRIPT}</script>\n</body>\n",
        Escaped(&title)
    );
    document(&format!("{title} – {course}"), STYLE, &body)
}

/// The parts of each slide: those from a heading of the first or second level, or a rule, to the next.
fn cut<'a, 'b>(pieces: &'b [Piece<'a>]) -> Vec<Vec<&'b Piece<'a>>> {
    let mut slides = vec![Vec::new()];
    let mut depth = 0usize;
    for piece in pieces {
        let is_rule = matches!(piece, Piece::Markdown(Event::Rule));
        // Inside of a list or a quotation nothing is cut.
        if depth == 0 && (is_rule || begins_slide(piece)) {
            slides.push(Vec::new());
        }
        match piece {
            Piece::Markdown(Event::Start(_)) => depth += 1,
            Piece::Markdown(Event::End(_)) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if !(depth == 0 && is_rule) {
            slides.last_mut().into_iter().for_each(|slide| slide.push(piece));
        }
    }
    slides.retain(|slide| !slide.is_empty());
    slides
}

fn begins_slide(piece: &Piece<'_>) -> bool {
    let Piece::Markdown(Event::Start(Tag::Heading { level, .. })) = piece else { return false };
    matches!(level, HeadingLevel::H1 | HeadingLevel::H2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slides_begin_at_headings_and_rules() {
        let text = "# T\n\nx\n\n## A\n\n---\n\n- a\n\n  ---\n\n```js\n1\n```\n\n### B\n\n---\n\n---\n\nlast";
        let note = Note::parse("n", text);
        let slides: Vec<_> = cut(&note.pieces).into_iter().map(note::to_html).collect();
        assert_eq!(slides.len(), 4, "{slides:#?}");
        assert!(slides[0].contains(">T</h1>") && slides[1].contains(">A</h2>") && slides[3].contains("last"));
        assert!(slides[2].contains("<hr") && slides[2].contains("B</h3>") && slides[2].contains("class=\"cell\""));
    }

    #[test]
    fn a_note_without_anything_has_a_slide_with_its_name() {
        let html = super::slides("C", &Note::parse("a<b", ""));
        assert!(html.matches("class=\"slide\"").count() == 1 && html.contains("<h1>a&lt;b</h1>"));
    }
}
