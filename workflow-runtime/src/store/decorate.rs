//! Stores around stores: everything that a decorator does not say itself goes
//! to the store inside.

/// Writes `impl Store` for a decorator with a field `inner`: `commit`, `claim`,
/// `load`, `find`, `find_first`, `history`, `ends`, `post`, `reply`, `shown`, `news` and `dead_letters` are its own.
macro_rules! decorate {
    (impl $([$($generics:tt)*])? Store for $name:ty { $($own:tt)* }) => {
        #[async_trait::async_trait]
        impl $(<$($generics)*>)? Store for $name {
            $($own)*

            fn lanes(&self) -> usize {
                self.inner.lanes()
            }
            fn fleet(&self) -> Option<Arc<dyn crate::store::Fleet>> {
                self.inner.fleet()
            }
            async fn reserve(&self, counter: Counter, count: u32) -> Result<i64, Error> {
                self.inner.reserve(counter, count).await
            }
            async fn take_over(&self, over: TakeOver) -> Result<(), Error> {
                self.inner.take_over(over).await
            }
            async fn suspected(&self, runs: &[RunId]) -> Result<Vec<RunId>, Error> {
                self.inner.suspected(runs).await
            }
            async fn vindicate(&self, runs: &[RunId]) -> Result<(), Error> {
                self.inner.vindicate(runs).await
            }
            async fn owned(&self, writer: WriterId) -> Result<Vec<RunId>, Error> {
                self.inner.owned(writer).await
            }
            async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
                self.inner.next_due().await
            }
            async fn release(&self, writer: WriterId, now: Timestamp) -> Result<(), Error> {
                self.inner.release(writer, now).await
            }
            async fn command(&self, run: RunId, command: Command) -> Result<Commanded, Error> {
                self.inner.command(run, command).await
            }
            async fn open_commands(
                &self,
                writer: WriterId,
            ) -> Result<Vec<(RunId, Command)>, Error> {
                self.inner.open_commands(writer).await
            }
            async fn terminated(&self, run: RunId) -> Result<(), Error> {
                self.inner.terminated(run).await
            }
            async fn list(&self, query: RunQuery) -> Result<Vec<RunSummary>, Error> {
                self.inner.list(query).await
            }
            async fn old(&self, after: RunId, before: Timestamp) -> Result<Sweep, Error> {
                self.inner.old(after, before).await
            }
            async fn delete(&self, runs: &[RunId]) -> Result<u32, Error> {
                self.inner.delete(runs).await
            }
            async fn reply_read(&self, message: &str) -> Result<(), Error> {
                self.inner.reply_read(message).await
            }
            async fn backup(&self, to: &std::path::Path) -> Result<(), Error> {
                self.inner.backup(to).await
            }
            async fn changed(&self) -> Result<bool, Error> {
                self.inner.changed().await
            }
            async fn close(&self) {
                self.inner.close().await;
            }
        }
    };
}
pub(crate) use decorate;
