//! Lists and reads everything below `/in`, and writes a nested tree below `/out`.
//!
//! The listing is in the order that the directory gives, which the host promises to be sorted.

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let mut listing = String::new();
    walk(Path::new("/in"), &mut listing)?;
    print!("{listing}");

    fs::create_dir_all("/out/nested/deep")?;
    fs::write("/out/listing.txt", &listing)?;
    fs::write("/out/nested/deep/empty", b"")?;
    fs::write("/out/nested/bytes", (0..=255u8).collect::<Vec<u8>>())?;
    fs::create_dir("/out/nested/empty-directory")?;

    // What is removed or renamed before the end must not be in the output under its first name.
    fs::write("/out/removed", b"gone")?;
    fs::remove_file("/out/removed")?;
    fs::write("/tmp/draft", b"renamed")?;
    fs::copy("/tmp/draft", "/out/before")?;
    fs::rename("/out/before", "/out/after")
}

fn walk(dir: &Path, listing: &mut String) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, metadata) = (entry.path(), entry.metadata()?);
        if metadata.is_dir() {
            listing.push_str(&format!("{}/\n", path.display()));
            walk(&path, listing)?;
        } else {
            let bytes = fs::read(&path)?;
            assert_eq!(bytes.len() as u64, metadata.len(), "the size is that of the content");
            let sum = bytes.iter().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
            listing.push_str(&format!("{} {} bytes, sum {sum:08x}\n", path.display(), bytes.len()));
        }
    }
    Ok(())
}
