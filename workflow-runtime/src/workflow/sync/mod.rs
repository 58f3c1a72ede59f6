//! Channels and locks between the branches of one workflow.
//!
//! They are tokio's, with the same names and methods, and what they wait for is
//! a [`DurableFuture`](crate::DurableFuture): a replay sends and receives the
//! same values in the same order.
//!
//! ```
//! # use workflow_runtime::{Failure, Result, step, workflow};
//! use workflow_runtime::workflow::sync::mpsc;
//!
//! # #[step] async fn read(page: u32) -> Result<String> { Ok(format!("page {page}")) }
//! # #[step] async fn store(text: String) -> Result<()> { Ok(()) }
//! #[workflow]
//! async fn copy(pages: u32) -> Result<()> {
//!     let (sender, mut receiver) = mpsc::channel(4);
//!     let reads = async move {
//!         for page in 0..pages {
//!             sender.send(read(page).await?).await?;
//!         }
//!         Ok::<_, Failure>(())
//!     };
//!     let stores = async {
//!         while let Some(text) = receiver.recv().await {
//!             store(text).await?;
//!         }
//!         Ok(())
//!     };
//!     tokio::try_join!(reads, stores)?;
//!     Ok(())
//! }
//! ```
//!
//! None of them is `Send` or `Sync`, on purpose: they cannot be given to a task,
//! a thread or a `static`, from where something outside the run could decide
//! what it gets. Nothing in them is stored; a replay fills them anew.
//!
//! If all branches wait for each other the run is
//! [blocked](crate::Status::Blocked): nothing is left that could wake it.

pub mod mpsc;
mod mutex;
mod notify;
pub mod oneshot;
mod semaphore;

use std::marker::PhantomData;
use std::rc::Rc;

pub use mutex::{Mutex, MutexGuard, TryLockError};
pub use notify::Notify;
pub use semaphore::{AcquireError, Semaphore, SemaphorePermit, TryAcquireError};

/// Neither `Send` nor `Sync`: stays in its workflow.
type Local = PhantomData<Rc<()>>;
const LOCAL: Local = PhantomData;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_at_once_says_why() {
        let (sender, mut receiver) = mpsc::channel(1);
        assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty));
        assert_eq!((sender.try_send(1), sender.capacity()), (Ok(()), 0));
        assert_eq!(sender.try_send(2), Err(mpsc::TrySendError::Full(2)));
        receiver.close();
        assert_eq!(sender.try_send(3), Err(mpsc::TrySendError::Closed(3)));
        assert_eq!(receiver.try_recv(), Ok(1));
        drop(sender);
        assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Disconnected));

        let (sender, mut receiver) = oneshot::channel::<u8>();
        assert_eq!(receiver.try_recv(), Err(oneshot::TryRecvError::Empty));
        drop(sender);
        assert_eq!(receiver.try_recv(), Err(oneshot::TryRecvError::Closed));

        let mutex = Mutex::new(1);
        let held = mutex.try_lock().unwrap();
        assert!(mutex.try_lock().is_err());
        assert_eq!(*held, 1);

        let semaphore = Semaphore::new(1);
        let permit = semaphore.try_acquire().unwrap();
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
        drop(permit);
        assert_eq!(semaphore.available_permits(), 1);
        semaphore.close();
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
    }
}
