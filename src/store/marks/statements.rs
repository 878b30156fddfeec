//! The statements by which marks are written.

use std::collections::HashSet;

use super::{Finish, MessageKey, Return, Sending};
use crate::args;
use crate::domain::id::NodeId;
use crate::domain::message::MessageState;
use crate::domain::time::Micros;
use crate::store::sql::{Texts, any, fill};
use crate::store::{EngineKind, Script, Value, values};

/// Rows per statement.
pub(super) const CHUNK: usize = 256;

/// Whether an attempt that ended so is kept in `attempts`.
pub(super) fn fails(state: MessageState) -> bool {
    matches!(state, MessageState::Rejected | MessageState::Deferred | MessageState::Unknown)
}

/// Placeholders for the rows and what to bind to them.
fn rows<T, R: IntoIterator<Item = Value>>(items: &[T], columns: usize, row: impl Fn(&T) -> R) -> (String, Vec<Value>) {
    let args = bound(items, columns, row);
    (values(1, args.len() / columns, columns), args)
}

/// What to bind to the rows. Few different numbers of rows arise: rows of nothing fill them up, and have no run.
fn bound<T, R: IntoIterator<Item = Value>>(items: &[T], columns: usize, row: impl Fn(&T) -> R) -> Vec<Value> {
    let padded = padded(items.len());
    let mut args = Vec::with_capacity(padded * columns + 4);
    args.extend(items.iter().flat_map(row));
    fill(&mut args, columns, padded);
    args
}

/// The items in order, in chunks in which no message comes twice: PostgreSQL lets one statement write a row but once.
pub(super) fn distinct<T>(items: &[T], message: impl Fn(&T) -> MessageKey) -> Vec<&[T]> {
    let (mut chunks, mut start, mut seen) = (Vec::new(), 0, HashSet::new());
    for (n, item) in items.iter().enumerate() {
        if n - start == CHUNK || seen.contains(&message(item)) {
            chunks.push(&items[start..n]);
            (start, seen) = (n, HashSet::new());
        }
        seen.insert(message(item));
    }
    chunks.push(&items[start..]);
    chunks.retain(|chunk| !chunk.is_empty());
    chunks
}

/// The next of four steps per power of two: at most a fifth of the rows is filling.
fn padded(rows: usize) -> usize {
    let step = (rows.next_power_of_two() / 8).max(1);
    rows.next_multiple_of(step)
}

/// Whether the message of a row in `table` exists, in one of the [`runs`] that are bound at `first` and the place after it.
fn exists(table: &str, first: usize) -> String {
    any(&format!("SELECT 1 FROM messages m WHERE {}", is_message_of(table, first)))
}

fn is_message_of(table: &str, first: usize) -> String {
    format!(
        "m.run_id = {table}.run_id AND m.recipient_id = {table}.recipient_id
             AND NOT (m.run_id < ${first} OR m.run_id > ${})",
        first + 1
    )
}

/// The first and the last of their runs: what PostgreSQL needs in order to leave the partitions of others alone.
fn runs(messages: impl Iterator<Item = MessageKey> + Clone) -> [Value; 2] {
    let runs = messages.map(|message| message.run.0);
    [runs.clone().min().into(), runs.max().into()]
}

/// Of a [`Step`]'s row.
const COLUMNS: usize = 10;

