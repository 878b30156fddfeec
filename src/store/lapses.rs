//! Consent that was not used for long, and its end. It is used by whatever a person does: an action of theirs, a
//! permission that they give or renew, whatever else they choose on their pages.

use std::sync::LazyLock;

use super::subscriptions::{self, Origin};
use super::{Result, Session, any, recipients};
use crate::args;
use crate::domain::id::RecipientId;
use crate::domain::time::Micros;

/// Subscriptions that one call takes.
const FEW: i64 = 100;

/// Whether a person's consent was not used after `since`, up to `until` where there is one. Leaving one topic says
/// nothing about others.
pub(super) fn unused(recipient: &str, since: &str, until: Option<&str>) -> String {
    let [actions, consents] = ["ua.at", "uc.at"].map(|at| {
        let until = until.map(|until| format!(" AND {at} <= {until}")).unwrap_or_default();
        format!("{at} > {since}{until}")
    });
    format!(
        "NOT {} AND NOT {}",
        any(&format!(
            "SELECT 1 FROM actions ua WHERE ua.recipient_id = {recipient} AND {actions}
                AND ua.kind NOT IN ('void', 'unsubscribe')"
        )),
        any(&format!(
            "SELECT 1 FROM consents uc WHERE uc.recipient_id = {recipient} AND {consents}
                AND (uc.granted OR uc.purpose <> 'contact')"
        ))
    )
}

static UNUSED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT s.recipient_id, s.topic FROM subscriptions s WHERE s.subscribed AND s.since <= $1
            AND (s.recipient_id, s.topic) > ($2, $3) AND {} ORDER BY s.recipient_id, s.topic LIMIT $4",
        unused("s.recipient_id", "$1", None)
    )
});
static STILL_UNUSED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT 1 FROM subscriptions s WHERE s.recipient_id = $1 AND s.topic = $2 AND s.subscribed AND s.since <= $3 AND {}",
        unused("s.recipient_id", "$3", None)
    )
});

pub(super) static STATEMENTS: LazyLock<[&str; 2]> = LazyLock::new(|| [UNUSED.as_str(), STILL_UNUSED.as_str()]);

/// A person's subscription to a topic.
pub type Tie = (RecipientId, String);

/// The next few subscriptions beyond `after` whose consent was not used since an instant.
///
/// # Errors
/// When the database refuses.
pub async fn unused_since(session: &mut Session, since: Micros, after: &Tie) -> Result<Vec<Tie>> {
    let args = args![since, after.0, after.1.as_str(), FEW];
    let rows: Vec<(i64, String)> = session.all(UNUSED.as_str(), args).await?;
    Ok(rows.into_iter().map(|(id, topic)| (RecipientId(id), topic)).collect())
}

/// Ends these subscriptions where their consent was not used up to the moment of the lock; how many.
///
/// # Errors
/// When the database refuses.
pub async fn lapse(tx: &mut Session, ties: &[Tie], since: Micros, origin: &Origin<'_>) -> Result<u64> {
    let mut lapsed = 0;
    for (recipient, topic) in ties {
        let Some(person) = recipients::lock(tx, *recipient).await? else { continue };
        let args = args![*recipient, topic.as_str(), since];
        if tx.first::<(i32,)>(STILL_UNUSED.as_str(), args).await?.is_some() {
            lapsed += u64::from(subscriptions::end(tx, &person, topic, origin).await?);
        }
    }
    Ok(lapsed)
}
