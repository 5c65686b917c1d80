//! The two threads that write: one makes what was handed in durable, the other brings it into the index behind that.
//!
//! Owns: the publish order (files of large blobs, folders with new names, the log), the pace of commits, the end of a segment, and what
//! happens when something fails. Does not know: who handed what in.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use wasmill_model::Digest;
use wasmill_model::port::{OnDurable, StoreError};

use crate::Shared;
use crate::disk::DiskFile;
use crate::error::{failed, on_index, unpanicked};
use crate::helpers::Helpers;
use crate::index::{self, SameBlob};
use crate::live::Used;
use crate::log::{Frozen, Piece, Work};
use crate::place::Place;
use crate::segment::Segment;
use crate::tables::View;

/// A commit is followed by a pause of this many times its own length, so that a busy run leaves the committer
/// at most a sixteenth of one core, and pieces grow with the time that a commit takes.
const PAUSE_FACTOR: u32 = 15;
/// The longest pause, which is also the longest that a result waits for its commit to begin.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// How many files are synced at the same time. With 1 MiB each, four are faster than one by an eighth.
const SYNCS_MAX: usize = 4;

/// Writes piece after piece until the store is closed, and then brings the rest into the index.
pub(crate) fn run(shared: &Arc<Shared>, mut segment: Segment) {
    let (send, receive) = mpsc::channel::<Frozen>();
    let theirs = Arc::clone(shared);
    let indexer = thread::Builder::new()
        .name("wasmill-index".to_owned())
        .spawn(move || receive.into_iter().for_each(|frozen| bring_in(&theirs, frozen)));
    if let Err(error) = &indexer {
        fail(shared, failed("start a thread that writes the index")(error.to_string()));
    }
    let mut not_before = Instant::now();
    let mut spare = Vec::new();
    while let Some(Work { piece, first, callbacks, is_full }) = shared.log.take(not_before, std::mem::take(&mut spare))
    {
        let started = Instant::now();
        if let Some(failure) = shared.log.failure() {
            call(callbacks, &Err(failure));
            continue;
        }
        let written = attempt("write the log", || {
            sync_all(&shared.helpers, first.files)?;
            first.dirs.iter().try_for_each(|dir| shared.files.sync_dir(dir))?;
            append(&segment, &piece)
        });
        match written {
            Ok(()) => {
                if let Some(frozen) = shared.log.committed(piece.position())
                    && send.send(frozen).is_err()
                {
                    fail(shared, failed("write the index")("the thread that does is gone"));
                }
                call(callbacks, &Ok(()));
            }
            Err(error) => call(callbacks, &Err(fail(shared, error))),
        }
        if is_full && shared.log.failure().is_none() {
            match attempt("begin a segment", || shared.next_segment(&segment, piece.position().1)) {
                Ok(next) => {
                    let full = std::mem::replace(&mut segment, next);
                    shared.log.rotated(segment.id, full.into_lock());
                }
                Err(error) => drop(fail(shared, error)),
            }
        }
        spare = Arc::into_inner(piece).map(Piece::into_spare).unwrap_or_default();
        let ended = Instant::now();
        not_before = ended + ((ended - started) * PAUSE_FACTOR).min(PAUSE_MAX);
    }
    drop(send);
    if let Ok(indexer) = indexer {
        let _ = indexer.join();
    }
    finish(shared, &segment);
}

/// The store is closed, and everything is in the log.
fn finish(shared: &Shared, segment: &Segment) {
    if shared.log.failure().is_some() {
        return;
    }
    if let Some(frozen) = shared.log.finish() {
        bring_in(shared, frozen);
    }
    if let Err(error) = segment.trim(shared.log.end()) {
        tracing::warn!(%error, "the space that was set aside for the store's log is not given back");
    }
}

