//! Several processes, one of which dies, is damaged, or knows less than the others.
//!
//! Owns: tests in which what one process knows of a store is not what another one does. Does not know: collections that
//! run beside others (`gc`).

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use wasmill_model::port::{ActionCache, BlobStore, RunLog, StoreError};
use wasmill_model::{BlobRef, Digest};

use super::crash::{self, tiny};
use super::faults::{FaultyDisk, Survives};
use super::{action, assert_blob, content, flush, open, record, small, start};
use crate::place::Place;
use crate::record::{HEADER_BYTES, Header, Kind, padded};
use crate::tail::Moved;
use crate::{Keep, Options, Storage, segment};

/// Fails where `work` does not end by itself.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(work()));
    receive.recv_timeout(Duration::from_secs(60)).expect("it ends by itself")
}

fn place_of(storage: &Storage, digest: &Digest) -> Place {
    storage.locate(digest).unwrap().expect("it is somewhere").place
}

/// Damages the body of what lies at a place.
fn damage(dir: &Path, place: &Place) {
    let mut file = File::options().read(true).write(true).open(segment::path(&dir.join("log"), place.segment)).unwrap();
    file.seek(SeekFrom::Start(u64::from(place.offset) + HEADER_BYTES as u64 + 3)).unwrap();
    file.write_all(b"damage").unwrap();
}

/// Both would bring its rows into the index, and the one that comes later would undo what was done in between.
#[test]
fn a_full_segment_is_its_writer_s_until_it_is_in_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Storage::open(dir.path(), Options { unindexed_max: 1_000_000, ..small() }).unwrap();
    for number in 0..300 {
        writer.put(content(number, 900)).unwrap();
    }
    flush(&writer).unwrap();
    let written: Vec<u32> = writer.shared.log.tail().own.keys().copied().collect();
    assert!(written.len() > 3, "segments were filled");
    let other = open(dir.path());
    let taken: Vec<u32> = other.shared.log.tail().own.keys().copied().collect();
    assert!(taken.iter().all(|id| !written.contains(id)), "{taken:?} of {written:?}");
    for number in 0..300 {
        assert_blob(&other, number, 900);
    }
    writer.shared.log.index_everything().unwrap();
    writer.close().unwrap();
    other.close().unwrap();
}

#[test]
fn a_collection_that_was_killed_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let other = open(dir.path());
    let blob = other.put(content(1, 5_000)).unwrap();
    other.shared.log.index_everything().unwrap();
    for number in [1_u64, 3, 5] {
        // What a process leaves that is killed while it removes something.
        let mut epoch = File::options().write(true).open(dir.path().join("GC")).unwrap();
        epoch.write_all(&number.to_le_bytes()).unwrap();
        let path = dir.path().to_owned();
        in_time(move || {
            let storage = open(&path);
            storage.put(content(number + 10, 500)).unwrap();
            match number {
                1 => assert!(storage.collect(&Keep::default(), false, &mut |_| {}).unwrap().is_some()),
                3 => assert!(storage.examine(true).unwrap().is_clean()),
                _ => assert!(storage.get(&blob).is_ok()),
            }
        });
    }
}

#[test]
fn whoever_looks_for_damage_knows_what_others_did_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let doctor = open(dir.path());
    for round in 0..20 {
        // It has just looked, and would not look again so soon.
        doctor.refresh_now().unwrap();
        let other = open(dir.path());
        for number in round * 10..round * 10 + 10 {
            let blob = other.put(content(number, 3_000)).unwrap();
            let again = other.again(&action(number).key());
            again.record(&action(number), &record(BlobRef::EMPTY, blob), Box::new(|_| {})).unwrap();
        }
        other.shared.log.index_everything().unwrap();
        // A process that is killed while it begins a segment leaves one without a beginning; one that lives may be about to write it.
        let begun = segment::path(&dir.path().join("log"), 1_000_000 + u32::try_from(round).unwrap());
        other.shared.lease.write_to(1_000_000 + u32::try_from(round).unwrap(), 0).unwrap();
        fs::write(&begun, "").unwrap();
        let examined = doctor.examine(false).unwrap();
        assert!(examined.is_clean(), "{round}: {examined:?}");
        fs::remove_file(&begun).unwrap();
    }
}

