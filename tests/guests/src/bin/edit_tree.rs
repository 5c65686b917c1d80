//! Changes a tree that it was given, by whatever name it is mounted under: adds, replaces, appends, renames, removes.

use std::fs;
use std::io::Write as _;
use std::path::Path;

fn main() {
    let at = std::env::args().nth(1).expect("a folder");
    let at = Path::new(&at);
    fs::write(at.join("added"), "added").expect("a file can be added");
    fs::write(at.join("replaced"), "replaced").expect("a file can be replaced");
    let mut appended = fs::OpenOptions::new().append(true).open(at.join("appended")).expect("a file can be opened");
    appended.write_all(b" and more").expect("a file can be appended to");
    fs::rename(at.join("dir/old"), at.join("new")).expect("a file can be renamed");
    fs::remove_dir_all(at.join("gone")).expect("a directory can be removed");
    for entry in fs::read_dir(at).expect("the folder can be listed") {
        println!("{}", entry.expect("an entry").file_name().to_string_lossy());
    }
}
