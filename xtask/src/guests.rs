//! The guests that the tests run: `tests/guests`, one program per behaviour.
//!
//! Owns: how they are built, and where they end up. Does not know: what they do.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::toolchain::{GuestToolchain, TARGET};
use crate::workspace::Workspace;

/// Tells the tests where the guests are.
const DIR_VARIABLE: &str = "WASMILL_TEST_GUESTS";

/// The guests, built.
pub(crate) struct Guests {
    dir: PathBuf,
}

impl Guests {
    /// Builds them, or only looks at them if nothing has changed.
    pub(crate) fn build(workspace: &Workspace, toolchain: &GuestToolchain) -> Result<Self> {
        // Not the host's target folder: another compiler would make cargo build everything again each time.
        let target = workspace.target.join("guests");
        let mut build = workspace.cargo("build");
        build.args(["--release", "--locked", "--target", TARGET, "--manifest-path", "tests/guests/Cargo.toml"]);
        build.arg("--target-dir").arg(&target);
        toolchain.compile(&mut build);
        process::run(&mut build)?;
        Ok(Self { dir: target.join(TARGET).join("release") })
    }

    /// Tells a program that we start where they are.
    pub(crate) fn publish(&self, command: &mut Command) {
        command.env(DIR_VARIABLE, &self.dir);
    }

    /// Where the guest `name` is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name).with_extension("wasm")
    }
}

/// `cargo xtask guests`.
pub(crate) fn print(workspace: &Workspace) -> Result<()> {
    let guests = Guests::build(workspace, &GuestToolchain::get()?)?;
    println!("{}", guests.dir.display());
    Ok(())
}
