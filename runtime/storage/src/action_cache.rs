//! Results by action key.
//!
//! Owns: which record counts (the last), and that a damaged one is a miss, as is one whose blobs were lost. Does not
//! know: what an action means.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use wasmill_model::port::{ActionCache, BlobStore, Lookup, Miss, OnDurable, Recorder, StoreError};
use wasmill_model::{Action, ActionKey, ActionRecord, ActionResult, BlobRef, Digest, Directory};

use crate::Storage;
use crate::error::on_index;
use crate::log::{Beside, Entry};
use crate::place::Place;
use crate::record::Kind;
use crate::tables::{decode_action, encode_action};
use crate::tail::{Found, Rows};

impl ActionCache for Storage {
    fn lookup(&self, key: &ActionKey) -> Result<Lookup<'_>, StoreError> {
        Ok(self.recorded(key)?.map_or_else(|| Lookup::Miss(self.again(key)), Lookup::Hit))
    }

    fn again(&self, key: &ActionKey) -> Miss<'_> {
        Miss::new(*key, self)
    }

    fn action(&self, key: &ActionKey) -> Result<Option<Action>, StoreError> {
        let Some(found) = self.locate_action(key)? else {
            // What has no result may have been kept by itself.
            let Some(blob) = self.find(&key.0)? else { return Ok(None) };
            return Ok(self.get(&blob).ok().and_then(|bytes| Action::decode(&bytes).ok()));
        };
        let Some(row) = self.action_row(key, &found.place)? else { return Ok(None) };
        let Some((_, action)) = decode_action(key, &row) else { return Ok(None) };
        if Digest::of(action) != key.0 {
            tracing::warn!(%key, "a damaged action in the store is taken for absent");
            return Ok(None);
        }
        Ok(Action::decode(action).inspect_err(|error| tracing::warn!(%key, %error, "an action is unreadable")).ok())
    }

    fn barrier(&self, on_durable: OnDurable) -> Result<(), StoreError> {
        self.shared.log.wait_for(on_durable)
    }
}

impl Recorder for Storage {
    fn record(
        &self,
        key: ActionKey,
        action: &Action,
        record: &ActionRecord,
        on_durable: OnDurable,
    ) -> Result<(), StoreError> {
        let row = encode_action(record, &action.encode())?;
        let entry = Entry { kind: Kind::Action, key: *key.0.as_bytes(), size_bytes: 0, body: &row };
        self.shared.log.hand_in_with(&entry, Beside::on_durable(on_durable), |tail, place| {
            tail.active.actions.insert(key, place);
        })
    }
}

impl Storage {
    fn recorded(&self, key: &ActionKey) -> Result<Option<ActionRecord>, StoreError> {
        let mut place = self.rely_on(&key.0, || self.locate_action(key))?;
        if place.is_none() && self.refresh()? {
            place = self.rely_on(&key.0, || self.locate_action(key))?;
        }
        let Some(place) = place else { return Ok(None) };
        let row = self.action_row(key, &place)?;
        let Some((record, _)) = row.as_deref().and_then(|row| decode_action(key, row)) else { return Ok(None) };
        Ok((!self.has_lost(&record.result)?).then_some(record))
    }

    pub(crate) fn locate_action(&self, key: &ActionKey) -> Result<Option<Found>, StoreError> {
        let view = {
            let tail = self.shared.log.tail();
            let find = |rows: &Rows| rows.actions.get(key).copied();
            if let Some(place) = tail.look_own(find).or_else(|| tail.look_theirs(find)) {
                return Ok(Some(tail.found(place)));
            }
            Arc::clone(&tail.view)
        };
        let place = on_index("look up an action", || view.actions.get(key.0.as_bytes()))?;
        Ok(place.map(|place| self.shared.log.tail().found(place)))
    }

    /// What is kept of an action that was found at `place`, or where a collection moved it to.
    fn action_row(&self, key: &ActionKey, place: &Place) -> Result<Option<Bytes>, StoreError> {
        let mut place = *place;
        loop {
            let found = self.entry(Kind::Action, key.0.as_bytes(), &place, key)?;
            if found.is_some() {
                return Ok(found);
            }
            self.refresh_now()?;
            match self.rely_on(&key.0, || self.locate_action(key))? {
                Some(moved) if moved != place => place = moved,
                _ => return Ok(None),
            }
        }
    }

    /// The body of an entry; none, with a warning, is a damaged one.
    pub(crate) fn entry(
        &self,
        kind: Kind,
        key: &[u8; 32],
        place: &Place,
        shown: &dyn std::fmt::Display,
    ) -> Result<Option<Bytes>, StoreError> {
        if let Some(body) = self.shared.log.unwritten(place) {
            return Ok(Some(body));
        }
        let found = self.shared.reader.entry(kind, key, place)?;
        if found.is_none() {
            tracing::warn!(?kind, key = %shown, "a damaged entry of the store's log is taken for absent");
        }
        Ok(found)
    }

    /// Whether a blob that a result refers to, even in a directory, is known to be lost. Mostly none is, and then
    /// this costs nothing.
    pub(crate) fn has_lost(&self, result: &ActionResult) -> Result<bool, StoreError> {
        if self.shared.log.tail().lost.is_empty() {
            return Ok(false);
        }
        if self.is_lost(&result.stdout)? || self.is_lost(&result.stderr)? {
            return Ok(true);
        }
        self.has_lost_below(result.output)
    }

    fn is_lost(&self, blob: &BlobRef) -> Result<bool, StoreError> {
        let was_lost = self.shared.log.tail().lost.contains(&blob.digest);
        Ok(was_lost && self.locate(&blob.digest)?.is_none())
    }

    fn has_lost_below(&self, directory: BlobRef) -> Result<bool, StoreError> {
        let (mut waiting, mut seen) = (vec![directory], HashSet::new());
        while let Some(blob) = waiting.pop() {
            if self.is_lost(&blob)? {
                return Ok(true);
            }
            if blob == BlobRef::EMPTY || !seen.insert(blob.digest) {
                continue;
            }
            let content = match self.get(&blob) {
                Err(StoreError::Missing(_) | StoreError::Damaged { .. }) => return Ok(true),
                content => content?,
            };
            // What is no directory has nothing below it.
            let Ok(directory) = Directory::decode(&content) else { continue };
            for file in &directory.files {
                if self.is_lost(&file.blob)? {
                    return Ok(true);
                }
            }
            waiting.extend(directory.directories.iter().map(|directory| directory.blob));
        }
        Ok(false)
    }
}
