//! Blobs that are compressed.
//!
//! Owns: that they take less space, are the same in every way of reading, and that damage to them is noticed. Does not
//! know: how they are compressed (`packed`).

use std::fs;
use std::path::Path;

use bytes::Bytes;
use wasmill_model::BlobRef;
use wasmill_model::port::{BlobStore, StoreError};

use super::damage::walk;
use super::{content, small};
use crate::{Options, Storage};

fn open(dir: &Path, compresses: bool) -> Storage {
    Storage::open(dir, Options { compresses, ..small() }).unwrap()
}

/// A line of text for every number, so many bytes.
fn text(seed: u64, len: usize) -> Bytes {
    (seed..).flat_map(|line| format!("line {line} of a text\n").into_bytes()).take(len).collect()
}

/// In the log, in files, and taken in piece by piece.
const SIZES: [usize; 6] = [1_500, 15_000, 20_000, 300_000, 1_000_000, 6_000_000];

fn disk_bytes(dir: &Path) -> u64 {
    walk(dir).iter().filter(|path| !path.ends_with("index.redb")).map(|path| path.metadata().unwrap().len()).sum()
}

#[test]
fn what_is_compressed_is_the_same_and_takes_less() {
    let (dir, plain) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (dir, compresses) in [(dir.path(), true), (plain.path(), false)] {
        let storage = open(dir, compresses);
        for len in SIZES {
            assert_eq!(storage.put(text(1, len)).unwrap(), BlobRef::of(&text(1, len)));
            storage.put_reader(&mut text(2, len).as_ref()).unwrap();
            // Not worth it.
            storage.put(content(len as u64, len / 10)).unwrap();
        }
        storage.close().unwrap();
    }
    assert!(disk_bytes(dir.path()) * 3 < disk_bytes(plain.path()));
    for compresses in [false, true] {
        let storage = open(dir.path(), compresses);
        for (seed, len) in SIZES.iter().flat_map(|len| [(1, *len), (2, *len)]) {
            let expected = text(seed, len);
            let blob = BlobRef::of(&expected);
            for round in 0..2 {
                for (from, to) in [(0, 10), (len / 2, len / 2 + 300_000), (len - 5, len + 5)] {
                    let part = storage.range(&blob, from as u64..to as u64).unwrap();
                    assert!(part == expected[from..to.min(len)], "{from}..{to} of {len}, {round}");
                }
            }
            assert!(storage.get(&blob).unwrap() == expected);
            let target = dir.path().join("target");
            assert!(!storage.share_with(&blob, &target).unwrap() && !target.exists());
        }
        assert!(storage.scrub(None, &mut |_| true).unwrap().is_clean());
        assert!(storage.examine(true).unwrap().is_clean());
    }
    // A file that nothing names is taken in, packed or not.
    fs::remove_file(dir.path().join("index.redb")).unwrap();
    walk(&dir.path().join("log")).iter().for_each(|path| fs::remove_file(path).unwrap());
    let storage = open(dir.path(), false);
    let examined = storage.examine(true).unwrap();
    assert_eq!((examined.named_again.len(), examined.unnamed.len()), (11, 11), "{examined:?}");
    assert!(storage.get(&BlobRef::of(&text(1, 6_000_000))).unwrap() == text(1, 6_000_000));
}

#[test]
fn damage_to_what_is_compressed_is_noticed() {
    for len in [1_500, 20_000, 600_000] {
        let dir = tempfile::tempdir().unwrap();
        let storage = open(dir.path(), true);
        let blob = storage.put(text(1, len)).unwrap();
        storage.close().unwrap();
        let path = walk(dir.path())
            .into_iter()
            .filter(|path| {
                path.starts_with(dir.path().join("blobs")) || path.extension().is_some_and(|end| end == "seg")
            })
            .max_by_key(|path| path.metadata().unwrap().len())
            .unwrap();
        let whole = fs::read(&path).unwrap();
        for at in (100..whole.len()).step_by(whole.len() / 40 + 1) {
            for cut in [false, true] {
                let mut bytes = whole.clone();
                if cut {
                    bytes.truncate(at);
                } else {
                    bytes[at] ^= 0x10;
                }
                fs::remove_file(&path).unwrap();
                fs::write(&path, bytes).unwrap();
                let found = open(dir.path(), true).get(&blob);
                let is_right = matches!(&found, Ok(found) if *found == text(1, len));
                assert!(
                    is_right || matches!(found, Err(StoreError::Damaged { .. } | StoreError::Missing(_))),
                    "{found:?}"
                );
                // As it was.
                fs::remove_dir_all(dir.path()).unwrap();
                open(dir.path(), true).put(text(1, len)).unwrap();
            }
        }
    }
}