#[test]
fn what_a_killed_process_wrote_is_durable_before_it_is_relied_on() {
    let mut found = 0;
    for fails_at in (20..160).step_by(3) {
        let dir = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::with(dir.path(), fails_at);
        let Ok(storage) = Storage::open_on(Arc::new(disk.clone()), dir.path(), &tiny()) else { continue };
        crash::work(&storage);
        drop(storage);
        disk.mend();
        let storage = Storage::open_on(Arc::new(disk.clone()), dir.path(), &tiny()).unwrap();
        let seen = crash::seen(&storage);
        flush(&storage).unwrap();
        let later = tempfile::tempdir().unwrap();
        disk.after_a_crash(dir.path(), later.path(), Survives::Synced);
        crash::check(&Storage::open(later.path(), tiny()).unwrap(), &seen, &format!("change {fails_at} failed"));
        found += seen.len();
    }
    assert!(found > 100, "only {found} jobs were there");
}

#[test]
fn only_the_copy_that_is_damaged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    let blob = one.put(content(1, 5_000)).unwrap();
    let output = record(blob, BlobRef::EMPTY);
    one.again(&action(1).key()).record(&action(1), &output, Box::new(|_| {})).unwrap();
    one.shared.log.index_everything().unwrap();
    // The other one knows where it is, and does not look again for a while.
    two.refresh_now().unwrap();
    assert_eq!(two.find(&blob.digest).unwrap(), Some(blob));
    let old = place_of(&one, &blob.digest);
    damage(dir.path(), &old);
    assert!(matches!(one.get(&blob), Err(StoreError::Damaged { .. })));
    assert_eq!(one.lookup(&action(1).key()).unwrap().hit(), None);
    assert_eq!(one.put(content(1, 5_000)).unwrap(), blob);
    assert_ne!(place_of(&one, &blob.digest), old);
    one.shared.log.index_everything().unwrap();
    // It finds the old copy first, and then the new one.
    assert_eq!(two.get(&blob).unwrap(), content(1, 5_000));
    assert_eq!(two.lookup(&action(1).key()).unwrap().hit(), Some(output.clone()));
    two.close().unwrap();
    one.close().unwrap();
    let storage = open(dir.path());
    assert_eq!((storage.totals().unwrap().blobs, storage.totals().unwrap().lost), (1, 0));
    assert_eq!(storage.lookup(&action(1).key()).unwrap().hit(), Some(output));
}

#[test]
fn a_loss_that_comes_late_takes_no_other_copy() {
    for large in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let len = if large { 20_000 } else { 5_000 };
        let (one, two) = (open(dir.path()), open(dir.path()));
        let blob = one.put(content(1, len)).unwrap();
        let output = record(BlobRef::EMPTY, blob);
        one.again(&action(1).key()).record(&action(1), &output, Box::new(|_| {})).unwrap();
        one.shared.log.index_everything().unwrap();
        let place = place_of(&one, &blob.digest);
        if large {
            fs::remove_file(one.shared.files.blob(&blob.digest)).unwrap();
        } else {
            damage(dir.path(), &place);
        }
        two.refresh_now().unwrap();
        two.scrub(None, &mut |_| true).unwrap();
        flush(&two).unwrap();
        // Before the loss gets into the index, it is put again, and that gets into it first.
        one.refresh_now().unwrap();
        assert_eq!(one.lookup(&action(1).key()).unwrap().hit(), None, "large: {large}");
        one.put(content(1, len)).unwrap();
        one.shared.log.index_everything().unwrap();
        two.shared.log.index_everything().unwrap();
        for storage in [one, two, open(dir.path())] {
            storage.refresh_now().unwrap();
            assert_eq!(storage.get(&blob).unwrap(), content(1, len), "large: {large}");
            assert_eq!(storage.lookup(&action(1).key()).unwrap().hit(), Some(output.clone()), "large: {large}");
            assert_eq!(storage.totals().unwrap().lost, 0);
        }
    }
}

