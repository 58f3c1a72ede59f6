//! How long a worker may count on being taken for alive.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;

/// Of the lease so much is left for what is already on its way.
const MARGIN: u32 = 10;

/// Until when nobody else can have declared this worker dead. Past it no step
/// begins: a process that was stopped for long and goes on finds out by itself.
#[derive(Debug)]
pub(crate) struct Lease {
    /// None: there is nobody else.
    term: Option<Duration>,
    begun: Moment,
    /// Milliseconds from `begun`.
    until: AtomicU64,
}

impl Lease {
    pub(crate) fn new(term: Option<Duration>) -> Self {
        let until = AtomicU64::new(if term.is_some() { 0 } else { u64::MAX });
        Self { term, begun: Moment::now(), until }
    }

    /// How long a sign of life counts. None: there is nobody else.
    pub(crate) fn term(&self) -> Option<Duration> {
        self.term
    }

    /// It was shown at that moment, or later, that the worker lives.
    pub(crate) fn renew(&self, at: Moment) {
        let Some(term) = self.term else { return };
        let until = at.since(self.begun) + term - term / MARGIN;
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.until.fetch_max(until, Ordering::AcqRel);
    }

    pub(crate) fn holds(&self) -> bool {
        self.left() != Some(Duration::ZERO)
    }

    /// For how long. None: there is nobody else.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.term?;
        let until = Duration::from_millis(self.until.load(Ordering::Acquire));
        Some(until.saturating_sub(Moment::now().since(self.begun)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_before_anybody_else_can_count_it_over() {
        let alone = Lease::new(None);
        assert!(alone.holds());
        let shared = Lease::new(Some(Duration::from_secs(10)));
        assert!(!shared.holds(), "before the first beat");
        shared.renew(Moment::now());
        assert!(shared.holds());
        assert!(shared.until.load(Ordering::Acquire) <= 9_001);
    }
}
