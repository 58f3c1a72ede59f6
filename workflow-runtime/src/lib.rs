//! Durable workflows as ordinary async Rust: annotate functions, and a process
//! that is killed anywhere goes on after its last checkpoint. One library, one
//! database, no server.
//!
//! Annotate what has side effects with `#[step]` and what directs it with
//! `#[workflow]`. The runtime records each step's result; after a crash the
//! workflow is replayed from these records, and no recorded step runs again.
//!
//! ```standalone_crate
//! use workflow_runtime::{Result, Runtime, step, workflow};
//!
//! #[step(retry(attempts = 5, first = "200ms"), timeout = "10s")]
//! async fn charge(order: u32, cents: u64) -> Result<String> {
//!     // Give the key to the payment service: it acts once per key.
//!     Ok(format!("order {order}: {cents} cents, key {}", step::idempotency_key()))
//! }
//!
//! #[workflow]
//! async fn checkout(order: u32) -> Result<String> {
//!     let receipt = charge(order, 4_200).await?;
//!     Ok(receipt)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let folder = tempfile::tempdir()?;
//! # let url = format!("sqlite://{}", folder.path().join("shop.db").display());
//! let runtime = Runtime::builder(url).build().await?;
//! let run = runtime.start(checkout(7).id("order-7")).await?;
//! assert!(run.result().await?.starts_with("order 7: 4200 cents"));
//! runtime.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! 1. An acknowledged start runs to an end, or is visibly blocked with the
//!    reason.
//! 2. A workflow's history is linear and only grows; an acknowledged event is
//!    durable (by default across power loss).
//! 3. A step body runs at least once; exactly one result is ever used; no later
//!    step starts before that result is durable. Its idempotency key is the
//!    same in every attempt and every life.
//! 4. A timer fires exactly once in the history.
//! 5. Workflow code may run many times and sees the same results in the same
//!    order each time.
//! 6. Duplicate execution of a step body is possible only when a process died
//!    before its checkpoint.
//! 7. A cancellation that was accepted is delivered once, and the run does not
//!    complete without it.
//! 8. A signal, request or reply that was accepted is taken once, or is there
//!    for people; a child is started once, and its end reaches its parent once.
//!
//! [`docs::durability`] and [`docs::determinism`] say what that means for code,
//! [`docs::communication`] how workflows talk.
//!
//! # Features
//!
//! | feature | |
//! |---|---|
//! | `sqlite` (default) | the embedded store, `Runtime::builder("sqlite://file.db")` |
//! | `futures` (default) | workflows await the combinators of `futures`; `workflow::map` |
//! | `postgres` | many workers on one database, `Runtime::builder("postgres://..")` |
//! | `testing` | [`testing`]: the test kit |
//! | `sanitize` | tests see what the functions that a workflow calls read |
//! | `proptest` | plans of tests as a `proptest` strategy |
//!
//! `memory:` works without any.

// The tests of the crate use the macros as users do.
#[cfg(test)]
extern crate self as workflow_runtime;

mod call;
mod chance;
pub mod check;
mod client;
mod clock;
mod codec;
mod durable;
mod error;
mod inbox;
pub mod lints;
mod message;
mod model;
mod panics;
mod registry;
mod runtime;
mod state;
pub mod step;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod turn;
mod worker;
pub mod workflow;

#[doc(hidden)]
pub mod __private;

pub mod docs;

pub use call::{
    Call, Definer, Definition, Direct, Failing, Outcome, Step, Storable, StorableError, Workflow,
};
pub use client::{
    Asking, Client, CommandOutcome, Commanding, Export, Filter, Handle, Health, Page, RunResult,
    Running, Sending, Starting, Trouble, Watch,
};
pub use clock::Timestamp;
pub use codec::Codec;
pub use durable::{DurableFuture, DurableStream};
pub use error::{BoxError, Cancelled, Error, ErrorKind, Failure, FailureKind, Result};
pub use message::{Request, Signal};
pub use model::{
    Blocked, BlockedKind, CallText, ComparedCall, DeadLetter, History, HistoryEvent, Mismatch,
    MismatchCause, RetryPolicy, RunSummary, Status,
};
pub use runtime::{Builder, Durability, Runtime, check_command};
pub use uuid::Uuid;
pub use workflow::{Asked, Child, OnParentEnd};

