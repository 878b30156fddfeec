//! The partitions of messages and hits on PostgreSQL; SQLite has none.
//!
//! They are made before they are needed, by whoever sends. What comes before its partition, or where the role may make
//! none, goes to the one for the rest, and nothing else is different. A new one is attached, which no statement waits
//! for but those that look into the rest, for an instant; whoever would have to wait long for that tries again later.

use super::{EngineKind, Result, Session, Store, Value};
use crate::args;
use crate::domain::hex::hex;
use crate::domain::partition::{Month, Runs, width};
use crate::domain::time::Micros;

/// Months beyond the present one.
const MONTHS_AHEAD: usize = 2;
/// So many hits of a month that is over are moved, so that it can go.
const FEW: i64 = 10_000;
/// Two nodes make none at once. The number says nothing.
const LOCK: i64 = 0x636f_6c6c_6f71;

const OWNED: &str = "SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class c WHERE c.oid = to_regclass($1)";
const PARTS: &str = "SELECT CAST(c.relname AS TEXT) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass($1)";
const NEWEST: &str = "SELECT COALESCE(MAX(id), 0), (SELECT CAST(AVG(planned) AS BIGINT) FROM (
        SELECT planned FROM runs WHERE planned IS NOT NULL ORDER BY id DESC LIMIT 100) AS latest) FROM runs";
const LAST_OF_REST: &str = "SELECT COALESCE(MAX(run_id), 0) FROM messages_rest";
const ANY_OF_REST: &str = "SELECT EXISTS (SELECT 1 FROM hits_rest WHERE id >= $1 AND id < $2)";
const ALONE: &str = "SELECT pg_try_advisory_xact_lock($1)";
/// Nobody waits longer behind a change of tables than this.
const SHORTLY: [&str; 2] = ["SET LOCAL lock_timeout = '1s'", "SET LOCAL statement_timeout = '5s'"];

/// What a new table is called, what it belongs to, where it begins and ends, and how it is filled.
struct Part {
    table: &'static str,
    name: String,
    from: String,
    to: String,
    storage: &'static str,
}

/// Makes the partitions of the runs and months that come next; how many. None where the role does not own the tables.
///
/// # Errors
/// When the database refuses, or somebody else holds a table for long; those that are missing are made another time.
pub async fn prepare(store: &Store, now: Micros) -> Result<usize> {
    let Some(mut session) = owned(store, "messages").await? else { return Ok(0) };
    let mut missing = runs_ahead(&mut session).await?;
    missing.extend(months_ahead(&mut session, now).await?);
    drop(session);
    make_all(store, missing).await
}

/// Makes all of them for data that comes from elsewhere, with runs up to the newest and hits from the oldest on: what
/// stood in the rest would have to be looked through for each one that is made later.
///
/// # Errors
/// As [`prepare`].
pub(super) async fn cover(
    store: &Store,
    newest: i64,
    messages: Option<i64>,
    oldest: Micros,
    now: Micros,
) -> Result<()> {
    if owned(store, "messages").await?.is_none() {
        return Ok(());
    }
    let mut all: Vec<_> = Runs::ahead(1, newest, width(messages)).into_iter().map(of_runs).collect();
    let last = (0..MONTHS_AHEAD).fold(Month::of(now), |month, _| month.next());
    all.extend(months_from(oldest).take_while(|month| *month <= last).map(of_month));
    make_all(store, all).await.map(drop)
}

/// To look at a table, where it has partitions and the role owns it.
async fn owned(store: &Store, table: &str) -> Result<Option<Session>> {
    if store.kind() == EngineKind::Sqlite {
        return Ok(None);
    }
    let mut session = store.read().await?;
    let (owned,) = session.one::<(bool,)>(OWNED, args![table]).await?;
    Ok(owned.then_some(session))
}

/// A transaction that changes tables, behind which nobody waits for long.
async fn shortly(store: &Store) -> Result<Session> {
    let mut tx = store.write().await?;
    for sql in SHORTLY {
        tx.execute(sql, vec![]).await?;
    }
    Ok(tx)
}

fn months_from(at: Micros) -> impl Iterator<Item = Month> {
    std::iter::successors(Some(Month::of(at)), |month| Some(month.next()))
}

