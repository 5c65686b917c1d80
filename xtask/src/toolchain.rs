//! A Rust compiler for guests: one that has the standard library for `wasm32-wasip1`.
//!
//! Owns: where such a compiler is looked for, and in which order. The wasmill binary looks in the same places
//! (docs/guest-abi.md), except that it installs nothing. Does not know: how one is built from packages.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::{packages, process};

/// The target that guests are built for.
pub(crate) const TARGET: &str = "wasm32-wasip1";

/// Names the guest compiler, for us and for every program that we start.
const RUSTC_VARIABLE: &str = "WASMILL_GUEST_RUSTC";

/// Says where the private toolchain is kept.
const DIR_VARIABLE: &str = "WASMILL_WASI_TOOLCHAIN";

/// rustup without a network may retry for minutes; with one, the target's 20 MB take seconds.
const RUSTUP_TIME_MAX: Duration = Duration::from_secs(60);

/// What to do where nothing below works.
const BY_HAND: &str = "install the target (`rustup target add wasm32-wasip1`), or name a compiler that has it in \
                       `WASMILL_GUEST_RUSTC`";

/// A compiler that has the guest target.
pub(crate) struct GuestToolchain {
    rustc: PathBuf,
}

impl GuestToolchain {
    /// Finds a compiler with the target, or gets one: the one named in the environment, the default one, the
    /// private one, the default one after `rustup target add`, a private one built from packages.
    pub(crate) fn get() -> Result<Self> {
        if let Some(rustc) = std::env::var_os(RUSTC_VARIABLE).map(PathBuf::from) {
            return if has_target(&rustc) {
                Ok(Self { rustc })
            } else {
                bail!("`{RUSTC_VARIABLE}` is `{}`, which cannot compile for {TARGET}", rustc.display())
            };
        }
        if let Some(found) = Self::default_rustc() {
            return Ok(found);
        }
        let private = private_dir();
        if let Some(rustc) = private.as_deref().map(packages::rustc).filter(|rustc| has_target(rustc)) {
            return Ok(Self { rustc });
        }
        if process::find("rustup").is_some() {
            process::say(&format!("rustup target add {TARGET}"));
            let mut add = Command::new("rustup");
            if process::succeeds_within(add.args(["target", "add", TARGET]), RUSTUP_TIME_MAX)
                && let Some(found) = Self::default_rustc()
            {
                return Ok(found);
            }
            process::say("rustup could not get it; building a private toolchain from packages, once");
        }
        let private = private.context("there is no home directory to keep a private toolchain in").context(BY_HAND)?;
        packages::install(&private).context(BY_HAND)?;
        let rustc = packages::rustc(&private);
        if !has_target(&rustc) {
            bail!("the toolchain just built in `{}` does not have {TARGET}", private.display());
        }
        Ok(Self { rustc })
    }

    fn default_rustc() -> Option<Self> {
        let sysroot = sysroot(Path::new("rustc"))?;
        let rustc = sysroot.join("bin/rustc").with_extension(std::env::consts::EXE_EXTENSION);
        // A distribution's compiler need not live in its sysroot.
        let rustc = if rustc.is_file() { rustc } else { "rustc".into() };
        has_target(&rustc).then_some(Self { rustc })
    }

    /// Tells a program that we start, and all that it starts, which compiler to build guests with.
    pub(crate) fn publish(&self, command: &mut Command) {
        command.env(RUSTC_VARIABLE, &self.rustc);
    }

    /// Makes a call of cargo compile with this compiler.
    pub(crate) fn compile(&self, cargo: &mut Command) {
        cargo.env("RUSTC", &self.rustc);
    }
}

/// Where the private toolchain is, or would be.
fn private_dir() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os(DIR_VARIABLE) {
        return std::path::absolute(dir).ok();
    }
    // The XDG base directories, because packages to build one from are had on Linux only.
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
        .or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    Some(cache.join("wasmill").join("wasi-toolchain"))
}

fn sysroot(rustc: &Path) -> Option<PathBuf> {
    process::output(Command::new(rustc).args(["--print", "sysroot"])).ok().map(PathBuf::from)
}

fn has_target(rustc: &Path) -> bool {
    sysroot(rustc).is_some_and(|sysroot| sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir())
}
