//! Where code and history disagree, as data and for people.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A turn that decides something else than it did when it was recorded: both
/// sides, call by call, and what to do.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Mismatch {
    pub(crate) event: u32,
    pub(crate) event_text: String,
    pub(crate) calls: Vec<ComparedCall>,
    pub(crate) cause: MismatchCause,
    #[serde(default)]
    pub(crate) recorded_by: Option<String>,
}

/// One call of that turn, recorded and now.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ComparedCall {
    /// Its number, in the order of first polls from 0.
    pub number: u32,
    /// What the history has. None: nothing.
    pub recorded: Option<CallText>,
    /// What this code does. None: nothing.
    pub actual: Option<CallText>,
    /// Whether they agree.
    pub same: bool,
}

/// A call, for people.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct CallText {
    /// `step`, `timer`, `child`, `send`, `receive`, `ask` or `reply`.
    pub kind: String,
    /// Its stable name.
    pub name: String,
    /// Its arguments as JSON, cut where they are long.
    pub args: String,
    /// `file:line:column` in the code that made it.
    pub at: Option<String>,
}

/// The likely cause, told from both sides.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MismatchCause {
    /// A call that the history does not have was inserted.
    Inserted(String),
    /// A call of the history is gone.
    Removed(String),
    /// The same calls, in another order.
    Reordered,
    /// The same call with other arguments.
    Arguments(String),
    /// One call stands where another was.
    Replaced {
        /// The recorded one.
        was: String,
        /// The one that this code makes.
        is: String,
    },
    /// The workflow returns where it went on.
    ReturnedEarly,
    /// A call is dropped whose outcome was awaited.
    NotAwaited,
    /// Two replays of the same history by this code differ: the history has no
    /// part in it. What the second one did.
    NotDeterministic(String),
    /// The same calls, and another result of the workflow.
    OtherResult {
        /// The recorded one.
        was: String,
        /// What this code returns.
        is: Option<String>,
    },
}

impl Mismatch {
    /// The event in whose turn it is, from 1; 0 for the start.
    #[must_use]
    pub fn event(&self) -> u32 {
        self.event
    }

    /// The calls of that turn, recorded and now.
    #[must_use]
    pub fn calls(&self) -> &[ComparedCall] {
        &self.calls
    }

    /// The likely cause.
    #[must_use]
    pub fn cause(&self) -> &MismatchCause {
        &self.cause
    }

    /// The build that recorded the turn, if it said so.
    #[must_use]
    pub fn recorded_by(&self) -> Option<&str> {
        self.recorded_by.as_deref()
    }

    /// The change that lets runs of both kinds go on, as code.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match &self.cause {
            MismatchCause::Inserted(name) => {
                Some(format!("if workflow::patched(\"{name}\") {{ {}; }}", self.awaited(name)))
            }
            MismatchCause::Removed(name) => Some(format!(
                "if !workflow::patched(\"without-{name}\") {{ {}; }}",
                self.awaited(name)
            )),
            MismatchCause::Replaced { was, is } => Some(format!(
                "if workflow::patched(\"{is}\") {{ {}; }} else {{ {}; }}",
                self.awaited(is),
                self.awaited(was)
            )),
            MismatchCause::Arguments(name) => Some(format!(
                "if workflow::patched(\"{name}-2\") {{ {} }} else {{ {} }}",
                self.written(name, "..new.."),
                self.written(name, "..old..")
            )),
            MismatchCause::Reordered
            | MismatchCause::ReturnedEarly
            | MismatchCause::NotAwaited
            | MismatchCause::NotDeterministic(_)
            | MismatchCause::OtherResult { .. } => None,
        }
    }

    /// A call of that name, as it is awaited in a workflow.
    fn awaited(&self, name: &str) -> String {
        let call = self.written(name, "..");
        match self.kind(name) {
            Some("timer" | "receive") => format!("{call}.await"),
            Some("reply") => call,
            _ => format!("{call}.await?"),
        }
    }

    /// A call of that name, as it is made.
    fn written(&self, name: &str, args: &str) -> String {
        match self.kind(name) {
            Some("timer") => format!("workflow::{name}({args})"),
            Some(to @ ("send" | "ask")) => format!("workflow::{to}(.., {name} {{ {args} }})"),
            Some("receive") => format!("workflow::receive::<{name}>()"),
            Some("reply") => format!("asked.reply({args})"),
            _ => format!("{name}({args})"),
        }
    }

    fn kind(&self, name: &str) -> Option<&str> {
        let sides = self.calls.iter().flat_map(|call| [&call.recorded, &call.actual]);
        sides.flatten().find(|call| call.name == name).map(|call| &*call.kind)
    }
}

