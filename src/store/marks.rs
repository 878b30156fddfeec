//! What a sender writes down about the messages that it holds.
//!
//! Every statement carries the fence: the attempt's number and the state that the holder left
//! behind. A holder whose lease was taken changes nothing, except for a late answer, which turns
//! `unknown` into what it was.

use std::collections::HashSet;

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
    steps.chunks(CHUNK).for_each(|chunk| take(&mut script, node, chunk));
    let moves = script.len();
    let failed: Vec<&Finish> = marks.finish.iter().filter(|mark| fails(mark.state)).collect();
    failed.chunks(CHUNK).for_each(|chunk| note_attempts(&mut script, chunk));
    if !failed.is_empty() || store.kind() == EngineKind::Postgres {
        marks.finish.chunks(CHUNK).for_each(|chunk| hush_erased(&mut script, chunk));
    }
    marks.returns.chunks(CHUNK).for_each(|chunk| give_back(&mut script, node, now, chunk));
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
             SELECT m.run_id, m.recipient_id FROM v JOIN messages m ON m.run_id = v.run_id
                 AND m.recipient_id = v.recipient_id AND m.attempt = v.attempt
             WHERE m.state = 'sending' AND m.node_id = ${n} AND {}",
            among("m", n + 1)
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
fn rows<T, R: IntoIterator<Item = Value>>(items: &[T], columns: usize, row: impl Fn(&T) -> R) -> (String, Vec<Value>) {
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

/// Whether a row is of the [`runs`] that are bound at `first` and the place after it. Written so that SQLite takes no
/// index for it: it would walk all that the node holds once for each mark, instead of looking marks up by their keys.
fn among(table: &str, first: usize) -> String {
    format!("NOT ({table}.run_id < ${first} OR {table}.run_id > ${})", first + 1)
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

    /// Run, recipient, attempt as it is, attempt as it becomes, instant, state, code, reply, when due,
    /// relay, revision of the attributes.
    fn row(self) -> [Value; 11] {
        match self {
            Self::Finish(m) => {
                debug_assert!(MessageState::Sending.may_become(m.state));
                let kept = m.attempt - i64::from(m.state == MessageState::Waiting);
                let (key, state, reply) = (m.message, m.state.as_str(), m.reply.as_str());
                let (run, to, code, due_at) = (key.run.into(), key.recipient.into(), m.code.into(), m.due_at.into());
                let relay = m.relay.as_str().into();
                let (at, unsaid) = (m.at.into(), Value::Int(None));
                [run, to, m.attempt.into(), kept.into(), at, state.into(), code, reply.into(), due_at, relay, unsaid]
            }
            Self::Sending(m) => {
                let (run, to) = (m.message.run.into(), m.message.recipient.into());
                let (before, state) = ((m.attempt - 1).into(), MessageState::Sending.as_str().into());
                let (none, silent, relay) = (Value::Int(None), Value::Text(None), m.relay.as_str().into());
                let (at, revision) = (m.at.into(), m.revision.into());
                [run, to, before, m.attempt.into(), at, state, none.clone(), silent, none, relay, revision]
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
fn take(script: &mut Script, node: NodeId, steps: &[Step<'_>]) {
    let (values, mut args) = rows(steps, 11, |step| step.row());
    let n = args.len() + 1;
    args.push(node.into());
    args.extend(runs(steps.iter().map(|step| step.message())));
    script.push(
        format!(
            "WITH v(run_id, recipient_id, before, attempt, at, state, code, reply, due_at, relay, revision)
             AS (VALUES {values})
             UPDATE messages SET state = v.state, attempt = v.attempt, at = v.at, code = v.code, due_at = v.due_at,
                 reply = CASE WHEN EXISTS (SELECT 1 FROM recipients e
                     WHERE e.id = v.recipient_id AND e.erased_at IS NOT NULL) THEN NULL ELSE v.reply END,
                 relay = v.relay,
                 first_at = CASE WHEN v.state = 'sending' THEN COALESCE(messages.first_at, v.at)
                     ELSE messages.first_at END,
                 revision = COALESCE(v.revision, messages.revision),
                 node_id = CASE WHEN v.state = 'sending' THEN messages.node_id END
             FROM v WHERE messages.run_id = v.run_id AND messages.recipient_id = v.recipient_id
                 AND messages.attempt = v.before AND messages.node_id = ${n}
                 AND CASE WHEN v.state = 'sending' THEN messages.state = 'claimed'
                     AND EXISTS (SELECT 1 FROM runs r WHERE r.id = v.run_id AND r.state = 'running')
                     ELSE messages.state IN ('sending', 'unknown') END
                 AND {}",
            among("messages", n + 1)
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

/// Takes the words of answers back whose recipients are erased by now: those of attempts, and those
/// that [`take`] wrote because PostgreSQL shows one statement no erasure that it had to wait for.
fn hush_erased(script: &mut Script, marks: &[Finish]) {
    let failed = marks.iter().any(|mark| fails(mark.state));
    for (table, nothing) in [("messages", "NULL"), ("attempts", "''")].into_iter().take(1 + usize::from(failed)) {
        let (values, mut args) = rows(marks, 2, |m| args![m.message.run, m.message.recipient]);
        let n = args.len() + 1;
        args.extend(runs(marks.iter().map(|m| m.message)));
        script.push(
            format!(
                "WITH v(run_id, recipient_id) AS (VALUES {values})
                 UPDATE {table} SET reply = {nothing} FROM v JOIN recipients e ON e.id = v.recipient_id
                 WHERE {table}.run_id = v.run_id AND {table}.recipient_id = v.recipient_id AND e.erased_at IS NOT NULL
                     AND {}",
                among(table, n)
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
    args.extend(runs(returns.iter().map(|m| m.message)));
    script.push(
        format!(
            "WITH v(run_id, recipient_id, state, due_at, reason) AS (VALUES {values})
             UPDATE messages SET state = v.state, due_at = v.due_at, reply = COALESCE(v.reason, messages.reply),
                 node_id = NULL, at = ${n}
             FROM v WHERE messages.run_id = v.run_id AND messages.recipient_id = v.recipient_id
                 AND messages.state = 'claimed' AND messages.node_id = ${} AND {}",
            n + 1,
            among("messages", n + 2)
        ),
        args,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(recipient: i64) -> MessageKey {
        MessageKey { run: RunId(1), recipient: RecipientId(recipient) }
    }

    /// Whatever the node holds beside them.
    #[tokio::test]
    async fn each_mark_is_looked_up_by_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::connect("sqlite:marks.db", dir.path()).await.unwrap();
        store.get_ready().await.unwrap();
        let mut session = store.read().await.unwrap();
        let sending = |n| Sending { message: message(n), attempt: 1, at: Micros(0), relay: String::new(), revision: 0 };
        let returned = |n| Return { message: message(n), due_at: None, reason: None };
        for count in [1, 16, 100, CHUNK] {
            let count = i64::try_from(count).unwrap();
            let (sending, returns): (Vec<_>, Vec<_>) = (1..=count).map(|n| (sending(n), returned(n))).unzip();
            let steps: Vec<_> = sending.iter().map(Step::Sending).collect();
            let mut script = Script::default();
            take(&mut script, NodeId(1), &steps);
            give_back(&mut script, NodeId(1), Micros(0), &returns);
            assert_eq!(script.len(), 2);
            for (sql, args) in script.0 {
                let sql = format!("EXPLAIN QUERY PLAN {}", sql.0);
                let plan: Vec<(i64, i64, i64, String)> = session.all(sql, args).await.unwrap();
                let look_up = |step: &str| step.starts_with("SEARCH messages") && step.contains("recipient_id=?");
                assert!(plan.iter().any(|(.., step)| look_up(step)), "{count} marks: {plan:?}");
            }
        }
    }

    #[test]
    fn few_row_counts_arise_and_little_is_filled() {
        let counts: std::collections::BTreeSet<usize> = (1..=CHUNK).map(padded).collect();
        assert_eq!(counts.len(), 28);
        assert!((1..=CHUNK).all(|rows| padded(rows) >= rows && padded(rows) * 4 <= rows * 5 + 3));
    }
}
