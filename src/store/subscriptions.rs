//! What a person decides about being mailed: topics, tracking, a pause. Every write locks the
//! recipient's row first, appends to the consent ledger, and takes effect with the commit.

use serde_json::{Value as Json, json};

use super::actions::{self, NewAction};
use super::consents::{self, NewConsent};
use super::recipients::{self, Recipient};
use super::{Result, Session, score};
use crate::args;
use crate::domain::action::kind;
use crate::domain::address::Address;
use crate::domain::consent::{Purpose, Salts};
use crate::domain::id::{RecipientId, RunId};
use crate::domain::pace::Pace;
use crate::domain::shown::Shown;
use crate::domain::time::Micros;

/// Where a decision came from.
pub struct Origin<'a> {
    /// How it reached us: `one-click`, `page`, `preferences`, `cli` …
    pub channel: &'a str,
    /// The run whose message led there.
    pub run: Option<RunId>,
    /// When.
    pub at: Micros,
    /// For the ledger's commitments; made of a fresh seed.
    pub salts: Salts,
    /// The page that it was made on, if it was made on one.
    pub shown: Option<Shown>,
}

impl Origin<'_> {
    /// The proof of a decision of whoever has this address.
    pub(super) fn payload(&self, address: Option<&Address>) -> Json {
        let mut payload = json!({
            "address": address.map(Address::as_str), "channel": self.channel, "run": self.run, "at": self.at.to_string(),
        });
        if let (Json::Object(payload), Ok(Json::Object(shown))) = (&mut payload, serde_json::to_value(&self.shown)) {
            payload.extend(shown);
        }
        payload
    }
}

/// A person's tie to a topic.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Subscription {
    /// The topic's name.
    pub topic: String,
    /// Whether it holds; a topic that was left stays known, so that no import revives it.
    pub subscribed: bool,
    /// Of the last change, microseconds.
    pub since: i64,
}

const OF: &str = "SELECT topic, subscribed, since FROM subscriptions WHERE recipient_id = $1 ORDER BY topic";
const SET: &str = "INSERT INTO subscriptions (recipient_id, topic, subscribed, since) VALUES ($1, $2, $3, $4)
    ON CONFLICT (recipient_id, topic) DO UPDATE SET subscribed = excluded.subscribed, since = excluded.since
    WHERE subscriptions.subscribed <> excluded.subscribed";
const SET_TRACKING: &str = "UPDATE recipients SET tracking = $2 WHERE id = $1 AND tracking <> $2";
const SET_PAUSE: &str = "UPDATE recipients SET paused_until = $2 WHERE id = $1";
/// The last leaving by this run's message, unless it was explained before.
const EXPLAIN: &str = "UPDATE actions SET why = $3, words = $4
    WHERE recipient_id = $1 AND COALESCE(run_id, 0) = $2 AND kind = 'unsubscribe' AND why IS NULL AND words IS NULL
        AND at = (SELECT MAX(l.at) FROM actions l
        WHERE l.recipient_id = $1 AND COALESCE(l.run_id, 0) = $2 AND l.kind = 'unsubscribe' AND l.at > $5)";
const SET_LIMIT: &str = "UPDATE recipients SET limit_count = $2, limit_days = $3, paused_until = NULL WHERE id = $1";

pub(super) const STATEMENTS: &[&str] = &[OF, SET, SET_TRACKING, SET_PAUSE, EXPLAIN, SET_LIMIT];

/// All topics that the person is or was tied to.
///
/// # Errors
/// When the database refuses.
pub async fn of(session: &mut Session, recipient: RecipientId) -> Result<Vec<Subscription>> {
    session.all(OF, args![recipient]).await
}

/// Leaves a topic. `false` when it was left before or the person is erased: then nothing is written.
///
/// # Errors
/// When the database refuses.
pub async fn leave(session: &mut Session, recipient: RecipientId, topic: &str, origin: &Origin<'_>) -> Result<bool> {
    let Some(person) = recipients::lock(session, recipient).await? else { return Ok(false) };
    leave_locked(session, &person, topic, origin).await
}

/// Leaves every topic; how many there were.
///
/// # Errors
/// When the database refuses.
pub async fn leave_all(session: &mut Session, recipient: RecipientId, origin: &Origin<'_>) -> Result<usize> {
    let Some(person) = recipients::lock(session, recipient).await? else { return Ok(0) };
    let mut left = 0;
    for subscription in of(session, recipient).await? {
        left += usize::from(leave_locked(session, &person, &subscription.topic, origin).await?);
    }
    Ok(left)
}

/// Keeps why a person left after `since` by a run's message, or a notice ([`RunId::NOTICES`]): a reason that was chosen,
/// and words. `false` when nobody left so, or that is explained already: nothing is written.
///
/// # Errors
/// When the database refuses.
pub async fn explain(
    session: &mut Session,
    (recipient, run): (RecipientId, RunId),
    (why, words): (Option<&str>, Option<&str>),
    since: Micros,
) -> Result<bool> {
    if recipients::lock(session, recipient).await?.is_none() {
        return Ok(false);
    }
    Ok(session.execute(EXPLAIN, args![recipient, run, why, words, since]).await? > 0)
}

