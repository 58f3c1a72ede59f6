//! A plan: which order of events, and which faults, one run of a test has. Text
//! that fits into a line, so that a failure is repeated by pasting it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What happens at a point of a test.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Fault {
    /// The process ends. Another one goes on from the store.
    Crash,
    /// The store does not take a commit, and says so.
    CommitError,
    /// The store takes a commit, and its answer is lost.
    ReplyLost,
    /// A commit takes five seconds.
    SlowCommit,
    /// Another process takes over, and this one does not know it yet.
    Zombie,
    /// The process that recovers ends after it replayed so many events.
    CrashInReplay(u32),
}

/// The choices of one run of a test: which of several possible events comes
/// first, by the number of the choice; and faults, by the number of the point.
/// Where it says nothing, the first comes first, and nothing fails.
///
/// ```
/// use workflow_runtime::testing::Plan;
///
/// let plan: Plan = "12.1-15.2-5c".parse().unwrap();
/// assert_eq!(plan.to_string(), "12.1-15.2-5c");
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    pub(super) choices: BTreeMap<u32, u32>,
    pub(super) faults: BTreeMap<u32, Fault>,
}

impl Plan {
    /// How much it differs from doing everything in order: what is minimised.
    #[must_use]
    pub fn size(&self) -> usize {
        self.choices.len() + self.faults.len()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.size() == 0 {
            return f.write_str("plain");
        }
        let choices = self.choices.iter().map(|(at, choice)| format!("{at}.{choice}"));
        let faults = self.faults.iter().map(|(at, fault)| match fault {
            Fault::Crash => format!("{at}c"),
            Fault::CommitError => format!("{at}e"),
            Fault::ReplyLost => format!("{at}l"),
            Fault::SlowCommit => format!("{at}s"),
            Fault::Zombie => format!("{at}z"),
            Fault::CrashInReplay(events) => format!("{at}r{events}"),
        });
        f.write_str(&choices.chain(faults).collect::<Vec<_>>().join("-"))
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut plan = Self::default();
        if text == "plain" {
            return Ok(plan);
        }
        for part in text.split('-') {
            plan.read(part).ok_or_else(|| {
                format!(
                    "`{part}` in the schedule `{text}`: expected `plain`, or parts like `12.1` \
                     (a choice) and `5c` (a fault), with `-` between"
                )
            })?;
        }
        Ok(plan)
    }
}

impl Plan {
    fn read(&mut self, part: &str) -> Option<()> {
        if let Some((at, choice)) = part.split_once('.') {
            self.choices.insert(at.parse().ok()?, choice.parse().ok()?);
            return Some(());
        }
        let end = part.find(|c: char| !c.is_ascii_digit())?;
        let (at, fault) = part.split_at(end);
        let fault = match fault.split_at_checked(1)? {
            ("c", "") => Fault::Crash,
            ("e", "") => Fault::CommitError,
            ("l", "") => Fault::ReplyLost,
            ("s", "") => Fault::SlowCommit,
            ("z", "") => Fault::Zombie,
            ("r", events) => Fault::CrashInReplay(events.parse().ok()?),
            _ => return None,
        };
        self.faults.insert(at.parse().ok()?, fault);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_is_printed() {
        for text in ["plain", "0.1", "3.2-7.1", "0c", "1.1-2e-3l-4s-5z-6r12"] {
            assert_eq!(text.parse::<Plan>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_plan_says_which_part() {
        for text in ["", "x", "1", "1.x", "5q", "1.1--2c", "6r"] {
            let error = text.parse::<Plan>().unwrap_err();
            assert!(error.contains("expected"), "{error}");
        }
    }
}
