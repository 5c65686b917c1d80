//! `examples/crate-audit`, as `cargo xtask demo` runs it, over a few real crates.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{TestSpace, repository};

/// The source folders of some of this workspace's own dependencies.
fn crates() -> Vec<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let host = Command::new("rustc").args(["--print", "host-tuple"]).output().expect("rustc starts").stdout;
    // What only other systems need was never downloaded.
    let metadata = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform"])
        .arg(String::from_utf8(host).expect("a name").trim())
        .arg("--manifest-path")
        .arg(repository().join("Cargo.toml"))
        .output()
        .expect("cargo starts");
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).expect("cargo's metadata");
    let folder = |name: &str| {
        let packages = metadata["packages"].as_array().expect("packages");
        let package = packages.iter().find(|package| package["name"] == name).expect(name);
        Path::new(package["manifest_path"].as_str().expect("a path")).parent().expect("a folder").to_owned()
    };
    ["anyhow", "itoa", "serde_derive", "proc-macro2", "memchr"].map(folder).to_vec()
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn crate_audit_reports_on_real_crates_and_only_scans_what_changed() {
    let space = TestSpace::new();
    let mut list = String::new();
    for folder in crates() {
        let name = folder.file_name().unwrap().to_str().unwrap();
        copy_tree(&folder, &space.path(&format!("vendor/{name}")));
        list.push_str(&format!("../vendor/{name}\n"));
    }
    // Odd and huge files fail nothing but their own line in the report.
    space.write(
        "vendor/odd-1.0.0/Cargo.toml",
        "[package]\nname = \"odd\"\nversion = \"1.0.0\"\nlicense = \"<b>&</b>\"\n",
    );
    space.write("vendor/odd-1.0.0/src/lib.rs", "pub fn fine() { unsafe { std::hint::unreachable_unchecked() } }\n");
    space.write("vendor/odd-1.0.0/src/broken.rs", "fn (((");
    space.write("vendor/odd-1.0.0/src/binary.rs", [0xff, 0xfe, 0, 1]);
    space.write("vendor/odd-1.0.0/src/deep.rs", format!("fn f() {{ {}1{} }}", "(".repeat(50_000), ")".repeat(50_000)));
    space.write("vendor/odd-1.0.0/src/huge.rs", "// long\n".repeat(1 << 20));
    space.write("vendor/odd-1.0.0/build.rs", "fn main() { println!(\"{:?}\", std::env::var(\"HOME\")); }\n");
    list.push_str("../vendor/odd-1.0.0\n");

    let example = repository().join("examples/crate-audit");
    let plan = std::fs::read_to_string(example.join("mill.toml")).unwrap();
    let guest = example.join("guest").display().to_string();
    space.write("audit/mill.toml", plan.replace("crate = \"guest\"", &format!("crate = '{guest}'")));
    space.write("audit/target/crates.txt", list);

    let first = space.jobs(&["audit"]);
    assert_eq!(first.code, 0, "{first:#?}");
    assert_eq!(first.executed().len(), 7);

    let report: serde_json::Value = serde_json::from_str(&space.read("audit/target/audit/report.json")).unwrap();
    let text = report.to_string();
    for expected in ["anyhow", "proc-macro2", "src/broken.rs", "src/binary.rs", "src/deep.rs", "src/huge.rs"] {
        assert!(text.contains(expected), "{expected} is not in the report");
    }
    let page = space.read("audit/target/audit/report.html");
    assert!(page.contains("<svg") && page.contains("anyhow") && !page.contains("<b>&</b>"));
    assert!(!page.contains("http://") || page.contains("http://www.w3.org"), "the page needs nothing from elsewhere");

    // Every result comes about again: without the pool, and on the other engine.
    for engine in ["cranelift", "pulley"] {
        let (code, events) = space.events(&["verify", "--engine", engine]);
        assert_eq!((code, events.last().unwrap()["same"].as_u64()), (0, Some(7)), "{engine}: {events:#?}");
    }
    assert!(space.jobs(&["audit"]).all("succeeded", true));

    space.write("vendor/odd-1.0.0/src/lib.rs", "pub fn other() {}\npub fn functions() {}\n");
    assert_eq!(space.jobs(&["audit"]).executed(), ["report", "scan[odd-1.0.0]"]);
    let changed = space.read("audit/target/audit/report.json");
    assert_ne!(changed, text);
}
