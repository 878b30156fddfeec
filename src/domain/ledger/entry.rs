//! What an action adds, and the rules that say so.

use std::collections::BTreeMap;

use crate::domain::action::LedgerEntry;
use crate::domain::hex::hex;
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
    /// Tells rules apart: sums under different ones cannot be compared. The population is not part
    /// of it; it changes with each rebuild.
    #[must_use]
    pub fn fingerprint(score: &ScoreRules, cluster: &ClusterRules) -> String {
        let ScoreRules { half_life, warm, points } = score;
        let ClusterRules { half_life: affinities, min_points, min_share, margin, prior } = cluster;
        let (half_life, affinities) = (half_life.as_micros(), affinities.as_micros());
        let text = format!("1 {half_life} {warm} {points:?} {affinities} {min_points} {min_share} {margin} {prior}");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        hex(&digest.as_ref()[..16])
    }

    /// The score entry that an action makes; none when its kind brings no points.
    #[must_use]
    pub fn entry(&self, action: LedgerEntry, scale: &Scale) -> Option<Entry> {
        let points = *self.score.points.get(&action.kind).filter(|points| **points != 0.0)?;
        Some(Entry { action, points, f: 0.0, f7: 0.0, fa: 0.0 }.against(scale))
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

impl Entry {
    /// The same entry, with sums that refer to another scale.
    #[must_use]
    pub fn against(self, scale: &Scale) -> Self {
        let (at, points) = (self.action.at, self.points);
        Self {
            f: points * scale.factor(at),
            f7: points * scale.recent_factor(at),
            fa: points * scale.affinity_factor(at),
            ..self
        }
    }
}
