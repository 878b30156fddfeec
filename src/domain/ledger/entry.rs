//! What an action adds, and the rules that say so.

use std::collections::BTreeMap;

use crate::domain::action::LedgerEntry;
use crate::domain::score::{ClusterRules, Scale, ScoreRules};

/// All that a ledger is judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Points, threshold, half-life.
    pub score: ScoreRules,
    /// Entry, margin, half-life of affinities.
    pub cluster: ClusterRules,
    /// The population's share by category, as of the last rebuild; a category that is missing has
    /// none.
    pub population: BTreeMap<String, f64>,
}

impl Rules {
    /// The score entry that an action makes; none when its kind brings no points.
    #[must_use]
    pub fn entry(&self, action: LedgerEntry, scale: &Scale) -> Option<Entry> {
        let points = *self.score.points.get(&action.kind).filter(|points| **points != 0.0)?;
        let at = action.at;
        Some(Entry {
            action,
            points,
            f: points * scale.factor(at),
            f7: points * scale.recent_factor(at),
            fa: points * scale.affinity_factor(at),
        })
    }
}

/// A score entry: one addition to a person's score.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The action that made it.
    pub action: LedgerEntry,
    /// Its points, not faded.
    pub points: f64,
    /// What it adds to the score's sum.
    pub f: f64,
    /// What it adds to the recent score's sum.
    pub f7: f64,
    /// What it adds to its category's sum.
    pub fa: f64,
}
