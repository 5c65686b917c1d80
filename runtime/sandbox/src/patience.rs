//! How long a guest may go on.
//!
//! Owns: when its time is up, and after how many bytes a call looks whether it is. Does not know: who is told, or what happens then.
//!
//! A guest's own code is interrupted by the engine. A call of the host's is not: one that copies hundreds of MB has to look by
//! itself.

use std::time::Instant;

use wasmill_model::port::Cancel;

/// Until when a guest may go on, and who may stop it before; by default for ever.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patience {
    deadline: Option<Instant>,
    cancel: Cancel,
    /// How many bytes were moved since it was last looked.
    moved: usize,
}

/// Why a guest may not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    TimedOut,
    Cancelled,
}

impl Patience {
    /// What is done before it is looked: 10 ms, where memory is touched for the first time that the machine has to find.
    pub(crate) const PIECE_BYTES: usize = 4 << 20;

    pub(crate) fn new(deadline: Option<Instant>, cancel: Cancel) -> Self {
        Self { deadline, cancel, moved: 0 }
    }

    /// # Errors
    /// The guest may not go on.
    pub(crate) fn check(&self) -> Result<(), Over> {
        if self.cancel.is_cancelled() {
            Err(Over::Cancelled)
        } else if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            Err(Over::TimedOut)
        } else {
            Ok(())
        }
    }

    /// Counts bytes that calls have moved.
    ///
    /// # Errors
    /// They are many by now, and the guest may not go on.
    pub(crate) fn moved(&mut self, bytes: usize) -> Result<(), Over> {
        self.moved = self.moved.saturating_add(bytes);
        if self.moved < Self::PIECE_BYTES {
            return Ok(());
        }
        self.moved = 0;
        self.check()
    }

    /// Calls `fill` for one piece after the other, until it fills less than a piece; returns how much it filled.
    ///
    /// # Errors
    /// It failed, or the guest may not go on.
    pub(crate) fn fill<E: From<Over>>(
        &mut self,
        bytes: &mut [u8],
        mut fill: impl FnMut(usize, &mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let (mut at, all) = (0, bytes.len());
        loop {
            let end = all.min(at + Self::PIECE_BYTES);
            let filled = fill(at, bytes.get_mut(at..end).unwrap_or_default())?;
            self.moved(filled)?;
            if at + filled < end || end == all {
                return Ok(at + filled);
            }
            at = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PIECE: usize = Patience::PIECE_BYTES;

    fn pieces(patience: &mut Patience, len: usize, there: usize) -> (Result<usize, Over>, Vec<usize>) {
        let mut pieces = Vec::new();
        let filled = patience.fill(&mut vec![0; len], |at, piece| {
            pieces.push(piece.len());
            Ok(piece.len().min(there.saturating_sub(at)))
        });
        (filled, pieces)
    }

    #[test]
    fn what_is_filled_in_pieces_is_filled_whole() {
        let mut patience = Patience::default();
        for (len, there, asked) in [
            (0, 9, vec![0]),
            (5, 9, vec![5]),
            (5, 3, vec![5]),
            (PIECE, PIECE, vec![PIECE]),
            (PIECE + 1, 2 * PIECE, vec![PIECE, 1]),
            (3 * PIECE, PIECE, vec![PIECE, PIECE]),
            (3 * PIECE, PIECE + 7, vec![PIECE, PIECE]),
        ] {
            assert_eq!(pieces(&mut patience, len, there), (Ok(len.min(there)), asked), "{len} {there}");
        }
    }

    #[test]
    fn a_call_ends_when_time_is_up_and_small_ones_look_now_and_then() {
        let mut late = Patience::new(Some(Instant::now()), Cancel::new());
        assert_eq!(pieces(&mut late, 3 * PIECE, 3 * PIECE), (Err(Over::TimedOut), vec![PIECE]));
        let looked = (0..PIECE).filter(|_| late.moved(3).is_err()).count();
        assert!(looked == 2 || looked == 3, "{looked}");
        let cancel = Cancel::new();
        let mut cancelled = Patience::new(Some(Instant::now() + Duration::from_secs(99)), cancel.clone());
        assert_eq!(cancelled.check(), Ok(()));
        cancel.cancel();
        assert_eq!(pieces(&mut cancelled, 3 * PIECE, 3 * PIECE).0, Err(Over::Cancelled));
    }
}
