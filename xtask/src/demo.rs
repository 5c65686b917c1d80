//! `cargo xtask demo`: from a fresh machine to a report on a workspace's dependencies.
//!
//! Owns: the order of steps, and the list of crates that the example's plan reads. Does not know: what the plan
//! does with them (examples/crate-audit).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use cargo_metadata::MetadataCommand;
use clap::Args;

use crate::process;
use crate::toolchain::GuestToolchain;
use crate::workspace::Workspace;

/// The plan.
const PLAN: &str = "examples/crate-audit/mill.toml";

/// The list of source folders that the plan reads, one per line.
const CRATES: &str = "examples/crate-audit/target/crates.txt";

/// The page that the plan saves.
const REPORT: &str = "examples/crate-audit/target/audit/report.html";

/// What to audit.
#[derive(Args)]
pub(crate) struct DemoArgs {
    /// The `Cargo.toml` of the workspace to audit; this one by default.
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<PathBuf>,

    /// Use what cargo has downloaded already.
    #[arg(long)]
    offline: bool,
}

/// `cargo xtask demo`.
pub(crate) fn demo(workspace: &Workspace, args: &DemoArgs) -> Result<()> {
    let toolchain = GuestToolchain::get()?;
    let wasmill = workspace.build_wasmill(args.offline)?;

    let manifest = args.manifest_path.clone().unwrap_or_else(|| workspace.path("Cargo.toml"));
    let crates = dependencies(&manifest, args.offline)?;
    ensure!(!crates.is_empty(), "`{}` has no dependencies from a registry", manifest.display());
    process::say(&format!("auditing {} crates", crates.len()));
    write_if_changed(&workspace.path(CRATES), &crates.into_iter().map(|dir| dir + "\n").collect::<String>())?;

    let mut run = Command::new(wasmill);
    run.arg("run").arg(PLAN).current_dir(&workspace.root);
    toolchain.publish(&mut run);
    process::run(&mut run)?;

    let report = workspace.path(REPORT);
    println!("\nThe report: {}\n            {}", report.display(), file_url(&report));
    Ok(())
}

/// The source folders of every registry package that a workspace depends on, on any platform (offline, on this
/// one), sorted.
fn dependencies(manifest: &Path, is_offline: bool) -> Result<BTreeSet<String>> {
    let mut command = MetadataCommand::new();
    command.manifest_path(manifest);
    if is_offline {
        // What only other systems need may never have been downloaded.
        let host = Command::new("rustc").args(["--print", "host-tuple"]).output().context("cannot start rustc")?;
        let host = String::from_utf8_lossy(&host.stdout).trim().to_owned();
        command.other_options(["--offline".to_owned(), "--filter-platform".to_owned(), host]);
    }
    let metadata =
        command.exec().with_context(|| format!("cannot list the dependencies of `{}`", manifest.display()))?;
    Ok((metadata.packages.into_iter())
        .filter(|package| package.source.as_ref().is_some_and(|source| source.repr.contains("registry")))
        .filter_map(|package| Some(package.manifest_path.parent()?.to_string()))
        .collect())
}

/// Leaves a file that is right already alone, so that nothing that reads it looks out of date.
fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}

/// A path as a terminal makes a link of it: every byte that is not plain is escaped.
fn file_url(path: &Path) -> String {
    let mut url = "file://".to_owned();
    let path = path.to_string_lossy().replace('\\', "/");
    if !path.starts_with('/') {
        url.push('/'); // a drive letter
    }
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' | b':' => url.push(byte.into()),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_url_escapes_what_is_not_plain() {
        assert_eq!(file_url(Path::new("/srv/a b/é.html")), "file:///srv/a%20b/%C3%A9.html");
        assert_eq!(file_url(Path::new("C:\\x\\y.html")), "file:///C:/x/y.html");
    }

    #[test]
    fn a_list_that_did_not_change_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("target/crates.txt");
        write_if_changed(&path, "a\n").unwrap();
        let first = path.metadata().unwrap().modified().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        write_if_changed(&path, "a\n").unwrap();
        assert_eq!(path.metadata().unwrap().modified().unwrap(), first);
        write_if_changed(&path, "b\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "b\n");
    }

    #[test]
    fn the_dependencies_of_this_workspace_are_folders_with_a_manifest() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let crates = dependencies(&manifest, true).unwrap();
        assert!(crates.len() > 50, "{}", crates.len());
        assert!(crates.iter().any(|dir| dir.contains("anyhow-")));
        assert!(!crates.iter().any(|dir| dir.ends_with("xtask")));
    }
}
