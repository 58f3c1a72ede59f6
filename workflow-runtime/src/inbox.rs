//! A queue with one taker: one lock per hand-off, whatever it holds, and a
//! wake-up only for a taker that sleeps.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// Many push, one takes everything at once: a thread or a task.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    state: Mutex<State<T>>,
    thread: Condvar,
    task: Notify,
}

#[derive(Debug)]
struct State<T> {
    queue: Vec<T>,
    sleeper: Sleeper,
    closed: bool,
}

#[derive(Clone, Copy, Debug)]
enum Sleeper {
    None,
    Thread,
    Task,
}

impl<T> Inbox<T> {
    pub(crate) fn new() -> Self {
        let state = State { queue: Vec::new(), sleeper: Sleeper::None, closed: false };
        Self { state: Mutex::new(state), thread: Condvar::new(), task: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the message back if nobody takes any more.
    pub(crate) fn push(&self, message: T) -> Result<(), T> {
        let mut state = self.state();
        if state.closed {
            return Err(message);
        }
        state.queue.push(message);
        self.wake(state);
        Ok(())
    }

    /// Empties `messages`. False: nobody takes any more, and they stay.
    pub(crate) fn push_all(&self, messages: &mut Vec<T>) -> bool {
        if messages.is_empty() {
            return true;
        }
        let mut state = self.state();
        let open = !state.closed;
        if open {
            state.queue.append(messages);
            self.wake(state);
        }
        open
    }

    #[cfg(feature = "testing")]
    pub(crate) fn is_empty(&self) -> bool {
        self.state().queue.is_empty()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    fn wake(&self, mut state: MutexGuard<'_, State<T>>) {
        let sleeper = std::mem::replace(&mut state.sleeper, Sleeper::None);
        drop(state);
        match sleeper {
            Sleeper::None => {}
            Sleeper::Thread => self.thread.notify_one(),
            Sleeper::Task => self.task.notify_one(),
        }
    }

    /// Nothing is accepted from now on; what is queued can still be taken.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.thread.notify_one();
        self.task.notify_one();
    }

    /// Moves everything into `into`, which is empty; waits up to `patience` if
    /// there is nothing. False: closed and empty.
    pub(crate) fn take(&self, into: &mut Vec<T>, patience: Option<Duration>) -> bool {
        let mut state = self.state();
        if state.queue.is_empty() && !state.closed {
            state.sleeper = Sleeper::Thread;
            let awake = |state: &mut State<T>| state.queue.is_empty() && !state.closed;
            state = match patience {
                None => {
                    self.thread.wait_while(state, awake).unwrap_or_else(PoisonError::into_inner)
                }
                Some(patience) => {
                    let waited = self.thread.wait_timeout_while(state, patience, awake);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.sleeper = Sleeper::None;
        }
        std::mem::swap(&mut state.queue, into);
        !(into.is_empty() && state.closed)
    }

    /// Moves what is there into `into`, which is empty.
    pub(crate) fn take_now(&self, into: &mut Vec<T>) {
        std::mem::swap(&mut self.state().queue, into);
    }

    /// Like [`take`](Self::take), for a task.
    pub(crate) async fn take_async(&self, into: &mut Vec<T>) -> bool {
        loop {
            {
                let mut state = self.state();
                if !state.queue.is_empty() {
                    std::mem::swap(&mut state.queue, into);
                    return true;
                }
                if state.closed {
                    return false;
                }
                state.sleeper = Sleeper::Task;
            }
            self.task.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_taken_at_once_and_in_order() {
        let inbox = Inbox::new();
        inbox.push(1).unwrap();
        inbox.push_all(&mut vec![2, 3]);
        let mut taken = Vec::new();
        assert!(inbox.take(&mut taken, None));
        assert_eq!(taken, [1, 2, 3]);
        taken.clear();
        inbox.push(4).unwrap();
        inbox.take_now(&mut taken);
        assert_eq!(taken, [4]);
        taken.clear();
        assert!(inbox.take(&mut taken, Some(Duration::ZERO)) && taken.is_empty());
    }

    #[test]
    fn a_closed_inbox_gives_what_it_has_and_then_ends() {
        let inbox = Inbox::new();
        inbox.push(1).unwrap();
        inbox.close();
        assert_eq!(inbox.push(2), Err(2));
        let mut taken = Vec::new();
        assert!(inbox.take(&mut taken, None));
        taken.clear();
        assert!(!inbox.take(&mut taken, None));
    }

    #[test]
    fn a_sleeping_thread_is_woken_by_every_push() {
        let inbox = std::sync::Arc::new(Inbox::new());
        let taker = std::thread::spawn({
            let inbox = std::sync::Arc::clone(&inbox);
            move || {
                let (mut sum, mut taken) = (0, Vec::new());
                while inbox.take(&mut taken, None) {
                    sum += taken.drain(..).sum::<u32>();
                }
                sum
            }
        });
        (1..=1000).for_each(|n| inbox.push(n).unwrap());
        inbox.close();
        assert_eq!(taker.join().unwrap(), 500_500);
    }
}
