//! Erasing a person. What proves that we acted rightly stays, without saying about whom: the links of
//! the consent chain, and the messages' states.

use super::{Result, Session, recipients, score};
use crate::args;
use crate::domain::id::RecipientId;
use crate::domain::time::Micros;

const FORGET: [&str; 3] = [
    "DELETE FROM subscriptions WHERE recipient_id = $1",
    // By run, as the index goes: a scan of all hits would hold the writer for long.
    "DELETE FROM hits WHERE run_id IN (SELECT id FROM runs) AND recipient_id = $1",
    "DELETE FROM actions WHERE recipient_id = $1",
];
/// Servers like to repeat the address in their words.
const HUSH: [&str; 3] = [
    "UPDATE consents SET payload = NULL, salt = NULL WHERE recipient_id = $1",
    "UPDATE messages SET reply = NULL WHERE recipient_id = $1",
    "UPDATE attempts SET reply = '' WHERE recipient_id = $1",
];
const ERASE: &str = "UPDATE recipients
    SET address = NULL, address_hash = NULL, domain = '', attributes = '{}', tracking = FALSE, paused_until = NULL,
        erased_at = $2
    WHERE id = $1";

pub(super) const STATEMENTS: &[&str] = &[ERASE];

/// Removes address, attributes and history of a person. `false` when there is no such person, or when
/// it was erased before. The caller suppresses the address in the same transaction.
///
/// # Errors
/// When the database refuses.
pub async fn erase(session: &mut Session, recipient: RecipientId, at: Micros) -> Result<bool> {
    if recipients::lock(session, recipient).await?.is_none() {
        return Ok(false);
    }
    score::clear(session, &[recipient]).await?;
    for sql in FORGET.into_iter().chain(HUSH) {
        session.execute(sql, args![recipient]).await?;
    }
    session.change(1, ERASE, args![recipient, at]).await?;
    Ok(true)
}
