//! What a check found, as data and for people.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::{CallText, Mismatch};

/// What a check found: prints as a table, with a report for each run that could
/// not go on.
#[derive(Clone, Debug)]
pub struct CheckReport {
    pub(super) build: String,
    pub(super) runs: Vec<CheckedRun>,
}

/// One open run.
#[derive(Clone, Debug)]
pub struct CheckedRun {
    /// Name of its workflow, as it is stored.
    pub workflow: String,
    /// The workflow id.
    pub id: String,
    /// Whether this build can go on with it.
    pub verdict: Verdict,
}

/// Whether a build can go on with a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// It replays, and waits for something that is no step.
    Replays,
    /// It replays; these steps would start next.
    WouldStart(Vec<CallText>),
    /// Code and history disagree.
    Mismatch(Box<Mismatch>),
    /// This program has no workflow of its name.
    NotRegistered,
    /// A stored value cannot be read, or the code fails in another way: how.
    Unreadable(String),
}

impl Verdict {
    /// Whether this build can go on with the run.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Replays | Self::WouldStart(_))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Replays => "replays",
            Self::WouldStart(_) => "replays, would start steps",
            Self::Mismatch(_) => "mismatch",
            Self::NotRegistered => "not registered",
            Self::Unreadable(_) => "does not decode",
        }
    }
}

impl CheckReport {
    /// All that were looked at, newest first.
    #[must_use]
    pub fn runs(&self) -> &[CheckedRun] {
        &self.runs
    }

    /// The runs that this build cannot go on with.
    pub fn stranded(&self) -> impl Iterator<Item = &CheckedRun> {
        self.runs.iter().filter(|run| !run.verdict.is_good())
    }

    /// Whether this build can go on with all of them.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.stranded().next().is_none()
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = if self.runs.len() == 1 { "run" } else { "runs" };
        writeln!(f, "{} open {runs}, checked with build {}", self.runs.len(), self.build)?;
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for run in &self.runs {
            *counts.entry((&run.workflow, run.verdict.name())).or_default() += 1;
        }
        let wide = counts.keys().map(|(workflow, _)| workflow.chars().count()).max().unwrap_or(0);
        for ((workflow, verdict), count) in counts {
            writeln!(f, "  {workflow:<wide$}  {verdict:<26}  {count:>7}")?;
        }
        let mut steps: BTreeMap<&str, usize> = BTreeMap::new();
        for run in &self.runs {
            if let Verdict::WouldStart(next) = &run.verdict {
                next.iter().for_each(|call| *steps.entry(&call.name).or_default() += 1);
            }
        }
        if !steps.is_empty() {
            let steps: Vec<_> = steps.iter().map(|(name, n)| format!("{name} ({n})")).collect();
            writeln!(f, "would start: {}", steps.join(", "))?;
        }
        for CheckedRun { workflow, id, verdict } in self.stranded() {
            write!(f, "\n{}: `{workflow}` (run {id})", verdict.name())?;
            match verdict {
                Verdict::Mismatch(mismatch) => writeln!(f, ": {mismatch}")?,
                Verdict::Unreadable(reason) => writeln!(f, ": {reason}")?,
                Verdict::NotRegistered | Verdict::Replays | Verdict::WouldStart(_) => writeln!(
                    f,
                    ": this program has no workflow of its name\n  Bring it back; if it was \
                     renamed, say so: `#[workflow(was = \"{workflow}\")]`."
                )?,
            }
        }
        Ok(())
    }
}
