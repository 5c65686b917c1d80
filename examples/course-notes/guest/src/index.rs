//! The page that lists all notes.
//!
//! Owns: what it says of each. Does not know: the notes themselves.

use std::fmt::Write as _;

use crate::Summary;
use crate::html::{Escaped, document, in_link};

const STYLE: &str = include_str!("style/index.css");

/// The page, whose links lead to the folders of the notes beside it.
pub fn index(course: &str, notes: &[Summary]) -> String {
    let mut body = format!("<body>\n<main>\n<h1>{}</h1>\n", Escaped(course));
    if notes.is_empty() {
        body += "<p>There are no notes yet.</p>\n";
    }
    body += "<ol>\n";
    for note in notes {
        let folder = in_link(&note.name);
        let (title, about) = (Escaped(&note.title), Escaped(&note.about));
        let _ = writeln!(body, "<li>\n<h2><a href=\"{folder}/page.html\">{title}</a></h2>\n<p>{about}</p>");
        if !note.sections.is_empty() {
            body += "<p class=\"sections\">";
            for (at, section) in note.sections.iter().enumerate() {
                let (between, id, title) =
                    (if at > 0 { " · " } else { "" }, in_link(&section.id), Escaped(&section.title));
                let _ = write!(body, "{between}<a href=\"{folder}/page.html#{id}\">{title}</a>");
            }
            body += "</p>\n";
        }
        let _ = write!(body, "<p class=\"also\"><a href=\"{folder}/slides.html\">Slides</a>");
        if note.failed > 0 {
            body += " <span class=\"failed\">A cell did not come to its end</span>";
        }
        body += "</p>\n</li>\n";
    }
    body += "</ol>\n</main>\n</body>\n";
    document(course, STYLE, &body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Section;

    #[test]
    fn every_note_is_listed() {
        let sections = vec![Section { title: "A & B".into(), id: "ä-b".into() }];
        let (name, title, about) = ("1 Ä".to_owned(), "<T>".to_owned(), "x".to_owned());
        let html = index("C", &[Summary { name, title, about, sections, failed: 1 }]);
        assert!(html.contains("<a href=\"1%20%C3%84/page.html\">&lt;T&gt;</a>"), "{html}");
        assert!(html.contains("#%C3%A4-b\">A &amp; B</a>") && html.contains("did not come to its end"), "{html}");
        assert!(index("C", &[]).contains("no notes yet"));
    }
}
