//! A disk that does not take what it is given: `fsync` fails.
//!
//! Needs Linux and a C compiler.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use workflow_tests::Place;
use workflow_tests::disk::skip;

use crate::power::{Victim, check, check_that_it_goes_on, wait_until};

/// Stands before the C library. Where there is a file `$SYNC_FAILS-once`, one
/// sync fails and the file is gone. As long as there is `$SYNC_FAILS-always`,
/// every one fails, and `$SYNC_FAILS-seen` appears.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *name(char *buffer, const char *end) {
    const char *base = getenv("SYNC_FAILS");
    snprintf(buffer, PATH_MAX, "%s%s", base ? base : "", end);
    return buffer;
}

static int fails(void) {
    char buffer[PATH_MAX];
    if (unlink(name(buffer, "-once")) == 0) return 1;
    if (access(name(buffer, "-always"), F_OK) != 0) return 0;
    int seen = creat(name(buffer, "-seen"), 0600);
    if (seen >= 0) close(seen);
    return 1;
}

int fsync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    if (fails()) { errno = EIO; return -1; }
    return real(fd);
}

int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (fails()) { errno = EIO; return -1; }
    return real(fd);
}
"#;

/// The compiled shim; or why there is none.
fn shim(place: &Place) -> Result<PathBuf, String> {
    if !cfg!(target_os = "linux") {
        return Err("`LD_PRELOAD` needs Linux".to_owned());
    }
    let (source, library) = (place.path("shim.c"), place.path("shim.so"));
    std::fs::write(&source, SHIM).map_err(|error| error.to_string())?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl");
    match cc.status() {
        // It is ours: that it does not compile is no reason to skip.
        Ok(status) => assert!(status.success(), "the shim does not compile"),
        Err(error) => return Err(format!("no C compiler: {error}")),
    }
    Ok(library)
}

/// A victim whose syncs can fail.
fn victim(place: &Place, shim: &Path) -> Victim {
    let mut command = Victim::command(&place.path(""));
    command.env("LD_PRELOAD", shim).env("SYNC_FAILS", place.path("sync"));
    let mut victim = Victim::start(&mut command);
    victim.hear(10);
    victim
}

/// Kills it, and looks at what it leaves.
async fn check_after(victim: Victim, place: &Place) {
    let acknowledged = victim.acknowledged();
    drop(victim);
    let file = place.path("test.db");
    check(&file, &acknowledged).await;
    check_that_it_goes_on(&file, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_loses_nothing_and_work_goes_on() {
    let place = Place::new();
    let shim = match shim(&place) {
        Ok(shim) => shim,
        Err(reason) => return skip(&reason),
    };
    let mut victim = victim(&place, &shim);
    let once = place.path("sync-once");
    for _ in 0..10 {
        std::fs::write(&once, "").unwrap();
        wait_until("a sync fails", || !once.exists());
        // By itself.
        victim.hear(20);
    }
    check_after(victim, &place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_no_sync_succeeds_nothing_is_acknowledged_and_nothing_fails() {
    let place = Place::new();
    let shim = match shim(&place) {
        Ok(shim) => shim,
        Err(reason) => return skip(&reason),
    };
    let mut victim = victim(&place, &shim);
    let (always, seen) = (place.path("sync-always"), place.path("sync-seen"));
    for _ in 0..3 {
        std::fs::write(&always, "").unwrap();
        wait_until("a sync fails", || seen.exists());
        // What was synced before that may be said yet; then it is silent.
        let mut before = usize::MAX;
        wait_until("it is silent", || {
            let count = victim.count();
            let silent = count == before;
            before = count;
            if !silent {
                pause(300);
            }
            silent
        });
        std::fs::remove_file(&always).unwrap();
        std::fs::remove_file(&seen).unwrap();
        victim.hear(20);
    }
    check_after(victim, &place).await;
}

#[expect(clippy::disallowed_methods, reason = "silence takes real time")]
fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}
