//! The commands, one file each, or one for a few that belong together.
//!
//! Owns: nothing. Does not know: the command line's syntax.

mod again;
pub(crate) mod analyze;
pub(crate) mod compare;
pub(crate) mod config;
pub(crate) mod content;
pub(crate) mod debug;
mod dry_run;
pub(crate) mod exec;
pub(crate) mod history;
pub(crate) mod inspect;
pub(crate) mod plan;
pub(crate) mod project;
pub(crate) mod run;
pub(crate) mod stats;
pub(crate) mod store;
pub(crate) mod transfer;
pub(crate) mod tune;
pub(crate) mod verify;
pub(crate) mod why;
