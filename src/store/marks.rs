//! What a sender writes down about the messages that it holds.
//!
//! Every statement carries the fence: the attempt's number and the state that the holder left
//! behind. A holder whose lease was taken changes nothing, except for a late answer, which turns
//! `unknown` into what it was.

use std::collections::HashSet;

use super::{Result, Script, Store, Value, values};
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

/// What a sender writes down in one transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks<'a> {
    /// Answers.
    pub finish: &'a [Finish],
    /// Claims that are given back.
    pub returns: &'a [Return],
    /// Messages that are about to be handed over.
    pub sending: &'a [Sending],
}

/// Which messages may be handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// All that were to be marked.
    All,
    /// These only: the others were no longer `claimed` by the node, or their run does not run.
    Only(HashSet<MessageKey>),
}

impl Held {
    /// Whether this message may be handed over.
    #[must_use]
    pub fn contains(&self, message: MessageKey) -> bool {
        match self {
            Self::All => true,
            Self::Only(held) => held.contains(&message),
        }
    }
}

/// Rows per statement.
const CHUNK: usize = 256;

/// Writes marks down: the answers, then the returns, then what is about to be sent.
///
/// # Errors
/// When the database refuses: nothing was written, or, when it was lost at the commit, it cannot be
/// told; then nothing may be sent, and answers are to be written again, which does no harm.
pub async fn write(store: &Store, node: NodeId, now: Micros, marks: Marks<'_>) -> Result<Held> {
    let mut script = Script::default();
    marks.finish.chunks(CHUNK).for_each(|chunk| finish(&mut script, node, chunk));
    let failed: Vec<&Finish> = marks.finish.iter().filter(|mark| fails(mark.state)).collect();
    failed.chunks(CHUNK).for_each(|chunk| note_attempts(&mut script, chunk));
    marks.finish.chunks(CHUNK).for_each(|chunk| hush_erased(&mut script, chunk));
    marks.returns.chunks(CHUNK).for_each(|chunk| give_back(&mut script, node, now, chunk));
    let before = script.len();
    marks.sending.chunks(CHUNK).for_each(|chunk| sending(&mut script, node, chunk));
    if script.len() == 0 {
        return Ok(Held::All);
    }
    let changes = store.commit(script).await?;
    let marked: u64 = changes[before..].iter().sum();
    if marked == marks.sending.len() as u64 {
        return Ok(Held::All);
    }
    let mut held = HashSet::new();
    let mut session = store.read().await?;
    for chunk in marks.sending.chunks(CHUNK) {
        let (values, mut args) = rows(chunk, 3, |m| args![m.message.run, m.message.recipient, m.attempt]);
        let n = args.len() + 1;
        args.push(node.into());
        let sql = format!(
            "WITH v(run_id, recipient_id, attempt) AS (VALUES {values})
             SELECT m.run_id, m.recipient_id FROM v JOIN messages m ON m.run_id = v.run_id
                 AND m.recipient_id = v.recipient_id AND m.attempt = v.attempt
             WHERE m.state = 'sending' AND m.node_id = ${n}"
        );
        let rows: Vec<(i64, i64)> = session.all(sql, args).await?;
        held.extend(rows.into_iter().map(|(run, to)| MessageKey { run: RunId(run), recipient: RecipientId(to) }));
    }
    Ok(Held::Only(held))
}

/// Whether an attempt that ended so is kept in `attempts`.
fn fails(state: MessageState) -> bool {
    matches!(state, MessageState::Rejected | MessageState::Deferred | MessageState::Unknown)
}

/// Placeholders for the rows and what to bind to them. Few different texts arise: rows are filled up
/// with the last one, which counts once.
fn rows<T>(items: &[T], columns: usize, row: impl Fn(&T) -> Vec<Value>) -> (String, Vec<Value>) {
    let padded = padded(items.len());
    let mut args = Vec::with_capacity(padded * columns + 2);
    for n in 0..padded {
        args.extend(row(&items[n.min(items.len() - 1)]));
    }
    (values(1, padded, columns), args)
}

/// The next of four steps per power of two: at most a fifth of the rows is filling.
fn padded(rows: usize) -> usize {
    let step = (rows.next_power_of_two() / 8).max(1);
    rows.next_multiple_of(step)
}

