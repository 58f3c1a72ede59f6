//! What the thread of a turn does: it sleeps, it computes, or it waits for a
//! processor. The last is nobody's fault, and on a busy machine can take long.
//!
//! Linux tells it in `/proc/<process>/task/<thread>/stat`. Elsewhere only the
//! time that has passed is known.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Timestamp;

/// Where the system tells of a thread.
#[derive(Clone, Debug)]
pub(super) struct ThreadStat(PathBuf);

impl ThreadStat {
    /// Of the thread that asks. None: this system does not tell.
    pub(super) fn of_this_thread() -> Option<Self> {
        let own = std::fs::read_link("/proc/thread-self").ok()?;
        let stat = Path::new("/proc").join(own).join("stat");
        stat.exists().then_some(Self(stat))
    }

    pub(super) fn sample(&self) -> Option<Sample> {
        Sample::parse(&std::fs::read_to_string(&self.0).ok()?)
    }
}

/// A thread at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Sample {
    /// It waits for something that is not a processor and not a disk.
    asleep: bool,
    /// It has computed so long.
    cpu: Duration,
}

/// Linux counts the time of threads in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

impl Sample {
    /// `<thread> (<name>) <state> ..`: the name may have anything in it.
    fn parse(stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        let asleep = fields.next()? == "S";
        // The 14th and the 15th of all.
        let mut times = fields.skip(10).map(str::parse::<u32>);
        let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
        Some(Self { asleep, cpu: TICK.saturating_mul(user.saturating_add(system)) })
    }
}

/// A turn since it was seen first.
#[derive(Debug)]
pub(super) struct Watched {
    since: Timestamp,
    first: Option<Sample>,
    asleep_since: Option<Timestamp>,
}

impl Watched {
    pub(super) fn new(now: Timestamp, sample: Option<Sample>) -> Self {
        let asleep_since = sample.filter(|sample| sample.asleep).map(|_| now);
        Self { since: now, first: sample, asleep_since }
    }

    /// Whether it was asleep for so long without a break, or has computed for so
    /// long.
    pub(super) fn is_stuck(
        &mut self,
        now: Timestamp,
        sample: Option<Sample>,
        limit: Duration,
    ) -> bool {
        let (Some(first), Some(sample)) = (self.first, sample) else {
            return now.since(self.since) >= limit;
        };
        self.asleep_since = sample.asleep.then(|| self.asleep_since.unwrap_or(now));
        let asleep = self.asleep_since.is_some_and(|since| now.since(since) >= limit);
        asleep || sample.cpu.saturating_sub(first.cpu) >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    fn sample(asleep: bool, cpu: u64) -> Option<Sample> {
        Some(Sample { asleep, cpu: Duration::from_millis(cpu) })
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_line_of_the_system_is_read_whatever_the_thread_is_called() {
        let line = "77 (a) S (b) R 1 2 3 4 5 6 7 8 9 10 150 7 0 0 20 0";
        assert_eq!(Sample::parse(line), sample(false, 1_570));
        assert_eq!(Sample::parse(&line.replace(") R", ") S")), sample(true, 1_570));
        for bad in ["", "77 (a", "77 (a) R 1 2", "77 (a) R 1 2 3 4 5 6 7 8 9 10 x 7"] {
            assert_eq!(Sample::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_turn_that_sleeps_is_stuck_after_its_limit() {
        let mut turn = Watched::new(at(0), sample(true, 0));
        assert!(!turn.is_stuck(at(1_999), sample(true, 0), LIMIT));
        assert!(turn.is_stuck(at(2_000), sample(true, 0), LIMIT));
    }

    #[test]
    fn a_turn_that_computes_is_stuck_once_it_has_had_its_limit_of_a_processor() {
        let mut turn = Watched::new(at(0), sample(false, 500));
        assert!(!turn.is_stuck(at(60_000), sample(false, 2_490), LIMIT));
        assert!(turn.is_stuck(at(60_200), sample(false, 2_500), LIMIT));
    }

    #[test]
    fn a_turn_that_gets_no_processor_is_left_alone() {
        let mut turn = Watched::new(at(0), sample(false, 0));
        for now in (0..600_000).step_by(200) {
            assert!(!turn.is_stuck(at(now), sample(false, 10), LIMIT), "after {now} ms");
        }
        // Nor is one that sleeps now and then.
        for now in (600_000..700_000).step_by(200) {
            assert!(!turn.is_stuck(at(now), sample(now % 400 == 0, 20), LIMIT), "after {now} ms");
        }
    }

    #[test]
    fn without_a_word_of_the_system_the_time_decides() {
        let mut turn = Watched::new(at(0), None);
        assert!(!turn.is_stuck(at(1_999), None, LIMIT));
        assert!(turn.is_stuck(at(2_000), None, LIMIT));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_a_thread_that_sleeps_from_one_that_computes() {
        let (told, stat) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let sleeper = std::thread::spawn(move || {
            told.send(ThreadStat::of_this_thread().unwrap()).unwrap();
            ended.recv().unwrap();
        });
        let stat = stat.recv().unwrap();
        while !stat.sample().unwrap().asleep {
            std::thread::yield_now();
        }
        end.send(()).unwrap();
        sleeper.join().unwrap();
        let own = ThreadStat::of_this_thread().unwrap();
        let before = own.sample().unwrap();
        assert!(!before.asleep, "who asks is awake");
        while own.sample().unwrap().cpu == before.cpu {
            std::hint::spin_loop();
        }
    }
}
