//! The workloads W1 to W6 on SQLite, beside the bare protocol limit, measured
//! in the same run.
//!
//! ```sh
//! cargo run --release -p workflow-benchmarks              # all, about five minutes
//! cargo run --release -p workflow-benchmarks -- --seconds 1 --rounds 1 --sleepers 10000
//! cargo run --release -p workflow-benchmarks -- --only W1,W2 --finished 1000000
//! cargo run --release -p workflow-benchmarks -- --on postgres
//! ```
//!
//! * W1: workflows of three trivial steps, 256 and 2,048 in flight: workflows a
//!   second.
//! * W2: one workflow of 1,000 steps, one after the other: microseconds a step.
//! * W3: a workflow of one step on an idle system, from its start to its
//!   awaited result, with a gap (`--gap-ms`) before each: milliseconds. An idle
//!   disk is slower: the limit has the same gap.
//! * W4: a process is killed, and another goes on. Of one run with 1,000
//!   finished steps, until step 1,001 runs; of 5,000 runs, until all have ended.
//!   Milliseconds from the call of `build`.
//! * W5: memory of `--sleepers` sleeping runs over idle. They are due
//!   `--sleep-ms` after the first was started, all at once, and may take
//!   `--wake-ms` to wake.
//! * W6: one workflow of 1,000 steps under `join_all`: milliseconds.
//!
//! With `--on postgres` they are measured on a throw-away Postgres cluster, and
//! what a workflow of three steps costs it: commits and bytes of its log. W4
//! counts there from the takeover, which a lease of one second precedes.
//!
//! The limit is a group-commit loop over `rusqlite` and nothing else: no
//! library, no replay, no check for conflicts, blind inserts. Absolute figures
//! belong to the machine; the ratio is what can be compared. W4 and W5 have no
//! limit.
//!
//! `--finished N` puts N finished runs into every file of ours before it is
//! measured; `× empty` is the ratio to a file without them.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints a table")]

mod cpu;
mod killed;
mod limit;
mod options;
mod ours;
mod postgres;
mod prefill;
mod sleepers;
mod table;
mod taken_over;

use std::path::Path;

use options::Options;
use table::{Aim, Row};

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

    /// What is to be reached under `FULL`.
    fn aim(self) -> Aim {
        match self {
            Self::W1(_) => Aim::OfLimit(0.4),
            Self::W2 => Aim::TimesLimit(2.2),
            Self::W3 => Aim::TimesLimit(2.0),
            Self::W6 => Aim::AtMost(8.0),
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
    if let Some((first, rest)) = args.split_first() {
        match first.as_str() {
            "victim" => return killed::victim(rest),
            "postgres-victim" => return taken_over::victim(rest),
            "sleepers" => return sleepers::child(rest),
            _ => {}
        }
    }
    let options = Options::read(&args);
    table::head(&options);
    if options.postgres {
        return postgres::measure(&options);
    }
    let filled = prefill::template(&options)?;
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
    let (mut limits, mut ours, mut empty) = (Vec::new(), Vec::new(), Vec::new());
    let (time, gap) = (options.time, options.gap);
    // Interleaved: what the machine does to one it does to the others.
    for round in 0..options.rounds {
        eprintln!("{} full={full} round {}", workload.name(), round + 1);
        let place = tempfile::tempdir_in(&options.folder)?;
        let bare = place.path().join("limit.db");
        limits.push(limit::measure(workload, &bare, full, time, gap));
        let on = |file: Option<&Path>| {
            let path = place.path().join("ours.db");
            prefill::copy(file, &path)?;
            Ok::<_, std::io::Error>(ours::measure(workload, &path, full, time, gap))
        };
        if filled.is_some() {
            empty.push(on(None)?.value);
        }
        ours.push(on(filled)?);
    }
    ours.sort_by(|a, b| a.value.total_cmp(&b.value));
    let figure = &ours[ours.len() / 2];
    Row {
        name: workload.name(),
        sync: if full { "FULL" } else { "NORMAL" },
        unit: workload.unit(),
        limit: Some(ours::median(&mut limits)),
        ours: figure.value,
        empty: filled.map(|_| ours::median(&mut empty)),
        aim: full.then(|| workload.aim()),
        note: figure.cpu.per(figure.units),
    }
    .print();
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
