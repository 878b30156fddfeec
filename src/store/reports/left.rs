//! Who unsubscribed, and why.

use super::Reports;
use crate::store::actions::RETURNED;
use crate::store::{Result, Session};

/// Fills in how many people left by a run's messages, and how many of them chose which reason.
pub(super) async fn count(session: &mut Session, reports: &mut Reports) -> Result<()> {
    let (runs, args) = reports.among(1);
    let sql = format!(
        "SELECT run_id, why, COUNT(*) FROM (
            SELECT run_id, recipient_id, MAX(why) AS why FROM actions
            WHERE {RETURNED} AND kind = 'unsubscribe' AND run_id IN ({runs}) GROUP BY run_id, recipient_id) people
         GROUP BY run_id, why"
    );
    for (run, why, people) in session.all::<(i64, Option<String>, i64)>(sql, args).await? {
        let left = &mut reports.of(run)?.unsubscribed;
        left.people += people;
        if let Some(why) = why {
            left.why.insert(why, people);
        }
    }
    Ok(())
}
