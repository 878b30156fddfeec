//! Actions that wait for the scorer.

use std::time::Duration;

use sqlx::FromRow;

use crate::args;
use crate::domain::action::LedgerEntry;
use crate::domain::id::RecipientId;
use crate::domain::time::Micros;
use crate::store::{EngineKind, Result, Session, keys};

/// An action that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Unscored {
    /// Whose.
    pub recipient: RecipientId,
    /// What scoring needs of it.
    pub action: LedgerEntry,
    /// Whether it was changed after it came in, so that an entry of it may stand in the ledger that
    /// no longer holds.
    pub revised: bool,
    /// Whether it may score: the person's hits may be kept, and always might since it came in.
    pub counts: bool,
}

/// What waits, up to [`Backlog::LIMIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// How many actions.
    pub actions: i64,
    /// When the oldest of them happened.
    pub oldest: Option<Micros>,
}

impl Backlog {
    /// Counting ends here.
    pub const LIMIT: i64 = 10_000;
    /// A scorer that runs leaves none for so long.
    const LONG: Duration = Duration::from_secs(60);

    /// What to know before scores are used, where actions wait and no scorer seems to run.
    #[must_use]
    pub fn caution(&self, now: Micros) -> Option<String> {
        let oldest = self.oldest.filter(|oldest| now.since(*oldest) > Self::LONG)?;
        let (more, actions) = (if self.actions < Self::LIMIT { "" } else { " or more" }, self.actions);
        Some(format!(
            "actions that wait to be scored are left out: {actions}{more}, the oldest of {oldest}; `colloquy run` or \
             `colloquy score rebuild` scores them"
        ))
    }
}

#[derive(FromRow)]
struct Waiting {
    id: i64,
    recipient_id: i64,
    kind: String,
    category: Option<String>,
    at: i64,
    revised: bool,
    counts: bool,
}

macro_rules! take {
    ($lock:literal) => {
        concat!(
            "SELECT a.id, a.recipient_id, a.kind, a.category, a.at, a.revised,
                    a.counts AND r.tracking AND r.erased_at IS NULL AS counts
             FROM actions a JOIN recipients r ON r.id = a.recipient_id
             WHERE NOT a.scored AND a.at <= $1 ORDER BY a.id LIMIT $2",
            $lock
        )
    };
}

const TAKE: &str = take!("");
/// What another transaction holds is left for the next time. Both rows are locked: the person's, so
/// that nobody else changes what is known of it, and the action's, so that nobody else takes it.
const TAKE_LOCKED: &str = take!(" FOR NO KEY UPDATE SKIP LOCKED");
const ANY: &str = "SELECT id FROM actions WHERE NOT scored AND at <= $1 LIMIT 1";
const BACKLOG: &str = "SELECT COUNT(*), MIN(at)
    FROM (SELECT at FROM actions WHERE NOT scored AND at <= $1 ORDER BY id LIMIT $2) AS waiting";

pub(in crate::store) const STATEMENTS: &[&str] = &[TAKE, ANY, BACKLOG];

/// Whether nothing waits.
///
/// # Errors
/// When the database refuses.
pub async fn is_idle(session: &mut Session, now: Micros) -> Result<bool> {
    Ok(session.first::<(i64,)>(ANY, args![now]).await?.is_none())
}

/// How much waits.
///
/// # Errors
/// When the database refuses.
pub async fn backlog(session: &mut Session, now: Micros) -> Result<Backlog> {
    let (actions, oldest): (i64, Option<i64>) = session.one(BACKLOG, args![now, Backlog::LIMIT]).await?;
    Ok(Backlog { actions, oldest: oldest.map(Micros) })
}

/// Takes up to `limit` actions that have happened by `now`, in the order in which they came in, and
/// holds the people until the transaction ends.
///
/// # Errors
/// When the database refuses.
pub async fn take(session: &mut Session, now: Micros, limit: i64) -> Result<Vec<Unscored>> {
    let sql = match session.kind() {
        EngineKind::Sqlite => TAKE,
        EngineKind::Postgres => TAKE_LOCKED,
    };
    let rows: Vec<Waiting> = session.all(sql, args![now, limit]).await?;
    Ok(rows
        .into_iter()
        .map(|row| Unscored {
            recipient: RecipientId(row.recipient_id),
            action: LedgerEntry { at: Micros(row.at), id: row.id, kind: row.kind, category: row.category },
            revised: row.revised,
            counts: row.counts,
        })
        .collect())
}

/// Marks actions as scored.
///
/// # Errors
/// When the database refuses.
pub async fn mark_scored(session: &mut Session, actions: &[i64]) -> Result<()> {
    mark(session, "scored = TRUE", actions).await
}

/// Marks actions as done without a score, for good.
///
/// # Errors
/// When the database refuses.
pub async fn mark_ignored(session: &mut Session, actions: &[i64]) -> Result<()> {
    mark(session, "scored = TRUE, counts = FALSE", actions).await
}

async fn mark(session: &mut Session, how: &'static str, actions: &[i64]) -> Result<()> {
    if !actions.is_empty() {
        let (list, args) = keys(1, actions);
        session.execute(format!("UPDATE actions SET {how} WHERE id IN ({list})"), args).await?;
    }
    Ok(())
}
