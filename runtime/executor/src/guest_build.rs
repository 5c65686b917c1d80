//! Builds guest crates with cargo.
//!
//! Owns: which compiler is used, where its output goes, and which of cargo's products is the module. Does not
//! know: how a guest toolchain is installed (`cargo xtask guests` does that for this repository).

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::platform::EXE_SUFFIX;

/// The target that guests are compiled for.
const TARGET: &str = "wasm32-wasip1";

/// Where compilers for guests are looked for, first to last.
#[derive(Debug, Clone, Default)]
pub struct Toolchain {
    /// A `rustc` to use whatever else there is.
    pub rustc: Option<PathBuf>,
    /// The folder of a private toolchain, used where the default `rustc` has no `wasm32-wasip1`.
    pub private: Option<PathBuf>,
}

/// What becomes of cargo's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildOutput {
    /// They are shown as they come.
    Shown,
    /// They are kept, and are part of the error if the build fails.
    Kept,
}

/// A guest crate cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum GuestBuildError {
    /// There is no crate.
    #[error("{path} is not the folder of a Rust crate: it has no Cargo.toml")]
    NoCrate {
        /// The folder.
        path: PathBuf,
    },
    /// There is no compiler for guests.
    #[error("the Rust compiler has no target `{TARGET}`")]
    NoTarget,
    /// cargo cannot be started.
    #[error("failed to start `{program}`")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The crate does not compile.
    #[error("cargo could not build the crate in {path}{}", tail(messages))]
    Failed {
        /// The folder.
        path: PathBuf,
        /// cargo's messages, where they were not shown already.
        messages: String,
    },
    /// The crate has no program.
    #[error("the crate in {path} has no program{}", .bin.as_ref().map(|bin| format!(" `{bin}`")).unwrap_or_default())]
    NoProgram {
        /// The folder.
        path: PathBuf,
        /// The one asked for.
        bin: Option<String>,
    },
    /// The crate has several programs.
    #[error("the crate in {path} has several programs: {}", found.join(", "))]
    SeveralPrograms {
        /// The folder.
        path: PathBuf,
        /// Their names.
        found: Vec<String>,
    },
}

impl GuestBuildError {
    /// How to mend it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            GuestBuildError::NoTarget => {
                Some("run `rustup target add wasm32-wasip1`, or point WASMILL_GUEST_RUSTC at a rustc that has it")
            }
            GuestBuildError::NoProgram { .. } => Some("a module is a program: src/main.rs or src/bin/NAME.rs"),
            GuestBuildError::SeveralPrograms { .. } => Some("choose one with `bin = \"NAME\"` beside `crate`"),
            _ => None,
        }
    }
}

fn tail(messages: &str) -> String {
    if messages.is_empty() { String::new() } else { format!(":\n{}", messages.trim_end()) }
}

/// A program that is to be built.
#[derive(Debug, Clone, Copy)]
pub(crate) struct What<'a> {
    /// The folder of its crate.
    pub(crate) folder: &'a Path,
    /// Its name, where the crate has several.
    pub(crate) bin: Option<&'a str>,
    /// A profile of the crate's, where that is not `release`.
    pub(crate) profile: Option<&'a str>,
}

/// Builds a program for this machine, to be looked into with a debugger, and returns its path.
///
/// # Errors
/// As of [`build_guest`].
pub(crate) fn build_native(folder: &Path, bin: Option<&str>, output: BuildOutput) -> Result<PathBuf, GuestBuildError> {
    let mut cargo = cargo(folder, bin, output)?;
    // It is compiled for this machine, whatever else is compiled for another.
    cargo.env_remove("CARGO_BUILD_TARGET");
    build(cargo, folder, bin, output)
}

/// Builds a program and returns the path of its module.
///
/// # Errors
/// No crate, no compiler, a crate that does not compile or has not exactly one program of that name.
pub(crate) fn build_guest(
    what: What<'_>,
    toolchain: &Toolchain,
    output: BuildOutput,
) -> Result<PathBuf, GuestBuildError> {
    let What { folder, bin, profile } = what;
    let mut cargo = cargo(folder, bin, output)?;
    cargo.args(["--profile", profile.unwrap_or("release"), "--target", TARGET]);
    // A directory of its own: the host's compiler and the guests' would undo each other's work in a shared one.
    cargo.arg("--target-dir").arg(folder.join("target").join("guest"));
    if let Some(rustc) = find_rustc(toolchain)? {
        cargo.env("RUSTC", rustc);
    }
    // Flags and wrappers that are meant for the host would change the module's bytes, or break the build.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WORKSPACE_WRAPPER"] {
        cargo.env_remove(name);
    }
    build(cargo, folder, bin, output)
}

