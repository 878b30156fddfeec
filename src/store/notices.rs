//! Notices: transactional mails. They have the states of messages and the same guarantees, and nobody waits for
//! them but the one person who asked.

mod marks;

use std::collections::HashMap;

use sqlx::types::Json;

use super::{EngineKind, Error, Result, Session, keys};
use crate::args;
use crate::domain::address::{Address, AddressHash};
use crate::domain::id::{NodeId, NoticeId, RecipientId};
use crate::domain::message::MessageState;
use crate::domain::notice::NoticeKind;
use crate::domain::suppression::is_persons_own;
use crate::domain::time::Micros;

pub(super) use marks::{STATEMENTS as MARKS, write as write_marks};

/// What templates see of a notice.
pub type Data = serde_json::Map<String, serde_json::Value>;

/// Most octets of a notice's data.
pub const MAX_DATA: usize = 16 * 1024;

/// A notice to be sent as soon as possible.
#[derive(Clone, Debug)]
pub struct NewNotice<'a> {
    /// What it is about.
    pub kind: NoticeKind,
    /// Who gets it; none while that is no recipient.
    pub recipient: Option<RecipientId>,
    /// Where it goes; for a change of address not where the recipient is now.
    pub address: &'a Address,
    /// What suppressions are compared with; none: the recipient's own.
    pub hash: Option<&'a AddressHash>,
    /// In which language (BCP 47), as far as there are templates in it.
    pub language: &'a str,
    /// What templates see, at most [`MAX_DATA`] octets of JSON.
    pub data: &'a Data,
    /// When it is asked for.
    pub at: Micros,
    /// What is not handed over by then is given up.
    pub expires_at: Micros,
}

/// A notice that was claimed.
#[derive(Clone, Debug)]
pub struct ClaimedNotice {
    /// Which.
    pub id: NoticeId,
    /// What it is about.
    pub kind: NoticeKind,
    /// Where it goes.
    pub address: Address,
    /// In which language.
    pub language: String,
    /// What templates see.
    pub data: Data,
    /// Attempts so far.
    pub attempts: i64,
    /// When the first was made.
    pub first_at: Option<Micros>,
}

/// What a claim found.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// These are now held by the node.
    pub taken: Vec<ClaimedNotice>,
    /// How many were given up because their time had passed.
    pub expired: usize,
}

/// What will prove that a notice was sent.
#[derive(Clone, Debug, Default)]
pub struct Stamp {
    /// Its Message-ID, without brackets.
    pub message_id: String,
    /// SHA-256 of what it is written from, in hexadecimal.
    pub template: String,
}

/// How a notice was handed over: part of the proof of a consent.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, sqlx::FromRow)]
pub struct Delivery {
    /// Its Message-ID, without brackets.
    pub message_id: Option<String>,
    /// SHA-256 of what it was written from, in hexadecimal.
    pub template: Option<String>,
    /// Where it stands.
    pub state: String,
    /// When that became so, microseconds.
    pub at: i64,
    /// Through which relay.
    pub relay: Option<String>,
    /// The relay's reply code.
    pub code: Option<i64>,
    /// The relay's words.
    pub reply: Option<String>,
}

const QUEUE: &str = "INSERT INTO notices
    (kind, recipient_id, address, address_hash, language, data, state, created_at, expires_at, at, due_at)
    VALUES ($1, $2, $3, COALESCE($4, (SELECT r.address_hash FROM recipients r WHERE r.id = $5)), $6, $7, 'waiting',
        $8, $9, $10, $11)
    RETURNING id";
const ANY_DUE: &str = "SELECT COUNT(*) FROM (SELECT 1 AS one FROM notices
    WHERE state IN ('waiting', 'deferred') AND due_at <= $1 LIMIT 1) due";
const DUE: &str = "SELECT id, recipient_id FROM notices
    WHERE state IN ('waiting', 'deferred') AND due_at <= $1 ORDER BY due_at, id LIMIT $2";
const READ: &str = "SELECT id, kind, recipient_id, address, language, data, attempt, first_at, expires_at FROM notices
    WHERE state IN ('waiting', 'deferred') AND id IN";
