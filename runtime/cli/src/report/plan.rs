//! Shows what is wrong with a plan, in the style of rustc: the message, the place in the text, a hint.
//!
//! Owns: how diagnostics look, and the counting of lines and columns. Does not know: what can be wrong with a plan,
//! where its text came from, or whether anybody sees colours.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use wasmill_model::plan::{Diagnostic, Label};

use super::text::is_harmful;

/// How much text is looked at to show a place: 100 diagnostics in one line of 256 KiB take 0.15 s.
/// Places further apart are shown one by one, and of a longer line nothing is shown but the number and the column.
const SHOWN_BYTES_MAX: usize = 256 << 10;

/// Shows `diagnostics`, each with its place in `text`, and how many there are; ends with a newline.
pub(crate) fn render(path_shown: &str, text: &str, diagnostics: &[Diagnostic], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let path = printable(path_shown);
    let mut shown = String::new();
    for diagnostic in diagnostics {
        let title = Level::ERROR.primary_title(printable(&diagnostic.message));
        let mut group = places(Group::with_title(title), &path, text, &diagnostic.labels);
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.message(printable(hint)));
        }
        shown.push_str(&renderer.render(&[group]));
        shown.push_str("\n\n");
    }
    let count = Level::ERROR.primary_title(count(diagnostics, &path));
    shown.push_str(&renderer.render(&[Group::with_title(count)]));
    shown.push('\n');
    shown
}

/// The line and column of a place in `text`, both from 1, columns in characters. A place behind the end counts as
/// the end, one inside a character as its start.
pub(crate) fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let (before, _) = text.split_at(text.floor_char_boundary(offset));
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let (_, in_line) = before.split_at(line_start);
    (line, in_line.chars().count() + 1)
}

fn count(diagnostics: &[Diagnostic], path: &str) -> String {
    let placed = diagnostics.iter().filter(|diagnostic| !diagnostic.labels.is_empty()).count();
    // The one without a place counts those that were left out.
    let more = if placed < diagnostics.len() { "more than " } else { "" };
    let noun = if placed == 1 { "error" } else { "errors" };
    format!("{more}{placed} {noun} in {path}")
}

/// Adds the places of `labels`, together where they lie close to each other.
fn places<'a>(group: Group<'a>, path: &'a str, text: &'a str, labels: &'a [Label]) -> Group<'a> {
    let spans = labels.iter().map(|label| on_one_line(text, &label.span));
    let lines: Vec<_> = spans.clone().map(|span| line_around(text, span.start)).collect();
    let kinds = std::iter::once(AnnotationKind::Primary).chain(std::iter::repeat(AnnotationKind::Context));
    let annotations = labels.iter().zip(spans).zip(kinds).map(|((label, span), kind)| (label, span, kind));

    let start = lines.iter().map(|line| line.start).min().unwrap_or(0);
    let end = lines.iter().map(|line| line.end).max().unwrap_or(0);
    if end - start <= SHOWN_BYTES_MAX {
        let annotations = annotations.map(|(label, span, kind)| annotation(label, &span, kind, start));
        return match labels {
            [] => group,
            _ => group.element(snippet(path, text, &(start..end)).annotations(annotations)),
        };
    }
    annotations.zip(&lines).fold(group, |group, ((label, span, kind), line)| {
        if line.len() <= SHOWN_BYTES_MAX {
            return group.element(snippet(path, text, line).annotation(annotation(label, &span, kind, line.start)));
        }
        let (line, column) = line_column(text, span.start);
        let group = group.element(Origin::path(path).line(line).char_column(column));
        if label.text.is_empty() { group } else { group.element(Level::NOTE.message(printable(&label.text))) }
    })
}

fn snippet<'a>(path: &'a str, text: &'a str, lines: &Range<usize>) -> Snippet<'a, Annotation<'a>> {
    let (line_start, _) = line_column(text, lines.start);
    Snippet::source(text.get(lines.clone()).unwrap_or_default()).path(path).line_start(line_start)
}

fn annotation<'a>(label: &'a Label, span: &Range<usize>, kind: AnnotationKind, start: usize) -> Annotation<'a> {
    let said = (!label.text.is_empty()).then(|| printable(&label.text));
    kind.span(span.start - start..span.end - start).label(said)
}

/// A span within the text, on the boundaries of characters, and cut off at the end of its first line: a table of a
/// hundred lines is known by its first.
fn on_one_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end).min(line_around(text, start).end);
    start..end.max(start)
}

/// The line that a place lies in, with neither its end nor what is left of that.
fn line_around(text: &str, offset: usize) -> Range<usize> {
    let (before, after) = text.split_at(offset);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let rest = after.split('\n').next().unwrap_or(after);
    let rest = rest.strip_suffix('\r').unwrap_or(rest);
    start..offset + rest.len()
}

