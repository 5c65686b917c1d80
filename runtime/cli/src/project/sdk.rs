//! The guest SDK, as it was when this program was compiled.
//!
//! Owns: its files, and the manifest that makes a workspace of them anywhere. Does not know: who wants them.

use std::io;
use std::path::Path;

macro_rules! files {
    ($($path:literal)*) => {
        &[$(($path, include_str!(concat!("../../../../guest-sdk/", $path)))),*]
    };
}

/// The files, by their paths in the SDK's folder.
const FILES: &[(&str, &str)] = files! {
    "abi/Cargo.toml"
    "abi/src/interface.rs"
    "abi/src/lib.rs"
    "macro/Cargo.toml"
    "macro/src/expand.rs"
    "macro/src/init.rs"
    "macro/src/lib.rs"
    "macro/src/outputs.rs"
    "macro/src/schema.rs"
    "sdk/Cargo.toml"
    "sdk/src/command.rs"
    "sdk/src/each.rs"
    "sdk/src/error.rs"
    "sdk/src/files.rs"
    "sdk/src/input.rs"
    "sdk/src/input_tests.rs"
    "sdk/src/job.rs"
    "sdk/src/json/mod.rs"
    "sdk/src/json/read.rs"
    "sdk/src/json/read/types.rs"
    "sdk/src/json/tests.rs"
    "sdk/src/json/write.rs"
    "sdk/src/lib.rs"
    "sdk/src/out.rs"
    "sdk/src/outputs.rs"
    "sdk/src/place.rs"
    "sdk/src/plan.rs"
    "sdk/src/remarks.rs"
    "sdk/src/root.rs"
    "sdk/src/schema.rs"
    "sdk/src/system/heap.rs"
    "sdk/src/system/memory.rs"
    "sdk/src/system/mod.rs"
    "sdk/src/system/preview1.rs"
    "sdk/src/system/with_std.rs"
    "sdk/src/text.rs"
    "sdk/src/trial.rs"
};

/// The manifest of the workspace that the SDK is developed in, where versions are.
const MANIFEST: &str = include_str!("../../../../Cargo.toml");

/// Writes the SDK into a folder, as a workspace.
pub(crate) fn write(folder: &Path) -> io::Result<()> {
    for (path, content) in FILES {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(path, content)?;
    }
    std::fs::write(folder.join("Cargo.toml"), manifest().map_err(io::Error::other)?)
}

/// What of the workspace's manifest is the SDK's.
fn manifest() -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let whole: toml::Table = toml::from_str(MANIFEST)?;
    let workspace = whole.get("workspace").and_then(toml::Value::as_table).ok_or("it is no workspace")?;
    let mut kept = toml::Table::new();
    for (key, value) in workspace {
        match key.as_str() {
            "resolver" | "package" | "lints" => drop(kept.insert(key.clone(), value.clone())),
            "dependencies" => {
                drop(kept.insert(key.clone(), dependencies(value).ok_or("it has no dependencies")?.into()));
            }
            _ => {}
        }
    }
    kept.insert("members".to_owned(), vec!["abi", "macro", "sdk"].into());
    let whole = toml::Table::from_iter([("workspace".to_owned(), kept.into())]);
    let head = "# The guest SDK of wasmill: what jobs are written with. `wasmill new` put it here.\n\n";
    Ok(head.to_owned() + &toml::to_string(&whole)?)
}

/// The dependencies that the SDK's crates name, with its own folders as they are here.
fn dependencies(all: &toml::Value) -> Option<toml::Table> {
    let is_named = |name: &str| {
        let manifests = FILES.iter().filter(|(path, _)| path.ends_with("Cargo.toml"));
        manifests.flat_map(|(_, text)| text.lines()).any(|line| line.split(['.', ' ']).next() == Some(name))
    };
    let mut kept = toml::Table::new();
    for (name, value) in all.as_table()?.iter().filter(|(name, _)| is_named(name)) {
        let mut value = value.clone();
        if let Some(path) = value.get_mut("path") {
            *path = path.as_str()?.strip_prefix("guest-sdk/")?.into();
        }
        kept.insert(name.clone(), value);
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn all_of_the_sdk_is_here() {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../guest-sdk");
        let mut there = BTreeSet::new();
        let mut folders = Vec::new();
        for part in ["abi", "macro", "sdk"] {
            there.insert(format!("{part}/Cargo.toml"));
            folders.push(format!("{part}/src"));
        }
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(root.join(&folder)).unwrap() {
                let entry = entry.unwrap();
                let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
                if entry.file_type().unwrap().is_dir() {
                    folders.push(path);
                } else {
                    there.insert(path);
                }
            }
        }
        assert_eq!(FILES.iter().map(|(path, _)| (*path).to_owned()).collect::<BTreeSet<_>>(), there);
    }

    #[test]
    fn the_manifest_has_every_dependency() {
        let manifest: toml::Table = toml::from_str(&manifest().unwrap()).unwrap();
        let dependencies = manifest["workspace"]["dependencies"].as_table().unwrap();
        for name in
            ["wasmill-abi", "wasmill-sdk-macro", "inventory", "serde", "serde_json", "syn", "quote", "proc-macro2"]
        {
            assert!(dependencies.contains_key(name), "{name} is not in {dependencies:?}");
        }
        assert_eq!(dependencies["wasmill-abi"]["path"].as_str(), Some("abi"));
        assert!(!dependencies.contains_key("wasmtime"));
    }
}
