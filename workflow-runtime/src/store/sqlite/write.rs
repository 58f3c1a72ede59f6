//! Commits a batch: one transaction, statement by statement, and each item's
//! answer as it goes in.

use std::sync::LazyLock;

use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension as _, Row, params};

use super::mail;
use super::places::Places;
use super::refusal;
use crate::clock::Timestamp;
use crate::model::{Answer, End, Event, Item, RunId, Start};

macro_rules! statements {
    ($($name:ident $file:literal)*) => {
        /// The statements of a batch, each looked up once.
        #[derive(Default)]
        struct Statements<'c> {
            $($name: Option<CachedStatement<'c>>,)*
        }

        $(
            fn $name<'a, 'c>(batch: &'a mut Batch<'c>) -> rusqlite::Result<&'a mut CachedStatement<'c>> {
                let text = include_str!(concat!("../../../sql/", $file, ".sql"));
                batch.get(text, |statements| &mut statements.$name)
            }
        )*
    };
}
statements! {
    start "commit/start"
    activate "commit/activate"
    place "commit/place"
    asked "commit/asked"
    rare "commit/rare"
    append "commit/append"
    blob "commit/blob"
    settle "commit/settle"
    attempt "commit/attempt"
    obey "commit/obey"
    end "commit/end"
    succeed "commit/succeed"
    number "query/reserve"
    leave "commit/leave"
    forget "commit/forget"
    unblock "commit/unblock"
    progress "commit/progress"
    block "commit/block"
    park "commit/park"
    who_has_id "query/who_has_id"
    is_same "query/is_same"
    who_owns "query/who_owns"
    is_open "query/is_open"
    mail_count "mail/mail"
    is_delivered "query/is_delivered"
}

/// A batch on its way into the database.
struct Batch<'c> {
    connection: &'c Connection,
    places: &'c mut Places,
    statements: Statements<'c>,
    rare: Rare,
}

/// What most databases have none of: asked once for all items.
#[derive(Clone, Copy, Default)]
struct Rare {
    /// Commands that are not in a history yet.
    commands: bool,
    /// What is known of attempts.
    attempts: bool,
}

impl<'c> Batch<'c> {
    fn get<'a>(
        &'a mut self,
        text: &str,
        slot: for<'s> fn(&'s mut Statements<'c>) -> &'s mut Option<CachedStatement<'c>>,
    ) -> rusqlite::Result<&'a mut CachedStatement<'c>> {
        let slot = slot(&mut self.statements);
        match slot {
            Some(statement) => Ok(statement),
            None => Ok(slot.insert(self.connection.prepare_cached(text)?)),
        }
    }
}

/// Payloads of more bytes are blobs, not columns of the history.
const BLOB: usize = 16 << 10;

/// Commits `items`; answers each.
///
/// # Errors
///
/// Unknown what became of them. The connection may be in a transaction.
pub(super) fn commit(
    connection: &Connection,
    places: &mut Places,
    items: &[Item],
) -> rusqlite::Result<Vec<Answer>> {
    let answers = match apply_all(connection, places, items, apply) {
        Ok(answers) => answers,
        Err(error) => {
            fault_of_an_item(error)?;
            roll_back(connection);
            places.forget();
            apply_all(connection, places, items, apply_alone)?
        }
    };
    execute(connection, "commit")?;
    Ok(answers)
}

/// Begins a transaction and applies the items in it.
fn apply_all(
    connection: &Connection,
    places: &mut Places,
    items: &[Item],
    apply: fn(&mut Batch<'_>, &Item) -> rusqlite::Result<Answer>,
) -> rusqlite::Result<Vec<Answer>> {
    let mut batch = begin(connection, places)?;
    items.iter().map(|item| apply(&mut batch, item)).collect()
}

fn begin<'c>(connection: &'c Connection, places: &'c mut Places) -> rusqlite::Result<Batch<'c>> {
    execute(connection, "begin immediate")?;
    let statements = Statements::default();
    let mut batch = Batch { connection, places, statements, rare: Rare::default() };
    let found = |row: &Row<'_>| {
        Ok((Rare { commands: row.get(0)?, attempts: row.get(1)? }, row.get::<_, i64>(2)?))
    };
    let (rare, version) = rare(&mut batch)?.query_row([], found)?;
    batch.rare = rare;
    batch.places.at(version);
    Ok(batch)
}

fn execute(connection: &Connection, text: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(text)?.execute([]).map(drop)
}

fn roll_back(connection: &Connection) {
    // Some errors end the transaction themselves; then there is none to end.
    if let Err(error) = execute(connection, "rollback") {
        tracing::debug!("nothing to roll back: {error}");
    }
}

