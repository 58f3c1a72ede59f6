//! The workloads W1 to W6 on SQLite, beside the bare protocol limit, measured
//! in the same run.
//!
//! ```sh
//! cargo run --release -p workflow-benchmarks              # all, about five minutes
//! cargo run --release -p workflow-benchmarks -- --seconds 1 --rounds 1 --sleepers 10000
//! cargo run --release -p workflow-benchmarks -- --only W1,W2 --finished 1000000
//! ```
//!
//! * W1: workflows of three trivial steps, 256 and 2,048 in flight: workflows a
//!   second.
//! * W2: one workflow of 1,000 steps, one after the other: microseconds a step.
//! * W3: a workflow of one step on an idle system, from its start to its
//!   awaited result, with a gap (`--gap-ms`) before each: milliseconds. An idle
//!   disk is slower: the limit has the same gap.
//! * W4: a process is killed. 1,000 steps of one run are replayed until step
//!   1,001 runs; 5,000 runs go on and end. Milliseconds from `build`.
//! * W5: memory of sleeping runs over idle, and how long they take to wake.
//! * W6: one workflow of 1,000 steps under `join_all`: milliseconds.
//!
//! The limit is a group-commit loop over `rusqlite` and nothing else: no
//! library, no replay, no check for conflicts, blind inserts. Absolute figures
//! belong to the machine; the ratio is what can be compared.
//!
//! `--finished N` puts N finished runs into every file of ours before it is
//! measured.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints a table")]

mod cpu;
mod killed;
mod limit;
mod options;
mod ours;
mod prefill;
mod sleepers;

use std::path::Path;
use std::time::Duration;

use options::Options;

/// How one workload is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Workload {
    /// So many in flight.
    W1(usize),
    W2,
    W3,
    W6,
}

impl Workload {
    const ALL: [Self; 5] = [Self::W1(256), Self::W1(2_048), Self::W2, Self::W3, Self::W6];

    fn name(self) -> &'static str {
        match self {
            Self::W1(256) => "W1 256",
            Self::W1(_) => "W1 2048",
            Self::W2 => "W2",
            Self::W3 => "W3",
            Self::W6 => "W6",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::W1(_) => "workflows/s",
            Self::W2 => "µs/step",
            Self::W3 | Self::W6 => "ms",
        }
    }

    /// What was reached, and the aim under `FULL`.
    fn judge(self, ours: f64, limit: f64) -> (String, bool) {
        match self {
            Self::W1(_) => (format!("{:.2} of it (aim 0.40)", ours / limit), ours / limit >= 0.4),
            Self::W2 => (format!("{:.2} × (aim 2.2)", ours / limit), ours / limit <= 2.2),
            Self::W3 => (format!("{:.2} × (aim 2.0)", ours / limit), ours / limit <= 2.0),
            Self::W6 => (format!("{:.2} × (aim 8 ms)", ours / limit), ours <= 8.0),
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

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("victim", rest)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return killed::victim(rest);
    }
    if let Some(("sleepers", rest)) = args.split_first().map(|(first, rest)| (first.as_str(), rest))
    {
        return sleepers::child(rest);
    }
    let options = Options::read(&args);
    let filled = prefill::template(&options)?;
    println!(
        "{:<8} {:<7} {:>10} {:>10}  {:<22} CPU by thread, µs per workflow or step",
        "", "sync", "limit", "ours", "ours to limit"
    );
    for workload in Workload::ALL {
        if options.wants(&workload.name()[..2]) {
            for full in [true, false] {
                measure(workload, full, &options, filled.as_deref())?;
            }
        }
    }
    if options.wants("W4") {
        killed::measure(&options, filled.as_deref())?;
    }
    if options.wants("W5") {
        sleepers::measure(&options, filled.as_deref())?;
    }
    Ok(())
}

fn measure(
    workload: Workload,
    full: bool,
    options: &Options,
    filled: Option<&Path>,
) -> std::io::Result<()> {
    let seconds = Duration::from_secs(options.seconds);
    let (mut limits, mut ours) = (Vec::new(), Vec::new());
    // Interleaved: what the machine does to one it does to the other.
    for round in 0..options.rounds {
        eprintln!("{} full={full} round {}", workload.name(), round + 1);
        let place = tempfile::tempdir_in(&options.folder)?;
        let (limit, mine) = (place.path().join("limit.db"), place.path().join("ours.db"));
        limits.push(limit::measure(workload, &limit, full, seconds, options.gap));
        prefill::copy(filled, &mine)?;
        ours.push(ours::measure(workload, &mine, full, seconds, options.gap));
    }
    limits.sort_by(f64::total_cmp);
    ours.sort_by(|a, b| a.value.total_cmp(&b.value));
    let (limit, figure) = (limits[limits.len() / 2], &ours[ours.len() / 2]);
    let (reached, met) = workload.judge(figure.value, limit);
    // The aims are those of `FULL`.
    let met = if !full {
        ""
    } else if met {
        " met"
    } else {
        " MISSED"
    };
    let (name, sync) = (workload.name(), if full { "FULL" } else { "NORMAL" });
    println!(
        "{name:<8} {sync:<7} {limit:>10.1} {:>10.1}  {:<22} {} [{}]",
        figure.value,
        format!("{reached}{met}"),
        figure.cpu.per(figure.units),
        workload.unit(),
    );
    Ok(())
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
