//! Mail that came back: taken in as it arrived, and handled once.

use super::{EngineKind, Result, Session};
use crate::args;
use crate::domain::address::AddressHash;
use crate::domain::id::{InboundId, RecipientId, RunId};
use crate::domain::time::Micros;

/// A mail to take in.
#[derive(Clone, Debug)]
pub struct NewInbound<'a> {
    /// Says it once.
    pub digest: &'a [u8],
    /// How it came: `pipe`, `smtp`, `lmtp`, or a mailbox's name.
    pub way: &'a str,
    /// When.
    pub at: Micros,
    /// The envelope's sender, where it is known; empty for none.
    pub sender: Option<&'a str>,
    /// The envelope's recipient, where it is known.
    pub recipient: Option<&'a str>,
    /// Octets, as it came.
    pub size: u64,
    /// What is kept of it.
    pub raw: &'a [u8],
}

/// A mail that waits to be handled.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Waiting {
    /// Its number.
    pub id: i64,
    /// How it came.
    pub way: String,
    /// When, microseconds.
    pub arrived_at: i64,
    /// The envelope's sender, where it is known; empty for none.
    pub sender: Option<String>,
    /// The envelope's recipient, where it is known.
    pub recipient: Option<String>,
    /// What is kept of it.
    pub raw: Vec<u8>,
    /// How often it could not be handled.
    pub tries: i64,
}

/// What became of a mail.
#[derive(Clone, Debug, Default)]
pub struct Handled<'a> {
    /// What it is: a word of [`crate::domain::inbound::Kind`].
    pub kind: &'a str,
    /// What was done.
    pub effect: &'a str,
    /// By what that was decided, without an address.
    pub told: &'a str,
    /// The message that it answers.
    pub run: Option<RunId>,
    /// Whose that was.
    pub recipient: Option<RecipientId>,
    /// The address that it speaks of, or of who wrote it.
    pub hash: Option<AddressHash>,
    /// How many octets of the mail itself are kept for its time.
    pub kept: i64,
}

/// A mail as it is listed.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Listed {
    /// Its number.
    pub id: i64,
    /// How it came.
    pub way: String,
    /// When, microseconds.
    pub arrived_at: i64,
    /// Octets, as it came.
    pub size: i64,
    /// `waiting`, `handled` or `failed`.
    pub state: String,
    /// How often it could not be handled.
    pub tries: i64,
    /// What it is.
    pub kind: Option<String>,
    /// What was done.
    pub effect: Option<String>,
    /// By what that was decided, or why it could not be handled.
    pub told: Option<String>,
    /// The run whose message it answers.
    pub run_id: Option<i64>,
    /// Whose that was.
    pub recipient_id: Option<i64>,
}

/// Mails of a kind that stand the same way.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Count {
    /// `waiting`, `handled` or `failed`.
    pub state: String,
    /// What they are; empty before they are handled.
    pub kind: String,
    /// What was done.
    pub effect: String,
    /// How many.
    pub count: i64,
}

/// Mails that one call forgets.
const SOME: i64 = 200;

const TAKE: &str = "INSERT INTO inbound (digest, way, arrived_at, sender, recipient, size, raw, state, due_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting', $3) ON CONFLICT (digest) DO NOTHING";
const NEXT: &str = "SELECT id, way, arrived_at, sender, recipient, raw, tries FROM inbound
    WHERE state = 'waiting' AND due_at <= $1 AND raw IS NOT NULL ORDER BY due_at, id LIMIT 1";
const ANY_DUE: &str = "SELECT COUNT(*) FROM (SELECT 1 AS one FROM inbound
    WHERE state = 'waiting' AND due_at <= $1 AND raw IS NOT NULL LIMIT 1) due";
const TRY: &str = "UPDATE inbound SET tries = tries + 1, due_at = $1 WHERE id = $2";
const FINISH: &str = "UPDATE inbound SET state = 'handled', due_at = NULL, handled_at = $1, kind = $2, effect = $3,
        told = $4, run_id = $5, recipient_id = $6, address_hash = $7, raw = SUBSTR(raw, 1, CAST($8 AS INTEGER))
    WHERE id = $9 AND state = 'waiting'";
const DROP: &str = "UPDATE inbound SET raw = NULL, sender = NULL, recipient = NULL, address_hash = NULL WHERE id = $1";
const FAIL: &str = "UPDATE inbound SET told = $1, address_hash = $2, due_at = NULL, state = 'failed'
    WHERE id = $3 AND state = 'waiting'";
const RETRY: &str = "UPDATE inbound SET state = 'waiting', tries = 0, due_at = $1, told = NULL
    WHERE id = $2 AND state = 'failed' AND raw IS NOT NULL";
const RETRY_ALL: &str = "UPDATE inbound SET state = 'waiting', tries = 0, due_at = $1, told = NULL
    WHERE state = 'failed' AND raw IS NOT NULL";
const LIST: &str = "SELECT id, way, arrived_at, size, state, tries, kind, effect, told, run_id, recipient_id
    FROM inbound WHERE ($1 = '' OR state = $1) AND ($2 = '' OR kind = $2) AND ($3 = '' OR effect = $3)
    ORDER BY id DESC LIMIT $4";
const ONE: &str = "SELECT id, way, arrived_at, size, state, tries, kind, effect, told, run_id, recipient_id
    FROM inbound WHERE id = $1";
const RAW: &str = "SELECT raw FROM inbound WHERE id = $1";
const COUNTS: &str = "SELECT state, COALESCE(kind, '') AS kind, COALESCE(effect, '') AS effect, COUNT(*) AS count
    FROM inbound GROUP BY state, COALESCE(kind, ''), COALESCE(effect, '') ORDER BY 1, 2, 3";