/// Some item of the batch can never go in: each has a savepoint of its own, so
/// that all the others do.
fn apply_alone(batch: &mut Batch<'_>, item: &Item) -> rusqlite::Result<Answer> {
    execute(batch.connection, "savepoint item")?;
    let answer = match apply(batch, item) {
        Ok(answer) => answer,
        Err(error) => {
            let reason = fault_of_an_item(error)?;
            execute(batch.connection, "rollback to item")?;
            batch.places.forget();
            Answer::Refused(reason)
        }
    };
    execute(batch.connection, "release item")?;
    Ok(answer)
}

/// What is wrong, if the fault is one item's own: a constraint, a value too
/// large or of the wrong type. Any other error is the store's.
fn fault_of_an_item(error: rusqlite::Error) -> rusqlite::Result<String> {
    let own = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch)
    );
    if let (true, rusqlite::Error::SqliteFailure(code, message)) = (own, &error) {
        return Ok(message.clone().unwrap_or_else(|| code.to_string()));
    }
    Err(error)
}

fn apply(batch: &mut Batch<'_>, item: &Item) -> rusqlite::Result<Answer> {
    if let Some(refused) = refusal(item) {
        return Ok(refused);
    }
    let answer = match (&item.start, item.events.first()) {
        (Some(new), _) => apply_start(batch, item, new)?,
        (None, Some(first)) => apply_events(batch, item, first)?,
        (None, None) => apply_rest(batch, item)?,
    };
    if item.traffic.is_none() && item.last_traffic.is_none() {
        return Ok(answer);
    }
    // Also what is sent again: it is there once.
    batch.rare.commands |= item.all_traffic().any(|traffic| !traffic.cancels.is_empty());
    mail::traffic(batch.connection, item, answer)
}

fn apply_start(batch: &mut Batch<'_>, item: &Item, new: &Start) -> rusqlite::Result<Answer> {
    let (run, ended) = (item.run.0, item.end.as_ref());
    let inserted = start(batch)?.execute(params![
        run,
        &*new.workflow,
        &*new.id,
        &*new.args,
        new.seed,
        new.decided.as_deref(),
        new.meta.as_deref(),
        item.writer.0,
        new.at.as_millis(),
        ended.map_or(0, |end| end.how.code()),
        ended.map(|end| &*end.output),
        ended.map(|end| end.at.as_millis()),
    ])?;
    if inserted == 0 {
        let holder = who_has_id(batch)?.query_row([&*new.id], |row| row.get(0)).optional()?;
        return Ok(match holder {
            // Sent again: all of it is in.
            Some(holder) if holder == run => Answer::Committed,
            Some(holder) => Answer::Taken(RunId(holder)),
            None => Answer::Used,
        });
    }
    succession(batch, item)?;
    if ended.is_none() {
        let owner = (!new.queued).then_some(item.writer.0);
        activate(batch)?.execute(params![run, owner, new.at.as_millis()])?;
        batch.places.filled(item.run, 0);
    }
    // What a first turn that failed leaves.
    set_aside(batch, item)?;
    Ok(Answer::Committed)
}

/// An item of a run's history.
fn apply_events(batch: &mut Batch<'_>, item: &Item, first: &Event) -> rusqlite::Result<Answer> {
    let run = item.run.0;
    let has_place = batch.places.is_next(item.run, first)
        || place(batch)?.query_row([run, i64::from(first.seq)], |row| row.get(0))?;
    if !has_place {
        return refuse(batch, item, first);
    }
    // Cancelled before it ended, and it does not know yet.
    let not_ended = item.end.is_some()
        && batch.rare.commands
        && asked(batch)?.query_row([run, item.obeys], |row| row.get(0))?;
    let rest = item.events.get(1..).unwrap_or_default();
    if !insert(batch, item, first, !(not_ended && rest.is_empty()))? {
        return refuse(batch, item, first);
    }
    // The others are not there: they would have come with the first.
    insert_rest(batch, item, rest, not_ended)?;
    batch.places.filled(item.run, rest.last().unwrap_or(first).seq);
    for call in &item.settled {
        settle(batch)?.execute([run, i64::from(call.0)])?;
    }
    if item.obeys > 0 {
        obey(batch)?.execute([run, item.obeys])?;
    }
    if not_ended {
        return Ok(Answer::NotEnded);
    }
    for traffic in item.all_traffic() {
        mail::settle(batch.connection, item, traffic)?;
    }
    let Some(ended) = &item.end else {
        attempts(batch, item)?;
        set_aside(batch, item)?;
        return Ok(Answer::Committed);
    };
    let output = &*ended.output;
    end(batch)?.execute(params![run, ended.how.code(), output, ended.at.as_millis()])?;
    has_ended(batch, item, ended)?;
    leave(batch)?.execute([run])?;
    batch.places.ended(item.run);
    if batch.rare.attempts {
        forget(batch)?.execute([run])?;
    }
    if item.unblock {
        unblock(batch)?.execute([run])?;
    }
    Ok(Answer::Committed)
}

