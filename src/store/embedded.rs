//! How files of SQLite are opened: the database and the spool.

use std::path::Path;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use super::PATIENCE;

/// Pages in the log, 8 MB, after which it is written back and begun again. A commit that writes over an old one costs a
/// third less than one that makes the file longer.
const LOG_PAGES: &str = "2000";
/// 64 MB, for transactions that change pages everywhere, many of which the next one changes again.
pub(super) const LONGER_LOG: &str = "PRAGMA wal_autocheckpoint = 16000";

/// WAL and `synchronous=FULL`: what was committed survives a power cut.
pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .pragma("wal_autocheckpoint", LOG_PAGES)
        .pragma("secure_delete", "FAST")
        .statement_cache_capacity(200)
        .disable_statement_logging()
}
