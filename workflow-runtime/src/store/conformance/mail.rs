//! Messages between runs, and children.

use std::sync::Arc;

use super::generations::{newest, reserved, restarting};
use super::{ME, OTHER, at, commit, commit_one, ending, over, rows, rows_by, start};
use crate::model::{
    Answer, Asker, Block, CallId, Command, CommandKind, EventKind, Item, MailKind, Post, RunId,
    Start, Status, Traffic, Undelivered,
};
use crate::store::{SOUND, Store};

fn post(message: &str, to: &str) -> Post {
    let (name, body) = ("Approval".into(), format!("{{\"by\":\"{message}\"}}").into());
    let (message, to) = (message.into(), to.into());
    Post { message, to, asker: None, name, body, at: at(2_000), limit: 3 }
}

async fn send(store: &dyn Store, message: &str, to: &str) -> Result<(), Undelivered> {
    store.post(vec![post(message, to)]).await.unwrap().remove(0)
}

/// The messages of a run that its owner is told of now, and how many came.
async fn news(store: &dyn Store, run: i64) -> (Vec<(i64, String)>, i64) {
    let all = store.news(ME).await.unwrap().of_runs;
    let of_run = all.into_iter().find(|news| news.run == RunId(run));
    let Some(of_run) = of_run else { return (Vec::new(), 0) };
    let body = |body: &str| {
        let text = body.strip_prefix("{\"by\":\"").and_then(|body| body.strip_suffix("\"}"));
        text.unwrap_or(body).to_owned()
    };
    let mail = of_run.mail.iter().map(|one| (one.number, body(&one.body))).collect();
    (mail, of_run.heard)
}

fn bodies(mail: &[(i64, String)]) -> Vec<&str> {
    mail.iter().map(|(_, body)| &**body).collect()
}

/// A signal that its run had when it ended.
fn not_taken(message: &str) -> Box<Traffic> {
    let letter = ("Approval".into(), format!("{{\"by\":\"{message}\"}}").into());
    Box::new(Traffic { not_taken: vec![letter], ..Traffic::default() })
}

fn asking(mut item: Item, traffic: Traffic) -> Item {
    item.traffic = Some(Box::new(traffic));
    item
}

fn taking(run: i64, seq: u32, numbers: &[i64]) -> Item {
    let mut item = rows(run, seq..=seq);
    item.events[0].kind = EventKind::Signal;
    asking(item, Traffic { taken: numbers.to_vec(), ..Traffic::default() })
}

fn child(call: u32, id: &str) -> (CallId, Start) {
    let start = Start {
        workflow: "pack".into(),
        id: id.into(),
        args: "[7]".into(),
        seed: 3,
        decided: None,
        meta: None,
        parent: None,
        queued: true,
        at: at(3_000),
    };
    (CallId(call), start)
}

async fn status(store: &dyn Store, id: &str) -> Option<Status> {
    store.find(id).await.unwrap().map(|record| record.status())
}

async fn a_signal_is_there_once_and_its_owner_is_told_once(store: Arc<dyn Store>) {
    commit_one(&*store, start(1, "one")).await;
    for _ in 0..2 {
        assert_eq!(send(&*store, "a", "one").await, Ok(()));
        assert_eq!(send(&*store, "b", "one").await, Ok(()));
    }
    let (mail, heard) = news(&*store, 1).await;
    assert_eq!((bodies(&mail), heard), (vec!["a", "b"], 2));
    assert_eq!(news(&*store, 1).await, (Vec::new(), 0));
    let stored = store.load(&[RunId(1)]).await.unwrap().remove(0).1.unwrap();
    assert_eq!((stored.mail.len(), stored.record.open.unwrap().mail), (2, 2));
    assert_eq!((stored.mail[0].kind, &*stored.mail[0].name), (MailKind::Signal, "Approval"));
    // Taken, it is gone, and still known.
    let item = taking(1, 1, &[mail[0].0]);
    for _ in 0..2 {
        assert_eq!(commit_one(&*store, item.clone()).await, Answer::Committed);
        assert_eq!(send(&*store, "a", "one").await, Ok(()));
    }
    let stored = store.load(&[RunId(1)]).await.unwrap().remove(0).1.unwrap();
    assert_eq!(stored.mail.iter().map(|one| one.number).collect::<Vec<_>>(), [mail[1].0]);
}

