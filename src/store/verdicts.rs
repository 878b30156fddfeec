//! What the judge reads and writes: the hits of whole messages, verdicts, and the actions of hits.

use uuid::Uuid;

use super::actions::NewAction;
use super::hits::HitRow;
use super::{Error, Result, Session, Value, list, values};
use crate::args;
use crate::domain::action::kind;
use crate::domain::hit::{Hit, Verdict};
use crate::domain::id::{RecipientId, RunId};
use crate::domain::time::Micros;

/// A message's identity.
pub type MessageKey = (RunId, RecipientId);

/// Most rows or keys that one call takes; a power of two.
pub const MAX_BATCH: usize = 512;

/// A hit with what speaks for or against it.
#[derive(Clone, Debug)]
pub struct Evident {
    /// The hit's identity.
    pub id: Uuid,
    /// What came.
    pub hit: Hit,
    /// When a relay took the message; none when that is not known.
    pub accepted_at: Option<Micros>,
    /// The verdict so far and its rule.
    pub verdict: Option<(Verdict, String)>,
}

#[derive(sqlx::FromRow)]
struct EvidentRow {
    #[sqlx(flatten)]
    hit: HitRow,
    accepted_at: Option<i64>,
    verdict: Option<String>,
    rule: Option<String>,
}

const UNJUDGED: &str = "SELECT run_id, recipient_id FROM hits WHERE verdict IS NULL AND at <= $1 ORDER BY id LIMIT $2";
const OF_RUN: &str = "SELECT DISTINCT run_id, recipient_id FROM hits WHERE run_id = $1 AND recipient_id > $2
    ORDER BY recipient_id LIMIT $3";
const FLOOD: &str = "UPDATE hits SET verdict = 'machine', rule = 'flood'
    WHERE run_id = $1 AND recipient_id = $2 AND at <= $3 AND verdict IS NULL";

pub(super) const STATEMENTS: &[&str] = &[UNJUDGED, OF_RUN, FLOOD];

/// Messages with hits up to `until` that have no verdict; those that have waited longest come
/// first. Looks at no more than `limit` hits.
///
/// # Errors
/// When the database refuses.
pub async fn unjudged(session: &mut Session, until: Micros, limit: usize) -> Result<Vec<MessageKey>> {
    messages(session, UNJUDGED, args![until, limit as i64]).await
}

/// Messages of a run that have hits, by recipient beyond `after`, at most `limit`.
///
/// # Errors
/// When the database refuses.
pub async fn of_run(session: &mut Session, run: RunId, after: RecipientId, limit: usize) -> Result<Vec<MessageKey>> {
    messages(session, OF_RUN, args![run, after, limit as i64]).await
}

async fn messages(session: &mut Session, sql: &'static str, args: Vec<Value>) -> Result<Vec<MessageKey>> {
    let rows: Vec<(i64, i64)> = session.all(sql, args).await?;
    let mut messages: Vec<_> = rows.into_iter().map(|(run, recipient)| (RunId(run), RecipientId(recipient))).collect();
    messages.sort_unstable();
    messages.dedup();
    Ok(messages)
}

/// How many hits each of at most [`MAX_BATCH`] messages has.
///
/// # Errors
/// When the database refuses.
pub async fn counts(session: &mut Session, messages: &[MessageKey]) -> Result<Vec<(MessageKey, u64)>> {
    let Some((rows, args)) = keys(messages) else { return Ok(vec![]) };
    let sql = format!(
        "WITH v (run_id, recipient_id) AS (VALUES {rows})
         SELECT h.run_id, h.recipient_id, COUNT(*) FROM hits h
         WHERE (h.run_id, h.recipient_id) IN (SELECT run_id, recipient_id FROM v)
         GROUP BY h.run_id, h.recipient_id ORDER BY h.run_id, h.recipient_id"
    );
    let rows: Vec<(i64, i64, i64)> = session.all(sql, args).await?;
    Ok(rows.into_iter().map(|(run, who, n)| ((RunId(run), RecipientId(who)), n.unsigned_abs())).collect())
}

/// All hits of at most [`MAX_BATCH`] messages, by message, then by (instant, id).
///
/// # Errors
/// When the database refuses, or holds what no tracker writes.
pub async fn evidence(session: &mut Session, messages: &[MessageKey]) -> Result<Vec<Evident>> {
    let Some((rows, args)) = keys(messages) else { return Ok(vec![]) };
    let sql = format!(
        "WITH v (run_id, recipient_id) AS (VALUES {rows})
         SELECT h.id, h.at, h.kind, h.method, h.run_id, h.recipient_id, h.link, h.item, h.category, h.url,
                h.user_agent, h.network, h.verdict, h.rule,
                CASE WHEN m.state = 'accepted' THEN m.at END AS accepted_at
         FROM hits h LEFT JOIN messages m ON m.run_id = h.run_id AND m.recipient_id = h.recipient_id
         WHERE (h.run_id, h.recipient_id) IN (SELECT run_id, recipient_id FROM v)
         ORDER BY h.run_id, h.recipient_id, h.at, h.id"
    );
    let rows: Vec<EvidentRow> = session.all(sql, args).await?;
    rows.into_iter().map(Evident::try_from).collect()
}

