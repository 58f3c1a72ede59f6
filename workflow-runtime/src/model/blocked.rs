//! Why a run was set aside, for people.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Mismatch;
use crate::clock::Timestamp;

/// Why a run is set aside, and what to do. Nothing of it is lost: it goes on
/// when a build that can continue it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Blocked {
    kind: BlockedKind,
    message: String,
    build: String,
    #[serde(default)]
    at: Timestamp,
    #[serde(default)]
    mismatch: Option<Box<Mismatch>>,
}

/// What kind of fault set a run aside.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum BlockedKind {
    /// The code does not do again what the history says it did.
    Mismatch,
    /// The workflow panicked.
    Panicked,
    /// The workflow awaits something that nothing durable can wake.
    ForeignAwait,
    /// The workflow wakes itself without end.
    BusyLoop,
    /// A stored value cannot be read as the type the code expects.
    Undecodable,
    /// Its stored rows are damaged.
    Corrupt,
    /// What it wants to write can never be stored.
    Unstorable,
    /// This build has no workflow of its name.
    Unregistered,
    /// Written by a newer version of this crate.
    #[serde(other)]
    Other,
}

impl Blocked {
    pub(crate) fn new(kind: BlockedKind, message: String, build: &str, at: Timestamp) -> Self {
        Self { kind, message, build: build.to_owned(), at, mismatch: None }
    }

    pub(crate) fn with(self, mismatch: Mismatch) -> Self {
        Self { mismatch: Some(Box::new(mismatch)), ..self }
    }

    /// Both sides as data, where code and history disagree.
    #[must_use]
    pub fn mismatch(&self) -> Option<&Mismatch> {
        self.mismatch.as_deref()
    }

    /// What kind of fault.
    #[must_use]
    pub fn kind(&self) -> BlockedKind {
        self.kind
    }

    /// What was found, the likely cause, and what to do; several lines.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The build that could not go on with the run.
    #[must_use]
    pub fn build(&self) -> &str {
        &self.build
    }

    /// When.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn from_json(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|error| {
            let message = format!("the stored report cannot be read ({error}): {text}");
            Self::new(BlockedKind::Other, message, "", Timestamp::default())
        })
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
