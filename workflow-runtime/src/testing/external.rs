//! A fake of what steps talk to.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A fake outside world: it acts once for each key, as a payment service does,
/// and can lose its replies. Cheap to clone; clones are one world.
///
/// ```
/// use workflow_runtime::testing::External;
///
/// let bank: External<u64> = External::default();
/// let pay = || bank.act("order-7", |total| { *total += 500; *total });
/// assert_eq!(pay(), Ok(500));
/// assert_eq!(pay(), Ok(500)); // the same key: it does not pay again
/// bank.lose_replies(1);
/// assert!(bank.act("order-8", |total| *total += 1).is_err());
/// assert_eq!(bank.read(|total| *total), 501); // it acted all the same
/// ```
pub struct External<T>(Arc<Mutex<Inside<T>>>);

struct Inside<T> {
    value: T,
    /// What was replied to whom.
    replies: BTreeMap<String, Box<dyn Any + Send>>,
    lose: u32,
    asked: u64,
}

/// The reply of an [`External`] was lost: whether it acted is unknown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reply was lost")
    }
}

impl std::error::Error for Lost {}

impl<T> Clone for External<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> Default for External<T> {
    fn default() -> Self {
        let inside = Inside { value: T::default(), replies: BTreeMap::new(), lose: 0, asked: 0 };
        Self(Arc::new(Mutex::new(inside)))
    }
}

impl<T> fmt::Debug for External<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inside = self.inside();
        write!(f, "External({} keys, asked {} times)", inside.replies.len(), inside.asked)
    }
}

impl<T> External<T> {
    fn inside(&self) -> MutexGuard<'_, Inside<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Acts, if it has not acted for that key before; then it replies what it
    /// replied then. In a step the key is
    /// [`step::idempotency_key`](crate::step::idempotency_key).
    ///
    /// # Errors
    ///
    /// The reply was lost. It has acted.
    ///
    /// # Panics
    ///
    /// The reply to that key was of another type.
    pub fn act<R>(
        &self,
        key: impl Into<String>,
        action: impl FnOnce(&mut T) -> R,
    ) -> Result<R, Lost>
    where
        R: Clone + Send + 'static,
    {
        let mut inside = self.inside();
        inside.asked += 1;
        let key = key.into();
        let reply = match inside.replies.get(&key).map(|reply| reply.downcast_ref::<R>()) {
            Some(Some(reply)) => reply.clone(),
            Some(None) => other_type(&key),
            None => {
                let reply = action(&mut inside.value);
                inside.replies.insert(key, Box::new(reply.clone()));
                reply
            }
        };
        if inside.lose > 0 {
            inside.lose -= 1;
            return Err(Lost);
        }
        Ok(reply)
    }

    /// The next so many replies are lost.
    pub fn lose_replies(&self, count: u32) {
        self.inside().lose = count;
    }

    /// Looks at what it holds.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.inside().value)
    }

    /// For how many keys it acted.
    #[must_use]
    pub fn acted(&self) -> usize {
        self.inside().replies.len()
    }

    /// How often it was asked, also in vain.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.inside().asked
    }
}

#[expect(clippy::panic, reason = "a test that asks so is wrong")]
fn other_type(key: &str) -> ! {
    panic!("the key `{key}` was replied to with another type");
}