#[test]
fn what_nobody_has_is_lost_and_no_collection_remembers_it_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let (there, gone) = (storage.put(content(1, 500)).unwrap(), BlobRef::of(&content(2, 500)));
    let output = record(there, gone);
    storage.again(&action(1).key()).record(&action(1), &output, Box::new(|_| {})).unwrap();
    assert!(storage.lookup(&action(1).key()).unwrap().hit().is_some(), "nobody has looked yet");
    assert!(storage.get(&gone).is_err());
    assert_eq!(storage.lookup(&action(1).key()).unwrap().hit(), None);
    assert_eq!(storage.totals().unwrap().lost, 1);
    let keep = Keep { runs: 0, age: Duration::ZERO, bytes_max: u64::MAX, grace: Duration::ZERO };
    drop(storage);
    let storage = open(dir.path());
    storage.collect(&keep, false, &mut |_| {}).unwrap().unwrap();
    assert_eq!(storage.totals().unwrap().lost, 0);
}

#[test]
fn an_entry_that_is_just_being_written_is_not_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, reader) = (open(dir.path()), open(dir.path()));
    writer.put(content(1, 500)).unwrap();
    flush(&writer).unwrap();
    let place = place_of(&writer, &Digest::of(&content(1, 500)));
    let at = u64::from(place.offset) + padded(HEADER_BYTES + 500) as u64;
    let entry = |seed: u64| {
        let body = content(seed, 504);
        let key = *Digest::of(&body).as_bytes();
        let header = Header { kind: Kind::Blob, body_bytes: 504, size_bytes: 504, key };
        [&header.encode(&body)[..], &body].concat()
    };
    let mut bytes = [entry(2), entry(3)].concat();
    let whole = bytes.clone();
    bytes[HEADER_BYTES + 100..HEADER_BYTES + 504].fill(0);
    let path = segment::path(&dir.path().join("log"), place.segment);
    let file = File::options().write(true).open(path).unwrap();
    crate::platform::write_all_at(&file, &bytes, at).unwrap();
    reader.refresh_now().unwrap();
    let digests = [2, 3].map(|seed| Digest::of(&content(seed, 504)));
    assert_eq!(digests.map(|digest| reader.find(&digest).unwrap().is_some()), [false, false]);
    crate::platform::write_all_at(&file, &whole, at).unwrap();
    reader.refresh_now().unwrap();
    assert_eq!(digests.map(|digest| reader.find(&digest).unwrap().is_some()), [true, true]);
    // One that stays damaged does not hide what is behind it.
    crate::platform::write_all_at(&file, &bytes, at).unwrap();
    let late = open(dir.path());
    late.refresh_now().unwrap();
    assert_eq!(digests.map(|digest| late.find(&digest).unwrap().is_some()), [false, true]);
}

#[test]
fn what_was_recorded_anew_is_not_replaced_by_what_was_moved() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let [old, new] = [1, 2].map(|seed| record(storage.put(content(seed, 100)).unwrap(), BlobRef::EMPTY));
    let key = action(1).key();
    let mut places = Vec::new();
    for record in [&old, &new] {
        storage.again(&key).record(&action(1), record, Box::new(|_| {})).unwrap();
        places.push(storage.locate_action(&key).unwrap().unwrap().place);
        storage.shared.log.index_everything().unwrap();
    }
    let moved = Moved { kind: Kind::Action, key: *key.0.as_bytes(), old: places[0], new: places[0] };
    storage.shared.log.with_tail(|tail| {
        tail.active.moved.push(moved);
        tail.active.entries += 1;
    });
    storage.shared.log.index_everything().unwrap();
    assert_eq!(storage.lookup(&key).unwrap().hit(), Some(new));
}

