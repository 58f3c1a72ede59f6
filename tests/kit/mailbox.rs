//! One mailbox, and everything that can befall it, in every order.

use workflow_runtime::testing::Sim;
use workflow_runtime::{Client, Failure, FailureKind, Result, Status, signal, step, workflow};

#[signal]
struct Parcel(u32);

#[step]
async fn mailbox_work() -> Result<()> {
    Ok(())
}

/// Cancels whoever has the mailbox.
#[step]
async fn mailbox_closes(#[state] client: &Client) -> Result<()> {
    client.handle(mailbox_owner, "owner").cancel().await?;
    Ok(())
}

/// Shows what it has taken, with the turn that takes it. Every generation works
/// while it waits for one; the second is the last.
#[workflow]
async fn mailbox_owner(generation: u32, taken: Vec<u32>) -> Result<Vec<u32>> {
    let takes = async {
        let Parcel(n) = workflow::receive().await;
        let taken = [taken, vec![n]].concat();
        workflow::set_state(&taken)?;
        Ok::<_, Failure>(taken)
    };
    let (taken, work) = tokio::join!(takes, mailbox_work());
    let taken = taken?;
    work?;
    if generation == 2 {
        return Ok(taken);
    }
    workflow::restart_with(mailbox_owner(generation + 1, taken)).await
}

/// Sends two or three; gives those that nobody could take.
#[workflow]
async fn mailbox_sender(from: u32, to: u32) -> Result<Vec<u32>> {
    let mut refused = Vec::new();
    for n in from..=to {
        mailbox_work().await?;
        match workflow::send("owner", Parcel(n)).await {
            Err(failure) if failure.kind() == FailureKind::Undelivered => refused.push(n),
            sent => sent?,
        }
    }
    Ok(refused)
}

#[workflow]
async fn mailbox_canceller() -> Result<()> {
    mailbox_closes().await
}

/// Each parcel is at one place: taken, among the dead letters, or its sender's
/// again. Taken are the first ones.
async fn each_parcel_is_at_one_place(sim: &Sim, sent: u32, refused: Vec<u32>) {
    let owner = sim.handle(mailbox_owner, "owner");
    let taken = owner.state::<Vec<u32>>().await.unwrap().unwrap_or_default();
    let letters = sim.client().dead_letters().await.unwrap();
    // The newest stands first.
    let dead = letters.iter().rev().map(|letter| letter.body().unwrap().parse::<u32>().unwrap());
    let all = [taken, dead.collect(), refused].concat();
    assert_eq!(all, (1..=sent).collect::<Vec<_>>());
}

#[workflow_runtime::test(schedules = exhaustive(20_000))]
async fn sends_receives_restarts_and_completions_in_every_order_lose_and_double_nothing(sim: Sim) {
    let owner = sim.start(mailbox_owner(1, Vec::new()).id("owner")).await;
    let sender = sim.start(mailbox_sender(1, 3)).await;
    let refused = sender.result().await.unwrap();
    assert_eq!(owner.result().await.unwrap(), [1, 2]);
    each_parcel_is_at_one_place(&sim, 3, refused).await;
}

#[workflow_runtime::test(schedules = exhaustive(20_000))]
async fn a_cancellation_among_them_in_every_order_loses_and_doubles_nothing(sim: Sim) {
    sim.state(sim.client().clone());
    let owner = sim.start(mailbox_owner(1, Vec::new()).id("owner")).await;
    let sender = sim.start(mailbox_sender(1, 2)).await;
    let canceller = sim.start(mailbox_canceller()).await;
    let refused = sender.result().await.unwrap();
    canceller.result().await.unwrap();
    match owner.result().await {
        Ok(taken) => assert_eq!(taken, [1, 2]),
        Err(failure) => assert_eq!(failure.kind(), FailureKind::Cancelled),
    }
    assert!(owner.status().await.unwrap().is_ended());
    each_parcel_is_at_one_place(&sim, 2, refused).await;
}

#[workflow_runtime::test(
    crash = everywhere,
    schedules = 300,
    faults = [commit_error, reply_lost, slow_commit, zombie],
)]
async fn no_crash_and_no_fault_among_them_loses_or_doubles_a_letter(sim: Sim) {
    sim.state(sim.client().clone());
    let owner = sim.start(mailbox_owner(1, Vec::new()).id("owner")).await;
    let sender = sim.start(mailbox_sender(1, 3)).await;
    let cancellers = [sim.start(mailbox_canceller()).await, sim.start(mailbox_canceller()).await];
    let refused = sender.result().await.unwrap();
    for canceller in cancellers {
        canceller.result().await.unwrap();
    }
    let ended = owner.result().await;
    assert_eq!(owner.status().await.unwrap() == Status::Completed, ended.is_ok());
    each_parcel_is_at_one_place(&sim, 3, refused).await;
}
