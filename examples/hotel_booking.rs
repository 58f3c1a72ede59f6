//! A hotel booking that survives `kill -9`: reserve a room, charge the card,
//! confirm; if something fails, undo what was done.
//!
//! ```sh
//! cargo run --example hotel_booking                          # books a room
//! cargo run --example hotel_booking -- --crash-after charge  # dies after the charge …
//! cargo run --example hotel_booking                          # … and goes on: no second charge
//! ```
//!
//! `--crash-after reserve|charge` dies by a signal right after that step,
//! `--decline` has the card refused. The world outside (the hotel, the card
//! company) is the file `hotel_world.log`: every line is an effect that happened.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use workflow_runtime::{ErrorKind, Failure, Handle, Result, Runtime, Timestamp, step, workflow};

const DATABASE: &str = "hotel_booking.db";
const WORLD: &str = "hotel_world.log";
/// The id of the booking that is under way, so that the next invocation finds it.
const UNDER_WAY: &str = "hotel_booking.current";

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stay {
    guest: String,
    nights: u32,
    card: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Booking {
    room: u32,
    paid_cents: u64,
    confirmation: String,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
enum HotelError {
    #[error("the card was declined; the room is free again")]
    Declined,
    #[error(transparent)]
    Runtime(#[from] Failure),
}

/// The world outside, as this process sees it.
struct World {
    log: File,
    crash_after: Option<String>,
}

impl World {
    /// Something happens that cannot be taken back by forgetting it. The world
    /// knows the keys that it was given, as every good payment service does: a
    /// step that is repeated because its process died half-way has no second
    /// effect.
    async fn effect(&self, what: &str) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let key = step::idempotency_key();
        if std::fs::read_to_string(WORLD)?.contains(&key) {
            println!("  ↺ {what} (known already by its key: nothing happens twice)");
            return Ok(());
        }
        writeln!(&self.log, "{key} {what}")?;
        self.log.sync_all()?;
        println!("  ✔ {what}");
        Ok(())
    }

    /// Dies like a machine that loses power. Called when a step begins: then
    /// the one before it is done and recorded.
    fn crash_if_after(&self, done: &str) {
        if self.crash_after.as_deref() == Some(done) {
            println!("  ✘ the process dies now. Run the example again: it goes on.");
            std::process::abort();
        }
    }
}

#[step]
async fn reserve(#[state] world: &World, stay: Stay) -> Result<u32, HotelError> {
    let room = 100 + stay.nights;
    world.effect(&format!("room {room} reserved for {}", stay.guest)).await?;
    Ok(room)
}

#[step(retry(attempts = 3, first = "100ms"), timeout = "10s")]
async fn charge(#[state] world: &World, card: String, cents: u64) -> Result<u64, HotelError> {
    world.crash_if_after("reserve");
    if card == "declined" {
        return Err(HotelError::Declined);
    }
    world.effect(&format!("{cents} cents charged")).await?;
    Ok(cents)
}

#[step]
async fn confirm(#[state] world: &World, room: u32) -> Result<String, HotelError> {
    world.crash_if_after("charge");
    let confirmation = format!("H-{room}");
    world.effect(&format!("confirmation {confirmation} sent")).await?;
    Ok(confirmation)
}

#[step]
async fn release(#[state] world: &World, room: u32) -> Result<(), HotelError> {
    world.effect(&format!("room {room} released")).await?;
    Ok(())
}

#[step]
async fn refund(#[state] world: &World, cents: u64) -> Result<(), HotelError> {
    world.effect(&format!("{cents} cents refunded")).await?;
    Ok(())
}

#[workflow]
async fn book(stay: Stay) -> Result<Booking, HotelError> {
    let price = u64::from(stay.nights) * 12_000;
    let room = reserve(stay.clone()).await?;
    let paid = match charge(stay.card, price).await {
        Ok(paid) => paid,
        Err(error) => {
            release(room).await?;
            return Err(error);
        }
    };
    match confirm(room).await {
        Ok(confirmation) => Ok(Booking { room, paid_cents: paid, confirmation }),
        Err(error) => {
            refund(paid).await?;
            release(room).await?;
            Err(error)
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::read()?;
    let log = OpenOptions::new().create(true).append(true).open(WORLD)?;
    let world = World { log, crash_after: options.crash_after };
    // Whatever an earlier process left goes on as soon as this is built.
    let runtime = Runtime::builder(format!("sqlite://{DATABASE}")).state(world).build().await?;

    let run = match interrupted(&runtime).await? {
        Some(run) => {
            println!("Booking {} was interrupted. It goes on after its last checkpoint:", run.id());
            run
        }
        None => start(&runtime, options.declined).await?,
    };
    let result = run.result().await;
    std::fs::remove_file(UNDER_WAY)?;
    match result {
        Ok(booking) => println!("Booked: {booking:?}"),
        Err(HotelError::Declined) => println!("Not booked: {}", HotelError::Declined),
        Err(HotelError::Runtime(failure)) => return Err(failure),
    }
    println!("\n{}", run.history().await?);
    println!("What happened in the world: {WORLD}. What was recorded: {DATABASE}.");
    runtime.shutdown().await?;
    Ok(())
}

/// The booking that an earlier process did not finish.
async fn interrupted(runtime: &Runtime) -> Result<Option<Handle<Booking, HotelError>>> {
    let Ok(id) = std::fs::read_to_string(UNDER_WAY) else { return Ok(None) };
    let run = runtime.handle(book, id);
    match run.status().await {
        Ok(_) => Ok(Some(run)),
        // It died before its start was accepted.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn start(runtime: &Runtime, declined: bool) -> Result<Handle<Booking, HotelError>> {
    let now = Timestamp::from(std::time::SystemTime::now());
    let id = format!("booking-{}", now.as_millis());
    std::fs::write(UNDER_WAY, &id)?;
    println!("Booking {id}:");
    let card = if declined { "declined" } else { "4242" };
    let stay = Stay { guest: "Ada".to_owned(), nights: 3, card: card.to_owned() };
    Ok(runtime.start(book(stay).id(id)).await?)
}

struct Options {
    crash_after: Option<String>,
    declined: bool,
}

impl Options {
    fn read() -> Result<Self> {
        let mut options = Self { crash_after: None, declined: false };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--decline" => options.declined = true,
                "--crash-after" => {
                    let step = args.next().unwrap_or_default();
                    if !["reserve", "charge"].contains(&step.as_str()) {
                        return Err(Failure::new("--crash-after reserve|charge"));
                    }
                    options.crash_after = Some(step);
                }
                other => return Err(Failure::new(format!("unknown option `{other}`"))),
            }
        }
        Ok(options)
    }
}
