//! A call of a step or workflow as a value: typed data, and a future.

mod args;
mod child;
mod definition;
mod direct;
mod outcome;
mod returns;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

pub use args::{Arg, ArgsCodec, arg};
pub use child::{Child, start};
#[cfg(feature = "testing")]
pub(crate) use definition::mock_step;
pub(crate) use definition::unstorable;
pub use definition::{Definer, Definition, DefinitionKind, Step, StepBody, Workflow, WorkflowBody};
pub use definition::{begin_workflow, fail_step, run_step};
pub use direct::Direct;
pub use outcome::{Failing, Outcome, Storable, StorableError};
pub use returns::{Returns, returns};

use crate::codec::{Unstorable, fingerprint, within};
use crate::durable::DurableFuture;
use crate::error::{Failure, FailureKind};
use crate::model::{RetryPolicy, StepOutcome, check_id};
use crate::turn::{
    CallSpec, Fault, OnParentEnd, Overrides, Place, Polled, Table, Target, drop_call, poll_call,
    set_fault, with_table,
};

/// A call of a step or workflow, not made yet: what `charge(order)` gives.
///
/// * Awaited in a workflow, a step call runs the step and is a checkpoint.
/// * Awaited in a workflow, a workflow call runs a child: a run of its own, with a
///   history of its own. [`workflow::start`](crate::workflow::start) gives a handle
///   to it instead.
/// * Given to [`Runtime::start`](crate::Runtime::start), a workflow call
///   starts a run.
/// * [`direct`](Self::direct) runs the plain body of a step, for unit tests.
///
/// It is plain data: `Send`, `Unpin`, `Debug`, and `Clone` where its arguments
/// are. Nothing happens before it is awaited or started.
///
/// # Cancel safety
///
/// Dropped while it runs, its step is stopped and its result is no longer
/// used; side effects of the step may have happened. A child is cancelled, unless
/// it is to be [abandoned](OnParentEnd::Abandon).
#[must_use = "[WF012] a call does nothing until it is awaited in a workflow or given to a client"]
pub struct Call<D: Definition> {
    args: Option<D::Args>,
    options: Options,
    place: Place,
    at: &'static Location<'static>,
    definition: PhantomData<fn() -> D>,
}

/// What builder methods of a call set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) id: Option<Arc<str>>,
    pub(crate) meta: BTreeMap<String, String>,
    retry: Option<RetryPolicy>,
    timeout: Option<Duration>,
    on_parent_end: OnParentEnd,
}

impl<D: Definition> Unpin for Call<D> {}

impl<D: Definition> Call<D> {
    /// Generated functions make calls.
    #[doc(hidden)]
    pub fn new(args: D::Args, at: &'static Location<'static>) -> Self {
        let (options, place) = (Options::default(), Place::default());
        Self { args: Some(args), options, place, at, definition: PhantomData }
    }

    /// The arguments; none once it is awaited. `()`, the one argument, or a
    /// tuple.
    #[must_use]
    pub fn args(&self) -> Option<&D::Args> {
        self.args.as_ref()
    }

    pub(crate) fn into_parts(self) -> (Option<D::Args>, Options) {
        let mut call = self;
        (call.args.take(), std::mem::take(&mut call.options))
    }

    /// Bounds each attempt; instead of the `timeout` of `#[step]`.
    ///
    /// An attempt that takes longer is stopped and counts as failed.
    pub fn timeout(mut self, each: Duration) -> Self
    where
        D: Step,
    {
        self.options.timeout = Some(each);
        self
    }

    /// How often it is tried; instead of the `retry` of `#[step]`.
    pub fn retry(mut self, policy: RetryPolicy) -> Self
    where
        D: Step,
    {
        self.options.retry = Some(policy);
        self
    }

    /// The plain body, without a workflow and without a checkpoint: for unit
    /// tests of steps. `step::attempt()` is 1 in it.
    pub fn direct(self) -> Direct<D>
    where
        D: Step,
    {
        Direct::new(self.into_parts().0)
    }

    /// The name of the run: 1 to 512 bytes. The same id, workflow and
    /// arguments name the same run, however often it is started. Without one
    /// the run gets an id of its own.
    pub fn id(mut self, id: impl Into<String>) -> Self
    where
        D: Workflow,
    {
        self.options.id = Some(id.into().into());
        self
    }
}

impl<W: Workflow> Call<W> {
    /// What becomes of a child that runs when its parent ends. Without a word it is
    /// cancelled. Of no meaning for what a client starts.
    pub fn on_parent_end(mut self, what: OnParentEnd) -> Self {
        self.options.on_parent_end = what;
        self
    }

    /// Notes something about the run that is no argument: a tenant, a trace,
    /// who started it. [`step::meta`](crate::step::meta) and
    /// [`workflow::meta`](crate::workflow::meta) read it, lists of runs show it
    /// and can be asked for it. A key has letters, digits, `_`, `-` and `.`.
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.meta.insert(key.into(), value.into());
        self
    }
}

impl<D: Definition> Clone for Call<D>
where
    D::Args: Clone,
{
    /// A call that is not made yet, with the same arguments. A clone of a call
    /// that was awaited has none, and fails when it is awaited.
    fn clone(&self) -> Self {
        Self {
            args: self.args.clone(),
            options: self.options.clone(),
            place: Place::default(),
            at: self.at,
            definition: PhantomData,
        }
    }
}

