//! Who asks to join: kept apart from recipients until they have confirmed, and forgotten when they do not.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::consents::{self, NewConsent};
use super::notices::{self, Delivery};
use super::recipients::{self, Attributes, Recipient};
use super::{Error, Result, Session, subscriptions, suppressions};
use crate::args;
use crate::domain::address::{Address, AddressHash};
use crate::domain::consent::{Purpose, Salts};
use crate::domain::id::{JoinId, NoticeId, RecipientId};
use crate::domain::shown::Request;
use crate::domain::time::Micros;

/// An address is asked again after this at the earliest.
const APART: Duration = Duration::from_secs(10 * 60);
/// And four times in this at most: so many times are kept.
const DAY: Duration = Duration::from_secs(86_400);

/// Somebody who asks to join.
#[derive(Clone, Debug)]
pub struct NewJoin<'a> {
    /// The address, normalised.
    pub address: &'a Address,
    /// Its keyed hash.
    pub hash: &'a AddressHash,
    /// The same of its mailbox, which is asked so often at most.
    pub mailbox: &'a AddressHash,
    /// What is joined.
    pub topics: &'a [String],
    /// Whether the box about tracking was ticked.
    pub tracking: bool,
    /// What else was told.
    pub attributes: &'a Attributes,
    /// What was agreed to, where and how.
    pub proof: &'a Json,
    /// When.
    pub at: Micros,
    /// Forgotten from then on.
    pub expires_at: Micros,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The mailbox was asked often enough of late; nothing was written.
    Enough,
    /// It shall be asked for confirmation; the recipient who has it.
    Confirm(JoinId, Option<RecipientId>),
    /// It has all that already.
    Already(JoinId, RecipientId),
}

/// What became of a confirmation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// The person has joined these topics now.
    Now(RecipientId, Vec<String>),
    /// It was confirmed before.
    Before,
    /// There is no such request any more.
    Gone,
}

/// How somebody confirms.
pub struct Confirmation {
    /// What is confirmed.
    pub join: JoinId,
    /// When.
    pub at: Micros,
    /// Who did.
    pub request: Request,
    /// For the ledger's commitments; made of a fresh seed.
    pub salts: Salts,
}

const LIMIT: &str =
    "INSERT INTO join_limits (mailbox_hash, last_at, second_at, third_at, fourth_at) VALUES ($1, $2, 0, 0, 0)
    ON CONFLICT (mailbox_hash) DO UPDATE SET last_at = excluded.last_at, second_at = join_limits.last_at,
        third_at = join_limits.second_at, fourth_at = join_limits.third_at
    WHERE join_limits.last_at <= $3 AND join_limits.fourth_at <= $4";
