//! Allocates, grows and gives back memory of many sizes and alignments, and makes sure that nothing of it is touched by the rest: the heap
//! of the SDK, which takes the place of libc's.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};

use wasmill_sdk::prelude::*;

/// A piece of memory, full of one byte.
struct Piece {
    at: *mut u8,
    layout: Layout,
    byte: u8,
}

impl Piece {
    fn is_whole(&self, len: usize) -> bool {
        // SAFETY: so much was allocated and written.
        let bytes = unsafe { std::slice::from_raw_parts(self.at, len) };
        bytes.iter().all(|byte| *byte == self.byte)
    }

    fn fill(&self) {
        // SAFETY: so much was allocated.
        unsafe { self.at.write_bytes(self.byte, self.layout.size()) };
    }
}

fn drawn() -> impl FnMut(usize) -> usize {
    let mut state = 1_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    }
}

fn allocated(size: usize, align: usize, byte: u8) -> Result<Piece> {
    let layout = Layout::from_size_align(size, align)?;
    // SAFETY: it is not empty.
    let is_zeroed = byte % 2 == 0;
    let at = unsafe { if is_zeroed { alloc_zeroed(layout) } else { alloc(layout) } };
    if at.is_null() || at as usize % align != 0 {
        bail!("{size} bytes at a multiple of {align} are at {at:?}");
    }
    if is_zeroed && !(Piece { at, layout, byte: 0 }).is_whole(size) {
        bail!("{size} bytes are not zero");
    }
    let piece = Piece { at, layout, byte };
    piece.fill();
    Ok(piece)
}

/// Returns the most bytes that were allocated at one time.
#[job]
fn heap(rounds: usize) -> Result<usize> {
    let mut draw = drawn();
    let mut pieces = Vec::<Piece>::new();
    let (mut now, mut most) = (0, 0);
    for round in 0..rounds {
        match (draw(5), pieces.len()) {
            (0 | 1, 1..) => {
                let Piece { at, layout, byte } = pieces.swap_remove(draw(pieces.len()));
                if !(Piece { at, layout, byte }).is_whole(layout.size()) {
                    bail!("round {round}: {layout:?} was touched");
                }
                // SAFETY: it was allocated with this layout, and is nowhere else.
                unsafe { dealloc(at, layout) };
                now -= layout.size();
            }
            (2, 1..) => {
                let which = draw(pieces.len());
                let power = draw(18);
                let size = 1 + draw(1 << power);
                let Some(piece) = pieces.get_mut(which) else { continue };
                let before = piece.layout.size();
                // SAFETY: it was allocated with this layout, and the new size is none that overflows.
                piece.at = unsafe { realloc(piece.at, piece.layout, size) };
                piece.layout = Layout::from_size_align(size, piece.layout.align())?;
                if piece.at.is_null() || !piece.is_whole(before.min(size)) {
                    bail!("round {round}: {before} bytes are not what they were as {size}");
                }
                piece.fill();
                now = now + size - before;
            }
            _ => {
                let power = draw(18);
                let size = 1 + draw(1 << power);
                pieces.push(allocated(size, 1 << draw(13), draw(256) as u8)?);
                now += size;
            }
        }
        most = most.max(now);
    }
    if pieces.iter().any(|piece| !piece.is_whole(piece.layout.size())) {
        bail!("something was touched in the end");
    }
    // More than there can be is no harm.
    let mut much = Vec::<u8>::new();
    if much.try_reserve(3 << 30).is_ok() {
        bail!("there are no 3 GiB");
    }
    Ok(most)
}

/// Keeps many small things, and gives their sum.
#[job]
fn boxes(count: u64) -> u64 {
    let boxes: Vec<Box<u64>> = (0..count).map(Box::new).collect();
    boxes.iter().map(|number| **number).sum()
}

wasmill_sdk::main!();
