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
    pub(crate) deadline: Option<Instant>,
    pub(crate) cancel: Cancel,
}

/// Why a guest may not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    TimedOut,
    Cancelled,
}

impl Patience {
    /// What a call does at once: 10 ms, where memory is touched for the first time that the machine has to find.
    pub(crate) const PIECE_BYTES: usize = 4 << 20;

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

    /// Calls `fill` for one piece after the other, until it fills less than a piece; returns how much it filled.
    ///
    /// # Errors
    /// It failed, or the guest may not go on and there is more to do.
    pub(crate) fn fill<E: From<Over>>(
        &self,
        bytes: &mut [u8],
        mut fill: impl FnMut(usize, &mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let (mut at, all) = (0, bytes.len());
        loop {
            let end = all.min(at + Self::PIECE_BYTES);
            let filled = fill(at, bytes.get_mut(at..end).unwrap_or_default())?;
            if at + filled < end || end == all {
                return Ok(at + filled);
            }
            at = end;
            self.check()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PIECE: usize = Patience::PIECE_BYTES;

    fn pieces(patience: &Patience, len: usize, there: usize) -> (Result<usize, Over>, Vec<usize>) {
        let mut pieces = Vec::new();
        let filled = patience.fill(&mut vec![0; len], |at, piece| {
            pieces.push(piece.len());
            Ok(piece.len().min(there.saturating_sub(at)))
        });
        (filled, pieces)
    }

    #[test]
    fn what_is_filled_in_pieces_is_filled_whole() {
        let patience = Patience::default();
        for (len, there, asked) in [
            (0, 9, vec![0]),
            (5, 9, vec![5]),
            (5, 3, vec![5]),
            (PIECE, PIECE, vec![PIECE]),
            (PIECE + 1, 2 * PIECE, vec![PIECE, 1]),
            (3 * PIECE, PIECE, vec![PIECE, PIECE]),
            (3 * PIECE, PIECE + 7, vec![PIECE, PIECE]),
        ] {
            assert_eq!(pieces(&patience, len, there), (Ok(len.min(there)), asked), "{len} {there}");
        }
    }

    #[test]
    fn a_call_ends_when_time_is_up_and_one_of_a_piece_never_looks() {
        let late = Patience { deadline: Some(Instant::now()), cancel: Cancel::new() };
        assert_eq!(pieces(&late, 3 * PIECE, 3 * PIECE), (Err(Over::TimedOut), vec![PIECE]));
        assert_eq!(pieces(&late, PIECE, PIECE), (Ok(PIECE), vec![PIECE]));
        let cancelled = Patience { deadline: Some(Instant::now() + Duration::from_secs(99)), cancel: Cancel::new() };
        assert_eq!(cancelled.check(), Ok(()));
        cancelled.cancel.cancel();
        assert_eq!(pieces(&cancelled, 3 * PIECE, 3 * PIECE).0, Err(Over::Cancelled));
    }
}
