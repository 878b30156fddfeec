//! Moving a person to another address, which has confirmed it.

use aws_lc_rs::hmac;
use serde_json::Value;

use super::consents::{self, NewConsent};
use super::subscriptions::Origin;
use super::{Error, Result, Session, joins, notices, recipients, suppressions};
use crate::args;
use crate::domain::address::Address;
use crate::domain::consent::Purpose;
use crate::domain::id::{RecipientId, RunId};
use crate::domain::suppression::{MOVED, follows};
use crate::domain::time::Micros;

const MOVE: &str = "UPDATE recipients SET address = $2, domain = $3, address_hash = $4
    WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM recipients o WHERE LOWER(o.address) = LOWER($5) AND o.id <> $6)";
const COME_BACK: &str = "DELETE FROM suppressions WHERE hash = $1 AND reason = $2";
const FIRST_SINCE: &str = "SELECT c.at, c.payload FROM consents c WHERE c.recipient_id = $1 AND c.purpose = 'address'
    AND c.at > COALESCE((SELECT COALESCE(m.first_at, m.at) FROM messages m
        WHERE m.run_id = $2 AND m.recipient_id = $3), $4)
    ORDER BY c.seq LIMIT 1";

pub(super) const STATEMENTS: &[&str] = &[MOVE, COME_BACK, FIRST_SINCE];

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

/// Gives a person another address, as long as `still` says that the present one is the one to be given up. That one is
/// suppressed, so that a list which still has it does not bring the person in again as somebody new; the new one is
/// free again if it was given up so before. A suppression that is about the person goes along.
///
/// # Errors
/// When the database refuses.
pub async fn change(
    session: &mut Session,
    recipient: RecipientId,
    (new, key): (&Address, &hmac::Key),
    still: impl FnOnce(&Address) -> bool,
    origin: &Origin<'_>,
) -> Result<Moved> {
    let Some(old) = recipients::lock(session, recipient).await?.and_then(|person| person.address) else {
        return Ok(Moved::Gone);
    };
    if !still(&old) {
        return Ok(Moved::Stale);
    }
    let (given_up, hash) = (old.hash(key), new.hash(key));
    session.execute(COME_BACK, args![hash.as_slice(), MOVED]).await?;
    if suppressions::contains(session, &hash).await? {
        return Ok(Moved::Suppressed);
    }
    // What is about the old address alone would not be found when the person is erased.
    notices::tie(session, recipient, None).await?;
    joins::erase(session, &given_up).await?;
    let values = args![recipient, new.as_str(), new.domain(), hash.as_slice(), new.as_str(), recipient];
    match session.execute(MOVE, values).await {
        Ok(1) => {}
        Ok(_) => return Ok(Moved::Taken),
        // Somebody else took it in this instant.
        Err(Error::Sql(sqlx::Error::Database(error))) if error.is_unique_violation() => return Ok(Moved::Taken),
        Err(error) => return Err(error),
    }
    // What others have set about the person holds wherever the person goes.
    if let Some(reason) = suppressions::reason(session, &given_up).await?.filter(|reason| follows(reason)) {
        suppressions::add(session, &[(new.clone(), hash)], origin.at, &reason).await?;
    }
    // Another spelling in letter case is the same address.
    if given_up != hash {
        suppressions::add(session, &[(old.clone(), given_up)], origin.at, MOVED).await?;
    }
    let mut payload = origin.payload(Some(new));
    payload["was"] = old.as_str().into();
    let entry =
        NewConsent { recipient, at: origin.at, purpose: Purpose::Address, topic: "", granted: true, payload: &payload };
    consents::append(session, &origin.salts, &entry).await?;
    Ok(Moved::Done(old))
}

/// Where a run's message to a person was first handed over, if the person has moved since, and when; without a message,
/// since `otherwise`.
///
/// # Errors
/// When the database refuses, or the person was erased a moment ago.
pub async fn before_moving(
    session: &mut Session,
    (run, recipient): (RunId, RecipientId),
    otherwise: Micros,
) -> Result<Option<(Address, Micros)>> {
    let values = args![recipient, run, recipient, otherwise];
    let found = session.first::<(i64, Option<String>)>(FIRST_SINCE, values).await?;
    let Some((at, payload)) = found else { return Ok(None) };
    let payload: Option<Value> = payload.and_then(|text| serde_json::from_str(&text).ok());
    let was = payload.as_ref().and_then(|payload| payload["was"].as_str());
    was.map(|was| Some((Address::from_normalised(was.to_owned()), Micros(at))))
        .ok_or_else(|| Error::Corrupt("a change of address that does not say from where".to_owned()))
}
