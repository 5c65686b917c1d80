//! What was handed in: its bytes until they are in a segment, and who waits for them.
//!
//! Owns: the order of entries over all ports, the place of each, and when callers have to wait. Does not know: how
//! bytes get to the disk (`committer`), or into the index (`indexer`).
//!
//! An entry has its place as soon as it is handed in: the buffer that is being filled is the next piece of the
//! segment. Segments are read up to the first thing that is no entry, so nothing is there after a crash without all
//! that was handed in before it.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmill_model::port::{OnDurable, StoreError};

use crate::Options;
use crate::disk::DiskFile;
use crate::files::Unsynced;
use crate::index::Covered;
use crate::place::Place;
use crate::record::{HEADER_BYTES, Header, Key, Kind, padded};
use crate::segment::START;
use crate::tables::View;
use crate::tail::{Rows, Tail};
use crate::waiting::Waiting;

/// How long the committer waits for more once nothing came: a busy run hands in something far more often.
const QUIET: Duration = Duration::from_millis(2);

/// How many entries, of how many bytes, a process leaves for the next one to read from the log: that takes a millisecond or two, and a
/// commit of the index takes several.
const LEFT_IN_LOG_MAX: usize = 1_000;
const LEFT_BYTES_MAX: u64 = 1 << 20;

/// One part of so many of the most that may be missing in the index is brought into it, unless that was done just now: for this many
/// times as long as it took, there is a rest.
const PARTS: usize = 4;
const REST_FACTOR: u32 = 3;

/// How many full segments may be missing in the index before they are brought into it: a file of each is open.
const FULL_MAX: usize = 32;

/// A file that waits to be synced counts as so many bytes at least.
const OPEN_FILE_BYTES: u64 = 256 << 10;

/// The longest buffer that is kept for the next piece, in bytes.
const SPARE_BYTES_MAX: usize = 4 << 20;

/// What is handed in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) kind: Kind,
    pub(crate) key: Key,
    /// Size of a blob's content.
    pub(crate) size_bytes: u64,
    pub(crate) body: &'a [u8],
}

/// What is handed in together with an entry.
#[derive(Default)]
pub(crate) struct Beside {
    /// Is called with what becomes of the entry, unless handing it in fails.
    pub(crate) on_durable: Option<OnDurable>,
    /// Is made durable before the entry.
    pub(crate) unsynced: Option<Unsynced>,
}

impl Beside {
    pub(crate) fn on_durable(callback: OnDurable) -> Self {
        Self { on_durable: Some(callback), unsynced: None }
    }
}

/// A piece of a segment.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Piece {
    /// The segment, and where the piece ends in it.
    pub(crate) fn position(&self) -> (u32, u32) {
        (self.segment, self.end())
    }

    /// An empty buffer for another piece.
    pub(crate) fn into_spare(self) -> Vec<u8> {
        let mut bytes = self.bytes;
        bytes.clear();
        bytes.shrink_to(SPARE_BYTES_MAX);
        bytes
    }

    fn end(&self) -> u32 {
        self.offset.saturating_add(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX))
    }

    /// The body at a place, where it is in here.
    fn body(&self, place: &Place) -> Option<&[u8]> {
        let at = place.offset.checked_sub(self.offset).filter(|_| place.segment == self.segment)? as usize;
        self.bytes.get(at + HEADER_BYTES..at + HEADER_BYTES + place.body_bytes as usize)
    }
}

/// What the committer is to do next.
pub(crate) struct Work {
    pub(crate) piece: Arc<Piece>,
    pub(crate) first: First,
    pub(crate) callbacks: Vec<OnDurable>,
    /// The next entry does not fit into this segment.
    pub(crate) is_full: bool,
}

/// What is to be synced before the piece that refers to it.
#[derive(Debug, Default)]
pub(crate) struct First {
    pub(crate) files: Vec<Box<dyn DiskFile>>,
    pub(crate) dirs: BTreeSet<PathBuf>,
    bytes: u64,
}

/// Rows that are to be brought into the index, once everything up to `until` is durable.
pub(crate) struct Frozen {
    pub(crate) rows: Arc<Rows>,
    pub(crate) covered: Vec<Covered>,
    until: (u32, u32),
    /// The locks of full segments. Others may take them over only once the index has what is in them: else both would
    /// bring it in, and the later one would undo what was done in between.
    _full: Vec<File>,
}

