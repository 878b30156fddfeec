//! What the scorer is given of a project.

use std::collections::BTreeMap;

use crate::domain::ledger::Rules;
use crate::domain::project::Project;
use crate::domain::score::{ClusterRules, Scale, ScoreRules};
use crate::domain::time::Micros;
use crate::store::score::Facts;

/// The rules of a project's scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Points, threshold, half-life.
    pub score: ScoreRules,
    /// Entry, margin, half-life of affinities.
    pub cluster: ClusterRules,
    /// The names of all categories.
    pub categories: Vec<String>,
}

impl From<&Project> for Options {
    fn from(project: &Project) -> Self {
        Self {
            score: project.score.clone(),
            cluster: project.cluster.clone(),
            categories: project.categories.keys().cloned().collect(),
        }
    }
}

impl Options {
    pub(super) fn rules(&self, population: BTreeMap<String, f64>) -> Rules {
        Rules { score: self.score.clone(), cluster: self.cluster.clone(), population }
    }

    /// The facts before anything is known: all categories have the same share.
    pub(super) fn facts(&self, landmark: Micros, rules_hash: String) -> Facts {
        Facts {
            scale: Scale::of(&self.score, &self.cluster, landmark),
            rules_hash,
            population: self.uniform(),
            rebuild: None,
        }
    }

    pub(super) fn uniform(&self) -> BTreeMap<String, f64> {
        let share = 1.0 / self.categories.len().max(1) as f64;
        self.categories.iter().map(|category| (category.clone(), share)).collect()
    }
}