/// Syncs files, a few at a time: the filesystem then writes down once what each of them alone would have it write down.
fn sync_all(helpers: &Helpers, files: Vec<Box<dyn DiskFile>>) -> Result<(), StoreError> {
    let sync = |files: Vec<Box<dyn DiskFile>>| {
        files.iter().try_for_each(|file| file.sync()).map_err(failed("sync a large blob"))
    };
    let mut parts = [const { Vec::new() }; SYNCS_MAX];
    for (number, file) in files.into_iter().enumerate() {
        parts[number % SYNCS_MAX].push(file);
    }
    let [own, others @ ..] = parts;
    let others = others.into_iter().filter(|part| !part.is_empty());
    let others: Vec<_> = others.map(|part| helpers.start_or_do(move || sync(part))).collect();
    sync(own)?;
    others.into_iter().try_for_each(|other| other.join()?)
}

fn append(segment: &Segment, piece: &Piece) -> Result<(), StoreError> {
    if piece.bytes.is_empty() {
        return Ok(());
    }
    segment.append(&piece.bytes, piece.offset).map_err(failed("write to the log"))
}

/// Brings rows into the index. Where that fails, nothing is lost: the next process reads them from the log.
fn bring_in(shared: &Shared, frozen: Frozen) {
    if shared.log.failure().is_some() {
        return;
    }
    let brought = shared.index().and_then(|index| {
        // Once they are there, another process may put the same, and end; and until they are in the record of a run, nothing else says
        // that they are wanted. What a process left that was killed is not this one's.
        let tail = shared.log.tail();
        let own = frozen.rows.actions.iter().filter(|(_, place)| tail.found(**place).is_own);
        let marks = own.flat_map(|(key, _)| *key.0.as_bytes()).collect::<Vec<u8>>();
        drop(tail);
        shared.lease.rely_on_all(&marks).map_err(failed("say what this process relies on"))?;
        let doing = || failed("look what other processes rely on");
        loop {
            // Before it is looked who lives: if a collection removes something since, who lived may have ended.
            let epoch = shared.lease.wait_for_removal(&shared.dir).map_err(doing())?;
            let look =
                || Ok(Same { shared, used: shared.lease.used_by_others(&shared.dir).map_err(redb::Error::Io)?, epoch });
            if on_index("write to the index", || index::write(&index, &frozen.rows, &frozen.covered, look))? {
                break;
            }
        }
        shared.log.indexed(|| on_index("read the index", || View::latest(&index)))
    });
    if let Err(error) = brought {
        fail(shared, error);
    }
    if let Some(rows) = Arc::into_inner(frozen.rows) {
        let spare = rows.emptied();
        shared.log.with_tail(|tail| tail.spare = spare);
    }
}

/// What this process does where another one put the same blob.
struct Same<'a> {
    shared: &'a Shared,
    used: Used,
    epoch: u64,
}

impl SameBlob for Same<'_> {
    fn has_others(&self) -> bool {
        self.used.has_segments()
    }

    fn is_others(&self, place: &Place) -> bool {
        self.used.has_new(place)
    }

    fn rely_on(&self, digest: &Digest) -> Result<(), redb::Error> {
        self.shared.lease.rely_on(digest).map_err(redb::Error::Io)
    }

    fn has_file(&self, digest: &Digest) -> bool {
        self.shared.files.has_blob(digest)
    }

    fn is_still_so(&self) -> Result<bool, redb::Error> {
        Ok(self.shared.lease.epoch()? == self.epoch)
    }
}

fn attempt<T>(doing: &str, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    unpanicked(work).unwrap_or_else(|panicked| Err(failed(doing)(panicked)))
}

/// Nothing further is accepted. Whoever waits is told by the committer, in turn.
fn fail(shared: &Shared, error: StoreError) -> Arc<StoreError> {
    tracing::error!(%error, "the store stops accepting writes");
    shared.log.fail(Arc::new(error))
}

/// A panic in a callback must not end the thread that everybody else's callbacks depend on.
fn call(callbacks: Vec<OnDurable>, result: &Result<(), Arc<StoreError>>) {
    for callback in callbacks {
        let result = result.clone();
        // Not because of damage: where it was is to be shown.
        if catch_unwind(AssertUnwindSafe(|| callback(result))).is_err() {
            tracing::error!("a callback of the store panicked");
        }
    }
}
