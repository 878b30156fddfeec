//! The account of a run: every message in one state, nobody twice at the sink, nobody missing.

use std::collections::HashSet;

use colloquy::args;
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::message::MessageState;
use colloquy::store::runs;

use super::sink::Journal;
use crate::mailing::{Messages, messages};
use crate::project::Project;

/// What is left to judge of a run whose account is right.
#[derive(Debug)]
pub struct Account {
    /// Its messages.
    pub messages: usize,
    /// Those that the relay has taken, and said so.
    pub accepted: usize,
    /// Those whose fate was swallowed.
    pub unknown: usize,
    /// Those that are to be tried yet.
    pub open: usize,
    /// Those at the sink.
    pub taken: HashSet<RecipientId>,
}

/// The account at any moment, also while nodes send.
///
/// # Panics
/// With what is wrong.
pub async fn standing(project: &Project, journal: &Journal) {
    // The journal first: what is in it was marked before.
    let taken = journal.read(&project.app().secrets().unwrap().keyring());
    let messages = messages(&project.db.store).await;
    at_most_once(&taken);
    for key in &taken {
        let state = messages.get(key).map(|message| message.state);
        let marked = matches!(state, Some(MessageState::Sending | MessageState::Accepted | MessageState::Unknown));
        assert!(marked, "recipient {} of run {} is at the sink, and in the database as {state:?}", key.1, key.0);
    }
}

fn at_most_once(taken: &[(RunId, RecipientId)]) {
    let mut seen = HashSet::new();
    let twice: Vec<_> = taken.iter().filter(|key| !seen.insert(**key)).collect();
    assert!(twice.is_empty(), "sent twice: {twice:?}");
}

/// The account of a run from which all was claimed.
///
/// # Panics
/// With what is wrong.
pub async fn settled(project: &Project, journal: &Journal, run: RunId) -> Account {
    standing(project, journal).await;
    let store = &project.db.store;
    let mut session = store.read().await.unwrap();
    // Whoever was erased before its turn is nobody, or was just counted.
    let gone = "SELECT COUNT(*) FROM recipients r WHERE r.erased_at IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.run_id = $1 AND m.recipient_id = r.id)";
    let (people,): (i64,) = session.one("SELECT COUNT(*) FROM recipients", args![]).await.unwrap();
    let (gone,): (i64,) = session.one(gone, args![run]).await.unwrap();
    let states = runs::states(&mut session, run).await.unwrap();
    let excluded: i64 = runs::exclusions(&mut session, run).await.unwrap().iter().map(|(_, people)| people).sum();
    drop(session);
    let messages: Messages = messages(store).await.into_iter().filter(|((of, _), _)| *of == run).collect();
    assert_eq!(states.values().sum::<i64>(), messages.len() as i64, "run {run}: {states:?}");
    let dealt_with = messages.len() as i64 + excluded;
    assert!(
        (people - gone..=people).contains(&dealt_with),
        "run {run}: {dealt_with} were dealt with, of {people} people of whom {gone} were erased before"
    );

    let taken = journal.read(&project.app().secrets().unwrap().keyring());
    let taken: HashSet<_> = taken.into_iter().filter(|(of, _)| *of == run).map(|(_, recipient)| recipient).collect();
    for ((_, recipient), message) in &messages {
        let lost = message.state == MessageState::Accepted && !taken.contains(recipient);
        assert!(!lost, "recipient {recipient} of run {run} is accepted, and not at the sink");
        let held = matches!(message.state, MessageState::Claimed | MessageState::Sending);
        assert!(!held, "recipient {recipient} of run {run} is held by nobody: {message:?}");
    }
    let count = |state| messages.values().filter(|message| message.state == state).count();
    Account {
        messages: messages.len(),
        accepted: count(MessageState::Accepted),
        unknown: count(MessageState::Unknown),
        open: count(MessageState::Waiting) + count(MessageState::Deferred),
        taken,
    }
}
