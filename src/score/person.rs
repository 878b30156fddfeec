//! Takes new actions into the ledgers of their people.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::id::RecipientId;
use crate::domain::ledger::{Changes, Entry, PersonState, Rules};
use crate::domain::score::Scale;
use crate::store::score::{Saved, Unscored};
use crate::store::{Result, Session, score};

/// People whose whole ledgers are in memory at once.
const REPLAYS: usize = 50;

/// What becomes of the people whose actions these are.
pub(super) async fn advance(
    session: &mut Session,
    actions: Vec<Unscored>,
    rules: &Rules,
    scale: &Scale,
) -> Result<Vec<Saved>> {
    let mut arrivals: BTreeMap<RecipientId, Vec<Entry>> = BTreeMap::new();
    for waiting in actions {
        if let Some(entry) = rules.entry(waiting.action, scale) {
            arrivals.entry(waiting.recipient).or_default().push(entry);
        }
    }
    let people: Vec<_> = arrivals.keys().copied().collect();
    let mut states = score::states(session, &people).await?;
    let mut saved = Vec::with_capacity(people.len());
    let mut late = Vec::new();
    for (recipient, mut added) in arrivals {
        sort(&mut added);
        let state = states.remove(&recipient).unwrap_or_default();
        // An action that was moved has an entry already. It moves back in time only, so that it
        // comes before the last one, and is late.
        if state.precedes(&added[0]) {
            saved.push(append(recipient, state, added, rules, scale));
        } else {
            late.push((recipient, added));
        }
    }
    for group in late.chunks(REPLAYS) {
        let people: Vec<_> = group.iter().map(|(recipient, _)| *recipient).collect();
        let mut known = score::entries(session, &people).await?;
        for (recipient, added) in group {
            let known = known.remove(recipient).unwrap_or_default();
            saved.push(replay(*recipient, known, added.clone(), rules, scale));
        }
    }
    Ok(saved)
}

fn append(recipient: RecipientId, mut state: PersonState, added: Vec<Entry>, rules: &Rules, scale: &Scale) -> Saved {
    let mut changes = Changes::default();
    for entry in &added {
        state.apply(entry, rules, scale, &mut changes);
    }
    Saved { recipient, state, changes, added, removed: Vec::new(), replayed: false }
}

fn replay(recipient: RecipientId, known: Vec<Entry>, added: Vec<Entry>, rules: &Rules, scale: &Scale) -> Saved {
    let moved: BTreeSet<_> = added.iter().map(|entry| entry.action.id).collect();
    let (removed, mut ledger): (Vec<_>, Vec<_>) = known.into_iter().partition(|e| moved.contains(&e.action.id));
    let removed = removed.into_iter().map(|entry| (entry.action.at, entry.action.id)).collect();
    ledger.extend(added.iter().cloned());
    sort(&mut ledger);
    let (state, changes) = PersonState::replay(&ledger, rules, scale);
    Saved { recipient, state, changes, added, removed, replayed: true }
}

fn sort(entries: &mut [Entry]) {
    entries.sort_by_key(|entry| (entry.action.at, entry.action.id));
}
