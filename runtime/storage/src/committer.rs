//! The one thread that writes: takes batch after batch and makes each durable by one transaction.
//!
//! Owns: the publish order (files, their directories, then one commit of the index), the pace of commits, and
//! what happens when one fails. Does not know: who handed what in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redb::{Database, Entry, ReadableTable, WriteTransaction};
use wasmill_model::port::{OnDurable, StoreError};
use wasmill_model::{ActionKey, Digest};

use crate::error::{failed, on_index, unpanicked};
use crate::files::Files;
use crate::pending::{Batch, NewBlob, Pending, Taken};
use crate::tables::{self, ACTIONS, BLOBS, BlobRow, COMPILED, RUN_JOBS, RUNS, STATS, View};

/// A commit is followed by a pause of this many times its own length, so that a busy run leaves the committer
/// at most a quarter of one core, and batches grow with the time that a commit takes.
const PAUSE_FACTOR: u32 = 3;
/// The longest pause, which is also the longest that a result waits for its commit to begin.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Writes batches until the store is closed, and then closes the index. Everybody else sees it through a
/// [`View`].
#[expect(clippy::needless_pass_by_value, reason = "the index is closed when this returns")]
pub(crate) fn run(index: Database, files: &Files, pending: &Pending) {
    let mut not_before = Instant::now();
    while let Some(Taken { batch, callbacks }) = pending.take(not_before) {
        let started = Instant::now();
        match unpanicked(|| commit(&index, files, &batch)).unwrap_or_else(|panicked| Err(failed("commit")(panicked))) {
            Ok(view) => {
                pending.committed(view);
                call(callbacks, &Ok(()));
            }
            Err(error) => {
                tracing::error!(%error, "the store stops accepting writes");
                let error = Arc::new(error);
                let later = pending.fail(Arc::clone(&error));
                let result = Err(error);
                call(callbacks, &result);
                call(later, &result);
            }
        }
        let ended = Instant::now();
        not_before = ended + ((ended - started) * PAUSE_FACTOR).min(PAUSE_MAX);
    }
}

/// A panic in a callback must not end the thread that everybody else's callbacks depend on.
fn call(callbacks: Vec<OnDurable>, result: &Result<(), Arc<StoreError>>) {
    for callback in callbacks {
        let result = result.clone();
        if let Err(panicked) = unpanicked(|| callback(result)) {
            tracing::error!(%panicked, "a callback of the store panicked");
        }
    }
}

/// Makes a batch durable, and returns a view that shows it.
fn commit(index: &Database, files: &Files, batch: &Batch) -> Result<Option<View>, StoreError> {
    if batch.is_empty() {
        return Ok(None);
    }
    let mut write = on_index("begin a transaction", || Ok(index.begin_write()?))?;
    // Guests choose what is in the blobs. redb's default commit trusts a checksum that is no match for somebody
    // who chooses the bytes; with two phases it trusts only what was synced. Quick repair spares the next process
    // a walk over the whole index where this one is killed, and costs nothing that could be measured.
    write.set_two_phase_commit(true);
    write.set_quick_repair(true);
    publish_files(&write, files, &batch.blobs)?;
    on_index("write to the index", || {
        write_blobs(&write, &batch.blobs)?;
        write_actions(&write, &batch.actions)?;
        write_runs(&write, batch)?;
        write_caches(&write, batch)
    })?;
    on_index("commit to the index", || {
        write.commit()?;
        Ok(Some(View::latest(index)?))
    })
}

/// Large blobs must be durable under their final names before the index names them.
fn publish_files(write: &WriteTransaction, files: &Files, blobs: &HashMap<Digest, NewBlob>) -> Result<(), StoreError> {
    let is_absent =
        |digest: &Digest| on_index("look up a blob", || Ok(write.open_table(BLOBS)?.get(digest.as_bytes())?.is_none()));
    let mut absent = Vec::new();
    for (digest, blob) in blobs {
        // A file that the index has meanwhile must stay as it is: readers may have it mapped, and on some systems
        // that forbids replacing it.
        if let NewBlob::File { temp, .. } = blob
            && is_absent(digest)?
        {
            absent.push((digest, temp));
        }
    }
    files.publish_blobs(&absent)
}

fn write_blobs(write: &WriteTransaction, blobs: &HashMap<Digest, NewBlob>) -> Result<(), redb::Error> {
    if blobs.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<(&[u8; 32], &NewBlob)> = blobs.iter().map(|(digest, blob)| (digest.as_bytes(), blob)).collect();
    rows.sort_unstable_by_key(|(digest, _)| *digest);
    let mut table = write.open_table(BLOBS)?;
    let mut row = Vec::new();
    for (digest, blob) in rows {
        // Equal digests have equal rows, and a page that nothing changes in is not written again.
        if let Entry::Vacant(place) = table.entry(digest)? {
            let blob = match blob {
                NewBlob::Inline(content) => BlobRow::Inline(content),
                NewBlob::File { size_bytes, .. } => BlobRow::File { size_bytes: *size_bytes },
            };
            blob.encode(&mut row);
            place.insert(row.as_slice())?;
        }
    }
    Ok(())
}

fn write_actions(write: &WriteTransaction, actions: &HashMap<ActionKey, Bytes>) -> Result<(), redb::Error> {
    if actions.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<(&[u8; 32], &Bytes)> = actions.iter().map(|(key, row)| (key.0.as_bytes(), row)).collect();
    rows.sort_unstable_by_key(|(key, _)| *key);
    let mut table = write.open_table(ACTIONS)?;
    for (key, row) in rows {
        table.insert(key, row.as_ref())?;
    }
    Ok(())
}

fn write_runs(write: &WriteTransaction, batch: &Batch) -> Result<(), redb::Error> {
    if !batch.runs.is_empty() {
        let mut table = write.open_table(RUNS)?;
        for (run, row) in &batch.runs {
            table.insert(run.0, row.as_slice())?;
        }
    }
    if !batch.jobs.is_empty() {
        let mut table = write.open_table(RUN_JOBS)?;
        for (run, pages) in &batch.jobs {
            let last = table.range((run.0, 0)..=(run.0, u32::MAX))?.next_back().transpose()?;
            let first = last.map_or(0, |(key, _)| key.value().1.saturating_add(1));
            for (number, page) in (first..).zip(&pages.0) {
                table.insert((run.0, number), page.as_slice())?;
            }
        }
    }
    Ok(())
}

fn write_caches(write: &WriteTransaction, batch: &Batch) -> Result<(), redb::Error> {
    if !batch.stats.is_empty() {
        let mut rows: Vec<(&String, &Vec<u8>)> = batch.stats.iter().collect();
        rows.sort_unstable();
        let mut table = write.open_table(STATS)?;
        for (path, row) in rows {
            table.insert(path.as_str(), row.as_slice())?;
        }
    }
    if !batch.artifacts.is_empty() {
        let mut table = write.open_table(COMPILED)?;
        for (key, blob) in &batch.artifacts {
            table.insert(key.as_bytes(), tables::encode_artifact(blob).as_slice())?;
        }
    }
    Ok(())
}
