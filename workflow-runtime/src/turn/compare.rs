//! Compares what a turn decides now with what it decided when it first ran.

use std::collections::BTreeSet;

use super::Fault;
use super::instance::Instance;
use super::table::{CallSpec, Slot};
use crate::model::{
    CallId, CallText, ComparedCall, Decision, Decisions, Mismatch, MismatchCause as Cause,
};
use crate::text::cut;

/// Checks that `now`, the calls that the turn of event `seq` made, are those
/// that `recorded` says it made.
pub(super) fn compare(
    seq: u32,
    event: &str,
    recorded: &Decisions,
    now: &[Slot],
    first: u32,
) -> Result<(), Box<Mismatch>> {
    let recorded = &recorded.calls;
    let same = recorded.len() == now.len()
        && recorded.iter().zip(now).zip(first..).all(|((decision, slot), number)| {
            decision.call.0 == number && is_same(decision, &slot.spec)
        });
    if same {
        return Ok(());
    }
    let specs: Vec<&CallSpec> = now.iter().map(|slot| &slot.spec).collect();
    let longest = recorded.len().max(specs.len());
    let calls = (0..longest).zip(first..).map(|(n, number)| {
        let (recorded, now) = (recorded.get(n), specs.get(n).copied());
        ComparedCall {
            number,
            recorded: recorded.map(show_decision),
            actual: now.map(show_spec),
            same: recorded.zip(now).is_some_and(|(a, b)| is_same(a, b)),
        }
    });
    let calls = calls.collect();
    Err(Box::new(Mismatch { calls, ..bare(seq, event, cause(recorded, &specs)) }))
}

/// Calls of a history that code makes with other arguments now. It goes on with
/// the results that are there, unless an argument belongs to another call: then
/// results would be at the wrong place.
#[derive(Default)]
pub(super) struct Changed {
    strict: bool,
    /// Which call, and the arguments that it has now.
    calls: Vec<(CallId, u64)>,
    /// The first difference.
    fault: Option<Fault>,
    /// All calls of the history: their arguments.
    known: BTreeSet<(u64, CallId)>,
}

impl Changed {
    pub(super) fn of(strict: bool) -> Self {
        Self { strict, ..Self::default() }
    }

    /// What a turn recorded.
    pub(super) fn saw(&mut self, recorded: &Decisions) {
        if !self.strict {
            let calls = recorded.calls.iter();
            self.known.extend(calls.filter_map(|decision| Some((decision.hash?, decision.call))));
        }
    }

    /// A turn differs.
    ///
    /// # Errors
    ///
    /// In more than arguments, or arguments are compared strictly.
    pub(super) fn note(
        &mut self,
        fault: Fault,
        recorded: &Decisions,
        now: &[Slot],
    ) -> Result<(), Fault> {
        let recorded = &recorded.calls;
        let other = recorded.iter().zip(now).filter(|(was, is)| !is_same(was, &is.spec));
        let all = recorded.len() == now.len()
            && recorded.iter().zip(now).all(|(was, is)| is_same_function(was, &is.spec));
        if self.strict || !all {
            return Err(fault);
        }
        for (was, is) in other {
            self.calls.push((was.call, is.spec.hash));
        }
        self.fault.get_or_insert(fault);
        Ok(())
    }

    /// At the end of the history.
    ///
    /// # Errors
    ///
    /// A call has no result yet, or the arguments of another call.
    pub(super) fn judge(&mut self, instance: &Instance) -> Result<(), Fault> {
        let Some(fault) = self.fault.take() else { return Ok(()) };
        let is_anothers = |hash: u64, call: CallId| {
            let same = (hash, CallId(0))..=(hash, CallId(u32::MAX));
            self.known.range(same).any(|(_, other)| *other != call)
        };
        let bad =
            |(call, is): &(CallId, u64)| instance.is_waiting(*call) || is_anothers(*is, *call);
        if self.calls.iter().any(bad) {
            return Err(fault);
        }
        tracing::warn!(
            "a call is made with other arguments than when it got its result, and goes on with \
             that: {}",
            fault.explain()
        );
        Ok(())
    }
}

fn bare(event: u32, event_text: &str, cause: Cause) -> Mismatch {
    let (event_text, calls) = (event_text.to_owned(), Vec::new());
    Mismatch { event, event_text, calls, cause, recorded_by: None }
}

/// The outcome of event `seq` comes for a call that is dropped by now.
pub(super) fn not_awaited(seq: u32, event: &str) -> Box<Mismatch> {
    Box::new(bare(seq, event, Cause::NotAwaited))
}

/// The workflow returned in the turn of event `seq`; when that was recorded it
/// went on to wait.
pub(super) fn returned_early(seq: u32, event: &str) -> Box<Mismatch> {
    Box::new(bare(seq, event, Cause::ReturnedEarly))
}

/// The workflow made the same calls and returns something else, or nothing.
#[cfg(feature = "testing")]
pub(super) fn other_result(seq: u32, was: &str, is: Option<&str>) -> Box<Mismatch> {
    let cut = |text| cut(text, 4 * SHOWN).to_string();
    let cause = Cause::OtherResult { was: cut(was), is: is.map(cut) };
    Box::new(bare(seq, "the last", cause))
}

fn is_same(recorded: &Decision, now: &CallSpec) -> bool {
    is_same_function(recorded, now) && recorded.hash.is_none_or(|hash| hash == now.hash)
}

fn is_same_function(recorded: &Decision, now: &CallSpec) -> bool {
    recorded.kind == now.kind() && now.is_called(&recorded.name)
}

fn cause(recorded: &[Decision], now: &[&CallSpec]) -> Cause {
    let at = recorded
        .iter()
        .zip(now)
        .position(|(recorded, now)| !is_same(recorded, now))
        .unwrap_or(recorded.len().min(now.len()));
    let (Some(was), Some(is)) = (recorded.get(at), now.get(at)) else {
        return match (recorded.get(at), now.get(at)) {
            (Some(was), _) => Cause::Removed(was.name.to_string()),
            (None, Some(is)) => Cause::Inserted(is.name.to_owned()),
            (None, None) => Cause::Reordered,
        };
    };
    let permuted = recorded.len() == now.len()
        && recorded.iter().all(|was| now.iter().any(|is| is_same(was, is)));
    if permuted {
        return Cause::Reordered;
    }
    if is_same_function(was, is) {
        return Cause::Arguments(is.name.to_owned());
    }
    if now[at..].iter().any(|later| is_same(was, later)) {
        return Cause::Inserted(is.name.to_owned());
    }
    if recorded[at..].iter().any(|later| is_same(later, is)) {
        return Cause::Removed(was.name.to_string());
    }
    Cause::Replaced { was: was.name.to_string(), is: is.name.to_owned() }
}

/// Longest shown arguments, in bytes.
const SHOWN: usize = 40;

fn show(kind: &str, name: &str, args: &str, at: Option<String>) -> CallText {
    let inner = args.strip_prefix('[').and_then(|args| args.strip_suffix(']')).unwrap_or(args);
    CallText { kind: kind.to_owned(), name: name.to_owned(), args: cut(inner, SHOWN).into(), at }
}

fn show_decision(decision: &Decision) -> CallText {
    let args = decision.args.as_deref().unwrap_or("[…]");
    let at = decision.at.as_deref().map(str::to_owned);
    show(decision.kind.as_str(), &decision.name, args, at)
}

pub(super) fn show_spec(spec: &CallSpec) -> CallText {
    show(spec.kind().as_str(), spec.name, &spec.args, Some(spec.at.to_string()))
}
