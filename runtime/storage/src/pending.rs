//! What was handed in and is not yet committed.
//!
//! Owns: the batch that is being filled, the one that is being written, who waits for which, and the view of
//! what is committed. All three change together under one lock, so a reader sees every entry exactly once.
//! Does not know: how a batch is written.
//!
//! A batch is everything that was handed in since the last one was taken, over all ports, and is committed as a
//! whole. That is what keeps the order: nothing can be durable without what was handed in before it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmill_model::port::{OnDurable, StoreError};
use wasmill_model::{ActionKey, BlobRef, Digest, RunId};

use crate::files::SealedFile;
use crate::tables::{JobPages, View};

/// How long the committer waits for more once nothing came: a busy run hands in something far more often.
const QUIET: Duration = Duration::from_millis(2);

/// What an entry takes beside its content (keys, map slots, a file's name), roughly.
const ENTRY_BYTES: usize = 128;

/// A blob that is not yet committed.
#[derive(Debug)]
pub(crate) enum NewBlob {
    /// It will lie in the index.
    Inline(Bytes),
    /// It is written to a temporary file.
    File { size_bytes: u64, temp: SealedFile },
}

/// What one transaction makes durable.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) blobs: HashMap<Digest, NewBlob>,
    /// Encoded, as everything below but the artifacts: what is waiting takes little room, and the committer has
    /// little to do.
    pub(crate) actions: HashMap<ActionKey, Bytes>,
    pub(crate) runs: BTreeMap<RunId, Vec<u8>>,
    pub(crate) jobs: BTreeMap<RunId, JobPages>,
    pub(crate) stats: HashMap<String, Vec<u8>>,
    pub(crate) artifacts: HashMap<Digest, BlobRef>,
    waiting_bytes: usize,
    entries: usize,
    /// Somebody waits for the end of this batch.
    urgent: bool,
}

impl Batch {
    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries == 0
    }
}

/// What the committer is to do next.
pub(crate) struct Taken {
    pub(crate) batch: Arc<Batch>,
    pub(crate) callbacks: Vec<OnDurable>,
}

/// The answer to a question that may be answered by what is pending.
pub(crate) enum Look<T> {
    /// It is.
    Pending(T),
    /// It is not: the answer is in here or nowhere.
    Committed(Arc<View>),
}

pub(crate) struct State {
    pub(crate) filling: Batch,
    writing: Arc<Batch>,
    view: Arc<View>,
    callbacks: Vec<OnDurable>,
    run_next: u64,
    failed: Option<Arc<StoreError>>,
    is_closing: bool,
    /// The committer sleeps until something comes.
    is_idle: bool,
}

impl State {
    /// The number of the next run.
    pub(crate) fn take_run_id(&mut self) -> RunId {
        let run = RunId(self.run_next);
        self.run_next = self.run_next.saturating_add(1);
        run
    }

    /// Calls `callback` with what becomes of the batch that is being filled.
    pub(crate) fn when_durable(&mut self, callback: OnDurable) {
        self.callbacks.push(callback);
    }

    /// Does not let the batch wait for more.
    pub(crate) fn hurry(&mut self) {
        self.filling.urgent = true;
    }

    /// Whether a blob is pending already.
    pub(crate) fn has_blob(&self, digest: &Digest) -> bool {
        self.filling.blobs.contains_key(digest) || self.writing.blobs.contains_key(digest)
    }

    /// Asks the pending batches, latest first.
    pub(crate) fn look<T>(&self, find: impl Fn(&Batch) -> Option<T>) -> Look<T> {
        match find(&self.filling).or_else(|| find(&self.writing)) {
            Some(found) => Look::Pending(found),
            None => Look::Committed(Arc::clone(&self.view)),
        }
    }

    /// The committed rows and what `collect` makes of the pending ones, earlier first.
    pub(crate) fn survey<T>(&self, mut collect: impl FnMut(&Batch) -> T) -> (Arc<View>, [T; 2]) {
        (Arc::clone(&self.view), [collect(&self.writing), collect(&self.filling)])
    }

