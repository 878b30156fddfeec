//! Suppressions: addresses that are never mailed, kept as keyed hashes so that they outlive erasure.

use std::sync::LazyLock;

use super::{EngineKind, Result, Session, Value, list, padded, values};
use crate::args;
use crate::domain::address::{Address, AddressHash};
use crate::domain::id::RecipientId;
use crate::domain::suppression::{PERSONS_OWN, is_persons_own};
use crate::domain::time::Micros;

const CONTAINS: &str = "SELECT COUNT(*) FROM suppressions WHERE hash = $1";
const OF: &str = "SELECT COUNT(*) FROM suppressions s JOIN recipients r ON r.address_hash = s.hash WHERE r.id = $1";
const REMOVE: &str = "DELETE FROM suppressions WHERE hash = $1";
/// See [`is_persons_own`].
static IS_PERSONS_OWN: LazyLock<String> = LazyLock::new(|| format!("reason IN ('{}')", PERSONS_OWN.join("', '")));
static LIFT: LazyLock<String> =
    LazyLock::new(|| format!("DELETE FROM suppressions WHERE hash = $1 AND {}", *IS_PERSONS_OWN));
const ADD_RECIPIENT: &str = "INSERT INTO suppressions (hash, at, reason)
    SELECT r.address_hash, $2, $3 FROM recipients r WHERE r.id = $1 AND r.address_hash IS NOT NULL
    ON CONFLICT (hash) DO NOTHING";
const REASON: &str = "SELECT reason FROM suppressions WHERE hash = $1";
const COUNT: &str = "SELECT COUNT(*) FROM suppressions";

pub(super) static STATEMENTS: LazyLock<[&str; 7]> =
    LazyLock::new(|| [CONTAINS, OF, REMOVE, ADD_RECIPIENT, LIFT.as_str(), REASON, COUNT]);

/// Rows a statement; a power of two, see [`add`].
const ROWS: usize = 1_024;

/// Suppresses addresses, known or not; the number of those that were not suppressed before. The first
/// reason stays, unless it was the person's own ([`is_persons_own`]) and this one is not. Locks the rows
/// of recipients with these addresses.
///
/// # Errors
/// When the database refuses.
pub async fn add(session: &mut Session, who: &[(Address, AddressHash)], at: Micros, reason: &str) -> Result<u64> {
    let mut added = 0;
    for chunk in who.chunks(ROWS) {
        lock(session, chunk).await?;
        let rows = chunk.len().next_power_of_two();
        let sql = format!(
            "INSERT INTO suppressions (hash, at, reason) VALUES {} ON CONFLICT (hash) DO NOTHING",
            values(1, rows, 3)
        );
        let args = padded(chunk, rows).flat_map(|(_, hash)| args![hash.as_slice(), at, reason]).collect();
        added += session.execute(sql, args).await?;
        if !is_persons_own(reason) {
            let (places, rows) = list(3, chunk.len());
            let sql = format!(
                "UPDATE suppressions SET at = $1, reason = $2
                 WHERE hash IN ({places}) AND {}",
                *IS_PERSONS_OWN
            );
            let hashes = padded(chunk, rows).map(|(_, hash)| Value::from(hash.as_slice()));
            session.execute(sql, args![at, reason].into_iter().chain(hashes).collect()).await?;
        }
    }
    Ok(added)
}

/// Suppresses the address of a recipient, whose row the caller has locked. A reason that there is stays.
///
/// # Errors
/// When the database refuses.
pub async fn add_recipient(session: &mut Session, recipient: RecipientId, at: Micros, reason: &str) -> Result<()> {
    session.execute(ADD_RECIPIENT, args![recipient, at, reason]).await.map(drop)
}

/// Takes a suppression back if it was the person's own.
///
/// # Errors
/// When the database refuses.
pub async fn lift(session: &mut Session, hash: &[u8]) -> Result<()> {
    session.execute(LIFT.as_str(), args![hash]).await.map(drop)
}

/// Takes a suppression back. `false` when there was none.
///
/// # Errors
/// When the database refuses.
pub async fn remove(session: &mut Session, hash: &AddressHash) -> Result<bool> {
    Ok(session.execute(REMOVE, args![hash.as_slice()]).await? == 1)
}

/// Whether an address is suppressed.
///
/// # Errors
/// When the database refuses.
pub async fn contains(session: &mut Session, hash: &AddressHash) -> Result<bool> {
    let (found,): (i64,) = session.one(CONTAINS, args![hash.as_slice()]).await?;
    Ok(found > 0)
}

/// Why an address is suppressed, if it is.
///
/// # Errors
/// When the database refuses.
pub async fn reason(session: &mut Session, hash: &AddressHash) -> Result<Option<String>> {
    Ok(session.first::<(String,)>(REASON, args![hash.as_slice()]).await?.map(|(reason,)| reason))
}

/// Whether a recipient's address is suppressed.
///
/// # Errors
/// When the database refuses.
pub async fn of(session: &mut Session, recipient: RecipientId) -> Result<bool> {
    let (found,): (i64,) = session.one(OF, args![recipient]).await?;
    Ok(found > 0)
}

/// How many addresses are suppressed.
///
/// # Errors
/// When the database refuses.
pub async fn count(session: &mut Session) -> Result<i64> {
    let (count,): (i64,) = session.one(COUNT, vec![]).await?;
    Ok(count)
}

/// In one order for all, so that two writers cannot lock each other out.
async fn lock(session: &mut Session, who: &[(Address, AddressHash)]) -> Result<()> {
    if session.kind() == EngineKind::Sqlite {
        return Ok(()); // a write transaction is alone there
    }
    let (placeholders, rows) = list(1, who.len());
    let sql = format!("SELECT id FROM recipients WHERE LOWER(address) IN ({placeholders}) ORDER BY id FOR UPDATE");
    let args = padded(who, rows).map(|(address, _)| Value::from(address.folded())).collect();
    session.all::<(i64,)>(sql, args).await?;
    Ok(())
}
