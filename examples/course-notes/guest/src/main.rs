//! The jobs of a course: `cut` finds the cells of a note, `settle` sees to those that do not end, `render` makes the page and
//! the slides, `index` lists all notes.
//!
//! Owns: the jobs' inputs and outputs. Does not know: how cells are run. That is a job of another module, which the plans
//! that `cut` and `settle` leave call by its name.

mod chart;
mod html;
mod index;
mod math;
mod note;
mod output;
mod page;
mod run;
mod slides;
mod syntax;

use wasmill_sdk::prelude::*;

use note::Note;
use output::CellResult;

/// What the index says of a note.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct Summary {
    /// What the note is called in paths.
    name: String,
    title: String,
    /// The first paragraph, without its formatting.
    about: String,
    /// The headings below the title.
    sections: Vec<Section>,
    /// Cells that did not come to their end.
    failed: usize,
}

/// A heading, and where a link to it leads.
#[derive(Debug, PartialEq, Serialize, Deserialize, Schema)]
struct Section {
    title: String,
    id: String,
}

/// What others take of a note; its page and slides are files beside it.
#[derive(Outputs)]
struct Rendered {
    summary: Summary,
}

/// Reads a note, and leaves a plan that runs its cells and renders it.
#[job]
fn cut(name: String, course: String, note: File) -> Result<()> {
    let (text, _) = note::decode(&note.read()?);
    let note = Note::parse(&name, &text);
    for attribute in note.unknown_attributes() {
        log::warn!("{name}: a cell has the unknown attribute `{attribute}`");
    }
    run::leave_plan(&name, &course, &note.codes())
}

/// Hands on what the cells of a note came to. Where that is nothing, as one of them never ended, it leaves a plan that finds
/// out what those before it come to.
#[job]
fn settle(name: String, note: File, results: Vec<CellResult>) -> Result<Vec<CellResult>> {
    if results.is_empty() {
        log::warn!("{name}: a cell does not end");
        let (text, _) = note::decode(&note.read()?);
        run::leave_search(&name, &Note::parse(&name, &text).codes())?;
    }
    Ok(results)
}

/// Makes the page and the slides of a note, with what its cells came to.
///
/// `results` are those of the cells that came to an end, in their order; none where the note has no cells.
#[job]
fn render(name: String, course: String, note: File, results: Option<Vec<CellResult>>) -> Result<Rendered> {
    let (text, is_utf8) = note::decode(&note.read()?);
    let mut note = Note::parse(&name, &text);
    if !is_utf8 {
        log::warn!("{name}: the note is not UTF-8");
        note.warn("This note is not UTF-8. What could not be read is shown as �.");
    }
    let failed = note.settle(results.unwrap_or_default());
    out::write("page.html", page::page(&course, &note))?;
    out::write("slides.html", slides::slides(&course, &note))?;
    let summary = Summary {
        name: note.name.to_owned(),
        title: note.title(),
        about: note.about(),
        sections: note.sections(),
        failed,
    };
    Ok(Rendered { summary })
}

/// Lists all notes of the course.
///
/// `notes` has the `summary` of each. It is no `Each` by its type, as that is compared with what `cut` leaves, and not with what
/// comes of its plan.
#[job]
fn index(course: String, notes: Dir) -> Result<()> {
    let notes = Each::<Summary>::new(notes.path()).iter()?.map(|(_, note)| note).collect::<Result<Vec<_>>>()?;
    out::write("index.html", index::index(&course, &notes))
}

wasmill_sdk::main!();
