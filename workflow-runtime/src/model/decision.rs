//! What a turn decided, as it is recorded and compared.

use std::panic::Location;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::CallId;

/// Arguments longer than this are not repeated in the history; their hash is.
const MAX_ARGS: usize = 4096;

/// What kind of call a workflow made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CallKind {
    Step,
    Timer,
    /// A signal is waited for.
    Receive,
    /// Another workflow is run.
    Child,
    /// A signal is sent.
    Send,
    /// A request is sent, and its reply waited for.
    Ask,
    /// A request is answered.
    Reply,
}

impl CallKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Timer => "timer",
            Self::Receive => "receive",
            Self::Child => "child",
            Self::Send => "send",
            Self::Ask => "ask",
            Self::Reply => "reply",
        }
    }
}

/// One call that a turn made: the fingerprint that a replay must repeat.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Decision {
    pub(crate) call: CallId,
    pub(crate) kind: CallKind,
    pub(crate) name: Arc<str>,
    /// First 64 bits of SHA-256 over the canonical arguments. None: they were
    /// taken out, and are not compared.
    pub(crate) hash: Option<u64>,
    /// The arguments as JSON; absent when long. For people, never compared.
    pub(crate) args: Option<Arc<str>>,
    /// `file:line:column` in the code that made it. For people, never compared.
    pub(crate) at: Option<Arc<str>>,
}

/// Everything one turn decided.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Decisions {
    /// In order.
    pub(crate) calls: Vec<Decision>,
    /// Patches that it found to be new: from here on they are in force.
    pub(crate) patched: Vec<Arc<str>>,
    /// The build that decides from here on, where it is another one.
    pub(crate) build: Option<Arc<str>>,
}

/// As stored, in one list:
/// `{"call":1,"step":"charge","hash":"00c0ffee00c0ffee","at":"src/shop.rs:31:5","args":[250]}`,
/// `{"patched":"audit"}`, `{"build":"1f3c9ab"}`.
#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(default)]
    call: Option<u32>,
    #[serde(default)]
    step: Option<String>,
    #[serde(default)]
    timer: Option<String>,
    #[serde(default)]
    receive: Option<String>,
    #[serde(default)]
    child: Option<String>,
    #[serde(default)]
    send: Option<String>,
    #[serde(default)]
    ask: Option<String>,
    #[serde(default)]
    reply: Option<String>,
    #[serde(default)]
    hash: Option<String>,
    #[serde(default)]
    at: Option<String>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
    #[serde(default)]
    patched: Option<String>,
    #[serde(default)]
    build: Option<String>,
}

impl Decision {
    /// Appends the stored form to `to`; `args` is JSON.
    pub(crate) fn write(to: &mut String, call: CallId, kind: CallKind, name: &str, args: Args<'_>) {
        use std::fmt::Write as _;
        // Names are checked by the macros and by `sleep`: writing a quoted
        // identifier needs no escape, any other name goes through serde.
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./:".contains(&b));
        let quoted = if plain { None } else { serde_json::to_string(name).ok() };
        let written = match quoted {
            Some(quoted) => write!(to, "{{\"call\":{call},\"{}\":{quoted}", kind.as_str()),
            None => write!(to, "{{\"call\":{call},\"{}\":\"{name}\"", kind.as_str()),
        };
        let hashed = write!(to, ",\"hash\":\"{:016x}\"", args.hash);
        debug_assert!(written.is_ok() && hashed.is_ok(), "writing to a string cannot fail");
        if let Some(at) = args.at {
            to.push_str(",\"at\":\"");
            write_path(to, at.file());
            let placed = write!(to, ":{}:{}\"", at.line(), at.column());
            debug_assert!(placed.is_ok(), "writing to a string cannot fail");
        }
        if args.text.len() <= MAX_ARGS {
            to.push_str(",\"args\":");
            to.push_str(args.text);
        }
        to.push('}');
    }

