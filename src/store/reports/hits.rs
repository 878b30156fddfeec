//! Opens and clicks by verdict, those among them of which nothing but the number is kept.

use super::{HitCount, Reports};
use crate::domain::hit::{HitKind, Verdict};
use crate::store::retention::MARK;
use crate::store::{Error, Result, Session};

/// Fills in opens and clicks. A message that was hit again after its hits were removed is counted once.
pub(super) async fn count(session: &mut Session, reports: &mut Reports) -> Result<()> {
    let (runs, args) = reports.among(1);
    let sql = format!(
        "SELECT run_id, kind, verdict, CAST(SUM(messages) AS BIGINT), CAST(SUM(total) AS BIGINT) FROM (
            SELECT run_id, kind, COALESCE(verdict, '') AS verdict, COUNT(DISTINCT recipient_id) AS messages,
                COUNT(*) AS total
            FROM hits WHERE run_id IN ({runs}) GROUP BY run_id, kind, COALESCE(verdict, '')
            UNION ALL SELECT run_id, kind, verdict, messages, total FROM hit_totals WHERE run_id IN ({runs})
            UNION ALL SELECT t.run_id, t.kind, t.verdict, -COUNT(DISTINCT h.recipient_id), 0
            FROM hit_totals t
            JOIN hits h ON h.run_id = t.run_id AND h.kind = t.kind AND COALESCE(h.verdict, '') = t.verdict
            JOIN messages m ON m.run_id = h.run_id AND m.recipient_id = h.recipient_id
            WHERE t.run_id IN ({runs}) AND m.counted & {MARK} <> 0 GROUP BY t.run_id, t.kind, t.verdict
         ) AS all_hits GROUP BY run_id, kind, verdict"
    );
    let rows: Vec<(i64, String, String, i64, i64)> = session.all(sql, args).await?;
    for (run, kind, word, messages, total) in rows {
        let report = reports.of(run)?;
        let counts = match HitKind::parse(&kind) {
            Some(HitKind::Open) => &mut report.opens,
            Some(HitKind::Click) => &mut report.clicks,
            None => return Err(Error::Corrupt(format!("hit kind '{kind}'"))),
        };
        counts.set(verdict(Some(word).filter(|word| !word.is_empty()))?, HitCount { messages, total });
    }
    Ok(())
}

/// The verdict of a stored word; none for a hit that is not judged yet.
pub(super) fn verdict(word: Option<String>) -> Result<Option<Verdict>> {
    word.map(|word| Verdict::parse(&word).ok_or_else(|| Error::Corrupt(format!("verdict '{word}'")))).transpose()
}
