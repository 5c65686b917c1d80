//! What is in the log and not yet in the index.
//!
//! Owns: these rows in memory, the view of the index that goes with them, and that a reader who asks both sees every
//! entry exactly once. Does not know: what is durable, or how rows get into the index.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use redb::ReadableTable;
use wasmill_model::{ActionKey, BlobRef, Digest, RunId};

use crate::pins::Pin;
use crate::place::Place;
use crate::record::{Key, Kind};
use crate::tables::View;

/// Rows that are to be written to the index.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) blobs: HashMap<Digest, Place>,
    pub(crate) actions: HashMap<ActionKey, Place>,
    pub(crate) runs: BTreeMap<RunId, Vec<u8>>,
    pub(crate) jobs: BTreeMap<(RunId, u32), Place>,
    pub(crate) stats: HashMap<String, Vec<u8>>,
    pub(crate) artifacts: HashMap<Digest, BlobRef>,
    /// What was pinned, or not any more.
    pub(crate) pins: HashMap<Digest, Pin>,
    /// Copies of blobs that were found damaged or missing.
    pub(crate) lost: HashSet<(Digest, Place)>,
    /// Entries that a collection copied. Where they were is still right until the index names the new places.
    pub(crate) moved: Vec<Moved>,
    /// How many entries of the log these are.
    pub(crate) entries: usize,
    /// What of them is in the log, in bytes.
    pub(crate) bytes: u64,
}

/// What was at one place and is at another now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moved {
    pub(crate) kind: Kind,
    pub(crate) key: Key,
    pub(crate) old: Place,
    pub(crate) new: Place,
}

/// The rows, in the order in which they came to be, and the index behind them.
pub(crate) struct Tail {
    pub(crate) active: Rows,
    /// On their way into the index.
    pub(crate) frozen: Arc<Rows>,
    /// What to note further rows in, which has had some before: tables that grow ask for memory again and again.
    pub(crate) spare: Rows,
    pub(crate) view: Arc<View>,
    /// Blobs of which a copy is known to be lost, or was before another one was put.
    pub(crate) lost: HashSet<Digest>,
    /// What other processes, which live, have in their segments and not in the index.
    pub(crate) theirs: BTreeMap<u32, Theirs>,
    /// The segments of this process, and from where on they are its own: what is before that, another one left.
    pub(crate) own: HashMap<u32, u32>,
}

/// The rows of another process's segment.
#[derive(Debug, Default)]
pub(crate) struct Theirs {
    pub(crate) rows: Rows,
    /// From where on, and up to where, the segment was read.
    pub(crate) begin: u32,
    pub(crate) end: u32,
    /// An entry was damaged there, or was just being written, when the segment was read.
    pub(crate) doubted: Option<u32>,
}

/// The answer to a question that may be answered by what is not in the index.
pub(crate) enum Look<T> {
    /// It is.
    Tail(T),
    /// It is not: the answer is in here or nowhere.
    Index(Arc<View>),
}

/// Where something was found, and whether this process put it there: then nobody takes it away as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) is_own: bool,
}

impl Tail {
    /// A tail with nothing in it before an index.
    pub(crate) fn new(view: View) -> Self {
        Self {
            active: Rows::default(),
            frozen: Arc::default(),
            spare: Rows::default(),
            view: Arc::new(view),
            lost: HashSet::new(),
            theirs: BTreeMap::new(),
            own: HashMap::new(),
        }
    }

    /// Asks the rows, latest first.
    pub(crate) fn look<T>(&self, find: impl Fn(&Rows) -> Option<T>) -> Look<T> {
        match self.look_own(&find).or_else(|| self.look_theirs(&find)) {
            Some(found) => Look::Tail(found),
            None => Look::Index(Arc::clone(&self.view)),
        }
    }

    /// Asks the rows of this process, latest first.
    pub(crate) fn look_own<T>(&self, find: impl Fn(&Rows) -> Option<T>) -> Option<T> {
        find(&self.active).or_else(|| find(&self.frozen))
    }

    /// What of a place is to be known to rely on it.
    pub(crate) fn found(&self, place: Place) -> Found {
        Found { place, is_own: self.own.get(&place.segment).is_some_and(|from| place.offset >= *from) }
    }

    /// Asks the rows of other processes.
    pub(crate) fn look_theirs<T>(&self, find: impl Fn(&Rows) -> Option<T>) -> Option<T> {
        self.theirs.values().rev().find_map(|theirs| find(&theirs.rows))
    }