async fn what_cannot_be_delivered_says_why(store: Arc<dyn Store>) {
    commit(&*store, &[start(1, "one"), start(2, "two")]).await;
    for message in ["a", "b", "c"] {
        assert_eq!(send(&*store, message, "one").await, Ok(()));
    }
    assert_eq!(send(&*store, "d", "one").await, Err(Undelivered::Full));
    assert_eq!(send(&*store, "a", "one").await, Ok(()), "it is there");
    let (mail, _) = news(&*store, 1).await;
    commit_one(&*store, taking(1, 1, &[mail[0].0])).await;
    assert_eq!(send(&*store, "d", "one").await, Ok(()));
    commit_one(&*store, ending(rows(2, 1..=1), "{}")).await;
    assert_eq!(send(&*store, "e", "two").await, Err(Undelivered::Ended));
}

async fn a_signal_wakes_a_run_that_waits_but_none_that_is_set_aside(store: Arc<dyn Store>) {
    commit(&*store, &[start(1, "one"), start(2, "two")]).await;
    let mut park = Item::new(RunId(1), ME);
    park.park = Some(at(90_000));
    let mut aside = Item::new(RunId(2), ME);
    aside.block = Some(Box::new(Block { build: "b".into(), report: "{}".into(), at: at(1_500) }));
    commit(&*store, &[park, aside]).await;
    send(&*store, "a", "one").await.unwrap();
    send(&*store, "b", "two").await.unwrap();
    assert_eq!(store.claim(OTHER, at(2_000), 9, SOUND).await.unwrap(), [RunId(1)]);
    let stored = store.load(&[RunId(1)]).await.unwrap().remove(0).1.unwrap();
    assert_eq!(stored.mail.len(), 1);
}

async fn a_run_does_not_leave_memory_with_a_message_that_it_does_not_know(store: Arc<dyn Store>) {
    commit(&*store, &[start(1, "one"), start(2, "two")]).await;
    send(&*store, "a", "one").await.unwrap();
    let (_, heard) = news(&*store, 1).await;
    send(&*store, "b", "two").await.unwrap();
    let parked = |run, heard| {
        let mut item = Item::new(RunId(run), ME);
        (item.park, item.heard) = (Some(at(90_000)), heard);
        item
    };
    commit(&*store, &[parked(1, heard), parked(2, 0)]).await;
    assert_eq!(store.claim(ME, at(2_000), 9, SOUND).await.unwrap(), [RunId(2)]);
}

async fn a_signal_for_a_run_that_is_not_started_waits_for_it(store: Arc<dyn Store>) {
    for _ in 0..2 {
        assert_eq!(send(&*store, "a", "later").await, Ok(()));
    }
    send(&*store, "b", "later").await.unwrap();
    send(&*store, "c", "later").await.unwrap();
    assert_eq!(send(&*store, "d", "later").await, Err(Undelivered::Full));
    assert!(store.news(ME).await.unwrap().early);
    commit_one(&*store, start(1, "later")).await;
    // Also where more is sent before anybody looks: what came first is first.
    assert_eq!(send(&*store, "d", "later").await, Err(Undelivered::Full));
    let (mail, heard) = news(&*store, 1).await;
    assert_eq!((bodies(&mail), heard), (vec!["a", "b", "c"], 3));
    assert!(!store.news(ME).await.unwrap().early);
    assert_eq!(send(&*store, "a", "later").await, Ok(()));
    assert_eq!(news(&*store, 1).await.0.len(), 0);
}

