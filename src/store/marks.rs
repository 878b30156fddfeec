//! What a sender writes down about the messages that it holds.
//!
//! Every statement carries the fence: the attempt's number and the state that the holder left
//! behind. A holder whose lease was taken changes nothing, except for a late answer, which turns
//! `unknown` into what it was.

use std::collections::HashSet;

use super::sql::any;
use super::{EngineKind, Result, Script, Store, Value, notices, values};
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
    /// Which of the recipient's attributes it was written with.
    pub revision: i64,
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
    let Marks { finish, returns, sending } = marks;
    let mut keys = finish.iter().map(|m| m.message).chain(returns.iter().map(|m| m.message));
    if keys.any(is_notice) || sending.iter().any(|m| is_notice(m.message)) {
        let mut held = notices::write_marks(store, node, now, (finish, returns, sending)).await?;
        let finish: Vec<_> = finish.iter().filter(|m| !is_notice(m.message)).cloned().collect();
        let returns: Vec<_> = returns.iter().filter(|m| !is_notice(m.message)).cloned().collect();
        let sending: Vec<_> = sending.iter().filter(|m| !is_notice(m.message)).cloned().collect();
        let marks = Marks { finish: &finish, returns: &returns, sending: &sending };
        let messages = of_messages(store, node, now, marks).await?;
        held.extend(sending.iter().map(|m| m.message).filter(|message| messages.contains(*message)));
        return Ok(Held::Only(held));
    }
    of_messages(store, node, now, marks).await
}

/// Notices have a table of their own.
pub(super) fn is_notice(message: MessageKey) -> bool {
    message.run == RunId::NOTICES
}