/// Makes an `async fn` a step: it runs once, and its result is recorded.
///
/// What stands in its place is a function of the same name and arguments that
/// makes a [`Call`]. Awaited in a workflow, the call runs the body and is a
/// checkpoint; anywhere else it is an error that says so.
///
/// ```standalone_crate
/// # use workflow_runtime::{Result, step};
/// # struct Gateway;
/// # impl Gateway { async fn charge(&self, _: u64, _: String) -> std::io::Result<u32> { Ok(1) } }
/// #[step(retry(attempts = 5, first = "200ms", max = "30s"), timeout = "10s")]
/// async fn charge(#[state] gateway: &Gateway, cents: u64) -> Result<u32> {
///     Ok(gateway.charge(cents, step::idempotency_key()).await?)
/// }
/// ```
///
/// # The function
///
/// It is `async`, free-standing and not generic, takes up to 12 owned arguments
/// that serde can store, and returns a `Result`. Parameters marked `#[state]`
/// are references to what the process holds ([`Builder::state`]) and no part of
/// the call. The future must be `Send`.
///
/// # Arguments
///
/// | | |
/// |---|---|
/// | `name = ".."` | the name in the history; default: the function's |
/// | `was = ".."`, `was = ["..", ".."]` | names it had before |
/// | `retry(attempts = n, ..)` | attempts in all; without `retry`, one |
/// | `retry(.., first = "200ms")` | wait after the first failed attempt; default 200 ms |
/// | `retry(.., max = "30s")` | longest wait; default 30 s |
/// | `retry(.., factor = 2)` | each wait is so many times the one before; default 2 |
/// | `retry(.., jitter = 0.2)` | part of each wait that chance takes away; default 0.2 |
/// | `retry(.., if = path)` | `fn(&E) -> bool`: whether an error is worth another attempt |
/// | `timeout = "10s"` | bound of each attempt; default: none |
/// | `semantics = at_most_once` | an attempt that a crash cuts short is not repeated: the workflow gets a [`FailureKind::Interrupted`]. Not with `retry` |
/// | `crate = path` | where this crate is, if it was renamed |
///
/// Durations are a number and `ms`, `s`, `m`, `h` or `d`.
///
/// # Guarantees
///
/// The body runs at least once, and exactly one result is ever used. It is
/// repeated only if it failed and `retry` allows it, or if the process died
/// before the result was recorded. A panic and a timeout are failed attempts.
/// The count of attempts goes on across restarts. A result that cannot be
/// stored is a recorded failure, not a repetition.
pub use workflow_macros::step;

/// Makes an `async fn` a workflow: code that directs steps and survives
/// restarts.
///
/// What stands in its place is a function of the same name and arguments that
/// makes a [`Call`], to be given to [`Runtime::start`].
///
/// ```
/// # use workflow_runtime::{Result, step, workflow};
/// # use std::time::Duration;
/// # #[step] async fn ship(order: u32) -> Result<()> { Ok(()) }
/// #[workflow]
/// async fn fulfil(order: u32) -> Result<()> {
///     workflow::sleep(Duration::from_secs(3_600)).await;
///     ship(order).await
/// }
/// ```
///
/// # The function
///
/// It is `async`, free-standing and not generic, takes up to 12 owned arguments
/// that serde can store, and returns a `Result`. Its future need not be `Send`.
/// It may depend on its arguments and on what it awaits, and on nothing else:
/// see [`docs::determinism`]. What it awaits is a [`DurableFuture`]; the compiler
/// refuses any other.
///
/// # Arguments
///
/// | | |
/// |---|---|
/// | `name = ".."` | the name in the store; default: the function's. Unique in a program |
/// | `was = ".."`, `was = ["..", ".."]` | names it had before: their runs go on |
/// | `version = 2` | another workflow for the store, which calls it `name@2`: runs of version 1 go on with the function that has no `version`, kept beside it, or wait for it. `was = "name"` takes them over |
/// | `on_mismatch = fail` | a run whose history this code does not repeat ends with [`FailureKind::Mismatch`]; `restart`: begins anew; default: `block` |
/// | `allow(WF008, reason = "..")` | what the [checks](docs::checks) let pass in it |
/// | `crate = path` | where this crate is, if it was renamed |
///
/// # A contract
///
/// Without a body it declares what another program implements: the same calls,
/// handles, signals and children, and nothing to link but the types. Both share a
/// crate with the declaration, or only its name and its arguments, by position.
///
/// ```
/// use workflow_runtime::{Client, Result, workflow};
///
/// #[workflow]
/// async fn ship(order: u32) -> Result<String>;
///
/// #[workflow]
/// async fn fulfil_order(order: u32) -> Result<String> {
///     // A child that another service runs.
///     ship(order).await
/// }
///
/// # async fn example(client: Client) -> Result<()> {
/// println!("{}", client.run(ship(7).id("order-7")).await?);
/// # Ok(())
/// # }
/// ```
///
/// A run of it waits in the database until a worker that has the body takes it. On
/// one SQLite file there is one worker: there a declaration serves clients.
///
/// # Guarantees
///
/// The code may run many times and sees the same results in the same order each
/// time. A panic is no outcome: the run is [blocked](Status::Blocked) with a
/// report until a build that can continue it starts.
pub use workflow_macros::workflow;

/// Makes a struct or an enum a [`Signal`]: a message to a run.
///
/// ```
/// use workflow_runtime::{Result, signal, workflow};
///
/// #[signal]
/// struct Approval {
///     by: String,
/// }
///
/// #[workflow]
/// async fn holiday(days: u32) -> Result<String> {
///     let Approval { by } = workflow::receive::<Approval>().await;
///     Ok(format!("{days} days, approved by {by}"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// # let runtime = workflow_runtime::Runtime::builder("memory:").build().await?;
/// let run = runtime.start(holiday(5).id("holiday-7")).await?;
/// run.send(Approval { by: "Ada".to_owned() }).await?;
/// assert_eq!(run.result().await?, "5 days, approved by Ada");
/// # runtime.shutdown().await?;
/// # Ok(())
/// # }
/// ```
///
/// It derives serde's `Serialize` and `Deserialize`, unless a `derive` below it
/// does: put the attribute above yours.
///
/// # Arguments
///
/// | | |
/// |---|---|
/// | `name = ".."` | the name under which it is stored; default: the type's |
/// | `crate = path` | where this crate is, if it was renamed |
pub use workflow_macros::signal;