/// One row of [`take`].
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    Finish(&'a Finish),
    Sending(&'a Sending),
}

impl Step<'_> {
    /// Which message.
    pub(super) fn message(self) -> MessageKey {
        match self {
            Self::Finish(m) => m.message,
            Self::Sending(m) => m.message,
        }
    }

    /// Run, recipient, attempt as it becomes, instant, state, code, reply, when due, relay, revision of the attributes.
    fn row(self) -> [Value; COLUMNS] {
        match self {
            Self::Finish(m) => {
                debug_assert!(MessageState::Sending.may_become(m.state));
                let kept = m.attempt - i64::from(m.state == MessageState::Waiting);
                let (key, state, reply) = (m.message, m.state, m.reply.as_str());
                let (run, to, code, due_at) = (key.run.into(), key.recipient.into(), m.code.into(), m.due_at.into());
                let relay = m.relay.clone().into();
                let (at, unsaid) = (m.at.into(), Value::Int(None));
                [run, to, kept.into(), at, state.into(), code, reply.into(), due_at, relay, unsaid]
            }
            Self::Sending(m) => {
                let (run, to) = (m.message.run.into(), m.message.recipient.into());
                let state = MessageState::Sending.into();
                let (none, silent, relay) = (Value::Int(None), Value::Text(None), m.relay.clone().into());
                let (at, revision) = (m.at.into(), m.revision.into());
                [run, to, m.attempt.into(), at, state, none.clone(), silent, none, relay, revision]
            }
        }
    }
}