async fn what_was_not_received_waits_for_people(store: Arc<dyn Store>) {
    commit_one(&*store, start(1, "one")).await;
    send(&*store, "a", "one").await.unwrap();
    send(&*store, "b", "one").await.unwrap();
    let (mail, heard) = news(&*store, 1).await;
    let mut item = ending(taking(1, 1, &[mail[0].0]), "{}");
    item.heard = heard;
    // Delivered to code that did not take it.
    item.last_traffic = Some(not_taken("a"));
    for _ in 0..2 {
        assert_eq!(commit_one(&*store, item.clone()).await, Answer::Committed);
    }
    let letters = store.dead_letters(None, 10).await.unwrap();
    // The newest first.
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[1].body(), Some("{\"by\":\"a\"}"));
    assert_eq!((letters[0].kind(), letters[0].id()), ("signal", "one"));
    assert_eq!(letters[0].body(), Some("{\"by\":\"b\"}"));
    assert!(letters[0].reason().contains("`Approval`"), "{}", letters[0].reason());
    // Also where somebody else ends it.
    commit_one(&*store, start(2, "two")).await;
    send(&*store, "c", "two").await.unwrap();
    let terminate = Command {
        number: 0,
        kind: CommandKind::Terminate,
        by: "ada".into(),
        reason: None,
        at: at(2_500),
    };
    store.command(RunId(2), terminate).await.unwrap();
    assert_eq!(store.dead_letters(None, 10).await.unwrap().len(), 3);
    assert_eq!(store.delete(&[RunId(1), RunId(2)]).await.unwrap(), 2);
    assert!(store.dead_letters(None, 10).await.unwrap().is_empty());
}

async fn what_was_not_received_goes_to_the_next_generation(store: Arc<dyn Store>) {
    reserved(&*store).await;
    commit_one(&*store, start(1, "one")).await;
    for message in ["a", "b", "c"] {
        send(&*store, message, "one").await.unwrap();
    }
    let (mail, heard) = news(&*store, 1).await;
    // One was taken, one was delivered to code that did not take it, one waits.
    let mut item = restarting(taking(1, 1, &[mail[0].0, mail[1].0]), "one", "[2]");
    item.heard = heard;
    item.last_traffic = Some(not_taken("b"));
    for _ in 0..2 {
        assert_eq!(commit_one(&*store, item.clone()).await, Answer::Committed);
    }
    let next = newest(&*store, "one").await;
    assert_eq!(store.claim(ME, at(9_000), 9, SOUND).await.unwrap(), [next.run]);
    let (mail, _) = news(&*store, next.run.0).await;
    // What it had comes before what it never had.
    assert_eq!(bodies(&mail), ["b", "c"]);
    assert!(store.dead_letters(None, 10).await.unwrap().is_empty());
}

async fn a_child_is_started_with_the_turn_that_asks_for_it_and_once(store: Arc<dyn Store>) {
    reserved(&*store).await;
    commit(&*store, &[start(1, "one"), start(2, "taken")]).await;
    let children = vec![child(0, "one/pack-0"), child(1, "taken")];
    let item = asking(rows(1, 1..=1), Traffic { children, ..Traffic::default() });
    let taken = Answer::Undelivered(vec![(CallId(1), Undelivered::Taken)]);
    for _ in 0..2 {
        assert_eq!(commit_one(&*store, item.clone()).await, taken);
    }
    let record = newest(&*store, "one/pack-0").await;
    assert_eq!((&*record.workflow, &*record.args, record.seed), ("pack", "[7]", 3));
    assert_eq!((record.parent, record.status()), (Some((RunId(1), CallId(0))), Status::Queued));
    assert_eq!(store.claim(OTHER, at(3_000), 9, SOUND).await.unwrap(), [record.run]);
    // Its end and the notice are one commit.
    let mut end = ending(rows_by(record.run.0, 1..=1, OTHER), "{\"ok\":7}");
    end.parent = Some(RunId(1));
    for _ in 0..2 {
        assert_eq!(commit_one(&*store, end.clone()).await, Answer::Committed);
    }
    let stored = store.load(&[RunId(1)]).await.unwrap().remove(0).1.unwrap();
    let [notice] = &stored.mail[..] else { panic!("{:?}", stored.mail) };
    assert_eq!((notice.kind, notice.call), (MailKind::Child, Some(CallId(0))));
    assert_eq!(&*notice.body, "{\"ok\":7}");
    commit_one(&*store, taking(1, 2, &[notice.number])).await;
    // Started again after all that, it is there.
    let again = asking(
        Item::new(RunId(1), ME),
        Traffic { children: vec![child(0, "one/pack-0")], ..Traffic::default() },
    );
    assert_eq!(commit_one(&*store, again).await, Answer::Committed);
    let stored = store.load(&[RunId(1)]).await.unwrap().remove(0).1.unwrap();
    assert!(stored.mail.is_empty());
}

