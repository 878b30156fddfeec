//! What can go wrong with the database.

/// A database error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers, or the file cannot be opened.
    #[error("the database {what} cannot be opened")]
    Unreachable {
        /// The file, or host and name without credentials.
        what: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The address names an engine that is not known.
    #[error("database urls start with sqlite: or postgres://, not with '{0}:'")]
    Scheme(String),
    /// The schema cannot be brought up to date.
    #[error("the database's schema cannot be brought up to date")]
    Schema(#[from] sqlx::migrate::MigrateError),
    /// A statement failed.
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
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
    /// A group's writer has ended.
    #[error("the database's writer has stopped")]
    Stopped,
    /// The group that this item was committed with failed.
    #[error("{0}")]
    Group(std::sync::Arc<Error>),
}

/// A result with a database error.
pub type Result<T> = std::result::Result<T, Error>;
