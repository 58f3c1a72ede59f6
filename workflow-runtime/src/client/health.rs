//! [`Health`]: how a database fares, as the process that uses it sees it.

use std::time::Duration;

use crate::store::Reading;

/// How a runtime or a client and its database fare at one moment: see
/// [`Runtime::health`](crate::Runtime::health). Asking costs nothing: the
/// database is not asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Why the database does not answer. None: it does, or has not been asked
    /// yet. What is over within 200 ms is not told.
    pub trouble: Option<Trouble>,
    /// How long the last commit took. None: there was none.
    pub commit_latency: Option<Duration>,
    /// How long the commit waits that waits longest. None: none waits.
    pub oldest_waiting: Option<Duration>,
    /// How often, since this process began, the database was found to have
    /// forgotten what it had acknowledged: a standby took over that had not
    /// received everything, or an older backup was restored. What was lost is
    /// in the log, as far as this process knew of it.
    pub forgot: u32,
    /// For how long nobody can take over the runs of this runtime. Zero: its
    /// lease has lapsed, and it begins no step until it has one again. None:
    /// there is nobody to take over, or this is a client.
    pub lease: Option<Duration>,
}

/// A database that does not answer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Trouble {
    /// How long it has not.
    pub lasts: Duration,
    /// What was found last.
    pub message: String,
}

impl Health {
    pub(crate) fn new(reading: Reading, lease: Option<Duration>) -> Self {
        let trouble = reading.trouble.map(|(lasts, message)| Trouble { lasts, message });
        let (commit_latency, oldest_waiting) = (reading.latency, reading.oldest);
        Self { trouble, commit_latency, oldest_waiting, forgot: reading.forgot, lease }
    }

    /// The database answers, and the lease holds where there is one.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.trouble.is_none() && self.lease != Some(Duration::ZERO)
    }
}
