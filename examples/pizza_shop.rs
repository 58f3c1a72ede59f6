//! A pizza shop: one kitchen, ordered from in both ways.
//!
//! ```sh
//! cargo run --example pizza_shop
//! cargo run --example pizza_shop -- 40      # so many guests of each kind
//! ```
//!
//! Guests at the counter ask the kitchen and wait for the answer, but not for ever:
//! the synchronous way. Guests at a table leave an order and get a signal when it is
//! ready: the asynchronous way. The table at the end shows what both waited.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::time::{Duration, Instant};

use workflow_runtime::{
    Failure, FailureKind, Handle, Result, Runtime, request, signal, step, workflow,
};

/// Ovens of the kitchen.
const OVENS: u32 = 3;
/// How long a guest at the counter waits.
const PATIENCE: Duration = Duration::from_millis(400);

/// What the counter asks, and waits for.
#[request(reply = String, validate = is_on_the_menu)]
struct Bake {
    pizza: String,
}

fn is_on_the_menu(bake: &Bake) -> std::result::Result<(), String> {
    match bake.pizza.as_str() {
        "margherita" | "funghi" | "marinara" => Ok(()),
        other => Err(format!("there is no pizza {other}")),
    }
}

/// What a table leaves.
#[signal]
struct Order {
    pizza: String,
    table: String,
}

/// What a table gets.
#[signal]
struct Ready {
    pizza: String,
}

/// The kitchen closes.
#[signal]
struct Close;

#[step]
async fn bake(pizza: String) -> Result<String> {
    // An oven takes its time.
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(format!("hot {pizza}"))
}

/// One oven: takes what comes first, from the counter or from a table.
#[workflow]
async fn oven(number: u32) -> Result<u32> {
    let mut baked = 0;
    loop {
        workflow::set_state(&format!("oven {number}: {baked} baked"))?;
        workflow::select! {
            asked = workflow::requested::<Bake>() => {
                let pizza = bake(asked.pizza.clone()).await?;
                asked.reply(pizza);
            }
            order = workflow::receive::<Order>() => {
                let pizza = bake(order.pizza).await?;
                workflow::send(order.table, Ready { pizza }).await?;
            }
            Close = workflow::receive::<Close>() => return Ok(baked),
        }
        baked += 1;
    }
}

/// The kitchen: its ovens are its children, and it closes when they have.
#[workflow]
async fn kitchen(ovens: u32) -> Result<u32> {
    let all: Vec<_> =
        (0..ovens).map(|n| workflow::start(oven(n).id(format!("oven-{n}")))).collect();
    let mut baked = 0;
    for oven in all {
        baked += oven.await?;
    }
    Ok(baked)
}

/// A guest at a table: orders, and reads until the pizza is ready.
#[workflow]
async fn table(oven: String, pizza: String) -> Result<String> {
    workflow::send(oven, Order { pizza, table: workflow::id() }).await?;
    let Ready { pizza } = workflow::receive().await;
    Ok(pizza)
}

/// What the guests of one kind waited.
struct Waits {
    kind: &'static str,
    took: Duration,
    each: Vec<Duration>,
    gave_up: usize,
}

impl Waits {
    fn show(&self) {
        let mut each = self.each.clone();
        each.sort_unstable();
        let at =
            |part: usize| each.get((each.len() * part / 100).min(each.len().saturating_sub(1)));
        let millis = |time: Option<&Duration>| time.map_or(0, Duration::as_millis);
        let per_second = each.len() as f64 / self.took.as_secs_f64();
        println!(
            "{:<22} {:>6} {:>8} {:>9} ms {:>9} ms {:>11.1}",
            self.kind,
            each.len(),
            self.gave_up,
            millis(at(50)),
            millis(at(95)),
            per_second
        );
    }
}

const MENU: [&str; 3] = ["margherita", "funghi", "marinara"];

fn choice(n: u32) -> (String, String) {
    (format!("oven-{}", n % OVENS), MENU[n as usize % MENU.len()].to_owned())
}

async fn at_the_counter(runtime: &Runtime, guests: u32) -> Result<Waits> {
    let began = Instant::now();
    let asks = (0..guests).map(|n| async move {
        let ((oven, pizza), began) = (choice(n), Instant::now());
        let answer = runtime.client().ask(oven, Bake { pizza }).within(PATIENCE).await;
        match answer {
            Ok(_) => Ok(Some(began.elapsed())),
            Err(failure) if failure.kind() == FailureKind::Unfinished => Ok(None),
            Err(failure) => Err(failure),
        }
    });
    let answers = futures::future::try_join_all(asks).await?;
    let each: Vec<_> = answers.iter().flatten().copied().collect();
    let gave_up = answers.len() - each.len();
    Ok(Waits { kind: "counter (ask, wait)", took: began.elapsed(), each, gave_up })
}

async fn at_tables(runtime: &Runtime, guests: u32) -> Result<Waits> {
    let began = Instant::now();
    let starts = (0..guests).map(|n| async move {
        let ((oven, pizza), began) = (choice(n), Instant::now());
        let run: Handle<String> = runtime.start(table(oven, pizza)).await?;
        run.result().await?;
        Ok::<_, Failure>(began.elapsed())
    });
    let each = futures::future::try_join_all(starts).await?;
    Ok(Waits { kind: "tables (order, signal)", took: began.elapsed(), each, gave_up: 0 })
}

#[tokio::main]
async fn main() -> Result<()> {
    let guests = std::env::args().nth(1).map_or(Ok(30), |text| text.parse())?;
    let runtime = Runtime::builder("memory:").build().await?;
    let kitchen = runtime.start(kitchen(OVENS).id("kitchen")).await?;
    let refused = runtime.client().ask("oven-0", Bake { pizza: "hawaii".to_owned() }).await;
    if let Err(failure) = refused {
        println!("no pizza hawaii: {failure}\n");
    }
    println!(
        "{:<22} {:>6} {:>8} {:>12} {:>12} {:>11}",
        "", "served", "gave up", "half in", "95 % in", "a second"
    );
    at_the_counter(&runtime, guests).await?.show();
    at_tables(&runtime, guests).await?.show();
    println!();
    for n in 0..OVENS {
        let oven = runtime.handle(oven, format!("oven-{n}"));
        if let Some(state) = oven.state::<String>().await? {
            println!("{state}");
        }
        oven.send(Close).await?;
    }
    println!("the kitchen closes: {} baked", kitchen.result().await?);
    runtime.shutdown().await.map_err(Into::into)
}
