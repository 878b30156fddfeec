//! Takes new actions into the ledgers of their people.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::id::RecipientId;
use crate::domain::ledger::{Changes, Entry, PersonState, Rules};
use crate::domain::score::Scale;
use crate::store::score::{Saved, Unscored};
use crate::store::{Result, Session, score};

/// People whose whole ledgers are in memory at once.
const REPLAYS: usize = 50;

/// What has come in for one person.
#[derive(Default)]
struct Arrivals {
    /// Entries to add.
    added: Vec<Entry>,
    /// Actions that were changed: their older entries no longer hold.
    replaced: BTreeSet<i64>,
}

/// What becomes of the people whose actions these are.
pub(super) async fn advance(
    session: &mut Session,
    actions: Vec<Unscored>,
    rules: &Rules,
    scale: &Scale,
) -> Result<Vec<Saved>> {
    let mut arrivals: BTreeMap<RecipientId, Arrivals> = BTreeMap::new();
    for Unscored { recipient, action, revised, .. } in actions {
        let id = action.id;
        let entry = rules.entry(action, scale);
        if entry.is_none() && !revised {
            continue;
        }
        let arrivals = arrivals.entry(recipient).or_default();
        arrivals.added.extend(entry);
        arrivals.replaced.extend(revised.then_some(id));
    }
    let people: Vec<_> = arrivals.keys().copied().collect();
    let mut states = score::states(session, &people).await?;
    let mut saved = Vec::with_capacity(people.len());
    let mut late = Vec::new();
    for (recipient, mut arrivals) in arrivals {
        sort(&mut arrivals.added);
        let state = states.remove(&recipient).unwrap_or_default();
        if arrivals.replaced.is_empty() && state.precedes(&arrivals.added[0]) {
            saved.push(append(recipient, state, arrivals.added, rules, scale));
        } else {
            late.push((recipient, arrivals));
        }
    }
    for group in late.chunks(REPLAYS) {
        let people: Vec<_> = group.iter().map(|(recipient, _)| *recipient).collect();
        let mut known = score::entries(session, &people).await?;
        for (recipient, arrivals) in group {
            let known = known.remove(recipient).unwrap_or_default();
            saved.push(replay(*recipient, known, arrivals, rules, scale));
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

fn replay(recipient: RecipientId, known: Vec<Entry>, arrivals: &Arrivals, rules: &Rules, scale: &Scale) -> Saved {
    let added = arrivals.added.clone();
    let mut replaced = arrivals.replaced.clone();
    replaced.extend(added.iter().map(|entry| entry.action.id));
    let (removed, mut ledger): (Vec<_>, Vec<_>) = known.into_iter().partition(|e| replaced.contains(&e.action.id));
    let removed = removed.into_iter().map(|entry| entry.action.id).collect();
    ledger.extend(added.iter().cloned());
    sort(&mut ledger);
    let (state, changes) = PersonState::replay(&ledger, rules, scale);
    Saved { recipient, state, changes, added, removed, replayed: true }
}

fn sort(entries: &mut [Entry]) {
    entries.sort_by_key(|entry| (entry.action.at, entry.action.id));
}
