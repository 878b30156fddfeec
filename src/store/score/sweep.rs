//! Records scores that have fallen below the threshold while nothing happened.

use super::bulk;
use crate::args;
use crate::domain::id::RecipientId;
use crate::domain::time::Micros;
use crate::store::{EngineKind, Result, Session, Value, keys};

macro_rules! due {
    ($lock:literal) => {
        concat!(
            "SELECT p.recipient_id, p.cools_at, p.cooled FROM profiles p JOIN recipients r ON r.id = p.recipient_id
             WHERE p.cools_at <= $1 ORDER BY p.cools_at LIMIT $2",
            $lock
        )
    };
}

const DUE: &str = due!("");
const DUE_LOCKED: &str = due!(" FOR NO KEY UPDATE SKIP LOCKED");

const ANY: &str = "SELECT recipient_id FROM profiles WHERE cools_at <= $1 LIMIT 1";

pub(in crate::store) const STATEMENTS: &[&str] = &[DUE, ANY];

/// Whether no fall waits to be recorded.
///
/// # Errors
/// When the database refuses.
pub async fn is_warm(session: &mut Session, now: Micros) -> Result<bool> {
    Ok(session.first::<(i64,)>(ANY, args![now]).await?.is_none())
}

/// Records up to `limit` falls below `threshold` that have passed by `now`; how many there were.
/// What comes in later with an earlier time is late, and replays its person.
///
/// # Errors
/// When the database refuses.
pub async fn sweep(session: &mut Session, now: Micros, threshold: f64, limit: i64) -> Result<usize> {
    let sql = match session.kind() {
        EngineKind::Sqlite => DUE,
        EngineKind::Postgres => DUE_LOCKED,
    };
    let due: Vec<(i64, i64, i64)> = session.all(sql, args![now, limit]).await?;
    if due.is_empty() {
        return Ok(0);
    }
    let subject = threshold.to_string();
    let moments = due.iter().map(|(recipient, at, cooled)| {
        [Value::from(*recipient), (cooled + 1).into(), (*at).into(), subject.as_str().into(), "cooled".into()]
    });
    bulk::rows(session, "INSERT INTO moments (recipient_id, ordinal, at, subject, kind)", "", moments.collect())
        .await?;
    let people: Vec<_> = due.iter().map(|(recipient, ..)| RecipientId(*recipient)).collect();
    let (list, args) = keys(1, &people);
    let sql = format!(
        "UPDATE profiles SET cooled = cooled + 1, last_at = cools_at, last_id = 0, cools_at = NULL
         WHERE recipient_id IN ({list})"
    );
    session.change(due.len() as u64, sql, args).await?;
    Ok(due.len())
}
