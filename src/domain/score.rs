//! Points, their fading, and what follows from them.

mod scale;

use std::collections::BTreeMap;
use std::time::Duration;

pub use scale::{Scale, TIE};

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
