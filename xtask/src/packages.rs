//! A private toolchain for `wasm32-wasip1`, built from packages: the compiler, the linker and the source of the
//! standard library from Debian, wasi-libc from npm, what the standard library depends on from crates.io.
//!
//! Owns: which packages, how the standard library is built from them, and that a half-built toolchain is never
//! taken for a whole one: it is built aside, proved, then renamed. Nothing is installed on the system and
//! nothing needs root. Does not know: when such a toolchain is wanted.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::process::{self, say};
use crate::toolchain::TARGET;
use crate::workspace;

/// The only host that Debian's compiler package is looked for on.
const HOST: &str = "x86_64-unknown-linux-gnu";

/// Where Debian keeps libraries for that host.
const HOST_LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// What the build calls; all but npm are part of a Debian system for development.
const TOOLS: [&str; 7] = ["apt-get", "apt-cache", "dpkg-deb", "npm", "sha512sum", "tar", "cc"];

/// An npm package that carries a prebuilt wasi-libc. Debian 12's own is of 2022: the standard library links with
/// it until a program starts a thread.
const LIBC: &str = "@yowasp/clang@22.0.0-git20542-10";

/// What `npm pack` calls it.
const LIBC_FILE: &str = "yowasp-clang-22.0.0-git20542-10.tgz";

/// Its SHA-512. apt checks signatures by itself; for this one the number here is the check.
const LIBC_SHA512: &str = "577d7fcfd1ab24408a7800930d4caf8369656c4522162ddbc6d2f91d283b1ffe\
                           acc9d4b1748fc0a15003f45e68ceb7cb8e8b5697407dae0851f3b9be0d433fce";

/// Where the compiler of the toolchain in `dir` is.
pub(crate) fn rustc(dir: &Path) -> PathBuf {
    dir.join("bin/rustc")
}

/// Builds a toolchain and puts it at `dir`, in place of whatever is there. Two at once wait for each other.
pub(crate) fn install(dir: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name().and_then(|name| name.to_str())) else {
        bail!("`{}` cannot hold a toolchain", dir.display());
    };
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "a private toolchain can be built on Linux on x86_64 only"
    );
    if let Some(tool) = TOOLS.into_iter().find(|tool| process::find(tool).is_none()) {
        bail!("a private toolchain is built from Debian's packages, and there is no `{tool}`");
    }
    fs::create_dir_all(parent).with_context(|| format!("cannot create `{}`", parent.display()))?;
    let lock = parent.join(format!("{name}.lock"));
    let lock = File::create(&lock).with_context(|| format!("cannot create `{}`", lock.display()))?;
    lock.lock().context("cannot lock the toolchain's folder")?;
    if prove(dir, parent).is_ok() {
        return Ok(()); // another process built it while this one waited
    }
    // A name of its own each time: what an earlier, killed build started may still be writing to its folder.
    let prefix = format!("{name}.partial-");
    remove_stale(parent, &prefix);
    let partial = (tempfile::Builder::new().prefix(&prefix).tempdir_in(parent))
        .with_context(|| format!("cannot create a folder in `{}`", parent.display()))?;
    build(partial.path())?;
    remove(dir)?;
    let partial = partial.keep();
    fs::rename(&partial, dir).with_context(|| format!("cannot rename `{}`", partial.display()))?;
    say(&format!("the toolchain is in {}", dir.display()));
    Ok(())
}

/// Removes what killed builds left behind. What is still in use stays for the next time.
fn remove_stale(parent: &Path, prefix: &str) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn build(dir: &Path) -> Result<()> {
    let apt = Apt::new(dir)?;
    let release = apt.release()?;
    say(&format!("rust {} with LLVM {} from Debian's packages", release.rust, release.llvm));
    apt.unpack(&release)?;
    unpack_libc(dir)?;
    write_wrappers(dir, &release.llvm)?;
    build_std(dir, &release.rust)?;
    for left_over in ["apt", "npm", "build", "usr/share", "usr/src", "usr/libexec", "usr/lib/rustlib/src", "etc"] {
        remove(&dir.join(left_over))?;
    }
    prove(dir, &dir.join("proof"))?;
    remove(&dir.join("proof"))
}

/// apt with package lists of its own, because the system's may be empty and updating those takes root.
struct Apt<'dir> {
    dir: &'dir Path,
}

/// A version of Debian's compiler.
struct Release {
    /// The package version, such as `1.85.0+dfsg3-1~deb12u3`.
    package: String,
    /// The compiler's version, such as `1.85.0`.
    rust: String,
    /// Major and minor, as in package names: `1.85`.
    series: String,
    /// The major version of LLVM.
    llvm: String,
}

