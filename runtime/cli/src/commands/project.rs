//! `wasmill new` and `wasmill test`: making a project, and trying it.
//!
//! Owns: what is said of a new project, and the steps of a test. Does not know: what is in a project.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::args::{Global, OutputFormat, RunArgs};
use crate::commands::{run, verify};
use crate::error::CliError;
use crate::exit_code;
use crate::plan_file;
use crate::project::{NewError, create};
use crate::report::print;

/// How many jobs are executed once more.
const VERIFIED: u32 = 16;

/// `wasmill new`.
pub(crate) fn new(global: &Global, folder: &Path, sdk: Option<&Path>) -> Result<u8, CliError> {
    let name = create(folder, sdk).map_err(|error| match &error {
        NewError::Name(_) => CliError::from_error(exit_code::USAGE, &error),
        NewError::There(_) => CliError::from_error(exit_code::INPUT, &error).hint("name another folder"),
        NewError::NoSdk(_) => CliError::from_error(exit_code::INPUT, &error),
        NewError::Write(..) => CliError::from_error(exit_code::HOST, &error),
    })?;
    match global.format {
        OutputFormat::Json => print(format!("{}\n", json!({ "project": name, "folder": folder })).as_bytes()),
        OutputFormat::Human if global.quiet => {}
        OutputFormat::Human => {
            let folder = folder.display();
            print(
                format!("made `{name}`; go on with\n\n    cd {folder}\n    wasmill run\n    wasmill test\n").as_bytes(),
            );
        }
    }
    Ok(exit_code::SUCCESS)
}

/// `wasmill test`.
pub(crate) fn test(global: &Global, plan: &Path) -> Result<u8, CliError> {
    for folder in plan_file::load(plan)?.crates() {
        let shown = folder.display();
        let mut cargo = Command::new("cargo");
        cargo.args(["test", "--manifest-path"]).arg(folder.join("Cargo.toml")).stdin(Stdio::null());
        // The tests are compiled for this machine, whatever else is compiled for another.
        cargo.env_remove("CARGO_BUILD_TARGET");
        // Standard output is for what was asked for.
        let quiet = global.quiet || global.format == OutputFormat::Json;
        cargo.stdout(std::io::stderr());
        if quiet {
            cargo.arg("--quiet");
        }
        let ended = cargo.status().map_err(|error| {
            CliError::new(exit_code::INPUT, "failed to start `cargo`")
                .because(&error)
                .hint("install Rust: https://rustup.rs")
        })?;
        if !ended.success() {
            return Err(CliError::new(exit_code::JOBS_FAILED, format!("the tests of the crate in {shown} fail")));
        }
    }
    match run::carry_out(global, &RunArgs { plan: plan.to_owned(), ..RunArgs::default() })? {
        (exit_code::SUCCESS, run) => verify::verify(global, run, Some(VERIFIED), None),
        (failed, _) => Ok(failed),
    }
}
