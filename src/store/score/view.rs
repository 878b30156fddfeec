//! One person at one instant, also a past one.

use std::slice;

use super::{Lock, entries, facts, states};
use crate::domain::id::RecipientId;
use crate::domain::ledger::{PersonState, Rules, ScoreView};
use crate::domain::score::{ClusterRules, Scale, ScoreRules};
use crate::domain::time::Micros;
use crate::store::{Error, Result, Session};

/// What is known of a person at `at`. A past instant replays the ledger up to it. None when the
/// person has no score then.
///
/// # Errors
/// [`Error::Rebuilding`] while sums are moved to another half-life; when the database refuses.
pub async fn profile_at(
    session: &mut Session,
    recipient: RecipientId,
    at: Micros,
    score: &ScoreRules,
    cluster: &ClusterRules,
) -> Result<Option<ScoreView>> {
    let Some(facts) = facts(session, Lock::None).await? else { return Ok(None) };
    if facts.rebuild.is_some_and(|rebuild| rebuild.rescales) {
        return Err(Error::Rebuilding);
    }
    let rules = Rules { score: score.clone(), cluster: cluster.clone(), population: facts.population };
    let Some(state) = states(session, slice::from_ref(&recipient)).await?.remove(&recipient) else { return Ok(None) };
    if state.last.is_some_and(|(last, _)| last <= at) {
        return Ok(Some(state.view(at, &rules, &facts.scale)));
    }
    // A landmark of its own, so that however old the past is, its sums have all their digits.
    let scale = Scale { landmark: at, ..facts.scale };
    let past: Vec<_> = entries(session, slice::from_ref(&recipient)).await?.remove(&recipient).unwrap_or_default();
    let past = past.into_iter().filter(|entry| entry.action.at <= at);
    let past: Vec<_> = past.map(|entry| entry.against(&scale)).collect();
    let (state, _) = PersonState::replay(&past, &rules, &scale);
    Ok(state.last.is_some().then(|| state.view(at, &rules, &scale)))
}
