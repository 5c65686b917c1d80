//! Finds and reads plans.
//!
//! Owns: which file is the plan, its notation, and turning diagnostics into an error. Does not know: how plans
//! are executed.

use std::path::{Path, PathBuf};

use wasmill_executor::{Graph, ReadPlan, Written, read_plan};
use wasmill_model::plan::{Diagnostic, Format, Plan};

use crate::error::{CliError, Rendered};
use crate::exit_code;
use crate::report::plan::{line_column, render};

/// The names that a plan has in a folder, in the order in which they are looked for.
const NAMES: [&str; 2] = ["mill.toml", "mill.json"];

/// Reads and expands the plan at `path`, which may be the folder it lies in.
pub(crate) fn load(path: &Path) -> Result<Graph, CliError> {
    read(path)?.expand()
}

/// A plan that was read, and is not expanded yet.
pub(crate) struct Read {
    pub(crate) plan: Plan,
    /// Its file, as an absolute path.
    pub(crate) file: PathBuf,
    /// The same as it was named.
    shown: String,
    text: String,
    format: Format,
}

impl Read {
    /// Where its relative paths start.
    pub(crate) fn base(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("."))
    }

    /// Reads what it iterates over.
    pub(crate) fn prepare(self) -> Prepared {
        let base = self.base().to_owned();
        let Self { plan, file, shown, text, format } = self;
        Prepared { plan: ReadPlan::new(plan, base, Written { file, text, format }), shown }
    }

    /// Expands it.
    pub(crate) fn expand(self) -> Result<Graph, CliError> {
        self.prepare().expand()
    }
}

/// A plan that can be expanded.
pub(crate) struct Prepared {
    pub(crate) plan: ReadPlan,
    shown: String,
}

impl Prepared {
    /// Expands it.
    pub(crate) fn expand(self) -> Result<Graph, CliError> {
        let written = self.plan.written().clone();
        self.plan.expand().map_err(|wrong| invalid(&self.shown, &written.text, &wrong))
    }
}

/// Whether there is a plan at a path.
pub(crate) fn is_there(path: &Path) -> bool {
    find(path).is_ok_and(|file| file.is_file())
}

/// Reads the plan at `path`, which may be the folder it lies in.
pub(crate) fn read(path: &Path) -> Result<Read, CliError> {
    let file = find(path)?;
    let shown = file.display().to_string();
    let text = std::fs::read(&file)
        .map_err(|error| CliError::new(exit_code::PLAN, format!("failed to read the plan {shown}")).because(&error))?;
    let text = String::from_utf8(text).map_err(|error| {
        CliError::new(exit_code::PLAN, format!("the plan {shown} is not valid UTF-8")).because(&error)
    })?;
    let format = if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        Format::Json
    } else {
        Format::Toml
    };
    let plan = read_plan(&text, format).map_err(|diagnostics| invalid(&shown, &text, &diagnostics))?;
    let file = std::path::absolute(&file).unwrap_or(file);
    Ok(Read { plan, file, shown, text, format })
}

fn find(path: &Path) -> Result<PathBuf, CliError> {
    if path.is_dir() {
        let folder = if path == Path::new(".") { Path::new("") } else { path };
        let found = NAMES.iter().map(|name| folder.join(name)).find(|file| file.is_file());
        return found.ok_or_else(|| {
            CliError::new(exit_code::PLAN, format!("there is no plan in {}", path.display()))
                .hint("a plan is a file called `mill.toml` or `mill.json`")
        });
    }
    Ok(path.to_owned())
}

/// What is said of a plan whose jobs are not given what they take.
pub(crate) fn refused(graph: &Graph, diagnostics: &[Diagnostic]) -> CliError {
    let Some(Written { file, text, .. }) = graph.written() else {
        return CliError::new(exit_code::PLAN, "the plan is not valid");
    };
    let here = std::env::current_dir().unwrap_or_default();
    let shown = file.strip_prefix(here).unwrap_or(file).display().to_string();
    invalid(&shown, text, diagnostics)
}

pub(crate) fn invalid(shown: &str, text: &str, diagnostics: &[Diagnostic]) -> CliError {
    let details = (diagnostics.iter())
        .map(|diagnostic| {
            let start = diagnostic.labels.first().map_or(0, |label| label.span.start);
            let (line, column) = line_column(text, start);
            serde_json::json!({
                "file": shown,
                "line": line,
                "column": column,
                "message": diagnostic.message,
                "labels": diagnostic.labels.iter().map(|label| label.text.as_str()).collect::<Vec<_>>(),
                "hint": diagnostic.hint,
            })
        })
        .collect();
    CliError {
        rendered: Some(Box::new(Rendered { text: render(shown, text, diagnostics, true), details })),
        ..CliError::new(exit_code::PLAN, format!("the plan {shown} is not valid"))
    }
}
