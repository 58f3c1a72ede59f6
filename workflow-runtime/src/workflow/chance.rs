//! Chance that a replay repeats.

use uuid::Uuid;

use super::table;

/// A random value of type `T`, the same in every replay.
///
/// It comes from a seed that is stored with the run: whoever can read the
/// database can compute it. Make secrets in a step.
///
/// ```
/// # use workflow_runtime::{Result, workflow};
/// #[workflow]
/// async fn draw() -> Result<u64> {
///     Ok(workflow::random::<u64>() % 49 + 1)
/// }
/// ```
///
/// # Panics
///
/// Outside a workflow.
#[must_use]
#[track_caller]
pub fn random<T: Random>() -> T {
    let mut bytes = T::Bytes::default();
    table("random", |table| table.fill(bytes.as_mut()));
    T::from_bytes(bytes)
}

/// A random UUID (version 4), the same in every replay. See [`random`].
///
/// # Panics
///
/// Outside a workflow.
#[must_use]
#[track_caller]
pub fn uuid() -> Uuid {
    uuid::Builder::from_random_bytes(random()).into_uuid()
}

/// A type that [`random`] can draw: integers over their whole range, `bool`,
/// `f64` and `f32` from 0 up to but without 1, and 16 bytes.
pub trait Random: sealed::Sealed {}

mod sealed {
    pub trait Sealed: Sized {
        type Bytes: Default + AsMut<[u8]>;
        fn from_bytes(bytes: Self::Bytes) -> Self;
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Random for $integer {}
        impl sealed::Sealed for $integer {
            type Bytes = [u8; size_of::<$integer>()];
            fn from_bytes(bytes: Self::Bytes) -> Self {
                Self::from_le_bytes(bytes)
            }
        }
    )*};
}
integers!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);

impl Random for bool {}
impl sealed::Sealed for bool {
    type Bytes = [u8; 1];
    fn from_bytes(bytes: Self::Bytes) -> Self {
        bytes[0] & 1 == 1
    }
}

/// The 53 highest bits, as a fraction of 2^53.
impl Random for f64 {}
impl sealed::Sealed for f64 {
    type Bytes = [u8; 8];
    fn from_bytes(bytes: Self::Bytes) -> Self {
        let bits = u64::from_le_bytes(bytes) >> 11;
        // 53 bits fit a double exactly.
        let (high, low) = ((bits >> 32) as u32, bits as u32);
        (Self::from(high) * 4_294_967_296.0 + Self::from(low)) / 9_007_199_254_740_992.0
    }
}

/// The 24 highest bits, as a fraction of 2^24.
impl Random for f32 {}
impl sealed::Sealed for f32 {
    type Bytes = [u8; 4];
    fn from_bytes(bytes: Self::Bytes) -> Self {
        let bits = u32::from_le_bytes(bytes) >> 8;
        let (high, low) = ((bits >> 16) as u16, bits as u16);
        (Self::from(high) * 65_536.0 + Self::from(low)) / 16_777_216.0
    }
}

impl Random for [u8; 16] {}
impl sealed::Sealed for [u8; 16] {
    type Bytes = Self;
    fn from_bytes(bytes: Self) -> Self {
        bytes
    }
}