struct State {
    filling: Piece,
    writing: Arc<Piece>,
    first: First,
    callbacks: Vec<OnDurable>,
    /// Segments that are full and not in the index as such.
    sealed: Vec<Covered>,
    /// The locks of those that this process filled.
    full: Vec<File>,
    /// Waits until what it needs is durable.
    frozen: Option<Frozen>,
    /// Since when rows are on their way into the index, `frozen` or given to the indexer.
    indexing_since: Option<Instant>,
    /// Entries that are not on their way into the index.
    unindexed: usize,
    /// Until then, few rows are not worth a commit of the index.
    rests_until: Option<Instant>,
    failed: Option<Arc<StoreError>>,
    is_closing: bool,
    /// The committer sleeps until something comes.
    is_idle: bool,
    /// Somebody waits for what is being filled.
    is_urgent: bool,
    is_full: bool,
    /// Everything is to be brought into the index, however little it is.
    wants_index: bool,
    /// How often rows were brought into the index.
    index_rounds: u64,
}

impl State {
    fn next(&self) -> u32 {
        self.filling.end()
    }

    /// What waits for the disk, in bytes.
    fn waiting_bytes(&self) -> usize {
        self.filling.bytes.len().saturating_add(usize::try_from(self.first.bytes).unwrap_or(usize::MAX))
    }

    fn has_nothing(&self) -> bool {
        self.filling.bytes.is_empty() && self.callbacks.is_empty() && !self.is_full && !self.wants_index
    }
}

/// The end of the log, shared by everybody who hands in, the committer, and the indexer.
pub(crate) struct Log {
    state: Mutex<State>,
    tail: RwLock<Tail>,
    /// Something came for the committer.
    work: Condvar,
    /// There is room again for whoever waits.
    room: Condvar,
    /// Who waits for something to be durable.
    waiting: Waiting,
    /// The segment, and the offset up to which its bytes are in its file.
    written: AtomicU64,
    /// What was handed in since the store was opened, in bytes.
    added_bytes: AtomicU64,
    waiting_bytes_max: usize,
    unindexed_max: usize,
    segment_bytes: u32,
}