#[test]
fn files_are_taken_in_while_segments_fill_up() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path(), tiny()).unwrap();
    for seed in 0..600 {
        let bytes = content(seed, 4_100);
        let path = storage.shared.files.blob(&Digest::of(&bytes));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let (examined, storage) = in_time(move || (storage.examine(true).unwrap(), storage));
    assert_eq!(examined.named_again.len(), 600);
    assert!(storage.examine(false).unwrap().is_clean());
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_lost_and_holds_nothing_else_up() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    for number in 0..400 {
        let blob = storage.put(content(number, 500)).unwrap();
        storage
            .again(&action(number).key())
            .record(&action(number), &record(BlobRef::EMPTY, blob), Box::new(|_| {}))
            .unwrap();
    }
    storage.close().unwrap();
    // Reading a folder fails, as reading a bad sector does.
    let path = segment::path(&dir.path().join("log"), 1);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let storage = open(dir.path());
    let scrubbed = storage.scrub(None, &mut |_| true).unwrap();
    assert!(scrubbed.is_complete && scrubbed.lost.len() > 10 && scrubbed.lost.len() < 390, "{scrubbed:?}");
    let hits = (0..400).filter(|number| storage.lookup(&action(*number).key()).unwrap().hit().is_some()).count();
    assert!(hits > 10 && hits < 390, "{hits}");
    storage.collect(&Keep::default(), false, &mut |_| {}).unwrap().unwrap();
    storage.examine(true).unwrap();
}

#[test]
fn what_killed_processes_had_set_aside_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let storages: Vec<_> = (0..4).map(|_| Storage::open(dir.path(), Options::default()).unwrap()).collect();
    for (seed, storage) in (0..).zip(&storages) {
        storage.put(content(seed, 500)).unwrap();
        flush(storage).unwrap();
    }
    let left = tempfile::tempdir().unwrap();
    super::damage::copy(dir.path(), left.path());
    let len = || -> u64 {
        let log = super::damage::walk(&left.path().join("log"));
        log.iter().map(|path| path.metadata().unwrap().len()).sum()
    };
    assert_eq!(len(), 4 * (64 << 20));
    let storage = Storage::open(left.path(), Options::default()).unwrap();
    assert!(len() < (64 << 20) + 10_000, "{}", len());
    for seed in 0..4 {
        assert_eq!(storage.get(&BlobRef::of(&content(seed, 500))).unwrap(), content(seed, 500));
    }
}

#[test]
fn a_number_of_a_run_that_is_not_in_the_index_is_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let one = open(dir.path());
    let first = one.begin(&start("plan", 1)).unwrap();
    flush(&one).unwrap();
    fs::write(dir.path().join("RUN"), "").unwrap();
    let two = open(dir.path());
    assert!(two.begin(&start("plan", 2)).unwrap() > first);
}

#[test]
fn clocks_that_were_set_back_make_nothing_go_and_a_collection_due() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let blob = storage.put(content(1, 5_000)).unwrap();
    storage.again(&action(1).key()).record(&action(1), &record(blob, blob), Box::new(|_| {})).unwrap();
    storage.close().unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(1_000_000);
    for path in super::damage::walk(dir.path()) {
        if path.extension().is_some_and(|end| end == "seg") || path.ends_with("GC") {
            File::options().write(true).open(path).unwrap().set_modified(later).unwrap();
        }
    }
    let storage = open(dir.path());
    let keep = Keep { runs: 0, age: Duration::ZERO, bytes_max: u64::MAX, grace: Duration::from_secs(10) };
    let collected = storage.collect_if_due(&keep).unwrap().expect("nobody knows when the last one was");
    assert_eq!((collected.actions_kept, collected.actions_removed), (1, 0));
    assert_eq!(storage.get(&blob).unwrap(), content(1, 5_000));
}

