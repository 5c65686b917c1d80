//! Taking in a large blob: one thread digests it while another writes it.
//!
//! Owns: that both go on at once, and that no more than a few pieces are in memory. Does not know: where the content
//! comes from, or what its file is called in the end.

use std::sync::mpsc;

use bytes::Bytes;
use wasmill_model::port::StoreError;
use wasmill_model::{BlobRef, Hasher};

use crate::error::failed;
use crate::files::TempFile;
use crate::helpers::{Helpers, Task};
use crate::packed::{self, CHUNK_BYTES, Packer};

/// How much is digested and written at once.
pub(crate) const PIECE_BYTES: usize = 256 << 10;

/// How many pieces may wait to be written.
const PIECES_WAITING: usize = 64;

/// The disk is made to take what is written before it is more than that. Meanwhile as much may wait to be written, so that digesting
/// goes on. What is left at the end is synced by whoever makes everything durable, while the next blob is digested: with less than
/// this, blobs of 4 to 16 MiB were slower by a quarter.
pub(crate) const UNSYNCED_BYTES_MAX: u64 = (PIECE_BYTES * PIECES_WAITING) as u64;

/// Digests content while it is written to what `temp` makes.
pub(crate) fn take_in_whole(
    helpers: &Helpers,
    packs: bool,
    content: &Bytes,
    temp: impl FnOnce() -> Result<TempFile, StoreError> + Send + 'static,
) -> Result<(BlobRef, TempFile), StoreError> {
    let theirs = content.clone();
    let writing = helpers.start_or_do(move || write(temp()?, packs, theirs.chunks(PIECE_BYTES), drop));
    let blob = BlobRef::of(content);
    Ok((blob, writing.join()??))
}

/// Content that comes piece by piece, and is digested while it is written.
pub(crate) struct Intake<'a> {
    hasher: Hasher,
    /// Goes before `writing`, which ends when this is gone.
    give: mpsc::SyncSender<Vec<u8>>,
    written: mpsc::Receiver<Vec<u8>>,
    writing: Task<'a, Result<TempFile, StoreError>>,
}

impl<'a> Intake<'a> {
    /// Begins with nothing.
    pub(crate) fn new(
        helpers: &'a Helpers,
        packs: bool,
        temp: impl FnOnce() -> Result<TempFile, StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (give, pieces) = mpsc::sync_channel::<Vec<u8>>(PIECES_WAITING);
        let (back, written) = mpsc::channel();
        // Who reads may have come to the end.
        let done = move |piece| drop(back.send(piece));
        let writing = helpers.start(move || write(temp()?, packs, pieces.into_iter(), done))?;
        Ok(Self { hasher: Hasher::new(), give, written, writing })
    }

    /// Takes the next piece. Whether more is wanted: not where writing failed.
    pub(crate) fn piece(&mut self, piece: Vec<u8>) -> bool {
        self.hasher.update(&piece);
        self.give.send(piece).is_ok()
    }

    /// An empty buffer for another piece, which has room for all of one.
    pub(crate) fn spare(&self) -> Vec<u8> {
        let mut piece = self.written.try_recv().unwrap_or_default();
        piece.clear();
        piece.reserve_exact(PIECE_BYTES);
        piece
    }

    /// Waits until all of it is written.
    pub(crate) fn finish(self) -> Result<(BlobRef, TempFile), StoreError> {
        drop(self.give);
        Ok((self.hasher.finish(), self.writing.join()??))
    }
}

/// Writes the pieces there are, and hands each of them on.
fn write<P: AsRef<[u8]>>(
    mut temp: TempFile,
    packs: bool,
    pieces: impl Iterator<Item = P>,
    done: impl Fn(P),
) -> Result<TempFile, StoreError> {
    let mut packing = None;
    for (number, piece) in pieces.enumerate() {
        if number == 0 && packs && packed::pays(piece.as_ref()) {
            packing = Some(Packing::default());
        }
        if temp.unsynced() + piece.as_ref().len() as u64 > UNSYNCED_BYTES_MAX {
            temp.sync()?;
        }
        match &mut packing {
            Some(packing) => packing.write(&mut temp, piece.as_ref())?,
            None => temp.write(piece.as_ref())?,
        }
        done(piece);
    }
    if let Some(packing) = packing {
        packing.finish(&mut temp)?;
    }
    Ok(temp)
}

/// Packs what comes in pieces of any length.
#[derive(Default)]
struct Packing {
    packer: Packer,
    chunk: Vec<u8>,
}

impl Packing {
    fn write(&mut self, temp: &mut TempFile, mut piece: &[u8]) -> Result<(), StoreError> {
        while !piece.is_empty() {
            let room = CHUNK_BYTES - self.chunk.len();
            let (now, later) = piece.split_at(piece.len().min(room));
            self.chunk.extend_from_slice(now);
            piece = later;
            if self.chunk.len() == CHUNK_BYTES {
                self.write_chunk(temp)?;
            }
        }
        Ok(())
    }

    fn write_chunk(&mut self, temp: &mut TempFile) -> Result<(), StoreError> {
        let packed = self.packer.chunk(&self.chunk).map_err(failed("compress a blob"))?;
        self.chunk.clear();
        temp.write(&packed)
    }

    fn finish(mut self, temp: &mut TempFile) -> Result<(), StoreError> {
        if !self.chunk.is_empty() {
            self.write_chunk(temp)?;
        }
        temp.write(&self.packer.finish())
    }
}
