//! Going through what is in a store, and reading parts of it.
//!
//! Owns: iterators that hold no view of the index for longer than a page, so that they may take their time. Does not
//! know: what anybody looks for.

use std::io::{self, Cursor};
use std::ops::Range;

use bytes::Bytes;
use wasmill_model::port::{BlobStore, StoreError};
use wasmill_model::{ActionKey, BlobRef, Digest};

use crate::Storage;
use crate::error::on_index;
use crate::layers::Places;
use crate::place::Place;
use crate::tables::View;

/// How many rows are read at once.
pub(crate) const ROWS_AT_ONCE: usize = 1_000;

impl Storage {
    /// All blobs but the empty one, ascending by digest, as far as they were put before this was called. What is put or
    /// removed meanwhile may be there or not.
    ///
    /// # Errors
    /// What was put cannot be written. Each item: the index cannot be read; it is then the last.
    pub fn blobs(&self) -> Result<impl Iterator<Item = Result<BlobRef, StoreError>> + '_, StoreError> {
        let rows = self.rows(|view, after| page(&view.blobs, after))?;
        Ok(rows.map(|row| row.map(|(digest, place)| BlobRef { digest, size_bytes: place.size_bytes })))
    }

    /// The keys of all actions that have a result, in the same way.
    ///
    /// # Errors
    /// As of [`Storage::blobs`].
    pub fn action_keys(&self) -> Result<impl Iterator<Item = Result<ActionKey, StoreError>> + '_, StoreError> {
        let rows = self.rows(|view, after| page(&view.actions, after))?;
        Ok(rows.map(|row| row.map(|(digest, _)| ActionKey(digest))))
    }

    /// A part of a blob: the bytes from `range.start` to before `range.end`, fewer where the blob ends before. Not copied
    /// where the blob has more than 64 KiB; of a packed one that was read before, only the chunks are unpacked that it is in.
    ///
    /// # Errors
    /// As of [`BlobStore::get`].
    pub fn range(&self, blob: &BlobRef, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.part(blob, range)
    }

    /// Reads a blob from wherever one likes. A large one is mapped: what is read leaves memory again.
    ///
    /// # Errors
    /// As of [`BlobStore::get`].
    pub fn reader(&self, blob: &BlobRef) -> Result<impl io::BufRead + io::Seek + use<>, StoreError> {
        Ok(Cursor::new(self.get(blob)?))
    }

    fn rows(
        &self,
        page: impl Fn(&View, Option<&Digest>) -> Result<Vec<(Digest, Place)>, redb::Error>,
    ) -> Result<impl Iterator<Item = Result<(Digest, Place), StoreError>>, StoreError> {
        self.shared.log.index_everything()?;
        let index = self.shared.index()?;
        Ok(by_pages(move |after| on_index("list what is in the store", || page(&View::latest(&index)?, after))))
    }
}

/// Puts pages together: `page` gives the rows after a key. The first error is the last item.
pub(crate) fn by_pages(
    page: impl Fn(Option<&Digest>) -> Result<Vec<(Digest, Place)>, StoreError>,
) -> impl Iterator<Item = Result<(Digest, Place), StoreError>> {
    let mut cursor: Option<Digest> = None;
    let mut is_over = false;
    let pages = std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        match page(cursor.as_ref()) {
            Ok(rows) => {
                cursor = rows.last().map(|(digest, _)| *digest);
                is_over = rows.len() < ROWS_AT_ONCE;
                Some(rows.into_iter().map(Ok).collect::<Vec<_>>())
            }
            Err(error) => {
                is_over = true;
                Some(vec![Err(error)])
            }
        }
    });
    pages.flatten()
}

/// The next rows, after a key.
pub(crate) fn page(places: &Places, after: Option<&Digest>) -> Result<Vec<(Digest, Place)>, redb::Error> {
    places.rows(after.map(Digest::as_bytes))?.take(ROWS_AT_ONCE).collect()
}
