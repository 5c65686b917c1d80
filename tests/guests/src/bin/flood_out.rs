//! Fills `/out` without end: one big file, or (with the argument `files`) ever more small ones.

use std::fs::{self, File};
use std::io::Write as _;

fn main() {
    if std::env::args().any(|argument| argument == "files") {
        let mut count = 0u64;
        while fs::write(format!("/out/{count}"), b"x").is_ok() {
            count += 1;
        }
        eprintln!("refused after {count} files");
    } else {
        let mut file = File::create("/out/big").expect("one file can be created");
        let block = vec![1; 64 << 10];
        while file.write_all(&block).is_ok() {}
        eprintln!("refused");
    }
    std::process::exit(9);
}
