//! What mail that came back speaks of: messages, their people, how many of a run's messages came back.

mod rates;

use std::sync::LazyLock;

use super::actions::RETURNED;
use super::{Result, Session};
use crate::args;
use crate::domain::id::{NoticeId, RecipientId, RunId};
use crate::domain::returns::Returned;
use crate::domain::time::Micros;

pub use rates::{By, Rates, rates};

/// A message that a mail speaks of.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Message {
    /// The campaign's name.
    pub campaign: String,
    /// The topic that it went to.
    pub topic: String,
    /// The relay that took it, if one did.
    pub relay: Option<String>,
    /// The recipient's domain; empty once erased.
    pub domain: String,
    /// When it was handed over, microseconds.
    pub at: i64,
    /// Whether the recipient has another address since.
    pub moved: bool,
}

/// A notice that a mail speaks of.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Notice {
    /// What it was about: a word of [`crate::domain::notice::NoticeKind`].
    pub kind: String,
    /// Where it went.
    pub address: String,
}

/// A receiver's wish that less comes at a time.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Plea {
    /// Its number, which rises.
    pub id: i64,
    /// The relay that the mail went through.
    pub relay: String,
    /// The receiver's domain.
    pub domain: String,
    /// Why, in codes.
    pub reason: String,
}

const MESSAGE: &str = "SELECT u.campaign, u.topic, m.relay, r.domain, m.at, EXISTS (
        SELECT 1 FROM consents c WHERE c.recipient_id = m.recipient_id AND c.purpose = 'address' AND c.at >= m.at) AS moved
    FROM messages m JOIN runs u ON u.id = m.run_id JOIN recipients r ON r.id = m.recipient_id
    WHERE m.run_id = $1 AND m.recipient_id = $2";
const LATEST_RUNS: &str = "SELECT run_id FROM messages WHERE recipient_id = $1 ORDER BY at DESC LIMIT $2";
const NOTICE: &str = "SELECT kind, address FROM notices WHERE id = $1 AND address IS NOT NULL";
/// The last messages, each with whether it came back for now.
const IN_A_ROW: &str = "SELECT m.at, EXISTS (
        SELECT 1 FROM actions a WHERE a.recipient_id = $1 AND a.run_id = m.run_id AND a.kind = 'soft_bounce')
    FROM messages m WHERE m.recipient_id = $1 AND m.state = 'accepted' AND m.at > COALESCE(
        (SELECT MAX(c.at) FROM consents c WHERE c.recipient_id = $1 AND c.purpose = 'address'), 0)
    ORDER BY m.at DESC LIMIT $2";
const ALIVE: &str = "SELECT
    (SELECT COUNT(*) FROM actions WHERE recipient_id = $1 AND at >= $2
        AND kind NOT IN ('bounce', 'soft_bounce', 'block', 'complaint'))
    + (SELECT COUNT(*) FROM consents WHERE recipient_id = $1 AND at >= $2 AND purpose IN ('frequency', 'address'))";
const BLOCKS: &str = "SELECT COUNT(*) FROM actions WHERE recipient_id = $1 AND run_id = $2 AND kind = 'block'";
/// Only of messages that left after an instant: reports of those before it may still be on their way.
static CAME_BACK: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT COUNT(DISTINCT CASE WHEN a.kind = 'bounce' THEN a.recipient_id END),
            COUNT(DISTINCT CASE WHEN a.kind = 'complaint' THEN a.recipient_id END)
        FROM actions a WHERE a.run_id = $1 AND a.{RETURNED} AND a.kind IN ('bounce', 'complaint')
            AND (SELECT m.at FROM messages m WHERE m.run_id = $1 AND m.recipient_id = a.recipient_id
                AND m.state IN ('accepted', 'rejected')) > $2"
    )
});
const LEFT: &str = "SELECT COUNT(*) FROM messages WHERE run_id = $1 AND state IN ('accepted', 'rejected') AND at > $2";
const BEFORE: &str = "SELECT id, resumed_at FROM runs
    WHERE campaign = $1 AND id < $2 AND started_at IS NOT NULL ORDER BY id DESC LIMIT 1";
const PLEAD: &str = "INSERT INTO pleas (at, relay, domain, reason) VALUES ($1, $2, $3, $4)";
const PLEAS: &str = "SELECT id, relay, domain, reason FROM pleas WHERE id > $1 ORDER BY id LIMIT 1000";
const LAST_PLEA: &str = "SELECT COALESCE(MAX(id), 0) FROM pleas";
const FORGET_PLEAS: &str = "DELETE FROM pleas WHERE at < $1";

