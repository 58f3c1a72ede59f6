//! What is measured, and for how long.

use std::path::PathBuf;
use std::time::Duration;

pub(crate) struct Options {
    pub(crate) seconds: u64,
    pub(crate) rounds: usize,
    pub(crate) folder: PathBuf,
    /// Before each run of W3.
    pub(crate) gap: Duration,
    /// Finished runs in each file of ours.
    pub(crate) finished: u64,
    /// Of W5.
    pub(crate) sleepers: u64,
    only: Option<String>,
}

impl Options {
    pub(crate) fn read(args: &[String]) -> Self {
        let value = |key: &str| {
            let at = args.iter().position(|arg| arg == key)?;
            args.get(at + 1)
        };
        let number = |key: &str, default: u64| {
            value(key).and_then(|text| text.parse().ok()).unwrap_or(default)
        };
        Self {
            seconds: number("--seconds", 3),
            rounds: usize::try_from(number("--rounds", 3)).unwrap_or(3),
            folder: value("--folder").map_or_else(|| PathBuf::from("."), PathBuf::from),
            gap: Duration::from_millis(number("--gap-ms", 20)),
            finished: number("--finished", 0),
            sleepers: number("--sleepers", 100_000),
            only: value("--only").cloned(),
        }
    }

    pub(crate) fn wants(&self, workload: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.split(',').any(|one| one == workload))
    }
}
