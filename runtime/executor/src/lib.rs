//! Turns a plan into results: expands it into a graph, schedules the graph, resolves each job into an action,
//! has the action executed unless its result is known, and copies outputs to the host.
//!
//! Owns: what is run when, and every reading and writing of host files that a plan asks for. Does not know: how
//! an action is executed (`port::Runner`), how anything is stored (`port::BlobStore` and its siblings), who
//! listens to the events.

mod adapt;
#[cfg(test)]
mod attempt_tests;
mod batches;
mod board;
mod checks;
mod dispatcher;
mod durations;
mod error;
mod estimate;
mod expand;
mod extent;
mod flight;
mod footprint;
mod glob;
mod graph;
mod grow;
#[cfg(test)]
mod grow_tests;
mod guest_build;
mod import;
mod inbox;
mod items;
mod links;
mod logs;
mod machine;
mod modules;
mod narrow;
mod noted;
mod options;
mod plan_snapshot;
mod platform;
mod progress;
mod races;
mod reading;
mod rehearse;
mod repeat;
mod resolve;
mod save;
mod scheduler;
mod shape;
mod shared;
#[cfg(test)]
mod simulation;
mod targets;
mod traces;
mod verify;
mod watch;
mod worker;
mod workers;

pub use adapt::{Adaptive, Memory};
pub use dispatcher::execute;
pub use durations::Durations;
pub use error::{
    ExecuteError, GrowError, ImportError, ModuleLoadError, ModuleLoadErrorKind, ResolveError, SaveError, chain,
};
pub use expand::expand;
pub use graph::{Graph, Job, JobId, UnknownJob, nearest};
pub use guest_build::{BuildOutput, GuestBuildError, Toolchain};
pub use import::Importer;
pub use machine::Machine;
pub use modules::{Loaded, LoadedModules};
pub use narrow::Near;
pub use options::{ExecuteOptions, LOST_AFTER, Ports};
pub use plan_snapshot::{PlanSnapshot, ReadPlan, SnapshotError, Written};
pub use reading::read_plan;
pub use rehearse::{Accepts, NOT_RECORDED, Rehearsed, rehearse};
pub use repeat::{Repeat, Sought};
pub use save::{export, export_file, host_name};
pub use scheduler::{Amounts, Command, Demand, Ending, Needs, Scheduler, Signal};
pub use shape::{Replayed, Shape, replay};
pub use verify::{Difference, Recorded, Verdict, VerifyPorts, recorded, verify};
