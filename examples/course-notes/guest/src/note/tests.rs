//! Notes, their cells and what became of them.

use super::*;
use crate::output::CellError;

const NOTE: &str = "# A *title*\n\nAbout `it`\nall.\n\n## Part\n\n```js\nlet a = 1;\n\na\n\n```\n\n~~~JavaScript hide no-run x\n2\n~~~\n\
    ```python\n3\n```\n- in a list\n  ```js hide\n  4\n  5\n  ```\n\n## Part\n\n    js\n    6\n\n## 7\n";

#[test]
fn cells_are_found_with_their_lines_and_attributes() {
    let note = Note::parse("n", NOTE);
    let cells: Vec<_> =
        note.cells().map(|cell| (cell.code.as_str(), cell.line, cell.is_hidden(), cell.runs())).collect();
    assert_eq!(cells, [("let a = 1;\n\na", 9, false, true), ("2", 16, true, false), ("4\n5", 23, true, true)]);
    assert_eq!(note.codes(), ["let a = 1;\n\na", "4\n5"]);
    assert_eq!(note.unknown_attributes().collect::<Vec<_>>(), ["x"]);
}

#[test]
fn a_note_says_what_it_is() {
    let note = Note::parse("n", NOTE);
    assert_eq!((note.title(), note.about()), ("A title".to_owned(), "About it all.".to_owned()));
    let ids: Vec<_> = note.sections().into_iter().map(|section| section.id).collect();
    assert_eq!(ids, ["part", "part-2", "7"]);
    let empty = Note::parse("n", "");
    assert_eq!((empty.title(), empty.about(), empty.sections()), ("n".to_owned(), String::new(), Vec::new()));
}

#[test]
fn cells_get_what_they_came_to() {
    let three = "```js\n1\n```\n```js no-run\n2\n```\n```js\n3\n```\n```js\n4\n```\n";
    let ended = CellResult::default;
    let error = || CellResult { error: Some(CellError { message: "e".into(), line: None }), ..ended() };
    let settle = |results| {
        let mut note = Note::parse("n", three);
        let failed = note.settle(results);
        let outcome = |cell: &Cell| match &cell.outcome {
            Outcome::NotRun => "not run",
            Outcome::Ended(result) if result.error.is_some() => "error",
            Outcome::Ended(_) => "ended",
            Outcome::Stopped => "stopped",
            Outcome::Skipped => "skipped",
        };
        (failed, note.cells().map(outcome).collect::<Vec<_>>().join(", "))
    };
    assert_eq!(settle(vec![ended(), ended(), ended()]), (0, "ended, not run, ended, ended".to_owned()));
    assert_eq!(settle(vec![ended(), error()]), (1, "ended, not run, error, skipped".to_owned()));
    assert_eq!(settle(vec![ended()]), (1, "ended, not run, stopped, skipped".to_owned()));
    assert_eq!(settle(vec![]), (1, "stopped, not run, skipped, skipped".to_owned()));
}

#[test]
fn odd_notes_are_read() {
    assert_eq!(decode(b"\xef\xbb\xbfa"), ("a".to_owned(), true));
    assert_eq!(decode(b"a\xff"), ("a\u{fffd}".to_owned(), false));
    for text in ["```js", "```js\n", "```js\r\n1\r\n", "> ```js\n> 1\nx", "```\njs\n```", "$x", "$$", "#\n#"] {
        let note = Note::parse("n", text);
        assert!(!to_html(&note.pieces).is_empty(), "{text}");
    }
    assert_eq!(Note::parse("n", "```js\r\nlet a;\r\na\r\n```").codes(), ["let a;\na"]);
}