impl<D: Definition> fmt::Debug for Call<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args = self.args.as_ref().and_then(|args| D::args().encode(args).ok());
        let args = args.as_deref().unwrap_or("[…]");
        let inner = args.strip_prefix('[').and_then(|args| args.strip_suffix(']')).unwrap_or(args);
        write!(f, "{}({inner})", D::NAME)
    }
}

impl<D: Definition> Drop for Call<D> {
    fn drop(&mut self) {
        drop_call(self.place);
    }
}

/// Made once, at the first poll.
fn spec<D: Definition>(
    args: Arc<str>,
    options: Options,
    at: &'static Location<'static>,
) -> impl FnOnce(&Table) -> CallSpec + use<D> {
    move |table| {
        let hash = fingerprint(&args);
        let (target, name, was) = match D::kind() {
            DefinitionKind::Step(definition) => {
                let Options { retry, timeout, .. } = options;
                let says = retry.is_some() || timeout.is_some();
                let overrides = says.then(|| Box::new(Overrides { retry, timeout }));
                let named = &definition.named;
                (Target::Step { definition: Some(definition), overrides }, named.name, named.was)
            }
            DefinitionKind::Workflow(named) => {
                (child::target(named.name, options, table), named.name, named.was)
            }
        };
        CallSpec { target, name, was, args, hash, at }
    }
}

impl<D: Definition> Call<D> {
    /// The arguments as JSON, within the limit of the run that polls.
    fn encode(&mut self, limit: usize) -> Result<Arc<str>, Failure> {
        let name = D::NAME;
        let Some(args) = self.args.take() else {
            let message = format!("`{name}`: a clone of a call that was awaited has no arguments");
            return Err(Failure::of_kind(FailureKind::OutsideWorkflow, message));
        };
        let encoded = D::args().encode(&args).and_then(|text| {
            within(text.len(), limit).map_err(|error| format!("the arguments: {error}"))?;
            self.options.id.as_deref().map_or(Ok(()), check_id)?;
            Ok(text)
        });
        match encoded {
            Ok(text) => Ok(text.into()),
            Err(error) => {
                let message = format!("`{name}` cannot be called: {error}");
                Err(Failure::of_kind(FailureKind::Unstorable, message))
            }
        }
    }

    fn outside(&self) -> Failure {
        let (name, at) = (D::NAME, self.at);
        let instead = match D::kind() {
            DefinitionKind::Step(_) => format!(
                "Await it in a `#[workflow]` and start that, or call the plain body: \
                 `{name}(..).direct().await`"
            ),
            DefinitionKind::Workflow(_) => format!(
                "Start it with `client.start({name}(..)).await`, or await it in a `#[workflow]`"
            ),
        };
        Failure::of_kind(
            FailureKind::OutsideWorkflow,
            format!(
                "[WF013] `{name}` at {at} was awaited outside its workflow, where nothing could record \
                 it: in a spawned task, in another step or in `main`. {instead}"
            ),
        )
    }

    /// The recorded outcome as the workflow gets it. None: it cannot be read,
    /// and the run is set aside.
    pub(crate) fn decode(outcome: StepOutcome) -> Option<D::Return> {
        let StepOutcome { text, value } = outcome;
        if let Some(value) = value.and_then(D::returns().unpack) {
            return Some(value);
        }
        match (D::returns().decode)(&text) {
            Ok(returned) => Some(returned),
            Err(error) => {
                let what = format!("the recorded result of `{}`", D::NAME);
                set_fault(Fault::Undecodable { what, error });
                None
            }
        }
    }
}

impl<D: Definition> Future for Call<D> {
    type Output = D::Return;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<D::Return> {
        let fail = |failure| Poll::Ready((D::returns().fail)(failure));
        let polled = match self.place {
            Place::Unpolled => {
                let asked = with_table(|table| (table.info().payload_limit, table.is_stopped()));
                let Some((limit, stopped)) = asked else { return fail(self.outside()) };
                if stopped {
                    return Poll::Pending;
                }
                let args = match self.encode(limit) {
                    Ok(args) => args,
                    Err(failure) => return fail(failure),
                };
                let (options, at) = (std::mem::take(&mut self.options), self.at);
                poll_call(&mut self.place, cx, spec::<D>(args, options, at))
            }
            Place::Made { .. } | Place::Done => {
                // Made before: no spec is asked for.
                let (options, at) = (Options::default(), self.at);
                poll_call(&mut self.place, cx, spec::<D>(Arc::default(), options, at))
            }
        };
        match polled {
            Polled::Pending => Poll::Pending,
            Polled::Outside => fail(self.outside()),
            Polled::Ready(outcome) => Self::decode(outcome).map_or(Poll::Pending, Poll::Ready),
        }
    }
}

impl<D: Definition> DurableFuture for Call<D> {}

/// The arguments of a run as they are stored.
///
/// # Errors
///
/// They are too large, or would not read back: it would never run.
pub(crate) fn encode_start<W: Workflow>(args: &W::Args, limit: usize) -> Result<Arc<str>, String> {
    let text = W::args().encode(args)?;
    within(text.len(), limit).map_err(|error| format!("the arguments: {error}"))?;
    W::args().decode(&text)?;
    Ok(text.into())
}

/// What is wrong with an argument, by its name.
pub(crate) fn bad_argument(name: &str, error: &Unstorable) -> String {
    format!("argument `{name}`: {error}")
}
