//! Waits of the engine's own between tries: many that lost the same server do
//! not come back to it at the same moment.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore as _;

use crate::model::RetryPolicy;

/// Waits that grow from a first to a longest, half of each left to chance.
pub(crate) struct Backoff {
    policy: RetryPolicy,
    failed: u32,
    /// Made with the first wait: most never fail.
    chance: Option<ChaCha8Rng>,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        let policy = RetryPolicy::new(u32::MAX).first(first).max(longest).jitter(0.5);
        Self { policy, failed: 0, chance: None }
    }

    /// It failed once more: how long to wait.
    pub(crate) fn next(&mut self) -> Duration {
        self.failed = self.failed.saturating_add(1).min(u32::MAX - 1);
        let chance = f64::from(self.chance.get_or_insert_with(crate::chance::stream).next_u32())
            / (f64::from(u32::MAX) + 1.0);
        self.policy.wait(self.failed, chance).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_differ() {
        let (first, longest) = (Duration::from_millis(20), Duration::from_millis(100));
        let mut backoff = Backoff::new(first, longest);
        let waits: Vec<Duration> = (0..20).map(|_| backoff.next()).collect();
        let mut whole = first;
        for wait in &waits {
            assert!((whole / 2..=whole).contains(wait), "{wait:?} of {whole:?}");
            whole = (whole * 2).min(longest);
        }
        assert!(waits.windows(2).all(|two| two[0] != two[1]), "{waits:?}");
    }
}
