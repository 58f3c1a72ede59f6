//! Catches panics of user code with the place where they happened.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static SILENT: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What a panic said, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Panic {
    pub(crate) message: String,
    /// `file:line:column`, if the hook is installed.
    pub(crate) place: Option<String>,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)?;
        match &self.place {
            Some(place) => write!(f, " (at {place})"),
            None => Ok(()),
        }
    }
}

/// Makes places known: puts a hook before the process's panic hook, which is
/// called as before. Once per process.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            // `try_with`: a thread that ends has no thread-locals any more.
            let catching = CATCHING.try_with(Cell::get).unwrap_or(false);
            if catching {
                let place = info.location().map(ToString::to_string);
                let kept = PLACE.try_with(|kept| kept.replace(place));
                drop(kept);
            }
            if !SILENT.try_with(Cell::get).unwrap_or(false) {
                previous(info);
            }
        }));
    });
}

/// Panics on this thread are not printed any more, or are again.
#[cfg(feature = "testing")]
pub(crate) fn silence(silent: bool) {
    SILENT.set(silent);
}

/// Runs `body`; a panic is a value.
pub(crate) fn catch<R>(body: impl FnOnce() -> R) -> Result<R, Panic> {
    let outer = CATCHING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(body));
    CATCHING.set(outer);
    result.map_err(|payload| Panic {
        message: text(&*payload),
        place: PLACE.with_borrow_mut(Option::take),
    })
}

fn text(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        return (*text).to_owned();
    }
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| "with a value".to_owned())
}
