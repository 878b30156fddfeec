//! Points, their fading, and what follows from them.

mod scale;

use std::collections::BTreeMap;
use std::time::Duration;

use super::action::kind;

pub use scale::{Scale, TIE};

const DAY: Duration = Duration::from_secs(86_400);

/// `[score]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreRules {
    /// Time in which a score halves.
    pub half_life: Duration,
    /// The threshold of `cools()` without `below`, and of the moments both ways.
    pub warm: f64,
    /// Points by kind of action; other kinds bring none.
    pub points: BTreeMap<String, f64>,
}

impl Default for ScoreRules {
    /// As documented for files that say nothing.
    fn default() -> Self {
        let points = [
            (kind::OPEN, 1.0),
            (kind::CLICK, 5.0),
            (kind::REPLY, 20.0),
            (kind::CONVERSION, 50.0),
            (kind::UNSUBSCRIBE, -20.0),
        ];
        Self { half_life: 30 * DAY, warm: 20.0, points: points.map(|(kind, points)| (kind.to_owned(), points)).into() }
    }
}

/// `[cluster]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterRules {
    /// Time in which affinities halve.
    pub half_life: Duration,
    /// Points that the leading category needs, and below which the cluster is left.
    pub min_points: f64,
    /// Share, shrunk toward the population, that entry needs.
    pub min_share: f64,
    /// Lead, as a share of all points, over the second category.
    pub margin: f64,
    /// Weight of the population in the shrunk share, in points (*k*).
    pub prior: f64,
}

impl Default for ClusterRules {
    /// As documented for files that say nothing.
    fn default() -> Self {
        Self { half_life: 90 * DAY, min_points: 10.0, min_share: 0.5, margin: 0.1, prior: 5.0 }
    }
}
