//! The database: the only place with SQL.
//!
//! SQLite and PostgreSQL stand behind one type. Statements are one text for both, in the common
//! subset: `$1` placeholders, no `now()`, no casts with `::`, times as bound integers. Where the
//! engines must differ, two texts stand side by side.

mod connection;
mod embedded;
mod error;
mod group;
mod pool;
mod schema;
mod script;
mod segment;
mod servers;
mod sql;
mod value;

pub mod actions;
pub mod addresses;
pub mod audience;
pub mod claims;
pub mod consents;
pub mod copy;
pub mod durability;
pub mod eligibility;
pub mod erasure;
pub mod expired;
pub mod forecast;
pub mod hashing;
pub mod hits;
pub mod imports;
pub mod inbound;
pub mod joins;
pub mod lapses;
pub mod marks;
pub mod nodes;
pub mod notices;
pub mod partitions;
pub mod past;
pub mod people;
pub mod person;
pub mod profiles;
pub mod recipients;
pub mod reports;
pub mod resends;
pub mod retention;
pub mod returns;
pub mod runs;
pub mod score;
pub mod slowdowns;
pub mod spool;
pub mod subscriptions;
pub mod suppressions;
pub mod transfer;
pub mod verdicts;
pub mod versions;
pub mod warm_ups;
pub mod waves;

pub use connection::{Row, Session};
pub use error::{Error, Result};
pub use group::Group;
use pool::Pool;
pub use schema::Schema;
pub use script::Script;
use servers::Servers;
pub use servers::Standing;
pub use sql::{Sql, list, values};
use sql::{any, keys, padded};
pub use value::Value;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;

/// Builds the arguments of a statement from anything that converts into a [`Value`].
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::Value::from($value)),*] };
}

/// Where the database is.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// `sqlite:PATH` or `postgres://…`, perhaps with several hosts.
    pub url: &'a str,
    /// Where the servers are reached without the pooler that `url` names, if it names one.
    pub direct_url: Option<&'a str>,
}

impl<'a> From<&'a str> for Place<'a> {
    fn from(url: &'a str) -> Self {
        Self { url, direct_url: None }
    }
}

impl<'a> From<&'a String> for Place<'a> {
    fn from(url: &'a String) -> Self {
        Self::from(url.as_str())
    }
}

/// The database, cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    engine: Engine,
}

#[derive(Clone, Debug)]
enum Engine {
    /// One writer, several readers.
    Sqlite { writer: Pool<SqliteConnectOptions>, readers: Pool<SqliteConnectOptions> },
    Postgres {
        pool: Pool<Servers>,
        /// For what needs a session of the server's own.
        direct: Option<Arc<Servers>>,
    },
}

/// Every fixed statement of the house, so that a test can prepare each on both engines.
#[must_use]
pub fn statements() -> Vec<&'static str> {
    [
        addresses::STATEMENTS,
        claims::STATEMENTS,
        consents::STATEMENTS,
        erasure::STATEMENTS,
        expired::STATEMENTS,
        forecast::STATEMENTS,
        hashing::STATEMENTS,
        imports::STATEMENTS,
        inbound::STATEMENTS,
        joins::STATEMENTS,
        lapses::STATEMENTS.as_slice(),
        nodes::STATEMENTS,
        notices::STATEMENTS,
        notices::MARKS,
        past::STATEMENTS,
        people::STATEMENTS,
        recipients::STATEMENTS,
        reports::STATEMENTS,
        reports::SKIPPED_STATEMENTS,
        resends::STATEMENTS,
        retention::STATEMENTS,
        returns::STATEMENTS.as_slice(),
        runs::STATEMENTS,
        schema::STATEMENTS,
        slowdowns::STATEMENTS,
        subscriptions::STATEMENTS,
        suppressions::STATEMENTS.as_slice(),
        transfer::STATEMENTS,
        versions::STATEMENTS,
        warm_ups::STATEMENTS,
        waves::STATEMENTS,
        score::FACTS_STATEMENTS,
        score::UNSCORED_STATEMENTS,
        score::SWEEP_STATEMENTS,
        score::PEOPLE_STATEMENTS,
        hits::STATEMENTS,
        verdicts::STATEMENTS,
    ]
    .concat()
}

/// Which engine answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// The embedded default.
    Sqlite,
    /// For more than one machine.
    Postgres,
}

/// How long a SQLite writer waits for another process, and a pool for a free connection.
const PATIENCE: Duration = Duration::from_secs(30);
const READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 12;

impl Store {
    /// Opens `sqlite:PATH` (created when absent, relative to `root`) or `postgres://…`, and brings
    /// the schema up to date.
    ///
    /// # Errors
    /// When the address is not understood, the database cannot be reached, its schema is newer than this
    /// program, or its data was moved elsewhere.
    pub async fn open(place: impl Into<Place<'_>>, root: &Path) -> Result<Self> {
        let store = Self::at(place, root)?;
        store.get_ready().await?;
        Ok(store)
    }

    /// Opens the same, and leaves the schema as it is: for who only looks.
    ///
    /// # Errors
    /// When the address is not understood, or the database cannot be reached.
    pub async fn connect(place: impl Into<Place<'_>>, root: &Path) -> Result<Self> {
        let store = Self::at(place, root)?;
        store.reach().await?;
        Ok(store)
    }

