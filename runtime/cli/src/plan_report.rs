//! Shows what is wrong with a plan, in the style of rustc: the message, the place in the text, a hint.
//!
//! Owns: how diagnostics look, and the counting of lines and columns. Does not know: what can be wrong with a plan,
//! where its text came from, or whether anybody sees colours.

use std::ops::Range;

use annotate_snippets::renderer::DEFAULT_TERM_WIDTH;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use wasmill_model::plan::{Diagnostic, Label};

/// A longer line is shown in part, around the place that is meant.
const LINE_BYTES_MAX: usize = 4 * DEFAULT_TERM_WIDTH;

/// How much is shown before and behind the place in a line that is shown in part.
const CONTEXT_BYTES: usize = DEFAULT_TERM_WIDTH / 3;

/// Places that lie further apart are shown by themselves, so that the text between them need not be looked at.
const WINDOW_BYTES_MAX: usize = 32 << 10;

/// Shows `diagnostics`, each with its place in `text`, and how many there are.
pub(crate) fn render(path_shown: &str, text: &str, diagnostics: &[Diagnostic], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut shown = String::new();
    for diagnostic in diagnostics {
        let message = printable(&diagnostic.message);
        let mut group = Group::with_title(Level::ERROR.primary_title(message));
        for window in windows(text, &diagnostic.labels) {
            let origin = Origin::path(printable(path_shown)).line(window.line).char_column(window.column);
            let annotations = window.labels.iter().map(|(kind, span, said)| {
                let said = (!said.is_empty()).then(|| printable(said));
                kind.span(span.clone()).label(said)
            });
            let snippet = Snippet::source(window.source).line_start(window.line_start).annotations(annotations);
            group = group.element(origin).element(snippet);
        }
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.message(printable(hint)));
        }
        shown.push_str(&renderer.render(&[group]));
        shown.push_str("\n\n");
    }
    let count = Level::ERROR.primary_title(count(diagnostics, path_shown));
    shown.push_str(&renderer.render(&[Group::with_title(count)]));
    shown.push('\n');
    shown
}

fn count(diagnostics: &[Diagnostic], path_shown: &str) -> String {
    let placed = diagnostics.iter().filter(|diagnostic| !diagnostic.labels.is_empty()).count();
    // The one without a place counts those that were left out.
    let more = if placed < diagnostics.len() { "more than " } else { "" };
    let noun = if placed == 1 { "error" } else { "errors" };
    format!("{more}{placed} {noun} in {}", printable(path_shown))
}

/// The line and column of a place in `text`, both from 1, columns in characters. A place behind the end counts as
/// the end, one inside a character as its start.
pub(crate) fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..text.floor_char_boundary(offset)).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

/// A part of the text that is shown, with the labels in it.
struct Window<'a> {
    /// What is shown.
    source: &'a str,
    /// The number of its first line.
    line_start: usize,
    /// Where its first label stands in the whole text.
    line: usize,
    column: usize,
    /// The labels, with their places in `source`.
    labels: Vec<(AnnotationKind, Range<usize>, &'a str)>,
}

/// One window over all labels where they lie close together, else one for each.
fn windows<'a>(text: &'a str, labels: &'a [Label]) -> Vec<Window<'a>> {
    let spans: Vec<_> = labels.iter().map(|label| on_one_line(text, &label.span)).collect();
    let lines: Vec<_> = spans.iter().map(|span| line_around(text, span.start)).collect();
    let start = lines.iter().map(|line| line.start).min().unwrap_or(0);
    let end = lines.iter().map(|line| line.end).max().unwrap_or(0);
    let all: Vec<_> = (labels.iter().zip(&spans).enumerate())
        .map(|(index, (label, span))| {
            let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            (kind, span.clone(), label.text.as_str())
        })
        .collect();
    let has_long_line = lines.iter().any(|line| line.len() > LINE_BYTES_MAX);
    if !has_long_line && end - start <= WINDOW_BYTES_MAX {
        return window(text, start..end, all).into_iter().collect();
    }
    let part = |((kind, span, said), line): ((_, Range<usize>, _), Range<usize>)| {
        let start = text.floor_char_boundary(span.start.saturating_sub(CONTEXT_BYTES).max(line.start));
        let end = text.ceil_char_boundary((span.start + 2 * CONTEXT_BYTES).min(line.end));
        let span = span.start..span.end.min(end);
        window(text, start..end, vec![(kind, span, said)])
    };
    all.into_iter().zip(lines).filter_map(part).collect()
}

fn window<'a>(
    text: &'a str,
    shown: Range<usize>,
    labels: Vec<(AnnotationKind, Range<usize>, &'a str)>,
) -> Option<Window<'a>> {
    let (_, first, _) = labels.first()?;
    let (line, column) = line_column(text, first.start);
    let (line_start, _) = line_column(text, shown.start);
    let inside = |(kind, span, said): (_, Range<usize>, _)| {
        (kind, span.start.saturating_sub(shown.start)..span.end.saturating_sub(shown.start), said)
    };
    let labels = labels.into_iter().map(inside).collect();
    Some(Window { source: text.get(shown.clone()).unwrap_or_default(), line_start, line, column, labels })
}

/// A span within the text, on the boundaries of characters, and cut off at the end of its first line: a table of a
/// hundred lines is known by its first.
fn on_one_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    let line = line_around(text, start);
    start..text.ceil_char_boundary(span.end).min(line.end).max(start)
}

/// The line that a place lies in, without its end.
fn line_around(text: &str, offset: usize) -> Range<usize> {
    let (before, after) = text.split_at(offset);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = after.find('\n').map_or(text.len(), |newline| offset + newline);
    let end = if end > offset && after[..end - offset].ends_with('\r') { end - 1 } else { end };
    start..end
}

/// A text without control characters: what comes out of a plan must not steer the terminal.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            shown.extend(char.escape_debug());
        } else {
            shown.push(char);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use wasmill_model::plan::{Format, parse};

    use super::*;

    fn report(text: &str) -> String {
        render("mill.toml", text, &parse(text, Format::Toml).unwrap_err(), false)
    }

    #[test]
    fn demo() {
        println!("{}", report("[modules.audit]\nfile = \"x\"\n\n[jobs.scan]\nmodul = \"audit\"\nin = { \"/in\" = { job = \"b\" } }\n\n\n\n\n\n[jobs.b]\nmodule = \"audit\"\nin = { \"/in\" = { job = \"scan\" } }\n"));
        println!("{}", report("name ="));
        println!("{}", report(&format!("a = {{ x = '{}' , \t b = 1 }}\nname\t=\t3\r\n", "é".repeat(50_000))));
        println!("{}", report(&format!("name='{}\\u0001'\n[jobs.a]\nmodule=1\nargs=[{}'{{y}}']", "y".repeat(100_000), "'x', ".repeat(50_000))));
        println!("{}", report(&format!("[modules.m]\nfile='a'\n[defaults]\nmodule='m'\n[jobs.a]\nsave={{x='t'}}\n{}[jobs.b]\nsave={{x='t/a'}}", "#comment\n".repeat(50_000))));
    }
}
