//! `cargo xtask`: the development tasks of wasmill.
//!
//! Owns: the command line. Does not know: how a task is done; each has a file of its own.

mod bench;
mod browser;
mod checks;
mod demo;
mod foreign;
mod guests;
mod packages;
mod platform;
mod process;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Development tasks of wasmill.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds everything, audits the dependencies of a Rust workspace in sandboxes, and says where the report is.
    Demo(demo::DemoArgs),
    /// Builds everything and runs all tests.
    Test(checks::TestArgs),
    /// Shows one simulated run of the scheduler: all that happens in it.
    Sim(checks::SimArgs),
    /// Builds the guests that the tests run, and prints where they are.
    Guests,
    /// Gets CPython and puts it where `examples/python-grader` looks for it.
    Python,
    /// Builds the API documentation; a warning is an error.
    Doc,
    /// Measures wasmill beside make and ninja.
    Bench(bench::BenchArgs),
    /// Runs one program and prints what it took, as JSON: a process of its own, so that nothing else is counted.
    #[command(hide = true)]
    Measure(bench::MeasureArgs),
}

fn main() -> ExitCode {
    match run(Args::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Demo(args) => demo::demo(&Workspace::find()?, &args),
        Task::Python => foreign::python_example(&Workspace::find()?),
        Task::Test(args) => checks::test(&Workspace::find()?, &args),
        Task::Sim(args) => checks::sim(&Workspace::find()?, &args),
        Task::Guests => guests::print(&Workspace::find()?),
        Task::Doc => checks::doc(&Workspace::find()?),
        Task::Bench(args) => bench::bench(&Workspace::find()?, &args),
        // Finding the workspace starts a process, which would be counted.
        Task::Measure(args) => bench::measure(&args),
    }
}