const ERASE: &str = "UPDATE inbound SET raw = NULL, sender = NULL, recipient = NULL, address_hash = NULL
    WHERE recipient_id = $1 OR address_hash = $2";
const OLD: &str = "DELETE FROM inbound WHERE id IN (
        SELECT id FROM inbound WHERE arrived_at < $1 AND (state = 'handled' OR state = 'failed' AND arrived_at < $2)
        ORDER BY arrived_at LIMIT $3)";

pub(super) const STATEMENTS: &[&str] =
    &[TAKE, NEXT, ANY_DUE, TRY, FINISH, DROP, FAIL, RETRY, RETRY_ALL, LIST, ONE, RAW, COUNTS, ERASE, OLD];

/// Takes a mail in. `false` when it was taken in before. Whoever brought it may be told so once this is committed.
///
/// # Errors
/// When the database refuses.
pub async fn take(tx: &mut Session, mail: &NewInbound<'_>) -> Result<bool> {
    let size = i64::try_from(mail.size).unwrap_or(i64::MAX);
    let args = args![mail.digest, mail.way, mail.at, mail.sender, mail.recipient, size, mail.raw];
    Ok(tx.execute(TAKE, args).await? == 1)
}

/// Takes the mail in hand that has waited longest and is due. Nobody else takes it before `again`, when it is due once
/// more unless it was handled.
///
/// # Errors
/// When the database refuses.
pub async fn claim(tx: &mut Session, now: Micros, again: Micros) -> Result<Option<Waiting>> {
    let lock = if tx.kind() == EngineKind::Postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
    let found: Option<Waiting> = tx.first(format!("{NEXT}{lock}"), args![now]).await?;
    if let Some(mail) = &found {
        tx.change(1, TRY, args![again, mail.id]).await?;
    }
    Ok(found)
}

/// Whether a mail is due.
///
/// # Errors
/// When the database refuses.
pub async fn any_due(session: &mut Session, now: Micros) -> Result<bool> {
    Ok(session.one::<(i64,)>(ANY_DUE, args![now]).await?.0 > 0)
}

/// Notes what became of a mail, with what was done in the same transaction. `false` when somebody else has handled it:
/// then nothing may be done.
///
/// # Errors
/// When the database refuses.
pub async fn finish(tx: &mut Session, mail: InboundId, what: &Handled<'_>, now: Micros) -> Result<bool> {
    let hash = what.hash.map(|hash| hash.to_vec());
    let Handled { kind, effect, told, run, recipient, kept, .. } = what;
    let args = args![now, *kind, *effect, *told, *run, *recipient, hash, *kept, mail];
    Ok(tx.execute(FINISH, args).await? == 1)
}

/// Keeps nothing of a mail but that there was one.
///
/// # Errors
/// When the database refuses.
pub async fn drop_content(tx: &mut Session, mail: InboundId) -> Result<()> {
    tx.execute(DROP, args![mail]).await.map(drop)
}

/// Gives a mail up that cannot be handled; it is kept. `hash` is of who wrote it.
///
/// # Errors
/// When the database refuses.
pub async fn fail(tx: &mut Session, mail: InboundId, why: &str, hash: Option<&AddressHash>) -> Result<()> {
    tx.execute(FAIL, args![why, hash.map(|hash| hash.to_vec()), mail]).await.map(drop)
}

/// Lets failed mails be handled again: one, or all. How many.
///
/// # Errors
/// When the database refuses.
pub async fn retry(tx: &mut Session, mail: Option<InboundId>, now: Micros) -> Result<u64> {
    match mail {
        Some(mail) => tx.execute(RETRY, args![now, mail]).await,
        None => tx.execute(RETRY_ALL, args![now]).await,
    }
}

/// Mails in this state, of this kind, with this effect, each as far as it is said, the latest first.
///
/// # Errors
/// When the database refuses.
pub async fn list(session: &mut Session, which: [Option<&str>; 3], limit: i64) -> Result<Vec<Listed>> {
    let [state, kind, effect] = which.map(Option::unwrap_or_default);
    session.all(LIST, args![state, kind, effect, limit]).await
}

/// A mail.
///
/// # Errors
/// When the database refuses.
pub async fn find(session: &mut Session, mail: InboundId) -> Result<Option<Listed>> {
    session.first(ONE, args![mail]).await
}

/// What is kept of a mail as it came.
///
/// # Errors
/// When the database refuses.
pub async fn raw(session: &mut Session, mail: InboundId) -> Result<Option<Vec<u8>>> {
    Ok(session.first::<(Option<Vec<u8>>,)>(RAW, args![mail]).await?.and_then(|(raw,)| raw))
}

/// How many there are by state, kind and effect.
///
/// # Errors
/// When the database refuses.
pub async fn counts(session: &mut Session) -> Result<Vec<Count>> {
    session.all(COUNTS, vec![]).await
}

/// Takes what a person wrote, or what speaks of the person, out of all mails.
///
/// # Errors
/// When the database refuses.
pub(super) async fn erase(tx: &mut Session, recipient: RecipientId, hash: &AddressHash) -> Result<()> {
    tx.execute(ERASE, args![recipient, hash.as_slice()]).await.map(drop)
}

/// Forgets a few mails that arrived before an instant and were handled, and those that arrived before another, which is not
/// later, and could not be. How many.
///
/// # Errors
/// When the database refuses.
pub async fn forget(tx: &mut Session, handled: Micros, failed: Micros) -> Result<u64> {
    tx.execute(OLD, args![handled, failed, SOME]).await
}
