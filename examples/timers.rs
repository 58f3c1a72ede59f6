//! Reminders: some in seconds, some in days. Each is a workflow that sleeps; a
//! reminder that waits is a row in the database and no memory.
//!
//! ```sh
//! cargo run --example timers                  # a table that updates
//! cargo run --example timers                  # again: the far ones are still there
//! cargo run --example timers -- --cancel dentist
//! ```
//!
//! Kill it with Ctrl-C and start it again: what was due meanwhile comes at once.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use workflow_runtime::{
    Client, CommandOutcome, Filter, Result, Runtime, Status, Timestamp, step, workflow,
};

/// What was said, with the table around it.
type Board = Mutex<Vec<String>>;

#[step]
async fn say(#[state] board: &Arc<Board>, text: String) -> Result<()> {
    if let Ok(mut board) = board.lock() {
        board.push(text);
    }
    Ok(())
}

/// A day before it is due it says so once, and then when it is due.
#[workflow]
async fn remind(text: String, due: Timestamp) -> Result<()> {
    let day_before = due - Duration::from_secs(86_400);
    if day_before > workflow::now() {
        workflow::sleep_until(day_before).await;
        say(format!("tomorrow: {text}")).await?;
    }
    workflow::sleep_until(due).await;
    say(format!("now: {text}")).await
}

/// Name, text, and in how many seconds.
const REMINDERS: [(&str, &str, u64); 7] = [
    ("tea", "the tea is ready", 1),
    ("bread", "the bread is ready", 2),
    ("call", "call Ada back", 3),
    ("bins", "put the bins out", 5),
    ("dentist", "the dentist, at nine", 3 * 86_400),
    ("rent", "the rent is due", 12 * 86_400),
    ("birthday", "buy a present for Grace", 80 * 86_400),
];

#[tokio::main]
async fn main() -> Result<()> {
    let board = Arc::<Board>::default();
    let builder = Runtime::builder("sqlite://timers.db").state(Arc::clone(&board));
    let runtime = builder.park_after(Duration::ZERO).build().await?;
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [cancel, name] = &args[..]
        && cancel == "--cancel"
    {
        let outcome = runtime.client().cancel(name).by("you").await?;
        let done = outcome == CommandOutcome::Accepted;
        // Its end says so, too.
        let _cancelled = runtime.handle(remind, name).result().await;
        println!("{name}: {}", if done { "cancelled" } else { "it had ended already" });
    } else {
        start(&runtime).await?;
    }
    watch(runtime.client(), &board).await?;
    runtime.shutdown().await?;
    Ok(())
}

/// Starts what is not there yet: a reminder is known by its name.
async fn start(runtime: &Runtime) -> Result<()> {
    for (name, text, seconds) in REMINDERS {
        if runtime.handle(remind, name).status().await.is_ok() {
            continue;
        }
        let due = now() + Duration::from_secs(seconds);
        runtime.start(remind(text.to_owned(), due).id(name).meta("due", due.to_string())).await?;
    }
    Ok(())
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(250)).await;
}

/// Shows the table until only reminders of the far future are left.
async fn watch(client: &Client, board: &Board) -> Result<()> {
    let on_screen = std::io::stdout().is_terminal();
    let mut drawn = 0;
    loop {
        let (lines, soon) = table(client, board).await?;
        if on_screen && drawn > 0 {
            // Back to where it begins.
            print!("\x1b[{drawn}A\x1b[J");
        }
        if on_screen || !soon {
            println!("{}", lines.join("\n"));
            std::io::stdout().flush()?;
            drawn = lines.len();
        }
        if !soon {
            println!("\nThe others wait in timers.db, and cost no memory. Come back any time.");
            return Ok(());
        }
        pause().await;
    }
}

/// The lines of the table, and whether something is due within the hour.
async fn table(client: &Client, board: &Board) -> Result<(Vec<String>, bool)> {
    let page = client.list(Filter::new().workflow(remind)).await?;
    let mut lines = vec![format!("{:<10} {:<11} {:<16}", "reminder", "status", "due")];
    let mut soon = false;
    for run in page.runs() {
        let due = REMINDERS.iter().find(|(name, ..)| *name == run.id());
        let due = run.started() + Duration::from_secs(due.map_or(0, |(.., seconds)| *seconds));
        let left = due.since(now());
        soon |= !run.status().is_ended() && left < Duration::from_secs(3_600);
        let shown = if run.status() == Status::Completed {
            "done".to_owned()
        } else if run.status().is_ended() {
            "never".to_owned()
        } else {
            human(left)
        };
        lines.push(format!("{:<10} {:<11} {shown:<16}", run.id(), run.status()));
    }
    lines.push(String::new());
    lines.extend(board.lock().map(|board| board.clone()).unwrap_or_default());
    Ok((lines, soon))
}

fn human(left: Duration) -> String {
    match left.as_secs() {
        seconds @ 0..60 => format!("in {seconds} s"),
        seconds @ 60..3_600 => format!("in {} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("in {} h", seconds / 3_600),
        seconds => format!("in {} days", seconds.div_ceil(86_400)),
    }
}
