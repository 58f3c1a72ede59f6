//! What befalls clusters: crashes, standbys that take over, older backups.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Cluster, free_port, run, text};

/// When a commit is acknowledged that has to reach a standby.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Copying {
    /// After the standby has it.
    Synchronous,
    /// At once.
    Asynchronous,
}

impl Cluster {
    /// A standby of this cluster, which receives what happens from now on
    /// through that port: this cluster's own, or one in between.
    ///
    /// # Errors
    ///
    /// Why there is none, in words.
    pub fn standby(&self, through: u16, copying: Copying) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("workflow-postgres-").tempdir();
        let folder = folder.map_err(|error| format!("no folder: {error}"))?.keep();
        self.takes(&folder)?;
        let standby = Self::new(&self.programs, self.user.as_deref(), &folder, free_port()?)?;
        let port = through.to_string();
        let mut backup = self.program("pg_basebackup");
        backup.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-R", "--no-sync"]);
        run(backup.args(["-c", "fast", "-X", "stream", "-D"]).arg(standby.data()))?;
        // Once it is promoted it waits for nobody.
        standby.configure(&["synchronous_standby_names=''".to_owned()])?;
        standby.control(&["start"])?;
        let state = match copying {
            Copying::Synchronous => {
                self.configure(&["synchronous_standby_names='*'".to_owned()])?;
                self.control(&["reload"])?;
                "sync"
            }
            Copying::Asynchronous => "async",
        };
        self.wait_for(&format!(
            "select count(*) from pg_stat_replication where state = 'streaming' and sync_state = \
             '{state}'"
        ))?;
        Ok(standby)
    }

    /// Until the query gives 1.
    fn wait_for(&self, query: &str) -> Result<(), String> {
        for _ in 0..600 {
            let mut ask = self.program("psql");
            let port = self.port.to_string();
            ask.args(["-X", "-A", "-t", "-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-c"]);
            if run(ask.arg(query)).is_ok_and(|output| text(&output) == "1") {
                return Ok(());
            }
            pause(Duration::from_millis(50));
        }
        Err(format!("not within 30 s: {query}"))
    }

    /// The server may write to that folder, and nobody else.
    ///
    /// # Errors
    ///
    /// It cannot be given to it.
    pub fn takes(&self, folder: &Path) -> Result<(), String> {
        match &self.user {
            Some(user) => run(Command::new("chown").arg(user).arg(folder)).map(drop),
            None => Ok(()),
        }
    }

    /// The server crashes and recovers.
    ///
    /// # Errors
    ///
    /// It does not come back.
    pub fn crash(&self) -> Result<(), String> {
        self.control(&["-m", "immediate", "restart"])
    }

    /// The server is gone, from one moment to the next.
    ///
    /// # Errors
    ///
    /// There was none.
    pub fn destroy(&self) -> Result<(), String> {
        let pid = std::fs::read_to_string(self.data().join("postmaster.pid"));
        let pid = pid.map_err(|error| format!("no server: {error}"))?;
        let postmaster = pid.lines().next().unwrap_or_default().to_owned();
        // First, so that it begins nothing new.
        run(Command::new("kill").args(["-KILL", &postmaster]))?;
        let mut processes = vec![postmaster];
        for child in children(&processes[0]) {
            // It may have ended with its parent.
            let _gone = run(Command::new("kill").args(["-KILL", &child]));
            processes.push(child);
        }
        while processes.iter().any(|process| is_running(process)) {
            pause(Duration::from_millis(1));
        }
        Ok(())
    }

    /// The standby takes over.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn promote(&self) -> Result<(), String> {
        self.control(&["promote"])
    }

    /// A copy of the cluster as it is now, for [`restore`](Self::restore).
    ///
    /// # Errors
    ///
    /// Why there is none, in words.
    pub fn backup(&self) -> Result<PathBuf, String> {
        let to = self.folder.join(format!("backup-{}", free_port()?));
        let mut backup = self.program("pg_basebackup");
        let port = self.port.to_string();
        backup.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "--no-sync"]);
        run(backup.args(["-c", "fast", "-X", "stream", "-D"]).arg(&to))?;
        Ok(to)
    }

    /// The server goes down and comes back with what it had at that backup.
    ///
    /// # Errors
    ///
    /// It does not come back.
    pub fn restore(&self, backup: &PathBuf) -> Result<(), String> {
        self.control(&["-m", "immediate", "stop"])?;
        std::fs::remove_dir_all(self.data()).map_err(|error| error.to_string())?;
        run(Command::new("cp").arg("-a").arg(backup).arg(self.data()))?;
        self.control(&["start"])
    }
}

/// The processes that one has begun.
fn children(of: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = processes.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|process| state(process).is_some_and(|(_, parent)| parent == of)).collect()
}

fn is_running(process: &str) -> bool {
    // One that nobody has reaped yet runs no more.
    state(process).is_some_and(|(state, _)| state != "Z")
}

/// The state of a process, and its parent.
fn state(process: &str) -> Option<(String, String)> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut words = stat.rsplit(") ").next()?.split(' ').map(str::to_owned);
    Some((words.next()?, words.next()?))
}

#[expect(clippy::disallowed_methods, reason = "servers take their time")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Settings, cluster};

    fn rows(cluster: &Cluster, query: &str) -> Result<String, String> {
        let mut ask = cluster.program("psql");
        let port = cluster.port.to_string();
        ask.args(["-X", "-A", "-t", "-q", "-h", "127.0.0.1", "-p", &port, "-U", "postgres"]);
        run(ask.args(["-v", "ON_ERROR_STOP=1", "-c", query])).map(|output| text(&output))
    }

    #[test]
    fn a_standby_takes_over_with_all_that_was_acknowledged() {
        let Some(primary) = cluster(&Settings::default()) else { return };
        let standby = primary.standby(primary.port(), Copying::Synchronous).unwrap();
        rows(&primary, "create table t as select 1 as n").unwrap();
        primary.crash().unwrap();
        rows(&primary, "insert into t values (2)").unwrap();
        primary.destroy().unwrap();
        rows(&primary, "select 1").unwrap_err();
        standby.promote().unwrap();
        assert_eq!(rows(&standby, "select count(*) from t").unwrap(), "2");
    }

    #[test]
    fn an_older_backup_comes_back() {
        let Some(cluster) = cluster(&Settings::default()) else { return };
        rows(&cluster, "create table t as select 1 as n").unwrap();
        let backup = cluster.backup().unwrap();
        rows(&cluster, "insert into t values (2)").unwrap();
        cluster.restore(&backup).unwrap();
        assert_eq!(rows(&cluster, "select count(*) from t").unwrap(), "1");
    }
}
