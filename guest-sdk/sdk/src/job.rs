//! Jobs as the program sees them, and the step from a function of the author's to one of them.
//!
//! Owns: the registry, and telling a job's value from its error. Does not know: where its input is from (`input`), or where its result
//! goes (`command`).

use std::any::TypeId;
use std::error::Error as StdError;

use serde::Serialize;

use crate::input::Inputs;
use crate::json;
use crate::outputs::{Output, Outputs};

/// A job of this module.
#[derive(Debug)]
pub struct Job {
    /// Its name: that of its function.
    pub name: &'static str,
    /// What it does: the first line of its function's doc comment.
    pub about: &'static str,
    /// From its input to its results as JSON; there are none where it returns `()`.
    pub run: fn(Inputs) -> Returned,
}

/// A job's results as JSON, or why there are none.
pub type Returned = Result<Vec<Written>, Failure>;

/// A result as it goes to `/out`.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    /// Its name, if it is one of several.
    pub name: Option<&'static str>,
    /// Its value.
    pub json: Vec<u8>,
}

inventory::collect!(Job);

/// Why a job gave no result.
#[derive(Debug)]
pub enum Failure {
    /// Its input is not what it takes.
    Input(String),
    /// It returned this error.
    Job(Box<dyn StdError>),
    /// Its result cannot be written as JSON.
    Output(json::Error),
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
    /// The value.
    ///
    /// # Errors
    /// The job's error.
    pub fn value<T, E: Into<Box<dyn StdError>>>(self, returned: Result<T, E>) -> Result<T, Failure> {
        returned.map_err(|error| Failure::Job(error.into()))
    }
}

/// The way to finish a job that returns a plain value.
#[derive(Debug)]
pub struct ValueKind;

impl ValueKind {
    /// The value.
    ///
    /// # Errors
    /// None: it is one as it is.
    pub fn value<T>(self, returned: T) -> Result<T, Failure> {
        Ok(returned)
    }
}

/// Is implemented for every type whose fields are results.
pub trait SeveralResults {
    /// Says that it is one.
    fn form(&self) -> Several {
        Several
    }
}

impl<T: Outputs> SeveralResults for T {}

/// Is implemented for a reference to anything, so that it comes second where both traits fit.
pub trait OneResult {
    /// Says that it is one result.
    fn form(&self) -> One {
        One
    }
}

impl<T> OneResult for &T {}

/// The way to write a value that is several results.
#[derive(Debug)]
pub struct Several;

impl Several {
    /// Each of them as JSON.
    ///
    /// # Errors
    /// One has no form in JSON.
    pub fn finish<T: Outputs>(self, value: T) -> Returned {
        let written = |(name, json): Output| Ok(Written { name: Some(name), json: json.map_err(Failure::Output)? });
        value.outputs().into_iter().map(written).collect()
    }
}

/// The way to write a value that is one result.
#[derive(Debug)]
pub struct One;

impl One {
    /// The value as JSON; nothing for `()`.
    ///
    /// # Errors
    /// A value that has no form in JSON.
    pub fn finish<T: Serialize + 'static>(self, value: T) -> Returned {
        if TypeId::of::<T>() == TypeId::of::<()>() {
            return Ok(Vec::new());
        }
        let json = to_json(&value).map_err(Failure::Output)?;
        Ok(vec![Written { name: None, json }])
    }
}

/// A value as it is written.
///
/// # Errors
/// It has no form in JSON.
pub fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, json::Error> {
    json::to_vec(value)
}
