//! Writing actions. What they mean for a score is the scorer's business; a new one is not scored.

use super::{Result, Session, Value, padded, values};
use crate::domain::id::{RecipientId, RunId};
use crate::domain::time::Micros;

/// An action to record.
#[derive(Clone, Debug)]
pub struct NewAction {
    /// Says a thing once: a second action with the same key is dropped.
    pub key: String,
    /// Whose.
    pub recipient: RecipientId,
    /// See [`crate::domain::action::kind`]; imported ones may bring their own.
    pub kind: String,
    /// What it was about.
    pub category: Option<String>,
    /// When it happened.
    pub at: Micros,
    /// The run whose message it answers.
    pub run: Option<RunId>,
    /// Where a click led.
    pub url: Option<String>,
    /// What was written.
    pub words: Option<String>,
}

/// Actions of what came back, word by word as the index `actions_returned` says it: SQLite takes it for nothing less.
pub(super) const RETURNED: &str = "kind IN ('unsubscribe', 'bounce', 'soft_bounce', 'block', 'complaint', 'reply')";

const COLUMNS: usize = 8;
/// Rows a statement; a power of two, see [`insert`].
const ROWS: usize = 1_024;

/// Records actions; the number of those that were new.
///
/// # Errors
/// When the database refuses.
pub async fn insert(session: &mut Session, actions: &[NewAction]) -> Result<u64> {
    let mut inserted = 0;
    for chunk in actions.chunks(ROWS) {
        // Repeating the last row up to a power of two keeps the number of texts small; the key drops the copies.
        let rows = chunk.len().next_power_of_two();
        let sql = format!(
            "INSERT INTO actions (key, recipient_id, kind, category, at, run_id, url, words) VALUES {}
             ON CONFLICT (key) DO NOTHING",
            values(1, rows, COLUMNS)
        );
        let args = padded(chunk, rows).flat_map(row).collect();
        inserted += session.execute(sql, args).await?;
    }
    Ok(inserted)
}

fn row(a: &NewAction) -> [Value; COLUMNS] {
    [
        a.key.as_str().into(),
        a.recipient.into(),
        a.kind.as_str().into(),
        a.category.clone().into(),
        a.at.into(),
        a.run.into(),
        a.url.clone().into(),
        a.words.clone().into(),
    ]
}
