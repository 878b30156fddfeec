//! What a sender writes down about notices: the same marks as for messages, one statement each.

use std::collections::HashSet;

use crate::args;
use crate::domain::id::{NodeId, RecipientId};
use crate::domain::message::MessageState;
use crate::domain::time::Micros;
use crate::store::marks::{Finish, MessageKey, Return, Sending, is_notice};
use crate::store::{Result, Script, Store, Value};

const SENDING: &str = "UPDATE notices SET state = 'sending', attempt = $1, at = $2, relay = $3,
        first_at = COALESCE(first_at, $4)
    WHERE id = $5 AND attempt = $6 AND node_id = $7 AND state = 'claimed'";
const FINISH: &str = "UPDATE notices SET state = $1, attempt = $2, at = $3, relay = $4, code = $5,
        reply = CASE WHEN address IS NULL THEN NULL ELSE $6 END, due_at = $7, node_id = NULL,
        data = CASE WHEN $8 THEN '' ELSE data END
    WHERE id = $9 AND attempt = $10 AND node_id = $11 AND state IN ('sending', 'unknown')";
const RETURN: &str = "UPDATE notices SET state = $1, due_at = $2, reply = COALESCE($3, reply), node_id = NULL, at = $4,
        data = CASE WHEN $5 THEN '' ELSE data END
    WHERE id = $6 AND state = 'claimed' AND node_id = $7";

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
    // By number, as whoever erases locks them.
    let mut marks: Vec<(RecipientId, Option<&Sending>, &'static str, Vec<Value>)> = Vec::new();
    for mark in finish.iter().filter(|mark| is_notice(mark.message)) {
        let kept = mark.attempt - i64::from(mark.state == MessageState::Waiting);
        let over = matches!(mark.state, MessageState::Accepted | MessageState::Rejected);
        let (state, relay, reply) = (mark.state, mark.relay.clone(), mark.reply.as_str());
        let id = mark.message.recipient;
        let values = args![state, kept, mark.at, relay, mark.code, reply, mark.due_at, over, id, mark.attempt, node];
        marks.push((id, None, FINISH, values));
    }
    for mark in returns.iter().filter(|mark| is_notice(mark.message)) {
        let state = if mark.due_at.is_some() { MessageState::Waiting } else { MessageState::Skipped };
        let (over, id) = (state == MessageState::Skipped, mark.message.recipient);
        let values = args![state, mark.due_at, mark.reason.clone(), now, over, id, node];
        marks.push((id, None, RETURN, values));
    }
    for mark in sending.iter().filter(|mark| is_notice(mark.message)) {
        let (relay, id) = (mark.relay.clone(), mark.message.recipient);
        let values = args![mark.attempt, mark.at, relay, mark.at, id, mark.attempt - 1, node];
        marks.push((id, Some(mark), SENDING, values));
    }
    marks.sort_by_key(|(id, ..)| *id);
    let mut script = Script::default();
    let sending: Vec<Option<&Sending>> = marks.iter().map(|(_, sending, ..)| *sending).collect();
    marks.into_iter().for_each(|(_, _, sql, values)| script.push(sql, values));
    if script.len() == 0 {
        return Ok(HashSet::new());
    }
    let changes = store.commit(script).await?;
    let held = sending.into_iter().zip(&changes).filter(|(_, changed)| **changed == 1);
    Ok(held.filter_map(|(mark, _)| Some(mark?.message)).collect())
}
