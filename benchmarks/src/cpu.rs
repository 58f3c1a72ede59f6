//! Where the time goes: CPU seconds by thread name, from `/proc`; empty where
//! there is none.

use std::collections::BTreeMap;

/// CPU seconds by thread name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spent(BTreeMap<String, f64>);

/// Ticks of `/proc/*/stat` a second.
const TICKS: f64 = 100.0;

/// What every thread of this process used so far.
pub(crate) fn now() -> Spent {
    let mut spent = Spent::default();
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return spent };
    for thread in threads.flatten() {
        let Ok(stat) = std::fs::read_to_string(thread.path().join("stat")) else { continue };
        let (Some(open), Some(close)) = (stat.find('('), stat.rfind(')')) else { continue };
        let fields: Vec<&str> = stat[close + 1..].split_whitespace().collect();
        let ticks = |n: usize| fields.get(n).and_then(|text| text.parse::<f64>().ok());
        let used = (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / TICKS;
        *spent.0.entry(stat[open + 1..close].to_owned()).or_default() += used;
    }
    spent
}

impl Spent {
    /// What was used since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let used = |(name, now): (&String, &f64)| {
            (name.clone(), now - before.0.get(name).copied().unwrap_or(0.0))
        };
        Self(self.0.iter().map(used).collect())
    }

    /// Microseconds per unit, the most first.
    pub(crate) fn per(&self, units: f64) -> String {
        let mut all: Vec<_> = self.0.iter().filter(|(_, used)| **used > 0.0).collect();
        all.sort_by(|a, b| b.1.total_cmp(a.1));
        let shown = all.iter().map(|(name, used)| format!("{name} {:.1}", *used * 1e6 / units));
        shown.collect::<Vec<_>>().join(", ")
    }
}
