//! What comes back by mail: the command line, and the ways in.

mod accept;
mod classify;
mod dovecot;
mod killed;
mod listener;
mod maildir;
mod postfix;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

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

/// Runs a command that reads this.
fn fed(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A call that is refused does not read.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}