impl fmt::Display for CallText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}({})", self.kind, self.name, self.args)
    }
}

impl ComparedCall {
    /// The place now, and the one then if it was another.
    fn places(&self) -> String {
        let at = |call: &Option<CallText>| call.as_ref().and_then(|call| call.at.clone());
        match (at(&self.recorded), at(&self.actual)) {
            (Some(was), Some(is)) if was == is => is,
            (Some(was), Some(is)) => format!("{is} (was {was})"),
            (Some(was), None) => format!("was {was}"),
            (None, Some(is)) => is,
            (None, None) => String::new(),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "its code and its history disagree")?;
        match self.event {
            0 => write!(f, "  in its first turn")?,
            event => write!(f, "  after event {event} ({})", self.event_text)?,
        }
        match &self.recorded_by {
            Some(build) => writeln!(f, ", recorded by build {build}")?,
            None => writeln!(f)?,
        }
        let show = |call: &Option<CallText>| {
            call.as_ref().map_or_else(|| "(nothing)".to_owned(), ToString::to_string)
        };
        let width = |call: &ComparedCall| show(&call.recorded).chars().count();
        let wide = self.calls.iter().map(width).max().unwrap_or(0).max("recorded".len());
        if !self.calls.is_empty() {
            writeln!(f, "\n               {:<wide$}   this code", "recorded")?;
        }
        for call in &self.calls {
            let mark = if call.same { ' ' } else { '!' };
            let (recorded, actual) = (show(&call.recorded), show(&call.actual));
            let line = format!(
                "    {mark} call {:<3} {recorded:<wide$}   {actual}   {}",
                call.number,
                call.places()
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        write!(f, "\n  likely cause: {}", self.cause)?;
        if let MismatchCause::OtherResult { .. } = self.cause {
            return Ok(());
        }
        f.write_str("\n  what to do: ")?;
        match self.fix() {
            Some(fix) => {
                f.write_str("let the runs that were there first go on as they did:\n      ")?;
                f.write_str(&fix)?;
            }
            None => f.write_str("bring the old order of calls back,")?,
        }
        f.write_str("\n    or finish this run on the build that began it.\n  Nothing was executed.")
    }
}

impl fmt::Display for MismatchCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inserted(name) => {
                write!(f, "`{name}` was inserted while this run was in flight")
            }
            Self::Removed(name) => write!(f, "`{name}` was removed while this run was in flight"),
            Self::Reordered => f.write_str(
                "the same calls in another order: code was moved, or the order comes from a hash \
                 map, a clock or chance",
            ),
            Self::Arguments(name) => write!(
                f,
                "`{name}` is called with other arguments: code was changed, or an argument comes \
                 from a hash map, a clock or chance"
            ),
            Self::Replaced { was, is } => write!(
                f,
                "`{is}` stands where `{was}` was: it was inserted before it, or took its place"
            ),
            Self::ReturnedEarly => {
                f.write_str("the workflow returns here; when this was recorded it went on")
            }
            Self::NotAwaited => {
                f.write_str("the call is dropped by now; when this was recorded it was awaited")
            }
            Self::NotDeterministic(second) => write!(
                f,
                "this code is not deterministic: it comes from a hash map, a clock, chance or a \
                 static. Two replays of the same history differ; the second one: {second}"
            ),
            Self::OtherResult { was, is } => {
                let is = is.as_deref().unwrap_or("nothing");
                write!(
                    f,
                    "the result depends on something that is not in the history: a static, a \
                     hash map, a clock or chance. It was {was}, and a replay gives {is}"
                )
            }
        }
    }
}
