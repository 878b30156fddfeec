//! What the judge reads and writes: the hits of whole messages, verdicts, and the actions of hits.

use uuid::Uuid;

use super::actions::NewAction;
use super::hits::HitRow;
use super::{Error, Result, Session, Value, list, padded, values};
use crate::args;
use crate::domain::action::kind;
use crate::domain::hit::{Hit, Verdict};
use crate::domain::id::{RecipientId, RunId};
use crate::domain::time::Micros;

/// A message's identity.
pub type MessageKey = (RunId, RecipientId);

/// The hits of a message from an instant on.
pub type Since = (MessageKey, Micros);

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

const UNJUDGED: &str = "SELECT run_id, recipient_id, MIN(at) FROM
    (SELECT run_id, recipient_id, at FROM hits WHERE verdict IS NULL AND at <= $1 ORDER BY id LIMIT $2) AS unjudged
    GROUP BY run_id, recipient_id ORDER BY run_id, recipient_id";
const OF_RUN: &str = "SELECT run_id, recipient_id, MIN(at) FROM hits WHERE run_id = $1 AND recipient_id > $2
    GROUP BY run_id, recipient_id ORDER BY run_id, recipient_id LIMIT $3";
const FLOOD: &str = "UPDATE hits SET verdict = 'machine', rule = 'flood'
    WHERE run_id = $1 AND recipient_id = $2 AND at <= $3 AND verdict IS NULL";

pub(super) const STATEMENTS: &[&str] = &[UNJUDGED, OF_RUN, FLOOD];

/// Messages with hits up to `until` that have no verdict, each with the first of them. Looks at the
/// `limit` hits that have waited longest.
///
/// # Errors
/// When the database refuses.
pub async fn unjudged(session: &mut Session, until: Micros, limit: usize) -> Result<Vec<Since>> {
    messages(session, UNJUDGED, args![until, limit as i64]).await
}

/// Messages of a run that have hits, each with its first, by recipient beyond `after`, at most
/// `limit`.
///
/// # Errors
/// When the database refuses.
pub async fn of_run(session: &mut Session, run: RunId, after: RecipientId, limit: usize) -> Result<Vec<Since>> {
    messages(session, OF_RUN, args![run, after, limit as i64]).await
}

async fn messages(session: &mut Session, sql: &'static str, args: Vec<Value>) -> Result<Vec<Since>> {
    let rows: Vec<(i64, i64, i64)> = session.all(sql, args).await?;
    Ok(rows.into_iter().map(|(run, recipient, at)| ((RunId(run), RecipientId(recipient)), Micros(at))).collect())
}

/// How many hits each of at most [`MAX_BATCH`] messages has since an instant; those with none are
/// left out.
///
/// # Errors
/// When the database refuses.
pub async fn counts(session: &mut Session, messages: &[Since]) -> Result<Vec<(Since, u64)>> {
    let Some((rows, args)) = since(messages) else { return Ok(vec![]) };
    let sql = format!(
        "WITH v (run_id, recipient_id, since) AS (VALUES {rows})
         SELECT v.run_id, v.recipient_id, v.since, COUNT(*) FROM v
         JOIN hits h ON h.run_id = v.run_id AND h.recipient_id = v.recipient_id AND h.at >= v.since
         GROUP BY v.run_id, v.recipient_id, v.since ORDER BY v.run_id, v.recipient_id"
    );
    let rows: Vec<(i64, i64, i64, i64)> = session.all(sql, args).await?;
    let count = |(run, who, since, n): (i64, i64, i64, i64)| {
        (((RunId(run), RecipientId(who)), Micros(since)), n.unsigned_abs())
    };
    Ok(rows.into_iter().map(count).collect())
}

