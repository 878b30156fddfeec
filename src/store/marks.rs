//! What a sender writes down about the messages that it holds.
//!
//! Every statement carries the fence: the attempt's number and the state that the holder left
//! behind. A holder whose lease was taken changes nothing, except for a late answer, which turns
//! `unknown` into what it was.

mod statements;

use std::collections::HashSet;
use std::sync::Arc;

use self::statements::{CHUNK, Step, distinct, fails, give_back, hush_erased, note_attempts, still_sending, take};
use super::{EngineKind, Result, Script, Store, notices};
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
    pub relay: Arc<str>,
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
    pub relay: Arc<str>,
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
        take(&mut script, store.kind(), node, chunk);
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
        let (sql, args) = still_sending(node, chunk);
        let rows: Vec<(i64, i64)> = session.all(sql, args).await?;
        held.extend(rows.into_iter().map(|(run, to)| MessageKey { run: RunId(run), recipient: RecipientId(to) }));
    }
    Ok(Held::Only(held))
}
