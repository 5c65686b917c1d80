//! `wasmill plan`: looking at a plan without executing it.
//!
//! Owns: what is said of a valid plan. Does not know: how plans are read.

use std::io::Write as _;
use std::path::Path;

use crate::args::{Global, OutputFormat};
use crate::error::CliError;
use crate::exit_code;
use crate::plan_file;

/// `wasmill plan check`.
pub(crate) fn check(global: &Global, path: &Path) -> Result<u8, CliError> {
    let graph = plan_file::load(path)?;
    let (name, jobs, edges) = (graph.name(), graph.len(), graph.edges());
    let mut out = std::io::stdout();
    // A closed output is no reason to fail a check that succeeded.
    let _ = match global.format {
        OutputFormat::Json => {
            let said = serde_json::json!({ "plan": name, "valid": true, "jobs": jobs, "edges": edges });
            writeln!(out, "{said}")
        }
        OutputFormat::Human if global.quiet => Ok(()),
        OutputFormat::Human => {
            let (job_s, edge_s) = (if jobs == 1 { "" } else { "s" }, if edges == 1 { "y" } else { "ies" });
            writeln!(out, "plan `{name}` is valid: {jobs} job{job_s}, {edges} dependenc{edge_s}")
        }
    };
    Ok(exit_code::SUCCESS)
}