    fn is_hurried(&self, waiting_bytes_max: usize) -> bool {
        self.filling.urgent || self.is_closing || self.filling.waiting_bytes >= waiting_bytes_max / 2
    }

    fn is_idle(&self) -> bool {
        self.filling.is_empty() && self.callbacks.is_empty()
    }
}

/// Where the ports and the committer meet.
pub(crate) struct Pending {
    state: Mutex<State>,
    /// Wakes the committer.
    work: Condvar,
    /// Wakes those who wait to hand in more.
    room: Condvar,
    waiting_bytes_max: usize,
}

impl Pending {
    pub(crate) fn new(view: View, run_next: u64, waiting_bytes_max: usize) -> Self {
        let state = State {
            filling: Batch::default(),
            writing: Arc::default(),
            view: Arc::new(view),
            callbacks: Vec::new(),
            run_next,
            failed: None,
            is_closing: false,
            is_idle: false,
        };
        Self { state: Mutex::new(state), work: Condvar::new(), room: Condvar::new(), waiting_bytes_max }
    }

    pub(crate) fn read(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands something in that takes about `bytes`; waits while too much is waiting already.
    ///
    /// # Errors
    /// An earlier write failed.
    pub(crate) fn hand_in<T>(&self, bytes: usize, add: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        let mut state = self.read();
        loop {
            if let Some(failed) = &state.failed {
                return Err(StoreError::Stopped(Arc::clone(failed)));
            }
            if state.filling.waiting_bytes < self.waiting_bytes_max {
                break;
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let was_hurried = state.is_hurried(self.waiting_bytes_max);
        let added = add(&mut state);
        state.filling.entries += 1;
        state.filling.waiting_bytes += bytes + ENTRY_BYTES;
        if state.is_idle || (!was_hurried && state.is_hurried(self.waiting_bytes_max)) {
            state.is_idle = false;
            self.work.notify_one();
        }
        Ok(added)
    }

    /// Calls `callback` as soon as everything that was handed in before is durable.
    ///
    /// # Errors
    /// An earlier write failed; `callback` is then dropped.
    pub(crate) fn wait_for(&self, callback: OnDurable) -> Result<(), StoreError> {
        self.hand_in(0, |state| {
            state.when_durable(callback);
            state.hurry();
        })
    }

    /// Waits for the next batch, and while nobody is in a hurry and more keeps coming, until `not_before`.
    /// Nothing is left after the store was closed.
    pub(crate) fn take(&self, not_before: Instant) -> Option<Taken> {
        let mut state = self.read();
        while state.is_idle() && !state.is_closing {
            state.is_idle = true;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        while !state.is_hurried(self.waiting_bytes_max) {
            let entries = state.filling.entries;
            let left = not_before.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.work.wait_timeout(state, left.min(QUIET)).unwrap_or_else(PoisonError::into_inner).0;
            if state.filling.entries == entries {
                break;
            }
        }
        if state.is_idle() {
            return None;
        }
        let batch = Arc::new(std::mem::take(&mut state.filling));
        state.writing = Arc::clone(&batch);
        self.room.notify_all();
        Some(Taken { batch, callbacks: std::mem::take(&mut state.callbacks) })
    }

    /// What was taken is committed, and `view` shows it.
    pub(crate) fn committed(&self, view: Option<View>) {
        let mut state = self.read();
        if let Some(view) = view {
            state.view = Arc::new(view);
        }
        state.writing = Arc::default();
    }

    /// What was taken could not be committed: stops accepting, forgets what is pending, and gives back the
    /// callbacks that wait for it.
    pub(crate) fn fail(&self, error: Arc<StoreError>) -> Vec<OnDurable> {
        let mut state = self.read();
        state.failed = Some(error);
        state.writing = Arc::default();
        state.filling = Batch::default();
        self.room.notify_all();
        std::mem::take(&mut state.callbacks)
    }

    /// Accepts what comes, but the committer ends once it has written everything.
    pub(crate) fn close(&self) {
        self.read().is_closing = true;
        self.work.notify_one();
    }

    /// Why nothing is accepted any more.
    pub(crate) fn failure(&self) -> Option<Arc<StoreError>> {
        self.read().failed.clone()
    }
}
