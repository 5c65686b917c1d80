//! The error of a job.
//!
//! Owns: an error that any other turns into with `?`, the context around it, and how a chain is printed. Does
//! not know: what becomes of it; the host sees an exit code and a text.

use std::error::Error as StdError;
use std::fmt::{self, Display, Write as _};

/// What a job returns, unless it has an error type of its own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a job failed: a message, and the chain of what caused it.
///
/// Every standard error turns into it with `?`. Like other types of its kind it does not implement
/// `std::error::Error` itself, and turns into a `Box<dyn std::error::Error>` where one is needed.
pub struct Error(Box<dyn StdError + Send + Sync>);

/// A message with the error that it explains.
#[derive(Debug)]
struct Explained {
    message: String,
    source: Box<dyn StdError + Send + Sync>,
}

impl Display for Explained {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl StdError for Explained {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

impl Error {
    /// An error of this message, caused by nothing else.
    pub fn msg(message: impl Display) -> Self {
        Self(message.to_string().into())
    }

    /// The same error with a message in front that says what was being done.
    #[must_use]
    pub fn context(self, message: impl Display) -> Self {
        Self(Box::new(Explained { message: message.to_string(), source: self.0 }))
    }

    /// The message, then the message of each cause, outermost first.
    pub fn chain(&self) -> impl Iterator<Item = String> {
        chain(&*self.0)
    }
}

/// The message of an error, then of each cause.
pub(crate) fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = String> + 'a {
    std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string)
}

/// The chain as a job prints it: `error: …`, and a line `  caused by: …` for each cause.
pub(crate) fn render(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    for (depth, message) in chain(error).enumerate() {
        let lead = if depth == 0 { "error" } else { "  caused by" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{lead}: {message}");
    }
    text
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl From<Error> for Box<dyn StdError> {
    fn from(error: Error) -> Self {
        error.0
    }
}

impl From<Error> for Box<dyn StdError + Send + Sync> {
    fn from(error: Error) -> Self {
        error.0
    }
}

impl Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The whole chain, because `unwrap` in a test prints this.
impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(render(&*self.0).trim_end())
    }
}

/// Says what was being done when something failed or was not there.
pub trait Context<T> {
    /// Puts `message` in front of the error.
    ///
    /// # Errors
    /// The error with its message, or the message alone where a value was missing.
    fn context(self, message: impl Display) -> Result<T>;

    /// Puts a message in front of the error; it is only made when there is one.
    ///
    /// # Errors
    /// The error with its message, or the message alone where a value was missing.
    fn with_context<D: Display>(self, message: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, message: impl Display) -> Result<T> {
        self.with_context(|| message)
    }

    fn with_context<D: Display>(self, message: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| error.into().context(message()))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, message: impl Display) -> Result<T> {
        self.ok_or_else(|| Error::msg(message))
    }

    fn with_context<D: Display>(self, message: impl FnOnce() -> D) -> Result<T> {
        self.ok_or_else(|| Error::msg(message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Result<u8> {
        let number: u8 = text.parse().with_context(|| format!("`{text}` is no number"))?;
        if number == 13 {
            crate::bail!("{number} is refused");
        }
        Ok(number)
    }

    #[test]
    fn a_chain_prints_one_line_for_each_cause() {
        let error = number("x").context("failed to read the age").expect_err("x is no number");
        assert_eq!(
            format!("{error:?}"),
            "error: failed to read the age\n  caused by: `x` is no number\n  caused by: invalid digit found in string"
        );
        assert_eq!(error.to_string(), "failed to read the age");
        assert_eq!(error.chain().count(), 3);
    }

    #[test]
    fn bail_and_missing_values_have_no_cause() {
        let refused = number("13").expect_err("refused");
        assert_eq!(refused.chain().collect::<Vec<_>>(), ["13 is refused"]);
        let missing = None::<u8>.context("no age").expect_err("missing");
        assert_eq!(missing.chain().collect::<Vec<_>>(), ["no age"]);
    }
}
