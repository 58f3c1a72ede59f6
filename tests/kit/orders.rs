//! Every order of events.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use workflow_runtime::testing::Sim;
use workflow_runtime::{Result, step, workflow};

#[step]
async fn order_look(name: u32) -> Result<u32> {
    Ok(name)
}

/// Which of three comes first, second, third.
#[workflow]
async fn order_race() -> Result<Vec<u32>> {
    let order = Rc::new(Cell::new(Vec::new()));
    let one = |name| {
        let order = Rc::clone(&order);
        async move {
            let name = order_look(name).await?;
            let mut seen = order.take();
            seen.push(name);
            order.set(seen);
            Ok::<_, workflow_runtime::Failure>(())
        }
    };
    let all = futures::future::join3(one(1), one(2), one(3)).await;
    all.0.and(all.1).and(all.2)?;
    Ok(order.take())
}

#[workflow]
async fn order_deadline() -> Result<bool> {
    let looked = workflow::timeout(Duration::from_secs(60), order_look(1)).await;
    Ok(looked.is_ok())
}

static RACES: Mutex<BTreeSet<Vec<u32>>> = Mutex::new(BTreeSet::new());

#[workflow_runtime::test(schedules = exhaustive(10_000))]
async fn three_branches_race(sim: Sim) {
    let order = sim.start(order_race()).await.result().await.unwrap();
    RACES.lock().unwrap().insert(order);
}

#[test]
fn all_orders_of_three_branches_are_explored() {
    three_branches_race();
    assert_eq!(RACES.lock().unwrap().len(), 6);
}

static MET: Mutex<BTreeSet<bool>> = Mutex::new(BTreeSet::new());

#[workflow_runtime::test(schedules = exhaustive(1_000))]
async fn a_deadline_races_with_its_step(sim: Sim) {
    let met = sim.start(order_deadline()).await.result().await.unwrap();
    MET.lock().unwrap().insert(met);
}

#[test]
fn a_step_may_take_longer_than_its_deadline() {
    a_deadline_races_with_its_step();
    assert_eq!(*MET.lock().unwrap(), BTreeSet::from([false, true]));
}

#[workflow_runtime::test(schedules = 50, seed = 9)]
async fn random_orders_come_from_a_seed(sim: Sim) {
    let order = sim.start(order_race()).await.result().await.unwrap();
    assert_eq!(order.iter().sum::<u32>(), 6);
}
