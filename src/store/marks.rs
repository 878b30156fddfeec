//! What a sender writes down about the messages that it holds.
//!
//! Every statement carries the fence: the attempt's number and the state that the holder left
//! behind. A holder whose lease was taken changes nothing, except for a late answer, which turns
//! `unknown` into what it was.

use std::collections::HashSet;

use super::{Result, Session, Value, values};
use crate::args;
use crate::domain::id::{NodeId, RecipientId, RunId};
use crate::domain::message::MessageState;
use crate::domain::time::Micros;

/// Which message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageKey {
    /// Of which run.
    pub run: RunId,
    /// For whom.
    pub recipient: RecipientId,
}

/// `claimed → sending`.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Which message.
    pub message: MessageKey,
    /// The attempt's number, one more than the message's last.
    pub attempt: i64,
    /// When.
    pub at: Micros,
    /// Through which relay.
    pub relay: String,
}

/// `sending → accepted | rejected | deferred | unknown | waiting`.
#[derive(Clone, Debug)]
pub struct Finish {
    /// Which message.
    pub message: MessageKey,
    /// The attempt's number, as in its [`Sending`].
    pub attempt: i64,
    /// When the answer came.
    pub at: Micros,
    /// Through which relay.
    pub relay: String,
    /// What it is now. `waiting` takes the attempt back: nothing was handed over.
    pub state: MessageState,
    /// The server's reply code.
    pub code: Option<i64>,
    /// The server's words.
    pub reply: String,
    /// For `deferred` and `waiting`: when to try again.
    pub due_at: Option<Micros>,
}

/// `claimed → waiting | skipped`: a claim that is given back without an attempt.
#[derive(Clone, Debug)]
pub struct Return {
    /// Which message.
    pub message: MessageKey,
    /// `Some`: waits until then. `None`: skipped.
    pub due_at: Option<Micros>,
    /// Why it was skipped.
    pub reason: Option<String>,
}

/// Rows per statement; the texts differ by powers of two only.
const CHUNK: usize = 256;

fn rows<T>(items: &[T], columns: usize, row: impl Fn(&T) -> Vec<Value>) -> (String, Vec<Value>) {
    let padded = items.len().next_power_of_two();
    let mut args = Vec::with_capacity(padded * columns + 2);
    for n in 0..padded {
        args.extend(row(&items[n.min(items.len() - 1)]));
    }
    (values(1, padded, columns), args)
}

/// Marks messages as `sending`. Answers with those that were still `claimed` by `node` in a running run:
/// only they may be sent.
///
/// # Errors
/// When the database refuses; then none was marked.
pub async fn sending(tx: &mut Session, node: NodeId, marks: &[Sending]) -> Result<HashSet<MessageKey>> {
    let mut held = HashSet::with_capacity(marks.len());
    for chunk in marks.chunks(CHUNK) {
        let (values, mut args) =
            rows(chunk, 5, |m| args![m.message.run, m.message.recipient, m.attempt, m.at, m.relay.as_str()]);
        let n = args.len() + 1;
        args.push(node.into());
        let sql = format!(
            "WITH v(run_id, recipient_id, attempt, at, relay) AS (VALUES {values})
             UPDATE messages SET state = 'sending', attempt = v.attempt, at = v.at, relay = v.relay,
                 first_at = COALESCE(messages.first_at, v.at)
             FROM v WHERE messages.run_id = v.run_id AND messages.recipient_id = v.recipient_id
                 AND messages.state = 'claimed' AND messages.node_id = ${n} AND messages.attempt = v.attempt - 1
                 AND EXISTS (SELECT 1 FROM runs r WHERE r.id = v.run_id AND r.state = 'running')
             RETURNING messages.run_id, messages.recipient_id"
        );
        let changed: Vec<(i64, i64)> = tx.all(sql, args).await?;
        held.extend(changed.into_iter().map(|(run, to)| MessageKey { run: RunId(run), recipient: RecipientId(to) }));
    }
    Ok(held)
}

/// Writes answers down. An answer whose message is neither `sending` nor `unknown` by the same node
/// and under the same attempt changes nothing.
///
/// # Errors
/// When the database refuses; then none was written.
pub async fn finish(tx: &mut Session, node: NodeId, marks: &[Finish]) -> Result<()> {
    debug_assert!(marks.iter().all(|m| MessageState::Sending.may_become(m.state)));
    for chunk in marks.chunks(CHUNK) {
        let (values, mut args) = rows(chunk, 9, |m| {
            let kept = m.attempt - i64::from(m.state == MessageState::Waiting);
            args![
                m.message.run,
                m.message.recipient,
                m.attempt,
                kept,
                m.at,
                m.state.as_str(),
                m.code,
                m.reply.as_str(),
                m.due_at
            ]
        });
        let n = args.len() + 1;
        args.push(node.into());
        let sql = format!(
            "WITH v(run_id, recipient_id, attempt, kept, at, state, code, reply, due_at) AS (VALUES {values})
             UPDATE messages SET state = v.state, attempt = v.kept, at = v.at, code = v.code, reply = v.reply,
                 due_at = v.due_at, node_id = NULL
             FROM v WHERE messages.run_id = v.run_id AND messages.recipient_id = v.recipient_id
                 AND messages.state IN ('sending', 'unknown') AND messages.attempt = v.attempt
                 AND messages.node_id = ${n}"
        );
        tx.execute(sql, args).await?;
    }
    let failed: Vec<&Finish> = marks
        .iter()
        .filter(|m| matches!(m.state, MessageState::Rejected | MessageState::Deferred | MessageState::Unknown))
        .collect();
    for chunk in failed.chunks(CHUNK) {
        let (values, args) = rows(chunk, 8, |m| {
            args![
                m.message.run,
                m.message.recipient,
                m.attempt,
                m.at,
                m.relay.as_str(),
                m.state.as_str(),
                m.code,
                m.reply.as_str()
            ]
        });
        let sql = format!(
            "INSERT INTO attempts (run_id, recipient_id, attempt, at, relay, outcome, code, reply) VALUES {values}
             ON CONFLICT (run_id, recipient_id, attempt) DO NOTHING"
        );
        tx.execute(sql, args).await?;
    }
    Ok(())
}

/// Gives claims back.
///
/// # Errors
/// When the database refuses; then none was given back.
pub async fn give_back(tx: &mut Session, node: NodeId, returns: &[Return], now: Micros) -> Result<()> {
    for chunk in returns.chunks(CHUNK) {
        let (values, mut args) = rows(chunk, 5, |m| {
            let state = if m.due_at.is_some() { MessageState::Waiting } else { MessageState::Skipped };
            args![m.message.run, m.message.recipient, state.as_str(), m.due_at, m.reason.clone()]
        });
        let n = args.len() + 1;
        args.extend(args![node, now]);
        let sql = format!(
            "WITH v(run_id, recipient_id, state, due_at, reason) AS (VALUES {values})
             UPDATE messages SET state = v.state, due_at = v.due_at, reply = COALESCE(v.reason, messages.reply),
                 node_id = NULL, at = ${}
             FROM v WHERE messages.run_id = v.run_id AND messages.recipient_id = v.recipient_id
                 AND messages.state = 'claimed' AND messages.node_id = ${n}",
            n + 1
        );
        tx.execute(sql, args).await?;
    }
    Ok(())
}
