//! What a cell came to, and how that is shown.
//!
//! Owns: the HTML of a cell, of values, tables and errors. Does not know: what a chart looks like (`chart`), how code is
//! coloured (`syntax`).

use std::fmt::Write as _;

use serde_json::{Map, Value};
use wasmill_sdk::prelude::*;

use crate::chart::Chart;
use crate::html::Escaped;
use crate::note::{Cell, Outcome};
use crate::syntax;

/// A longer table is cut off.
const MOST_ROWS: usize = 100;

/// A wider table is shown as text.
const MOST_COLUMNS: usize = 20;

/// What a cell came to, as `cells.js` says it.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// What it printed.
    pub printed: String,
    /// The value of its last statement as text, if it has one.
    pub text: Option<String>,
    /// The same as JSON, if it is not too long for that.
    pub value: Option<Value>,
    /// What it threw, if it did.
    pub error: Option<CellError>,
}

/// What a cell threw.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct CellError {
    /// The error in one line.
    pub message: String,
    /// The line of the cell, from 1 on, as far as it could be found.
    pub line: Option<usize>,
}

/// A cell with what it came to.
pub fn cell(cell: &Cell) -> String {
    let failed = match &cell.outcome {
        Outcome::Ended(result) => result.error.as_ref(),
        _ => None,
    };
    let mut html = String::from("<div class=\"cell\">\n");
    // Where something went wrong, hiding the code would only hide that.
    if !cell.is_hidden() || failed.is_some() || cell.outcome == Outcome::Stopped {
        let bad = failed.and_then(|error| error.line);
        html += "<pre class=\"code\"><code>";
        for (at, line) in syntax::lines(&cell.code).iter().enumerate() {
            let class = if bad == Some(at + 1) { "line bad" } else { "line" };
            let _ = write!(html, "<span class=\"{class}\">{line}\n</span>");
        }
        html += "</code></pre>\n";
    }
    match &cell.outcome {
        Outcome::NotRun => {}
        Outcome::Ended(result) => html += &ended(result, cell.line),
        Outcome::Stopped => html += STOPPED,
        Outcome::Skipped => html += SKIPPED,
    }
    html += "</div>\n";
    html
}

const STOPPED: &str = "<p class=\"error\"><strong>This cell did not end.</strong> It was stopped at one of its limits: it \
    computed for too long, took too much memory, or its functions called each other too deep.</p>\n";

const SKIPPED: &str = "<p class=\"skipped\">Not run, because of the cell above that did not come to its end.</p>\n";

fn ended(result: &CellResult, line: usize) -> String {
    let mut html = String::new();
    if !result.printed.is_empty() {
        let _ = writeln!(html, "<pre class=\"printed\">{}</pre>", Escaped(result.printed.trim_end_matches('\n')));
    }
    if let Some(error) = &result.error {
        let place = match error.line {
            Some(inside) => {
                format!(" <span class=\"place\">line {} of the note</span>", line + inside.saturating_sub(1))
            }
            None => String::new(),
        };
        let _ = writeln!(html, "<p class=\"error\"><strong>{}</strong>{place}</p>", Escaped(&error.message));
    }
    html + &value(result)
}

/// The value as a chart or a table, if it is one, else as text.
fn value(result: &CellResult) -> String {
    if let Some(chart) = result.value.as_ref().and_then(Chart::of) {
        return chart.svg();
    }
    if let Some(rows) = result.value.as_ref().and_then(rows) {
        return table(&rows);
    }
    let text = result.text.as_ref().map(|text| format!("<pre class=\"value\">{}</pre>\n", Escaped(text)));
    text.unwrap_or_default()
}

/// The rows of a table: what is a list of objects only.
fn rows(value: &Value) -> Option<Vec<&Map<String, Value>>> {
    let rows: Vec<_> = value.as_array()?.iter().map(Value::as_object).collect::<Option<_>>()?;
    let columns = columns(&rows).len();
    (1..=MOST_COLUMNS).contains(&columns).then_some(rows)
}

