//! What the integration tests share.

pub mod browser;
pub mod cluster;
pub mod dns;
pub mod dump;
pub mod logs;
pub mod network;
pub mod ports;
pub mod process;
pub mod program;

use std::sync::atomic::{AtomicU32, Ordering};

use colloquy::store::{EngineKind, Store};
use colloquy::web::Proxies;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// What addresses are hashed under, where the test does not care.
pub fn suppression_key() -> aws_lc_rs::hmac::Key {
    aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[5; 32])
}

/// That key, and no proxy but those on loopback: what pages need besides.
pub fn key_and_proxies() -> (aws_lc_rs::hmac::Key, Proxies) {
    (suppression_key(), Proxies::new(Vec::new()))
}

/// A fresh database of one engine, gone with the test.
pub struct Database {
    /// Its directory; the project root of tests that need one.
    pub dir: tempfile::TempDir,
    /// Its address, as a config file writes it.
    pub url: String,
    /// The open store.
    pub store: Store,
}

/// A fresh database.
///
/// # Panics
/// When the engine is missing: `scripts/test` provides PostgreSQL and names it in
/// `COLLOQUY_TEST_POSTGRES`.
pub async fn database(kind: EngineKind) -> Database {
    let dir = tempfile::tempdir().unwrap();
    let url = match kind {
        EngineKind::Sqlite => "sqlite:colloquy.db".to_owned(),
        EngineKind::Postgres => postgres_database().await,
    };
    let store = Store::open(&url, dir.path()).await.unwrap();
    Database { dir, url, store }
}

async fn postgres_database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var("COLLOQUY_TEST_POSTGRES")
        .expect("COLLOQUY_TEST_POSTGRES names no PostgreSQL; run the tests with `make test`");
    let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&server).await.expect("PostgreSQL answers");
    admin.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}"))).await.unwrap();
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    let mut url = url::Url::parse(&server).unwrap();
    url.set_path(&name);
    url.to_string()
}

/// Returns once somebody waits for a lock in this database of PostgreSQL.
pub async fn until_somebody_waits(store: &Store) {
    until_waiting(store, 1).await;
}

/// Returns once so many wait for a lock in this database of PostgreSQL.
pub async fn until_waiting(store: &Store, sessions: i64) {
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for _ in 0..1_000 {
        if store.read().await.unwrap().one::<(i64,)>(sql, vec![]).await.unwrap().0 >= sessions {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("nobody waits for a lock");
}

/// Declares the same test for SQLite and PostgreSQL; the body gets a [`Database`].
macro_rules! on_both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($database:ident) $body:block)+) => {
        $(mod $name {
            use super::*;
            async fn body($database: crate::support::Database) $body

            $(#[$meta])*
            #[tokio::test]
            async fn sqlite() {
                body(crate::support::database(colloquy::store::EngineKind::Sqlite).await).await;
            }

            $(#[$meta])*
            #[tokio::test]
            async fn postgres() {
                body(crate::support::database(colloquy::store::EngineKind::Postgres).await).await;
            }
        })+
    };
}
pub(crate) use on_both_engines;
