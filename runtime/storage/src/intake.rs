//! Taking in a large blob: one thread digests it while another writes it.
//!
//! Owns: that both go on at once, and that no more than a few pieces are in memory. Does not know: where the content
//! comes from, or what its file is called in the end.

use std::sync::mpsc;
use std::thread;

use wasmill_model::port::StoreError;
use wasmill_model::{BlobRef, Hasher};

use crate::error::failed;
use crate::files::TempFile;
use crate::packed::{self, CHUNK_BYTES, Packer};

/// How much is digested and written at once.
pub(crate) const PIECE_BYTES: usize = 256 << 10;

/// How many pieces may wait to be written.
const PIECES_WAITING: usize = 64;

/// The disk is made to take what is written before it is more than that. Meanwhile as much may wait to be written, so that digesting
/// goes on. What is left at the end is synced by whoever makes everything durable, while the next blob is digested: with less than
/// this, blobs of 4 to 16 MiB were slower by a quarter.
pub(crate) const UNSYNCED_BYTES_MAX: u64 = (PIECE_BYTES * PIECES_WAITING) as u64;

/// Digests and writes the pieces that `next` gives until there are none. `next` gets back what was written, to use its
/// space again.
pub(crate) fn take_in<P: AsRef<[u8]> + Send>(
    temp: &mut TempFile,
    packs: bool,
    mut next: impl FnMut(Option<P>) -> Result<Option<P>, StoreError>,
) -> Result<BlobRef, StoreError> {
    let (give, pieces) = mpsc::sync_channel::<P>(PIECES_WAITING);
    let (back, written) = mpsc::channel::<P>();
    thread::scope(|scope| {
        let write = move || {
            let mut packing = None;
            for (number, piece) in pieces.into_iter().enumerate() {
                if number == 0 && packs && packed::pays(piece.as_ref()) {
                    packing = Some(Packing::default());
                }
                if temp.unsynced() + piece.as_ref().len() as u64 > UNSYNCED_BYTES_MAX {
                    temp.sync()?;
                }
                match &mut packing {
                    Some(packing) => packing.write(temp, piece.as_ref())?,
                    None => temp.write(piece.as_ref())?,
                }
                // Who reads may have come to the end.
                let _ = back.send(piece);
            }
            packing.map_or(Ok(()), |packing| packing.finish(temp))
        };
        let writer = thread::Builder::new().name("wasmill-write".to_owned()).spawn_scoped(scope, write);
        let writer = writer.map_err(failed("start a thread that writes"))?;
        let mut hasher = Hasher::new();
        let mut read = Ok(());
        loop {
            match next(written.try_recv().ok()) {
                Ok(Some(piece)) => {
                    hasher.update(piece.as_ref());
                    if give.send(piece).is_err() {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    read = Err(error);
                    break;
                }
            }
        }
        drop(give);
        match writer.join() {
            Ok(wrote) => read.and(wrote).map(|()| hasher.finish()),
            Err(_) => Err(failed("write a large blob")("the thread that writes panicked")),
        }
    })
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