/// Makes a struct or an enum a [`Request`]: a message to a run whose sender waits
/// for a reply.
///
/// ```
/// use workflow_runtime::request;
///
/// #[request(reply = u64, validate = is_positive)]
/// struct Deposit {
///     cents: i64,
/// }
///
/// fn is_positive(deposit: &Deposit) -> Result<(), String> {
///     if deposit.cents > 0 { Ok(()) } else { Err("nothing to deposit".to_owned()) }
/// }
/// ```
///
/// It derives serde's `Serialize` and `Deserialize`, unless a `derive` below it
/// does: put the attribute above yours. The type of the reply does it itself.
///
/// # Arguments
///
/// | | |
/// |---|---|
/// | `reply = Type` | what the sender gets |
/// | `validate = path` | `fn(&Self) -> Result<(), String>`: what is refused before it is sent, with the reason |
/// | `name = ".."` | the name under which it is stored; default: the type's |
/// | `crate = path` | where this crate is, if it was renamed |
pub use workflow_macros::request;

/// Makes an `async fn` one that workflows may await: a helper of your own.
///
/// ```
/// # use workflow_runtime::{Result, durable, step, workflow};
/// # #[step] async fn reserve(item: String) -> Result<u64> { Ok(1) }
/// # #[step] async fn charge(cents: u64) -> Result<()> { Ok(()) }
/// struct Cart {
///     items: Vec<String>,
///     cents: u64,
/// }
///
/// impl Cart {
///     #[durable]
///     async fn buy(&mut self, discount: impl Fn(u64) -> u64) -> Result<()> {
///         for item in self.items.drain(..) {
///             self.cents += reserve(item).await?;
///         }
///         charge(discount(self.cents)).await
///     }
/// }
///
/// #[workflow]
/// async fn buy_all(items: Vec<String>) -> Result<()> {
///     let mut cart = Cart { items, cents: 0 };
///     cart.buy(|cents| cents * 9 / 10).await
/// }
/// ```
///
/// What stands in its place is a function that returns `impl
/// DurableFuture<Output = T>`; its awaits are checked as those of a workflow.
/// Nothing is recorded for it: the steps it awaits are steps of the workflow.
///
/// # The function
///
/// It is `async`, and whatever else an `async fn` can be: generic, a method,
/// with borrowed arguments, patterns and `impl Trait`. Its future is `Send` if
/// what it holds is. In a trait `#[durable] async fn f(&self) -> T;` declares a
/// method that returns a durable future; `fn f(&self) -> impl
/// DurableFuture<Output = T>` is the same. Attributes are kept.
/// `#[tracing::instrument]` goes above it.
///
/// A function that awaits itself boxes the call: `Box::pin(walk(node)).await`.
///
/// # Arguments
///
/// | | |
/// |---|---|
/// | `crate = path` | where this crate is, if it was renamed |
pub use workflow_macros::durable;

/// Makes an `async fn` a test in a world of its own: virtual time, the store in
/// memory, and everything checked that can be checked without a word of yours.
/// Feature `testing`. [The guide](docs::testing).
///
/// ```
/// # use workflow_runtime::{Result, step, workflow};
/// use std::time::Duration;
/// use workflow_runtime::testing::Sim;
///
/// # #[step] async fn remind(who: String) -> Result<()> { Ok(()) }
/// #[workflow]
/// async fn remind_later(who: String) -> Result<()> {
///     workflow::sleep(Duration::from_secs(30 * 86_400)).await;
///     remind(who).await
/// }
///
/// #[workflow_runtime::test]
/// async fn reminds_after_thirty_days(sim: Sim) {
///     sim.mock(remind, |_who| Ok(()));
///     let run = sim.start(remind_later("Ada".to_owned())).await;
///     run.result().await.unwrap();
///     assert_eq!(sim.calls(remind)[0].args, "Ada");
/// }
/// ```
///
/// The function is called once for each schedule: it builds what it needs.
///
/// # Arguments
///
/// | | |
/// |---|---|
/// | `crash = everywhere` | once more for each point where a process can end |
/// | `result = may_differ` | a crash may change results |
/// | `schedules = 1000` | in so many random orders of events |
/// | `schedules = exhaustive(20_000)` | in all orders, up to so many |
/// | `faults = [commit_error, reply_lost, slow_commit, zombie]` | what may befall commits in random orders |
/// | `seed = 7` | of random orders; default 0 |
/// | `record = "name"` | writes `tests/histories/name.json` if it is not there |
/// | `store = sqlite` | on a temporary SQLite file |
/// | `crate = path` | where this crate is, if it was renamed |
#[cfg(feature = "testing")]
pub use workflow_macros::test;
