//! Time: a point as whole milliseconds, and where the engine reads it.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time: whole milliseconds since 1970-01-01 00:00 UTC.
///
/// Printed as RFC 3339: `2026-11-20T10:02:11.250Z`.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Later than every other.
    pub(crate) const NEVER: Self = Self(i64::MAX);
    /// When a run is due that waits for others alone: not before they come.
    pub(crate) const ASLEEP: Self = Self(i64::MAX - 1);

    /// From milliseconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How long from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at the end of time.
    fn add(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let millis = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        };
        Self(millis)
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        let distance = Duration::from_millis(timestamp.0.unsigned_abs());
        if timestamp.0 >= 0 { UNIX_EPOCH + distance } else { UNIX_EPOCH - distance }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, millis) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        let (year, month, day) = civil(days);
        let (seconds, millis) = (millis / 1000, millis % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// Days since 1970-01-01 as year, month and day of the Gregorian calendar.
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Where the engine reads the time.
pub(crate) trait Clock: Send + Sync + 'static {
    /// The time now. May stand still or go back; the engine never does.
    fn now(&self) -> Timestamp;
}

/// Bounds `future` in real time: for what waits on the world outside and not on
/// a workflow's timers. None: the time was over first.
#[expect(clippy::disallowed_methods, reason = "the one place that waits in real time")]
pub(crate) async fn within<T>(patience: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(patience, future).await.ok()
}

/// Waits in real time.
#[expect(clippy::disallowed_methods, reason = "the one place that waits in real time")]
pub(crate) async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// A jump of the machine's clock further ahead than this is logged.
const JUMP: Duration = Duration::from_secs(60);

/// The machine's clock.
#[derive(Debug)]
pub(crate) struct SystemClock {
    last: Mutex<(Instant, Timestamp)>,
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clocks")]
fn read() -> (Instant, Timestamp) {
    (Instant::now(), SystemTime::now().into())
}

impl SystemClock {
    pub(crate) fn new() -> Self {
        Self { last: Mutex::new(read()) }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let (instant, now) = read();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = last.1 + instant.duration_since(last.0);
        let ahead = now.since(expected);
        *last = (instant, now);
        drop(last);
        if ahead > JUMP {
            tracing::warn!(
                ahead_ms = u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX),
                "the machine's clock jumped ahead: timers may fire early"
            );
        }
        now
    }
}

/// A moment of this process's own clock, which never jumps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(Instant);

impl Moment {
    pub(crate) fn now() -> Self {
        Self(read().0)
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }
}

/// The store's clock, carried on by the machine's between two looks at it:
/// workers of one store agree on the time, whatever their machines say.
#[derive(Debug)]
pub(crate) struct StoreClock {
    last: Mutex<(Instant, Timestamp)>,
}

impl StoreClock {
    pub(crate) fn new() -> Self {
        Self { last: Mutex::new(read()) }
    }

    /// The store says that it is now that late.
    pub(crate) fn set(&self, now: Timestamp) {
        let ahead = now.since(self.now());
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = (read().0, now);
        if ahead > JUMP {
            let ahead_ms = u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(ahead_ms, "the database's clock is ahead: timers may fire early");
        }
    }
}

impl Clock for StoreClock {
    fn now(&self) -> Timestamp {
        let (instant, now) = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        now + read().0.saturating_duration_since(instant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_as_rfc_3339() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
        ];
        for (millis, text) in cases {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::NEVER + Duration::from_secs(1), Timestamp::NEVER);
        let early = Timestamp::from_millis(5);
        assert_eq!(early.since(early + Duration::from_secs(1)), Duration::ZERO);
        assert_eq!(Timestamp::from(SystemTime::from(early)), early);
    }
}
