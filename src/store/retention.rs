//! Removing details whose time is over, in small batches: hits, of which totals stay, and servers' words.

use super::{Result, Session, keys, recipients};
use crate::args;
use crate::domain::id::{RecipientId, RunId};
use crate::domain::time::Micros;

/// Messages whose hits one call removes.
const FEW: i64 = 256;
/// Messages whose servers' words one call removes.
const SOME: i64 = 500;

/// The bit of a hit `h` in the `counted` of its message.
pub(super) const MARK: &str = "(CASE h.kind WHEN 'open' THEN 1 ELSE 32 END * CASE COALESCE(h.verdict, '')
    WHEN 'human' THEN 1 WHEN 'proxy' THEN 2 WHEN 'machine' THEN 4 WHEN 'unknown' THEN 8 ELSE 16 END)";

/// A value instead of EXISTS, see [`super::sql::any`].
const RUNS_WITH_HITS: &str = "SELECT id FROM runs r
    WHERE r.at < $1 AND (SELECT 1 FROM hits h WHERE h.run_id = r.id LIMIT 1) IS NOT NULL ORDER BY id";
const OLD_HITS: &str = "SELECT recipient_id FROM hits WHERE run_id = $1 AND recipient_id > $2
    GROUP BY recipient_id HAVING MAX(at) < $3 AND COUNT(verdict) = COUNT(*) ORDER BY recipient_id LIMIT $4";
const HIT_RUNS: &str = "SELECT r.id FROM runs r WHERE EXISTS
    (SELECT 1 FROM hits h WHERE h.run_id = r.id AND h.recipient_id = $1) ORDER BY r.id";

const RUNS_WITH_REPLIES: &str = "SELECT id FROM runs WHERE NOT hushed AND ended_at < $1 ORDER BY id";
const NEXT_MESSAGES: &str =
    "SELECT recipient_id FROM messages WHERE run_id = $1 AND recipient_id > $2 ORDER BY recipient_id LIMIT $3";
/// As at erasure: a template's complaint may quote a value, the other reasons of skipped messages are words of ours.
const HUSH: [&str; 2] = [
    "UPDATE messages
    SET reply = CASE WHEN state <> 'skipped' THEN NULL WHEN reply LIKE 'render:%' THEN 'render' ELSE reply END
    WHERE run_id = $1 AND recipient_id > $2 AND recipient_id <= $3 AND reply IS NOT NULL
        AND (state <> 'skipped' OR reply LIKE 'render:%')",
    "UPDATE attempts SET reply = '' WHERE run_id = $1 AND recipient_id > $2 AND recipient_id <= $3 AND reply <> ''",
];
const HUSHED: &str = "UPDATE runs SET hushed = TRUE WHERE id = $1";

pub(super) const STATEMENTS: &[&str] =
    &[RUNS_WITH_HITS, OLD_HITS, HIT_RUNS, RUNS_WITH_REPLIES, NEXT_MESSAGES, HUSH[0], HUSH[1], HUSHED];

/// Runs before an instant that still have hits.
///
/// # Errors
/// When the database refuses.
pub async fn runs_with_hits(session: &mut Session, before: Micros) -> Result<Vec<RunId>> {
    ids(session, RUNS_WITH_HITS, before).await
}

/// Removes the hits of a few messages beyond `after` whose last hit came before an instant and was judged;
/// their number goes to the run's totals. The last of them, and how many there were.
///
/// # Errors
/// When the database refuses.
pub async fn remove_hits(
    tx: &mut Session,
    run: RunId,
    after: RecipientId,
    before: Micros,
) -> Result<Option<(RecipientId, u64)>> {
    let old: Vec<(i64,)> = tx.all(OLD_HITS, args![run, after, before, FEW]).await?;
    let Some((last,)) = old.last() else { return Ok(None) };
    let people: Vec<i64> = old.iter().map(|(recipient,)| *recipient).collect();
    // All locks come first, so that an erasure of one of them waits for us, or we for it.
    recipients::lock_all(tx, &people).await?;
    Ok(Some((RecipientId(*last), total(tx, run, &people).await?)))
}

/// Removes all hits of a person, whose row the caller has locked; their number goes to the runs' totals.
///
/// # Errors
/// When the database refuses.
pub(super) async fn remove_hits_of(tx: &mut Session, recipient: RecipientId) -> Result<()> {
    for (run,) in tx.all::<(i64,)>(HIT_RUNS, args![recipient]).await? {
        total(tx, RunId(run), &[recipient.0]).await?;
    }
    Ok(())
}

/// Moves the hits of some people in a run to its totals, whose rows are locked in one order by all who do. A message
/// that was hit again after its hits had been moved before is counted once.
async fn total(tx: &mut Session, run: RunId, people: &[i64]) -> Result<u64> {
    let (places, people) = keys(2, people);
    let args: Vec<_> = args![run].into_iter().chain(people).collect();
    let add = format!(
        "INSERT INTO hit_totals (run_id, kind, verdict, messages, total)
         SELECT h.run_id, h.kind, COALESCE(h.verdict, ''),
            COUNT(DISTINCT CASE WHEN COALESCE(m.counted, 0) & {MARK} = 0 THEN h.recipient_id END), COUNT(*)
         FROM hits h LEFT JOIN messages m ON m.run_id = h.run_id AND m.recipient_id = h.recipient_id
         WHERE h.run_id = $1 AND h.recipient_id IN ({places})
         GROUP BY h.run_id, h.kind, COALESCE(h.verdict, '') ORDER BY 1, 2, 3
         ON CONFLICT (run_id, kind, verdict) DO UPDATE
         SET messages = hit_totals.messages + excluded.messages, total = hit_totals.total + excluded.total"
    );
    tx.execute(add, args.clone()).await?;
    let mark = format!(
        "UPDATE messages SET counted = counted | COALESCE((SELECT CAST(SUM(mark) AS BIGINT) FROM (
            SELECT DISTINCT {MARK} AS mark FROM hits h
            WHERE h.run_id = messages.run_id AND h.recipient_id = messages.recipient_id) AS marks), 0)
         WHERE run_id = $1 AND recipient_id IN ({places})"
    );
    tx.execute(mark, args.clone()).await?;
    tx.execute(format!("DELETE FROM hits WHERE run_id = $1 AND recipient_id IN ({places})"), args).await
}

/// Runs that ended before an instant, about whose messages servers' words are still kept.
///
/// # Errors
/// When the database refuses.
pub async fn runs_with_replies(session: &mut Session, before: Micros) -> Result<Vec<RunId>> {
    ids(session, RUNS_WITH_REPLIES, before).await
}

/// Removes what servers said about a few messages beyond `after`. The last of them and how many texts were
/// removed; none at the end, which is noted with the run.
///
/// # Errors
/// When the database refuses.
pub async fn remove_replies(tx: &mut Session, run: RunId, after: RecipientId) -> Result<Option<(RecipientId, u64)>> {
    let next: Vec<(i64,)> = tx.all(NEXT_MESSAGES, args![run, after, SOME]).await?;
    let Some((last,)) = next.last() else {
        tx.change(1, HUSHED, args![run]).await?;
        return Ok(None);
    };
    let mut removed = 0;
    for sql in HUSH {
        removed += tx.execute(sql, args![run, after, *last]).await?;
    }
    Ok(Some((RecipientId(*last), removed)))
}

async fn ids(session: &mut Session, sql: &'static str, before: Micros) -> Result<Vec<RunId>> {
    Ok(session.all::<(i64,)>(sql, args![before]).await?.into_iter().map(|(id,)| RunId(id)).collect())
}