/// Writes answers down, and marks what is about to be sent: all in one statement, which on SQLite
/// needs no transaction around it.
///
/// An answer whose message is neither `sending` nor `unknown` by the same node and under the same
/// attempt changes nothing; nor does a mark whose message is not `claimed` by the node in a running
/// run. Words about an erased person are not kept.
///
/// Nothing is inserted: a row that is missing, because the database was set back beneath the node, stays so. Written so, each
/// row is found by its key, in its partition. An UPDATE that joins the marks leaves a choice: PostgreSQL takes a run
/// that is younger than its statistics for empty, and walks it.
pub(super) fn take(script: &mut Script, kind: EngineKind, node: NodeId, steps: &[Step<'_>]) {
    static TEXTS: Texts<CHUNK> = Texts::new();
    let mut args = bound(steps, COLUMNS, |step| step.row());
    let rows = args.len() / COLUMNS;
    args.extend(runs(steps.iter().map(|step| step.message())));
    args.push(node.into());
    script.push(TEXTS.text(kind, rows, args.len(), take_rows), args);
}

fn take_rows(rows: usize) -> String {
    let n = rows * COLUMNS + 1;
    format!(
        "WITH v(run_id, recipient_id, attempt, at, state, code, reply, due_at, relay, revision)
         AS (VALUES {})
         INSERT INTO messages (run_id, recipient_id, attempt, at, state, code, reply, due_at, relay, revision)
         SELECT v.run_id, v.recipient_id, v.attempt, v.at, v.state, v.code,
             CASE WHEN v.reply IS NOT NULL
                 AND (SELECT e.erased_at FROM recipients e WHERE e.id = v.recipient_id) IS NULL THEN v.reply END,
             v.due_at, v.relay, v.revision
         FROM v WHERE {}
         ON CONFLICT (run_id, recipient_id) DO UPDATE SET state = excluded.state, attempt = excluded.attempt,
             at = excluded.at, code = excluded.code, due_at = excluded.due_at, reply = excluded.reply,
             relay = excluded.relay,
             first_at = CASE WHEN excluded.state = 'sending' THEN COALESCE(messages.first_at, excluded.at)
                 ELSE messages.first_at END,
             revision = COALESCE(excluded.revision, messages.revision),
             node_id = CASE WHEN excluded.state = 'sending' THEN messages.node_id END
         WHERE messages.node_id = ${} AND CASE excluded.state
             WHEN 'sending' THEN messages.state = 'claimed' AND messages.attempt = excluded.attempt - 1
                 AND (SELECT r.state FROM runs r WHERE r.id = excluded.run_id) = 'running'
             ELSE messages.state IN ('sending', 'unknown')
                 AND messages.attempt = excluded.attempt + CASE excluded.state WHEN 'waiting' THEN 1 ELSE 0 END
             END",
        values(1, rows, COLUMNS),
        exists("v", n),
        n + 2
    )
}

pub(super) fn note_attempts(script: &mut Script, failed: &[&Finish]) {
    let (values, args) = rows(failed, 8, |m| {
        args![m.message.run, m.message.recipient, m.attempt, m.at, m.relay.clone(), m.state, m.code, m.reply.as_str()]
    });
    script.push(
        format!(
            "WITH v(run_id, recipient_id, attempt, at, relay, outcome, code, reply) AS (VALUES {values})
             INSERT INTO attempts (run_id, recipient_id, attempt, at, relay, outcome, code, reply)
             SELECT v.run_id, v.recipient_id, v.attempt, v.at, v.relay, v.outcome, v.code, v.reply
             FROM v WHERE v.run_id IS NOT NULL
             ON CONFLICT (run_id, recipient_id, attempt) DO NOTHING"
        ),
        args,
    );
}

/// Takes the words of answers back whose recipients are erased by now: those of attempts, and those
/// that [`take`] wrote because PostgreSQL shows one statement no erasure that it had to wait for.
pub(super) fn hush_erased(script: &mut Script, marks: &[Finish]) {
    let (values, args) = rows(marks, 2, |m| args![m.message.run, m.message.recipient]);
    let mut bound = args.clone();
    bound.extend(runs(marks.iter().map(|m| m.message)));
    let erased = format!(
        "WITH v(run_id, recipient_id) AS (VALUES {values}),
             gone AS (SELECT v.run_id, v.recipient_id FROM v
                 WHERE (SELECT e.erased_at FROM recipients e WHERE e.id = v.recipient_id) IS NOT NULL)"
    );
    script.push(
        format!(
            "{erased}
             INSERT INTO messages (run_id, recipient_id, state, at)
             SELECT gone.run_id, gone.recipient_id, 'skipped', 0 FROM gone WHERE {}
             ON CONFLICT (run_id, recipient_id) DO UPDATE SET reply = NULL",
            exists("gone", args.len() + 1)
        ),
        bound,
    );
    if marks.iter().any(|mark| fails(mark.state)) {
        script.push(
            format!(
                "{erased}
                 UPDATE attempts SET reply = '' FROM gone
                 WHERE attempts.run_id = gone.run_id AND attempts.recipient_id = gone.recipient_id"
            ),
            args,
        );
    }
}

/// Gives back what is still `claimed` by the node.
pub(super) fn give_back(script: &mut Script, node: NodeId, now: Micros, returns: &[Return]) {
    let (values, mut args) = rows(returns, 5, |m| {
        let state = if m.due_at.is_some() { MessageState::Waiting } else { MessageState::Skipped };
        args![m.message.run, m.message.recipient, state, m.due_at, m.reason.clone()]
    });
    let n = args.len() + 1;
    args.push(now.into());
    args.extend(runs(returns.iter().map(|m| m.message)));
    args.push(node.into());
    script.push(
        format!(
            "WITH v(run_id, recipient_id, state, due_at, reason) AS (VALUES {values})
             INSERT INTO messages (run_id, recipient_id, state, due_at, reply, at)
             SELECT v.run_id, v.recipient_id, v.state, v.due_at, v.reason, ${n} FROM v WHERE {}
             ON CONFLICT (run_id, recipient_id) DO UPDATE SET state = excluded.state, due_at = excluded.due_at,
                 reply = COALESCE(excluded.reply, messages.reply), node_id = NULL, at = excluded.at
             WHERE messages.state = 'claimed' AND messages.node_id = ${}",
            exists("v", n + 1),
            n + 3
        ),
        args,
    );
}

/// Which of the messages that were to be marked as sent the node holds as `sending`.
pub(super) fn still_sending(node: NodeId, marks: &[Sending]) -> (String, Vec<Value>) {
    let (values, mut args) = rows(marks, 3, |m| args![m.message.run, m.message.recipient, m.attempt]);
    let n = args.len() + 1;
    args.push(node.into());
    args.extend(runs(marks.iter().map(|m| m.message)));
    let sql = format!(
        "WITH v(run_id, recipient_id, attempt) AS (VALUES {values})
         SELECT v.run_id, v.recipient_id FROM v
         WHERE v.attempt = (SELECT m.attempt FROM messages m WHERE {}
             AND m.state = 'sending' AND COALESCE(m.node_id, 0) = ${n})",
        is_message_of("v", n + 1)
    );
    (sql, args)
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