async fn of_messages(store: &Store, node: NodeId, now: Micros, marks: Marks<'_>) -> Result<Held> {
    let mut script = Script::default();
    let steps: Vec<Step<'_>> =
        marks.finish.iter().map(Step::Finish).chain(marks.sending.iter().map(Step::Sending)).collect();
    for chunk in distinct(&steps, |step| step.message()) {
        take(&mut script, node, chunk);
    }
    let moves = script.len();
    let failed: Vec<&Finish> = marks.finish.iter().filter(|mark| fails(mark.state)).collect();
    failed.chunks(CHUNK).for_each(|chunk| note_attempts(&mut script, chunk));
    if !failed.is_empty() || store.kind() == EngineKind::Postgres {
        distinct(marks.finish, |m| m.message).into_iter().for_each(|chunk| hush_erased(&mut script, chunk));
    }
    for chunk in distinct(marks.returns, |m| m.message) {
        give_back(&mut script, node, now, chunk);
    }
    if script.len() == 0 {
        return Ok(Held::All);
    }
    let changes = store.commit(script).await?;
    let moved: u64 = changes[..moves].iter().sum();
    if moved == steps.len() as u64 || marks.sending.is_empty() {
        return Ok(Held::All);
    }
    let mut held = HashSet::new();
    let mut session = store.read().await?;
    for chunk in marks.sending.chunks(CHUNK) {
        let (values, mut args) = rows(chunk, 3, |m| args![m.message.run, m.message.recipient, m.attempt]);
        let n = args.len() + 1;
        args.push(node.into());
        args.extend(runs(chunk.iter().map(|m| m.message)));
        let sql = format!(
            "WITH v(run_id, recipient_id, attempt) AS (VALUES {values})
             SELECT v.run_id, v.recipient_id FROM v
             WHERE v.attempt = (SELECT m.attempt FROM messages m WHERE m.run_id = v.run_id
                 AND m.recipient_id = v.recipient_id AND m.state = 'sending' AND COALESCE(m.node_id, 0) = ${n}
                 AND NOT (m.run_id < ${} OR m.run_id > ${}))",
            n + 1,
            n + 2
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

/// Placeholders for the rows and what to bind to them. Few different texts arise: rows of nothing fill them up, and have
/// no run.
fn rows<T, R: IntoIterator<Item = Value>>(items: &[T], columns: usize, row: impl Fn(&T) -> R) -> (String, Vec<Value>) {
    let padded = padded(items.len());
    let mut args = Vec::with_capacity(padded * columns + 2);
    args.extend(items.iter().flat_map(row));
    for n in 0..(padded - items.len()) * columns {
        args.push(args[n % columns].nothing());
    }
    (values(1, padded, columns), args)
}

/// The items in order, in chunks in which no message comes twice: PostgreSQL lets one statement write a row but once.
fn distinct<T>(items: &[T], message: impl Fn(&T) -> MessageKey) -> Vec<&[T]> {
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
    any(&format!(
        "SELECT 1 FROM messages m WHERE m.run_id = {table}.run_id AND m.recipient_id = {table}.recipient_id
             AND NOT (m.run_id < ${first} OR m.run_id > ${})",
        first + 1
    ))
}

/// The first and the last of their runs: what PostgreSQL needs in order to leave the partitions of others alone.
fn runs(messages: impl Iterator<Item = MessageKey> + Clone) -> [Value; 2] {
    let runs = messages.map(|message| message.run.0);
    [runs.clone().min().into(), runs.max().into()]
}

/// One row of [`take`].
#[derive(Clone, Copy)]
enum Step<'a> {
    Finish(&'a Finish),
    Sending(&'a Sending),
}

impl Step<'_> {
    fn message(self) -> MessageKey {
        match self {
            Self::Finish(m) => m.message,
            Self::Sending(m) => m.message,
        }
    }

    /// Run, recipient, attempt as it becomes, instant, state, code, reply, when due, relay, revision of the attributes.
    fn row(self) -> [Value; 10] {
        match self {
            Self::Finish(m) => {
                debug_assert!(MessageState::Sending.may_become(m.state));
                let kept = m.attempt - i64::from(m.state == MessageState::Waiting);
                let (key, state, reply) = (m.message, m.state.as_str(), m.reply.as_str());
                let (run, to, code, due_at) = (key.run.into(), key.recipient.into(), m.code.into(), m.due_at.into());
                let relay = m.relay.as_str().into();
                let (at, unsaid) = (m.at.into(), Value::Int(None));
                [run, to, kept.into(), at, state.into(), code, reply.into(), due_at, relay, unsaid]
            }
            Self::Sending(m) => {
                let (run, to) = (m.message.run.into(), m.message.recipient.into());
                let state = MessageState::Sending.as_str().into();
                let (none, silent, relay) = (Value::Int(None), Value::Text(None), m.relay.as_str().into());
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
fn take(script: &mut Script, node: NodeId, steps: &[Step<'_>]) {
    let (values, mut args) = rows(steps, 10, |step| step.row());
    let n = args.len() + 1;
    args.extend(runs(steps.iter().map(|step| step.message())));
    args.push(node.into());
    script.push(
        format!(
            "WITH v(run_id, recipient_id, attempt, at, state, code, reply, due_at, relay, revision)
             AS (VALUES {values})
             INSERT INTO messages (run_id, recipient_id, attempt, at, state, code, reply, due_at, relay, revision)
             SELECT v.run_id, v.recipient_id, v.attempt, v.at, v.state, v.code,
                 CASE WHEN (SELECT e.erased_at FROM recipients e WHERE e.id = v.recipient_id) IS NULL THEN v.reply END,
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
            exists("v", n),
            n + 2
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
fn hush_erased(script: &mut Script, marks: &[Finish]) {
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
fn give_back(script: &mut Script, node: NodeId, now: Micros, returns: &[Return]) {
    let (values, mut args) = rows(returns, 5, |m| {
        let state = if m.due_at.is_some() { MessageState::Waiting } else { MessageState::Skipped };
        args![m.message.run, m.message.recipient, state.as_str(), m.due_at, m.reason.clone()]
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