async fn a_child_is_cancelled_by_its_parent_and_nobody_elses_run_is(store: Arc<dyn Store>) {
    reserved(&*store).await;
    commit(&*store, &[start(1, "one"), start(2, "two")]).await;
    let children = vec![child(0, "one/pack-0")];
    commit_one(&*store, asking(rows(1, 1..=1), Traffic { children, ..Traffic::default() })).await;
    let cancels = vec![
        (CallId(0), "one/pack-0".into(), "its parent one".into()),
        (CallId(0), "two".into(), "its parent one".into()),
        (CallId(0), "nobody".into(), "its parent one".into()),
    ];
    let item = asking(rows(1, 2..=2), Traffic { cancels, ..Traffic::default() });
    assert_eq!(commit_one(&*store, item).await, Answer::Committed);
    let child = newest(&*store, "one/pack-0").await.run;
    let stored = store.load(&[child, RunId(2)]).await.unwrap();
    let cancels: Vec<usize> =
        stored.into_iter().map(|(_, stored)| stored.unwrap().cancels.len()).collect();
    let mut sorted = cancels.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 1], "{cancels:?}");
}

fn told(kind: CommandKind) -> Command {
    Command { number: 0, kind, by: "ada".into(), reason: None, at: at(4_000) }
}

async fn a_dead_parent_that_is_redriven_finds_its_mail_and_the_ends_of_its_children(
    store: Arc<dyn Store>,
) {
    reserved(&*store).await;
    commit_one(&*store, start(1, "one")).await;
    let children = vec![child(0, "child")];
    commit_one(&*store, asking(rows(1, 1..=1), Traffic { children, ..Traffic::default() })).await;
    send(&*store, "a", "one").await.unwrap();
    // The child sleeps while its parent dies.
    let child = newest(&*store, "child").await.run;
    assert_eq!(store.claim(ME, at(9_000), 9, SOUND).await.unwrap(), [child]);
    let mut sleeps = rows(child.0, 1..=1);
    sleeps.park = Some(at(90_000_000));
    commit_one(&*store, sleeps).await;
    for life in 10_i64..16 {
        let mut take_over = over(crate::model::WriterId(life), "b", life * 1_000_000);
        take_over.max_claims = 3;
        store.take_over(take_over).await.unwrap();
        let writer = crate::model::WriterId(life);
        store.claim(writer, at(life * 1_000_000), 9, 0..=9).await.unwrap();
    }
    assert_eq!(status(&*store, "one").await, Some(Status::Dead));
    store.command(child, told(CommandKind::Terminate)).await.unwrap();
    store.command(RunId(1), told(CommandKind::Redrive)).await.unwrap();
    assert_eq!(store.claim(ME, at(80_000_000), 9, SOUND).await.unwrap(), [RunId(1)]);
    let stored = store.load(&[RunId(1)]).await.unwrap().remove(0).1.unwrap();
    let kinds: Vec<MailKind> = stored.mail.iter().map(|mail| mail.kind).collect();
    assert_eq!(kinds, [MailKind::Signal, MailKind::Child]);
    // What it does not take then waits for people.
    let mut item = ending(rows(1, 2..=2), "{}");
    item.heard = stored.record.open.map_or(0, |open| open.mail);
    assert_eq!(commit_one(&*store, item).await, Answer::Committed);
    let letters = store.dead_letters(None, 10).await.unwrap();
    assert!(letters.iter().any(|letter| letter.body() == Some("{\"by\":\"a\"}")), "{letters:?}");
}

