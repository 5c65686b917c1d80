//! Which directories are stores, and what is said of the others.
//!
//! Owns: one test per way in which opening can be refused. Does not know: what is stored.

use std::fs;

use wasmill_model::port::BlobStore;

use super::{assert_blob, content, open, small};
use crate::{Layout, OpenError, Options, Storage};

fn refusal(dir: &std::path::Path) -> OpenError {
    Storage::open(dir, Options::default()).expect_err("the store is refused")
}

#[test]
fn a_store_is_created_where_there_is_nothing_or_an_empty_directory() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close().unwrap();
    let below = tempfile::tempdir().unwrap();
    let deep = below.path().join("a/b");
    open(&deep).close().unwrap();
    assert_eq!(
        fs::read_to_string(deep.join("FORMAT")).unwrap(),
        "wasmill store\nformat 3\nsegment-bytes 65536\nlogged-bytes-max 16000\n"
    );
    // Killed before the first rename.
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("FORMAT.new"), "wasm").unwrap();
    open(dir.path()).close().unwrap();
    // Killed while the index was created.
    fs::rename(dir.path().join("index.redb"), dir.path().join("index.new")).unwrap();
    fs::write(dir.path().join("index.new"), [0; 10_000]).unwrap();
    open(dir.path()).close().unwrap();
    assert!(!dir.path().join("index.new").exists());
}

#[test]
fn a_directory_with_something_else_in_it_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.txt"), "42").unwrap();
    let error = refusal(dir.path());
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_store_of_a_later_format_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("FORMAT"), "wasmill store\nformat 7\nsomething new\n").unwrap();
    fs::write(dir.path().join("index.redb"), "not to be touched").unwrap();
    let error = refusal(dir.path());
    assert!(matches!(error, OpenError::NewerFormat { found: 7, known: 3, .. }), "{error}");
    assert!(error.to_string().ends_with("has format 7, and this wasmill knows only formats up to 3"), "{error}");
    assert_eq!(fs::read(dir.path().join("index.redb")).unwrap(), b"not to be touched");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn a_format_that_cannot_be_read_is_damage() {
    for text in [
        "",
        "wasmill store",
        "wasmill store\nformat x\n",
        "wasmill store\nformat 0\n",
        "other\nformat 3\n",
        "\u{0}",
        "wasmill store\nformat 3\n",
        "wasmill store\nformat 3\nsegment-bytes x\nlogged-bytes-max 5\n",
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("FORMAT"), text).unwrap();
        assert!(matches!(refusal(dir.path()), OpenError::Damaged { .. }), "{text}");
    }
}

#[test]
fn a_store_of_an_earlier_format_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("FORMAT"), "wasmill store\nformat 1\n").unwrap();
    let error = refusal(dir.path());
    assert!(matches!(error, OpenError::OlderFormat { found: 1, .. }), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_store_keeps_the_layout_that_it_was_created_with() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close().unwrap();
    let storage = Storage::open(dir.path(), Options::default()).unwrap();
    assert_eq!(storage.shared.layout, small().layout);
    let nonsense = Layout { segment_bytes: 1, logged_bytes_max: u32::MAX };
    assert_eq!(nonsense.clamped(), Layout { segment_bytes: 4 << 10, logged_bytes_max: 1 << 10 });
}

#[test]
fn a_path_that_cannot_be_a_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = refusal(&path);
        assert!(matches!(&error, OpenError::NotWritable { path: named, .. } if *named == path), "{error:?}");
    }
}

#[test]
fn a_directory_in_the_place_of_a_file_is_an_error() {
    for name in ["FORMAT", "index.redb"] {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).close().unwrap();
        fs::remove_file(dir.path().join(name)).unwrap();
        fs::create_dir(dir.path().join(name)).unwrap();
        let error = refusal(dir.path());
        assert!(matches!(error, OpenError::NotWritable { .. } | OpenError::NotReadable { .. }), "{error:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_store_that_may_not_be_written_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let readable = dir.path().join("readable");
    fs::create_dir(&readable).unwrap();
    fs::set_permissions(&readable, fs::Permissions::from_mode(0o555)).unwrap();
    match fs::write(readable.join("probe"), "") {
        // root may write anywhere; there the directory is a file's child instead, in another test.
        Ok(()) => {}
        Err(_) => assert!(matches!(refusal(&readable), OpenError::NotWritable { .. })),
    }
}

#[test]
fn what_an_earlier_process_left_half_done_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close().unwrap();
    fs::create_dir_all(dir.path().join("live/7/below")).unwrap();
    fs::write(dir.path().join("live/7/LOCK"), "").unwrap();
    fs::write(dir.path().join("live/7/0"), "half a blob").unwrap();
    let storage = open(dir.path());
    assert!(!dir.path().join("live/7").exists());
    // A file that was renamed before a crash, and whose index row was never written, is replaced.
    let digest = wasmill_model::Digest::of(&content(3, 40_000)).to_hex();
    let file = dir.path().join("blobs").join(&digest[..2]).join(&digest);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "torn").unwrap();
    storage.put(content(3, 40_000)).unwrap();
    storage.close().unwrap();
    assert_blob(&open(dir.path()), 3, 40_000);
}
