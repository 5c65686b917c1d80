//! What host files looked like when they were digested.
//!
//! Owns: keeping it by path. Does not know: host files, or when a stamp can be trusted.

use wasmill_model::BlobRef;
use wasmill_model::port::{Stamp, StatCache, StoreError};

use crate::Storage;
use crate::error::on_index;
use crate::pending::Look;
use crate::tables::{decode_stat, encode_stat};

impl StatCache for Storage {
    fn recall(&self, path: &str) -> Result<Option<(Stamp, BlobRef)>, StoreError> {
        let look = self.shared.pending.read().look(|batch| batch.stats.get(path).cloned());
        match look {
            Look::Pending(row) => Ok(decode_stat(path, &row)),
            Look::Committed(view) => on_index("look up a host file", || {
                Ok(view.stats.get(path)?.and_then(|row| decode_stat(path, row.value())))
            }),
        }
    }

    fn remember(&self, entries: Vec<(String, Stamp, BlobRef)>) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let rows = entries.into_iter().map(|(path, stamp, blob)| Ok((path, encode_stat(&stamp, &blob)?)));
        let rows = rows.collect::<Result<Vec<_>, StoreError>>()?;
        let bytes = rows.iter().map(|(path, row)| path.len() + row.len()).sum();
        self.shared.pending.hand_in(bytes, |state| state.filling.stats.extend(rows))
    }
}
