//! Answers in place of steps, and what befalls their attempts.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Sim;
use super::calls::StepCall;
use super::world::World;
use crate::call::{Step, mock_step};
use crate::clock::pause;
use crate::error::{Failure, FailureKind};
use crate::model::{Limits, StepDefinition, StepFuture};

/// What answers in place of a step.
pub(super) trait Body: Send + Sync {
    fn begin(&self, args: &str, limits: Limits) -> StepFuture;
}

pub(super) struct Answers<D, F> {
    answer: Arc<Mutex<F>>,
    step: PhantomData<fn() -> D>,
}

impl<D, F> Answers<D, F> {
    pub(super) fn new(answer: F) -> Self {
        Self { answer: Arc::new(Mutex::new(answer)), step: PhantomData }
    }
}

impl<D, F> Body for Answers<D, F>
where
    D: Step,
    F: FnMut(D::Args) -> D::Return + Send + 'static,
{
    fn begin(&self, args: &str, limits: Limits) -> StepFuture {
        let answer = Arc::clone(&self.answer);
        mock_step::<D>(args, limits, move |args| {
            let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
            answer(args)
        })
    }
}

/// What befalls the attempts of a step before its mock or its body answers.
#[derive(Clone, Debug, Default)]
pub(super) struct StepFaults {
    fails: u32,
    delays: Option<Range<Duration>>,
    hangs: bool,
    panics: bool,
}

/// What befalls the attempts of a step, before its mock or its body answers:
/// see [`Sim::fault`].
#[derive(Debug)]
pub struct StepFault<'a> {
    sim: &'a Sim,
    step: &'static str,
}

#[expect(clippy::must_use_candidate, reason = "each does what it says at once")]
impl<'a> StepFault<'a> {
    pub(super) fn new(sim: &'a Sim, step: &'static str) -> Self {
        Self { sim, step }
    }

    fn set(&self, change: impl FnOnce(&mut StepFaults)) -> &Self {
        change(self.sim.world.state().step_faults.entry(self.step).or_default());
        self
    }

    /// The first `attempts` of each call fail; they may be retried.
    pub fn fails(&self, attempts: u32) -> &Self {
        self.set(|faults| faults.fails = attempts)
    }

    /// Each attempt takes that long, in virtual time: the shortest, unless the
    /// order of events is explored.
    pub fn delays(&self, time: Range<Duration>) -> &Self {
        self.set(|faults| faults.delays = Some(time))
    }

    /// The first attempt of each call never ends by itself: only a `timeout`,
    /// a cancellation or a crash ends it.
    pub fn hangs(&self) -> &Self {
        self.set(|faults| faults.hangs = true)
    }

    /// The first attempt of each call panics.
    pub fn panics(&self) -> &Self {
        self.set(|faults| faults.panics = true)
    }
}

/// A step that answers itself and is watched: see [`Sim::spy`].
pub struct Spy<D> {
    sim: Sim,
    step: PhantomData<fn() -> D>,
}

impl<D> std::fmt::Debug for Spy<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spy")
    }
}

impl<D: Step> Spy<D> {
    pub(super) fn new(sim: Sim) -> Self {
        Self { sim, step: PhantomData }
    }

    /// Its attempts so far, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<StepCall<D::Args>> {
        self.sim.calls_of::<D>()
    }

    /// How many attempts began so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.calls().len()
    }
}

/// How an attempt runs in a test.
pub(super) struct Played {
    definition: &'static StepDefinition,
    limits: Limits,
    attempt: u32,
    faults: StepFaults,
    delay: Duration,
    world: Arc<World>,
}

impl Played {
    pub(super) fn new(
        world: &Arc<World>,
        definition: &'static StepDefinition,
        limits: Limits,
        attempt: u32,
    ) -> Self {
        let faults = world.state().step_faults.get(definition.named.name).cloned();
        let faults = faults.unwrap_or_default();
        let delay = faults.delays.as_ref().map_or(Duration::ZERO, |range| {
            // Quarters of the range: enough to reorder, few enough to explore.
            let quarter = u32::try_from(world.choose(5)).unwrap_or(0);
            range.start + (range.end.saturating_sub(range.start)) / 4 * quarter
        });
        Self { definition, limits, attempt, faults, delay, world: Arc::clone(world) }
    }

    pub(super) fn begin(self, args: &str) -> Result<StepFuture, Failure> {
        let Self { definition, limits, attempt, faults, delay, world } = self;
        let name = definition.named.name;
        let (mock, state) = {
            let world = world.state();
            (world.mocks.get(name).cloned(), world.state.clone())
        };
        let missing = definition.states.iter().find(|need| mock.is_none() && !state.has(**need));
        if let Some(need) = missing {
            let need = (need.name)();
            world.violation(format!(
                "step `{name}` needs state `{need}`: give it with `sim.state(..)`, or mock the \
                 step"
            ));
        }
        let answer = match mock {
            Some(mock) => mock.begin(args, limits),
            None => (definition.run)(&Arc::new(state), args, limits)?,
        };
        Ok(Box::pin(async move {
            if !delay.is_zero() {
                pause(delay).await;
            }
            if faults.hangs && attempt == 1 {
                std::future::pending::<()>().await;
            }
            if faults.panics && attempt == 1 {
                fail_loudly();
            }
            if attempt <= faults.fails {
                let message = format!("attempt {attempt} fails: a fault of the test");
                let failure = Failure::of_kind(FailureKind::Raised, message);
                return (definition.fail)(failure, limits);
            }
            answer.await
        }))
    }
}

#[expect(clippy::panic, reason = "asked for by the test")]
fn fail_loudly() {
    panic!("a fault of the test");
}
