//! What fuzzing needs: rows that no build wrote, read as a worker reads them.

use std::sync::Arc;

use super::drive::settings;
use super::golden::Recorded;
use crate::model::{Blocked, Event, OpenRun, RunRecord, StoredRun, WriterId};
use crate::turn::{Actor, Fault, Identity, RunInfo, rehearse, second_opinion};

/// What a database may have of a row. Nothing of it is checked.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Row {
    pub seq: u32,
    pub payload: Option<String>,
    pub decided: Option<String>,
}

impl Recorded {
    /// Changes its rows.
    #[doc(hidden)]
    pub fn damage(&mut self, change: impl FnOnce(&mut [Row])) {
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        let row = |event: &Event| Row {
            seq: event.seq,
            payload: text(&event.payload),
            decided: text(&event.decided),
        };
        let mut rows: Vec<Row> = self.history.iter().map(row).collect();
        change(&mut rows);
        for (event, row) in self.history.iter_mut().zip(rows) {
            event.seq = row.seq;
            event.payload = row.payload.map(Into::into);
            event.decided = row.decided.map(Into::into);
        }
    }

    /// Takes it up as a worker does with an open run; the event that ended it is
    /// left out. Gives how many calls it waits for.
    ///
    /// # Errors
    ///
    /// The report with which it would be set aside.
    #[doc(hidden)]
    pub fn take_up(&self) -> Result<usize, String> {
        let limits = settings("").limits;
        let ends = usize::from(self.record.end.is_some());
        let history = self.history.get(..self.history.len().saturating_sub(ends));
        let open =
            OpenRun { due: self.record.created, owner: None, claims: 0, blocked: None, mail: 0 };
        let stored = StoredRun {
            record: RunRecord { end: None, open: Some(open), ..self.record.clone() },
            history: history.unwrap_or_default().to_vec(),
            attempts: Vec::new(),
            cancels: Vec::new(),
            mail: Vec::new(),
        };
        let record = &stored.record;
        let begin = || {
            let definition = self.registry.find(&record.workflow).ok_or(Fault::Unregistered)?;
            let begun = crate::panics::catch(|| (definition.begin)(&record.args, limits));
            let begun = begun.map_err(Fault::Panicked)?;
            begun.map_err(|error| Fault::Undecodable { what: "its arguments".to_owned(), error })
        };
        let info = RunInfo::of(record, limits, false);
        let workflow = Arc::clone(&record.workflow);
        let identity = Identity { writer: WriterId(1), build: "".into(), workflow };
        let mut actor =
            Actor::recover(info.clone(), identity, &stored, begin(), self.record.created);
        let proven = actor.mismatch().and_then(|mismatch| {
            second_opinion(mismatch, || {
                begin().and_then(|future| rehearse(info.clone(), future, record, &stored.history))
            })
        });
        if let Some(fault) = proven {
            actor.blocked_for(&fault);
        }
        match actor.report() {
            Some(report) => Err(Blocked::from_json(report).message().to_owned()),
            None => Ok(actor.waiting_calls().len()),
        }
    }
}
