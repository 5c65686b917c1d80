//! Two jobs that audit the dependencies of a Rust workspace: `scan` looks at one crate, `report` at all scans.
//!
//! Owns: the jobs' inputs and outputs. Does not know: which crates there are, how many jobs run at once, or that
//! results are cached; all that is wasmill's, by the plan in `mill.toml`.

mod build_script;
mod html;
mod lines;
mod manifest;
mod nesting;
mod reduce;
mod scan;
mod syntax;

use wasmill_sdk::prelude::*;

use reduce::Totals;
use scan::Scan;

/// What `scan` takes.
#[derive(Deserialize)]
struct ScanInput {
    /// The crate's name and version, as its directory is called.
    name: String,
    /// The crate's source.
    source: Dir,
}

/// What `report` takes.
#[derive(Deserialize)]
struct ReportInput {
    /// The heading of the page.
    title: String,
    /// What `scan` found in each crate.
    scans: Each<Scan>,
}

/// Counts and lists what one crate is made of.
#[job]
fn scan(input: ScanInput) -> Result<Scan> {
    Scan::of(input.name, &input.source)
}

/// Puts all scans into one page and one JSON file.
#[job]
fn report(input: ReportInput) -> Result<Totals> {
    let report = reduce::reduce(input.title, input.scans.iter()?);
    out::write("report.html", html::page(&report))?;
    let mut json = serde_json::to_vec_pretty(&report).context("failed to write the report as JSON")?;
    json.push(b'\n');
    out::write("report.json", json)?;
    Ok(report.totals)
}

wasmill_sdk::main!();
