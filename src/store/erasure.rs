//! Erasing a person. What proves that we acted rightly stays, without saying about whom: the links of
//! the consent chain, the messages' states, and how many hits there were.

use aws_lc_rs::hmac;

use super::{Result, Session, Store, inbound, joins, notices, recipients, retention, score, suppressions};
use crate::args;
use crate::domain::address::{Address, AddressHash};
use crate::domain::id::RecipientId;
use crate::domain::suppression::ERASED;
use crate::domain::time::Micros;

const FORGET: [&str; 3] = [
    "DELETE FROM subscriptions WHERE recipient_id = $1",
    "DELETE FROM actions WHERE recipient_id = $1",
    "DELETE FROM past_attributes WHERE recipient_id = $1",
];
const UNPROVE: &str = "UPDATE consents SET payload = NULL, salt = NULL WHERE recipient_id = $1";
/// Servers like to repeat the address in their words, and a template's complaint may quote a value; the
/// other reasons why a message was skipped are words of ours. Messages come before attempts: whoever
/// writes an answer at the same time writes in this order, too, so that none of it is overlooked.
const HUSH: [&str; 2] = [
    "UPDATE messages
    SET reply = CASE WHEN state <> 'skipped' THEN NULL WHEN reply LIKE 'render:%' THEN 'render' ELSE reply END
    WHERE recipient_id = $1 AND reply IS NOT NULL",
    "UPDATE attempts SET reply = '' WHERE run_id IN (SELECT id FROM runs) AND recipient_id = $1",
];
const ERASE: &str = "UPDATE recipients
    SET address = NULL, address_hash = NULL, domain = '', attributes = '{}', tracking = FALSE, paused_until = NULL,
        limit_count = NULL, limit_days = NULL, erased_at = $2
    WHERE id = $1";

pub(super) const STATEMENTS: &[&str] = &[UNPROVE, HUSH[0], HUSH[1], ERASE];

/// Removes address, attributes and history of a person, and what is about the address alone. `false` when there is no such person, or when
/// it was erased before. The caller suppresses the address in the same transaction.
///
/// # Errors
/// When the database refuses.
pub async fn erase(session: &mut Session, recipient: RecipientId, hash: &AddressHash, at: Micros) -> Result<bool> {
    if recipients::lock(session, recipient).await?.is_none() {
        return Ok(false);
    }
    notices::erase(session, recipient, hash).await?;
    joins::erase(session, hash).await?;
    inbound::erase(session, recipient, hash).await?;
    score::clear(session, &[recipient]).await?;
    retention::remove_hits_of(session, recipient).await?;
    for sql in FORGET.into_iter().chain([UNPROVE]).chain(HUSH) {
        session.execute(sql, args![recipient]).await?;
    }
    session.change(1, ERASE, args![recipient, at]).await?;
    Ok(true)
}

/// Erases the person with this address, and suppresses the address under the reason `erased`, whether it is known or
/// not. `false` when it is not known.
///
/// # Errors
/// When the database refuses; then nothing was changed.
pub async fn forget_address(store: &Store, key: &hmac::Key, address: &Address, at: Micros) -> Result<bool> {
    let mut session = store.write().await?;
    let hash = address.hash(key);
    suppressions::add(&mut session, &[(address.clone(), hash)], at, ERASED).await?;
    let mut person = recipients::find(&mut session, address).await?;
    if person.is_none() {
        // Somebody may have asked to join with it. Whoever confirms that in this instant is waited for here, and is a
        // recipient then.
        joins::erase(&mut session, &hash).await?;
        person = recipients::find(&mut session, address).await?;
    }
    let erased = match person {
        Some(person) => erase(&mut session, person.id, &hash, at).await?,
        None => {
            // No recipient has the number 0.
            notices::erase(&mut session, RecipientId(0), &hash).await?;
            inbound::erase(&mut session, RecipientId(0), &hash).await?;
            false
        }
    };
    session.commit().await?;
    store.scrub().await?;
    Ok(erased)
}

/// The same for the person with this number, as long as `still` says that the address is the one that it is about.
/// `false` when it is another one, when there is no such person, or when it was erased before.
///
/// # Errors
/// When the database refuses; then nothing was changed.
pub async fn forget(
    store: &Store,
    key: &hmac::Key,
    recipient: RecipientId,
    still: impl FnOnce(&Address) -> bool,
    at: Micros,
) -> Result<bool> {
    let mut session = store.write().await?;
    let person = recipients::lock(&mut session, recipient).await?;
    let Some(address) = person.and_then(|person| person.address).filter(still) else { return Ok(false) };
    let hash = address.hash(key);
    suppressions::add(&mut session, &[(address, hash)], at, ERASED).await?;
    let erased = erase(&mut session, recipient, &hash, at).await?;
    session.commit().await?;
    store.scrub().await?;
    Ok(erased)
}
