//! A schema of a Postgres of a test's own.

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
use workflow_runtime::{Builder, Runtime};

/// A new schema in the Postgres of the tests.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Of the database.
    pub url: String,
    /// Its name.
    pub name: String,
}

impl Schema {
    /// One that nobody has. None: there is no Postgres, and why was said.
    #[must_use]
    pub fn new() -> Option<Self> {
        let url = workflow_test_postgres::url()?.to_owned();
        Some(Self { url, name: format!("t{}", uuid::Uuid::new_v4().simple()) })
    }

    /// A runtime on it.
    pub fn runtime(&self) -> Builder {
        Runtime::builder(&self.url).schema(&self.name)
    }

    /// A connection beside the runtime's.
    ///
    /// # Panics
    ///
    /// If the database does not answer.
    #[expect(clippy::expect_used, reason = "a test without a database is over")]
    pub async fn sql(&self) -> PgConnection {
        let options: PgConnectOptions = self.url.parse().expect("a URL");
        let options = options.options([("search_path", &self.name)]);
        options.disable_statement_logging().connect().await.expect("a connection")
    }
}
