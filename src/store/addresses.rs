//! Moving a person to another address, which has confirmed it.

use serde_json::json;

use super::consents::{self, NewConsent};
use super::subscriptions::Origin;
use super::{Error, Result, Session, recipients, suppressions};
use crate::args;
use crate::domain::address::{Address, AddressHash};
use crate::domain::consent::Purpose;
use crate::domain::id::RecipientId;

const MOVE: &str = "UPDATE recipients SET address = $2, domain = $3, address_hash = $4
    WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM recipients o WHERE LOWER(o.address) = LOWER($5) AND o.id <> $6)";

pub(super) const STATEMENTS: &[&str] = &[MOVE];

/// What became of a wish to be mailed elsewhere. Only [`Moved::Done`] is to be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// From this address.
    Done(Address),
    /// There is no such person any more.
    Gone,
    /// The person has another address than the one that was to be given up.
    Stale,
    /// Somebody else has the new one.
    Taken,
    /// The new one is never mailed.
    Suppressed,
}

/// Gives a person another address, as long as `still` says that the present one is the one to be given up.
///
/// # Errors
/// When the database refuses.
pub async fn change(
    session: &mut Session,
    recipient: RecipientId,
    (new, hash): (&Address, &AddressHash),
    still: impl FnOnce(&Address) -> bool,
    origin: &Origin<'_>,
) -> Result<Moved> {
    let Some(old) = recipients::lock(session, recipient).await?.and_then(|person| person.address) else {
        return Ok(Moved::Gone);
    };
    if !still(&old) {
        return Ok(Moved::Stale);
    }
    if suppressions::contains(session, hash).await? {
        return Ok(Moved::Suppressed);
    }
    let values = args![recipient, new.as_str(), new.domain(), hash.as_slice(), new.as_str(), recipient];
    match session.execute(MOVE, values).await {
        Ok(1) => {}
        Ok(_) => return Ok(Moved::Taken),
        // Somebody else took it in this instant.
        Err(Error::Sql(sqlx::Error::Database(error))) if error.is_unique_violation() => return Ok(Moved::Taken),
        Err(error) => return Err(error),
    }
    let payload = json!({
        "address": new.as_str(), "was": old.as_str(), "channel": origin.channel, "run": origin.run,
        "at": origin.at.to_string(),
    });
    let entry =
        NewConsent { recipient, at: origin.at, purpose: Purpose::Address, topic: "", granted: true, payload: &payload };
    consents::append(session, &origin.salts, &entry).await?;
    Ok(Moved::Done(old))
}
