//! Lints that go by type: values of types that hide something that a replay
//! cannot repeat.
//!
//! A method of a type itself is found before one of a trait: `Seen(&value)` has
//! `clock` twice, once for types that are a [`SystemClock`], whose call is an
//! error, and once for all others, which does nothing.

#![allow(missing_docs, reason = "generated code alone calls these")]

use std::collections::hash_map::RandomState;

use super::faults::{Never, NoBlocking, NoChance, NoClock, NoOutside, NoTask, StableOrder};
use super::order::HashOrdered;

/// A type whose values are read from a clock.
pub trait SystemClock {}
/// A type whose values are drawn.
pub trait RandomValue {}
/// A type whose values reach out of the process: files, sockets, programs.
pub trait Outside {}
/// A type whose values stop threads.
pub trait Blocking {}
/// A type whose values hold tasks.
pub trait Tasks {}

impl SystemClock for std::time::Instant {}
impl SystemClock for std::time::SystemTime {}
impl SystemClock for tokio::time::Instant {}

impl RandomValue for uuid::Uuid {}
impl RandomValue for RandomState {}

impl Outside for std::process::Command {}
impl Outside for std::fs::File {}
impl Outside for std::fs::OpenOptions {}
impl Outside for std::net::TcpStream {}
impl Outside for std::net::TcpListener {}
impl Outside for std::net::UdpSocket {}
impl<T: Outside, E> Outside for Result<T, E> {}

impl Blocking for std::sync::Barrier {}
impl Blocking for std::sync::Condvar {}

impl<T> Tasks for tokio::task::JoinSet<T> {}

/// A value of workflow code that is looked at.
#[derive(Debug)]
pub struct Seen<'a, T: ?Sized>(pub &'a T);

impl<T: SystemClock> Seen<'_, T> {
    pub fn clock(self)
    where
        for<'a> Never<'a>: NoClock,
    {
    }
}

impl<T: RandomValue> Seen<'_, T> {
    pub fn chance(self)
    where
        for<'a> Never<'a>: NoChance,
    {
    }
}

impl<T: Outside> Seen<'_, T> {
    pub fn outside(self)
    where
        for<'a> Never<'a>: NoOutside,
    {
    }
}

impl<T: Blocking> Seen<'_, T> {
    pub fn blocking(self)
    where
        for<'a> Never<'a>: NoBlocking,
    {
    }
}

impl<T: Tasks> Seen<'_, T> {
    pub fn task(self)
    where
        for<'a> Never<'a>: NoTask,
    {
    }
}

impl<T: HashOrdered> Seen<'_, T> {
    pub fn walked(self)
    where
        for<'a> Never<'a>: StableOrder,
    {
    }
}

impl<T, E> Seen<'_, Result<T, E>> {
    #[deprecated(
        note = "[WF014] whether it worked is not looked at: the workflow goes on as if it had. \
                Handle the error, or write `.ok();` to say that it makes no difference"
    )]
    pub fn ignored(self) {}
}

/// A function of workflow code that is named and not called.
impl<F: Fn() -> T, T: SystemClock> Seen<'_, F> {
    pub fn makes_clock(self)
    where
        for<'a> Never<'a>: NoClock,
    {
    }
}

impl<F: Fn() -> T, T: RandomValue> Seen<'_, F> {
    pub fn makes_chance(self)
    where
        for<'a> Never<'a>: NoChance,
    {
    }
}

/// Gives back what it was given: what stands around a probe.
#[inline(always)]
pub fn same<T>(value: T) -> T {
    value
}

/// The methods of all other types.
pub trait Harmless: Sized {
    fn clock(self) {}
    fn chance(self) {}
    fn outside(self) {}
    fn blocking(self) {}
    fn task(self) {}
    fn walked(self) {}
    fn ignored(self) {}
    fn makes_clock(self) {}
    fn makes_chance(self) {}
}

impl<T: ?Sized> Harmless for Seen<'_, T> {}