async fn a_request_that_was_taken_is_the_next_generations_and_has_a_reply_at_its_end(
    store: Arc<dyn Store>,
) {
    reserved(&*store).await;
    commit_one(&*store, start(1, "one")).await;
    let asked = Post { asker: Some(Asker::Client), ..post("q", "one") };
    store.post(vec![asked]).await.unwrap().remove(0).unwrap();
    let (mail, heard) = news(&*store, 1).await;
    let mut item = restarting(taking(1, 1, &[mail[0].0]), "one", "[2]");
    item.heard = heard;
    assert_eq!(commit_one(&*store, item).await, Answer::Committed);
    let next = newest(&*store, "one").await.run;
    assert_eq!(store.claim(ME, at(9_000), 9, SOUND).await.unwrap(), [next]);
    assert!(store.reply("q").await.unwrap().is_none());
    let stored = store.load(&[next]).await.unwrap().remove(0).1.unwrap();
    let mut item = ending(rows(next.0, 1..=1), "{}");
    item.heard = stored.record.open.map_or(0, |open| open.mail);
    assert_eq!(commit_one(&*store, item).await, Answer::Committed);
    assert!(store.reply("q").await.unwrap().is_some(), "nobody answers");
}

async fn whoever_ends_a_child_tells_its_parent(store: Arc<dyn Store>) {
    reserved(&*store).await;
    commit_one(&*store, start(1, "one")).await;
    let children = vec![child(0, "terminated"), child(1, "dies")];
    commit_one(&*store, asking(rows(1, 1..=1), Traffic { children, ..Traffic::default() })).await;
    let run = newest(&*store, "terminated").await.run;
    let (by, kind, at_) = ("ada".into(), CommandKind::Terminate, at(4_000));
    store.command(run, Command { number: 0, kind, by, reason: None, at: at_ }).await.unwrap();
    let (mail, _) = news(&*store, 1).await;
    assert_eq!(mail.len(), 1);
    // What is dead may be redriven: its parent waits.
    for life in 10_i64..14 {
        let writer = crate::model::WriterId(life);
        store.claim(writer, at(life * 1_000_000), 9, 0..=9).await.unwrap();
        let mut take_over = over(crate::model::WriterId(life + 1), "b", life * 1_000_000);
        take_over.max_claims = 3;
        store.take_over(take_over).await.unwrap();
    }
    assert_eq!(status(&*store, "dies").await, Some(Status::Dead));
    let stored = store.load(&[RunId(1)]).await.unwrap().remove(0).1.unwrap();
    assert_eq!(stored.mail.len(), 1);
}

async fn signals_of_runs_go_with_their_turns(store: Arc<dyn Store>) {
    commit(&*store, &[start(1, "one"), start(2, "two"), start(3, "three")]).await;
    commit_one(&*store, ending(rows(3, 1..=1), "{}")).await;
    let posts = vec![(CallId(0), post("a", "two")), (CallId(1), post("b", "three"))];
    let item = asking(rows(1, 1..=1), Traffic { posts, ..Traffic::default() });
    let ended = Answer::Undelivered(vec![(CallId(1), Undelivered::Ended)]);
    // In one batch with an item of the receiver.
    let answers = commit(&*store, &[item.clone(), rows(2, 1..=1)]).await;
    assert_eq!(answers, [ended.clone(), Answer::Committed]);
    assert_eq!(commit_one(&*store, item.clone()).await, ended);
    assert_eq!(bodies(&news(&*store, 2).await.0), ["a"]);
    // An item that conflicts asks for nothing.
    let posts = vec![(CallId(0), post("c", "two"))];
    let zombie = asking(rows_by(1, 1..=1, OTHER), Traffic { posts, ..Traffic::default() });
    assert_eq!(commit_one(&*store, zombie).await, Answer::Conflict);
    assert!(news(&*store, 2).await.0.is_empty());
}

super::conformance! {
    a_signal_is_there_once_and_its_owner_is_told_once
    what_cannot_be_delivered_says_why
    a_signal_wakes_a_run_that_waits_but_none_that_is_set_aside
    a_run_does_not_leave_memory_with_a_message_that_it_does_not_know
    a_signal_for_a_run_that_is_not_started_waits_for_it
    what_was_not_received_waits_for_people
    what_was_not_received_goes_to_the_next_generation
    a_child_is_started_with_the_turn_that_asks_for_it_and_once
    a_child_is_cancelled_by_its_parent_and_nobody_elses_run_is
    a_dead_parent_that_is_redriven_finds_its_mail_and_the_ends_of_its_children
    a_request_that_was_taken_is_the_next_generations_and_has_a_reply_at_its_end
    whoever_ends_a_child_tells_its_parent
    signals_of_runs_go_with_their_turns
}
