//! Which crate may know which, by its manifest and by what its sources name (ARCHITECTURE.md has the picture).
//!
//! cli → mill → {executor, storage, sandbox}, cli → insight → executor, and executor → {storage, sandbox} only through model's ports; model knows what guests and hosts agree on (abi) and nothing else of ours; a guest knows
//! nothing of the host.

use super::rules::find;
use super::{Findings, Source};

/// What a part of the tree must not know.
struct Rule {
    /// The folder of a crate, or of several.
    folder: &'static str,
    /// Which of our own crates it may depend on; the others it may not.
    ours: &'static [&'static str],
    /// Third-party crates that belong to another layer.
    crates: &'static [&'static str],
}

const RULES: [Rule; 8] = [
    Rule {
        folder: "runtime/model/",
        ours: &["wasmill-abi"],
        crates: &["tokio", "wasmtime", "redb", "rustix", "walkdir", "tempfile"],
    },
    Rule { folder: "runtime/storage/", ours: &["wasmill-model"], crates: &["wasmtime", "tokio", "clap"] },
    Rule { folder: "runtime/sandbox/", ours: &["wasmill-model", "wasmill-abi"], crates: &["redb", "tokio", "clap"] },
    Rule {
        folder: "runtime/executor/",
        ours: &["wasmill-model", "wasmill-abi"],
        crates: &["wasmtime", "redb", "axum", "clap"],
    },
    Rule {
        folder: "runtime/mill/",
        ours: &["wasmill-executor", "wasmill-model", "wasmill-sandbox", "wasmill-storage"],
        crates: &["wasmtime", "redb", "axum", "clap"],
    },
    Rule {
        folder: "runtime/insight/",
        ours: &["wasmill-executor", "wasmill-model"],
        crates: &["wasmtime", "redb", "axum", "clap", "tokio"],
    },
    Rule { folder: "guest-sdk/", ours: &["wasmill-abi", "wasmill-sdk-macro"], crates: &["tokio", "wasmtime", "redb"] },
    Rule { folder: "xtask/", ours: &[], crates: &["wasmtime", "redb", "tokio"] },
];

/// What the sources below a path must not name: things of the standard library cannot be told from a manifest.
const IMPORTS: [(&str, &[&str]); 5] = [
    (
        "runtime/model/src/",
        &["std::fs", "std::net", "std::env", "std::process", "std::thread", "Instant", "SystemTime"],
    ),
    (
        "runtime/insight/src/",
        &["std::fs", "std::net", "std::env", "std::process", "std::thread", "Instant", "SystemTime"],
    ),
    ("runtime/sandbox/src/", &["wasmill_model::plan", "model::plan"]),
    ("runtime/executor/src/scheduler.rs", SCHEDULER),
    ("runtime/executor/src/scheduler/", SCHEDULER),
];

/// The scheduler decides and does nothing: no input or output, no threads, and time is what it is told.
const SCHEDULER: &[&str] = &[
    "std::fs",
    "std::io",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::sync",
    "Instant::now",
    "SystemTime",
    "tokio",
    "crossbeam_channel",
];

/// A manifest names only what its crate may know. Development dependencies are free.
pub(super) fn manifest(source: &Source) -> Findings {
    let Some(rule) = RULES.iter().find(|rule| source.path.starts_with(rule.folder)) else { return Findings::new() };
    if !source.path.ends_with("/Cargo.toml") {
        return Findings::new();
    }
    let manifest: toml::Table = match source.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![format!("{}: {error}", source.path)],
    };
    (dependencies(&manifest).into_iter())
        .filter(|name| {
            let is_foreign = name.starts_with("wasmill") && !rule.ours.contains(&name.as_str());
            is_foreign || rule.crates.contains(&name.as_str())
        })
        .map(|name| format!("{}: must not depend on `{name}`", source.path))
        .collect()
}

/// What a crate depends on, on any platform, to run or to be built.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    let tables = platforms.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table);
    (std::iter::once(manifest).chain(tables))
        .flat_map(|table| ["dependencies", "build-dependencies"].map(|kind| table.get(kind)))
        .flatten()
        .filter_map(toml::Value::as_table)
        .flat_map(|table| {
            // A dependency may go by another name: `x = { package = "redb" }`.
            table.iter().map(|(name, value)| {
                value.get("package").and_then(toml::Value::as_str).unwrap_or(name.as_str()).to_owned()
            })
        })
        .collect()
}

/// Sources do not name what their layer does not know. Unit tests may.
pub(super) fn imports(source: &Source) -> Findings {
    if !source.is_rust() || source.is_test() {
        return Findings::new();
    }
    (IMPORTS.iter())
        .filter(|(folder, _)| source.path.starts_with(folder))
        .flat_map(|(_, words)| find(&source.path, &code(source.production()), words, "this layer does not know"))
        .collect()
}

/// The text with its comments blanked, because documentation may name anything.
fn code(text: &str) -> String {
    text.lines()
        .map(|line| if line.trim_start().starts_with("//") { "\n".to_owned() } else { format!("{line}\n") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_in_the_wrong_direction_is_found() {
        let findings = |folder: &str, text: &str| manifest(&Source::sample(&format!("{folder}Cargo.toml"), text));
        for rule in &RULES {
            let folder = format!("{}x/", rule.folder);
            for name in rule.crates.iter().chain(&["wasmill-cli"]) {
                for table in ["dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"] {
                    let text = format!("[{table}]\n{name} = \"1\"\n");
                    let expected = [format!("{folder}Cargo.toml: must not depend on `{name}`")];
                    assert_eq!(findings(&folder, &text), expected);
                }
                let development = format!("[dev-dependencies]\n{name} = \"1\"\n");
                assert_eq!(findings(&folder, &development), [""; 0]);
            }
            for name in rule.ours {
                assert_eq!(findings(&folder, &format!("[dependencies]\n{name}.workspace = true\n")), [""; 0]);
            }
        }
        let renamed = findings("runtime/model/", "[dependencies]\nx = { package = \"redb\", version = \"4\" }\n");
        assert_eq!(renamed, ["runtime/model/Cargo.toml: must not depend on `redb`"]);
        assert_eq!(findings("runtime/model/", "no manifest").len(), 1);
        assert_eq!(findings("runtime/cli/", "[dependencies]\nwasmill-storage = \"1\"\n"), [""; 0]);
    }

    #[test]
    fn an_import_from_another_layer_is_found() {
        for (folder, words) in IMPORTS {
            let path = if folder.ends_with(".rs") { folder.to_owned() } else { format!("{folder}a.rs") };
            for word in words {
                let findings = |text: &str| imports(&Source::sample(&path, text)).len();
                assert!(findings(&format!("//! A.\nuse {word};\n")) >= 1, "{path} {word}");
                assert_eq!(findings(&format!("//! A.\n// {word}\n")), 0);
                assert_eq!(findings(&format!("//! A.\n\n#[cfg(test)]\nmod tests {{\n    use {word};\n}}\n")), 0);
            }
        }
    }
}
