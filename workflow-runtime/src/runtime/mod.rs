//! [`Runtime`]: a worker and a client on one store.

mod builder;
mod command;
mod life;
mod location;
mod look;

use std::fmt;
use std::sync::Arc;

pub use builder::{Builder, Durability};
pub use command::check_command;
use life::Life;
use look::Looking;

use crate::call::{Call, Definer, Outcome, Workflow};
use crate::client::{Client, ErrOf, HandleOf, Health, OkOf, Starting};
use crate::error::Error;

/// Runs workflows on one database, and starts them.
///
/// Build it once per process; it is cheap to clone. Interrupted runs go on by
/// themselves as soon as it is built.
///
/// ```
/// use workflow_runtime::{Result, Runtime, step, workflow};
///
/// #[step]
/// async fn greet(name: String) -> Result<String> {
///     Ok(format!("Hello, {name}!"))
/// }
///
/// #[workflow]
/// async fn welcome(name: String) -> Result<String> {
///     Ok(greet(name).await?)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let runtime = Runtime::builder("memory:").build().await?;
/// let run = runtime.start(welcome("Ada".to_owned()).id("ada")).await?;
/// assert_eq!(run.result().await?, "Hello, Ada!");
/// runtime.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Runtime {
    client: Client,
    life: Arc<Life>,
    /// Ends with it.
    _look: Option<Arc<Looking>>,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("writer", &self.life.writer()).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Configures a runtime for the database at `url`:
    ///
    /// * `postgres://user@host/database`: any number of runtimes, on any number of
    ///   machines (feature `postgres`);
    /// * `sqlite://shop.db`, `sqlite:///var/lib/shop.db`: a file, created if it
    ///   is not there, owned by one runtime at a time;
    /// * `memory:` keeps runs in memory; nothing survives the process.
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder::new(url.into())
    }

    /// What starts, reads and directs runs of this store.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Starts a run and gives its handle as soon as the start is durable: see
    /// [`Client::start`].
    pub fn start<W>(&self, call: Call<W>) -> Starting<OkOf<W>, ErrOf<W>>
    where
        W: Workflow,
        W::Return: Outcome,
    {
        self.client.start(call)
    }

    /// The run of `workflow` that has that id, whether it exists or not:
    /// `runtime.handle(checkout, "order-1001")`.
    pub fn handle<F, A, W>(&self, workflow: F, id: impl Into<String>) -> HandleOf<W>
    where
        F: Definer<A, Definition = W>,
        W: Workflow,
        W::Return: Outcome,
    {
        self.client.handle(workflow, id)
    }

    /// How this runtime and its database fare. While the database does not
    /// answer, workflows wait and none fails; what is asked of the runtime waits
    /// or says [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable).
    ///
    /// ```
    /// # use workflow_runtime::{Result, Runtime};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// let runtime = Runtime::builder("memory:").build().await?;
    /// assert!(runtime.health().is_good());
    /// # runtime.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn health(&self) -> Health {
        Health::new(self.client.inner.pulse.read(), self.life.lease())
    }

    /// Stops: takes no new runs, starts no new steps, gives running steps the
    /// grace period to end, and records their results. No workflow is
    /// cancelled: what is open goes on when a runtime is built again.
    ///
    /// Called again, also on a clone, it waits until that is done.
    ///
    /// # Errors
    ///
    /// The store did not answer; nothing that was acknowledged is lost.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the runtime stops as it would in a crash; nothing is lost.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let released = self.life.end().await;
        let inner = &self.client.inner;
        inner.endings.close();
        inner.store.close().await;
        released
    }
}
