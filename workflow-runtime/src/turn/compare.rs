//! Compares what a turn decides now with what it decided when it first ran.

use super::table::{CallSpec, Slot};
use crate::model::{CallText, ComparedCall, Decision, Decisions, Mismatch, MismatchCause as Cause};
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
