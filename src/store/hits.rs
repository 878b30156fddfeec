//! Hits in the main database: bringing them in, judging them, and the actions that follow.

use uuid::Uuid;

use super::sql::{Texts, fill};
use super::{EngineKind, Error, Result, Session, Value, keys, values};
use crate::args;
use crate::domain::hit::{Hit, HitKind, HitMethod};
use crate::domain::id::{RecipientId, RunId};
use crate::domain::time::Micros;

/// Most hits or recipients that one call takes; a power of two.
pub const MAX_BATCH: usize = 512;

const COLUMNS: usize = 12;

/// Whoever is erased has withdrawn, too, although the ledger no longer says so.
const WITHDRAWN: &str = "SELECT at, recipient_id FROM (
        SELECT * FROM (
            SELECT c.at, c.recipient_id FROM consents c JOIN recipients r ON r.id = c.recipient_id
            WHERE c.purpose = 'tracking' AND NOT c.granted AND (c.at, c.recipient_id) > ($1, $2) AND NOT r.tracking
            ORDER BY c.at, c.recipient_id LIMIT $3
        ) AS withdrawn
        UNION ALL
        SELECT * FROM (
            SELECT r.erased_at AS at, r.id AS recipient_id FROM recipients r
            WHERE r.erased_at IS NOT NULL AND (r.erased_at, r.id) > ($1, $2) ORDER BY r.erased_at, r.id LIMIT $3
        ) AS erased
    ) AS gone ORDER BY at, recipient_id LIMIT $3";

pub(super) const STATEMENTS: &[&str] = &[WITHDRAWN];

/// A hit as it is stored.
#[derive(sqlx::FromRow)]
pub(super) struct HitRow {
    id: Vec<u8>,
    at: i64,
    kind: String,
    method: String,
    run_id: i64,
    recipient_id: i64,
    link: i64,
    item: i64,
    category: String,
    url: String,
    user_agent: String,
    network: String,
}

impl HitRow {
    pub(super) fn into_hit(self) -> Result<(Uuid, Hit)> {
        let corrupt = |what: &str| Error::Corrupt(format!("a hit with {what}"));
        let id = Uuid::from_slice(&self.id).map_err(|_| corrupt("an id that is no UUID"))?;
        let number = |n: i64| u16::try_from(n).map_err(|_| corrupt("a link number out of range"));
        let hit = Hit {
            at: Micros(self.at),
            kind: HitKind::parse(&self.kind).ok_or_else(|| corrupt("an unknown kind"))?,
            method: HitMethod::parse(&self.method).ok_or_else(|| corrupt("an unknown method"))?,
            run: RunId(self.run_id),
            recipient: RecipientId(self.recipient_id),
            link: number(self.link)?,
            item: number(self.item)?,
            category: self.category,
            url: self.url,
            user_agent: self.user_agent,
            network: self.network,
        };
        Ok((id, hit))
    }
}

/// The values of a hit's row, in the columns' order.
fn arguments(id: Uuid, hit: Hit) -> [Value; COLUMNS] {
    [
        id.as_bytes().as_slice().into(),
        hit.at.into(),
        hit.kind.as_str().into(),
        hit.method.as_str().into(),
        hit.run.into(),
        hit.recipient.into(),
        hit.link.into(),
        hit.item.into(),
        hit.category.into(),
        hit.url.into(),
        hit.user_agent.into(),
        hit.network.into(),
    ]
}

/// Brings in at most [`MAX_BATCH`] hits. Those that are there already are passed over, and so are
/// those of recipients without tracking consent, by then or for ever. How many were new.
///
/// # Errors
/// When the database refuses.
pub async fn keep(session: &mut Session, hits: Vec<(Uuid, Hit)>) -> Result<u64> {
    static TEXTS: Texts<MAX_BATCH> = Texts::new();
    if hits.is_empty() {
        return Ok(0);
    }
    if hits.len() > MAX_BATCH {
        return Err(Error::Corrupt("too large a batch of hits".to_owned()));
    }
    let rows = hits.len().next_power_of_two();
    let mut args = Vec::with_capacity(rows * COLUMNS);
    for (id, hit) in hits {
        args.extend(arguments(id, hit));
    }
    fill(&mut args, COLUMNS, rows);
    let kind = session.kind();
    session.execute(TEXTS.text(kind, rows, args.len(), |rows| keep_rows(kind, rows)), args).await
}

fn keep_rows(kind: EngineKind, rows: usize) -> String {
    // The lock orders this against a withdrawal or an erasure under way.
    let lock = match kind {
        EngineKind::Sqlite => "",
        EngineKind::Postgres => "ORDER BY r.id FOR SHARE OF r",
    };
    format!(
        "WITH v (id, at, kind, method, run_id, recipient_id, link, item, category, url, user_agent, network)
            AS (VALUES {})
         INSERT INTO hits (id, at, kind, method, run_id, recipient_id, link, item, category, url, user_agent, network)
         SELECT v.* FROM v JOIN recipients r ON r.id = v.recipient_id
         WHERE r.tracking AND r.erased_at IS NULL {lock}
         ON CONFLICT DO NOTHING",
        values(1, rows, COLUMNS)
    )
}

/// Those of at most [`MAX_BATCH`] recipients whose hits may be kept, in order. Inside a
/// transaction they stay so until its end.
///
/// # Errors
/// When the database refuses.
pub async fn tracked(session: &mut Session, recipients: &[RecipientId]) -> Result<Vec<RecipientId>> {
    if recipients.is_empty() {
        return Ok(vec![]);
    }
    let lock = match session.kind() {
        EngineKind::Sqlite => "",
        EngineKind::Postgres => "FOR SHARE",
    };
    let (places, args) = keys(1, recipients);
    let sql = format!(
        "SELECT id FROM recipients WHERE id IN ({places}) AND tracking AND erased_at IS NULL ORDER BY id {lock}"
    );
    session.recipients(&sql, args).await
}

/// Withdrawals of tracking that still hold, erasures among them, in the order of (instant, recipient) after the one
/// given, at most `limit`.
///
/// # Errors
/// When the database refuses.
pub async fn withdrawn(
    session: &mut Session,
    after: (Micros, RecipientId),
    limit: usize,
) -> Result<Vec<(Micros, RecipientId)>> {
    let rows: Vec<(i64, i64)> = session.all(WITHDRAWN, args![after.0, after.1, limit as i64]).await?;
    Ok(rows.into_iter().map(|(at, recipient)| (Micros(at), RecipientId(recipient))).collect())
}
