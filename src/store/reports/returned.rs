//! What came back of a run's messages.

use super::Reports;
use crate::domain::action::kind;
use crate::store::{Result, Session};

/// Fills in to how many people's messages what came back.
pub(super) async fn count(session: &mut Session, reports: &mut Reports) -> Result<()> {
    let (runs, args) = reports.among(1);
    let sql = format!(
        "SELECT run_id, kind, COUNT(DISTINCT recipient_id) FROM actions
         WHERE kind IN ('bounce', 'soft_bounce', 'block', 'complaint', 'reply') AND run_id IN ({runs})
         GROUP BY run_id, kind"
    );
    for (run, what, people) in session.all::<(i64, String, i64)>(sql, args).await? {
        let report = reports.of(run)?;
        match what.as_str() {
            kind::BOUNCE => report.bounces.dead = people,
            kind::SOFT_BOUNCE => report.bounces.soft = people,
            kind::BLOCK => report.bounces.blocked = people,
            kind::COMPLAINT => report.complaints = people,
            _ => report.replies = people,
        }
    }
    Ok(())
}
