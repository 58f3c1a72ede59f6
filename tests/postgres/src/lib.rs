//! A Postgres for tests: the one that `WORKFLOW_TEST_POSTGRES` names, or a
//! throw-away cluster from the server on this machine, which ends with the
//! process that started it, however that ends.

mod disaster;
mod pooler;
mod tls;

use std::ffi::OsString;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

pub use disaster::Copying;
pub use pooler::{Pooler, pooler};

/// Names a database that tests may make schemas in.
pub const VARIABLE: &str = "WORKFLOW_TEST_POSTGRES";
/// Makes a skipped test a failure.
pub const NO_SKIP: &str = "WORKFLOW_NO_SKIP_POSTGRES";

/// A cluster of our own; ends when it is dropped, or with this process.
#[derive(Debug)]
pub struct Cluster {
    url: String,
    port: u16,
    folder: PathBuf,
    programs: PathBuf,
    /// Who runs it. None: whoever runs the tests.
    user: Option<String>,
    /// Ends the server when its input ends.
    watchdog: Child,
}

/// How a cluster is to be.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Commits reach the disk: for measurements. Tests of logic need not wait.
    pub durable: bool,
    /// Connections may be encrypted: with a certificate for `localhost`.
    pub tls: bool,
    /// More settings of the server, as `name=value`.
    pub more: Vec<String>,
}

/// The URL of a database for tests, the same in the whole process. None: there
/// is none, and why was said.
///
/// # Panics
///
/// There is none, and tests must not be skipped.
#[must_use]
pub fn url() -> Option<&'static str> {
    static FOUND: OnceLock<Result<String, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| match std::env::var(VARIABLE) {
        Ok(url) => Ok(url),
        Err(_) => Cluster::start(&Settings::default()).map(|cluster| {
            let url = cluster.url.clone();
            // Until the process ends.
            std::mem::forget(cluster);
            url
        }),
    });
    found.as_deref().map_err(|reason| skip(reason)).ok()
}

/// A cluster of a test's own. None: there can be none, and why was said.
///
/// # Panics
///
/// There is none, and tests must not be skipped.
#[must_use]
pub fn cluster(settings: &Settings) -> Option<Cluster> {
    Cluster::start(settings).map_err(|reason| skip(&reason)).ok()
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
#[expect(clippy::panic, reason = "a test that must not be skipped fails")]
fn skip(reason: &str) {
    if std::env::var_os(NO_SKIP).is_some() {
        panic!("no Postgres: {reason}");
    }
    eprintln!("SKIPPED: no Postgres: {reason}");
}

impl Cluster {
    /// Makes a cluster and starts it.
    ///
    /// # Errors
    ///
    /// Why there is none, in words.
    pub fn start(settings: &Settings) -> Result<Self, String> {
        let programs = programs()?;
        let user = server_user()?;
        let folder = tempfile::Builder::new().prefix("workflow-postgres-").tempdir();
        let folder = folder.map_err(|error| format!("no folder: {error}"))?.keep();
        match Self::start_in(&programs, user.as_deref(), &folder, settings) {
            Ok(cluster) => Ok(cluster),
            Err(reason) => {
                // It holds nothing yet.
                let _removed = std::fs::remove_dir_all(&folder);
                Err(reason)
            }
        }
    }

    fn start_in(
        programs: &Path,
        user: Option<&str>,
        folder: &Path,
        settings: &Settings,
    ) -> Result<Self, String> {
        if settings.tls {
            tls::make(folder)?;
        }
        if let Some(user) = user {
            run(Command::new("chown").arg("-R").arg(user).arg(folder))?;
        }
        let port = free_port()?;
        let cluster = Self::new(programs, user, folder, port)?;
        let mut init = cluster.program("initdb");
        init.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]);
        run(init.arg(cluster.data()))?;
        let mut lines = vec!["max_connections=200".to_owned()];
        if !settings.durable {
            lines.extend(["fsync=off".to_owned(), "full_page_writes=off".to_owned()]);
        }
        if settings.tls {
            lines.push("ssl=on".to_owned());
            lines.push(format!("ssl_cert_file='{}'", folder.join(tls::CERTIFICATE).display()));
            lines.push(format!("ssl_key_file='{}'", folder.join(tls::KEY).display()));
        }
        lines.extend(settings.more.iter().cloned());
        cluster.configure(&lines)?;
        cluster.run_server()?;
        Ok(cluster)
    }

    /// Without a server yet.
    fn new(programs: &Path, user: Option<&str>, folder: &Path, port: u16) -> Result<Self, String> {
        let (programs, user) = (programs.to_owned(), user.map(str::to_owned));
        let watchdog = watchdog(&programs, user.as_deref(), folder)?;
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        Ok(Self { url, port, folder: folder.to_path_buf(), programs, user, watchdog })
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn program(&self, name: &str) -> Command {
        as_user(self.user.as_deref(), &self.programs.join(name))
    }

    /// Settings that replace those before them, from the next start or reload on.
    fn configure(&self, lines: &[String]) -> Result<(), String> {
        let (port, folder) = (self.port, self.folder.display());
        let file =
            std::fs::OpenOptions::new().append(true).open(self.data().join("postgresql.conf"));
        let mut file = file.map_err(|error| format!("no settings: {error}"))?;
        let text = format!(
            "listen_addresses='127.0.0.1'\nport={port}\nunix_socket_directories='{folder}'\n{}\n",
            lines.join("\n")
        );
        file.write_all(text.as_bytes()).map_err(|error| format!("no settings: {error}"))
    }

    fn control(&self, arguments: &[&str]) -> Result<(), String> {
        let log = self.folder.join("log");
        let mut control = self.program("pg_ctl");
        control.args(["-w", "-t", "60", "-D"]).arg(self.data()).arg("-l").arg(&log).args(arguments);
        // Whoever reads its output would wait for the server, which has it, too.
        let status =
            control.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if status.map_err(|error| format!("pg_ctl: {error}"))?.success() {
            return Ok(());
        }
        let log = std::fs::read_to_string(log).unwrap_or_default();
        Err(format!("pg_ctl {arguments:?}: {log}"))
    }

    fn run_server(&self) -> Result<(), String> {
        self.control(&["start"])
    }

    /// The URL of its database.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Who vouches for its certificate; none without TLS.
    #[must_use]
    pub fn authority(&self) -> Option<PathBuf> {
        let path = self.folder.join(tls::AUTHORITY);
        path.exists().then_some(path)
    }

    /// Somebody who does not vouch for its certificate; none without TLS.
    #[must_use]
    pub fn other_authority(&self) -> Option<PathBuf> {
        let path = self.folder.join(tls::OTHER);
        path.exists().then_some(path)
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// The port that it listens on, on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Its input ends: it ends the server, and removes the folder.
        drop(self.watchdog.stdin.take());
        let _ended = self.watchdog.wait();
    }
}