impl<'dir> Apt<'dir> {
    fn new(dir: &'dir Path) -> Result<Self> {
        for folder in ["apt/state/lists/partial", "apt/cache/archives/partial", "apt/packages"] {
            fs::create_dir_all(dir.join(folder)).with_context(|| format!("cannot create `{folder}`"))?;
        }
        let apt = Self { dir };
        // One unreachable source of several is no failure: whether the packages are known shows next.
        if let Err(error) = process::quietly(apt.command("apt-get").args(["-qq", "update"])) {
            say(&format!("{error:#}"));
        }
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // Reads the state below as plain English, wherever we are.
        command.env("LC_ALL", "C").args(["-o", "APT::Sandbox::User=root"]);
        for (option, path) in
            [("Dir::State", "apt/state"), ("Dir::State::lists", "apt/state/lists"), ("Dir::Cache", "apt/cache")]
        {
            command.arg("-o").arg(format!("{option}={}", self.dir.join(path).display()));
        }
        command.args(["-o", "Dir::State::status=/var/lib/dpkg/status"]);
        command
    }

    fn release(&self) -> Result<Release> {
        let policy = process::output(self.command("apt-cache").args(["policy", "rust-web-src"]))?;
        let package = (policy.lines())
            .find_map(|line| line.trim().strip_prefix("Candidate: "))
            .filter(|version| *version != "(none)")
            .context("no package source of this system has `rust-web-src` (Debian 12 has)")?
            .to_owned();
        let rust = package.split(['+', '-', '~']).next().unwrap_or_default().to_owned();
        let series = rust.rsplit_once('.').map_or(rust.as_str(), |(series, _)| series).to_owned();
        let library = format!("libstd-rust-web-{series}");
        let depends = process::output(self.command("apt-cache").args(["depends", &library]))?;
        let llvm = (depends.lines())
            .find_map(|line| line.trim().strip_prefix("Depends: libllvm"))
            .with_context(|| format!("`{library}` does not say which LLVM it needs"))?
            .to_owned();
        Ok(Release { package, rust, series, llvm })
    }

    fn unpack(&self, release: &Release) -> Result<()> {
        let Release { package, series, llvm, .. } = release;
        let packages = self.dir.join("apt/packages");
        let mut download = self.command("apt-get");
        download.args(["-qq", "download"]).current_dir(&packages).args([
            format!("rustc-web={package}"),
            format!("libstd-rust-web-{series}={package}"),
            format!("libstd-rust-web-dev={package}"),
            format!("rust-web-src={package}"),
            format!("libllvm{llvm}"),
            format!("lld-{llvm}"),
        ]);
        say("downloading 140 MB of packages");
        process::quietly(&mut download)?;
        for entry in fs::read_dir(&packages).context("cannot list the packages")? {
            let file = entry.context("cannot list the packages")?.path();
            process::quietly(Command::new("dpkg-deb").arg("-x").arg(file).arg(self.dir))?;
        }
        Ok(())
    }
}

/// Puts wasi-libc into `npm/lib` below `dir`.
fn unpack_libc(dir: &Path) -> Result<()> {
    let npm = dir.join("npm");
    fs::create_dir_all(&npm).with_context(|| format!("cannot create `{}`", npm.display()))?;
    process::output(Command::new("npm").args(["pack", "--silent", LIBC]).current_dir(&npm))?;
    let sum = process::output(Command::new("sha512sum").arg(LIBC_FILE).current_dir(&npm))?;
    ensure!(sum.starts_with(LIBC_SHA512), "`{LIBC}` is not what it was: its SHA-512 is {sum}");
    process::quietly(Command::new("tar").args(["-xzf", LIBC_FILE]).current_dir(&npm))?;
    process::quietly(Command::new("tar").args(["-xf", "package/gen/llvm-resources.tar"]).current_dir(&npm))
}

