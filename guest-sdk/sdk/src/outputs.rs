//! Several results of one job, each under a name of its own.
//!
//! Owns: what a type with such results says of itself. Does not know: how it is derived (`wasmill-sdk-macro`), or where results go
//! (`command`).

/// A result's name, and its value as JSON.
pub type Output = (&'static str, Result<Vec<u8>, crate::json::Error>);

/// Several results of a job, which others take one by one: `#[derive(Outputs)]` on a struct with named fields.
///
/// A plan names one as `{ job = "…", path = "FIELD" }`. Whoever takes one runs again when that one changes, whatever became of the
/// others.
pub trait Outputs {
    /// The name of each, and its value as JSON.
    fn outputs(self) -> Vec<Output>;
}
