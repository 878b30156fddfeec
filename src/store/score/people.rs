//! Reads what is known of a number of people.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::FromRow;

use crate::args;
use crate::domain::action::LedgerEntry;
use crate::domain::cluster::Membership;
use crate::domain::id::RecipientId;
use crate::domain::ledger::{Entry, Moment, MomentKind, PersonState, Span};
use crate::domain::time::Micros;
use crate::store::{EngineKind, Error, Result, Row, Session, keys};

/// Rows of each person; people without any are missing.
type Of<T> = BTreeMap<RecipientId, T>;

/// A recipient, as scoring sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub recipient: RecipientId,
    /// Whether the person may have a score.
    pub tracked: bool,
}

#[derive(FromRow)]
struct ProfileRow {
    recipient_id: i64,
    f: f64,
    f7: f64,
    points: f64,
    last_at: i64,
    last_id: i64,
    cools_at: Option<i64>,
    cluster: Option<String>,
    cluster_since: Option<i64>,
    cluster_until: Option<i64>,
    rose: i64,
    cooled: i64,
    entered: i64,
}

#[derive(FromRow)]
struct EntryRow {
    recipient_id: i64,
    at: i64,
    action_id: i64,
    kind: String,
    category: Option<String>,
    points: f64,
    f: f64,
    f7: f64,
    fa: f64,
}

#[derive(FromRow)]
struct ActionRow {
    recipient_id: i64,
    at: i64,
    id: i64,
    kind: String,
    category: Option<String>,
}

macro_rules! page {
    ($lock:literal) => {
        concat!("SELECT id, tracking AND erased_at IS NULL FROM recipients WHERE id > $1 ORDER BY id LIMIT $2", $lock)
    };
}

const PAGE: &str = page!("");
const PAGE_LOCKED: &str = page!(" FOR NO KEY UPDATE");

pub(in crate::store) const STATEMENTS: &[&str] = &[PAGE];

/// The next `limit` recipients after `after`, held until the transaction ends.
///
/// # Errors
/// When the database refuses.
pub async fn people(session: &mut Session, after: RecipientId, limit: i64) -> Result<Vec<Person>> {
    let sql = match session.kind() {
        EngineKind::Sqlite => PAGE,
        EngineKind::Postgres => PAGE_LOCKED,
    };
    let rows: Vec<(i64, bool)> = session.all(sql, args![after, limit]).await?;
    Ok(rows.into_iter().map(|(id, tracked)| Person { recipient: RecipientId(id), tracked }).collect())
}

/// The states of people.
///
/// # Errors
/// When the database refuses.
pub async fn states(session: &mut Session, people: &[RecipientId]) -> Result<Of<PersonState>> {
    let rows: Vec<ProfileRow> = select(
        session,
        "SELECT recipient_id, f, f7, points, last_at, last_id, cools_at, cluster, cluster_since, cluster_until,
                rose, cooled, entered FROM profiles",
        people,
        "",
    )
    .await?;
    let mut states: Of<PersonState> = rows.into_iter().map(|row| (RecipientId(row.recipient_id), row.into())).collect();
    let affinities: Vec<(i64, String, f64)> =
        select(session, "SELECT recipient_id, category, fa FROM affinities", people, "").await?;
    for (recipient, category, sum) in affinities {
        if let Some(state) = states.get_mut(&RecipientId(recipient)) {
            state.affinities.insert(category, sum);
        }
    }
    Ok(states)
}

/// The score entries of people, in the order (at, id).
///
/// # Errors
/// When the database refuses.
pub async fn entries(session: &mut Session, people: &[RecipientId]) -> Result<Of<Vec<Entry>>> {
    let rows: Vec<EntryRow> = select(
        session,
        "SELECT recipient_id, at, action_id, kind, category, points, f, f7, fa FROM score_entries",
        people,
        "ORDER BY recipient_id, at, action_id",
    )
    .await?;
    Ok(gather(rows, |row| {
        let action = LedgerEntry { at: Micros(row.at), id: row.action_id, kind: row.kind, category: row.category };
        (row.recipient_id, Entry { action, points: row.points, f: row.f, f7: row.f7, fa: row.fa })
    }))
}

