//! When a step that failed is tried again.

use std::time::Duration;

/// How often a step is tried and how long it waits in between.
///
/// The wait after failed attempt `n` is `first · factor^(n−1)`, at most `max`,
/// shortened by a random part of up to `jitter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    attempts: u32,
    first: Duration,
    max: Duration,
    factor: f64,
    jitter: f64,
}

impl RetryPolicy {
    /// One attempt: an error goes to the workflow at once. The default.
    pub const NONE: Self = Self::new(1);

    /// Up to `attempts` attempts in all (0 counts as 1), with the defaults:
    /// first wait 200 ms, factor 2, longest wait 30 s, jitter 0.2.
    #[must_use]
    pub const fn new(attempts: u32) -> Self {
        Self {
            attempts,
            first: Duration::from_millis(200),
            max: Duration::from_secs(30),
            factor: 2.0,
            jitter: 0.2,
        }
    }

    /// The wait after the first failed attempt.
    #[must_use]
    pub const fn first(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }

    /// The longest wait.
    #[must_use]
    pub const fn max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// What each wait is multiplied by; below 1 counts as 1.
    #[must_use]
    pub const fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// The part of each wait, from 0 to 1, that chance may take away: many
    /// failures at one moment do not come back at one moment.
    #[must_use]
    pub const fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter;
        self
    }

    /// The wait after `failed` failed attempts, or `None` when none is left.
    /// `chance` is in `0.0..1.0`.
    pub(crate) fn wait(&self, failed: u32, chance: f64) -> Option<Duration> {
        if failed >= self.attempts.max(1) {
            return None;
        }
        let exponent = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
        let full = self.first.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        let bounded = full.min(self.max.as_secs_f64());
        let jittered = bounded * (1.0 - self.jitter.clamp(0.0, 1.0) * chance);
        Some(Duration::try_from_secs_f64(jittered).unwrap_or(self.max))
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy::new(5).first(Duration::from_millis(100)).max(Duration::from_millis(500))
    }

    #[test]
    fn waits_grow_by_the_factor_up_to_the_longest() {
        let waits: Vec<_> = (1..6).map(|failed| policy().wait(failed, 0.0)).collect();
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(waits, [ms(100), ms(200), ms(400), ms(500), None]);
    }

    #[test]
    fn jitter_only_shortens() {
        let shortest = policy().jitter(0.5).wait(1, 0.999).unwrap();
        assert!(shortest > Duration::from_millis(50) && shortest < Duration::from_millis(51));
    }

    #[test]
    fn without_a_policy_there_is_one_attempt() {
        assert_eq!(RetryPolicy::NONE.wait(1, 0.0), None);
        assert_eq!(RetryPolicy::new(0).wait(1, 0.0), None);
    }

    #[test]
    fn extremes_do_not_panic() {
        let wild = RetryPolicy::new(u32::MAX).factor(f64::MAX).first(Duration::MAX);
        assert_eq!(wild.wait(u32::MAX - 1, 0.5).map(|wait| wait <= wild.max), Some(true));
        assert!(policy().factor(f64::NAN).jitter(f64::NAN).wait(3, 0.1).is_some());
    }
}
