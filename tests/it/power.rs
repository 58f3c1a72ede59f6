//! Power cuts, and disks that do not take what they are given.
//!
//! `CUTS=500 cargo it power` is the long mode.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use workflow_tests::disk::{Disk, skip};
use workflow_tests::{Place, chance::Chance};

/// A process that starts runs without end and says what was acknowledged.
struct Victim {
    child: Child,
    acknowledged: Arc<Mutex<Vec<String>>>,
}

impl Victim {
    fn on(folder: &Path, preload: Option<&Path>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_victim"));
        command.arg("power").args([folder.join("test.db"), folder.join("ledger")]);
        if let Some(library) = preload {
            command.env("LD_PRELOAD", library).env("FAIL_FSYNC", folder.join("fail"));
        }
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("a victim");
        let output = child.stdout.take().expect("its output");
        let acknowledged = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&acknowledged);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                heard.lock().unwrap().push(line);
            }
        });
        Self { child, acknowledged }
    }

    fn heard(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Waits until so many more lines were heard.
    fn hear(&mut self, more: usize) {
        let goal = self.heard() + more;
        while self.heard() < goal {
            assert!(self.child.try_wait().unwrap().is_none(), "the victim ended");
            pause(1);
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _dead = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "another process takes real time")]
fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// Whether everything that was acknowledged is in the file, and the file is
/// whole.
async fn check(file: &Path, acknowledged: &[String]) {
    let mut sql = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let sound: String =
        sqlx::query_scalar("pragma integrity_check").fetch_one(&mut sql).await.unwrap();
    assert_eq!(sound, "ok");
    let known: Vec<(String, i64)> =
        sqlx::query_as("select workflow_id, status from runs").fetch_all(&mut sql).await.unwrap();
    let known: std::collections::BTreeMap<_, _> = known.into_iter().collect();
    for line in acknowledged {
        let (what, id) = line.split_once(' ').unwrap();
        let status = known.get(id).unwrap_or_else(|| panic!("the start of {id} is lost"));
        assert!(what == "start" || *status == 1, "the end of {id} is lost: {status}");
    }
    assert!(known.values().all(|status| [0, 1].contains(status)), "a run failed");
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut() {
    let disk = match Disk::new(48) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let cuts = std::env::var("CUTS").map_or(50, |text| text.parse().unwrap());
    let mut chance = Chance::from_env("CUT_SEED");
    let mut victim = Victim::on(&disk.root(), None);
    victim.hear(10);
    for cut in 0..cuts {
        victim.hear(usize::try_from(chance.below(40)).unwrap());
        victim.signal("-STOP");
        let acknowledged = victim.acknowledged.lock().unwrap().clone();
        let copy = Disk::cut(&disk).unwrap();
        victim.signal("-CONT");
        check(&copy.root().join("test.db"), &acknowledged).await;
        assert!(acknowledged.len() >= 10, "cut {cut} proves nothing");
    }
    println!("{cuts} cuts, {} acknowledgements", victim.heard());
}

/// Makes one `fsync` fail, each time when there is a file of that name.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
static int fails(void) {
    const char *path = getenv("FAIL_FSYNC");
    if (path && unlink(path) == 0) { errno = EIO; return 1; }
    return 0;
}
int fsync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return fails() ? -1 : real(fd);
}
int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return fails() ? -1 : real(fd);
}
"#;

#[tokio::test]
async fn a_disk_that_does_not_take_what_it_is_given_loses_nothing() {
    let place = Place::new();
    let (source, library) = (place.path("shim.c"), place.path("shim.so"));
    std::fs::write(&source, SHIM).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl");
    match cc.status() {
        Ok(status) if status.success() => {}
        other => return skip(&format!("no C compiler: {other:?}")),
    }
    let folder = library.parent().unwrap().to_owned();
    let mut victim = Victim::on(&folder, Some(&library));
    victim.hear(10);
    let trigger = folder.join("fail");
    for _ in 0..10 {
        std::fs::write(&trigger, "").unwrap();
        while trigger.exists() {
            victim.hear(1);
        }
        // It goes on by itself.
        victim.hear(20);
    }
    let acknowledged = victim.acknowledged.lock().unwrap().clone();
    drop(victim);
    check(&folder.join("test.db"), &acknowledged).await;
}