/// The actions of people that have been taken into the scores, or would have been had their kind
/// brought points, in the order (at, id).
///
/// # Errors
/// When the database refuses.
pub async fn actions(session: &mut Session, people: &[RecipientId]) -> Result<Of<Vec<LedgerEntry>>> {
    let rows: Vec<ActionRow> = select(
        session,
        "SELECT recipient_id, at, id, kind, category FROM actions",
        people,
        "AND scored AND counts ORDER BY recipient_id, at, id",
    )
    .await?;
    Ok(gather(rows, |row| {
        let action = LedgerEntry { at: Micros(row.at), id: row.id, kind: row.kind, category: row.category };
        (row.recipient_id, action)
    }))
}

/// Those of the people of whom an action was revised that waits for the scorer: until then an older
/// entry of it stands in the ledger.
///
/// # Errors
/// When the database refuses.
pub async fn under_revision(session: &mut Session, people: &[RecipientId]) -> Result<BTreeSet<RecipientId>> {
    let rows: Vec<(i64,)> =
        select(session, "SELECT recipient_id FROM actions", people, "AND NOT scored AND revised").await?;
    Ok(rows.into_iter().map(|(recipient,)| RecipientId(recipient)).collect())
}

/// The moments of people, by kind and ordinal.
///
/// # Errors
/// When the database refuses, or a kind is not known.
pub async fn moments(session: &mut Session, people: &[RecipientId]) -> Result<Of<Vec<Moment>>> {
    let rows: Vec<(i64, String, i64, i64, String)> = select(
        session,
        "SELECT recipient_id, kind, ordinal, at, subject FROM moments",
        people,
        "ORDER BY recipient_id, kind, ordinal",
    )
    .await?;
    let mut moments = Of::<Vec<_>>::new();
    for (recipient, kind, ordinal, at, subject) in rows {
        let kind = MomentKind::parse(&kind).ok_or_else(|| Error::Corrupt(format!("moment '{kind}'")))?;
        let moment = Moment { kind, ordinal, at: Micros(at), subject };
        moments.entry(RecipientId(recipient)).or_default().push(moment);
    }
    Ok(moments)
}

/// The stays of people in clusters, in order.
///
/// # Errors
/// When the database refuses.
pub async fn spans(session: &mut Session, people: &[RecipientId]) -> Result<Of<Vec<Span>>> {
    let rows: Vec<(i64, i64, String, i64, i64)> = select(
        session,
        "SELECT recipient_id, ordinal, cluster, from_at, until_at FROM cluster_spans",
        people,
        "ORDER BY recipient_id, ordinal",
    )
    .await?;
    Ok(gather(rows, |(recipient, ordinal, cluster, from, until)| {
        (recipient, Span { ordinal, cluster, from: Micros(from), until: Micros(until) })
    }))
}

impl From<ProfileRow> for PersonState {
    fn from(row: ProfileRow) -> Self {
        let membership = row.cluster.zip(row.cluster_since).zip(row.cluster_until);
        Self {
            f: row.f,
            f7: row.f7,
            affinities: BTreeMap::new(),
            points: row.points,
            last: Some((Micros(row.last_at), row.last_id)),
            cools_at: row.cools_at.map(Micros),
            membership: membership.map(|((cluster, since), until)| Membership {
                cluster,
                since: Micros(since),
                until: Micros(until),
            }),
            rose: row.rose,
            cooled: row.cooled,
            entered: row.entered,
        }
    }
}

async fn select<T: Row>(session: &mut Session, head: &str, people: &[RecipientId], tail: &str) -> Result<Vec<T>> {
    if people.is_empty() {
        return Ok(Vec::new());
    }
    let (list, args) = keys(1, people);
    session.all(format!("{head} WHERE recipient_id IN ({list}) {tail}"), args).await
}

fn gather<R, T>(rows: Vec<R>, split: impl Fn(R) -> (i64, T)) -> Of<Vec<T>> {
    let mut gathered = Of::<Vec<T>>::new();
    for (recipient, value) in rows.into_iter().map(split) {
        gathered.entry(RecipientId(recipient)).or_default().push(value);
    }
    gathered
}