const TAKE: &str = "UPDATE notices SET state = 'claimed', due_at = NULL, node_id = $1, at = $2, message_id = $3,
    template = $4 WHERE id = $5 AND state IN ('waiting', 'deferred')";
const SKIP: &str = "UPDATE notices SET state = 'skipped', due_at = NULL, node_id = NULL, at = $1, reply = $2, data = ''
    WHERE id = $3 AND state IN ('waiting', 'deferred')";
const EXPIRE: &str = "UPDATE notices SET state = 'rejected', due_at = NULL, node_id = NULL, at = $1, data = '',
    reply = 'expired: ' || COALESCE(reply, 'not handed over in its time')
    WHERE id = $2 AND state IN ('waiting', 'deferred')";
const HELD: &str = "SELECT COUNT(*) FROM notices WHERE node_id = $1 AND state IN ('claimed', 'sending')";
const RELEASE: &str = "UPDATE notices SET state = 'waiting', node_id = NULL, due_at = $1
    WHERE node_id = $2 AND state = 'claimed'";
const SWALLOW: &str = "UPDATE notices SET state = 'unknown', reply = $1 WHERE node_id = $2 AND state = 'sending'";
const ABANDON: &str = "UPDATE notices SET state = 'unknown', due_at = NULL, node_id = NULL, at = $1, reply = $2
    WHERE state IN ('waiting', 'claimed', 'sending', 'deferred')";
const ORPHANS: &str = "SELECT DISTINCT m.node_id FROM notices m
    WHERE m.node_id > 0 AND m.state IN ('claimed', 'sending') AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.id = m.node_id)";
const DELIVERY: &str = "SELECT message_id, template, state, at, relay, code, reply FROM notices WHERE id = $1";
const COUNTS: &str = "SELECT kind, state, COUNT(*) FROM notices GROUP BY kind, state ORDER BY kind, state";
const RECENT: &str = "SELECT COUNT(*) FROM notices WHERE recipient_id = $1 AND kind = $2 AND created_at > $3";
const RECENT_TO: &str = "SELECT COUNT(*) FROM notices WHERE address_hash = $1 AND kind = $2 AND created_at > $3";
const FORGET: &str = "DELETE FROM notices
    WHERE state IN ('accepted', 'rejected', 'unknown', 'skipped') AND at < $1";
/// No answer that came so late would have it sent again.
const EMPTY: &str = "UPDATE notices SET data = '' WHERE state = 'unknown' AND expires_at <= $1 AND data <> ''";
/// In one order for all, so that two writers cannot lock each other out; whoever marks keeps to it, too.
const LOCK: [&str; 2] = [
    "SELECT id FROM notices WHERE recipient_id = $1 OR address_hash = $2 ORDER BY id FOR UPDATE",
    "SELECT id FROM notices WHERE recipient_id IS NULL
        AND address_hash = COALESCE($1, (SELECT r.address_hash FROM recipients r WHERE r.id = $2))
    ORDER BY id FOR UPDATE",
];
const ERASE: &str = "UPDATE notices SET address = NULL, address_hash = NULL, data = '', reply = NULL
    WHERE recipient_id = $1 OR address_hash = $2";

const TIE: &str = "UPDATE notices SET recipient_id = $1
    WHERE recipient_id IS NULL
        AND address_hash = COALESCE($2, (SELECT r.address_hash FROM recipients r WHERE r.id = $3))";

pub(super) const STATEMENTS: &[&str] = &[
    TIE, QUEUE, ANY_DUE, DUE, TAKE, SKIP, EXPIRE, HELD, RELEASE, SWALLOW, ABANDON, ORPHANS, DELIVERY, COUNTS, RECENT,
    RECENT_TO, FORGET, EMPTY, ERASE,
];

/// Queues a notice. It is sent once the transaction has committed.
///
/// # Errors
/// When the database refuses, or the data is too long.
pub async fn queue(session: &mut Session, new: &NewNotice<'_>) -> Result<NoticeId> {
    let data = serde_json::to_string(new.data).unwrap_or_default();
    if data.len() > MAX_DATA {
        return Err(Error::Corrupt("a notice with more data than it may have".to_owned()));
    }
    let hash = new.hash.map(|hash| hash.to_vec());
    let values = args![
        new.kind.as_str(),
        new.recipient,
        new.address.as_str(),
        hash,
        new.recipient,
        new.language,
        data,
        new.at,
        new.expires_at,
        new.at,
        new.at,
    ];
    Ok(NoticeId(session.one::<(i64,)>(QUEUE, values).await?.0))
}

