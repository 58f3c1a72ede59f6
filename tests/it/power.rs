//! Power cuts: what was acknowledged is on the disk, whatever else is lost.
//!
//! Needs Linux and root. `CUTS=500 cargo it power` is the long mode.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sqlx::Connection as _;
use workflow_tests::Place;
use workflow_tests::chance::Chance;
use workflow_tests::disk::{Disk, skip};
use workflow_tests::served::doubled;

use crate::disk::builder;
use crate::steps::World;

/// How long anything may take before its test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until that holds; not for ever.
#[expect(clippy::disallowed_methods, reason = "other processes take real time")]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "after {PATIENCE:?} not yet: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[expect(clippy::disallowed_methods, reason = "the moment of a cut is real time")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// A process that starts runs without end, in eight lanes, and says what was
/// acknowledged: `start <lane>-<number>`, `end <lane>-<number>`.
pub(crate) struct Victim {
    child: Child,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Victim {
    /// What runs one on `test.db` in that folder.
    pub(crate) fn command(folder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_victim"));
        command.arg("power").args([folder.join("test.db"), folder.join("ledger")]);
        command
    }

    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("a victim");
        let output = child.stdout.take().expect("its output");
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let lines = Arc::clone(&heard);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        Self { child, heard }
    }

    pub(crate) fn acknowledged(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    fn assert_lives(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "the victim ended by itself");
    }

    /// Waits for so many more acknowledgements.
    pub(crate) fn hear(&mut self, more: usize) {
        let goal = self.count() + more;
        wait_until("it acknowledges more", || {
            self.assert_lives();
            self.count() >= goal
        });
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Stops it. When this returns none of its threads runs, and none is in the
    /// middle of a write or a sync.
    fn stop(&mut self) {
        self.signal("-STOP");
        let threads = format!("/proc/{}/task", self.child.id());
        wait_until("it is stopped", || are_stopped(&threads));
        self.assert_lives();
    }

    fn go_on(&self) {
        self.signal("-CONT");
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It may be dead already.
        let _dead = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn are_stopped(threads: &str) -> bool {
    let threads = std::fs::read_dir(threads).unwrap().flatten();
    let mut stats = threads.filter_map(|it| std::fs::read_to_string(it.path().join("stat")).ok());
    // The state comes after the name, which may hold anything.
    stats.all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
}

/// As it stands in `runs.status`.
const OPEN: i64 = 0;
const COMPLETED: i64 = 1;

/// Status by id, from a copy: who opens a file and closes it tidies it up. None
/// where there is no such file or no such table.
async fn runs_in(file: &Path) -> Option<BTreeMap<String, i64>> {
    let place = Place::new();
    for end in ["", "-wal"] {
        let mut from = file.as_os_str().to_owned();
        from.push(end);
        if Path::new(&from).exists() {
            std::fs::copy(&from, place.path(&format!("test.db{end}"))).unwrap();
        }
    }
    if !place.path("test.db").exists() {
        return None;
    }
    let mut sql = place.sql().await;
    let sound: String =
        sqlx::query_scalar("pragma integrity_check").fetch_one(&mut sql).await.unwrap();
    assert_eq!(sound, "ok");
    let query = sqlx::query_as::<_, (String, i64)>("select workflow_id, status from runs");
    let runs = query.fetch_all(&mut sql).await.ok();
    sql.close().await.unwrap();
    Some(runs?.into_iter().collect())
}

fn is_there(line: &str, runs: &BTreeMap<String, i64>) -> bool {
    let (what, id) = line.split_once(' ').unwrap();
    runs.get(id).is_some_and(|status| what == "start" || *status == COMPLETED)
}

/// What was acknowledged and is not there.
fn lost<'a>(acknowledged: &'a [String], runs: &BTreeMap<String, i64>) -> Vec<&'a String> {
    acknowledged.iter().filter(|line| !is_there(line, runs)).collect()
}

/// Everything that was acknowledged is in the file, no run failed, and the file
/// is whole.
pub(crate) async fn check(file: &Path, acknowledged: &[String]) {
    let runs = runs_in(file).await.expect("a table of runs");
    let lost = lost(acknowledged, &runs);
    assert!(lost.is_empty(), "lost of {}: {lost:?}", acknowledged.len());
    assert!(runs.values().all(|status| [OPEN, COMPLETED].contains(status)), "a run failed");
}

/// A runtime opens the file, and the last run of each lane has its result or
/// gets it: the ones before it had ended.
pub(crate) async fn check_that_it_goes_on(file: &Path, acknowledged: &[String]) {
    let (beside, world) = (Place::new(), Arc::<World>::default());
    let runtime = builder(file, &beside, &world).build().await.unwrap();
    let mut last = BTreeMap::new();
    for line in acknowledged {
        let (_, id) = line.split_once(' ').unwrap();
        let (lane, number) = id.split_once('-').unwrap();
        last.insert(lane, (id, number.parse::<u32>().unwrap()));
    }
    for (id, number) in last.into_values() {
        let run = runtime.handle(doubled, id);
        assert_eq!(run.result().within(PATIENCE).await.unwrap(), number * 2, "{id}");
    }
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_power_cut() {
    let disk = match Disk::new(64) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let cuts: u32 = std::env::var("CUTS").map_or(50, |text| text.parse().unwrap());
    let mut chance = Chance::from_env("CUT_SEED");
    let mut victim = Victim::start(&mut Victim::command(&disk.root()));
    victim.hear(10);
    for cut in 1..=cuts {
        victim.hear(usize::try_from(chance.below(40)).unwrap());
        // Not only just after an answer.
        pause(Duration::from_micros(chance.below(3_000)));
        victim.stop();
        let copy = Disk::cut(&disk).unwrap();
        // Heard while it is stopped, said before.
        let acknowledged = victim.acknowledged();
        println!("cut {cut}: {} acknowledgements", acknowledged.len());
        let file = copy.root().join("test.db");
        check(&file, &acknowledged).await;
        check_that_it_goes_on(&file, &acknowledged).await;
        // It stands still until here: its disk is not full after many cuts.
        victim.go_on();
    }
}

/// The proof that a cut takes something: without a sync per commit it takes
/// what was acknowledged.
#[tokio::test]
async fn with_the_weaker_durability_a_power_cut_takes_what_was_acknowledged() {
    let disk = match Disk::new(64) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let mut victim = Victim::start(Victim::command(&disk.root()).arg("process-crash"));
    for cut in 1..=20 {
        victim.hear(50);
        victim.stop();
        let copy = Disk::cut(&disk).unwrap();
        let acknowledged = victim.acknowledged();
        let runs = runs_in(&copy.root().join("test.db")).await.unwrap_or_default();
        victim.go_on();
        let lost = lost(&acknowledged, &runs).len();
        println!("cut {cut}: {lost} of {} are lost", acknowledged.len());
        if lost > 0 {
            return;
        }
    }
    panic!("no cut took anything: what passes them proves nothing");
}
