//! What is kept whatever happens.
//!
//! Owns: pins, by digest. Does not know: what is behind a digest; whoever collects garbage finds out.

use std::collections::{BTreeMap, HashMap};

use redb::ReadableTable;
use wasmill_model::Digest;
use wasmill_model::port::StoreError;

use crate::error::{failed, on_index};
use crate::log::Entry;
use crate::record::Kind;
use crate::{Durable, Storage, live};

impl Storage {
    /// Keeps a blob, a directory with everything in it, or an action with its result and inputs, until it is unpinned.
    /// Durable when this returns. Whether it was not pinned before.
    ///
    /// # Errors
    /// The log cannot be written, or the index not be read.
    pub fn pin(&self, digest: &Digest) -> Result<bool, StoreError> {
        let doing = || failed("say what this process relies on");
        self.shared.lease.rely_on(digest).map_err(doing())?;
        let mut is_new = false;
        loop {
            // A collection that begins after this sees the pin. One that was going on may not have.
            let epoch = self.shared.lease.wait_for_removal(&self.shared.dir).map_err(doing())?;
            is_new |= self.change_pin(digest, true)?;
            if self.shared.lease.epoch().map_err(doing())? == epoch {
                return Ok(is_new);
            }
        }
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
        let pins = self.all_pins()?;
        Ok(pins.into_iter().filter(|(_, pin)| pin.is_pinned).map(|(digest, _)| digest).collect())
    }

    fn all_pins(&self) -> Result<BTreeMap<Digest, Pin>, StoreError> {
        self.refresh_now()?;
        let (view, changes) = self.shared.log.tail().survey(|rows| rows.pins.clone());
        let mut pins = on_index("list the pins", || {
            let rows = view.pins.iter()?.map(|row| {
                let (digest, pin) = row?;
                Ok((Digest::from_bytes(*digest.value()), Pin::of(pin.value())))
            });
            rows.collect::<Result<BTreeMap<_, _>, redb::Error>>()
        })?;
        for (digest, pin) in changes.into_iter().flat_map(HashMap::into_iter) {
            let known = pins.entry(digest).or_insert(pin);
            *known = pin.max(*known);
        }
        Ok(pins)
    }

    fn change_pin(&self, digest: &Digest, is_pinned: bool) -> Result<bool, StoreError> {
        // Nobody else changes pins between what is found here and what comes of it.
        let lock = live::lock_pins(&self.shared.dir).map_err(failed("lock the pins"))?;
        let pins = self.all_pins()?;
        let was_pinned = pins.get(digest).is_some_and(|pin| pin.is_pinned);
        if was_pinned != is_pinned {
            let turn = pins.values().map(|pin| pin.turn).max().unwrap_or(0) + 1;
            let pin = Pin { turn, is_pinned };
            let entry = Entry { kind: Kind::Pin, key: *digest.as_bytes(), size_bytes: 0, body: &pin.encode() };
            self.shared.log.hand_in(&entry, |tail, _| {
                tail.active.pins.insert(*digest, pin);
            })?;
            let _: Durable<()> = self.durable(())?;
        }
        drop(lock);
        Ok(was_pinned != is_pinned)
    }
}

/// What was last said of a digest: the highest turn counts, whoever said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pin {
    pub(crate) turn: u64,
    pub(crate) is_pinned: bool,
}

impl Pin {
    pub(crate) fn of((turn, is_pinned): (u64, bool)) -> Self {
        Self { turn, is_pinned }
    }

    /// The body of its entry: the turn (u64, little-endian), and 1 or 0.
    pub(crate) fn encode(self) -> [u8; 9] {
        let mut bytes = [0; 9];
        bytes.iter_mut().zip(self.turn.to_le_bytes()).for_each(|(to, from)| *to = from);
        bytes.iter_mut().skip(8).for_each(|byte| *byte = u8::from(self.is_pinned));
        bytes
    }

    /// Reads the body of an entry; none is a damaged one.
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let (turn, is_pinned) = body.split_first_chunk()?;
        let is_pinned = match is_pinned {
            [0] => false,
            [1] => true,
            _ => return None,
        };
        Some(Self { turn: u64::from_le_bytes(*turn), is_pinned })
    }
}
