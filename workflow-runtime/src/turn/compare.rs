//! Compares what a turn decides now with what it decided when it first ran.

use std::fmt;

use super::table::{CallSpec, Slot};
use crate::model::{Decision, Decisions};
use crate::text::cut;

/// A turn that decides something else than it did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mismatch {
    /// The event whose turn it is; 0 for the start.
    seq: u32,
    /// What that event was.
    event: String,
    lines: Vec<Line>,
    cause: Cause,
}

/// One call, recorded and now.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Line {
    number: u32,
    recorded: Option<String>,
    now: Option<String>,
    place: Option<String>,
    same: bool,
}

/// The likely cause, told from the two lists.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Cause {
    Inserted(String),
    Removed(String),
    Reordered,
    Arguments(String),
    Replaced {
        was: String,
        is: String,
    },
    ReturnedEarly,
    NotAwaited,
    #[cfg(feature = "testing")]
    OtherResult {
        was: String,
        is: Option<String>,
    },
}

/// Checks that `now`, the calls that the turn of event `seq` made, are those
/// that `recorded` says it made.
pub(super) fn compare(
    seq: u32,
    event: &str,
    recorded: &Decisions,
    now: &[Slot],
    first: u32,
) -> Result<(), Box<Mismatch>> {
    let same = recorded.len() == now.len()
        && recorded.iter().zip(now).zip(first..).all(|((decision, slot), number)| {
            decision.call.0 == number && is_same(decision, &slot.spec)
        });
    if same {
        return Ok(());
    }
    let specs: Vec<&CallSpec> = now.iter().map(|slot| &slot.spec).collect();
    let longest = recorded.len().max(specs.len());
    let lines = (0..longest).zip(first..).map(|(n, number)| {
        let (recorded, now) = (recorded.get(n), specs.get(n).copied());
        Line {
            number,
            recorded: recorded.map(show_decision),
            now: now.map(show_spec),
            place: now.map(|spec| spec.at.to_string()),
            same: recorded.zip(now).is_some_and(|(a, b)| is_same(a, b)),
        }
    });
    let lines = lines.collect();
    Err(Box::new(Mismatch { seq, event: event.to_owned(), lines, cause: cause(recorded, &specs) }))
}

/// The outcome of event `seq` comes for a call that is dropped by now.
pub(super) fn not_awaited(seq: u32, event: &str) -> Box<Mismatch> {
    let cause = Cause::NotAwaited;
    Box::new(Mismatch { seq, event: event.to_owned(), lines: Vec::new(), cause })
}

/// The workflow returned in the turn of event `seq`; when that was recorded it
/// went on to wait.
pub(super) fn returned_early(seq: u32, event: &str) -> Box<Mismatch> {
    let cause = Cause::ReturnedEarly;
    Box::new(Mismatch { seq, event: event.to_owned(), lines: Vec::new(), cause })
}

/// The workflow made the same calls and returns something else, or nothing.
#[cfg(feature = "testing")]
pub(super) fn other_result(seq: u32, was: &str, is: Option<&str>) -> Box<Mismatch> {
    let cut = |text| cut(text, 4 * SHOWN).to_string();
    let cause = Cause::OtherResult { was: cut(was), is: is.map(cut) };
    Box::new(Mismatch { seq, event: "the last".to_owned(), lines: Vec::new(), cause })
}

fn is_same(recorded: &Decision, now: &CallSpec) -> bool {
    is_same_function(recorded, now) && recorded.hash == now.hash
}

fn is_same_function(recorded: &Decision, now: &CallSpec) -> bool {
    recorded.kind == now.kind() && now.is_called(&recorded.name)
}

fn cause(recorded: &Decisions, now: &[&CallSpec]) -> Cause {
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

fn show(kind: &str, name: &str, args: &str) -> String {
    let inner = args.strip_prefix('[').and_then(|args| args.strip_suffix(']')).unwrap_or(args);
    format!("{kind} {name}({})", cut(inner, SHOWN))
}

fn show_decision(decision: &Decision) -> String {
    show(decision.kind.as_str(), &decision.name, decision.args.as_deref().unwrap_or("[…]"))
}

fn show_spec(spec: &CallSpec) -> String {
    show(spec.kind().as_str(), spec.name, &spec.args)
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "its code and its history disagree")?;
        match self.seq {
            0 => writeln!(f, "  in its first turn")?,
            seq => writeln!(f, "  after event {seq} ({})", self.event)?,
        }
        let nothing = "(nothing)";
        let width = |line: &Line| line.recorded.as_deref().unwrap_or(nothing).chars().count();
        let wide = self.lines.iter().map(width).max().unwrap_or(0).max("recorded".len());
        if !self.lines.is_empty() {
            writeln!(f, "\n               {:<wide$}   this code", "recorded")?;
        }
        for line in &self.lines {
            let mark = if line.same { ' ' } else { '!' };
            let recorded = line.recorded.as_deref().unwrap_or(nothing);
            let now = line.now.as_deref().unwrap_or(nothing);
            write!(f, "    {mark} call {:<3} {recorded:<wide$}   {now}", line.number)?;
            match &line.place {
                Some(place) => writeln!(f, "   {place}")?,
                None => writeln!(f)?,
            }
        }
        write!(f, "\n  likely cause: {}", self.cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inserted(name) => {
                write!(f, "`{name}` was inserted while this run was in flight")?;
            }
            Self::Removed(name) => write!(f, "`{name}` was removed while this run was in flight")?,
            Self::Reordered => f.write_str(
                "the same calls in another order: code was moved, or the order comes from a hash \
                 map, a clock or chance",
            )?,
            Self::Arguments(name) => write!(
                f,
                "`{name}` is called with other arguments: code was changed, or an argument comes \
                 from a hash map, a clock or chance"
            )?,
            Self::Replaced { was, is } => write!(
                f,
                "`{is}` stands where `{was}` was: it was inserted before it, or took its place"
            )?,
            Self::ReturnedEarly => {
                f.write_str("the workflow returns here; when this was recorded it went on")?;
            }
            #[cfg(feature = "testing")]
            Self::OtherResult { was, is } => {
                let is = is.as_deref().unwrap_or("nothing");
                return write!(
                    f,
                    "the result depends on something that is not in the history: a static, a \
                     hash map, a clock or chance. It was {was}, and a replay gives {is}"
                );
            }
            Self::NotAwaited => {
                f.write_str("the call is dropped by now; when this was recorded it was awaited")?;
            }
        }
        f.write_str(
            "\n  what to do: finish this run on the build that began it, or bring the old ",
        )?;
        f.write_str("order of calls back.\n  Nothing was executed.")
    }
}
