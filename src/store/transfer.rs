//! Moves a database from SQLite to PostgreSQL: all tables, in chunks, each of them one transaction.
//!
//! The source is locked while it is copied, so what is copied is one instant. An interrupted move is taken
//! up again by comparing: a chunk that is there already, cell by cell, is passed over. At the end the whole
//! target is read back and compared by count and checksum. Then the source refuses all writes, and after
//! that the target opens: at no time both do.

mod catalog;
mod cell;
mod chunk;

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest;
use futures_util::TryStreamExt as _;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use self::catalog::Table;
use self::cell::Cell;
use self::chunk::Chunk;
use super::pool::Open as _;
use super::servers::Servers;
use super::{Error, Session, Store, nodes, partitions};
use crate::domain::hex::hex;
use crate::domain::time::Micros;

/// The name of the fact that stands in a target until it is complete.
pub(super) const MOVING: &str = "moving";
/// The name of the fact that stands in a source that was moved.
pub(super) const MOVED: &str = "moved";

const IS_MOVING: &str = "SELECT value FROM facts WHERE name = 'moving'";
const BEGIN_MOVING: &str = "INSERT INTO facts (name, value) VALUES ('moving', '')";
// Whoever only looked at an empty database has left a key there; the source brings its own.
const FORGET_KEY: &str = "DELETE FROM facts WHERE name = 'suppression_key'";
const END_MOVING: &str = "DELETE FROM facts WHERE name = 'moving'";
const IS_MOVED: &str = "SELECT value FROM facts WHERE name = 'moved'";
const SET_MOVED: &str = "INSERT INTO facts (name, value) VALUES ('moved', $1)";

const STATE: &str = "SELECT name, value FROM facts WHERE name IN ('moving', 'moved')";

pub(super) const STATEMENTS: &[&str] = &[STATE];

const RUNS: &str = "SELECT COALESCE(MAX(id), 0), CAST(AVG(planned) AS INTEGER) FROM runs";
// The time is in its first octets.
const OLDEST_HIT: &str = "SELECT MIN(id) FROM hits";

/// In this time a living node moves its counter.
const BEAT: Duration = Duration::from_secs(5);

/// How many rows a table has, and what is in all their cells.
struct Sum {
    rows: u64,
    hash: digest::Context,
}

impl Sum {
    fn new() -> Self {
        Self { rows: 0, hash: digest::Context::new(&digest::SHA256) }
    }

    fn add(&mut self, row: &[Cell]) {
        self.rows += 1;
        row.iter().for_each(|cell| cell.add_to(&mut self.hash));
    }

    fn end(self) -> (u64, String) {
        (self.rows, hex(self.hash.finish().as_ref()))
    }
}

/// Why a database was not moved.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It must not be, as things are.
    #[error("{0}")]
    Refused(String),
    /// A database failed. What was copied is kept: the same command goes on from there.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(Error::Sql(error))
    }
}

type Result<T> = std::result::Result<T, Trouble>;

/// What was moved of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The table's name.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// The SHA-256 over all of its cells in the order of its key, the same on both sides.
    pub sha256: String,
    /// Texts in which a NUL, which PostgreSQL cannot hold, became U+FFFD.
    pub replaced: u64,
}

/// How far a move is.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// So many rows are to be copied in all.
    Rows(u64),
    /// So many rows of a table are in the target now that were not seen to be before.
    Copied(&'a str, u64),
    /// The source was used since the move was interrupted: what was copied is removed, and it begins anew.
    Anew,
    /// All is copied; it is read back.
    Verifying,
}

/// Refuses a database whose data is elsewhere, or not complete.
///
/// # Errors
/// [`Error::Moved`], [`Error::Moving`], or when it cannot be looked at.
pub async fn refuse(session: &mut Session) -> super::Result<()> {
    match session.first::<(String, String)>(STATE, vec![]).await? {
        None => Ok(()),
        Some((name, _)) if name == MOVING => Err(Error::Moving),
        Some((_, target)) => Err(Error::Moved(target)),
    }
}

