//! Finding out what the disk has lost, and what does not go together.
//!
//! Owns: tests of scrubbing and examining. Does not know: what is lost only when somebody reads it (`damage`).

use std::fs;
use std::path::Path;

use wasmill_model::port::{ActionCache, BlobStore};
use wasmill_model::{BlobRef, Digest};

use super::damage::walk;
use super::{action, content, flush, open, record};
use crate::Storage;

const BLOBS: u64 = 60;

fn len(number: u64) -> usize {
    if number.is_multiple_of(10) { 20_000 } else { 500 }
}

fn filled(dir: &Path) -> Storage {
    let storage = open(dir);
    for number in 0..BLOBS {
        let blob = storage.put(content(number, len(number))).unwrap();
        storage
            .again(&action(number).key())
            .record(&action(number), &record(BlobRef::EMPTY, blob), Box::new(|_| {}))
            .unwrap();
    }
    storage.shared.log.index_everything().unwrap();
    storage
}

fn file(dir: &Path, number: u64) -> std::path::PathBuf {
    let hex = Digest::of(&content(number, len(number))).to_hex();
    dir.join("blobs").join(&hex[..2]).join(&hex)
}

/// Changes a byte of a blob that lies in the log.
fn flip_in_log(dir: &Path, number: u64) {
    let needle = content(number, len(number));
    let log = walk(&dir.join("log")).into_iter().filter(|path| path.extension().is_some_and(|end| end == "seg"));
    for path in log {
        let mut bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) {
            bytes[at + 7] ^= 4;
            // In place: the store has the file open.
            std::io::Write::write_all(&mut fs::File::options().write(true).open(&path).unwrap(), &bytes).unwrap();
            return;
        }
    }
    panic!("blob {number} is not in the log");
}

#[test]
fn a_scrub_finds_what_is_damaged_and_the_next_run_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let storage = filled(dir.path());
    let clean = storage.scrub(None, &mut |_| true).unwrap();
    assert!(clean.is_clean() && clean.is_complete, "{clean:?}");
    assert_eq!((clean.blobs, clean.actions), (BLOBS, BLOBS));
    flip_in_log(dir.path(), 5);
    let path = file(dir.path(), 20);
    let mut bytes = fs::read(&path).unwrap();
    bytes[10_000] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    fs::remove_file(file(dir.path(), 30)).unwrap();
    let mut found = storage.scrub(None, &mut |_| true).unwrap();
    found.lost.sort_unstable();
    let mut expected: Vec<Digest> = [5, 20, 30].map(|number| Digest::of(&content(number, len(number)))).to_vec();
    expected.sort_unstable();
    assert_eq!(found.lost, expected);
    storage.close().unwrap();
    let storage = open(dir.path());
    for number in 0..BLOBS {
        let is_lost = [5, 20, 30].contains(&number);
        assert_eq!(storage.lookup(&action(number).key()).unwrap().hit().is_none(), is_lost, "action {number}");
    }
    for number in [5, 20, 30] {
        storage.put(content(number, len(number))).unwrap();
        assert!(storage.lookup(&action(number).key()).unwrap().hit().is_some());
    }
    flush(&storage).unwrap();
    assert!(storage.scrub(None, &mut |_| true).unwrap().is_clean());
}

#[test]
fn a_scrub_that_is_interrupted_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = 0;
    drop(filled(dir.path()));
    for _ in 0..100 {
        let storage = open(dir.path());
        let mut left = 7;
        let scrubbed = storage
            .scrub(None, &mut |_| {
                left -= 1;
                left > 0
            })
            .unwrap();
        seen += scrubbed.blobs;
        if scrubbed.is_complete {
            break;
        }
        assert_eq!(scrubbed.blobs, 7);
    }
    assert_eq!(seen, BLOBS);
    assert_eq!(open(dir.path()).scrub(None, &mut |_| true).unwrap().blobs, BLOBS, "the next one begins anew");
}

#[test]
fn a_scrub_reads_no_faster_than_it_may() {
    let dir = tempfile::tempdir().unwrap();
    let storage = filled(dir.path());
    let began = std::time::Instant::now();
    let scrubbed = storage.scrub(Some(500_000), &mut |_| true).unwrap();
    let least = scrubbed.bytes as f64 / 500_000.0;
    assert!(least > 0.2 && began.elapsed().as_secs_f64() >= least * 0.9, "{scrubbed:?} in {:?}", began.elapsed());
}

#[test]
fn the_index_and_the_files_are_compared_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let storage = filled(dir.path());
    let clean = storage.examine(true).unwrap();
    assert!(clean.is_clean(), "{clean:?}");
    assert_eq!((clean.blobs, clean.actions, clean.files), (BLOBS, BLOBS, BLOBS / 10));
    fs::remove_file(file(dir.path(), 30)).unwrap();
    // One that is right, and one that is not.
    let right = content(1_000, 30_000);
    let unnamed = |content: &[u8], bytes: &[u8]| {
        let hex = Digest::of(content).to_hex();
        let path = dir.path().join("blobs").join(&hex[..2]).join(&hex);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    };
    unnamed(&right, &right);
    let torn = unnamed(b"torn", b"to");
    let found = storage.examine(false).unwrap();
    assert_eq!(found.missing, [Digest::of(&content(30, 20_000))]);
    assert_eq!((found.unnamed.len(), found.named_again.len(), found.is_repaired), (2, 0, false));
    assert!(torn.exists());
    let found = storage.examine(true).unwrap();
    assert_eq!(found.named_again, [Digest::of(&right)]);
    assert!(!torn.exists());
    assert_eq!(storage.get(&BlobRef::of(&right)).unwrap(), right);
    assert_eq!(storage.lookup(&action(30).key()).unwrap().hit(), None);
    assert!(storage.examine(false).unwrap().is_clean());
}

#[test]
fn a_segment_that_is_cut_or_gone_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).close().unwrap();
    let segments: Vec<_> = walk(&dir.path().join("log"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "seg"))
        .collect();
    let bytes = fs::read(&segments[0]).unwrap();
    fs::write(&segments[0], &bytes[..bytes.len() / 2]).unwrap();
    let storage = open(dir.path());
    let found = storage.examine(true).unwrap();
    assert_eq!(found.damaged_segments, [1]);
    assert!(!found.missing.is_empty() && !found.missing_actions.is_empty(), "{found:?}");
    for number in 0..BLOBS {
        let is_missing = found.missing.contains(&Digest::of(&content(number, len(number))));
        let is_missing = is_missing || found.missing_actions.contains(&action(number).key());
        assert_eq!(storage.lookup(&action(number).key()).unwrap().hit().is_none(), is_missing, "action {number}");
    }
}