/// The hits of at most [`MAX_BATCH`] messages since an instant, by message, then by (instant, id).
///
/// # Errors
/// When the database refuses, or holds what no tracker writes.
pub async fn evidence(session: &mut Session, messages: &[Since]) -> Result<Vec<Evident>> {
    let Some((rows, args)) = since(messages) else { return Ok(vec![]) };
    let sql = format!(
        "WITH v (run_id, recipient_id, since) AS (VALUES {rows})
         SELECT h.id, h.at, h.kind, h.method, h.run_id, h.recipient_id, h.link, h.item, h.category, h.url,
                h.user_agent, h.network, h.verdict, h.rule,
                CASE WHEN m.state = 'accepted' THEN m.at END AS accepted_at
         FROM v JOIN hits h ON h.run_id = v.run_id AND h.recipient_id = v.recipient_id AND h.at >= v.since
         LEFT JOIN messages m ON m.run_id = h.run_id AND m.recipient_id = h.recipient_id
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
        let args = padded(chunk, rows).flat_map(|(id, verdict, rule)| -> [Value; 3] {
            [id.as_bytes().as_slice().into(), verdict.as_str().into(), (*rule).into()]
        });
        session.execute(verdicts_of(rows), args.collect()).await?;
    }
    Ok(())
}

/// By a bare `v.id` SQLite would index a long list, and walk all hits to look for them there.
fn verdicts_of(rows: usize) -> String {
    format!(
        "WITH v (id, verdict, rule) AS (VALUES {})
         UPDATE hits SET verdict = v.verdict, rule = v.rule FROM v WHERE hits.id = COALESCE(v.id, v.id)",
        values(1, rows, 3)
    )
}

/// When a stored action gives way to another of the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// When the other one is earlier, or it is void.
    Later,
    /// When the other one is at another instant, or it is void: the other one is known to be right.
    Other,
}

/// Records actions; one of a known key replaces the stored one as `replace` says, and is scored
/// anew. Keys must differ.
///
/// # Errors
/// When the database refuses.
pub async fn put_actions(session: &mut Session, actions: &[NewAction], replace: Replace) -> Result<u64> {
    const COLUMNS: usize = 7;
    let gives_way = match replace {
        Replace::Later => "actions.at > excluded.at",
        Replace::Other => "actions.at <> excluded.at",
    };
    let mut changed = 0;
    for chunk in actions.chunks(MAX_BATCH) {
        let rows = chunk.len().next_power_of_two();
        let sql = format!(
            "WITH v (key, recipient_id, kind, category, at, run_id, url) AS (VALUES {})
             INSERT INTO actions (key, recipient_id, kind, category, at, run_id, url)
             SELECT * FROM v WHERE v.key IS NOT NULL
             ON CONFLICT (key) DO UPDATE SET at = excluded.at, kind = excluded.kind, scored = FALSE, revised = TRUE
             WHERE {gives_way} OR actions.kind <> excluded.kind",
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

/// The rows and the arguments of a list of messages, filled up with one that there is not.
fn since(messages: &[Since]) -> Option<(String, Vec<Value>)> {
    if messages.is_empty() {
        return None;
    }
    const NONE: Since = ((RunId(-1), RecipientId(-1)), Micros(0));
    let rows = messages.len().next_power_of_two();
    let filled = messages.iter().copied().chain(std::iter::repeat(NONE)).take(rows);
    let args = filled.flat_map(|((run, who), at)| -> [Value; 3] { [run.into(), who.into(), at.into()] }).collect();
    Some((values(1, rows, 3), args))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn a_long_list_of_verdicts_finds_its_hits_by_their_key() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open("sqlite:t.db", dir.path()).await.unwrap();
        let sql = format!("EXPLAIN QUERY PLAN {}", verdicts_of(MAX_BATCH));
        let plan: Vec<(i64, i64, i64, String)> = store.read().await.unwrap().all(sql, vec![]).await.unwrap();
        let of_hits: Vec<_> = plan.iter().filter(|(.., step)| step.contains(" hits")).map(|(.., step)| step).collect();
        assert_eq!(of_hits, ["SEARCH hits USING PRIMARY KEY (id=?)"]);
    }
}
