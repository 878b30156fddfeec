//! What waits in runs that are open: cheap enough to be asked every few seconds.

use crate::args;
use crate::domain::message::MessageState;
use crate::domain::run::RunState;
use crate::store::{Result, Session};

const RUNS: &str = "SELECT state, COUNT(*) FROM runs WHERE state IN ('scheduled', 'running', 'paused') GROUP BY state";
// Only open runs have such messages; each statement walks a partial index that holds nothing else.
const DUE: &str =
    "SELECT state, COUNT(*) FROM messages WHERE state IN ('waiting', 'deferred') AND due_at > 0 GROUP BY state";
const HELD: &str =
    "SELECT state, COUNT(*) FROM messages WHERE node_id > 0 AND state IN ('claimed', 'sending') GROUP BY state";

const NOTICES: &str =
    "SELECT state, COUNT(*) FROM notices WHERE state IN ('waiting', 'deferred') AND due_at > 0 GROUP BY state
    UNION ALL
    SELECT state, COUNT(*) FROM notices WHERE node_id > 0 AND state IN ('claimed', 'sending') GROUP BY state";

pub(in crate::store) const STATEMENTS: &[&str] = &[RUNS, DUE, HELD, NOTICES];

/// What is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Messages that are `waiting`, `claimed`, `sending` or `deferred`; no state is missing.
    pub messages: Vec<(MessageState, i64)>,
    /// Notices in the same states; no state is missing.
    pub notices: Vec<(MessageState, i64)>,
    /// Runs that are `scheduled`, `running` or `paused`; no state is missing.
    pub runs: Vec<(RunState, i64)>,
}

/// Counts what is open.
///
/// # Errors
/// When the database refuses.
pub async fn queue(session: &mut Session) -> Result<Queue> {
    let mut messages: Vec<(String, i64)> = session.all(DUE, args![]).await?;
    messages.extend(session.all::<(String, i64)>(HELD, args![]).await?);
    let runs: Vec<(String, i64)> = session.all(RUNS, args![]).await?;
    let notices: Vec<(String, i64)> = session.all(NOTICES, args![]).await?;
    let of = |found: &[(String, i64)], word: &str| found.iter().find(|(w, _)| w == word).map_or(0, |(_, n)| *n);
    let open = [MessageState::Waiting, MessageState::Claimed, MessageState::Sending, MessageState::Deferred];
    let by_state = |found: &[(String, i64)]| open.map(|state| (state, of(found, state.as_str()))).to_vec();
    Ok(Queue {
        messages: by_state(&messages),
        notices: by_state(&notices),
        runs: [RunState::Scheduled, RunState::Running, RunState::Paused]
            .map(|state| (state, of(&runs, state.as_str())))
            .to_vec(),
    })
}
