//! What `wasmill` says when it cannot go on.
//!
//! Owns: the shape of every error message (headline, causes, hints) and its exit code. Does not know: the errors
//! of the other crates beyond their texts.

use std::error::Error;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use wasmill_executor::chain;

use crate::exit_code;
use crate::report::text::harmless_lines;

/// An error as a user sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct CliError {
    pub(crate) exit_code: u8,
    /// What could not be done; lower-case, names in backticks.
    pub(crate) headline: String,
    /// Why, from the outside in.
    pub(crate) causes: Vec<String>,
    /// How to mend it.
    pub(crate) hints: Vec<String>,
    /// What is shown in place of all of that.
    pub(crate) rendered: Option<Box<Rendered>>,
}

/// An error that is shown in a form of its own: a plan's, with carets.
#[derive(Debug, Clone)]
pub(crate) struct Rendered {
    /// For people.
    pub(crate) text: String,
    /// The same for programs.
    pub(crate) details: Vec<serde_json::Value>,
}

impl CliError {
    pub(crate) fn new(exit_code: u8, headline: impl Into<String>) -> Self {
        Self { exit_code, headline: headline.into(), ..Self::default() }
    }

    /// An error of another crate: its text is the headline, its sources are the causes.
    pub(crate) fn from_error(exit_code: u8, error: &dyn Error) -> Self {
        let mut lines = chain(error).into_iter();
        let headline = lines.next().unwrap_or_default();
        Self { exit_code, headline, causes: lines.collect(), ..Self::default() }
    }

    pub(crate) fn because(mut self, error: &dyn Error) -> Self {
        self.causes.extend(chain(error));
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn store(error: &dyn Error) -> Self {
        Self::from_error(exit_code::STORE, error)
    }

    /// The message for a terminal; `anstream` takes the colours out where they are not wanted.
    pub(crate) fn human(&self) -> String {
        match &self.rendered {
            Some(rendered) => rendered.text.clone(),
            None => self.called("error", AnsiColor::Red),
        }
    }

    /// The same of something that fails nothing.
    pub(crate) fn human_warning(&self) -> String {
        self.called("warning", AnsiColor::Yellow)
    }

    /// All of it in one line, but for the hints.
    pub(crate) fn line(&self) -> String {
        let causes = self.causes.iter().map(|cause| format!(": {cause}"));
        causes.fold(self.headline.clone(), |line, cause| line + &cause)
    }

    fn called(&self, what: &str, colour: AnsiColor) -> String {
        let style = Style::new().bold().fg_color(Some(colour.into()));
        let dim = Style::new().bold();
        let mut text = format!("{style}{what}{style:#}: {}\n", harmless_lines(&self.headline));
        for cause in &self.causes {
            let _ = writeln!(text, "  {dim}caused by{dim:#}: {}", indent(&harmless_lines(cause)));
        }
        for hint in &self.hints {
            let _ = writeln!(text, "  {dim}hint{dim:#}: {}", indent(&harmless_lines(hint)));
        }
        text
    }

    /// The message for programs, one line.
    pub(crate) fn json(&self) -> String {
        serde_json::json!({
            "event": "error",
            "exit_code": self.exit_code,
            "message": self.headline,
            "causes": self.causes,
            "hints": self.hints,
            "details": self.rendered.as_ref().map(|rendered| rendered.details.as_slice()).unwrap_or_default(),
        })
        .to_string()
    }
}

/// A flag whose value cannot be used.
pub(crate) fn usage(flag: &str, wrong: &str) -> CliError {
    CliError::new(exit_code::USAGE, format!("cannot use {flag}: {wrong}"))
}

/// Further lines of a text line up under the first.
fn indent(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}
