//! A process is killed again and again at random moments; nothing is lost and
//! nothing happens twice that must not.
//!
//! `KILLS=2000 cargo it kill` is the long mode.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::Row as _;
use workflow_tests::chance::Chance;
use workflow_tests::{Place, lines};

struct Acks {
    accepted: BTreeSet<String>,
    finished: bool,
}

fn victim(place: &Place, from: u64, to: u64) -> Child {
    Command::new(env!("CARGO_BIN_EXE_victim"))
        .args(["web"])
        .args([place.path("test.db"), place.path("ledger")])
        .args([from.to_string(), to.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a victim")
}

/// What the victim acknowledged before it ended.
fn listen(victim: &mut Child) -> std::thread::JoinHandle<Acks> {
    let output = victim.stdout.take().expect("its output");
    std::thread::spawn(move || {
        let mut acks = Acks { accepted: BTreeSet::new(), finished: false };
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            match line.as_str() {
                "all ended" => acks.finished = true,
                id => drop(acks.accepted.insert(id.to_owned())),
            }
        }
        acks
    })
}

#[expect(clippy::disallowed_methods, reason = "the moment of the kill is real time")]
fn kill_after(victim: &mut Child, millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
    victim.kill().expect("killed");
    victim.wait().expect("dead");
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[tokio::test]
async fn every_acknowledged_start_ends_and_no_checkpointed_step_runs_again() {
    let kills = number("KILLS", 200);
    let mut chance = Chance::from_env("KILL_SEED");
    let place = Place::new();
    let (mut accepted, mut to) = (BTreeSet::new(), 0);
    for _ in 0..kills {
        let from = to;
        to += chance.below(6);
        let mut child = victim(&place, from, to);
        let acks = listen(&mut child);
        kill_after(&mut child, 4 + chance.below(90));
        accepted.extend(acks.join().expect("heard").accepted);
    }
    // The last one is left alone.
    let mut child = victim(&place, to, to + 100);
    let acks = listen(&mut child).join().expect("heard");
    assert!(child.wait().expect("ended").success() && acks.finished);
    accepted.extend(acks.accepted);
    check(&place, &accepted).await;
}

/// One line of the ledger.
struct Effect {
    life: i64,
    key: String,
    stage: String,
    input: String,
    token: String,
}

fn effects(ledger: &Path) -> BTreeMap<String, Vec<Effect>> {
    let mut all: BTreeMap<String, Vec<Effect>> = BTreeMap::new();
    for line in lines(ledger) {
        let words: Vec<&str> = line.split(' ').collect();
        let [life, run, key, stage, input, token] = words[..] else { panic!("`{line}`") };
        let [key, stage, input, token] = [key, stage, input, token].map(str::to_owned);
        let life = life.parse().expect("a life");
        all.entry(run.to_owned()).or_default().push(Effect { life, key, stage, input, token });
    }
    all
}

/// A step's checkpoint: who wrote it, and the token it holds.
type Checkpoint = (i64, String);

async fn check(place: &Place, accepted: &BTreeSet<String>) {
    let mut sql = place.sql().await;
    let open: i64 = sqlx::query_scalar("select count(*) from runs where status <> 1")
        .fetch_one(&mut sql)
        .await
        .unwrap();
    assert_eq!(open, 0, "runs that did not complete");
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from active) + (select count(*) from attempts)",
    )
    .fetch_one(&mut sql)
    .await
    .unwrap();
    assert_eq!(left, 0, "rows of open runs are left over");
    let effects = effects(&place.path("ledger"));
    let runs = sqlx::query("select id, workflow_id, output from runs").fetch_all(&mut sql).await;
    let mut known = BTreeSet::new();
    for run in runs.unwrap() {
        let (number, id): (i64, String) = (run.get("id"), run.get("workflow_id"));
        let output: String = run.get("output");
        let rows = sqlx::query("select * from history where run = $1 order by seq")
            .bind(number)
            .fetch_all(&mut sql)
            .await
            .unwrap();
        let mut checkpoints = Vec::new();
        for (row, seq) in rows.iter().zip(1_i64..) {
            assert_eq!(row.get::<i64, _>("seq"), seq, "{id} has a gap");
            if row.get::<String, _>("kind") == "step" {
                let payload: String = row.get("payload");
                let token = payload.trim_start_matches("{\"ok\":\"").trim_end_matches("\"}");
                checkpoints.push((row.get("writer"), token.to_owned()));
            }
        }
        check_run(&id, &effects[&id], &checkpoints, &output);
        known.insert(id);
    }
    let lost: Vec<_> = accepted.difference(&known).collect();
    assert!(lost.is_empty(), "acknowledged starts are gone: {lost:?}");
    println!("{} runs, {} acknowledged", known.len(), accepted.len());
}

fn check_run(id: &str, effects: &[Effect], checkpoints: &[Checkpoint], output: &str) {
    let by_token: BTreeMap<&str, &Effect> =
        effects.iter().map(|effect| (effect.token.as_str(), effect)).collect();
    let mut used: BTreeMap<&str, (&Effect, i64)> = BTreeMap::new();
    for (writer, token) in checkpoints {
        let effect = by_token.get(token.as_str());
        let effect = effect.unwrap_or_else(|| panic!("{id}: a result that is in no ledger"));
        let before = used.insert(&effect.stage, (effect, *writer));
        assert!(before.is_none(), "{id}: stage {} has two checkpoints", effect.stage);
    }
    let stages: Vec<_> = used.keys().copied().collect();
    assert_eq!(stages, ["a", "b", "c", "d", "e"], "{id}");
    let token = |stage: &str| used[stage].0.token.clone();
    let number = id.trim_start_matches("web-").to_owned();
    for effect in effects {
        let input = match effect.stage.as_str() {
            "a" => number.clone(),
            "b" | "d" => token("a"),
            "c" => token("b"),
            _ => format!("{}+{}", token("c"), token("d")),
        };
        assert_eq!(effect.input, input, "{id}: an effect on a value that is not in the history");
        let (checkpoint, writer) = used[effect.stage.as_str()];
        assert!(effect.life <= writer, "{id}: {} ran again after its checkpoint", effect.stage);
        assert_eq!(effect.key, checkpoint.key, "{id}: the key of {} changed", effect.stage);
    }
    let mut lives: Vec<_> = effects.iter().map(|effect| (&effect.stage, effect.life)).collect();
    lives.sort_unstable();
    let count = lives.len();
    lives.dedup();
    assert_eq!(lives.len(), count, "{id}: a step ran twice in one life");
    assert!(output.contains(&token("e")), "{id}: {output}");
}
