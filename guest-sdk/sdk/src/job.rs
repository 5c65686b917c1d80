//! Jobs as the program sees them, and the step from a function of the author's to one of them.
//!
//! Owns: the registry, and telling a job's value from its error. Does not know: where its input is from (`input`), or where its result
//! goes (`command`).

use std::any::TypeId;
use std::error::Error as StdError;

use serde::Serialize;

use crate::input::Inputs;

/// A job of this module.
#[derive(Debug)]
pub struct Job {
    /// Its name: that of its function.
    pub name: &'static str,
    /// What it does: the first line of its function's doc comment.
    pub about: &'static str,
    /// From its input to its result as JSON, or to none where it returns `()`.
    pub run: fn(Inputs) -> Returned,
}

/// A job's result as JSON, nothing where it returns `()`, or why there is none.
pub type Returned = Result<Option<Vec<u8>>, Failure>;

inventory::collect!(Job);

/// Why a job gave no result.
#[derive(Debug)]
pub enum Failure {
    /// Its input is not what it takes.
    Input(String),
    /// It returned this error.
    Job(Box<dyn StdError>),
    /// Its result cannot be written as JSON.
    Output(serde_json::Error),
}

/// Is implemented for every `Result`: its error is the job's.
pub trait ResultReturned {
    /// Says that it is one.
    fn kind(&self) -> ResultKind {
        ResultKind
    }
}

impl<T, E> ResultReturned for Result<T, E> {}

/// Is implemented for a reference to anything, so that it comes second where both traits fit.
pub trait AnyReturned {
    /// Says that it is a plain value.
    fn kind(&self) -> ValueKind {
        ValueKind
    }
}

impl<T> AnyReturned for &T {}

/// The way to finish a job that returns a `Result`.
#[derive(Debug)]
pub struct ResultKind;

impl ResultKind {
    /// The value as JSON, or the job's error.
    ///
    /// # Errors
    /// The job's error, or a value that has no form in JSON.
    pub fn finish<T, E>(self, returned: Result<T, E>) -> Returned
    where
        T: Serialize + 'static,
        E: Into<Box<dyn StdError>>,
    {
        ValueKind.finish(returned.map_err(|error| Failure::Job(error.into()))?)
    }
}

/// The way to finish a job that returns a plain value.
#[derive(Debug)]
pub struct ValueKind;

impl ValueKind {
    /// The value as JSON; nothing for `()`.
    ///
    /// # Errors
    /// A value that has no form in JSON.
    pub fn finish<T: Serialize + 'static>(self, returned: T) -> Returned {
        if TypeId::of::<T>() == TypeId::of::<()>() {
            return Ok(None);
        }
        serde_json::to_vec(&returned).map(Some).map_err(Failure::Output)
    }
}
