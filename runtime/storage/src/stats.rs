//! What host files looked like when they were digested.
//!
//! Owns: keeping it by path. Does not know: host files, or when a stamp can be trusted.

use redb::ReadableTable;
use wasmill_model::BlobRef;
use wasmill_model::port::{Stamp, StatCache, StoreError};

use crate::Storage;
use crate::error::on_index;
use crate::log::Entry;
use crate::record::Kind;
use crate::tables::{decode_stat, encode_paths, encode_stat};
use crate::tail::Look;

/// How many files go into one entry of the log.
const FILES_PER_ENTRY: usize = 256;

impl StatCache for Storage {
    fn recall(&self, path: &str) -> Result<Option<(Stamp, BlobRef)>, StoreError> {
        let look = self.shared.log.tail().look(|rows| rows.stats.get(path).cloned());
        match look {
            Look::Tail(row) => Ok(decode_stat(path, &row)),
            Look::Index(view) => on_index("look up a host file", || {
                Ok(view.stats.get(path)?.and_then(|row| decode_stat(path, row.value())))
            }),
        }
    }

    fn remember(&self, entries: Vec<(String, Stamp, BlobRef)>) -> Result<(), StoreError> {
        let rows = entries.into_iter().map(|(path, stamp, blob)| Ok((path, encode_stat(&stamp, &blob)?)));
        let mut rows = rows.collect::<Result<Vec<_>, StoreError>>()?;
        while !rows.is_empty() {
            let later = rows.split_off(rows.len().min(FILES_PER_ENTRY));
            let body = encode_paths(&rows)?;
            let entry = Entry { kind: Kind::Stats, key: [0; 32], size_bytes: 0, body: &body };
            self.shared.log.hand_in(&entry, |tail, _| tail.active.stats.extend(rows))?;
            rows = later;
        }
        Ok(())
    }
}
