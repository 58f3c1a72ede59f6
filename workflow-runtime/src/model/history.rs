//! A history, for people.

use std::fmt;

use crate::clock::Timestamp;

/// What happened in a run, in order. Prints as one line per event.
#[derive(Clone, Debug)]
pub struct History {
    pub(crate) workflow: String,
    pub(crate) id: String,
    pub(crate) started: Timestamp,
    pub(crate) events: Vec<HistoryEvent>,
}

/// One event of a history.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HistoryEvent {
    pub(crate) seq: u32,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) call: Option<u32>,
    pub(crate) payload: Option<String>,
    pub(crate) decided: Option<String>,
    pub(crate) at: Timestamp,
}

impl History {
    /// Name of the workflow.
    #[must_use]
    pub fn workflow(&self) -> &str {
        &self.workflow
    }

    /// The workflow id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When the run was accepted.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// The events, oldest first.
    #[must_use]
    pub fn events(&self) -> &[HistoryEvent] {
        &self.events
    }
}

impl HistoryEvent {
    /// Its place in the history, from 1.
    #[must_use]
    pub fn seq(&self) -> u32 {
        self.seq
    }

    /// `step`, `timer` or `begun`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Name of the step or timer.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of the call it answers, in the order of first polls from 0.
    #[must_use]
    pub fn call(&self) -> Option<u32> {
        self.call
    }

    /// The result of a step as stored: `{"ok": …}`, `{"err": …}` or
    /// `{"failure": …}`.
    #[must_use]
    pub fn payload(&self) -> Option<&str> {
        self.payload.as_deref()
    }

    /// The calls that the workflow made because of it, as stored.
    #[must_use]
    pub fn decided(&self) -> Option<&str> {
        self.decided.as_deref()
    }

    /// When it was delivered.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} started {}", self.workflow, self.id, self.started)?;
        for event in &self.events {
            let call = event.call.map_or_else(String::new, |call| format!("call {call}"));
            let payload = event.payload.as_deref().unwrap_or("");
            let (seq, at, kind, name) = (event.seq, event.at, &event.kind, &event.name);
            writeln!(f, "{seq:>4}  {at}  {kind:<5}  {call:<8} {name}  {payload}")?;
        }
        Ok(())
    }
}