/// Marks what is still `claimed` by the node in a running run.
fn sending(script: &mut Script, node: NodeId, marks: &[Sending]) {
    let (values, mut args) =
        rows(marks, 5, |m| args![m.message.run, m.message.recipient, m.attempt, m.at, m.relay.as_str()]);
    let n = args.len() + 1;
    args.push(node.into());
    script.push(
        format!(
            "WITH v(run_id, recipient_id, attempt, at, relay) AS (VALUES {values})
             UPDATE messages SET state = 'sending', attempt = v.attempt, at = v.at, relay = v.relay,
                 first_at = COALESCE(messages.first_at, v.at)
             FROM v WHERE messages.run_id = v.run_id AND messages.recipient_id = v.recipient_id
                 AND messages.state = 'claimed' AND messages.node_id = ${n} AND messages.attempt = v.attempt - 1
                 AND EXISTS (SELECT 1 FROM runs r WHERE r.id = v.run_id AND r.state = 'running')"
        ),
        args,
    );
}

/// Writes answers down. An answer whose message is neither `sending` nor `unknown` by the same node
/// and under the same attempt changes nothing.
fn finish(script: &mut Script, node: NodeId, marks: &[Finish]) {
    debug_assert!(marks.iter().all(|m| MessageState::Sending.may_become(m.state)));
    let (values, mut args) = rows(marks, 9, |m| {
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
    script.push(
        format!(
            "WITH v(run_id, recipient_id, attempt, kept, at, state, code, reply, due_at) AS (VALUES {values})
             UPDATE messages SET state = v.state, attempt = v.kept, at = v.at, code = v.code, reply = v.reply,
                 due_at = v.due_at, node_id = NULL
             FROM v WHERE messages.run_id = v.run_id AND messages.recipient_id = v.recipient_id
                 AND messages.state IN ('sending', 'unknown') AND messages.attempt = v.attempt
                 AND messages.node_id = ${n}"
        ),
        args,
    );
}

fn note_attempts(script: &mut Script, failed: &[&Finish]) {
    let (values, args) = rows(failed, 8, |m| {
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
    script.push(
        format!(
            "INSERT INTO attempts (run_id, recipient_id, attempt, at, relay, outcome, code, reply) VALUES {values}
             ON CONFLICT (run_id, recipient_id, attempt) DO NOTHING"
        ),
        args,
    );
}

/// Takes the words of answers back whose recipients are erased by now. These are statements of their
/// own: on PostgreSQL one of them sees an erasure that the answer had to wait for.
fn hush_erased(script: &mut Script, marks: &[Finish]) {
    let failed = marks.iter().any(|mark| fails(mark.state));
    for (table, nothing) in [("messages", "NULL"), ("attempts", "''")].into_iter().take(1 + usize::from(failed)) {
        let (values, args) = rows(marks, 2, |m| args![m.message.run, m.message.recipient]);
        script.push(
            format!(
                "WITH v(run_id, recipient_id) AS (VALUES {values})
                 UPDATE {table} SET reply = {nothing} FROM v JOIN recipients e ON e.id = v.recipient_id
                 WHERE {table}.run_id = v.run_id AND {table}.recipient_id = v.recipient_id AND e.erased_at IS NOT NULL"
            ),
            args,
        );
    }
}

/// Gives back what is still `claimed` by the node.
fn give_back(script: &mut Script, node: NodeId, now: Micros, returns: &[Return]) {
    let (values, mut args) = rows(returns, 5, |m| {
        let state = if m.due_at.is_some() { MessageState::Waiting } else { MessageState::Skipped };
        args![m.message.run, m.message.recipient, state.as_str(), m.due_at, m.reason.clone()]
    });
    let n = args.len() + 1;
    args.extend(args![now, node]);
    script.push(
        format!(
            "WITH v(run_id, recipient_id, state, due_at, reason) AS (VALUES {values})
             UPDATE messages SET state = v.state, due_at = v.due_at, reply = COALESCE(v.reason, messages.reply),
                 node_id = NULL, at = ${n}
             FROM v WHERE messages.run_id = v.run_id AND messages.recipient_id = v.recipient_id
                 AND messages.state = 'claimed' AND messages.node_id = ${}",
            n + 1
        ),
        args,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_row_counts_arise_and_little_is_filled() {
        let counts: std::collections::BTreeSet<usize> = (1..=CHUNK).map(padded).collect();
        assert_eq!(counts.len(), 28);
        assert!((1..=CHUNK).all(|rows| padded(rows) >= rows && padded(rows) * 4 <= rows * 5 + 3));
    }
}
