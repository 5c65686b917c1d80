//! Lists the guest programs of single behaviours, so that `it/behaviours.rs` does not compile where one has no test, or a
//! test has no program.

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    let folder = Path::new("guests/src/bin");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the guests' sources are there")
        .map(|entry| entry.expect("an entry of a folder").path())
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|name| name.starts_with("p1_"))
        .collect();
    names.sort();
    let mut text = "/// The programs.\nmod program {\n".to_owned();
    for name in &names {
        let _ = writeln!(text, "    pub(super) const {}: &str = {name:?};", name.to_uppercase());
    }
    text.push_str("}\n\n/// Does not compile unless every program has a test of its name.\nconst _: &[fn()] = &[");
    text.push_str(&names.join(", "));
    text.push_str("];\n");
    let out = std::env::var_os("OUT_DIR").expect("cargo says where to write");
    std::fs::write(Path::new(&out).join("behaviours.rs"), text).expect("the list can be written");
}
