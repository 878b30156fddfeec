//! Reads a condition over one person in memory, in the plainest way.

use std::collections::BTreeMap;
use std::time::Duration;

use colloquy::domain::score::ScoreRules;
use colloquy::domain::segment::{AttributeTest, Expr, Measure, Op, Period, Subscribed, Test};
use serde_json::Value;

use super::population::{DAY, Person, run_of};

pub struct Reader<'a> {
    pub person: &'a Person,
    pub rules: &'a ScoreRules,
    pub affinities: Duration,
    /// The cluster at that instant, as a replay of the ledger has it.
    pub cluster: Option<String>,
    pub at: i64,
}

impl Reader<'_> {
    pub fn holds(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Always(value) => *value,
            Expr::Not(inner) => !self.holds(inner),
            Expr::And(parts) => parts.iter().all(|part| self.holds(part)),
            Expr::Or(parts) => parts.iter().any(|part| self.holds(part)),
            Expr::Segment { expr, .. } => self.holds(expr),
            Expr::Measure { measure, op, value } => match measure {
                Measure::Score => close(self.score(self.at), *op, *value),
                Measure::Momentum => self.momentum().is_some_and(|momentum| close(momentum, *op, *value)),
                Measure::Affinity(category) => close(self.share(category), *op, *value),
            },
            Expr::Cluster(test) => holds(self.cluster.clone(), test),
            Expr::Attribute { name, test } => self.attribute(self.person.attributes.get(name), test),
            Expr::Action(test) => self.person.actions.iter().any(|action| {
                let run = action.run.map(|run| run_of(run.0 as usize - 1));
                action.kind == test.kind
                    && test.category.as_ref().is_none_or(|c| action.category.as_ref() == Some(c))
                    && test.campaign.as_ref().is_none_or(|c| run.is_some_and(|run| run.0 == c))
                    && test.topic.as_ref().is_none_or(|t| run.is_some_and(|run| run.1 == t))
                    && self.within(action.at.0, &test.period)
            }),
            Expr::Received(test) => self.person.messages.iter().any(|(run, state, at)| {
                let (campaign, topic) = run_of(*run);
                *state == "accepted"
                    && test.campaign.as_ref().is_none_or(|c| campaign == c)
                    && test.topic.as_ref().is_none_or(|t| topic == t)
                    && self.within(*at, &test.period)
            }),
            Expr::Subscribed(test) => ["offers", "news"].iter().any(|topic| {
                let mut so_far = self.person.decisions.iter().filter(|(t, _, at)| t == topic && *at <= self.at);
                let last = so_far.next_back().filter(|(_, joined, _)| *joined);
                test.topic.as_ref().is_none_or(|t| t == topic)
                    && last.is_some_and(|(.., since)| {
                        test.longer_than.is_none_or(|d| *since <= self.at - micros(d))
                            && self.within(*since, &test.period)
                    })
            }),
            Expr::ConsentLapses { topic, within, after } => {
                let unused_for = *after - *within;
                let old = Subscribed { topic: topic.clone(), longer_than: Some(unused_for), ..Subscribed::default() };
                let recent = |at: i64| at > self.at - micros(unused_for) && at <= self.at;
                self.holds(&Expr::Subscribed(old))
                    && !self
                        .person
                        .actions
                        .iter()
                        .any(|a| a.kind != "void" && a.kind != "unsubscribe" && recent(a.at.0))
                    && !self.person.decisions.iter().any(|(_, joined, at)| *joined && recent(*at))
            }
            Expr::Cools { below, within } => {
                close(self.score(self.at), Op::Ge, *below)
                    && close(self.faded(self.at, self.at + micros(*within)), Op::Lt, *below)
            }
            Expr::Rose(period) => self.rises().iter().any(|at| self.within(*at, period)),
        }
    }

    fn within(&self, at: i64, period: &Period) -> bool {
        at <= self.at
            && period.within.is_none_or(|d| at > self.at - micros(d))
            && period.since.is_none_or(|since| at >= since.0)
            && period.before.is_none_or(|before| at < before.0)
    }

    fn attribute(&self, value: Option<&Value>, test: &AttributeTest) -> bool {
        let text = || value.and_then(Value::as_str).map(str::to_owned);
        match test {
            AttributeTest::Text(test) | AttributeTest::Date(test) => holds(text(), test),
            AttributeTest::Number(test) => holds(value.and_then(Value::as_f64), test),
            AttributeTest::Bool(test) => holds(value.and_then(Value::as_bool), test),
        }
    }

    /// Points that count, with category and instant.
    fn entries(&self) -> impl Iterator<Item = (f64, Option<&str>, i64)> {
        let counted = self.person.actions.iter().filter(|_| self.person.tracking);
        counted.filter_map(|a| Some((*self.rules.points.get(&a.kind)?, a.category.as_deref(), a.at.0)))
    }

    fn score(&self, at: i64) -> f64 {
        self.faded(at, at)
    }

    /// What happened until `until`, as it is worth at `at`.
    fn faded(&self, until: i64, at: i64) -> f64 {
        self.sum(until, at, self.rules.half_life)
    }

    fn sum(&self, until: i64, at: i64, half_life: Duration) -> f64 {
        let fades = |since: i64| (-((at - since) as f64) / micros(half_life) as f64).exp2();
        self.entries().filter(|(.., since)| *since <= until).map(|(points, _, since)| points * fades(since)).sum()
    }

    fn momentum(&self) -> Option<f64> {
        let week = Duration::from_secs(7 * 86_400);
        let long = self.score(self.at) / (micros(self.rules.half_life) / DAY) as f64;
        let recent = self.sum(self.at, self.at, week) / 7.0;
        (long > 0.0).then(|| recent / long)
    }

    fn share(&self, category: &str) -> f64 {
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for (points, about, since) in self.entries().filter(|(.., since)| *since <= self.at) {
            let fades = (-((self.at - since) as f64) / micros(self.affinities) as f64).exp2();
            if let Some(about) = about {
                *sums.entry(about).or_default() += points * fades;
            }
        }
        sums.retain(|_, sum| *sum > 0.0);
        sums.get(category).map_or(0.0, |sum| sum / sums.values().sum::<f64>())
    }

    /// The instants at which the score rose to the threshold.
    fn rises(&self) -> Vec<i64> {
        let mut instants: Vec<i64> = self.entries().map(|(.., at)| at).collect();
        instants.sort_unstable();
        instants.dedup();
        let is_warm = |score: f64| close(score, Op::Ge, self.rules.warm);
        instants.retain(|at| !is_warm(self.faded(at - 1, *at)) && is_warm(self.score(*at)));
        instants
    }
}

fn micros(d: Duration) -> i64 {
    d.as_micros() as i64
}

/// Compares learnt numbers, which are right to nine digits.
fn close(value: f64, op: Op, with: f64) -> bool {
    let slack = with.abs() * 1e-9;
    match op {
        Op::Ge => value >= with - slack,
        Op::Gt => value > with + slack,
        Op::Le => value <= with + slack,
        Op::Lt => value < with - slack,
        Op::Eq => (value - with).abs() <= slack,
        Op::Ne => (value - with).abs() > slack,
    }
}

fn holds<T: PartialEq + PartialOrd>(value: Option<T>, test: &Test<T>) -> bool {
    let Some(value) = value else { return matches!(test, Test::Missing) };
    match test {
        Test::Missing => false,
        Test::Present => true,
        Test::In(values) => values.contains(&value),
        Test::NotIn(values) => !values.contains(&value),
        Test::Compare(op, with) => match op {
            Op::Eq => value == *with,
            Op::Ne => value != *with,
            Op::Lt => value < *with,
            Op::Le => value <= *with,
            Op::Gt => value > *with,
            Op::Ge => value >= *with,
        },
    }
}
