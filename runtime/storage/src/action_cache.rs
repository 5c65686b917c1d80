//! Results by action key.
//!
//! Owns: which record counts (the last), and that a damaged one is a miss. Does not know: what an action means.

use bytes::Bytes;
use wasmill_model::port::{ActionCache, OnDurable, StoreError};
use wasmill_model::{Action, ActionKey, ActionRecord, Digest};

use crate::Storage;
use crate::error::on_index;
use crate::pending::Look;
use crate::tables::{decode_action, encode_action};

impl ActionCache for Storage {
    fn lookup(&self, key: &ActionKey) -> Result<Option<ActionRecord>, StoreError> {
        self.with_action_row(key, |row| decode_action(key, row).map(|(record, _)| record))
    }

    fn action(&self, key: &ActionKey) -> Result<Option<Action>, StoreError> {
        self.with_action_row(key, |row| {
            let (_, action) = decode_action(key, row)?;
            if Digest::of(action) != key.0 {
                tracing::warn!(%key, "a damaged action in the store is taken for absent");
                return None;
            }
            Action::decode(action).inspect_err(|error| tracing::warn!(%key, %error, "an action is unreadable")).ok()
        })
    }

    fn record(
        &self,
        key: ActionKey,
        action: &Action,
        record: &ActionRecord,
        on_durable: OnDurable,
    ) -> Result<(), StoreError> {
        let row = Bytes::from(encode_action(record, &action.encode())?);
        self.shared.pending.hand_in(row.len(), |state| {
            state.filling.actions.insert(key, row);
            state.when_durable(on_durable);
        })
    }

    fn barrier(&self, on_durable: OnDurable) -> Result<(), StoreError> {
        self.shared.pending.wait_for(on_durable)
    }
}

impl Storage {
    fn with_action_row<T>(
        &self,
        key: &ActionKey,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let look = self.shared.pending.read().look(|batch| batch.actions.get(key).cloned());
        match look {
            Look::Pending(row) => Ok(read(&row)),
            Look::Committed(view) => on_index("look up an action", || {
                Ok(view.actions.get(key.0.as_bytes())?.and_then(|row| read(row.value())))
            }),
        }
    }
}
