//! How a store fares, as those who ask it see it: one line in the log for each
//! change, and a report for whoever asks.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Moment;
use crate::error::{Error, ErrorKind};
use crate::model::RunId;

/// A failure that is over sooner is none: a connection was lost and made again.
const BLINK: Duration = Duration::from_millis(200);

/// What is known of a store.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    trouble: Option<Trouble>,
    /// Commits that have no answer yet, by one run of each, and since when.
    waiting: BTreeMap<RunId, Moment>,
    latency: Option<Duration>,
    forgot: u32,
}

#[derive(Debug)]
struct Trouble {
    since: Moment,
    reason: String,
    is_told: bool,
}

/// A store at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// Since when it does not answer, and what it said.
    pub(crate) trouble: Option<(Duration, String)>,
    /// Of the last commit.
    pub(crate) latency: Option<Duration>,
    /// How long the commit waits that waits longest.
    pub(crate) oldest: Option<Duration>,
    /// How often it was found to have forgotten something.
    pub(crate) forgot: u32,
}

impl Pulse {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of a question that was asked at that moment.
    pub(crate) fn note<T>(&self, asked: Moment, answer: &Result<T, Error>) {
        match answer {
            Err(error) if error.kind() == ErrorKind::Unavailable => self.failed(asked, error),
            // It was not asked.
            Err(error) if error.kind() == ErrorKind::ShutDown => {}
            _ => self.answered(),
        }
    }

    /// A commit is sent, perhaps again.
    pub(crate) fn sends(&self, of: Option<RunId>, at: Moment) {
        if let Some(run) = of {
            self.state().waiting.entry(run).or_insert(at);
        }
    }

    /// What became of it.
    pub(crate) fn sent<T>(&self, of: Option<RunId>, at: Moment, answer: &Result<T, Error>) {
        self.note(at, answer);
        let mut state = self.state();
        if answer.is_ok() {
            state.latency = Some(Moment::now().since(at));
        }
        let is_over = !matches!(answer, Err(error) if error.kind() == ErrorKind::Unavailable);
        if let Some(run) = of.filter(|_| is_over) {
            state.waiting.remove(&run);
        }
    }

    /// Nobody waits any more for what was sent before.
    pub(crate) fn begins_anew(&self) {
        self.state().waiting.clear();
    }

    /// The store forgot what it had acknowledged.
    #[cfg(feature = "postgres")]
    pub(crate) fn forgot(&self) {
        self.state().forgot += 1;
    }

    fn answered(&self) {
        let Some(trouble) = self.state().trouble.take() else { return };
        if trouble.is_told {
            let for_ms = u64::try_from(Moment::now().since(trouble.since).as_millis());
            tracing::info!(for_ms = for_ms.unwrap_or(u64::MAX), "the database answers again");
        }
    }

    fn failed(&self, asked: Moment, error: &Error) {
        let mut state = self.state();
        let trouble = state.trouble.get_or_insert_with(|| Trouble {
            since: asked,
            reason: String::new(),
            is_told: false,
        });
        trouble.reason = error.to_string();
        if !trouble.is_told && Moment::now().since(trouble.since) >= BLINK {
            trouble.is_told = true;
            tracing::warn!("the database does not answer: workflows wait, and none fails: {error}");
        }
    }

    pub(crate) fn read(&self) -> Reading {
        let (state, now) = (self.state(), Moment::now());
        let trouble = state.trouble.as_ref().filter(|trouble| trouble.is_told);
        Reading {
            trouble: trouble.map(|trouble| (now.since(trouble.since), trouble.reason.clone())),
            latency: state.latency,
            forgot: state.forgot,
            oldest: state.waiting.values().map(|since| now.since(*since)).max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault() -> Result<(), Error> {
        Err(Error::new(ErrorKind::Unavailable, "the cable is cut"))
    }

    #[test]
    fn what_is_over_at_once_is_no_trouble_and_what_lasts_is() {
        let (pulse, run) = (Pulse::default(), Some(RunId(7)));
        let first = Moment::now();
        pulse.sends(run, first);
        pulse.sent(run, first, &fault());
        assert!(pulse.read().trouble.is_none());
        assert!(pulse.read().oldest.is_some());
        while Moment::now().since(first) < BLINK {
            std::thread::yield_now();
        }
        pulse.note(Moment::now(), &fault());
        let (since, reason) = pulse.read().trouble.unwrap();
        assert!(since >= BLINK && reason.contains("the cable is cut"), "{reason}");
        let again = Moment::now();
        pulse.sends(run, again);
        assert!(pulse.read().oldest.unwrap() >= BLINK, "it waits from its first sending");
        pulse.sent(run, again, &Ok(()));
        let reading = pulse.read();
        assert!(reading.trouble.is_none() && reading.oldest.is_none());
        assert!(reading.latency.unwrap() < BLINK * 50);
        // Who may not write any more is answered all the same.
        let fenced = Err::<(), _>(Error::new(ErrorKind::Fenced, "another has it"));
        pulse.sends(run, again);
        pulse.sent(run, again, &fenced);
        assert!(pulse.read().oldest.is_none());
    }
}
