//! What a sender writes down about notices: the same marks as for messages, one statement each.

use std::collections::HashSet;

use crate::args;
use crate::domain::id::NodeId;
use crate::domain::message::MessageState;
use crate::domain::time::Micros;
use crate::store::marks::{Finish, MessageKey, Return, Sending, is_notice};
use crate::store::{Result, Script, Store};

const SENDING: &str = "UPDATE notices SET state = 'sending', attempt = $1, at = $2, relay = $3,
        first_at = COALESCE(first_at, $4)
    WHERE id = $5 AND attempt = $6 AND node_id = $7 AND state = 'claimed'";
const FINISH: &str = "UPDATE notices SET state = $1, attempt = $2, at = $3, relay = $4, code = $5,
        reply = CASE WHEN address IS NULL THEN NULL ELSE $6 END, due_at = $7, node_id = NULL,
        data = CASE WHEN $8 THEN '' ELSE data END
    WHERE id = $9 AND attempt = $10 AND node_id = $11 AND state IN ('sending', 'unknown')";
const RETURN: &str = "UPDATE notices SET state = $1, due_at = $2, reply = COALESCE($3, reply), node_id = NULL, at = $4
    WHERE id = $5 AND state = 'claimed' AND node_id = $6";

pub(in crate::store) const STATEMENTS: &[&str] = &[SENDING, FINISH, RETURN];

/// Writes down those of the marks that are about notices; which of them may be handed over.
///
/// # Errors
/// As [`crate::store::marks::write`].
pub async fn write(
    store: &Store,
    node: NodeId,
    now: Micros,
    (finish, returns, sending): (&[Finish], &[Return], &[Sending]),
) -> Result<HashSet<MessageKey>> {
    let mut script = Script::default();
    for mark in finish.iter().filter(|mark| is_notice(mark.message)) {
        let kept = mark.attempt - i64::from(mark.state == MessageState::Waiting);
        let over = matches!(mark.state, MessageState::Accepted | MessageState::Rejected);
        let (state, relay, reply) = (mark.state.as_str(), mark.relay.as_str(), mark.reply.as_str());
        let id = mark.message.recipient;
        script.push(
            FINISH,
            args![state, kept, mark.at, relay, mark.code, reply, mark.due_at, over, id, mark.attempt, node],
        );
    }
    for mark in returns.iter().filter(|mark| is_notice(mark.message)) {
        let state = if mark.due_at.is_some() { MessageState::Waiting } else { MessageState::Skipped };
        let id = mark.message.recipient;
        script.push(RETURN, args![state.as_str(), mark.due_at, mark.reason.clone(), now, id, node]);
    }
    let before = script.len();
    let sending: Vec<&Sending> = sending.iter().filter(|mark| is_notice(mark.message)).collect();
    for mark in &sending {
        let (relay, id) = (mark.relay.as_str(), mark.message.recipient);
        script.push(SENDING, args![mark.attempt, mark.at, relay, mark.at, id, mark.attempt - 1, node]);
    }
    if script.len() == 0 {
        return Ok(HashSet::new());
    }
    let changes = store.commit(script).await?;
    let held = sending.iter().zip(&changes[before..]).filter(|(_, changed)| **changed == 1);
    Ok(held.map(|(mark, _)| mark.message).collect())
}
