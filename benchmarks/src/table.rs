//! The table: a row for each figure, its aim, and whether that was met.

use crate::options::Options;

/// What a figure should reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    /// At least that part of the limit.
    OfLimit(f64),
    /// At most so many times the limit.
    TimesLimit(f64),
    /// At most that, in the unit of its row.
    AtMost(f64),
}

impl Aim {
    fn text(self) -> String {
        match self {
            Self::OfLimit(part) => format!("≥ {part:.2} × limit"),
            Self::TimesLimit(times) => format!("≤ {times:.2} × limit"),
            Self::AtMost(most) => format!("≤ {most}"),
        }
    }

    fn is_met(self, row: &Row) -> bool {
        let limit = row.limit.unwrap_or(f64::NAN);
        match self {
            Self::OfLimit(part) => row.ours >= part * limit,
            Self::TimesLimit(times) => row.ours <= times * limit,
            Self::AtMost(most) => row.ours <= most,
        }
    }
}

/// One figure.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) sync: &'static str,
    pub(crate) unit: &'static str,
    /// None where there is nothing to compare with.
    pub(crate) limit: Option<f64>,
    pub(crate) ours: f64,
    /// Ours on an empty file, where `ours` is of one with finished runs.
    pub(crate) empty: Option<f64>,
    /// None where none is set: the aims are those of `FULL`.
    pub(crate) aim: Option<Aim>,
    /// What else is to be said of it.
    pub(crate) note: String,
}

impl Row {
    pub(crate) fn print(&self) {
        let met = match self.aim {
            None => "",
            Some(aim) if aim.is_met(self) => "met",
            Some(_) => "MISSED",
        };
        println!(
            "{:<10} {:<6} {:>9} {:>9} {:<11} {:>8}  {:<15} {met:<6} {:>8}  {}",
            self.name,
            self.sync,
            number(self.limit),
            number(Some(self.ours)),
            self.unit,
            number(self.limit.map(|limit| self.ours / limit)),
            self.aim.map_or_else(String::new, Aim::text),
            number(self.empty.map(|empty| self.ours / empty)),
            self.note,
        );
    }
}

/// What is measured, and the names of the columns.
pub(crate) fn head(options: &Options) {
    println!(
        "{} rounds of {} s each; before each run of W3 a gap of {} ms; {} finished runs in each \
         file of ours",
        options.rounds,
        options.time.as_secs(),
        options.gap.as_millis(),
        options.finished
    );
    println!(
        "{:<10} {:<6} {:>9} {:>9} {:<11} {:>8}  {:<15} {:<6} {:>8}  CPU by thread, µs per \
         workflow or step; notes",
        "", "sync", "limit", "ours", "", "× limit", "aim", "", "× empty"
    );
}

/// Three or four digits of it.
fn number(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value < 10.0 => format!("{value:.2}"),
        Some(value) if value < 1_000.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}
