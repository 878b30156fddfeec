//! One connection of either engine, in or out of a transaction.

use std::borrow::Cow;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Executor as _, FromRow};

use super::error::loses;
use super::pool::Loan;
use super::servers::Servers;
use super::sql::number;
use super::{EngineKind, Error, Result, Sql, Value, value};
use crate::domain::id::RecipientId;

/// A row type that both engines can fill.
pub trait Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}
impl<T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin> Row for T {}

/// Whoever falls silent in a transaction for as long as a lease lasts, as a frozen process does, gives up what it has
/// locked: else those who are to take its work over would wait for it.
///
/// No plan is compiled: over many partitions that takes many seconds, and saves milliseconds.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '8s'; \
    SET LOCAL jit = off";

#[derive(Debug)]
enum Connection {
    Sqlite(Loan<SqliteConnectOptions>),
    Postgres(Loan<Servers>),
}

/// A connection. Inside a transaction (see [`super::Store::write`]) dropping it closes the
/// connection, which rolls back whatever state a cancelled future left behind.
#[derive(Debug)]
pub struct Session {
    connection: Option<Connection>,
    transaction: bool,
    /// It is not given back: it is lost, or its last statement has not ended.
    spoilt: bool,
}

/// A statement with its arguments in an engine's own form. Putting thousands of them into it takes
/// a while, which can pass while another statement runs.
pub(super) enum Bound {
    /// For SQLite.
    Sqlite(AssertSqlSafe<Cow<'static, str>>, SqliteArguments),
    /// For PostgreSQL.
    Postgres(AssertSqlSafe<Cow<'static, str>>, PgArguments),
}

impl Bound {
    /// # Errors
    /// When a value cannot be said in the engine's form.
    pub(super) fn new(kind: EngineKind, sql: impl Into<Sql>, args: Vec<Value>) -> Result<Self> {
        let sql = sql.into();
        Ok(match kind {
            EngineKind::Sqlite => {
                let sql = AssertSqlSafe(sql.for_sqlite(args.len()).0);
                Self::Sqlite(sql, value::for_sqlite(args)?)
            }
            EngineKind::Postgres => Self::Postgres(AssertSqlSafe(sql.0), value::for_postgres(args)?),
        })
    }
}

/// Expands `$body` once per engine, with `$query` bound to all arguments.
///
/// Behind a pooler each statement has a transaction, since it goes to the server in two steps that
/// must reach the same connection of the pooler's, and gets no name there.
macro_rules! run {
    ($session:expr, $bound:expr, $make:path, |$query:ident, $connection:ident| $body:expr) => {{
        let alone = $session.enter().await?;
        let result = match ($session.connection.as_mut().ok_or(Error::Stopped)?, $bound) {
            (Connection::Sqlite(held), Bound::Sqlite(sql, args)) => {
                let $connection = &mut **held;
                let $query = $make(sql, args);
                $body.await
            }
            (Connection::Postgres(held), Bound::Postgres(sql, args)) => {
                let (servers, link) = held.parts();
                let $connection = &mut link.connection;
                let $query = $make(sql, args).persistent(!servers.pooled);
                servers.watched(link.server, $body).await
            }
            _ => return Err(Error::Corrupt("a statement is bound for the other engine".to_owned())),
        };
        $session.leave(alone, result).await
    }};
}

impl Session {
    pub(super) fn sqlite(connection: Loan<SqliteConnectOptions>) -> Self {
        Self { connection: Some(Connection::Sqlite(connection)), transaction: false, spoilt: false }
    }

    pub(super) fn postgres(connection: Loan<Servers>) -> Self {
        Self { connection: Some(Connection::Postgres(connection)), transaction: false, spoilt: false }
    }

    /// Which engine answers.
    #[must_use]
    pub fn kind(&self) -> EngineKind {
        match self.connection {
            Some(Connection::Postgres(_)) => EngineKind::Postgres,
            _ => EngineKind::Sqlite,
        }
    }

    /// Runs a statement; the number of rows that it changed.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn execute(&mut self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<u64> {
        self.execute_bound(Bound::new(self.kind(), sql, args)?).await
    }

    /// As [`Self::execute`].
    pub(super) async fn execute_bound(&mut self, bound: Bound) -> Result<u64> {
        run!(self, bound, sqlx::query_with, |query, connection| async {
            query.execute(connection).await.map(|done| done.rows_affected())
        })
    }

    /// Runs a statement that must change exactly `expected` rows.
    ///
    /// # Errors
    /// [`Error::Rows`] when it changes another number.
    pub async fn change(&mut self, expected: u64, sql: impl Into<Sql>, args: Vec<Value>) -> Result<()> {
        let sql = sql.into();
        let statement = sql.clone();
        let actual = self.execute(sql, args).await?;
        if actual == expected {
            return Ok(());
        }
        Err(Error::Rows { expected, actual, statement: statement.0.into_owned() })
    }

    /// All rows of a query. Bound its number by LIMIT.
    ///
    /// # Errors
    /// When the database refuses, or a row does not fit `T`.
    pub async fn all<T: Row>(&mut self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<Vec<T>> {
        self.all_bound(Bound::new(self.kind(), sql, args)?).await
    }

    /// As [`Self::all`].
    pub(super) async fn all_bound<T: Row>(&mut self, bound: Bound) -> Result<Vec<T>> {
        run!(self, bound, sqlx::query_as_with::<_, T, _>, |query, connection| query.fetch_all(connection))
    }

    /// The first row of a query, if there is one.
    ///
    /// # Errors
    /// When the database refuses, or the row does not fit `T`.
    pub async fn first<T: Row>(&mut self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<Option<T>> {
        let bound = Bound::new(self.kind(), sql, args)?;
        run!(self, bound, sqlx::query_as_with::<_, T, _>, |query, connection| query.fetch_optional(connection))
    }

    /// The only row of a query.
    ///
    /// # Errors
    /// When there is none, the database refuses, or the row does not fit `T`.
    pub async fn one<T: Row>(&mut self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<T> {
        self.first(sql, args).await?.ok_or(Error::Sql(sqlx::Error::RowNotFound))
    }

    /// The recipients whose `id` a query finds, by id. They come as one text: SQLite's thread hands rows over one by one.
    ///
    /// # Errors
    /// When the database refuses.
    pub(super) async fn recipients(&mut self, query: &str, args: Vec<Value>) -> Result<Vec<RecipientId>> {
        let sql = format!("SELECT string_agg(CAST(id AS TEXT), ',') FROM ({query}) found");
        let (found,) = self.one::<(Option<String>,)>(sql, args).await?;
        let ids = found.iter().flat_map(|ids| ids.split(',')).map(|id| number(id).map(RecipientId));
        let mut ids: Vec<_> = ids.collect::<Result<_>>()?;
        ids.sort_unstable();
        Ok(ids)
    }

    pub(super) async fn begin(&mut self) -> Result<()> {
        self.transaction = true;
        self.simple("BEGIN IMMEDIATE", BEGIN).await
    }

    /// Commits. On return the transaction is on disk.
    ///
    /// # Errors
    /// When the database refuses; then nothing was written, or it cannot be told.
    pub async fn commit(mut self) -> Result<()> {
        self.simple("COMMIT", "COMMIT").await?;
        self.transaction = false;
        Ok(())
    }

    /// Gives the transaction up.
    ///
    /// # Errors
    /// When the database cannot be reached; it rolls back all the same.
    pub async fn rollback(mut self) -> Result<()> {
        self.simple("ROLLBACK", "ROLLBACK").await?;
        self.transaction = false;
        Ok(())
    }

    /// Before a statement; whether it gets a transaction of its own.
    async fn enter(&mut self) -> Result<bool> {
        let Some(Connection::Postgres(held)) = &self.connection else { return Ok(false) };
        let alone = held.opener().pooled && !self.transaction;
        if alone {
            self.simple("BEGIN", BEGIN).await?;
        }
        self.spoilt = true;
        Ok(alone)
    }

    /// After a statement. A connection that is lost is not given back, and those beside it are taken to be lost as well.
    async fn leave<T>(&mut self, alone: bool, result: sqlx::Result<T>) -> Result<T> {
        self.spoilt = result.as_ref().is_err_and(loses);
        match &self.connection {
            Some(Connection::Postgres(held)) if self.spoilt => held.clear_idle(),
            _ if alone => self.simple("COMMIT", "COMMIT").await?,
            _ => {}
        }
        Ok(result?)
    }

    async fn simple(&mut self, sqlite: &'static str, postgres: &'static str) -> Result<()> {
        let result = match self.connection.as_mut().ok_or(Error::Stopped)? {
            Connection::Sqlite(c) => (&mut **c).execute(sqlite).await.map(drop),
            Connection::Postgres(c) => {
                self.spoilt = true;
                let (servers, link) = c.parts();
                let statement = async { (&mut link.connection).execute(postgres).await.map(drop) };
                servers.watched(link.server, statement).await
            }
        };
        Box::pin(self.leave(false, result)).await
    }

    /// Asks the engine to parse and plan a statement without running it.
    ///
    /// # Errors
    /// When the statement is not valid for the engine's schema.
    pub async fn prepare(&mut self, sql: impl Into<Sql>) -> Result<()> {
        use sqlx::SqlSafeStr as _;
        let sql = AssertSqlSafe(sql.into().0).into_sql_str();
        let alone = self.enter().await?;
        let result = match self.connection.as_mut().ok_or(Error::Stopped)? {
            Connection::Sqlite(c) => (&mut **c).prepare(sql).await.map(drop),
            Connection::Postgres(c) => {
                let (servers, link) = c.parts();
                let prepared = (&mut link.connection).prepare(sql).await;
                if servers.pooled && prepared.is_ok() {
                    // It has got a name.
                    (&mut link.connection).execute("DEALLOCATE ALL").await?;
                }
                prepared.map(drop)
            }
        };
        self.leave(alone, result).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        match self.connection.take() {
            Some(Connection::Sqlite(held)) if self.transaction || self.spoilt => held.discard(),
            Some(Connection::Postgres(held)) if self.transaction || self.spoilt => held.discard(),
            _ => {}
        }
    }
}
