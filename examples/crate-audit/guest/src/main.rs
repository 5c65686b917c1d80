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

/// Counts and lists what one crate is made of.
#[job]
fn scan(name: String, source: Dir) -> Result<Scan> {
    Scan::of(name, &source)
}

/// Puts all scans into one page and one JSON file.
#[job]
fn report(title: String, scans: Each<Scan>) -> Result<Totals> {
    let report = reduce::reduce(title, scans.iter()?);
    out::write("report.html", html::page(&report))?;
    let mut json = serde_json::to_vec_pretty(&report).context("failed to write the report as JSON")?;
    json.push(b'\n');
    out::write("report.json", json)?;
    Ok(report.totals)
}

wasmill_sdk::main!();
