//! What came back of a run's messages.

use super::Reports;
use crate::domain::action::kind;
use crate::store::actions::RETURNED;
use crate::store::{Result, Session};

/// Fills in how many of the accepted messages came back, and how.
pub(super) async fn count(session: &mut Session, reports: &mut Reports) -> Result<()> {
    let (runs, args) = reports.among(1);
    let sql = format!(
        "SELECT a.run_id, a.kind, COUNT(DISTINCT a.recipient_id)
         FROM actions a JOIN messages m ON m.run_id = a.run_id AND m.recipient_id = a.recipient_id
         WHERE a.{RETURNED} AND a.kind IN ('bounce', 'soft_bounce', 'block', 'complaint', 'reply')
             AND a.run_id IN ({runs}) AND m.state = 'accepted'
         GROUP BY a.run_id, a.kind"
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