/// Whether any notice is due.
///
/// # Errors
/// When the database refuses.
pub async fn any_due(session: &mut Session, now: Micros) -> Result<bool> {
    Ok(session.one::<(i64,)>(ANY_DUE, args![now]).await?.0 > 0)
}

#[derive(sqlx::FromRow)]
struct Due {
    id: i64,
    kind: String,
    recipient_id: Option<i64>,
    address: Option<String>,
    language: String,
    data: String,
    attempt: i64,
    first_at: Option<i64>,
    expires_at: i64,
}

impl Due {
    fn claimed(self) -> Option<ClaimedNotice> {
        Some(ClaimedNotice {
            id: NoticeId(self.id),
            kind: NoticeKind::parse(&self.kind)?,
            address: Address::from_normalised(self.address?),
            language: self.language,
            data: serde_json::from_str::<Json<Data>>(&self.data).ok()?.0,
            attempts: self.attempt,
            first_at: self.first_at.map(Micros),
        })
    }
}

/// Takes notices that are due, at most `limit`; `stamp` says what each will be known by. Whoever is suppressed
/// gets none, unless by a decision of their own ([`is_persons_own`]): this transaction looks, and locks
/// recipients first and notices then, as whoever suppresses or erases does.
///
/// # Errors
/// When the database refuses; then nothing was claimed.
pub async fn claim(
    tx: &mut Session,
    node: NodeId,
    now: Micros,
    limit: usize,
    stamp: impl Fn(&ClaimedNotice) -> Option<Stamp>,
) -> Result<Claim> {
    let postgres = tx.kind() == EngineKind::Postgres;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut claim = Claim::default();
    let found: Vec<(i64, Option<i64>)> = tx.all(DUE, args![now, limit]).await?;
    if found.is_empty() {
        return Ok(claim);
    }
    let mut people: Vec<i64> = found.iter().filter_map(|(_, recipient)| *recipient).collect();
    if postgres && !people.is_empty() {
        people.sort_unstable();
        let (places, args) = keys(1, &people);
        let sql = format!("SELECT id FROM recipients WHERE id IN ({places}) ORDER BY id FOR UPDATE");
        tx.all::<(i64,)>(sql, args).await?;
    }
    let ids: Vec<i64> = found.iter().map(|(id, _)| *id).collect();
    let (places, args) = keys(1, &ids);
    let lock = if postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
    let mut due: Vec<Due> = tx.all(format!("{READ} ({places}) ORDER BY due_at, id{lock}"), args.clone()).await?;
    // One that has become somebody's in between waits for the next claim, which locks them.
    due.retain(|due| due.recipient_id.is_none_or(|id| people.contains(&id)));
    let sql = format!(
        "SELECT n.id, s.reason FROM notices n JOIN suppressions s ON s.hash = n.address_hash WHERE n.id IN ({places})"
    );
    let suppressed: HashMap<i64, String> = tx.all::<(i64, String)>(sql, args).await?.into_iter().collect();
    for due in due {
        let (id, expired) = (due.id, due.expires_at <= now.0);
        let forgotten = due.address.is_none();
        if suppressed.get(&id).is_some_and(|reason| !is_persons_own(reason)) {
            tx.change(1, SKIP, args![now, "suppressed", id]).await?;
        } else if forgotten {
            tx.change(1, SKIP, args![now, "erased", id]).await?;
        } else if expired {
            tx.change(1, EXPIRE, args![now, id]).await?;
            claim.expired += 1;
        } else if let Some((notice, stamp)) = due.claimed().and_then(|notice| stamp(&notice).map(|s| (notice, s))) {
            tx.change(1, TAKE, args![node, now, stamp.message_id, stamp.template, id]).await?;
            claim.taken.push(notice);
        } else {
            tx.change(1, SKIP, args![now, "this program knows no such notice", id]).await?;
        }
    }
    Ok(claim)
}

