//! What is measured, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use crate::ours::fail;

const WORKLOADS: [&str; 6] = ["W1", "W2", "W3", "W4", "W5", "W6"];

pub(crate) struct Options {
    /// Of each measurement.
    pub(crate) time: Duration,
    pub(crate) rounds: u64,
    pub(crate) folder: PathBuf,
    /// Before each run of W3.
    pub(crate) gap: Duration,
    /// Finished runs in each file of ours.
    pub(crate) finished: u64,
    /// Of W5.
    pub(crate) sleepers: u64,
    /// How long after the first start of W5 all are due. All must have been
    /// accepted by then.
    pub(crate) sleep: Duration,
    /// How long they may take to wake.
    pub(crate) wake: Duration,
    /// On Postgres instead of SQLite.
    pub(crate) postgres: bool,
    only: Option<String>,
}

impl Options {
    pub(crate) fn read(args: &[String]) -> Self {
        let mut options = Self {
            time: Duration::from_secs(3),
            rounds: 3,
            folder: PathBuf::from("."),
            gap: Duration::from_millis(20),
            finished: 0,
            sleepers: 100_000,
            sleep: Duration::ZERO,
            wake: Duration::from_secs(60),
            postgres: false,
            only: None,
        };
        for pair in args.chunks(2) {
            let [key, value] = pair else { fail(&format!("{} needs a value", pair[0])) };
            options.set(key, value);
        }
        if options.sleep.is_zero() {
            options.sleep = Duration::from_millis(3_000 + options.sleepers / 4);
        }
        options
    }

    fn set(&mut self, key: &str, value: &str) {
        let number = || {
            value.parse::<u64>().unwrap_or_else(|_| fail(&format!("{key} {value}: not a number")))
        };
        match key {
            "--seconds" => self.time = Duration::from_secs(number().max(1)),
            "--rounds" => self.rounds = number().max(1),
            "--folder" => self.folder = PathBuf::from(value),
            "--gap-ms" => self.gap = Duration::from_millis(number()),
            "--finished" => self.finished = number(),
            "--sleepers" => self.sleepers = number().max(1),
            "--sleep-ms" => self.sleep = Duration::from_millis(number()),
            "--wake-ms" => self.wake = Duration::from_millis(number()),
            "--on" => {
                self.postgres = match value {
                    "postgres" => true,
                    "sqlite" => false,
                    _ => fail("--on sqlite or postgres"),
                }
            }
            "--only" => {
                if let Some(unknown) = value.split(',').find(|one| !WORKLOADS.contains(one)) {
                    fail(&format!("--only {unknown}: the workloads are {}", WORKLOADS.join(",")));
                }
                self.only = Some(value.to_owned());
            }
            _ => fail(&format!("unknown option {key}: see the top of main.rs")),
        }
    }

    pub(crate) fn wants(&self, workload: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.split(',').any(|one| one == workload))
    }
}
