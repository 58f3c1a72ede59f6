//! Timers that survive restarts.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::DurableFuture;
use crate::clock::Timestamp;
use crate::codec::fingerprint;
use crate::turn::{CallSpec, Place, Polled, Table, Target, drop_call, poll_call};

/// Waits that long. It starts when it is first polled, survives restarts, and
/// costs no memory while the workflow only waits.
///
/// ```
/// # use std::time::Duration;
/// use workflow_runtime::{Result, workflow};
///
/// #[workflow]
/// async fn remind() -> Result<()> {
///     workflow::sleep(Duration::from_secs(86_400)).await;
///     Ok(())
/// }
/// ```
///
/// # Panics
///
/// When awaited outside a workflow.
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep { until: Until::After(duration), place: Place::default(), at: Location::caller() }
}

/// Waits until that time; a time that is past is over at once.
///
/// # Panics
///
/// When awaited outside a workflow.
#[track_caller]
pub fn sleep_until(time: Timestamp) -> Sleep {
    Sleep { until: Until::At(time), place: Place::default(), at: Location::caller() }
}

/// A durable timer: see [`sleep`].
///
/// # Cancel safety
///
/// Dropped, it is over; another one starts anew.
#[derive(Debug)]
#[must_use = "a timer does nothing until it is awaited"]
pub struct Sleep {
    until: Until,
    place: Place,
    at: &'static Location<'static>,
}

#[derive(Clone, Copy, Debug)]
enum Until {
    After(Duration),
    At(Timestamp),
}

impl Until {
    fn spec(self, table: &Table, at: &'static Location<'static>) -> CallSpec {
        let (name, args, due) = match self {
            Self::After(duration) => {
                ("sleep", format!("[{}]", duration.as_millis()), table.now() + duration)
            }
            Self::At(time) => ("sleep_until", format!("[{}]", time.as_millis()), time),
        };
        let hash = fingerprint(&args);
        CallSpec { target: Target::Timer { due }, name, was: &[], args: args.into(), hash, at }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (until, at) = (self.until, self.at);
        match poll_call(&mut self.place, cx, |table| until.spec(table, at)) {
            Polled::Pending => Poll::Pending,
            Polled::Ready(_) => Poll::Ready(()),
            Polled::Outside => outside(at),
        }
    }
}

impl DurableFuture for Sleep {}

#[expect(clippy::panic, reason = "there is no error to return, and nothing may run unrecorded")]
fn outside(at: &Location<'_>) -> ! {
    panic!(
        "`workflow::sleep` at {at} was awaited outside its workflow: it works inside a \
         `#[workflow]` only, and not in a task that is spawned. In a step, use `tokio::time::sleep`"
    );
}

impl Drop for Sleep {
    fn drop(&mut self) {
        drop_call(self.place);
    }
}