/// Ends the server and removes its folder when the input ends: when the process
/// that has the other end is gone.
const WATCH: &str = "folder=$1; shift; read -r _; \"$@\" -m immediate stop; rm -rf \"$folder\"";

fn watchdog(programs: &Path, user: Option<&str>, folder: &Path) -> Result<Child, String> {
    let control = as_user(user, &programs.join("pg_ctl"));
    let mut shell = Command::new("sh");
    shell.args(["-c", WATCH, "sh"]).arg(folder).arg(control.get_program()).args(control.get_args());
    shell.arg("-D").arg(folder.join("data"));
    // Of no process group that is ended from a keyboard.
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn().map_err(|error| format!("no shell: {error}"))
}

/// The program, by a user that may run it: Postgres refuses root.
fn as_user(user: Option<&str>, program: &Path) -> Command {
    match user {
        None => Command::new(program),
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", user, "--regid", user, "--clear-groups"]).arg(program);
            command
        }
    }
}

/// None: whoever runs the tests may run a server.
fn server_user() -> Result<Option<String>, String> {
    if text(&run(Command::new("id").arg("-u"))?) != "0" {
        return Ok(None);
    }
    let exists = |user: &&str| run(Command::new("id").arg(user)).is_ok();
    let user = ["postgres", "nobody"].into_iter().find(exists);
    let user = user.ok_or("the tests run as root, and there is no user `postgres` or `nobody`")?;
    Ok(Some(user.to_owned()))
}

/// Where the programs of the server are.
fn programs() -> Result<PathBuf, String> {
    let mut folders = Vec::new();
    if let Ok(output) = run(Command::new("pg_config").arg("--bindir")) {
        folders.push(PathBuf::from(text(&output)));
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    folders.extend(versions.into_iter().rev().map(|(_, folder)| folder));
    let has_server =
        |folder: &PathBuf| folder.join("initdb").exists() && folder.join("postgres").exists();
    folders.into_iter().find(has_server).ok_or_else(|| {
        format!("set {VARIABLE} to the URL of a database, or install the server (`postgresql`)")
    })
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}

fn run(command: &mut Command) -> Result<Output, String> {
    let program: OsString = command.get_program().to_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!("{}: {}", program.display(), String::from_utf8_lossy(&output.stderr)))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_answers_and_is_gone_afterwards() {
        let Some(cluster) = cluster(&Settings::default()) else { return };
        assert!(std::net::TcpStream::connect(("127.0.0.1", cluster.port())).is_ok());
        let port = cluster.port();
        drop(cluster);
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}
