//! What is kept whatever happens.
//!
//! Owns: pins, by digest. Does not know: what is behind a digest; whoever collects garbage finds out.

use redb::ReadableTable;
use wasmill_model::Digest;
use wasmill_model::port::StoreError;

use crate::Storage;
use crate::error::on_index;
use crate::tables::{PINS, View};

impl Storage {
    /// Keeps a blob, a directory with everything in it, or an action with its result and inputs, until it is unpinned.
    /// Durable when this returns. Whether it was not pinned before.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn pin(&self, digest: &Digest) -> Result<bool, StoreError> {
        self.change_pins(|pins| Ok(pins.insert(digest.as_bytes(), ())?.is_none()))
    }

    /// Takes a pin away. Whether there was one.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn unpin(&self, digest: &Digest) -> Result<bool, StoreError> {
        self.change_pins(|pins| Ok(pins.remove(digest.as_bytes())?.is_some()))
    }

    /// All that is pinned, ascending.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn pins(&self) -> Result<Vec<Digest>, StoreError> {
        let index = self.shared.index()?;
        on_index("list the pins", || {
            let view = View::latest(&index)?;
            view.pins.iter()?.map(|row| Ok(Digest::from_bytes(*row?.0.value()))).collect()
        })
    }

    fn change_pins(
        &self,
        change: impl FnOnce(&mut redb::Table<'_, &'static [u8; 32], ()>) -> Result<bool, redb::Error>,
    ) -> Result<bool, StoreError> {
        let index = self.shared.index()?;
        on_index("change the pins", || {
            let mut write = index.begin_write()?;
            write.set_two_phase_commit(true);
            write.set_quick_repair(true);
            let changed = change(&mut write.open_table(PINS)?)?;
            write.commit()?;
            Ok(changed)
        })
    }
}
