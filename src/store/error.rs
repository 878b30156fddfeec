//! What can go wrong with the database. Each error says its cause itself, once, and has no source that would say it again.

use sqlx::migrate::MigrateError;
use sqlx::sqlite::SqliteError;

/// `read_only_sql_transaction`.
const READ_ONLY: &str = "25006";

/// `idle_in_transaction_session_timeout`.
const SILENT: &str = "25P03";

/// A database error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers, or the file cannot be opened.
    #[error("the database {what} cannot be opened: {}", said(cause))]
    Unreachable {
        /// The file, or host and name without credentials.
        what: String,
        /// Why.
        cause: sqlx::Error,
    },
    /// None of its servers is the one that takes writes.
    #[error("the database {what} has no server that takes writes: {found}")]
    NoPrimary {
        /// Hosts and name without credentials.
        what: String,
        /// What each of them said.
        found: String,
        /// Whether one of them may come to be it.
        may_pass: bool,
    },
    /// The address names an engine that is not known.
    #[error("database urls start with sqlite: or postgres://, not with '{0}:'")]
    Scheme(String),
    /// The schema cannot be brought up to date.
    #[error("the database's schema cannot be brought up to date: {}", step_said(.0))]
    Schema(MigrateError),
    /// The schema has steps that this program does not know.
    #[error(
        "the database belongs to a newer colloquy: its schema has step {step}, which this one (version {}) does not know; \
         start the newer one",
        env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// The first of them.
        step: i64,
    },
    /// A statement failed.
    #[error("database: {}", said(.0))]
    Sql(sqlx::Error),
    /// A statement changed another number of rows than it must.
    #[error("a statement changed {actual} rows instead of {expected}: {statement}")]
    Rows {
        /// How many it must change.
        expected: u64,
        /// How many it did.
        actual: u64,
        /// Its text.
        statement: String,
    },
    /// A stored value is none of those that may stand there.
    #[error("the database holds what it should not: {0}")]
    Corrupt(String),
    /// Scores cannot be read while they are moved to another half-life.
    #[error(
        "the scores are being rebuilt; wait until `colloquy score rebuild` has ended, or run it again if it was interrupted"
    )]
    Rebuilding,
    /// The data is elsewhere now.
    #[error("this database was moved to {0}\n  hint: [database] in config/colloquy.toml must name that one")]
    Moved(String),
    /// Data that is on its way here is not complete.
    #[error(
        "a move into this database has not ended\n  hint: run the same `colloquy migrate` again; it goes on where it was"
    )]
    Moving,
    /// A group's writer has ended.
    #[error("the database's writer has stopped")]
    Stopped,
    /// The group that this item was committed with failed.
    #[error("{0}")]
    Group(std::sync::Arc<Error>),
}

impl Error {
    /// Whether the same may succeed later without anybody's doing: the database is away, busy or
    /// full, or the scores are being rebuilt. Anything else fails again however often it is tried.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Sql(error) | Self::Unreachable { cause: error, .. } => passes(error),
            Self::Group(error) => error.may_pass(),
            Self::NoPrimary { may_pass, .. } => *may_pass,
            Self::Rebuilding => true,
            Self::Schema(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => passes(error),
            Self::Scheme(_)
            | Self::Schema(_)
            | Self::Newer { .. }
            | Self::Rows { .. }
            | Self::Corrupt(_)
            | Self::Moved(_)
            | Self::Moving
            | Self::Stopped => false,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<MigrateError> for Error {
    fn from(error: MigrateError) -> Self {
        Self::Schema(error)
    }
}

/// The words of the server or the system alone: sqlx adds that they are theirs, and a line of PostgreSQL's source.
pub(super) fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) if error.try_downcast_ref::<SqliteError>().is_none() => error.message().to_owned(),
        sqlx::Error::Database(error) => error.to_string(),
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

fn step_said(error: &MigrateError) -> String {
    match error {
        MigrateError::Execute(error) => said(error),
        MigrateError::ExecuteMigration(error, step) => format!("step {step}: {}", said(error)),
        other => other.to_string(),
    }
}

pub(super) fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            if error.try_downcast_ref::<SqliteError>().is_some() {
                code.parse().is_ok_and(sqlite_passes)
            } else {
                postgres_passes(&code)
            }
        }
        _ => false,
    }
}

