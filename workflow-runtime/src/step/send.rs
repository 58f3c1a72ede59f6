//! Signals of steps.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::context::count_send;
use super::{current, key_of};
use crate::error::{Failure, FailureKind, Result};
use crate::message::{Signal, encode_signal};
use crate::model::{Undelivered, check_id};

/// What a step sends.
pub(crate) struct Letter {
    pub(crate) message: Arc<str>,
    pub(crate) to: Arc<str>,
    pub(crate) name: &'static str,
    /// JSON.
    pub(crate) body: Arc<str>,
}

pub(crate) type Posted = Pin<Box<dyn Future<Output = Result<(), Undelivered>> + Send>>;

/// Takes the letters of steps.
pub(crate) trait Mailer: Send + Sync + 'static {
    /// Delivers it, through faults of the store.
    fn post(self: Arc<Self>, letter: Letter) -> Posted;
}

/// Sends a signal to a run, by its workflow id.
///
/// ```
/// use workflow_runtime::{Result, signal, step};
///
/// #[signal]
/// struct Scanned {
///     parcel: u32,
/// }
///
/// #[step]
/// async fn scan(parcels: Vec<u32>) -> Result<()> {
///     for parcel in parcels {
///         step::send("warehouse", Scanned { parcel }).await?;
///     }
///     Ok(())
/// }
/// ```
///
/// # Guarantees
///
/// It is there when this returns, before the step has its result. The first, second,
/// third one that an attempt sends has the same id in every attempt and every
/// life: it is there once, as the first attempt sent it.
///
/// # Errors
///
/// A failure of kind [`Undelivered`](FailureKind::Undelivered): the run has ended,
/// or its mailbox is full. [`Unstorable`](FailureKind::Unstorable): the signal is too
/// large, JSON cannot carry it, or the id is not one of 1 to 512 bytes.
///
/// # Cancel safety
///
/// Dropped once it was polled, it may have been sent.
///
/// # Panics
///
/// Outside a step, and in tasks that a step spawns. In
/// [`Call::direct`](crate::Call::direct) nothing is sent.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "the signal goes")]
pub fn send<S: Signal>(
    to: impl Into<String>,
    signal: S,
) -> impl Future<Output = Result<()>> + Send {
    let context = current("send");
    let (to, name): (Arc<str>, _) = (to.into().into(), S::NAME);
    let unstorable = |message: String| Failure::of_kind(FailureKind::Unstorable, message);
    // Encoded before the first wait: it need not be `Sync`.
    let body = encode_signal(&signal, context.payload_limit).map_err(unstorable);
    let body = body.and_then(|body| check_id(&to).map(|()| body).map_err(unstorable));
    let message = format!("{}-{}", key_of(&context), count_send()).into();
    async move {
        let letter = Letter { message, to: Arc::clone(&to), name, body: body? };
        let Some(mailer) = context.mailer else { return Ok(()) };
        mailer
            .post(letter)
            .await
            .map_err(|why| Failure::of_kind(FailureKind::Undelivered, why.describe(name, &to)))
    }
}
