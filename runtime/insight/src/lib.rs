//! What the records of runs say: why jobs ran, where the time went, what could be better, and what changed between runs.
//!
//! Owns: every conclusion that is drawn from a record. Does not know: how records come about or are stored, or how
//! conclusions are shown. Nothing here is measured: all of it follows from what a run noted.
//!
//! **CPU time and wall time are never added together.** What jobs took is added up over the workers as *busy* time, which
//! is wall time of workers; CPU time has sums of its own.

mod advice;
mod anatomy;
mod compare;
mod path;
mod stats;
mod summary;
pub mod text;
mod trees;
mod why;

pub use advice::{Advice, Kind, advise, waits_for_disk};
pub use anatomy::{Anatomy, family_name, is_executed};
pub use compare::{Comparison, JobChange, compare};
pub use path::{CriticalPath, Step, WORKERS, Workers};
pub use stats::{FamilyTrend, Quantiles, REGRESSION_BELOW, Regression, Trend, trend};
pub use summary::{Share, Summary, Target};
pub use trees::{FirstFile, TreeChange, tree_changes};
pub use why::{Change, Earlier, Reason, explain};
