//! The guest's randomness.
//!
//! Owns: which random numbers an action gets: a ChaCha20 stream whose seed is a digest of the action key, so that
//! the same action sees the same numbers everywhere. Does not know: the host's randomness.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use wasmill_model::{ActionKey, Hasher};

/// Random numbers of one attempt.
#[derive(Debug)]
pub(crate) struct Random(ChaCha20Rng);

impl Random {
    pub(crate) fn new(key: ActionKey) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(b"wasmill random 1\n");
        hasher.update(key.0.as_bytes());
        Self(ChaCha20Rng::from_seed(*hasher.finish().digest.as_bytes()))
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use wasmill_model::Digest;

    use super::*;
    use crate::patience::Patience;

    /// A change here changes results; it takes a new version of the action's encoding.
    #[test]
    fn the_numbers_of_a_key_stay_what_they_are() {
        let mut bytes = [0; 8];
        Random::new(ActionKey(Digest::EMPTY)).fill(&mut bytes);
        assert_eq!(bytes, [112, 149, 57, 147, 161, 72, 89, 64]);
    }

    #[test]
    fn many_at_once_are_the_same_as_in_pieces() {
        let fresh = || Random::new(ActionKey(Digest::EMPTY));
        let (mut whole, mut pieces) = (vec![0; 2 * Patience::PIECE_BYTES + 5], vec![0; 2 * Patience::PIECE_BYTES + 5]);
        let mut random = [fresh(), fresh()];
        random[0].fill(&mut whole);
        pieces.chunks_mut(Patience::PIECE_BYTES).for_each(|piece| random[1].fill(piece));
        assert!(whole == pieces);
        let next = random.map(|mut random| {
            let mut bytes = [0; 9];
            random.fill(&mut bytes);
            bytes
        });
        assert_eq!(next[0], next[1]);
    }
}