/// Debian's programs look for their libraries in the system's folders; wrappers send them to ours. The paths in
/// them are relative, because the toolchain is renamed when it is whole.
fn write_wrappers(dir: &Path, llvm: &str) -> Result<()> {
    let host = format!("usr/lib/rustlib/{HOST}/bin");
    for (wrapper, root, program) in [
        ("bin/rustc", "..", "usr/bin/rustc".to_owned()),
        ("bin/rustdoc", "..", "usr/bin/rustdoc".to_owned()),
        // The linker that the compiler calls for this target, by this name.
        (&format!("{host}/rust-lld"), "../../../../..", format!("usr/lib/llvm-{llvm}/bin/lld")),
    ] {
        let script = format!(
            "#!/bin/sh\nroot=$(CDPATH='' cd -- \"$(dirname -- \"$0\")/{root}\" && pwd -P)\n\
             export LD_LIBRARY_PATH=\"$root/{HOST_LIBRARIES}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\"\n\
             exec \"$root/{program}\" \"$@\"\n"
        );
        let path = dir.join(wrapper);
        let folder = path.parent().context("a wrapper has a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        fs::write(&path, script).with_context(|| format!("cannot write `{}`", path.display()))?;
        crate::platform::make_executable(&path).with_context(|| format!("cannot mark `{}`", path.display()))?;
    }
    Ok(())
}

fn build_std(dir: &Path, rust: &str) -> Result<()> {
    let source = dir.join(format!("usr/src/rustc-{rust}/library"));
    let target = dir.join("build");
    say(&format!("building the standard library for {TARGET}"));
    let mut cargo = workspace::cargo();
    cargo
        .args(["build", "--quiet", "--locked", "--release", "--features", "panic-unwind backtrace"])
        .args(["--target", TARGET, "--manifest-path", "sysroot/Cargo.toml", "--target-dir"])
        .arg(&target)
        .current_dir(&source)
        .env("RUSTC", rustc(dir))
        // The standard library uses unstable features, and its symbols must not clash with a guest's copy of
        // the same crates.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("__CARGO_DEFAULT_LIB_METADATA", "wasmill")
        .env(
            "RUSTFLAGS",
            format!(
                "-Zforce-unstable-if-unmarked -Cembed-bitcode=yes --remap-path-prefix={}=/rustc/{rust}/library",
                source.display()
            ),
        );
    // What is meant for the caller's own builds would change this one.
    for variable in ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET", "CARGO_ENCODED_RUSTFLAGS"] {
        cargo.env_remove(variable);
    }
    process::quietly(&mut cargo)?;

    let library = dir.join("usr/lib/rustlib").join(TARGET).join("lib");
    let startup = library.join("self-contained");
    fs::create_dir_all(&startup).with_context(|| format!("cannot create `{}`", startup.display()))?;
    let built = target.join(TARGET).join("release/deps");
    for entry in fs::read_dir(&built).with_context(|| format!("cannot list `{}`", built.display()))? {
        let file = entry.with_context(|| format!("cannot list `{}`", built.display()))?.path();
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // `sysroot` only exists to name the others.
        if name.ends_with(".rlib") && !name.starts_with("libsysroot-") {
            copy(&file, &library.join(name))?;
        }
    }
    for name in ["crt1-command.o", "crt1-reactor.o", "libc.a"] {
        copy(&dir.join("npm/lib").join(TARGET).join(name), &startup.join(name))?;
    }
    Ok(())
}

/// Compiles a program with the toolchain and looks at what came out.
fn prove(dir: &Path, scratch: &Path) -> Result<()> {
    fs::create_dir_all(scratch).with_context(|| format!("cannot create `{}`", scratch.display()))?;
    let scratch = tempfile::tempdir_in(scratch).context("cannot create a temporary folder")?;
    let (source, module) = (scratch.path().join("proof.rs"), scratch.path().join("proof.wasm"));
    fs::write(&source, PROOF).context("cannot write a program to compile")?;
    let mut compile = Command::new(rustc(dir));
    compile.args(["--edition", "2024", "--target", TARGET, "-O", "-o"]).arg(&module).arg(&source);
    process::output(&mut compile).context("the toolchain cannot compile a small program")?;
    let module = fs::read(&module).context("cannot read what the toolchain made")?;
    ensure!(
        module.starts_with(b"\0asm\x01\0\0\0") && module.windows(6).any(|bytes| bytes == b"_start"),
        "what the toolchain made is not a program for WASI"
    );
    Ok(())
}

/// Uses what guests use of the standard library and of libc: arguments, files, clocks, random keys, threads
/// and sockets (which are refused, but must link).
const PROOF: &str = r#"
use std::{collections::HashMap, env, fs, io::Write, time};
fn main() {
    let counts = HashMap::from([(1, env::args().count())]);
    for entry in fs::read_dir("/in").expect("an input").flatten() {
        println!("{:?} {:?}", entry.path(), entry.metadata().and_then(|metadata| metadata.modified()));
    }
    fs::create_dir_all("/out/a/b").and_then(|()| fs::rename("/out/a", "/out/c")).expect("an output");
    fs::File::create("/out/d").and_then(|mut file| file.write_all(b"d")).expect("an output");
    println!("{counts:?} {:?} {:?}", time::Instant::now(), time::SystemTime::now());
    let spawned = std::thread::Builder::new().spawn(|| std::thread::sleep(time::Duration::from_millis(1)));
    println!("{:?} {:?}", spawned.is_ok(), std::net::TcpListener::bind("127.0.0.1:0").is_ok());
}
"#;

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy `{}` to `{}`", from.display(), to.display()))?;
    Ok(())
}

/// Removes a folder, if it is there.
fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{}`", dir.display()))
        }
        _ => Ok(()),
    }
}
