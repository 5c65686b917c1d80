//! What is done with bytes that nobody wrote: they are never a panic, and never wrong content.
//!
//! Owns: feeding any bytes to every decoder that reads the disk, alone and through a whole store. Does not know: where
//! the bytes come from: a fuzzer (`tests/fuzz`) or the test below.

use std::fs;
use std::path::Path;
use std::time::Duration;

use wasmill_model::port::{ActionCache, ArtifactCache, BlobStore, Lookup, RunLog, StatCache};
use wasmill_model::{ActionKey, BlobRef, Digest, RunId};

use crate::packed::Packed;
use crate::place::Place;
use crate::record::{HEADER_BYTES, Header, Kind, padded};
use crate::segment::START;
use crate::{Keep, Layout, Options, Storage, tables};

/// Decodes `data` as everything that there is.
pub fn decoders(data: &[u8]) {
    let key = ActionKey(Digest::of(b"key"));
    if let Some(header) = Header::decode(data) {
        let body = header.body(data);
        assert!(header.kind != Kind::Blob || body.is_none_or(|body| Digest::of(body).as_bytes() == &header.key));
    }
    if let Some(bytes) = data.first_chunk() {
        assert_eq!(Place::decode(bytes).encode(), *bytes);
    }
    let _ = crate::layers::find_in_any(data, &key.0);
    let _ = tables::decode_action(&key, data).map(|(_, action)| wasmill_model::Action::decode(action));
    let _ = (tables::decode_run(RunId(1), data), tables::decode_stat("path", data));
    let _ = (tables::decode_artifact(data), tables::decode_paths(data));
    tables::decode_jobs(RunId(1), data, &mut Vec::new());
    let _ = wasmill_model::Directory::decode(data);
    let _ = Packed::parse(data).and_then(|packed| packed.unpack());
    let _ = crate::open::check_format(Path::new("store"), Path::new("store/FORMAT"), data);
}

/// A store in `dir`, which is empty, whose log has what `data` says: entries with anything in them, and what is none.
/// Everything in it is used, and the store works afterwards.
pub fn store(dir: &Path, data: &[u8]) {
    let layout = Layout { segment_bytes: 16 << 10, logged_bytes_max: 2_000 };
    let options = Options { unindexed_max: 16, layout, ..Options::default() };
    let (log, keys) = log_of(data);
    let begin = |options| Storage::open(dir, options).expect("an empty folder becomes a store");
    begin(options).close().expect("it is closed");
    let path = crate::segment::path(&dir.join("log"), 1);
    let mut segment = fs::read(&path).expect("there is a segment");
    segment.truncate(START as usize);
    segment.extend_from_slice(&log);
    fs::write(&path, segment).expect("it is written");
    for round in 0..2 {
        let storage = begin(options);
        use_all(&storage, &keys);
        let added = storage.put(format!("round {round}").into_bytes().into()).expect("it can be written");
        let keep = Keep { runs: 1, age: Duration::ZERO, bytes_max: u64::MAX, grace: Duration::ZERO };
        storage.scrub(None, &mut |_| true).expect("it can be scrubbed");
        storage.collect(&keep, false, &mut |_| {}).expect("garbage can be collected");
        storage.examine(true).expect("it can be examined");
        use_all(&storage, &keys);
        assert_eq!(storage.get(&added).expect("it is there").as_ref(), format!("round {round}").as_bytes());
        storage.close().expect("it is closed");
    }
}

fn use_all(storage: &Storage, keys: &[Digest]) {
    for digest in keys {
        if let Ok(Some(blob)) = storage.find(digest)
            && let Ok(content) = storage.get(&blob)
        {
            assert_eq!(BlobRef::of(&content), blob);
        }
        let key = ActionKey(*digest);
        let _ = (storage.lookup(&key).map(Lookup::hit), storage.action(&key), storage.artifact(digest));
    }
    for run in storage.runs(100).expect("runs are listed") {
        storage.jobs(run.id).expect("jobs are listed");
    }
    let _ = (storage.pins().expect("pins are listed"), storage.totals().expect("it is measured"));
    let _ = storage.recall("path");
}

/// Reads `data` as instructions: a kind, a key, a length, and a body of the bytes that follow. Returns the log and its keys.
fn log_of(mut data: &[u8]) -> (Vec<u8>, Vec<Digest>) {
    let (mut log, mut keys) = (Vec::new(), Vec::new());
    while let Some(([kind, key, len, damage], rest)) = data.split_first_chunk::<4>() {
        let (body, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        data = rest;
        let Some(kind) = Kind::of(kind % 11) else {
            log.extend_from_slice(body);
            continue;
        };
        let mut bytes = [0; 32];
        bytes.iter_mut().take(2).for_each(|byte| *byte = key % 4);
        let key = if kind == Kind::Blob { Digest::of(body) } else { Digest::from_bytes(bytes) };
        keys.push(key);
        let body_bytes = u32::try_from(body.len()).unwrap_or(0);
        let header = Header { kind, body_bytes, size_bytes: u64::from(*len), key: *key.as_bytes() };
        let begin = log.len();
        log.extend_from_slice(&header.encode(body));
        log.extend_from_slice(body);
        log.resize(begin + padded(HEADER_BYTES + body.len()), 0);
        if *damage > 200 {
            let at = begin + usize::from(*damage) % (log.len() - begin);
            log.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1);
        }
    }
    (log, keys)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_make_a_decoder_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            super::decoders(&data);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

        #[test]
        fn no_log_makes_a_store_panic(data in proptest::collection::vec(any::<u8>(), 0..1_500)) {
            super::store(tempfile::tempdir().unwrap().path(), &data);
        }
    }
}
