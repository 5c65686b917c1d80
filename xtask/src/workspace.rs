//! Where this workspace has what.
//!
//! Owns: the folders, and how cargo is called. Does not know: any task.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use cargo_metadata::MetadataCommand;

use crate::process;

/// The workspace that this program belongs to.
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds (`CARGO_TARGET_DIR`, or `target`).
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn find() -> Result<Self> {
        // `cargo run` tells the folder; the folder at compile time serves a binary that is started by hand.
        let own =
            std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let metadata = MetadataCommand::new()
            .manifest_path(own.join("Cargo.toml"))
            .no_deps()
            .exec()
            .context("cannot find the workspace of xtask")?;
        Ok(Self { root: metadata.workspace_root.into(), target: metadata.target_directory.into() })
    }

    /// A call of the cargo that called us, in the workspace's root.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut command = cargo();
        command.arg(subcommand).current_dir(&self.root);
        command
    }

    /// Builds the `wasmill` binary and returns where it is.
    pub(crate) fn build_wasmill(&self, is_offline: bool) -> Result<PathBuf> {
        let mut build = self.cargo("build");
        build.args(["--package", "wasmill-cli", "--release"]);
        if is_offline {
            build.arg("--offline");
        }
        process::run(&mut build)?;
        Ok(self.wasmill("release"))
    }

    /// Builds every test, and `wasmill` with them: its own package has a test that wants it. Building it by itself would
    /// compile wasmtime twice, as the tests ask for more features of what they share.
    pub(crate) fn build_tests(&self) -> Result<PathBuf> {
        process::run(self.cargo("test").args(["--no-run", "--workspace", "--lib", "--bins", "--tests"]))?;
        Ok(self.wasmill("debug"))
    }

    fn wasmill(&self, folder: &str) -> PathBuf {
        self.target.join(folder).join("wasmill").with_extension(std::env::consts::EXE_EXTENSION)
    }

    /// `path` below the root.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }
}

/// A call of the cargo that called us.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