/// Moves a database. `from` is `sqlite:PATH`, relative to `root`; `to` is an empty database, `postgres://…`, not through
/// a pooler, or one into which this move was begun before.
///
/// # Errors
/// When a process uses the source, the target holds something else, or a database fails.
pub async fn run(from: &str, to: &str, root: &Path, now: Micros, mut told: impl FnMut(Step<'_>)) -> Result<Vec<Moved>> {
    let engine = |url: &str| url.split(':').next().unwrap_or_default().to_owned();
    let path = from.strip_prefix("sqlite:").filter(|_| to.starts_with("postgres"));
    let Some(path) = path else {
        return Err(Trouble::Refused(format!(
            "a move goes from sqlite:FILE to postgres://…, not from '{}:' to '{}:'",
            engine(from),
            engine(to)
        )));
    };
    let path = root.join(path.trim_start_matches("//"));
    if !path.is_file() {
        return Err(Trouble::Refused(format!("there is no database {}", path.display())));
    }
    let servers = Servers::new(to, false)?;
    let store = Store::connect(from, root).await?;
    store.update_schema().await?;
    refuse_living(&store).await?;
    store.close().await;
    let mut source = super::copy::open(&path).await?;
    source.execute("BEGIN IMMEDIATE").await?;
    let store = Store::connect(to, root).await?;
    store.update_schema().await?;
    let mut target = servers.open().await?.connection;
    if let Some(moved) = sqlx::query_scalar::<_, String>(IS_MOVED).fetch_optional(&mut source).await?
        && (moved != servers.what() || sqlx::query(IS_MOVING).fetch_optional(&mut target).await?.is_none())
    {
        return Err(Error::Moved(moved).into());
    }
    let (newest, messages): (i64, Option<i64>) = sqlx::query_as(RUNS).fetch_one(&mut source).await?;
    let oldest: Option<Vec<u8>> = sqlx::query_scalar(OLDEST_HIT).fetch_one(&mut source).await?;
    let millis = oldest.iter().flatten().take(6).fold(0_i64, |millis, octet| millis << 8 | i64::from(*octet));
    let oldest = oldest.map_or(now, |_| now.min(Micros(millis.saturating_mul(1_000))));
    partitions::cover(&store, newest, messages, oldest, now).await?;
    store.close().await;

    let tables = catalog::tables(&mut source, &mut target).await?;
    let mut resumed = begin(&mut target, &tables).await?;
    let mut rows = 0;
    for table in &tables {
        rows += table.rows(&mut source).await?;
    }
    told(Step::Rows(rows));
    let moved = loop {
        match copy(&mut source, &mut target, &tables, resumed, &mut told).await? {
            Some(moved) => break moved,
            None => {
                told(Step::Anew);
                empty(&mut target, &tables).await?;
                resumed = false;
            }
        }
    };
    told(Step::Verifying);
    for (table, moved) in tables.iter().zip(&moved) {
        let (rows, sha256) = read_back(&mut target, table).await?;
        if (rows, &sha256) != (moved.rows, &moved.sha256) {
            return Err(Trouble::Refused(format!(
                "{} has {} rows here and {rows} in PostgreSQL, and is not the same\n  hint: does somebody write to the \
                 target? Empty it and begin anew",
                moved.table, moved.rows
            )));
        }
    }
    catalog::set_sequences(&mut source, &mut target, &tables).await?;
    seal(source, &tables, servers.what()).await?;
    target.execute(END_MOVING).await?;
    target.close().await?;
    Ok(moved)
}

/// Refuses while nodes live that send from the source.
async fn refuse_living(source: &Store) -> Result<()> {
    let before = nodes::all(&mut source.read().await?).await?;
    if before.is_empty() {
        return Ok(());
    }
    tokio::time::sleep(BEAT).await;
    let after = nodes::all(&mut source.read().await?).await?;
    let living = after.iter().filter(|node| !before.contains(node)).count();
    if living > 0 {
        return Err(Trouble::Refused(format!(
            "{living} {} from this database\n  hint: stop the service and every `colloquy send`, then move it",
            if living == 1 { "process sends" } else { "processes send" }
        )));
    }
    Ok(())
}

/// Marks the target as incomplete. Whether it is from an earlier try.
async fn begin(target: &mut PgConnection, tables: &[Table]) -> Result<bool> {
    if sqlx::query(IS_MOVING).fetch_optional(&mut *target).await?.is_some() {
        return Ok(true);
    }
    for table in tables {
        if table.is_filled(target).await? {
            return Err(Trouble::Refused(format!(
                "the target is not empty: there is something in {}\n  hint: create a database of its own for Colloquy",
                table.name
            )));
        }
    }
    target.execute(FORGET_KEY).await?;
    target.execute(BEGIN_MOVING).await?;
    Ok(false)
}

async fn empty(target: &mut PgConnection, tables: &[Table]) -> Result<()> {
    let names: Vec<_> = tables.iter().map(Table::quoted).collect();
    let mut tx = target.begin().await?;
    (&mut *tx).execute(AssertSqlSafe(format!("TRUNCATE {}", names.join(", ")))).await?;
    (&mut *tx).execute(BEGIN_MOVING).await?;
    Ok(tx.commit().await?)
}

/// Copies all tables; `None` where the target holds something that the source does not.
async fn copy(
    source: &mut SqliteConnection,
    target: &mut PgConnection,
    tables: &[Table],
    resumed: bool,
    told: &mut impl FnMut(Step<'_>),
) -> Result<Option<Vec<Moved>>> {
    let mut all = Vec::with_capacity(tables.len());
    for table in tables {
        let (mut sum, mut replaced) = (Sum::new(), 0);
        let mut chunk = Chunk::first();
        let sql = table.select_all();
        let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut *source);
        loop {
            let row = rows.try_next().await?;
            if let Some(row) = &row {
                let cells = table.read_sqlite(row, &mut replaced)?;
                sum.add(&cells);
                chunk.push(cells);
            }
            if chunk.is_full() || row.is_none() {
                if !chunk.place(target, table, resumed, row.is_none()).await? {
                    return Ok(None);
                }
                told(Step::Copied(&table.name, chunk.len()));
                chunk = chunk.next(table);
            }
            if row.is_none() {
                break;
            }
        }
        drop(rows);
        let (rows, sha256) = sum.end();
        all.push(Moved { table: table.name.clone(), rows, sha256, replaced });
    }
    Ok(Some(all))
}

/// Count and checksum of what a table of the target holds.
async fn read_back(target: &mut PgConnection, table: &Table) -> Result<(u64, String)> {
    let mut sum = Sum::new();
    let mut rows = sqlx::query(AssertSqlSafe(table.select_all_of_target())).fetch(target);
    while let Some(row) = rows.try_next().await? {
        sum.add(&table.read_postgres(&row)?);
    }
    Ok(sum.end())
}

/// Lets nobody write to the source any more, running processes neither, and ends its transaction.
async fn seal(mut source: SqliteConnection, tables: &[Table], target: &str) -> Result<()> {
    if sqlx::query(IS_MOVED).fetch_optional(&mut source).await?.is_none() {
        sqlx::query(SET_MOVED).bind(target).execute(&mut source).await?;
        for table in tables {
            for trigger in table.refusals() {
                (&mut source).execute(AssertSqlSafe(trigger)).await?;
            }
        }
    }
    (&mut source).execute("COMMIT").await?;
    Ok(source.close().await?)
}
