//! The first of several branches.

#[doc(hidden)]
pub use tokio::select as tokio_select;

/// Documented as `workflow::select!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __workflow_select {
    (biased; $($branches:tt)*) => {
        $crate::workflow::tokio_select! { biased; $($branches)* }
    };
    ($($branches:tt)*) => {
        $crate::workflow::tokio_select! { biased; $($branches)* }
    };
}

/// Awaits several branches, goes on with the first that is there, and drops the
/// others.
///
/// ```
/// # use std::time::Duration;
/// # use workflow_runtime::{Failure, Result, step, workflow};
/// # #[step] async fn ask(question: String) -> Result<bool> { Ok(true) }
/// # #[step] async fn remind() -> Result<()> { Ok(()) }
/// #[workflow]
/// async fn remind_daily(question: String, days: u64) -> Result<bool> {
///     let mut answer = ask(question);
///     let mut left = days;
///     loop {
///         workflow::select! {
///             approved = &mut answer => return approved,
///             () = workflow::sleep(Duration::from_secs(86_400)), if left > 0 => {
///                 left -= 1;
///                 remind().await?;
///             }
///             else => return Err(Failure::new("no answer")),
///         }
///     }
/// }
/// ```
///
/// It is `tokio::select!` with its branches polled from top to bottom, always:
/// if several are there in one moment, the upper one wins, in every replay.
/// Patterns, preconditions with `if`, `else` and handlers are tokio's. A crate
/// that uses it needs no tokio.
///
/// In workflow code each branch is a [`DurableFuture`](crate::DurableFuture). The
/// check knows this macro by its path: write `workflow::select!`, or begin the
/// bare `select!` with `biased;`.
///
/// # Cancel safety
///
/// A branch that loses is dropped: its step is stopped, its timer is over. To
/// keep one, make it before and give `&mut branch`.
#[doc(inline)]
pub use crate::__workflow_select as select;