impl TryFrom<EvidentRow> for Evident {
    type Error = Error;

    fn try_from(row: EvidentRow) -> Result<Self> {
        let (id, hit) = row.hit.into_hit()?;
        let verdict = match row.verdict {
            Some(word) => {
                let verdict =
                    Verdict::parse(&word).ok_or_else(|| Error::Corrupt(format!("a hit with the verdict '{word}'")))?;
                Some((verdict, row.rule.unwrap_or_default()))
            }
            None => None,
        };
        Ok(Self { id, hit, accepted_at: row.accepted_at.map(Micros), verdict })
    }
}

/// Judges what a message got beyond all measure, without looking at it. How many hits that were.
///
/// # Errors
/// When the database refuses.
pub async fn flood(session: &mut Session, (run, recipient): MessageKey, until: Micros) -> Result<u64> {
    session.execute(FLOOD, args![run, recipient, until]).await
}

/// Writes verdicts with the names of their rules.
///
/// # Errors
/// When the database refuses.
pub async fn write(session: &mut Session, verdicts: &[(Uuid, Verdict, &str)]) -> Result<()> {
    for chunk in verdicts.chunks(MAX_BATCH) {
        let rows = chunk.len().next_power_of_two();
        let sql = format!(
            "WITH v (id, verdict, rule) AS (VALUES {})
             UPDATE hits SET verdict = v.verdict, rule = v.rule FROM v WHERE hits.id = v.id",
            values(1, rows, 3)
        );
        let args = padded(chunk, rows).flat_map(|(id, verdict, rule)| -> [Value; 3] {
            [id.as_bytes().as_slice().into(), verdict.as_str().into(), (*rule).into()]
        });
        session.execute(sql, args.collect()).await?;
    }
    Ok(())
}

/// Makes these the actions of their keys: new ones are inserted, and one that stands at another
/// instant, or was void, is changed and scored anew. Keys must differ.
///
/// # Errors
/// When the database refuses.
pub async fn put_actions(session: &mut Session, actions: &[NewAction]) -> Result<u64> {
    const COLUMNS: usize = 7;
    let mut changed = 0;
    for chunk in actions.chunks(MAX_BATCH) {
        let rows = chunk.len().next_power_of_two();
        let sql = format!(
            "WITH v (key, recipient_id, kind, category, at, run_id, url) AS (VALUES {})
             INSERT INTO actions (key, recipient_id, kind, category, at, run_id, url)
             SELECT * FROM v WHERE v.key IS NOT NULL
             ON CONFLICT (key) DO UPDATE SET at = excluded.at, kind = excluded.kind, scored = FALSE, revised = TRUE
             WHERE actions.at <> excluded.at OR actions.kind <> excluded.kind",
            values(1, rows, COLUMNS)
        );
        let args = padded(chunk, rows).enumerate().flat_map(|(n, a)| -> [Value; COLUMNS] {
            let key = (n < chunk.len()).then(|| a.key.clone());
            [
                key.into(),
                a.recipient.into(),
                a.kind.as_str().into(),
                a.category.clone().into(),
                a.at.into(),
                a.run.into(),
                a.url.clone().into(),
            ]
        });
        changed += session.execute(sql, args.collect()).await?;
    }
    Ok(changed)
}

/// Makes the actions of these keys void, where there are any: their hits are no longer human. They
/// are to be scored anew, which takes their points away.
///
/// # Errors
/// When the database refuses.
pub async fn void_actions(session: &mut Session, keys: &[String]) -> Result<u64> {
    let mut changed = 0;
    for chunk in keys.chunks(MAX_BATCH) {
        let (places, rows) = list(2, chunk.len());
        let sql = format!(
            "UPDATE actions SET kind = $1, scored = FALSE, revised = TRUE WHERE key IN ({places}) AND kind <> $1"
        );
        let args = std::iter::once(Value::from(kind::VOID)).chain(padded(chunk, rows).map(|k| k.as_str().into()));
        changed += session.execute(sql, args.collect()).await?;
    }
    Ok(changed)
}

/// The rows and the arguments of a list of messages.
fn keys(messages: &[MessageKey]) -> Option<(String, Vec<Value>)> {
    if messages.is_empty() {
        return None;
    }
    let rows = messages.len().next_power_of_two();
    let args = padded(messages, rows).flat_map(|(run, who)| -> [Value; 2] { [(*run).into(), (*who).into()] }).collect();
    Some((values(1, rows, 2), args))
}

/// The items, the last one repeated up to `len`: few different texts arise.
fn padded<T>(items: &[T], len: usize) -> impl Iterator<Item = &T> {
    items.iter().chain(items.last().into_iter().cycle()).take(len)
}
