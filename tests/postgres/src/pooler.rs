//! A pooler before a cluster: `PgBouncer` that gives each transaction another
//! connection.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Cluster, as_user, free_port, run, skip};

/// Where Debian has it.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A pooler in transaction mode; ends when it is dropped, or with this process.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    folder: PathBuf,
    /// Ends it when its input ends.
    watchdog: Child,
}

/// A pooler before that cluster. None: there can be none, and why was said.
///
/// # Panics
///
/// There is none, and tests must not be skipped.
#[must_use]
pub fn pooler(before: &Cluster) -> Option<Pooler> {
    Pooler::start(before).map_err(|reason| skip(&reason)).ok()
}

const WATCH: &str = "folder=$1; shift; \"$@\" > /dev/null 2>&1 & pooler=$!; read -r _; \
                     kill -KILL $pooler; wait $pooler; rm -rf \"$folder\"";

impl Pooler {
    fn start(before: &Cluster) -> Result<Self, String> {
        let found = run(Command::new("sh").args(["-c", "command -v pgbouncer"]));
        let program =
            found.map_or_else(|_| PathBuf::from(PROGRAM), |path| crate::text(&path).into());
        if !program.exists() {
            return Err("no pooler: install `pgbouncer`".to_owned());
        }
        let folder = tempfile::Builder::new().prefix("workflow-pooler-").tempdir();
        let folder = folder.map_err(|error| format!("no folder: {error}"))?.keep();
        let port = free_port()?;
        let settings = folder.join("pgbouncer.ini");
        let text = format!(
            "[databases]\npostgres = host=127.0.0.1 port={} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n\
             unix_socket_dir =\npool_mode = transaction\ndefault_pool_size = 4\n\
             max_client_conn = 200\nserver_login_retry = 1\nlogfile = {}\n",
            before.port(),
            folder.join("log").display()
        );
        std::fs::write(&settings, text).map_err(|error| format!("no settings: {error}"))?;
        before.takes(&folder)?;
        let user = crate::server_user()?;
        let command = as_user(user.as_deref(), &program);
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCH, "sh"]).arg(&folder);
        shell.arg(command.get_program()).args(command.get_args()).arg(&settings);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let watchdog = shell.spawn().map_err(|error| format!("no shell: {error}"))?;
        let pooler = Self { port, folder, watchdog };
        pooler.wait()?;
        Ok(pooler)
    }

    /// The port that it listens on, on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    #[expect(clippy::disallowed_methods, reason = "until it listens")]
    fn wait(&self) -> Result<(), String> {
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        Err(format!("the pooler does not listen: {log}"))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ended = self.watchdog.wait();
    }
}