const INSERT: &str = "INSERT INTO joins
    (address, address_hash, topics, tracking, attributes, proof, at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id";
const SET_NOTICE: &str = "UPDATE joins SET notice_id = $1 WHERE id = $2";
const BY_ID: &str = "SELECT address, address_hash, topics, tracking, attributes, proof, at, expires_at, confirmed_at,
    notice_id FROM joins WHERE id = $1";
const CONFIRM: &str = "UPDATE joins SET confirmed_at = $1, address = '', attributes = '', proof = ''
    WHERE id = $2 AND confirmed_at IS NULL AND expires_at > $3";
const NEW_RECIPIENT: &str = "INSERT INTO recipients (address, domain, address_hash, created_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING";
const FORGET: &str = "DELETE FROM joins WHERE expires_at <= $1";
const FORGET_LIMITS: &str = "DELETE FROM join_limits WHERE last_at <= $1";
const ERASE: &str = "DELETE FROM joins WHERE address_hash = $1";

pub(super) const STATEMENTS: &[&str] =
    &[LIMIT, INSERT, SET_NOTICE, BY_ID, CONFIRM, NEW_RECIPIENT, FORGET, FORGET_LIMITS, ERASE];

/// Writes down that somebody asks to join, unless the mailbox was asked often enough of late. The same is written
/// whether or not the address is known, so that the time that it takes tells nothing.
///
/// # Errors
/// When the database refuses.
pub async fn ask(session: &mut Session, new: &NewJoin<'_>) -> Result<Asked> {
    let hash = new.hash.as_slice();
    let limit = args![new.mailbox.as_slice(), new.at, new.at.minus(APART), new.at.minus(DAY)];
    if session.execute(LIMIT, limit).await? == 0 {
        return Ok(Asked::Enough);
    }
    let known = recipients::find(session, new.address).await?;
    let suppressed = suppressions::reason(session, new.hash).await?;
    // No recipient has the number 0: who is not known costs as many statements.
    let subscribed = subscriptions::of(session, known.as_ref().map_or(RecipientId(0), |person| person.id)).await?;
    let already = match &known {
        Some(person) if suppressed.is_none() && (person.tracking || !new.tracking) => {
            let has = |topic: &String| subscribed.iter().any(|s| s.subscribed && s.topic == *topic);
            new.topics.iter().all(has).then_some(person.id)
        }
        _ => None,
    };
    let values = args![
        new.address.as_str(),
        hash,
        Json::from(new.topics).to_string(),
        new.tracking,
        Json::Object(new.attributes.clone()).to_string(),
        new.proof.to_string(),
        new.at,
        new.expires_at,
    ];
    let join = JoinId(session.one::<(i64,)>(INSERT, values).await?.0);
    let known = known.map(|person| person.id);
    Ok(already.map_or(Asked::Confirm(join, known), |recipient| Asked::Already(join, recipient)))
}

/// Says by which mail it is asked for.
///
/// # Errors
/// When the database refuses.
pub async fn set_notice(session: &mut Session, join: JoinId, notice: NoticeId) -> Result<()> {
    session.change(1, SET_NOTICE, args![notice, join]).await
}

#[derive(sqlx::FromRow)]
struct Stored {
    address: String,
    address_hash: Vec<u8>,
    topics: String,
    tracking: bool,
    attributes: String,
    proof: String,
    at: i64,
    expires_at: i64,
    confirmed_at: Option<i64>,
    notice_id: Option<i64>,
}

/// The topics of a request that can still be confirmed, or, with `true`, of one that was.
///
/// # Errors
/// When the database refuses.
pub async fn look(session: &mut Session, join: JoinId, now: Micros) -> Result<Option<(Vec<String>, bool)>> {
    let stored: Option<Stored> = session.first(BY_ID, args![join]).await?;
    let stored = stored.filter(|stored| stored.expires_at > now.0);
    stored.map(|stored| Ok((read(&stored.topics)?, stored.confirmed_at.is_some()))).transpose()
}

/// Makes a recipient of somebody who confirms, or revives what there was: subscriptions that were left, and an
/// address that the person had suppressed. Two at once join once.
///
/// # Errors
/// When the database refuses; give the transaction up then.
pub async fn confirm(session: &mut Session, confirmation: &Confirmation) -> Result<Confirmed> {
    let Confirmation { join, at, salts, .. } = confirmation;
    let Some(stored) = session.first::<Stored>(BY_ID, args![*join]).await? else { return Ok(Confirmed::Gone) };
    if stored.confirmed_at.is_some() {
        return Ok(Confirmed::Before);
    }
    if stored.expires_at <= at.0 {
        return Ok(Confirmed::Gone);
    }
    let address = Address::from_normalised(stored.address.clone());
    // The recipient's lock comes first, as for every write of a permission.
    let mut person = recipient(session, &address, &stored, *at).await?;
    if session.execute(CONFIRM, args![*at, *join, *at]).await? == 0 {
        return Ok(Confirmed::Before);
    }
    notices::tie(session, person.id, Some(&stored.address_hash)).await?;
    suppressions::lift(session, &stored.address_hash).await?;
    let told: Attributes = read(&stored.attributes)?;
    if !told.is_empty() {
        let mut attributes = person.attributes.clone();
        attributes.extend(told);
        person = recipients::replace_attributes(session, person, attributes, *at).await?;
    }
    let payload = payload(session, &stored, confirmation).await?;
    let topics: Vec<String> = read(&stored.topics)?;
    for topic in &topics {
        subscriptions::set_proven(session, person.id, topic, *at).await?;
        let (purpose, granted, recipient) = (Purpose::Contact, true, person.id);
        let new = NewConsent { recipient, at: *at, purpose, topic, granted, payload: &payload };
        consents::append(session, salts, &new).await?;
    }
    if stored.tracking {
        subscriptions::track_proven(session, person.id).await?;
        let (purpose, granted, recipient) = (Purpose::Tracking, true, person.id);
        let new = NewConsent { recipient, at: *at, purpose, topic: "", granted, payload: &payload };
        consents::append(session, salts, &new).await?;
    }
    Ok(Confirmed::Now(person.id, topics))
}

/// The recipient with the address, locked; a new one where there is none.
async fn recipient(session: &mut Session, address: &Address, stored: &Stored, at: Micros) -> Result<Recipient> {
    // Whoever is erased between two looks makes room for a new one.
    for _ in 0..3 {
        let values = args![address.as_str(), address.domain(), stored.address_hash.as_slice(), at];
        session.execute(NEW_RECIPIENT, values).await?;
        if let Some(found) = recipients::find(session, address).await?
            && let Some(locked) = recipients::lock(session, found.id).await?
        {
            return Ok(locked);
        }
    }
    Err(Error::Corrupt("a recipient that comes and goes".to_owned()))
}

/// The whole proof: what was asked and how, by which mail, and how it was confirmed.
async fn payload(session: &mut Session, stored: &Stored, confirmation: &Confirmation) -> Result<Json> {
    let mut payload: Json = read(&stored.proof)?;
    let delivery = match stored.notice_id {
        Some(notice) => notices::delivery(session, NoticeId(notice)).await?,
        None => None,
    };
    payload["address"] = stored.address.clone().into();
    payload["requested_at"] = Micros(stored.at).to_string().into();
    payload["mail"] = delivery.map_or(Json::Null, |delivery| mail(&delivery));
    payload["confirmation"] = json!({
        "at": confirmation.at.to_string(),
        "network": confirmation.request.network,
        "user_agent": confirmation.request.user_agent,
        "method": "POST",
    });
    Ok(payload)
}

fn mail(delivery: &Delivery) -> Json {
    let Delivery { message_id, template, state, at, relay, code, reply } = delivery;
    let at = Micros(*at).to_string();
    json!({
        "message_id": message_id, "template_sha256": template, "state": state, "at": at, "relay": relay,
        "code": code, "reply": reply,
    })
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| Error::Corrupt("a request to join that cannot be read".to_owned()))
}

/// Forgets requests whose time has passed. How many.
///
/// # Errors
/// When the database refuses.
pub async fn forget(session: &mut Session, now: Micros) -> Result<u64> {
    session.execute(FORGET_LIMITS, args![now.minus(DAY)]).await?;
    session.execute(FORGET, args![now]).await
}

/// Forgets what was asked for an address, confirmed or not.
///
/// # Errors
/// When the database refuses.
pub async fn erase(session: &mut Session, hash: &AddressHash) -> Result<()> {
    session.execute(ERASE, args![hash.as_slice()]).await.map(drop)
}
