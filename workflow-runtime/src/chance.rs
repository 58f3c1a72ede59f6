//! Chance that need not be repeated: for ids, seeds and jitter.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

/// A stream that nobody can tell in advance. Seeded once: asking the machine
/// each time costs more than the rest of a start.
pub(crate) fn stream() -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    key[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    ChaCha8Rng::from_seed(key)
}