#[test]
fn the_last_word_on_a_pin_counts_whoever_says_it() {
    let dir = tempfile::tempdir().unwrap();
    let digest = Digest::of(b"pinned");
    let (one, two) = (open(dir.path()), open(dir.path()));
    assert!(two.pin(&digest).unwrap());
    assert!(two.unpin(&digest).unwrap());
    assert!(one.pin(&digest).unwrap());
    // What is in the lower segment is the later.
    assert_eq!(two.pins().unwrap(), [digest]);
    one.shared.log.index_everything().unwrap();
    two.shared.log.index_everything().unwrap();
    drop((one, two));
    assert_eq!(open(dir.path()).pins().unwrap(), [digest]);
    fs::remove_file(dir.path().join("index.redb")).unwrap();
    let (storage, _) = Storage::rebuild(dir.path(), super::small()).unwrap();
    assert_eq!(storage.pins().unwrap(), [digest]);
    assert!(storage.unpin(&digest).unwrap() && storage.pins().unwrap().is_empty());
}

#[test]
fn a_pin_waits_for_a_removal_that_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let lock = storage.shared.lease.lock_collection(dir.path()).unwrap().expect("nobody collects");
    let removal = storage.shared.lease.begin_removal().unwrap();
    let path = dir.path().to_owned();
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(open(&path).pin(&Digest::of(b"pinned")).unwrap()));
    assert!(receive.recv_timeout(Duration::from_millis(300)).is_err(), "it may not be seen by the removal");
    drop((removal, lock));
    assert!(receive.recv_timeout(Duration::from_secs(20)).unwrap());
}

#[test]
fn the_copy_that_was_lost_does_not_come_back_with_another_process_s_rows() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    let blob = one.put(content(1, 500)).unwrap();
    one.again(&action(1).key()).record(&action(1), &record(blob, blob), Box::new(|_| {})).unwrap();
    flush(&one).unwrap();
    two.refresh_now().unwrap();
    damage(dir.path(), &place_of(&two, &blob.digest));
    assert!(two.get(&blob).is_err());
    two.shared.log.index_everything().unwrap();
    assert_eq!(two.lookup(&action(1).key()).unwrap().hit(), None);
    one.shared.log.index_everything().unwrap();
    drop((one, two));
    let storage = open(dir.path());
    assert_eq!((storage.find(&blob.digest).unwrap(), storage.lookup(&action(1).key()).unwrap().hit()), (None, None));
    storage.put(content(1, 500)).unwrap();
    storage.shared.log.index_everything().unwrap();
    assert!(storage.lookup(&action(1).key()).unwrap().hit().is_some());
    assert_eq!(storage.totals().unwrap().lost, 0);
}

#[test]
fn a_file_that_is_put_and_lost_before_it_is_indexed_stays_lost() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let blob = storage.put(content(1, 20_000)).unwrap();
    storage.again(&action(1).key()).record(&action(1), &record(blob, blob), Box::new(|_| {})).unwrap();
    flush(&storage).unwrap();
    fs::remove_file(storage.shared.files.blob(&blob.digest)).unwrap();
    assert!(storage.get(&blob).is_err());
    storage.shared.log.index_everything().unwrap();
    drop(storage);
    let storage = open(dir.path());
    assert_eq!(storage.lookup(&action(1).key()).unwrap().hit(), None);
}

#[test]
fn a_run_that_ended_does_not_begin_again() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let id = storage.begin(&start("plan", 1)).unwrap();
    let started = storage.run(id).unwrap().unwrap();
    let ended = wasmill_model::RunRecord {
        state: wasmill_model::RunState::Ended(wasmill_model::RunSummary::default()),
        ..started.clone()
    };
    storage.end(&ended, Box::new(|_| {})).unwrap();
    // As a collection copies it that read it before.
    storage.end(&started, Box::new(|_| {})).unwrap();
    storage.close().unwrap();
    let storage = open(dir.path());
    assert_eq!(storage.run(id).unwrap(), Some(ended.clone()));
    storage.shared.log.index_everything().unwrap();
    storage.close().unwrap();
    // The same where the end is in the index.
    let storage = open(dir.path());
    storage.end(&started, Box::new(|_| {})).unwrap();
    storage.shared.log.index_everything().unwrap();
    drop(storage);
    assert_eq!(open(dir.path()).run(id).unwrap(), Some(ended));
}
