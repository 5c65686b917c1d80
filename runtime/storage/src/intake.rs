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

/// How much is digested and written at once.
pub(crate) const PIECE_BYTES: usize = 256 << 10;

/// How many pieces may wait to be written.
const PIECES_WAITING: usize = 16;

/// After so many bytes, the disk is made to take them. That is as many as may wait, so that meanwhile digesting goes on.
const SYNC_EVERY_BYTES: u64 = (PIECE_BYTES * PIECES_WAITING) as u64;

/// Digests and writes the pieces that `next` gives until there are none. `next` gets back what was written, to use its
/// space again.
pub(crate) fn take_in<P: AsRef<[u8]> + Send>(
    temp: &mut TempFile,
    mut next: impl FnMut(Option<P>) -> Result<Option<P>, StoreError>,
) -> Result<BlobRef, StoreError> {
    let (give, pieces) = mpsc::sync_channel::<P>(PIECES_WAITING);
    let (back, written) = mpsc::channel::<P>();
    thread::scope(|scope| {
        let write = move || {
            let mut synced = 0;
            for piece in pieces {
                temp.write(piece.as_ref())?;
                if temp.written() - synced >= SYNC_EVERY_BYTES {
                    temp.sync()?;
                    synced = temp.written();
                }
                // Who reads may have come to the end.
                let _ = back.send(piece);
            }
            Ok(())
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
