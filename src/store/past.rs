//! What people's attributes were when mail was written to them, kept once they change: the mail in the browser shows
//! them. Attributes are told apart by a number, the person's `revision`, which the sender notes with the message, so
//! that no clocks are compared.

use serde::Serialize;
use sqlx::types::Json;

use super::recipients::Attributes;
use super::{Result, Session};
use crate::args;
use crate::domain::id::{RecipientId, RunId};
use crate::domain::time::Micros;

/// Rows that one call removes.
const SOME: i64 = 500;

const SENT: &str = "SELECT m.revision, m.attempt, m.at, w.due_at FROM messages m
    LEFT JOIN waves w ON w.run_id = m.run_id AND w.number = m.wave WHERE m.run_id = $1 AND m.recipient_id = $2";
const ONE: &str = "SELECT attributes FROM past_attributes WHERE recipient_id = $1 AND revision = $2";
const ALL: &str =
    "SELECT until_at, attributes FROM past_attributes WHERE recipient_id = $1 AND until_at <= $2 ORDER BY revision";
const FORGET: &str = "DELETE FROM past_attributes WHERE (recipient_id, revision) IN
    (SELECT recipient_id, revision FROM past_attributes WHERE until_at < $1 ORDER BY until_at LIMIT $2)";

pub(super) const STATEMENTS: &[&str] = &[SENT, ONE, ALL, FORGET];

/// How a message was written last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// With which of the person's attributes; none before the first attempt.
    pub revision: Option<i64>,
    /// How many attempts there were.
    pub attempts: i64,
    /// Of the last claim or answer.
    pub at: Micros,
    /// The instant of its wave, where the run has any.
    pub wave: Option<Micros>,
}

impl Sent {
    /// Whether all attempts had begun by an instant at which the first one had.
    #[must_use]
    pub fn is_over_by(&self, at: Micros) -> bool {
        self.attempts == 1 || self.at <= at
    }
}

/// Attributes that a person had.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Past {
    /// When they changed, RFC 3339.
    pub until: String,
    /// What they were.
    pub attributes: Attributes,
}

/// Keeps the attributes of those among `people` (a list of placeholders, in parentheses) to whom a message was written with them, or
/// may be just now, until the instant of the placeholder `at`. It goes before the change, and the people are locked:
/// then nobody claims a message for them in between.
pub(super) fn keeping(at: &str, people: &str) -> String {
    format!(
        "INSERT INTO past_attributes (recipient_id, revision, until_at, attributes)
         SELECT r.id, r.revision, {at}, r.attributes FROM recipients r WHERE r.id IN {people}
            AND EXISTS (SELECT 1 FROM messages m WHERE m.recipient_id = r.id
                AND (m.revision = r.revision OR m.state = 'claimed'))"
    )
}

/// How a run's message to a person was written last; `None` without such a message.
///
/// # Errors
/// When the database refuses.
pub async fn sent(session: &mut Session, run: RunId, recipient: RecipientId) -> Result<Option<Sent>> {
    type Row = (Option<i64>, i64, i64, Option<i64>);
    let row = session.first::<Row>(SENT, args![run, recipient]).await?;
    Ok(row.map(|(revision, attempts, at, wave)| Sent { revision, attempts, at: Micros(at), wave: wave.map(Micros) }))
}

/// A person's attributes before they changed, if they are still kept.
///
/// # Errors
/// When the database refuses.
pub async fn attributes(session: &mut Session, recipient: RecipientId, revision: i64) -> Result<Option<Attributes>> {
    let row = session.first::<(Json<Attributes>,)>(ONE, args![recipient, revision]).await?;
    Ok(row.map(|(attributes,)| attributes.0))
}

/// All that are kept of a person and changed up to an instant, the oldest first.
///
/// # Errors
/// When the database refuses.
pub async fn of(session: &mut Session, recipient: RecipientId, until: Micros) -> Result<Vec<Past>> {
    let rows: Vec<(i64, Json<Attributes>)> = session.all(ALL, args![recipient, until]).await?;
    let past = |(until, attributes): (i64, Json<Attributes>)| Past {
        until: Micros(until).to_string(),
        attributes: attributes.0,
    };
    Ok(rows.into_iter().map(past).collect())
}

/// Removes some of those that changed before an instant; how many.
///
/// # Errors
/// When the database refuses.
pub async fn forget(tx: &mut Session, before: Micros) -> Result<u64> {
    tx.execute(FORGET, args![before, SOME]).await
}