/// Whether a value is a number, or a text that is one, as `toFixed` gives it.
fn is_number(value: &Value) -> bool {
    value.is_number() || value.as_str().is_some_and(|text| text.trim_end_matches([' ', '%']).parse::<f64>().is_ok())
}

/// The keys of all rows, in the order in which they first appear.
fn columns<'a>(rows: &[&'a Map<String, Value>]) -> Vec<&'a str> {
    let mut columns = Vec::new();
    for key in rows.iter().flat_map(|row| row.keys()) {
        if !columns.contains(&key.as_str()) {
            columns.push(key.as_str());
            if columns.len() > MOST_COLUMNS {
                break;
            }
        }
    }
    columns
}

fn table(rows: &[&Map<String, Value>]) -> String {
    let columns = columns(rows);
    let is_number = |column: &&str| rows.iter().all(|row| row.get(*column).is_none_or(is_number));
    let classes: Vec<_> =
        columns.iter().map(|column| if is_number(column) { " class=\"number\"" } else { "" }).collect();
    let mut html = String::from("<div class=\"values\"><table>\n<thead><tr>");
    for (column, class) in columns.iter().zip(&classes) {
        let _ = write!(html, "<th{class}>{}</th>", Escaped(column));
    }
    html += "</tr></thead>\n<tbody>\n";
    for row in rows.iter().take(MOST_ROWS) {
        html += "<tr>";
        for (column, class) in columns.iter().zip(&classes) {
            let text = match row.get(*column) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            let _ = write!(html, "<td{class}>{}</td>", Escaped(&text));
        }
        html += "</tr>\n";
    }
    html += "</tbody>\n</table>\n";
    if rows.len() > MOST_ROWS {
        let _ = writeln!(html, "<p class=\"skipped\">… {} more rows</p>", rows.len() - MOST_ROWS);
    }
    html + "</div>\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(outcome: Outcome, attributes: &[&str]) -> String {
        let attributes = attributes.iter().map(|one| (*one).to_owned()).collect();
        cell(&Cell { code: "a <\nb".to_owned(), line: 10, attributes, outcome })
    }

    fn of(value: Value) -> String {
        shown(Outcome::Ended(CellResult { text: Some("T".into()), value: Some(value), ..CellResult::default() }), &[])
    }

    #[test]
    fn rows_are_a_table_and_anything_else_is_text() {
        let html = of(json!([{"name": "<a>", "n": 1}, {"n": 2.5, "more": [true]}]));
        assert!(html.contains("<th>name</th><th class=\"number\">n</th><th>more</th>"), "{html}");
        assert!(html.contains("<td>&lt;a&gt;</td><td class=\"number\">1</td><td></td>"), "{html}");
        assert!(html.contains("<td></td><td class=\"number\">2.5</td><td>[true]</td>"), "{html}");
        for value in [json!([]), json!([{}]), json!([{"a": 1}, 2]), json!({"a": 1}), json!(null)] {
            assert!(of(value.clone()).contains("<pre class=\"value\">T</pre>"), "{value}");
        }
        let long: Vec<_> = (0..120).map(|n| json!({ "n": n })).collect();
        assert!(of(json!(long)).contains("… 20 more rows"));
    }

    #[test]
    fn an_error_has_the_line_of_the_note() {
        let error = CellError { message: "Error: <x>".into(), line: Some(2) };
        let result = CellResult { printed: "p\n".into(), error: Some(error), ..CellResult::default() };
        let html = shown(Outcome::Ended(result), &["hide"]);
        assert!(html.contains("Error: &lt;x&gt;</strong> <span class=\"place\">line 11 of the note"), "{html}");
        assert!(
            html.contains("<span class=\"line bad\">b\n</span>") && html.contains("<pre class=\"printed\">p</pre>")
        );
    }

    #[test]
    fn hidden_code_is_not_there() {
        assert!(!shown(Outcome::Ended(CellResult::default()), &["hide"]).contains("&lt;"));
        assert!(shown(Outcome::Stopped, &["hide"]).contains("&lt;"));
        assert!(shown(Outcome::Skipped, &[]).contains("Not run"));
    }
}