/// What is the same whatever the program is built for.
fn cargo(folder: &Path, bin: Option<&str>, output: BuildOutput) -> Result<Command, GuestBuildError> {
    let manifest = folder.join("Cargo.toml");
    if !manifest.is_file() {
        return Err(GuestBuildError::NoCrate { path: folder.to_owned() });
    }
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--message-format", "json-render-diagnostics", "--manifest-path"]).arg(&manifest);
    if let Some(bin) = bin {
        cargo.args(["--bin", bin]);
    }
    if output == BuildOutput::Kept {
        cargo.arg("--quiet");
    }
    Ok(cargo)
}

fn build(
    mut cargo: Command,
    folder: &Path,
    bin: Option<&str>,
    output: BuildOutput,
) -> Result<PathBuf, GuestBuildError> {
    let stderr = if output == BuildOutput::Shown { Stdio::inherit() } else { Stdio::piped() };
    let built = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).output();
    let built = built.map_err(|source| GuestBuildError::Start { program: "cargo".to_owned(), source })?;
    if !built.status.success() {
        let messages = String::from_utf8_lossy(&built.stderr).into_owned();
        return Err(GuestBuildError::Failed { path: folder.to_owned(), messages });
    }
    choose(programs(&built.stdout), folder, bin)
}

fn choose(mut programs: Vec<(String, PathBuf)>, folder: &Path, bin: Option<&str>) -> Result<PathBuf, GuestBuildError> {
    match programs.len() {
        0 => Err(GuestBuildError::NoProgram { path: folder.to_owned(), bin: bin.map(str::to_owned) }),
        1 => Ok(programs.swap_remove(0).1),
        _ => {
            let found = programs.into_iter().map(|(name, _)| name).collect();
            Err(GuestBuildError::SeveralPrograms { path: folder.to_owned(), found })
        }
    }
}

/// The programs among cargo's JSON messages (<https://doc.rust-lang.org/cargo/reference/external-tools.html>).
fn programs(messages: &[u8]) -> Vec<(String, PathBuf)> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        target: Option<Target>,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    messages
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .filter_map(|message| Some((message.target?.name, message.executable?)))
        .collect()
}

/// The compiler to tell cargo of; none where its default will do.
fn find_rustc(toolchain: &Toolchain) -> Result<Option<PathBuf>, GuestBuildError> {
    if let Some(rustc) = &toolchain.rustc {
        return Ok(Some(rustc.clone()));
    }
    if default_has_target()? {
        return Ok(None);
    }
    let private = toolchain.private.as_ref().map(|dir| dir.join("bin").join(format!("rustc{EXE_SUFFIX}")));
    match private.filter(|rustc| rustc.is_file()) {
        Some(rustc) => Ok(Some(rustc)),
        None => Err(GuestBuildError::NoTarget),
    }
}

fn default_has_target() -> Result<bool, GuestBuildError> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let asked = Command::new(&rustc).args(["--print", "sysroot"]).stderr(Stdio::null()).output();
    let asked =
        asked.map_err(|source| GuestBuildError::Start { program: rustc.to_string_lossy().into_owned(), source })?;
    let sysroot = String::from_utf8_lossy(&asked.stdout);
    Ok(Path::new(sysroot.trim()).join("lib").join("rustlib").join(TARGET).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_the_messages() {
        let messages = br#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"audit"},"executable":"/x/audit.wasm"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(programs(messages), [("audit".to_owned(), PathBuf::from("/x/audit.wasm"))]);
        assert!(programs(b"not json\n").is_empty());
    }

    #[test]
    fn a_folder_without_a_crate_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let error = build_guest(
            What { folder: dir.path(), bin: None, profile: None },
            &Toolchain::default(),
            BuildOutput::Kept,
        )
        .unwrap_err();
        assert!(matches!(error, GuestBuildError::NoCrate { .. }));
    }

    #[test]
    fn one_program_must_be_left() {
        let two = vec![("a".to_owned(), PathBuf::from("a")), ("b".to_owned(), PathBuf::from("b"))];
        assert!(matches!(choose(two, Path::new("x"), None), Err(GuestBuildError::SeveralPrograms { .. })));
        assert!(matches!(choose(Vec::new(), Path::new("x"), Some("a")), Err(GuestBuildError::NoProgram { .. })));
    }
}
