//! Which category clearly leads, and when that stops.

use std::collections::BTreeMap;

use super::score::{ClusterRules, TIE};
use super::time::Micros;

/// A person's stay in a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The category that leads.
    pub cluster: String,
    /// Since when.
    pub since: Micros,
    /// When the evidence will have faded, if nothing happens.
    pub until: Micros,
}

/// How a person's categories stand to each other at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing<'a> {
    /// The category with most points; of equals the first by name.
    pub leader: &'a str,
    /// Its points.
    pub points: f64,
    /// Its points less those of the second, which has at least none.
    pub lead: f64,
    /// Points of all categories above zero.
    pub total: f64,
}

impl<'a> Standing<'a> {
    /// Compares sums, each worth `worth` points per unit. None when no category is above zero.
    #[must_use]
    pub fn of(affinities: &'a BTreeMap<String, f64>, worth: f64) -> Option<Self> {
        let (mut leader, mut second, mut total) = (None, 0.0, 0.0);
        for (category, sum) in affinities.iter().filter(|(_, sum)| **sum > 0.0) {
            total += sum;
            match leader {
                Some((_, most)) if *sum <= most => second = f64::max(second, *sum),
                _ => {
                    second = leader.map_or(0.0, |(_, most)| most);
                    leader = Some((category.as_str(), *sum));
                }
            }
        }
        let (leader, most) = leader?;
        Some(Self { leader, points: most * worth, lead: (most - second) * worth, total: total * worth })
    }

    /// Whether the leader leads by the margin.
    #[must_use]
    pub fn is_clear(&self, rules: &ClusterRules) -> bool {
        at_least(self.lead, rules.margin * self.total)
    }

    /// Whether the leader's cluster may be entered: enough points, a clear lead, and a share that
    /// stays large enough when it is shrunk toward the population's.
    #[must_use]
    pub fn opens(&self, rules: &ClusterRules, population: &BTreeMap<String, f64>) -> bool {
        let share = population.get(self.leader).copied().unwrap_or(0.0);
        let shrunk = (self.points + rules.prior * share) / (self.total + rules.prior);
        at_least(self.points, rules.min_points) && self.is_clear(rules) && at_least(shrunk, rules.min_share)
    }
}

fn at_least(value: f64, threshold: f64) -> bool {
    value >= threshold * (1.0 - TIE)
}

/// Shares of all that is above zero, by category in the order of names; they sum to one.
#[must_use]
pub fn shares(sums: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let total: f64 = sums.values().filter(|sum| **sum > 0.0).sum();
    sums.iter().filter(|(_, sum)| **sum > 0.0).map(|(category, sum)| (category.clone(), sum / total)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rules() -> ClusterRules {
        ClusterRules { half_life: Duration::from_secs(1), min_points: 10.0, min_share: 0.5, margin: 0.1, prior: 5.0 }
    }

    fn sums(list: &[(&str, f64)]) -> BTreeMap<String, f64> {
        list.iter().map(|(category, sum)| ((*category).to_owned(), *sum)).collect()
    }

    #[test]
    fn the_lead_is_over_the_second_whatever_the_order_of_names() {
        for list in [[("a", 3.0), ("b", 9.0), ("c", 5.0)], [("a", 9.0), ("b", 5.0), ("c", 3.0)]] {
            let sums = sums(&list);
            let standing = Standing::of(&sums, 2.0).unwrap();
            assert_eq!((standing.points, standing.lead, standing.total), (18.0, 8.0, 34.0));
        }
        assert_eq!(Standing::of(&sums(&[("a", 0.0), ("b", -1.0)]), 1.0), None);
    }

    #[test]
    fn of_equals_the_first_by_name_leads_without_a_lead() {
        let sums = sums(&[("b", 4.0), ("a", 4.0)]);
        let standing = Standing::of(&sums, 1.0).unwrap();
        assert_eq!((standing.leader, standing.lead), ("a", 0.0));
        assert!(!standing.is_clear(&rules()));
    }

    #[test]
    fn entry_needs_points_and_lead_and_share() {
        let opens = |list: &[(&str, f64)], m: &[(&str, f64)]| {
            let sums = sums(list);
            Standing::of(&sums, 1.0).unwrap().opens(&rules(), &self::sums(m))
        };
        assert!(opens(&[("run", 10.0)], &[]));
        assert!(!opens(&[("run", 9.9)], &[("run", 1.0)]), "too few points");
        assert!(!opens(&[("run", 20.0), ("trail", 17.0)], &[("run", 1.0)]), "too small a lead");
        assert!(!opens(&[("run", 12.0), ("trail", 9.0)], &[]), "too small a share against the population");
        assert!(opens(&[("run", 12.0), ("trail", 9.0)], &[("run", 0.5)]));
        assert!(opens(&[("run", 11.0), ("trail", 9.0)], &[("run", 0.4)]), "a lead of just the margin is one");
    }

    #[test]
    fn shares_leave_out_what_is_not_above_zero() {
        assert_eq!(shares(&sums(&[("a", 3.0), ("b", -2.0), ("c", 1.0)])), sums(&[("a", 0.75), ("c", 0.25)]));
        assert!(shares(&sums(&[("b", -2.0)])).is_empty());
    }
}