    /// The same, of which nothing is asked yet: for who can do without it for a while.
    ///
    /// # Errors
    /// When the address is not understood.
    pub fn at<'a>(place: impl Into<Place<'a>>, root: &Path) -> Result<Self> {
        Ok(Self { engine: engine(place.into(), root)? })
    }

    /// Brings the schema up to date, and sees that the data is here.
    ///
    /// # Errors
    /// When the database cannot be reached, its schema is newer than this program, or its data was moved elsewhere.
    pub async fn get_ready(&self) -> Result<()> {
        self.update_schema().await?;
        transfer::refuse(&mut self.read().await?).await
    }

    async fn update_schema(&self) -> Result<()> {
        self.reach().await?;
        match self.schema().await {
            Ok(Schema::Current) => Ok(()),
            _ => schema::migrate(&self.engine).await,
        }
    }

    async fn reach(&self) -> Result<()> {
        match &self.engine {
            Engine::Sqlite { writer, .. } => writer.acquire().await.map(drop),
            Engine::Postgres { pool, .. } => pool.acquire().await.map(drop),
        }
    }

    /// Which engine answers.
    #[must_use]
    pub fn kind(&self) -> EngineKind {
        match self.engine {
            Engine::Sqlite { .. } => EngineKind::Sqlite,
            Engine::Postgres { .. } => EngineKind::Postgres,
        }
    }

    /// A connection for reading. What it reads in one statement is consistent.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn read(&self) -> Result<Session> {
        Ok(match &self.engine {
            Engine::Sqlite { readers, .. } => Session::sqlite(readers.acquire().await?),
            Engine::Postgres { pool, .. } => Session::postgres(pool.acquire().await?),
        })
    }

    /// A write transaction. Dropping it without [`Session::commit`] rolls back.
    ///
    /// # Errors
    /// When the database cannot be reached, or SQLite's writer stays taken for half a minute.
    pub async fn write(&self) -> Result<Session> {
        match &self.engine {
            Engine::Sqlite { writer, .. } => {
                let mut session = Session::sqlite(writer.acquire().await?);
                session.begin().await?;
                Ok(session)
            }
            Engine::Postgres { pool, .. } => {
                let mut session = Session::postgres(pool.acquire().await?);
                if session.begin().await.is_err() {
                    // It had been kept while its server ended. Nothing has been asked of it yet. Others wait for its place.
                    drop(session);
                    session = Session::postgres(pool.acquire().await?);
                    session.begin().await?;
                }
                Ok(session)
            }
        }
    }

    /// Prepares for many large transactions: SQLite keeps more pages, and its log may become longer until it is written
    /// back.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn expect_bulk(&self) -> Result<()> {
        if let Engine::Sqlite { writer, .. } = &self.engine {
            sqlx::query(embedded::BULK).execute(&mut *writer.acquire().await?).await?;
        }
        Ok(())
    }

    /// Takes what was deleted out of the database's files. SQLite would keep it in free pages and in its
    /// log until something else is written there; PostgreSQL's vacuum sees to it.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn scrub(&self) -> Result<()> {
        if let Engine::Sqlite { writer, .. } = &self.engine {
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *writer.acquire().await?).await?;
        }
        Ok(())
    }

    /// How the database's schema compares with the one that this program was built with.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn schema(&self) -> Result<Schema> {
        schema::compare(&mut self.read().await?).await
    }

    /// What each of PostgreSQL's servers is at present, by its name.
    pub async fn servers(&self) -> Vec<(String, Standing)> {
        match &self.engine {
            Engine::Sqlite { .. } => Vec::new(),
            Engine::Postgres { pool, .. } => pool.opener().standings().await,
        }
    }

    /// Writes to an embedded database without changing anything: a disk that is full is told by nothing else. A server
    /// keeps its own.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn probe(&self) -> Result<()> {
        if self.kind() == EngineKind::Postgres {
            return Ok(());
        }
        let mut session = self.write().await?;
        session.execute(spool::PROBE, vec![]).await?;
        session.commit().await
    }

    /// Ends all connections; what was committed is on disk.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Engine::Postgres { pool, .. } => pool.close().await,
        }
    }
}

fn engine(Place { url, direct_url }: Place<'_>, root: &Path) -> Result<Engine> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = root.join(path.trim_start_matches("//"));
        let writer = embedded::making(&path).pragma("cache_size", embedded::CACHE);
        let writer = Pool::new(1, writer, PATIENCE);
        let readers = Pool::new(READERS, embedded::options(&path).pragma("query_only", "ON"), PATIENCE);
        return Ok(Engine::Sqlite { writer, readers });
    }
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(Error::Scheme(url.split(':').next().unwrap_or_default().to_owned()));
    }
    let pool = Pool::new(POSTGRES_CONNECTIONS, Servers::new(url, direct_url.is_some())?, PATIENCE);
    let direct = direct_url.map(|url| Servers::new(url, false)).transpose()?.map(Arc::new);
    Ok(Engine::Postgres { pool, direct })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_transaction_leaves_nothing_and_the_writer_free() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open("sqlite:t.db", dir.path()).await.unwrap();
        let mut lost = store.write().await.unwrap();
        lost.execute("INSERT INTO facts (name, value) VALUES ($1, $2)", args!["a", "1"]).await.unwrap();
        drop(lost);
        let mut kept = store.write().await.unwrap();
        kept.execute("INSERT INTO facts (name, value) VALUES ($1, $2)", args!["b", "2"]).await.unwrap();
        kept.commit().await.unwrap();
        let rows: Vec<(String,)> = store.read().await.unwrap().all("SELECT name FROM facts", vec![]).await.unwrap();
        assert_eq!(rows, [("b".to_owned(),)]);
    }

    #[tokio::test]
    async fn a_reader_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open("sqlite:t.db", dir.path()).await.unwrap();
        let mut reader = store.read().await.unwrap();
        assert!(reader.execute("INSERT INTO facts (name, value) VALUES ('a', '1')", vec![]).await.is_err());
    }
}
