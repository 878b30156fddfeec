//! One person's ledger, and what it says: the state after its entries in the order (at, id).
//!
//! The state is defined by replaying the ledger from nothing. An entry that follows the last one may
//! be applied to the state instead: that is the next step of the same replay.

mod change;
mod entry;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use change::{Changes, Moment, MomentKind, Span};
pub use entry::{Entry, Rules};

use super::cluster::{Membership, Standing, shares};
use super::score::{Scale, TIE};
use super::time::Micros;

/// What a person's ledger says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PersonState {
    /// The score's sum; see [`Scale`].
    pub f: f64,
    /// The sum of the score that fades in seven days.
    pub f7: f64,
    /// The affinities' sums by category.
    pub affinities: BTreeMap<String, f64>,
    /// Σ|points|, what tolerances are measured by.
    pub points: f64,
    /// (at, id) of what is known last: an entry; or a fall below the threshold or the end of a
    /// cluster, whose id is 0. Whatever comes before it is late.
    pub last: Option<(Micros, i64)>,
    /// When the score falls below the threshold, if nothing happens; none while it is below.
    pub cools_at: Option<Micros>,
    /// The cluster, if there is one.
    pub membership: Option<Membership>,
    /// How many times the score has risen to the threshold.
    pub rose: i64,
    /// How many times it has fallen below.
    pub cooled: i64,
    /// How many times a cluster was entered.
    pub entered: i64,
}

/// A person at one instant.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ScoreView {
    /// The score.
    pub score: f64,
    /// The recent score over the long one; none without a score above zero.
    pub momentum: Option<f64>,
    /// Shares by category, the largest first; each above zero, summing to one.
    pub affinities: Vec<(String, f64)>,
    /// The category that clearly leads.
    pub cluster: Option<String>,
    /// When the cluster is left, if nothing happens.
    pub cluster_until: Option<Micros>,
    /// When the score falls below the threshold, if nothing happens.
    pub cools_at: Option<Micros>,
}

impl PersonState {
    /// The state after `entries`, which are in the order (at, id), and all that happened on the way.
    pub fn replay<'e>(entries: impl IntoIterator<Item = &'e Entry>, rules: &Rules, scale: &Scale) -> (Self, Changes) {
        let (mut state, mut changes) = (Self::default(), Changes::default());
        for entry in entries {
            state.apply(entry, rules, scale, &mut changes);
        }
        (state, changes)
    }

    /// Whether `entry` comes after all that this state knows, so that it may be applied.
    #[must_use]
    pub fn precedes(&self, entry: &Entry) -> bool {
        self.last.is_none_or(|last| last < (entry.action.at, entry.action.id))
    }

    /// Adds the next entry.
    pub fn apply(&mut self, entry: &Entry, rules: &Rules, scale: &Scale, changes: &mut Changes) {
        debug_assert!(self.precedes(entry));
        let at = entry.action.at;
        self.settle(at, rules, changes);
        self.f += entry.f;
        self.f7 += entry.f7;
        self.points += entry.points.abs();
        self.last = Some((at, entry.action.id));
        self.judge_score(at, rules, scale, changes);
        if let Some(category) = &entry.action.category {
            match self.affinities.get_mut(category) {
                Some(sum) => *sum += entry.fa,
                None => drop(self.affinities.insert(category.clone(), entry.fa)),
            }
            self.judge_cluster(at, category, rules, scale, changes);
        }
    }

    /// Lets time pass until `now`: what was to end by then ends.
    pub fn settle(&mut self, now: Micros, rules: &Rules, changes: &mut Changes) {
        if let Some(at) = self.cools_at.take_if(|at| *at <= now) {
            self.last = self.last.max(Some((at, 0)));
            self.cool(at, rules, changes);
        }
        if let Some(membership) = self.membership.take_if(|membership| membership.until <= now) {
            self.last = self.last.max(Some((membership.until, 0)));
        }
    }

    /// What is known of the person at `at`, which is not before the last entry.
    #[must_use]
    pub fn view(mut self, at: Micros, rules: &Rules, scale: &Scale) -> ScoreView {
        self.settle(at, rules, &mut Changes::default());
        let mut affinities: Vec<_> = shares(&self.affinities).into_iter().collect();
        affinities.sort_by(|a, b| b.1.total_cmp(&a.1));
        let until = self.membership.as_ref().map(|membership| membership.until);
        ScoreView {
            score: scale.score(self.f, at),
            momentum: scale.momentum(self.f, self.f7, at),
            affinities,
            cluster: self.membership.map(|membership| membership.cluster),
            cluster_until: until.filter(|until| *until < Micros(i64::MAX)),
            cools_at: self.cools_at,
        }
    }

    /// The sum of the affinities above zero.
    #[must_use]
    pub fn affinity_total(&self) -> f64 {
        self.affinities.values().filter(|sum| **sum > 0.0).sum()
    }

    fn judge_score(&mut self, at: Micros, rules: &Rules, scale: &Scale, changes: &mut Changes) {
        let falls = scale.score_falls_below(rules.score.warm, scale.score(self.f, at), at).filter(|falls| *falls > at);
        match (self.cools_at, falls) {
            (None, Some(_)) => {
                self.rose += 1;
                changes.moment(MomentKind::Rose, self.rose, at, rules.score.warm.to_string());
            }
            (Some(_), None) => self.cool(at, rules, changes),
            _ => {}
        }
        self.cools_at = falls;
    }

    fn cool(&mut self, at: Micros, rules: &Rules, changes: &mut Changes) {
        self.cooled += 1;
        changes.moment(MomentKind::Cooled, self.cooled, at, rules.score.warm.to_string());
    }

    /// Judges the cluster after the sum of `touched` has changed.
    fn judge_cluster(&mut self, at: Micros, touched: &str, rules: &Rules, scale: &Scale, changes: &mut Changes) {
        let worth = 1.0 / scale.affinity_factor(at);
        let standing = Standing::of(&self.affinities, worth);
        if let Some(mut membership) = self.membership.take() {
            let overtaken = standing.is_some_and(|s| s.leader != membership.cluster && s.is_clear(&rules.cluster));
            if overtaken {
                membership.until = at;
            } else if touched == membership.cluster {
                let sum = self.affinities.get(touched).copied().unwrap_or_default();
                membership.until = lasts(sum * worth, at, rules, scale);
            }
            changes.span(self.entered, &membership);
            if membership.until > at {
                self.membership = Some(membership);
                return;
            }
        }
        let Some(standing) = standing.filter(|s| s.opens(&rules.cluster, &rules.population)) else { return };
        let until = lasts(standing.points, at, rules, scale);
        let membership = Membership { cluster: standing.leader.to_owned(), since: at, until };
        self.entered += 1;
        changes.moment(MomentKind::Cluster, self.entered, at, membership.cluster.clone());
        changes.span(self.entered, &membership);
        self.membership = Some(membership);
    }
}

/// Until when `points` of a category are enough to stay.
fn lasts(points: f64, at: Micros, rules: &Rules, scale: &Scale) -> Micros {
    if points <= 0.0 {
        return at;
    }
    scale.affinity_falls_below(rules.cluster.min_points, points, at).unwrap_or(Micros(i64::MAX))
}

/// Whether two sums of points are the same within the promise, `1e-9 · Σ|points|`.
#[must_use]
pub fn within_promise(a: f64, b: f64, points: f64) -> bool {
    (a - b).abs() <= TIE * points
}