/// What others are told of the end of a run, and what becomes of its mail.
fn has_ended(batch: &mut Batch<'_>, item: &Item, ended: &End) -> rusqlite::Result<()> {
    succession(batch, item)?;
    if let Some(traffic) = &item.last_traffic {
        mail::not_taken(batch.connection, item, traffic)?;
    }
    let mail = mail_count(batch)?.query_row([item.run.0], |row| row.get::<_, i64>(0)).optional()?;
    if mail.is_some_and(|mail| mail > 0) && ended.is_last() {
        mail::bury(batch.connection, item.run, ended.at)?;
    }
    if item.parent.is_some() {
        mail::notify(batch.connection, item.run, ended.at)?;
    }
    Ok(())
}

/// The next generation of a run that ended for that.
fn succession(batch: &mut Batch<'_>, item: &Item) -> rusqlite::Result<()> {
    let Some(next) = &item.successor else { return Ok(()) };
    let run: i64 = number(batch)?.query_row(("runs", 1), |row| row.get(0))?;
    let Start { workflow, args, seed, meta, at, .. } = &**next;
    succeed(batch)?.execute(params![
        item.run.0,
        run,
        &**workflow,
        &**args,
        seed,
        meta.as_deref(),
        item.writer.0,
        at.as_millis(),
    ])?;
    activate(batch)?.execute(params![run, None::<i64>, at.as_millis()])?;
    mail::follow(batch.connection, item.run, RunId(run))
}

/// Rows of one statement, where an item has many: each statement has its price.
const ROWS: usize = 16;

/// Inserts the rows after the first. `not_ended`: the last is not delivered.
fn insert_rest(
    batch: &mut Batch<'_>,
    item: &Item,
    rest: &[Event],
    not_ended: bool,
) -> rusqlite::Result<()> {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let one = include_str!("../../../sql/commit/append.sql");
        let row = "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        one.replace(row, &vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?)"; ROWS].join(", "))
    });
    let is_large = |event: &Event| event.payload.as_ref().is_some_and(|text| text.len() > BLOB);
    // The last one goes by itself where it is not like the others.
    let many = if not_ended { rest.len().saturating_sub(1) } else { rest.len() };
    let (mut at, connection) = (0, batch.connection);
    while many - at >= ROWS && !rest[at..at + ROWS].iter().any(is_large) {
        let mut statement = connection.prepare_cached(&TEXT)?;
        for (n, event) in (0..).zip(&rest[at..at + ROWS]) {
            bind(&mut statement, n * 9, item, event)?;
        }
        statement.raw_execute()?;
        at += ROWS;
    }
    for (n, event) in rest.iter().enumerate().skip(at) {
        insert(batch, item, event, !(not_ended && n + 1 == rest.len()))?;
    }
    Ok(())
}

/// Binds a row's nine columns after the first `before` parameters.
fn bind(
    statement: &mut CachedStatement<'_>,
    before: usize,
    item: &Item,
    event: &Event,
) -> rusqlite::Result<()> {
    statement.raw_bind_parameter(before + 1, item.run.0)?;
    statement.raw_bind_parameter(before + 2, event.seq)?;
    statement.raw_bind_parameter(before + 3, event.kind.as_str())?;
    statement.raw_bind_parameter(before + 4, event.call.map(|call| call.0))?;
    statement.raw_bind_parameter(before + 5, &*event.name)?;
    statement.raw_bind_parameter(before + 6, event.payload.as_deref())?;
    statement.raw_bind_parameter(before + 7, event.decided.as_deref())?;
    statement.raw_bind_parameter(before + 8, event.writer.0)?;
    statement.raw_bind_parameter(before + 9, event.at.as_millis())
}

