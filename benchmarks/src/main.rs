//! The workloads W1, W2 and W6 on SQLite, beside the bare protocol limit,
//! measured in the same run.
//!
//! ```sh
//! cargo run --release -p workflow-benchmarks              # all, about a minute
//! cargo run --release -p workflow-benchmarks -- --seconds 2 --rounds 3
//! ```
//!
//! * W1: workflows of three trivial steps, 256 in flight: workflows a second.
//! * W2: one workflow of 1,000 steps, one after the other: microseconds a step.
//! * W6: one workflow of 1,000 steps under `join_all`: milliseconds.
//!
//! The limit is a group-commit loop over `rusqlite` and nothing else: no
//! library, no replay, no check for conflicts, blind inserts. Absolute figures
//! belong to the machine; the ratio is what can be compared.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints a table")]

mod cpu;
mod limit;
mod ours;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// How one workload is measured.
#[derive(Clone, Copy, Debug)]
enum Workload {
    W1,
    W2,
    W6,
}

impl Workload {
    fn unit(self) -> &'static str {
        match self {
            Self::W1 => "workflows/s",
            Self::W2 => "µs/step",
            Self::W6 => "ms",
        }
    }

    /// How much of the limit was reached, from 0 to 1.
    fn ratio(self, ours: f64, limit: f64) -> f64 {
        match self {
            Self::W1 => ours / limit,
            Self::W2 | Self::W6 => limit / ours,
        }
    }
}

/// One measurement.
#[derive(Clone, Debug)]
struct Figure {
    value: f64,
    cpu: cpu::Spent,
    units: f64,
}

struct Options {
    seconds: u64,
    rounds: usize,
    folder: PathBuf,
}

impl Options {
    fn read() -> Self {
        let args: Vec<String> = std::env::args().collect();
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
        }
    }
}

fn main() -> std::io::Result<()> {
    let options = Options::read();
    let seconds = Duration::from_secs(options.seconds);
    println!(
        "{:<4} {:<7} {:>12} {:>12} {:>7}  CPU, µs per {{workflow, step, step}} by thread",
        "", "sync", "limit", "ours", "ratio"
    );
    for workload in [Workload::W1, Workload::W2, Workload::W6] {
        for full in [true, false] {
            let (mut limits, mut ours) = (Vec::new(), Vec::new());
            // Interleaved: what the machine does to one it does to the other.
            for round in 0..options.rounds {
                eprintln!("{workload:?} full={full} round {}", round + 1);
                let place = tempfile::tempdir_in(&options.folder)?;
                limits.push(limit::measure(
                    workload,
                    &place.path().join("limit.db"),
                    full,
                    seconds,
                ));
                ours.push(ours::measure(workload, &place.path().join("ours.db"), full, seconds));
            }
            print_row(workload, full, &mut limits, &mut ours);
        }
    }
    Ok(())
}

fn print_row(workload: Workload, full: bool, limits: &mut [f64], ours: &mut [Figure]) {
    limits.sort_by(f64::total_cmp);
    ours.sort_by(|a, b| a.value.total_cmp(&b.value));
    let (limit, figure) = (limits[limits.len() / 2], &ours[ours.len() / 2]);
    let ratio = workload.ratio(figure.value, limit);
    let (name, sync) = (format!("{workload:?}"), if full { "FULL" } else { "NORMAL" });
    println!(
        "{name:<4} {sync:<7} {limit:>12.1} {:>12.1} {ratio:>7.2}  {} [{}]",
        figure.value,
        figure.cpu.per(figure.units),
        workload.unit(),
    );
}

/// Removes what an earlier measurement left.
fn clean(path: &Path) {
    for end in ["", "-wal", "-shm", ".lock"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        // It need not be there.
        let _absent = std::fs::remove_file(name);
    }
}
