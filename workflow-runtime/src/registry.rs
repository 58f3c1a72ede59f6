//! Which workflows this program has, and whether their steps can run here.

use std::collections::BTreeMap;

use crate::call::{Step, Workflow};
use crate::error::{Error, ErrorKind};
use crate::model::{StepDefinition, WorkflowDefinition};
use crate::state::State;

/// A function that was linked into the program. Generated code submits it.
#[derive(Clone, Copy, Debug)]
pub enum Registration {
    /// A step.
    Step(fn() -> &'static StepDefinition),
    /// A workflow.
    Workflow(fn() -> &'static WorkflowDefinition),
}

impl Registration {
    /// The registration of a step.
    #[must_use]
    pub const fn step<D: Step>() -> Self {
        Self::Step(D::definition)
    }

    /// The registration of a workflow.
    #[must_use]
    pub const fn workflow<D: Workflow>() -> Self {
        Self::Workflow(D::definition)
    }
}

inventory::collect!(Registration);

/// The workflows of a worker, by name.
#[derive(Clone, Debug)]
pub(crate) struct Registry(BTreeMap<&'static str, &'static WorkflowDefinition>);

impl Registry {
    /// Everything that is linked, and what was registered by hand.
    ///
    /// # Errors
    ///
    /// Two workflows have one name.
    pub(crate) fn new(by_hand: &[&'static WorkflowDefinition]) -> Result<Self, Error> {
        let linked = inventory::iter::<Registration>().filter_map(|linked| match linked {
            Registration::Workflow(definition) => Some(definition()),
            Registration::Step(_) => None,
        });
        let mut known: BTreeMap<&str, &WorkflowDefinition> = BTreeMap::new();
        for definition in linked.chain(by_hand.iter().copied()) {
            let named = &definition.named;
            for name in std::iter::once(&named.name).chain(named.was) {
                let before = known.insert(name, definition);
                if let Some(before) = before.filter(|before| !std::ptr::eq(*before, definition)) {
                    return Err(same_name(name, before, definition));
                }
            }
        }
        Ok(Self(known))
    }

    /// The names of its workflows, old ones too.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.keys().copied()
    }

    /// The workflow that is or was called so.
    pub(crate) fn find(&self, name: &str) -> Option<&'static WorkflowDefinition> {
        self.0.get(name).copied()
    }
}

fn same_name(name: &str, one: &WorkflowDefinition, two: &WorkflowDefinition) -> Error {
    let place = |of: &WorkflowDefinition| format!("{}:{}", of.named.file, of.named.line);
    Error::new(
        ErrorKind::Configuration,
        format!(
            "two workflows are named `{name}`: {} and {}. A run finds its code by this name; \
             give one another: `#[workflow(name = \"…\")]`",
            place(one),
            place(two)
        ),
    )
}

/// Checks that the state that linked steps borrow was given.
///
/// # Errors
///
/// What is missing, by name, and for which step.
pub(crate) fn check_state(state: &State) -> Result<(), Error> {
    for linked in inventory::iter::<Registration>() {
        let Registration::Step(definition) = linked else { continue };
        let step = definition();
        if let Some(need) = step.states.iter().find(|need| !state.has(**need)) {
            let named = &step.named;
            return Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "step `{}` ({}:{}) needs state `{}`: give it to the builder with \
                     `.state(..)`, or `.shared_state(..)` for an `Arc`",
                    named.name,
                    named.file,
                    named.line,
                    (need.name)()
                ),
            ));
        }
    }
    Ok(())
}