/// Inserts a row; false: its place is taken.
fn insert(
    batch: &mut Batch<'_>,
    item: &Item,
    event: &Event,
    delivered: bool,
) -> rusqlite::Result<bool> {
    let payload = event.payload.as_deref();
    let large = payload.filter(|payload| payload.len() > BLOB);
    let inserted = append(batch)?.execute(params![
        item.run.0,
        event.seq,
        event.kind.as_str(),
        event.call.map(|call| call.0),
        &*event.name,
        if large.is_some() { None } else { payload },
        event.decided.as_deref().filter(|_| delivered),
        event.writer.0,
        event.at.as_millis(),
    ])?;
    if let Some(large) = large.filter(|_| inserted == 1) {
        blob(batch)?.execute(params![item.run.0, event.seq, large])?;
    }
    Ok(inserted == 1)
}

/// Why the first row of an item did not go in.
fn refuse(batch: &mut Batch<'_>, item: &Item, first: &Event) -> rusqlite::Result<Answer> {
    let call = first.call.map(|call| call.0);
    let row = params![
        item.run.0,
        first.seq,
        item.writer.0,
        first.kind.as_str(),
        call,
        first.at.as_millis()
    ];
    let is_same = is_same(batch)?.query_row(row, |row| row.get::<_, bool>(0)).optional()?;
    match is_same {
        // Sent again: all of it is in.
        Some(true) => sent_again(batch, item),
        Some(false) => Ok(Answer::Conflict),
        None if run_is_open(batch, item.run)? == Some(false) => Ok(Answer::Conflict),
        None => Ok(Answer::MissingPredecessor),
    }
}

/// An item that is in already ended its run, unless that was prevented.
fn sent_again(batch: &mut Batch<'_>, item: &Item) -> rusqlite::Result<Answer> {
    let goes_on = item.end.is_some() && run_is_open(batch, item.run)? == Some(true);
    let prevented = goes_on || is_undelivered(batch, item)?;
    Ok(if prevented { Answer::NotEnded } else { Answer::Committed })
}

/// Whether what would have ended the run is there without its turn: the end that
/// it may have by now is another one.
fn is_undelivered(batch: &mut Batch<'_>, item: &Item) -> rusqlite::Result<bool> {
    let Some(seq) = item.delivered_end() else { return Ok(false) };
    let delivered: Option<bool> =
        is_delivered(batch)?.query_row([item.run.0, seq.into()], |row| row.get(0)).optional()?;
    Ok(delivered == Some(false))
}

/// None: there is no such run.
fn run_is_open(batch: &mut Batch<'_>, run: RunId) -> rusqlite::Result<Option<bool>> {
    is_open(batch)?.query_row([run.0], |row| row.get(0)).optional()
}

/// An item without rows goes in where its writer holds the run, or where the
/// run is free: then it was this item that freed it.
fn apply_rest(batch: &mut Batch<'_>, item: &Item) -> rusqlite::Result<Answer> {
    let owner = who_owns(batch)?.query_row([item.run.0], |row| row.get::<_, Option<i64>>(0));
    match owner.optional()? {
        Some(Some(owner)) if owner == item.writer.0 => {}
        Some(None) => return Ok(Answer::Committed),
        Some(Some(_)) => return Ok(Answer::Conflict),
        None => {
            let known = run_is_open(batch, item.run)?.is_some();
            return Ok(if known { Answer::Conflict } else { Answer::MissingPredecessor });
        }
    }
    for call in &item.settled {
        settle(batch)?.execute([item.run.0, i64::from(call.0)])?;
    }
    attempts(batch, item)?;
    set_aside(batch, item)?;
    Ok(Answer::Committed)
}

fn attempts(batch: &mut Batch<'_>, item: &Item) -> rusqlite::Result<()> {
    for record in &item.attempts {
        batch.rare.attempts = true;
        attempt(batch)?.execute(params![
            item.run.0,
            record.call.0,
            record.failed,
            &*record.error,
            record.retry_at.as_millis(),
            record.detail.as_deref(),
        ])?;
    }
    Ok(())
}

/// What an item says of an open run beside its history.
fn set_aside(batch: &mut Batch<'_>, item: &Item) -> rusqlite::Result<()> {
    let run = item.run.0;
    if item.unblock {
        unblock(batch)?.execute([run])?;
    }
    if item.progress {
        progress(batch)?.execute([run])?;
    }
    if let Some(blocked) = &item.block {
        let at = blocked.at.as_millis();
        block(batch)?.execute(params![run, &*blocked.build, &*blocked.report, at])?;
    }
    let blocked = item.block.as_ref().map(|_| Timestamp::NEVER);
    if let Some(due) = item.park.or(blocked) {
        let parks = item.park.is_some();
        let parked = params![run, item.writer.0, due.as_millis(), parks, item.heard];
        park(batch)?.execute(parked)?;
    }
    Ok(())
}
