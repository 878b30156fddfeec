//! How the recipients stand: scores and clusters at an instant.

use std::cmp::Reverse;

use serde::Serialize;

use crate::args;
use crate::domain::score::{Scale, TIE};
use crate::domain::time::Micros;
use crate::store::segment::{cluster_at, sum_at};
use crate::store::{Result, Session};

const PEOPLE: &str = "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN tracking THEN 1 ELSE 0 END), 0) AS BIGINT)
    FROM recipients WHERE erased_at IS NULL AND created_at <= $1";
const PROFILES: &str = "recipients r LEFT JOIN profiles p ON p.recipient_id = r.id
    WHERE r.erased_at IS NULL AND r.created_at <= $1";

/// All recipients who are not erased, at one instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Population {
    /// How many there are.
    pub recipients: i64,
    /// How many of them may be scored, today.
    pub tracked: i64,
    /// How many have a score above zero.
    pub scored: i64,
    /// How many have at least the score of `[score] warm`.
    pub warm: i64,
    /// The highest score of each tenth of the scored, the lowest tenth first: the fifth is the
    /// median, the last the maximum. Fewer than ten people make fewer tenths.
    pub deciles: Vec<f64>,
    /// Recipients by cluster, the largest first, then those in none.
    pub clusters: Vec<ClusterSize>,
}

/// How many people are in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterSize {
    /// The cluster; none for those in none.
    pub cluster: Option<String>,
    /// How many.
    pub recipients: i64,
}

/// Counts recipients by score and cluster at an instant, past or present. `warm` is the threshold.
/// Without a scale nobody has been scored yet.
///
/// # Errors
/// When the database refuses.
pub async fn population(session: &mut Session, scale: Option<&Scale>, warm: f64, at: Micros) -> Result<Population> {
    let (recipients, tracked) = session.one(PEOPLE, args![at]).await?;
    let mut population = Population { recipients, tracked, ..Population::default() };
    let Some(scale) = scale else {
        population.clusters.push(ClusterSize { cluster: None, recipients });
        return Ok(population);
    };
    let tenths = format!(
        "SELECT MAX(f), COUNT(*), CAST(SUM(CASE WHEN f >= $2 THEN 1 ELSE 0 END) AS BIGINT)
         FROM (SELECT f, NTILE(10) OVER (ORDER BY f) AS tenth FROM (SELECT {sum} AS f FROM {PROFILES}) AS s
            WHERE f > 0) AS t
         GROUP BY tenth ORDER BY tenth",
        sum = sum_at("f", "$1"),
    );
    let threshold = warm * scale.factor(at) * (1.0 - TIE);
    for (highest, people, warm) in session.all::<(f64, i64, i64)>(tenths, args![at, threshold]).await? {
        population.deciles.push(scale.score(highest, at));
        population.scored += people;
        population.warm += warm;
    }
    let clusters = format!("SELECT {} AS c, COUNT(*) FROM {PROFILES} GROUP BY 1", cluster_at("$1"));
    let rows: Vec<(Option<String>, i64)> = session.all(clusters, args![at]).await?;
    population.clusters = rows.into_iter().map(|(cluster, recipients)| ClusterSize { cluster, recipients }).collect();
    population.clusters.sort_by_cached_key(|c| (c.cluster.is_none(), Reverse(c.recipients), c.cluster.clone()));
    Ok(population)
}
