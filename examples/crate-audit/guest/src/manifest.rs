//! What a crate says about itself in `Cargo.toml`.
//!
//! Owns: reading the few keys that the audit shows. Does not know: cargo's rules beyond them. A value that a
//! crate takes from its workspace (`version.workspace = true`) counts as absent: crates in a registry have none.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};
use wasmill_sdk::Schema;

/// The keys of interest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Manifest {
    /// `package.version`.
    pub version: Option<String>,
    /// `package.license`, an SPDX expression.
    pub licence: Option<String>,
    /// `package.license-file`.
    pub licence_file: Option<String>,
    /// Whether the crate runs within the compiler.
    pub proc_macro: bool,
    /// What `package.build` says.
    pub build: Build,
}

/// What a manifest says about the build script.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Build {
    /// Nothing: it is `build.rs`, if there is such a file.
    #[default]
    Unsaid,
    /// `build = false`: there is none, whatever files there are.
    Off,
    /// `build = "path"`.
    At(Vec<String>),
}

impl Manifest {
    /// Reads the text of a `Cargo.toml`.
    ///
    /// # Errors
    /// It is not TOML; the message is the parser's.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let table: Table = toml::from_str(text)?;
        let section = |name: &str| table.get(name).and_then(Value::as_table);
        let package = section("package").or_else(|| section("project"));
        let text = |key: &str| package?.get(key)?.as_str().map(str::to_owned);
        let proc_macro = section("lib")
            .and_then(|lib| lib.get("proc-macro").or_else(|| lib.get("proc_macro")))
            .and_then(Value::as_bool);
        let build = match package.and_then(|package| package.get("build")) {
            Some(Value::Boolean(false)) => Build::Off,
            Some(Value::Boolean(true)) => Build::At(vec!["build.rs".to_owned()]),
            Some(Value::String(path)) => Build::At(vec![path.clone()]),
            Some(Value::Array(paths)) => Build::At(paths.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            _ => Build::Unsaid,
        };
        Ok(Self {
            version: text("version"),
            licence: text("license"),
            licence_file: text("license-file"),
            proc_macro: proc_macro.unwrap_or(false),
            build,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Manifest {
        Manifest::parse(text).expect("TOML")
    }

    #[test]
    fn the_usual_keys_are_found() {
        let manifest = read(
            "[package]\nversion = '1.2.3'\nlicense = 'MIT'\nlicense-file = 'L'\nbuild = 'build/main.rs'\n\
             [lib]\nproc-macro = true\n",
        );
        let build = Build::At(vec!["build/main.rs".to_owned()]);
        let [version, licence, licence_file] = ["1.2.3", "MIT", "L"].map(|text| Some(text.to_owned()));
        assert_eq!(manifest, Manifest { version, licence, licence_file, proc_macro: true, build });
    }

    #[test]
    fn a_build_script_can_be_turned_off() {
        assert_eq!(read("[package]\nbuild = false").build, Build::Off);
        assert_eq!(read("[package]").build, Build::Unsaid);
    }

    #[test]
    fn inherited_values_and_odd_types_count_as_absent() {
        assert_eq!(read("[package]\nversion.workspace = true\nlicense = 3"), Manifest::default());
        assert_eq!(read("package = 1"), Manifest::default());
    }

    #[test]
    fn what_is_not_toml_is_an_error() {
        assert!(Manifest::parse("[package").is_err());
        let deep = format!("a = {}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(Manifest::parse(&deep).is_err());
    }
}
