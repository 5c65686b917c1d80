//! Looking at one crate.
//!
//! Owns: which files are looked at and how, and that what is odd about one file stays that file's problem. Does
//! not know: other crates.

use serde::{Deserialize, Serialize};
use wasmill_sdk::{Dir, Entry, Result, Schema};

use crate::build_script::{self, Uses};
use crate::lines::{self, ByLanguage, Comments};
use crate::manifest::{Build, Manifest};
use crate::syntax::{self, Syntax};

/// 4 MiB: larger files are generated, and a syntax tree takes up to two hundred times the space of its text (measured
/// on a function of `;` only), for which the plan's memory limit has room.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What was found in a crate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Scan {
    /// The name of its directory.
    pub name: String,
    /// Its version, if `Cargo.toml` has one.
    pub version: Option<String>,
    /// What it says of its licence.
    pub licence: Option<String>,
    /// Files that look like licences: `LICENSE*`, `COPYING*`, `NOTICE*`, and what `license-file` names.
    pub licence_files: Vec<String>,
    /// Whether it runs within the compiler.
    pub proc_macro: bool,
    /// Its build scripts: none or one, but for an unstable feature of cargo.
    pub build_scripts: Vec<BuildScript>,
    /// Lines by language.
    pub lines: ByLanguage,
    /// Counts over its Rust files.
    pub syntax: Syntax,
    /// What could not be looked at.
    pub problems: Vec<Problem>,
}

/// A program that cargo runs on the host before it builds the crate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct BuildScript {
    /// Where it is in the crate.
    pub path: String,
    /// What of the system it uses.
    pub uses: Uses,
}

/// Something that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Problem {
    /// The file, or the crate's directory as `.`.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

impl Scan {
    /// Looks at the crate in a directory.
    ///
    /// # Errors
    /// The directory itself cannot be read.
    pub fn of(name: String, source: &Dir) -> Result<Self> {
        source.entries()?;
        let mut scan = Self { name, ..Self::default() };
        let manifest = scan.manifest(source);
        for entry in source.walk() {
            match entry {
                Ok(entry) if entry.is_file() && !is_build_output(entry.relative()) => scan.file(&entry, &manifest),
                Ok(_) => {}
                Err(error) => scan.problem(".", one_line(&error)),
            }
        }
        if let Build::At(paths) = &manifest.build {
            for path in paths.iter().map(|path| normal(path)) {
                if !scan.build_scripts.iter().any(|script| script.path == path) {
                    scan.problem(path, "it is to be the build script, but is not there or cannot be parsed");
                }
            }
        }
        scan.version = manifest.version;
        scan.licence = manifest.licence;
        scan.proc_macro = manifest.proc_macro;
        Ok(scan)
    }

    fn problem(&mut self, file: impl Into<String>, what: impl Into<String>) {
        self.problems.push(Problem { file: file.into(), what: what.into() });
    }

    /// Reads `Cargo.toml`; one that cannot be read says nothing.
    fn manifest(&mut self, source: &Dir) -> Manifest {
        let text = match source.read_to_string("Cargo.toml") {
            Ok(text) => text,
            Err(error) => {
                self.problem("Cargo.toml", one_line(&error));
                return Manifest::default();
            }
        };
        Manifest::parse(&text).unwrap_or_else(|error| {
            self.problem("Cargo.toml", error.message());
            Manifest::default()
        })
    }

    /// Looks at one file.
    fn file(&mut self, entry: &Entry, manifest: &Manifest) {
        let path = entry.relative();
        if is_licence(path) || manifest.licence_file.as_deref().map(normal) == Some(path) {
            self.licence_files.push(path.to_owned());
        }
        let Some((language, comments)) = lines::language(entry.name()) else { return };
        let bytes = match entry.file().size_bytes() {
            Ok(size_bytes) if size_bytes > FILE_BYTES_MAX => {
                return self.problem(path, format!("it is larger than {} MiB, and was not read", FILE_BYTES_MAX >> 20));
            }
            Ok(_) => entry.file().read(),
            Err(error) => Err(error),
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => return self.problem(path, one_line(&error)),
        };
        self.lines.entry(language.to_owned()).or_default().add(&lines::count(&bytes, comments));
        if comments == Comments::Rust {
            let text = std::str::from_utf8(&bytes).map_err(|_| "it is not UTF-8".to_owned());
            match text.and_then(syntax::parse) {
                Ok(file) => self.rust(path, &file, manifest),
                Err(what) => self.problem(path, what),
            }
        }
    }

