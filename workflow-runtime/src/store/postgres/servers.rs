//! The servers of one database, and connections to the one that takes writes.

use std::str::FromStr as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::PATIENCE;
use super::link::Link;
use super::memory::Memory;
use crate::clock::{pause, within};
use crate::error::{Error, ErrorKind};
use crate::store::Pulse;

/// How long one server has to take a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// A server that says nothing for so long is gone, or its network is.
const SILENCE: Duration = Duration::from_secs(2);

/// How often is looked whether one fell silent.
const LOOK: Duration = Duration::from_secs(1);

/// The planner is told what to do: a table that was empty when its statistics
/// were made must not be read from end to end when it is full.
const PLANNER: [(&str, &str); 5] = [
    ("jit", "off"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// Every server that the URL names, one of which takes writes.
pub(super) struct Servers {
    each: Vec<PgConnectOptions>,
    /// The one that took writes last; or the next one to try.
    last: AtomicUsize,
    /// What each transaction says first, where a pooler gives it any connection.
    pooled: Option<String>,
    pub(super) memory: Memory,
    /// How often one of them fell silent.
    silences: AtomicU64,
}

impl Servers {
    /// `pooled`: the URL is of a pooler that gives each transaction another
    /// connection.
    pub(super) fn of(url: &str, schema: &str, pooled: bool, memory: Memory) -> Result<Self, Error> {
        let urls = each_server(url)?;
        let each = urls.iter().map(|url| options(url, schema, pooled));
        let each = each.collect::<Result<Vec<_>, _>>()?;
        let pooled = pooled.then(|| {
            let local = |(name, value): (&str, String)| format!("; set local {name} = '{value}'");
            settings(schema).into_iter().map(local).collect()
        });
        let (last, silences) = (AtomicUsize::new(0), AtomicU64::new(0));
        Ok(Self { each, last, pooled, memory, silences })
    }

    /// A server did not answer in that time. If it was long, no connection from
    /// before is used again: each would have to be waited for.
    pub(super) fn was_late(&self, patience: Duration) {
        if patience >= SILENCE {
            self.silences.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(super) fn silences(&self) -> u64 {
        self.silences.load(Ordering::Acquire)
    }

    /// Until one fell silent more often than that.
    pub(super) async fn falls_silent_after(&self, silences: u64) {
        while self.silences() == silences {
            pause(LOOK).await;
        }
    }

    /// The link that was kept, or a new one.
    pub(super) async fn link(&self, kept: &mut Option<Link>) -> Result<Link, sqlx::Error> {
        match kept.take().filter(|link| link.made_after() == self.silences()) {
            Some(link) => Ok(link),
            None => self.connect().await,
        }
    }

    /// How the database fares.
    pub(super) fn pulse(&self) -> &Pulse {
        &self.memory.pulse
    }

    /// Whether connections keep what is said on them: if not, nobody listens.
    pub(super) fn are_pooled(&self) -> bool {
        self.pooled.is_some()
    }

    /// How to reach the server that took writes last.
    pub(super) fn last(&self) -> PgConnectOptions {
        self.each[self.last.load(Ordering::Acquire) % self.each.len()].clone()
    }

    /// Connects to the first server that takes writes, from the one that did
    /// so last. It has all that was acknowledged to this process, or what it has
    /// was accepted and told.
    pub(super) async fn connect(&self) -> Result<Link, sqlx::Error> {
        let first = self.last.load(Ordering::Acquire);
        let mut fault = None;
        for n in (first..first + self.each.len()).map(|n| n % self.each.len()) {
            // Whoever has no more time to wait for this one begins with the next.
            self.last.store((n + 1) % self.each.len(), Ordering::Release);
            let tried = within(CONNECT, connect(&self.each[n])).await;
            match tried.unwrap_or_else(|| Err(late(&self.each[n]))) {
                Ok(connection) => {
                    self.last.store(n, Ordering::Release);
                    let mut link = Link::new(connection, self.pooled.clone(), self.silences());
                    self.memory.compare(&mut link).await?;
                    return Ok(link);
                }
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        Err(fault.unwrap_or(sqlx::Error::PoolTimedOut))
    }
}

fn late(server: &PgConnectOptions) -> sqlx::Error {
    let (host, port) = (server.get_host(), server.get_port());
    let message = format!("{host}:{port} took no connection within {CONNECT:?}");
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, message))
}

async fn connect(server: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut connection = server.connect().await?;
    // Simple: a pooler may give each statement another connection.
    let asked = sqlx::raw_sql("select current_setting('transaction_read_only') = 'off' as writes");
    let row = asked.fetch_one(&mut connection).await?;
    if sqlx::Row::try_get::<bool, _>(&row, "writes")? {
        return Ok(connection);
    }
    let (host, port) = (server.get_host(), server.get_port());
    let message = format!("{host}:{port} takes no writes: it is a standby, or set to read only");
    Err(sqlx::Error::Io(std::io::Error::other(message)))
}

/// What every connection is set to.
fn settings(schema: &str) -> Vec<(&'static str, String)> {
    let mut settings = vec![("search_path", schema.to_owned())];
    settings.extend(PLANNER.map(|(name, value)| (name, value.to_owned())));
    // What others see is decided statement by statement, whatever the default.
    settings.push(("default_transaction_isolation", "read committed".to_owned()));
    let millis = |time: Duration| format!("{}ms", time.as_millis());
    settings.push(("statement_timeout", millis(PATIENCE)));
    settings.push(("lock_timeout", millis(PATIENCE)));
    settings.push(("idle_in_transaction_session_timeout", millis(PATIENCE)));
    settings
}

fn options(url: &str, schema: &str, pooled: bool) -> Result<PgConnectOptions, Error> {
    let parsed = PgConnectOptions::from_str(url).map_err(|error| {
        // The text may hold a password.
        Error::because(ErrorKind::Configuration, "the URL names no Postgres database", error)
    })?;
    let name = parsed.get_application_name().unwrap_or("workflow-runtime").to_owned();
    let options = parsed.application_name(&name).disable_statement_logging();
    if pooled {
        // A prepared statement stays on the connection that prepared it.
        return Ok(options.statement_cache_capacity(0).extra_float_digits(None));
    }
    Ok(options.statement_cache_capacity(200).options(settings(schema)))
}

/// A URL for each server that it names: `postgres://user@one:5432,two/database`.
/// Whatever takes writes is meant, which is what `target_session_attrs` says
/// elsewhere.
fn each_server(url: &str) -> Result<Vec<String>, Error> {
    let refuse = |message: String| Err(Error::new(ErrorKind::Configuration, message));
    let Some((scheme, rest)) = url.split_once("://") else { return Ok(vec![url.to_owned()]) };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut others = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("target_session_attrs", "any" | "read-write" | "primary")) => {}
            Some(("target_session_attrs", other)) => {
                return refuse(format!(
                    "`target_session_attrs={other}`: workflows need the server that takes writes, \
                     write `read-write` or leave it out"
                ));
            }
            _ => others.push(part),
        }
    }
    let query = if others.is_empty() { String::new() } else { format!("?{}", others.join("&")) };
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (rest, String::new()),
    };
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    let one = |host: &str| format!("{scheme}://{user}{host}{path}{query}");
    Ok(hosts.split(',').map(one).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_url_may_name_several_servers() {
        let of =
            |url: &str| Servers::of(url, "workflow", false, Memory::new(Arc::default(), false));
        let each = |url: &str| {
            let servers = of(url).unwrap();
            let reached = |one: &PgConnectOptions| format!("{}:{}", one.get_host(), one.get_port());
            servers.each.iter().map(reached).collect::<Vec<_>>()
        };
        assert_eq!(each("postgres://u:p@one:5433,two/shop"), ["one:5433", "two:5432"]);
        assert_eq!(each("postgresql://one/shop?target_session_attrs=read-write"), ["one:5432"]);
        assert_eq!(each("postgres://u@[::1]:6000,two:6001/a?sslmode=prefer").len(), 2);
        let error = of("postgres://one,two/shop?target_session_attrs=standby");
        let error = error.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("read-write"), "{error}");
    }
}
