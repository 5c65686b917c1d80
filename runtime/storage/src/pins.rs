//! What is kept whatever happens.
//!
//! Owns: pins, by digest. Does not know: what is behind a digest; whoever collects garbage finds out.

use std::collections::{BTreeSet, HashMap};

use redb::ReadableTable;
use wasmill_model::Digest;
use wasmill_model::port::StoreError;

use crate::error::{failed, on_index};
use crate::log::Entry;
use crate::record::Kind;
use crate::{Durable, Storage};

impl Storage {
    /// Keeps a blob, a directory with everything in it, or an action with its result and inputs, until it is unpinned.
    /// Durable when this returns. Whether it was not pinned before.
    ///
    /// # Errors
    /// The log cannot be written, or the index not be read.
    pub fn pin(&self, digest: &Digest) -> Result<bool, StoreError> {
        // A collection that goes on either sees the pin, or this.
        self.shared.lease.rely_on(digest).map_err(failed("say what this process relies on"))?;
        self.change_pin(digest, true)
    }

    /// Takes a pin away. Whether there was one.
    ///
    /// # Errors
    /// As of [`Storage::pin`].
    pub fn unpin(&self, digest: &Digest) -> Result<bool, StoreError> {
        self.change_pin(digest, false)
    }

    /// All that is pinned, ascending.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn pins(&self) -> Result<Vec<Digest>, StoreError> {
        self.refresh_now()?;
        let (view, changes) = self.shared.log.tail().survey(|rows| rows.pins.clone());
        let mut pins = on_index("list the pins", || {
            let rows = view.pins.iter()?.map(|row| Ok(Digest::from_bytes(*row?.0.value())));
            rows.collect::<Result<BTreeSet<_>, redb::Error>>()
        })?;
        for (digest, is_pinned) in changes.into_iter().flat_map(HashMap::into_iter) {
            if is_pinned {
                pins.insert(digest)
            } else {
                pins.remove(&digest)
            };
        }
        Ok(pins.into_iter().collect())
    }

    fn change_pin(&self, digest: &Digest, is_pinned: bool) -> Result<bool, StoreError> {
        let was_pinned = self.pins()?.binary_search(digest).is_ok();
        if was_pinned != is_pinned {
            let key = *digest.as_bytes();
            let entry = Entry { kind: Kind::Pin, key, size_bytes: 0, body: &[u8::from(is_pinned)] };
            self.shared.log.hand_in(&entry, |tail, _| {
                tail.active.pins.insert(*digest, is_pinned);
            })?;
            let _: Durable<()> = self.durable(())?;
        }
        Ok(was_pinned != is_pinned)
    }
}