pub(super) static STATEMENTS: LazyLock<[&str; 13]> = LazyLock::new(|| {
    [
        MESSAGE,
        LATEST_RUNS,
        NOTICE,
        IN_A_ROW,
        ALIVE,
        BLOCKS,
        CAME_BACK.as_str(),
        LEFT,
        BEFORE,
        PLEAD,
        PLEAS,
        LAST_PLEA,
        FORGET_PLEAS,
    ]
});

/// A message; `None` when there is none such.
///
/// # Errors
/// When the database refuses.
pub async fn message(session: &mut Session, run: RunId, recipient: RecipientId) -> Result<Option<Message>> {
    session.first(MESSAGE, args![run, recipient]).await
}

/// The runs whose messages a person got last, the latest first.
///
/// # Errors
/// When the database refuses.
pub async fn latest_runs(session: &mut Session, recipient: RecipientId, limit: i64) -> Result<Vec<RunId>> {
    Ok(session.all::<(i64,)>(LATEST_RUNS, args![recipient, limit]).await?.into_iter().map(|(id,)| RunId(id)).collect())
}

/// A notice, as long as its address is kept.
///
/// # Errors
/// When the database refuses.
pub async fn notice(session: &mut Session, notice: NoticeId) -> Result<Option<Notice>> {
    session.first(NOTICE, args![notice]).await
}

/// When the first of a person's last `count` messages left, if all of them came back for now and the person was not
/// heard of since.
///
/// # Errors
/// When the database refuses.
pub async fn all_bounced_since(session: &mut Session, recipient: RecipientId, count: u32) -> Result<Option<Micros>> {
    let last: Vec<(i64, bool)> = session.all(IN_A_ROW, args![recipient, count]).await?;
    if last.len() < count as usize || last.iter().any(|(_, bounced)| !bounced) {
        return Ok(None);
    }
    let Some((first, _)) = last.last() else { return Ok(None) };
    let (signs,) = session.one::<(i64,)>(ALIVE, args![recipient, *first]).await?;
    Ok((signs == 0).then_some(Micros(*first)))
}

/// How much came back of the messages of a run that left after an instant. `None` when nothing did.
///
/// # Errors
/// When the database refuses.
pub async fn of_run(session: &mut Session, run: RunId, since: Micros) -> Result<Option<Returned>> {
    let (dead, complaints): (i64, i64) = session.one(CAME_BACK.as_str(), args![run, since]).await?;
    if dead == 0 && complaints == 0 {
        return Ok(None);
    }
    let (left,) = session.one::<(i64,)>(LEFT, args![run, since]).await?;
    Ok(Some(Returned { left, dead, complaints }))
}

/// Whether a report has blamed the sender for this message before.
///
/// # Errors
/// When the database refuses.
pub async fn is_blocked(session: &mut Session, run: RunId, recipient: RecipientId) -> Result<bool> {
    Ok(session.one::<(i64,)>(BLOCKS, args![recipient, run]).await?.0 > 0)
}

/// How much came back of the campaign's run before this one, since a person resumed it, if one did.
///
/// # Errors
/// When the database refuses.
pub async fn of_run_before(session: &mut Session, campaign: &str, run: RunId) -> Result<Option<(RunId, Returned)>> {
    let Some((before, resumed)) = session.first::<(i64, Option<i64>)>(BEFORE, args![campaign, run]).await? else {
        return Ok(None);
    };
    let before = RunId(before);
    let returned = of_run(session, before, Micros(resumed.unwrap_or(i64::MIN))).await?;
    Ok(returned.map(|returned| (before, returned)))
}

/// Lets senders know that a receiver wants less at a time.
///
/// # Errors
/// When the database refuses.
pub async fn plead(tx: &mut Session, (relay, domain): (&str, &str), reason: &str, at: Micros) -> Result<()> {
    tx.execute(PLEAD, args![at, relay, domain, reason]).await.map(drop)
}

/// What receivers wished for after the one of this number.
///
/// # Errors
/// When the database refuses.
pub async fn pleas(session: &mut Session, after: i64) -> Result<Vec<Plea>> {
    session.all(PLEAS, args![after]).await
}

/// The number of the last wish.
///
/// # Errors
/// When the database refuses.
pub async fn last_plea(session: &mut Session) -> Result<i64> {
    Ok(session.one::<(i64,)>(LAST_PLEA, vec![]).await?.0)
}

/// Forgets wishes before an instant. How many.
///
/// # Errors
/// When the database refuses.
pub async fn forget_pleas(tx: &mut Session, before: Micros) -> Result<u64> {
    tx.execute(FORGET_PLEAS, args![before]).await
}
