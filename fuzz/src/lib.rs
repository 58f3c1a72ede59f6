//! Histories that no build wrote: a report, never a panic, never a hang.
//!
//! An input is the text of a history file, if it begins as one; else its bytes
//! say how a valid history is damaged. Either way the history is read, replayed
//! and taken up as a worker does it.

mod mutate;
mod record;
mod workflows;

use workflow_runtime::testing::Recorded;

pub use record::{Base, bases};

/// Reads and replays what the input says.
///
/// # Panics
///
/// A failure has no text, or what was read cannot be written.
pub fn check(input: &[u8], bases: &[Base]) {
    if let [b'{' | b' ' | b'\n', ..] = input {
        return replay(Recorded::read(&String::from_utf8_lossy(input)));
    }
    let mut bytes = mutate::Bytes::new(input);
    let Some(base) = bytes.pick(bases) else { return };
    let mut file = base.file.clone();
    let others: Vec<&serde_json::Value> = bases.iter().map(|base| &base.file).collect();
    mutate::file(&mut file, &others, &mut bytes);
    let recorded = Recorded::read(&file.to_string()).map(|recorded| {
        written_is_read_again(&recorded);
        let mut damaged = recorded;
        damaged.damage(|rows| mutate::rows(rows, &mut bytes));
        damaged
    });
    replay(recorded);
}

fn replay(recorded: Result<Recorded, String>) {
    let recorded = match recorded {
        Ok(recorded) => recorded,
        Err(error) => return assert!(!error.is_empty(), "an error without a text"),
    };
    let results =
        [recorded.replay(), recorded.replay_crash_states().map(drop), recorded.take_up().map(drop)];
    for error in results.into_iter().filter_map(Result::err) {
        assert!(!error.trim().is_empty(), "a report without a text");
    }
}

fn written_is_read_again(recorded: &Recorded) {
    let text = recorded.to_text().expect("what was read from a file is JSON");
    let again = Recorded::read(&text).expect("what was written is read");
    assert_eq!(again.to_text().as_ref(), Ok(&text), "another text after another reading");
}