impl Log {
    /// A log whose next entry goes to `offset` of `segment`. `sealed` are segments that were taken over.
    pub(crate) fn new(tail: Tail, segment: u32, offset: u32, sealed: Vec<Covered>, options: &Options) -> Self {
        let state = State {
            filling: Piece { segment, offset, bytes: Vec::new() },
            writing: Arc::default(),
            first: First::default(),
            callbacks: Vec::new(),
            sealed,
            full: Vec::new(),
            frozen: None,
            unindexed: tail.active.entries,
            indexing_since: None,
            rests_until: None,
            failed: None,
            is_closing: false,
            is_idle: false,
            is_urgent: false,
            is_full: false,
            wants_index: false,
            index_rounds: 0,
        };
        let waiting = Waiting::default();
        waiting.reached(position(segment, offset));
        Self {
            state: Mutex::new(state),
            tail: RwLock::new(tail),
            work: Condvar::new(),
            room: Condvar::new(),
            waiting,
            written: AtomicU64::new(position(segment, offset)),
            added_bytes: AtomicU64::new(0),
            waiting_bytes_max: options.waiting_bytes_max,
            unindexed_max: options.unindexed_max,
            segment_bytes: options.layout.segment_bytes,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows that are not in the index, and the index.
    pub(crate) fn tail(&self) -> RwLockReadGuard<'_, Tail> {
        self.tail.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of the rows, apart from what is handed in.
    pub(crate) fn with_tail<T>(&self, change: impl FnOnce(&mut Tail) -> T) -> T {
        change(&mut self.tail.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands an entry in, and has its place noted at the same moment. Waits while too much is waiting already.
    ///
    /// # Errors
    /// An earlier write failed.
    pub(crate) fn hand_in(&self, entry: &Entry<'_>, note: impl FnOnce(&mut Tail, Place)) -> Result<(), StoreError> {
        self.hand_in_with(entry, Beside::default(), note)
    }

    /// The same, with something beside it.
    pub(crate) fn hand_in_with(
        &self,
        entry: &Entry<'_>,
        beside: Beside,
        note: impl FnOnce(&mut Tail, Place),
    ) -> Result<(), StoreError> {
        let body_bytes = u32::try_from(entry.body.len()).map_err(|_| too_large())?;
        let header = Header { kind: entry.kind, body_bytes, size_bytes: entry.size_bytes, key: entry.key };
        // Outside of the lock: this is most of the work.
        let header = header.encode(entry.body);
        let step = padded(HEADER_BYTES + entry.body.len());
        let step_bytes = u32::try_from(step).map_err(|_| too_large())?;
        let mut state = self.wait_for_room(step_bytes)?;
        let offset = state.next();
        offset.checked_add(step_bytes).ok_or_else(too_large)?;
        let place = Place { segment: state.filling.segment, offset, body_bytes, size_bytes: entry.size_bytes };
        let was_hurried = self.is_hurried(&state);
        let bytes = &mut state.filling.bytes;
        let end = bytes.len() + step;
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(entry.body);
        bytes.resize(end, 0);
        self.with_tail(|tail| {
            note(tail, place);
            tail.active.entries += 1;
            tail.active.bytes += u64::from(body_bytes);
        });
        state.unindexed += 1;
        let content_bytes = if entry.kind == Kind::File { entry.size_bytes } else { 0 };
        self.added_bytes.fetch_add(u64::from(step_bytes) + content_bytes, Ordering::Relaxed);
        state.callbacks.extend(beside.on_durable);
        if let Some(unsynced) = beside.unsynced {
            // A file is open until it is synced, and there may not be many of them.
            let bytes_min = if unsynced.file.is_some() { OPEN_FILE_BYTES } else { 0 };
            state.first.files.extend(unsynced.file);
            state.first.dirs.extend(unsynced.dirs);
            state.first.bytes += unsynced.bytes.max(bytes_min);
        }
        self.wake(&mut state, was_hurried);
        Ok(())
    }

    /// Waits until an entry of this length can be handed in.
    fn wait_for_room(&self, step_bytes: u32) -> Result<MutexGuard<'_, State>, StoreError> {
        let mut state = self.state();
        loop {
            if let Some(failed) = &state.failed {
                return Err(StoreError::Stopped(Arc::clone(failed)));
            }
            let end = state.next().saturating_add(step_bytes);
            // One that is too long for any segment has one for itself.
            let fits = end <= self.segment_bytes || state.next() == START;
            if !fits && !state.is_full {
                state.is_full = true;
                state.is_idle = false;
                self.work.notify_one();
            }
            let is_little = state.unindexed < 2 * self.unindexed_max && state.full.len() < 2 * FULL_MAX;
            let is_indexed = state.indexing_since.is_none() || is_little;
            if fits && is_indexed && !state.is_full && state.waiting_bytes() < self.waiting_bytes_max {
                return Ok(state);
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Calls `callback` as soon as everything that was handed in before is durable, and does not let it wait.
    ///
    /// # Errors
    /// An earlier write failed; `callback` is then dropped.
    pub(crate) fn wait_for(&self, callback: OnDurable) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(failed) = &state.failed {
            return Err(StoreError::Stopped(Arc::clone(failed)));
        }
        state.callbacks.push(callback);
        let was_hurried = self.is_hurried(&state);
        state.is_urgent = true;
        self.wake(&mut state, was_hurried);
        Ok(())
    }

    /// Waits until everything that was handed in before is durable, and does not let it wait for more.
    ///
    /// # Errors
    /// A write failed, this one or another.
    pub(crate) fn wait(&self) -> Result<(), StoreError> {
        let until = {
            let mut state = self.state();
            if !state.filling.bytes.is_empty() {
                let was_hurried = self.is_hurried(&state);
                state.is_urgent = true;
                self.wake(&mut state, was_hurried);
            }
            position(state.filling.segment, state.next())
        };
        self.waiting.wait(until);
        self.failure().map_or(Ok(()), |failed| Err(StoreError::Stopped(failed)))
    }

    /// Does not let what was handed in wait for more.
    pub(crate) fn hurry(&self) {
        let mut state = self.state();
        let was_hurried = self.is_hurried(&state);
        state.is_urgent = true;
        self.wake(&mut state, was_hurried);
    }

    fn is_hurried(&self, state: &State) -> bool {
        state.is_urgent
            || state.is_closing
            || state.is_full
            || state.wants_index
            || state.failed.is_some()
            || state.waiting_bytes() >= self.waiting_bytes_max / 2
    }

    fn wake(&self, state: &mut State, was_hurried: bool) {
        if state.is_idle || (!was_hurried && self.is_hurried(state)) {
            state.is_idle = false;
            self.work.notify_one();
        }
    }

    /// The body at a place that is not in its file yet. `None`: it is.
    pub(crate) fn unwritten(&self, place: &Place) -> Option<Bytes> {
        let written = self.written.load(Ordering::Acquire);
        let is_in_this_segment = written >> 32 == u64::from(place.segment);
        if !is_in_this_segment || position(place.segment, place.offset) < written {
            return None;
        }
        let state = self.state();
        let body = state.filling.body(place).or_else(|| state.writing.body(place));
        body.map(Bytes::copy_from_slice)
    }

    /// Waits for the next piece, and while nobody is in a hurry and more keeps coming, until `not_before`.
    /// Nothing is left after the store was closed.
    pub(crate) fn take(&self, not_before: Instant, spare: Vec<u8>) -> Option<Work> {
        let mut state = self.state();
        while state.has_nothing() && !state.is_closing {
            state.is_idle = true;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        while !self.is_hurried(&state) {
            let length = state.waiting_bytes();
            let left = not_before.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.work.wait_timeout(state, left.min(QUIET)).unwrap_or_else(PoisonError::into_inner).0;
            if state.waiting_bytes() == length {
                break;
            }
        }
        if state.has_nothing() {
            return None;
        }
        state.is_urgent = false;
        let next = Piece { segment: state.filling.segment, offset: state.next(), bytes: spare };
        let piece = Arc::new(std::mem::replace(&mut state.filling, next));
        state.writing = Arc::clone(&piece);
        let callbacks = std::mem::take(&mut state.callbacks);
        let first = std::mem::take(&mut state.first);
        // There is room for what waited; but not in a segment that is full.
        if !state.is_full {
            self.room.notify_all();
        }
        Some(Work { piece, first, callbacks, is_full: state.is_full })
    }

    /// Everything up to a position is durable. Gives rows for the index when there are enough of them.
    pub(crate) fn committed(&self, durable: (u32, u32)) -> Option<Frozen> {
        let mut state = self.state();
        self.written.store(position(durable.0, durable.1), Ordering::Release);
        state.writing = Arc::default();
        let is_enough = state.unindexed >= self.enough(&state) || state.full.len() >= FULL_MAX;
        if state.indexing_since.is_none() && (is_enough || state.wants_index) {
            self.freeze(&mut state);
        }
        state.wants_index = false;
        let frozen = state.frozen.take_if(|frozen| frozen.until <= durable);
        drop(state);
        self.waiting.reached(position(durable.0, durable.1));
        frozen
    }

    /// Everything is durable and nothing will come. Gives the rows that are left for the index, where reading them
    /// from the log would keep the next process longer.
    pub(crate) fn finish(&self) -> Option<Frozen> {
        let mut state = self.state();
        // What a thread was given that did not do it is for the next process to read.
        if state.frozen.is_none() && state.indexing_since.is_some() {
            return None;
        }
        let is_much = state.unindexed > self.left_max() || self.tail().active.bytes > LEFT_BYTES_MAX;
        let is_worth_it = is_much || !state.sealed.is_empty();
        if state.frozen.is_none() && is_worth_it {
            self.freeze(&mut state);
        }
        state.frozen.take()
    }

    /// How many entries are worth a commit of the index. Until then they are in memory, and whoever waits for the end of a process
    /// waits for what is left; but many small commits take processors from those who hand in.
    fn enough(&self, state: &State) -> usize {
        let rests = state.rests_until.is_some_and(|until| Instant::now() < until);
        self.unindexed_max / if rests { 1 } else { PARTS }
    }

    fn freeze(&self, state: &mut State) {
        let rows = self.with_tail(Tail::freeze);
        if rows.is_none() && state.sealed.is_empty() && !state.wants_index {
            return;
        }
        let until = (state.filling.segment, state.next());
        let mut covered = std::mem::take(&mut state.sealed);
        covered.push(Covered { segment: until.0, end: until.1, is_sealed: false });
        let full = std::mem::take(&mut state.full);
        state.frozen = Some(Frozen { rows: rows.unwrap_or_default(), covered, until, _full: full });
        state.indexing_since = Some(Instant::now());
        state.unindexed = 0;
    }

    /// Waits until everything that was handed in before is durable and in the index.
    ///
    /// # Errors
    /// It could not be written.
    pub(crate) fn index_everything(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        let mut awaited = None;
        loop {
            if let Some(failed) = &state.failed {
                return Err(StoreError::Stopped(Arc::clone(failed)));
            }
            if awaited.is_some_and(|round| state.index_rounds >= round) {
                return Ok(());
            }
            if awaited.is_none() && state.indexing_since.is_none() {
                awaited = Some(state.index_rounds + 1);
                state.wants_index = true;
                state.is_idle = false;
                self.work.notify_one();
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has what was handed in before brought into the index, where the end of this process would have to wait for that. Nobody
    /// waits for it here.
    pub(crate) fn settle(&self) {
        let mut state = self.state();
        if state.failed.is_none() && state.indexing_since.is_none() && state.unindexed > self.left_max() {
            state.wants_index = true;
            state.is_idle = false;
            self.work.notify_one();
        }
    }

    /// How many entries are left for the next process.
    fn left_max(&self) -> usize {
        self.unindexed_max.min(LEFT_IN_LOG_MAX)
    }

    /// How many bytes were handed in since the store was opened.
    pub(crate) fn added_bytes(&self) -> u64 {
        self.added_bytes.load(Ordering::Relaxed)
    }

    /// Where the log ends.
    pub(crate) fn end(&self) -> u32 {
        self.state().next()
    }

    /// The segment is full, and everything in it durable: what waits goes to the beginning of `segment`. `full` is its lock.
    pub(crate) fn rotated(&self, segment: u32, full: File) {
        let mut state = self.state();
        let covered = Covered { segment: state.filling.segment, end: state.next(), is_sealed: true };
        state.sealed.push(covered);
        state.full.push(full);
        state.filling.segment = segment;
        state.filling.offset = START;
        state.is_full = false;
        self.written.store(position(segment, START), Ordering::Release);
        self.waiting.reached(position(segment, START));
        self.room.notify_all();
    }

    /// What was frozen is in the index, and what `latest` gives shows it.
    pub(crate) fn indexed(&self, latest: impl FnOnce() -> Result<View, StoreError>) -> Result<(), StoreError> {
        let mut state = self.state();
        self.with_tail(|tail| latest().map(|view| tail.indexed(view)))?;
        state.rests_until = state.indexing_since.take().map(|since| Instant::now() + since.elapsed() * REST_FACTOR);
        state.index_rounds += 1;
        self.room.notify_all();
        Ok(())
    }

    /// Something could not be written: stops accepting, and forgets what was handed in. Returns the first failure.
    pub(crate) fn fail(&self, error: Arc<StoreError>) -> Arc<StoreError> {
        let mut state = self.state();
        let first = Arc::clone(state.failed.get_or_insert(error));
        state.is_full = false;
        state.is_idle = false;
        state.wants_index = false;
        state.filling.offset = state.next();
        state.filling.bytes = Vec::new();
        state.first = First::default();
        state.writing = Arc::default();
        self.room.notify_all();
        // They see that it failed.
        self.waiting.reached(u64::MAX);
        self.work.notify_one();
        first
    }

    /// Accepts what comes, but the committer ends once it has written everything.
    pub(crate) fn close(&self) {
        self.state().is_closing = true;
        self.work.notify_one();
    }

    /// Why nothing is accepted any more.
    pub(crate) fn failure(&self) -> Option<Arc<StoreError>> {
        self.state().failed.clone()
    }
}

fn position(segment: u32, offset: u32) -> u64 {
    u64::from(segment) << 32 | u64::from(offset)
}

fn too_large() -> StoreError {
    StoreError::Backend { doing: "add an entry to the log".to_owned(), source: "it is larger than 4 GiB".into() }
}