    fn from_stored(stored: Stored<'_>) -> Result<Self, String> {
        let Some(call) = stored.call else { return Err("a call has no number".to_owned()) };
        let kinds = [
            (CallKind::Step, stored.step),
            (CallKind::Timer, stored.timer),
            (CallKind::Receive, stored.receive),
            (CallKind::Child, stored.child),
            (CallKind::Send, stored.send),
            (CallKind::Ask, stored.ask),
            (CallKind::Reply, stored.reply),
        ];
        let mut named = kinds.into_iter().filter_map(|(kind, name)| Some((kind, name?)));
        let (Some((kind, name)), None) = (named.next(), named.next()) else {
            return Err(format!("call {call} is of no known kind"));
        };
        let hash = stored.hash.map(|hash| {
            u64::from_str_radix(&hash, 16)
                .map_err(|_| format!("call {call} has no hash but `{hash}`"))
        });
        let hash = hash.transpose()?;
        let args = stored.args.map(|raw| Arc::from(raw.get()));
        Ok(Self {
            call: CallId(call),
            kind,
            name: name.into(),
            hash,
            args,
            at: stored.at.map(Arc::from),
        })
    }
}

impl Decisions {
    /// Appends what is no call.
    pub(crate) fn write_note(to: &mut String, key: &str, text: &str) {
        to.push_str("{\"");
        to.push_str(key);
        to.push_str("\":");
        write_text(to, text);
        to.push('}');
    }

    /// Reads what [`Decision::write`] and [`Self::write_note`] wrote, as a JSON
    /// list.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let stored: Vec<Stored<'_>> =
            serde_json::from_str(text).map_err(|error| format!("unreadable decisions: {error}"))?;
        let mut all = Self::default();
        for mut stored in stored {
            match (stored.patched.take(), stored.build.take()) {
                (Some(id), _) => all.patched.push(id.into()),
                (None, Some(build)) => all.build = Some(build.into()),
                (None, None) => all.calls.push(Decision::from_stored(stored)?),
            }
        }
        Ok(all)
    }
}

fn write_text(to: &mut String, text: &str) {
    to.push_str(&serde_json::Value::from(text).to_string());
}

/// A path within quotes. Each decision has one: it is copied as it is unless it
/// is of Windows, with backslashes.
fn write_path(to: &mut String, path: &str) {
    let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if path.bytes().all(plain) {
        return to.push_str(path);
    }
    let quoted = serde_json::Value::from(path).to_string();
    to.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
}

/// Arguments of a call, for [`Decision::write`].
#[derive(Clone, Copy)]
pub(crate) struct Args<'a> {
    pub(crate) text: &'a str,
    pub(crate) hash: u64,
    pub(crate) at: Option<&'static Location<'static>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(name: &str, text: &str) -> Decision {
        let mut stored = String::from("[");
        let args = Args { text, hash: 0xc0_ffee, at: None };
        Decision::write(&mut stored, CallId(3), CallKind::Step, name, args);
        stored.push(']');
        Decisions::read(&stored).unwrap().calls.remove(0)
    }

    #[test]
    fn a_path_of_any_system_is_read_back() {
        for path in ["src/main.rs", "C:\\shop\\src\\main.rs", "a \"quoted\" folder/größe.rs", ""]
        {
            let mut text = "\"".to_owned();
            write_path(&mut text, path);
            text.push('"');
            assert_eq!(serde_json::from_str::<String>(&text).unwrap(), path);
        }
    }

    #[test]
    fn a_decision_comes_back_as_it_was_written() {
        for name in ["charge", "größe", "with \"quotes\" and \\", ""] {
            let read = round_trip(name, r#"[{"a":1},"b"]"#);
            assert_eq!((&*read.name, read.call, read.kind), (name, CallId(3), CallKind::Step));
            assert_eq!(read.hash, Some(0xc0_ffee));
            assert_eq!(read.args.as_deref(), Some(r#"[{"a":1},"b"]"#));
        }
    }

    #[test]
    fn long_arguments_are_left_out() {
        let long = format!("[\"{}\"]", "x".repeat(MAX_ARGS));
        assert_eq!(round_trip("charge", &long).args, None);
    }

    #[test]
    fn damage_is_an_error() {
        for text in ["", "[", "[{}]", r#"[{"call":0,"step":"a","hash":"zz"}]"#] {
            assert!(Decisions::read(text).is_err(), "{text}");
        }
    }
}