    /// Counts on a syntax tree.
    fn rust(&mut self, path: &str, file: &syn::File, manifest: &Manifest) {
        self.syntax.add(&Syntax::of(file));
        let is_build_script = match &manifest.build {
            Build::Unsaid => path == "build.rs",
            Build::Off => false,
            Build::At(paths) => paths.iter().any(|script| normal(script) == path),
        };
        if is_build_script {
            self.build_scripts.push(BuildScript { path: path.to_owned(), uses: build_script::uses(file) });
        }
    }
}

/// Whether a path is git's or cargo's rather than the crate's own, as in a crate that is being worked on.
fn is_build_output(path: &str) -> bool {
    path.starts_with("target/") || path.starts_with(".git/")
}

fn is_licence(path: &str) -> bool {
    let name = path.to_ascii_uppercase();
    !path.contains('/')
        && ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"].iter().any(|word| name.starts_with(word))
}

/// A path of a manifest as a walk would give it.
fn normal(path: &str) -> &str {
    path.trim_start_matches("./")
}

/// An error with its causes in one line.
fn one_line(error: &wasmill_sdk::Error) -> String {
    error.chain().collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(files: &[(&str, &[u8])]) -> Scan {
        let root = tempfile::tempdir().expect("a temporary directory");
        for (path, bytes) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, bytes).expect("written");
        }
        Scan::of("sample-1.0.0".to_owned(), &Dir::new(root.path())).expect("readable")
    }

    const MANIFEST: (&str, &[u8]) = ("Cargo.toml", b"[package]\nversion = '1.0.0'\nlicense = 'MIT'\n");

    #[test]
    fn an_ordinary_crate_has_no_problems() {
        let scan = scan(&[
            MANIFEST,
            ("LICENSE-MIT", b"free"),
            ("README.md", b"# sample\n"),
            ("build.rs", b"fn main() { std::env::var(\"A\"); }\n"),
            ("src/lib.rs", b"//! Docs.\n\npub fn a() { unsafe { b() } }\n"),
            ("target/out.rs", b"not rust"),
        ]);
        assert_eq!(scan.problems, []);
        assert_eq!((scan.version.as_deref(), scan.licence.as_deref()), (Some("1.0.0"), Some("MIT")));
        assert_eq!(scan.licence_files, ["LICENSE-MIT"]);
        assert_eq!((scan.syntax.functions, scan.syntax.unsafe_blocks), (2, 1));
        let rust = lines::Lines { files: 2, code: 2, comment: 1, blank: 1 };
        assert_eq!(scan.lines.get("Rust"), Some(&rust));
        assert_eq!(scan.lines.keys().collect::<Vec<_>>(), ["Markdown", "Rust", "TOML"]);
        let uses = [("std::env::var".to_owned(), 1)].into();
        assert_eq!(scan.build_scripts, [BuildScript { path: "build.rs".to_owned(), uses }]);
    }

    #[test]
    fn an_odd_file_is_its_own_problem_only() {
        let huge = vec![b' '; FILE_BYTES_MAX as usize + 1];
        let deep = format!("const A: u8 = {}1{};", "(".repeat(5000), ")".repeat(5000));
        let scan = scan(&[
            ("Cargo.toml", b"[package"),
            ("src/deep.rs", deep.as_bytes()),
            ("src/huge.rs", &huge),
            ("src/latin.rs", b"// caf\xe9\nfn a() {}\n"),
            ("src/lib.rs", b"fn a() {}\n"),
            ("src/template.rs", b"fn {{ name }}() {}\n"),
        ]);
        let files: Vec<_> = scan.problems.iter().map(|problem| problem.file.as_str()).collect();
        assert_eq!(files, ["Cargo.toml", "src/deep.rs", "src/huge.rs", "src/latin.rs", "src/template.rs"]);
        assert_eq!(scan.syntax.functions, 1);
        assert_eq!(scan.lines.get("Rust").map(|lines| (lines.files, lines.code)), Some((4, 4)));
    }

    #[test]
    fn the_manifest_decides_what_the_build_script_is() {
        let script: (&str, &[u8]) = ("build.rs", b"fn main() {}");
        let off = scan(&[("Cargo.toml", b"[package]\nbuild = false"), script]);
        assert_eq!((off.build_scripts.len(), off.problems.len()), (0, 0));
        let other =
            scan(&[("Cargo.toml", b"[package]\nbuild = './b/main.rs'"), script, ("b/main.rs", b"fn main() {}")]);
        assert_eq!(other.build_scripts[0].path, "b/main.rs");
        let gone = scan(&[("Cargo.toml", b"[package]\nbuild = 'gone.rs'"), script]);
        assert_eq!((gone.build_scripts.len(), gone.problems[0].file.as_str()), (0, "gone.rs"));
    }

    #[test]
    fn a_crate_that_is_not_there_is_an_error() {
        assert!(Scan::of("none".to_owned(), &Dir::new("/nowhere/at/all")).is_err());
    }
}
