//! `cargo xtask test`, `cargo xtask sim` and `cargo xtask doc`.
//!
//! Owns: what "all tests" is. Does not know: what is tested.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::browser::Browser;
use crate::foreign::ForeignGuests;
use crate::guests::Guests;
use crate::process;
use crate::toolchain::GuestToolchain;
use crate::workspace::Workspace;

/// Tells the tests where the binary is.
const BINARY_VARIABLE: &str = "WASMILL_BIN";

/// Where tests leave what people may want to look at, such as screenshots.
const ARTIFACTS_VARIABLE: &str = "WASMILL_TEST_ARTIFACTS";

/// Where it is set, every test has to do what it is there for: CI sets it.
const REQUIRED_VARIABLE: &str = "WASMILL_TEST_ALL";

/// Which tests.
#[derive(Args)]
pub(crate) struct TestArgs {
    /// Only tests with this in their names.
    filter: Option<String>,
}

/// Which simulated run.
#[derive(Args)]
pub(crate) struct SimArgs {
    /// Its seed, as the test says that fails.
    #[arg(long)]
    seed: u64,
}

/// `cargo xtask sim`.
pub(crate) fn sim(workspace: &Workspace, args: &SimArgs) -> Result<()> {
    let mut test = workspace.cargo("test");
    test.args(["--quiet", "--package", "wasmill-executor", "--lib", "simulation", "--", "--nocapture"]);
    process::run(test.env("WASMILL_SIM_SEED", args.seed.to_string()))
}

/// `cargo xtask test`.
pub(crate) fn test(workspace: &Workspace, args: &TestArgs) -> Result<()> {
    let toolchain = GuestToolchain::get()?;
    let guests = Guests::build(workspace, &toolchain)?;
    // Not everybody has npm and pip, or a Linux that these compilers and this browser run on.
    let foreign = unless_required(ForeignGuests::build(workspace), "the tests with C, Go and Python programs")?;
    let browser = unless_required(Browser::get(workspace), "the tests with a browser")?;
    let wasmill = workspace.build_tests()?;
    let run = |mut command: Command| {
        toolchain.publish(&mut command);
        guests.publish(&mut command);
        foreign.iter().for_each(|foreign| foreign.publish(&mut command));
        browser.iter().for_each(|browser| browser.publish(&mut command));
        command.env(BINARY_VARIABLE, &wasmill);
        if std::env::var_os(ARTIFACTS_VARIABLE).is_none() {
            command.env(ARTIFACTS_VARIABLE, workspace.target.join("test-artifacts"));
        }
        process::run(command.args(&args.filter))
    };

    let has_nextest = process::find("cargo-nextest").is_some();
    let mut tests = workspace.cargo(if has_nextest { "nextest" } else { "test" });
    if has_nextest {
        tests.args(["run", "--workspace", "--lib", "--bins", "--tests", "--no-tests=pass"]);
    } else {
        tests.args(["--workspace", "--lib", "--bins", "--tests"]);
    }
    run(tests)?;

    let mut doctests = workspace.cargo("test");
    doctests.args(["--workspace", "--doc", "--quiet"]);
    run(doctests)?;

    // A job is a plain function: its own tests run on the host, with the host's compiler.
    for manifest in example_guests(workspace)? {
        let mut native = workspace.cargo("test");
        native.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(workspace.target.join("guests-native"));
        run(native)?;
    }
    Ok(())
}

/// What some tests need; where it could not be had, one line says what is not tested, or that is an error.
fn unless_required<T>(needed: Result<T>, tests: &str) -> Result<Option<T>> {
    match needed {
        Ok(needed) => Ok(Some(needed)),
        Err(error) if std::env::var_os(REQUIRED_VARIABLE).is_none() => {
            process::say(&format!("{tests} do nothing: {error:#}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The `Cargo.toml` of every example's guest crate, sorted.
fn example_guests(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let examples = workspace.path("examples");
    let mut manifests = Vec::new();
    for entry in fs::read_dir(&examples).with_context(|| format!("cannot list `{}`", examples.display()))? {
        let entry = entry.with_context(|| format!("cannot list `{}`", examples.display()))?;
        manifests.push(entry.path().join("guest/Cargo.toml"));
    }
    manifests.retain(|manifest| manifest.is_file());
    manifests.sort();
    Ok(manifests)
}

/// `cargo xtask doc`.
pub(crate) fn doc(workspace: &Workspace) -> Result<()> {
    let mut doc = workspace.cargo("doc");
    process::run(doc.args(["--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-Dwarnings"))
}