/// A text without control characters: what comes out of a plan must not steer the terminal.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if is_harmful(char) {
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
    fn an_error_has_its_message_its_place_and_a_hint() {
        let text = "[modules.audit]\ncrate = \"guest\"\n\n[jobs.scan]\nmodul = \"audit\"\nlimits = { fuel = 0.5 }\n";
        assert_eq!(
            report(text),
            "\
error: unknown key `modul` in job `scan`
 --> mill.toml:5:1
  |
5 | modul = \"audit\"
  | ^^^^^
  |
  = help: did you mean `module`?

error: `fuel` in `limits` in job `scan` must be a whole number, not a fraction
 --> mill.toml:6:19
  |
6 | limits = { fuel = 0.5 }
  |                   ^^^ this is a fraction

error: 2 errors in mill.toml
"
        );
    }

    #[test]
    fn several_places_are_shown_in_one_picture() {
        let text = "[modules.m]\nfile = \"m.wasm\"\n[defaults]\nmodule = \"m\"\n[jobs.a]\nin = { \"/in\" = { job = \"b\" } }\n\
                    # 1\n# 2\n# 3\n# 4\n[jobs.b]\nin = { \"/in\" = { job = \"a\" } }\n";
        assert_eq!(
            report(text),
            "\
error: jobs need each other in a circle: `a` -> `b` -> `a`
  --> mill.toml:6:24
   |
 6 | in = { \"/in\" = { job = \"b\" } }
   |                        ^^^ `a` needs `b`
...
12 | in = { \"/in\" = { job = \"a\" } }
   |                        --- `b` needs `a`

error: 1 error in mill.toml
"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("[jobs.a]\nargs = [{}1, {}]\n", "'x', ".repeat(20_000), "'y', ".repeat(20_000));
        let shown = report(&text);
        assert!(shown.contains(" --> mill.toml:2:100009\n"), "{shown}");
        assert!(shown.contains("'x', 'x', 1, 'y', 'y', "), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 160), "{shown}");
    }

    #[test]
    fn of_a_huge_line_only_the_place_is_shown() {
        let text = format!("[jobs.a]\nargs = [{}1]\n", "'x', ".repeat(200_000));
        assert_eq!(
            report(&text),
            "\
error: job `a` has no `module`
 --> mill.toml:1:7
  |
1 | [jobs.a]
  |       ^
  |
  = help: give it one, or give one to all jobs under `[defaults]`

error: an item of `args` in job `a` must be a string, not a whole number
--> mill.toml:2:1000009
 = note: this is a whole number

error: 2 errors in mill.toml
"
        );
    }

    #[test]
    fn places_that_lie_far_apart_are_shown_one_by_one() {
        let text = format!(
            "[modules.m]\nfile='m'\n[defaults]\nmodule='m'\n[jobs.a]\nsave={{x='t'}}\n{}[jobs.b]\nsave={{x='t/a'}}",
            "# comment\n".repeat(50_000)
        );
        assert_eq!(
            report(&text),
            "\
error: job `b` saves to `t/a` inside `t`
     --> mill.toml:50008:9
      |
50008 | save={x='t/a'}
      |         ^^^^^
      |
     ::: mill.toml:6:9
      |
    6 | save={x='t'}
      |         --- job `a` saves here too

error: 1 error in mill.toml
"
        );
    }

    #[test]
    fn what_comes_out_of_a_plan_does_not_steer_the_terminal() {
        let shown = render(
            "a\u{1b}[2Jb",
            "\"\\u001b[31m\" = 1\nname = \"\u{7f}\u{1b}[31m\"",
            &[Diagnostic::new("a \u{1b}[31m b", 20..28).saying("\u{7}").hint("c\rd\u{202e}e")],
            false,
        );
        assert!(!shown.contains(|char: char| is_harmful(char)), "{shown:?}");
    }

    #[test]
    fn any_place_can_be_shown() {
        for text in ["", "é", "é\r\né", "\n\n", "a\tb\r\n\tc"] {
            for start in 0..text.len() + 2 {
                for end in 0..text.len() + 3 {
                    let diagnostics = [Diagnostic::new("x", start..end).and_at(end..start, "y")];
                    assert!(render("p", text, &diagnostics, true).contains("1 error in p"));
                }
            }
        }
    }

    #[test]
    fn errors_that_were_left_out_are_counted() {
        let text = format!("[modules.m]\nfile='m'\n[jobs.a]\nmodule='m'\nargs = [{}]\n", "1,\n".repeat(130));
        let shown = report(&text);
        assert!(shown.ends_with("error: and 30 more errors\n\nerror: more than 100 errors in mill.toml\n"), "{shown}");
    }

    #[test]
    fn lines_and_columns_are_counted_from_one_in_characters() {
        let text = "aé\nb";
        let all: Vec<_> = (0..7).map(|offset| line_column(text, offset)).collect();
        assert_eq!(all, [(1, 1), (1, 2), (1, 2), (1, 3), (2, 1), (2, 2), (2, 2)]);
        assert_eq!(line_column("", 0), (1, 1));
    }
}