/// Releases what a node holds and does not have in hand, or held when it died: its claims wait again, what it
/// was sending is `unknown`, for this reason. How many of each.
///
/// # Errors
/// When the database refuses.
pub async fn release(tx: &mut Session, node: NodeId, reason: &str, now: Micros) -> Result<(u64, u64)> {
    let released = tx.execute(RELEASE, args![now, node]).await?;
    Ok((released, tx.execute(SWALLOW, args![reason, node]).await?))
}

/// Whether a node has claimed or is sending any notice.
///
/// # Errors
/// When the database refuses.
pub async fn holds_any(session: &mut Session, node: NodeId) -> Result<bool> {
    Ok(session.one::<(i64,)>(HELD, args![node]).await?.0 > 0)
}

/// Nodes that hold notices and are not registered.
///
/// # Errors
/// When the database refuses.
pub(super) async fn orphans(session: &mut Session) -> Result<Vec<NodeId>> {
    Ok(session.all::<(i64,)>(ORPHANS, vec![]).await?.into_iter().map(|(id,)| NodeId(id)).collect())
}

/// How a notice was handed over, as far as is known; `None` once it is forgotten.
///
/// # Errors
/// When the database refuses.
pub async fn delivery(session: &mut Session, notice: NoticeId) -> Result<Option<Delivery>> {
    session.first(DELIVERY, args![notice]).await
}

/// How many notices there are by kind and state; combinations that none has are left out.
///
/// # Errors
/// When the database refuses.
pub async fn counts(session: &mut Session) -> Result<Vec<(String, MessageState, i64)>> {
    let rows: Vec<(String, String, i64)> = session.all(COUNTS, vec![]).await?;
    Ok(rows.into_iter().filter_map(|(kind, state, n)| Some((kind, MessageState::parse(&state)?, n))).collect())
}

/// How many notices of a kind a person was to get since an instant.
///
/// # Errors
/// When the database refuses.
pub async fn recent(session: &mut Session, kind: NoticeKind, recipient: RecipientId, since: Micros) -> Result<i64> {
    Ok(session.one::<(i64,)>(RECENT, args![recipient, kind.as_str(), since]).await?.0)
}

/// How many notices of a kind were to go to an address since an instant.
///
/// # Errors
/// When the database refuses.
pub async fn recent_to(session: &mut Session, kind: NoticeKind, hash: &AddressHash, since: Micros) -> Result<i64> {
    Ok(session.one::<(i64,)>(RECENT_TO, args![hash.as_slice(), kind.as_str(), since]).await?.0)
}

/// Gives up whatever was not handed over: it may have been since by somebody of whom nothing is known. How many.
///
/// # Errors
/// When the database refuses.
pub async fn abandon(tx: &mut Session, reason: &str, now: Micros) -> Result<u64> {
    tx.execute(ABANDON, args![now, reason]).await
}

/// Forgets notices whose fate was settled before an instant, and what those said that cannot be sent any more `now`.
/// How many are forgotten.
///
/// # Errors
/// When the database refuses.
pub async fn forget(session: &mut Session, before: Micros, now: Micros) -> Result<u64> {
    session.execute(EMPTY, args![now]).await?;
    session.execute(FORGET, args![before]).await
}

/// Makes the notices to an address that are nobody's this recipient's, so that they are found when the person has
/// another address. Without a hash it is the recipient's present address.
///
/// # Errors
/// When the database refuses.
pub(super) async fn tie(session: &mut Session, recipient: RecipientId, hash: Option<&[u8]>) -> Result<()> {
    if session.kind() == EngineKind::Postgres {
        session.all::<(i64,)>(LOCK[1], args![hash, recipient]).await?;
    }
    session.execute(TIE, args![recipient, hash, recipient]).await.map(drop)
}

/// Takes the person out of all notices to them, by number and by address. What has not left stays here.
///
/// # Errors
/// When the database refuses.
pub async fn erase(session: &mut Session, recipient: RecipientId, hash: &AddressHash) -> Result<()> {
    if session.kind() == EngineKind::Postgres {
        session.all::<(i64,)>(LOCK[0], args![recipient, hash.as_slice()]).await?;
    }
    session.execute(ERASE, args![recipient, hash.as_slice()]).await.map(drop)
}
