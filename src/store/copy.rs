//! Copies of SQLite's files while they are in use, and what a copy needs before it takes the original's place.

use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions as _, Connection as _};

use super::{Error, Result, Session, embedded};
use crate::args;

// A copy of one instant. Writers go on meanwhile; what was deleted does not come along.
const COPY: &str = "VACUUM INTO $1";
const LOOK: &str = "PRAGMA integrity_check(1)";
const SKIP: &str = "UPDATE sqlite_sequence SET seq = seq + $1";
const SKIP_UNUSED: &str = "INSERT INTO sqlite_sequence (name, seq) SELECT t.name, $1 FROM sqlite_schema t
    WHERE t.type = 'table' AND t.sql LIKE '%AUTOINCREMENT%'
        AND NOT EXISTS (SELECT 1 FROM sqlite_sequence s WHERE s.name = t.name)";

/// More than were given between a copy and the end of its original.
const NUMBERS: i64 = 1_000_000_000;

/// Copies a database's file into one that does not exist or is empty, as it is at one instant.
///
/// # Errors
/// When the file cannot be read, or the copy not be written.
pub async fn copy(from: &Path, to: &Path) -> Result<()> {
    let Some(place) = to.to_str() else {
        return Err(Error::Sql(sqlx::Error::Configuration("the path of a copy must be UTF-8".into())));
    };
    let mut connection = open(from).await?;
    sqlx::query(COPY).bind(place).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// What is wrong inside a database's file, if anything is.
///
/// # Errors
/// When it cannot be read, or is no database.
pub async fn damage(path: &Path) -> Result<Option<String>> {
    let mut connection = open(path).await?;
    let found: String = sqlx::query_scalar(LOOK).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok((found != "ok").then_some(found))
}

pub(super) async fn open(path: &Path) -> Result<SqliteConnection> {
    let unreachable = |cause| Error::Unreachable { what: path.display().to_string(), cause };
    embedded::options(path).connect().await.map_err(unreachable)
}

/// Leaves out the numbers that the original may have given to people, runs and all else since it was copied: they stand
/// in links of mails, and must not come to mean somebody else.
///
/// # Errors
/// When the database refuses.
pub async fn skip_numbers(tx: &mut Session) -> Result<()> {
    tx.execute(SKIP, args![NUMBERS]).await?;
    tx.execute(SKIP_UNUSED, args![NUMBERS]).await.map(drop)
}