/// Whether the connection that said so is of no use any more.
pub(super) fn loses(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            error.try_downcast_ref::<SqliteError>().is_none() && postgres_loses(&error.code().unwrap_or_default())
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// The connection's own class, a server that ends or begins, one that takes no writes any more, and one that has hung up on
/// who said nothing in a transaction.
fn postgres_loses(code: &str) -> bool {
    [READ_ONLY, SILENT].contains(&code) || ["08", "57P"].iter().any(|class| code.starts_with(class))
}

/// By the primary code, the low octet (<https://sqlite.org/rescode.html>).
fn sqlite_passes(code: u32) -> bool {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    const IOERR: u32 = 10;
    const FULL: u32 = 13;
    matches!(code & 0xff, BUSY | LOCKED | IOERR | FULL)
}

/// By the class of the SQLSTATE: connection, rollback, resources, operator, system; a server that takes no writes
/// because another one is the primary by now; and one that has given up a transaction in which nothing was said for long.
fn postgres_passes(code: &str) -> bool {
    [READ_ONLY, SILENT].contains(&code) || ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class))
}

/// A result with a database error.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn an_error_says_its_cause_once() {
        let refused = || sqlx::Error::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        for (error, words) in [
            (
                Error::Unreachable { what: "postgres://db:1/x".to_owned(), cause: refused() },
                "the database postgres://db:1/x cannot be opened: connection refused",
            ),
            (Error::from(refused()), "database: connection refused"),
            (
                Error::from(MigrateError::ExecuteMigration(refused(), 7)),
                "the database's schema cannot be brought up to date: step 7: connection refused",
            ),
        ] {
            assert_eq!(format!("{:#}", anyhow::Error::from(error)), words);
        }
    }

    #[test]
    fn what_is_away_busy_or_full_passes() {
        assert!(Error::Sql(io::Error::from(io::ErrorKind::ConnectionReset).into()).may_pass());
        assert!(Error::Sql(sqlx::Error::PoolTimedOut).may_pass());
        assert!(Error::Rebuilding.may_pass());
        assert!(Error::Group(Arc::new(Error::Sql(sqlx::Error::PoolTimedOut))).may_pass());
        for code in ["08006", "40001", "40P01", "53100", "57P01", "58030", "25006", "25P03"] {
            assert!(postgres_passes(code), "{code}");
        }
        for code in [5, 261, 517, 6, 10, 3338, 13] {
            assert!(sqlite_passes(code), "{code}");
        }
    }

    #[test]
    fn a_connection_is_of_no_use_once_its_server_ends_or_takes_no_writes() {
        assert!(loses(&io::Error::from(io::ErrorKind::UnexpectedEof).into()));
        assert!(!loses(&sqlx::Error::RowNotFound));
        for code in ["08006", "57P01", "57P02", "57P03", "25006"] {
            assert!(postgres_loses(code), "{code}");
        }
        for code in ["40001", "40P01", "57014", "23505", "53100"] {
            assert!(!postgres_loses(code), "{code}");
        }
    }

    #[test]
    fn what_is_wrong_stays_wrong() {
        assert!(!Error::Sql(sqlx::Error::RowNotFound).may_pass());
        assert!(!Error::Sql(sqlx::Error::ColumnNotFound("x".to_owned())).may_pass());
        assert!(!Error::Corrupt("a state".to_owned()).may_pass());
        assert!(!Error::Group(Arc::new(Error::Stopped)).may_pass());
        for code in ["22P02", "23505", "42P01", "25P02", ""] {
            assert!(!postgres_passes(code), "{code}");
        }
        for code in [1, 11, 19, 2067, 26] {
            assert!(!sqlite_passes(code), "{code}");
        }
    }
}
