//! Measuring one run of a program, as a whole process with all its descendants.
//!
//! Owns: wall time, CPU time and peak memory of a command. The system tells what *all* children of a process took,
//! so that each run gets a parent of its own: this program again, as `xtask measure`. Does not know: what is run.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::platform;
use crate::process::shown;

/// What one run took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sample {
    /// From the start to the end.
    pub(super) wall: Duration,
    /// In user mode and in the kernel, all processes together; none where the system does not tell.
    pub(super) cpu: Option<Duration>,
    /// Most memory that any one process had resident. A parent of a few MB is the least that shows.
    pub(super) resident_bytes: Option<u64>,
}

/// The program to run.
#[derive(Args)]
pub(crate) struct MeasureArgs {
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Runs a command under `xtask measure`; what it prints is shown only if it fails.
pub(super) fn sample(command: &mut Command) -> Result<Sample> {
    let mut log = tempfile::tempfile().context("cannot create a temporary file")?;
    let own = std::env::current_exe().context("cannot find this program")?;
    let mut measured = Command::new(own);
    measured.arg("measure").arg("--").arg(command.get_program()).args(command.get_args());
    if let Some(dir) = command.get_current_dir() {
        measured.current_dir(dir);
    }
    let stderr: File = log.try_clone().context("cannot share a temporary file")?;
    let output = (measured.stdin(Stdio::null()).stderr(stderr).output())
        .with_context(|| format!("cannot start `{}`", shown(&measured)))?;
    if !output.status.success() {
        let mut text = String::new();
        log.rewind().and_then(|()| log.read_to_string(&mut text)).context("cannot read what the program printed")?;
        bail!("`{}` failed:\n{}", shown(command), text.trim());
    }
    serde_json::from_slice(&output.stdout).context("cannot read the measurement")
}

/// `xtask measure`.
pub(crate) fn measure(args: &MeasureArgs) -> Result<()> {
    let (program, rest) = args.command.split_first().context("there is no program to run")?;
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().with_context(|| format!("cannot start `{}`", shown(&command)))?;
    let wall = start.elapsed();
    if !status.success() {
        bail!("{status}");
    }
    let usage = platform::children_usage();
    let sample =
        Sample { wall, cpu: usage.map(|usage| usage.cpu), resident_bytes: usage.map(|usage| usage.resident_bytes) };
    println!("{}", serde_json::to_string(&sample).context("cannot write the measurement")?);
    Ok(())
}
