//! How files of SQLite are opened: the database and the spool.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use super::PATIENCE;

/// Pages in the log, 8 MB, after which it is written back and begun again. A commit that writes over an old one costs a
/// third less than one that makes the file longer.
const LOG_PAGES: &str = "2000";
/// KiB of pages that the writer keeps, whatever the size of the database; a reader keeps 2 MB.
pub(super) const CACHE: &str = "-8192";
/// For transactions that change pages everywhere, many of which the next one changes again: a log of 64 MB, and a cache
/// that holds an index.
pub(super) const BULK: &str = "PRAGMA wal_autocheckpoint = 16000; PRAGMA cache_size = -16384";

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

/// The same for who makes the file if there is none: then only its owner may read it, and what SQLite writes beside it.
pub(super) fn making(path: &Path) -> SqliteConnectOptions {
    // One that exists keeps its mode. What stands in the way, SQLite tells.
    let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    options(path).create_if_missing(true)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::Store;
    use super::super::spool::Spool;

    #[tokio::test]
    async fn new_files_are_their_owners_alone_and_others_keep_their_mode() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        let store = Store::open("sqlite:new.db", dir.path()).await.unwrap();
        let spool = Spool::open(&dir.path().join("spool.db")).await.unwrap();
        for name in ["new.db", "new.db-wal", "new.db-shm", "spool.db", "spool.db-wal", "spool.db-shm"] {
            assert_eq!(mode(name), 0o600, "{name}");
        }
        store.close().await;
        spool.close().await;
        fs::set_permissions(dir.path().join("new.db"), Permissions::from_mode(0o640)).unwrap();
        Store::open("sqlite:new.db", dir.path()).await.unwrap().close().await;
        assert_eq!(mode("new.db"), 0o640);
    }
}