/// Joins a topic by the person's own decision, also one that was left. `false` when it holds already
/// or the person is erased.
///
/// # Errors
/// When the database refuses.
pub async fn join(session: &mut Session, recipient: RecipientId, topic: &str, origin: &Origin<'_>) -> Result<bool> {
    let Some(person) = recipients::lock(session, recipient).await? else { return Ok(false) };
    set(session, &person, topic, true, origin).await
}

/// Renews the consent to a topic, or joins it, by the person's own decision. `false` when the person is erased.
///
/// # Errors
/// When the database refuses.
pub async fn renew(session: &mut Session, recipient: RecipientId, topic: &str, origin: &Origin<'_>) -> Result<bool> {
    let Some(person) = recipients::lock(session, recipient).await? else { return Ok(false) };
    if !set(session, &person, topic, true, origin).await? {
        record(session, &person, Purpose::Contact, topic, true, origin, None).await?;
    }
    Ok(true)
}

/// Ends a subscription that the person did not leave. `false` when it was left before.
pub(super) async fn end(session: &mut Session, person: &Recipient, topic: &str, origin: &Origin<'_>) -> Result<bool> {
    set(session, person, topic, false, origin).await
}

/// Subscribes a person whose row is locked to a topic, also one that was left; the caller appends the consent.
///
/// # Errors
/// When the database refuses.
pub(super) async fn set_proven(session: &mut Session, recipient: RecipientId, topic: &str, at: Micros) -> Result<()> {
    session.execute(SET, args![recipient, topic, true, at]).await.map(drop)
}

/// Lets hits be kept with a person whose row is locked; the caller appends the consent.
///
/// # Errors
/// When the database refuses.
pub(super) async fn track_proven(session: &mut Session, recipient: RecipientId) -> Result<()> {
    session.execute(SET_TRACKING, args![recipient, true]).await.map(drop)
}

/// Gives or withdraws the permission to keep hits with the person; withdrawing forgets what was learnt.
/// `false` when nothing changes.
///
/// # Errors
/// When the database refuses.
pub async fn set_tracking(
    session: &mut Session,
    recipient: RecipientId,
    granted: bool,
    origin: &Origin<'_>,
) -> Result<bool> {
    let Some(person) = recipients::lock(session, recipient).await? else { return Ok(false) };
    if session.execute(SET_TRACKING, args![recipient, granted]).await? == 0 {
        return Ok(false);
    }
    if !granted {
        score::forget(session, recipient).await?;
    }
    record(session, &person, Purpose::Tracking, "", granted, origin, None).await?;
    Ok(true)
}

/// Sets how often the person is mailed. A pause leaves the limit for the time after it; anything else ends a pause.
/// `false` when nothing changes, or the person is erased or unknown.
///
/// # Errors
/// When the database refuses.
pub async fn set_pace(session: &mut Session, recipient: RecipientId, pace: Pace, origin: &Origin<'_>) -> Result<bool> {
    let Some(person) = recipients::lock(session, recipient).await? else { return Ok(false) };
    let paused = person.paused_until.filter(|until| *until > origin.at);
    let limit = match pace {
        Pace::PausedUntil(until) if paused == Some(until) => return Ok(false),
        Pace::PausedUntil(until) => {
            session.change(1, SET_PAUSE, args![recipient, until]).await?;
            record(session, &person, Purpose::Frequency, "", false, origin, Some(pace)).await?;
            return Ok(true);
        }
        Pace::AtMost(limit) => Some(limit),
        Pace::Any => None,
    };
    if paused.is_none() && person.limit == limit {
        return Ok(false);
    }
    let values = args![recipient, limit.map(|limit| limit.count), limit.map(|limit| limit.days)];
    session.change(1, SET_LIMIT, values).await?;
    record(session, &person, Purpose::Frequency, "", limit.is_none(), origin, Some(pace)).await?;
    Ok(true)
}

async fn leave_locked(session: &mut Session, person: &Recipient, topic: &str, origin: &Origin<'_>) -> Result<bool> {
    if !set(session, person, topic, false, origin).await? {
        return Ok(false);
    }
    let action = NewAction {
        key: format!("u:{}:{topic}:{}", person.id, origin.at.0),
        recipient: person.id,
        kind: kind::UNSUBSCRIBE.to_owned(),
        category: None,
        at: origin.at,
        run: origin.run,
        url: None,
        words: None,
    };
    actions::insert(session, &[action]).await?;
    Ok(true)
}

async fn set(
    session: &mut Session,
    person: &Recipient,
    topic: &str,
    subscribed: bool,
    origin: &Origin<'_>,
) -> Result<bool> {
    if session.execute(SET, args![person.id, topic, subscribed, origin.at]).await? == 0 {
        return Ok(false);
    }
    record(session, person, Purpose::Contact, topic, subscribed, origin, None).await?;
    Ok(true)
}

async fn record(
    session: &mut Session,
    person: &Recipient,
    purpose: Purpose,
    topic: &str,
    granted: bool,
    origin: &Origin<'_>,
    pace: Option<Pace>,
) -> Result<()> {
    let mut payload = origin.payload(person.address.as_ref());
    if let Some(pace) = pace {
        payload["pace"] = pace.to_string().into();
    }
    let new = NewConsent { recipient: person.id, at: origin.at, purpose, topic, granted, payload: &payload };
    consents::append(session, &origin.salts, &new).await
}
