//! What comes back by mail: the command line, and the ways in.

mod accept;
mod classify;
mod dovecot;
mod killed;
mod listener;
mod maildir;
mod postfix;

use colloquy::args;
use colloquy::store::Store;

/// A mail that was taken in.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Kept {
    pub way: String,
    pub sender: Option<String>,
    pub recipient: Option<String>,
    pub size: i64,
    pub raw: Option<Vec<u8>>,
}

/// All mails that were taken in, in order.
pub async fn kept(store: &Store) -> Vec<Kept> {
    let sql = "SELECT way, sender, recipient, size, raw FROM inbound ORDER BY id";
    store.read().await.unwrap().all(sql, args![]).await.unwrap()
}
