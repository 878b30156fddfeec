//! Messages by state, and who got none.

use super::{CodeCount, Reports};
use crate::args;
use crate::domain::id::RunId;
use crate::domain::message::MessageState;
use crate::store::{Error, Result, Session};

/// Run, state, the relay's code, why it was skipped, messages.
type Row = (i64, String, Option<i64>, Option<String>, i64);

/// Fills in messages by state, by the relays' codes, and why some were skipped.
pub(super) async fn count(session: &mut Session, reports: &mut Reports) -> Result<()> {
    let (runs, args) = reports.among(1);
    let sql = format!(
        "SELECT run_id, state, CASE WHEN state IN ('deferred', 'rejected') THEN code END,
            CASE WHEN state = 'skipped' THEN reply END, COUNT(*)
         FROM messages WHERE run_id IN ({runs}) GROUP BY 1, 2, 3, 4"
    );
    for (run, word, code, reason, messages) in session.all::<Row>(sql, args).await? {
        let state = MessageState::parse(&word).ok_or_else(|| Error::Corrupt(format!("message state '{word}'")))?;
        let report = reports.of(run)?;
        report.messages.add(state, messages);
        match state {
            MessageState::Skipped => {
                *report.skipped_because.entry(reason.unwrap_or_default()).or_default() += messages;
            }
            MessageState::Deferred | MessageState::Rejected => report.codes.push(CodeCount { state, code, messages }),
            _ => {}
        }
    }
    for report in &mut reports.list {
        report.codes.sort_by_key(|c| (-c.messages, c.state.as_str(), c.code));
    }
    Ok(())
}

/// Fills in who of the audience got no message.
pub(super) async fn exclusions(session: &mut Session, reports: &mut Reports) -> Result<()> {
    let (runs, args) = reports.among(1);
    let sql = format!("SELECT run_id, reason, people FROM run_exclusions WHERE run_id IN ({runs})");
    for (run, reason, people) in session.all::<(i64, String, i64)>(sql, args).await? {
        reports.of(run)?.excluded.insert(reason, people);
    }
    Ok(())
}

const SKIPPED: &str = "SELECT COALESCE(reply, ''), COUNT(*) FROM messages WHERE run_id = $1 AND state = 'skipped'
    GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $2";

pub(in crate::store) const STATEMENTS: &[&str] = &[SKIPPED];

/// Why messages of a run were skipped and how many, the most frequent reasons first.
///
/// # Errors
/// When the database refuses.
pub async fn skipped_because(session: &mut Session, run: RunId, limit: u32) -> Result<Vec<(String, i64)>> {
    session.all(SKIPPED, args![run, limit]).await
}
