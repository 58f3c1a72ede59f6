//! What the process holds and steps borrow: one value per type.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Values by their type, given to the builder once and injected into steps.
#[derive(Clone, Default)]
pub struct State(BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "State({} values)", self.0.len())
    }
}

/// A type of state that a step borrows.
#[derive(Clone, Copy, Debug)]
pub struct StateNeed {
    /// Its identity.
    pub id: fn() -> TypeId,
    /// Its name, for people.
    pub name: fn() -> &'static str,
}

impl StateNeed {
    /// The need for a `T`.
    #[must_use]
    pub const fn of<T: ?Sized + 'static>() -> Self {
        Self { id: TypeId::of::<T>, name: std::any::type_name::<T> }
    }
}

impl State {
    pub(crate) fn insert<T: ?Sized + Send + Sync + 'static>(&mut self, value: Arc<T>) {
        self.0.insert(TypeId::of::<T>(), Arc::new(value));
    }

    pub(crate) fn has(&self, need: StateNeed) -> bool {
        self.0.contains_key(&(need.id)())
    }

    /// The value of type `T`, if one was given.
    #[must_use]
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Option<&T> {
        Some(self.0.get(&TypeId::of::<T>())?.downcast_ref::<Arc<T>>()?)
    }
}
