//! `cargo xtask bench`: wasmill beside make, ninja and dask, on the same DAGs, on this machine, in one go.
//!
//! Owns: what is measured, in which order, and how often. Machines are shared and noisy, so that every tool takes
//! its turn in every round, the median counts, and only ratios are worth quoting. Does not know: how a tool is
//! told a DAG, how a process is measured, or how the table looks.

mod machine;
mod measure;
mod report;
mod shape;
mod starts;
mod tool;

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;

pub(crate) use measure::{MeasureArgs, measure};

use self::measure::Sample;
use self::report::{Report, Series};
use self::shape::{Kind, Shape};
use self::tool::{Project, Tool};
use crate::guests::Guests;
use crate::process;
use crate::toolchain::GuestToolchain;
use crate::workspace::Workspace;

/// Where the table is kept.
const DOCUMENT: &str = "docs/benchmarks.md";

/// Filesystems with coarse timestamps would hide a change from make.
const TIMESTAMP_STEP: Duration = Duration::from_millis(20);

/// After so long, nobody takes a file for one that is being written.
const SETTLING: Duration = Duration::from_millis(200);

/// What to measure.
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// How many independent jobs the wide plan has.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    jobs_wide: usize,

    /// How many jobs the chain has.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    jobs_chain: usize,

    /// How many jobs the layered plan has.
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    jobs_layered: usize,

    /// How many jobs run at a time, for every tool.
    #[arg(long, default_value_t = 2, value_name = "N")]
    workers: usize,

    /// How often everything is measured; the median counts.
    #[arg(long, default_value_t = 5, value_name = "N")]
    rounds: usize,

    /// Only these plans.
    #[arg(long, value_delimiter = ',', value_name = "SHAPE")]
    only: Vec<Kind>,

    /// Only these tools.
    #[arg(long, value_delimiter = ',', value_name = "TOOL")]
    tools: Vec<Tool>,

    /// A wasmill to measure, in place of this workspace's.
    #[arg(long, value_name = "PATH")]
    wasmill: Option<PathBuf>,

    /// Measure nothing but what jobs take from a snapshot and from nothing.
    #[arg(long, conflicts_with_all = ["only", "tools", "write"])]
    starts: bool,

    /// Leave the micro-benchmarks of the sandbox and of the store out.
    #[arg(long)]
    no_micro: bool,

    /// Put the table into docs/benchmarks.md.
    #[arg(long)]
    write: bool,
}

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    /// Nothing is built.
    Cold,
    /// Everything is built.
    NoOp,
    /// The input of the first job changed since.
    OneChanged,
}

/// `cargo xtask bench`.
pub(crate) fn bench(workspace: &Workspace, args: &BenchArgs) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    if args.starts {
        return starts::measure(workspace, &wasmill(workspace, args)?, folder.path(), args.rounds);
    }
    let tools = tools(args);
    let (wasmill, guest) = if tools.iter().any(|tool| tool.is_wasmill()) {
        (wasmill(workspace, args)?, Guests::build(workspace, &GuestToolchain::get()?)?.path("copy"))
    } else {
        (PathBuf::new(), PathBuf::new())
    };

    let mut report = Report::new(machine::describe(folder.path(), &wasmill));
    for shape in shapes(args) {
        let dag = shape.dag();
        let mut projects = Vec::new();
        for tool in tools.iter().copied().filter(|tool| tool.can_write(shape)) {
            let dir = folder.path().join(format!("{}-{}", shape.kind, tool.name().replace(' ', "-")));
            projects.push(Project::create(tool, &dir, &dag, &wasmill, &guest, args.workers)?);
        }
        report.add(shape, rounds(&projects, args.rounds)?);
        for project in projects {
            project.remove()?; // 10,000 files each, which the next would share the page cache with
        }
    }
    print!("\n{report}");
    if args.write {
        report.write(&workspace.path(DOCUMENT))?;
        process::say(&format!("wrote {DOCUMENT}"));
    }
    if !args.no_micro {
        micro(workspace)?;
    }
    Ok(())
}

/// The wasmill that is measured.
fn wasmill(workspace: &Workspace, args: &BenchArgs) -> Result<PathBuf> {
    match &args.wasmill {
        Some(path) => path.canonicalize().with_context(|| format!("cannot find `{}`", path.display())),
        None => workspace.build_wasmill(false),
    }
}

fn tools(args: &BenchArgs) -> Vec<Tool> {
    let wanted = |tool: &Tool| args.tools.is_empty() || args.tools.contains(tool);
    let (tools, missing): (Vec<Tool>, Vec<Tool>) =
        Tool::ALL.into_iter().filter(wanted).partition(|tool| tool.is_here());
    for tool in missing {
        process::say(&format!("{} is not installed: left out", tool.name()));
    }
    tools
}

fn shapes(args: &BenchArgs) -> Vec<Shape> {
    [(Kind::Wide, args.jobs_wide), (Kind::Chain, args.jobs_chain), (Kind::Layered, args.jobs_layered)]
        .into_iter()
        .filter(|(kind, _)| args.only.is_empty() || args.only.contains(kind))
        .map(|(kind, jobs)| Shape { kind, jobs })
        .collect()
}

/// Measures every scenario of every project, tool after tool, round after round.
fn rounds(projects: &[Project], rounds: usize) -> Result<Vec<Series>> {
    let scenarios = [Scenario::Cold, Scenario::NoOp, Scenario::OneChanged];
    let mut series: Vec<Series> = (projects.iter())
        .flat_map(|project| scenarios.map(|scenario| Series { tool: project.tool(), scenario, samples: Vec::new() }))
        .collect();
    for round in 1..=rounds {
        for (project, series) in projects.iter().zip(series.chunks_mut(scenarios.len())) {
            project.reset()?;
            for series in series {
                series.samples.push(once(project, series.scenario, round)?);
            }
        }
        process::say(&format!("round {round} of {rounds}"));
    }
    Ok(series)
}

fn once(project: &Project, scenario: Scenario, round: usize) -> Result<Sample> {
    match scenario {
        // An input that was written just now may change again without its time changing, so wasmill would not rely on how it looks;
        // those of a project have been there for a while.
        Scenario::Cold => thread::sleep(SETTLING),
        Scenario::NoOp => {}
        Scenario::OneChanged => {
            thread::sleep(TIMESTAMP_STEP);
            project.change_first_input(round)?;
        }
    }
    // What an earlier run left to be written would be charged to this one.
    machine::flush_disks();
    measure::sample(&mut project.command())
}

/// The benchmarks that have a crate to themselves; each prints its own ratios.
fn micro(workspace: &Workspace) -> Result<()> {
    for (package, bench, folder) in
        [("wasmill-sandbox", "warm", "runtime/sandbox"), ("wasmill-storage", "store", "runtime/storage")]
    {
        if workspace.path(folder).join("benches").join(bench).with_extension("rs").is_file() {
            process::run(workspace.cargo("bench").args(["--package", package, "--bench", bench]))?;
        }
    }
    Ok(())
}