    /// The index and what `collect` makes of the rows, earlier first.
    pub(crate) fn survey<T>(&self, collect: impl FnMut(&Rows) -> T) -> (Arc<View>, Vec<T>) {
        let theirs = self.theirs.values().map(|theirs| &theirs.rows);
        (Arc::clone(&self.view), theirs.chain([&*self.frozen, &self.active]).map(collect).collect())
    }

    /// Where a blob is, by the rows of this process.
    pub(crate) fn own_blob(&self, digest: &Digest) -> Option<Place> {
        self.look_own(|rows| self.good_blob(rows, digest))
    }

    /// Where a blob is, by the rows of any process.
    pub(crate) fn blob(&self, digest: &Digest) -> Option<Place> {
        self.own_blob(digest).or_else(|| self.look_theirs(|rows| self.good_blob(rows, digest)))
    }

    fn good_blob(&self, rows: &Rows, digest: &Digest) -> Option<Place> {
        rows.blobs.get(digest).copied().filter(|place| !self.is_lost(digest, place))
    }

    /// Whether a copy of a blob in the log is lost. (A lost file is one that is not there.)
    pub(crate) fn is_lost(&self, digest: &Digest, place: &Place) -> bool {
        if place.is_file() || !self.lost.contains(digest) {
            return false;
        }
        let lost = (*digest, *place);
        let theirs = self.theirs.values().map(|theirs| &theirs.rows);
        let is_in_rows = [&self.active, &*self.frozen].into_iter().chain(theirs).any(|rows| rows.lost.contains(&lost));
        // What cannot be read there is found out by whoever asks it next.
        let row = || self.view.lost.get(digest.as_bytes()).ok().flatten();
        is_in_rows || row().is_some_and(|row| *row.value() == place.encode())
    }

    /// Notes a blob. The first good place counts.
    pub(crate) fn add_blob(&mut self, digest: Digest, place: Place) {
        self.active.add_blob(digest, place);
        self.lost.remove(&digest);
    }

    /// Notes that a copy of a blob is lost.
    pub(crate) fn lose_blob(&mut self, digest: Digest, place: Place) {
        self.active.lose_blob(digest, place);
        self.lost.insert(digest);
    }

    /// Brings together what all rows say of lost blobs, and the index.
    pub(crate) fn learn_what_is_lost(&mut self) -> Result<(), redb::Error> {
        let theirs = self.theirs.values().map(|theirs| &theirs.rows);
        let rows = [&self.active, &*self.frozen].into_iter().chain(theirs);
        let mut lost: HashSet<Digest> = rows.flat_map(|rows| rows.lost.iter().map(|(digest, _)| *digest)).collect();
        for row in self.view.lost.iter()? {
            lost.insert(Digest::from_bytes(*row?.0.value()));
        }
        self.lost = lost;
        Ok(())
    }

    /// Takes the rows to bring them into the index; they stay readable. None while others are on their way.
    pub(crate) fn freeze(&mut self) -> Option<Arc<Rows>> {
        if self.active.entries == 0 || self.frozen.entries > 0 {
            return None;
        }
        let next = std::mem::take(&mut self.spare);
        self.frozen = Arc::new(std::mem::replace(&mut self.active, next));
        Some(Arc::clone(&self.frozen))
    }

    /// What was frozen is in the index, and `view` shows it.
    pub(crate) fn indexed(&mut self, view: View) {
        self.view = Arc::new(view);
        self.frozen = Arc::default();
    }
}

impl Rows {
    /// Notes a blob. The first good place counts.
    pub(crate) fn add_blob(&mut self, digest: Digest, place: Place) {
        let known = self.blobs.get(&digest).filter(|known| !self.lost.contains(&(digest, **known)));
        if known.is_none() {
            self.blobs.insert(digest, place);
        }
    }

    /// Notes that a copy of a blob is lost.
    pub(crate) fn lose_blob(&mut self, digest: Digest, place: Place) {
        if !place.is_file() && self.blobs.get(&digest) == Some(&place) {
            self.blobs.remove(&digest);
        }
        self.lost.insert((digest, place));
    }

    /// None, in the memory of these.
    pub(crate) fn emptied(mut self) -> Self {
        self.blobs.clear();
        self.actions.clear();
        self.stats.clear();
        // Of the others there are few.
        Self { blobs: self.blobs, actions: self.actions, stats: self.stats, ..Self::default() }
    }
}