/// One that cannot be made is no reason not to make the others.
async fn make_all(store: &Store, parts: Vec<Part>) -> Result<usize> {
    let (mut made, mut failed) = (0, None);
    for part in parts {
        match make(store, part).await {
            Ok(done) => made += usize::from(done),
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(made), Err)
}

fn of_runs(runs: Runs) -> Part {
    Part {
        table: "messages",
        name: runs.table(),
        from: runs.from.to_string(),
        to: runs.to.to_string(),
        // As that of the rest in the schema.
        storage: " WITH (fillfactor = 50)",
    }
}

fn of_month(month: Month) -> Part {
    let literal = |id: [u8; 6]| format!("'\\x{}'", hex(&id));
    let (from, to) = (literal(month.first_id()), literal(month.next().first_id()));
    Part { table: "hits", name: month.table(), from, to, storage: "" }
}

async fn runs_ahead(session: &mut Session) -> Result<Vec<Part>> {
    let (newest, messages): (i64, Option<i64>) = session.one(NEWEST, vec![]).await?;
    let end = parts(session, "messages").await?.iter().filter_map(|name| Runs::parse(name)).map(|runs| runs.to).max();
    let width = width(messages);
    if end.is_some_and(|end| end > newest.saturating_add(width)) {
        return Ok(vec![]);
    }
    let (rest,): (i64,) = session.one(LAST_OF_REST, vec![]).await?;
    let start = end.unwrap_or(1).max(newest).max(rest.saturating_add(1));
    Ok(Runs::ahead(start, newest, width).into_iter().map(of_runs).collect())
}

async fn months_ahead(session: &mut Session, now: Micros) -> Result<Vec<Part>> {
    let there = parts(session, "hits").await?;
    let mut missing = Vec::new();
    for month in months_from(now).take(1 + MONTHS_AHEAD) {
        let (from, to) = (month.first_id(), month.next().first_id());
        let bounds: Vec<Value> = args![from.as_slice(), to.as_slice()];
        // What came before its partition stays where it is.
        if there.contains(&month.table()) || session.one::<(bool,)>(ANY_OF_REST, bounds).await?.0 {
            continue;
        }
        missing.push(of_month(month));
    }
    Ok(missing)
}

async fn parts(session: &mut Session, table: &str) -> Result<Vec<String>> {
    Ok(session.all::<(String,)>(PARTS, args![table]).await?.into_iter().map(|(name,)| name).collect())
}

/// `false` when somebody else is at it, or has done it.
async fn make(store: &Store, Part { table, name, from, to, storage }: Part) -> Result<bool> {
    let mut tx = shortly(store).await?;
    if !tx.one::<(bool,)>(ALONE, args![LOCK]).await?.0 || parts(&mut tx, table).await?.contains(&name) {
        tx.rollback().await?;
        return Ok(false);
    }
    tx.execute(format!("CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS){storage}"), vec![])
        .await?;
    tx.execute(format!("ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({to})"), vec![])
        .await?;
    tx.commit().await?;
    Ok(true)
}

/// Drops the months of hits that ended before an instant and whose hits were removed; how many. The few that are kept
/// because their message was hit again later move to the rest. A month with hits that nobody has judged stays.
///
/// # Errors
/// When the database refuses, or somebody else holds the table for long; then it is dropped another time.
pub async fn retire(store: &Store, before: Micros) -> Result<usize> {
    let Some(mut session) = owned(store, "hits").await? else { return Ok(0) };
    let months = parts(&mut session, "hits").await?.into_iter().filter_map(|name| Month::parse(&name));
    let mut dropped = 0;
    for name in months.filter(|month| month.next().start() <= before).map(Month::table) {
        let sql = format!("SELECT COUNT(*), COUNT(verdict) FROM (SELECT verdict FROM {name} LIMIT $1) AS few");
        let (left, judged): (i64, i64) = session.one(sql, args![FEW + 1]).await?;
        if left > FEW || judged < left {
            continue;
        }
        let mut tx = shortly(store).await?;
        tx.execute(format!("ALTER TABLE hits DETACH PARTITION {name}"), vec![]).await?;
        tx.execute(format!("INSERT INTO hits SELECT * FROM {name}"), vec![]).await?;
        tx.execute(format!("DROP TABLE {name}"), vec![]).await?;
        tx.commit().await?;
        dropped += 1;
    }
    Ok(dropped)
}
