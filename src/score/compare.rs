//! What is stored of a person against what the ledger says.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use crate::domain::id::RecipientId;
use crate::domain::ledger::{Changes, Entry, PersonState, Rules, within_promise};
use crate::domain::score::{Scale, TIE};
use crate::domain::time::Micros;

/// Something that is stored differently from what the ledger says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Whose.
    pub recipient: RecipientId,
    /// What: a column, or `entries`, `moments`, `spans`.
    pub what: &'static str,
    /// As stored.
    pub stored: String,
    /// As it follows from the ledger.
    pub expected: String,
}

/// All that is known of one person.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Account {
    pub state: PersonState,
    pub entries: Vec<Entry>,
    pub changes: Changes,
}

impl Account {
    /// The account that follows from entries in the order (at, id), at `now`.
    pub fn from_ledger(entries: Vec<Entry>, rules: &Rules, scale: &Scale, now: Micros) -> Self {
        let (state, changes) = PersonState::replay(&entries, rules, scale);
        Self { state, entries, changes }.at(now, rules)
    }

    /// Lets time pass, so that it does not matter whether the sweep has come by, and orders moments
    /// by kind.
    pub fn at(mut self, now: Micros, rules: &Rules) -> Self {
        self.state.settle(now, rules, &mut self.changes);
        self.changes.moments.sort_by_key(|moment| (moment.kind, moment.ordinal));
        self
    }
}

/// The comparison of one person.
pub(super) struct Comparison<'a> {
    recipient: RecipientId,
    scale: &'a Scale,
    /// What sums may differ by, in points.
    points: f64,
    /// What instants may differ by: as long as a sum takes to fade by that much.
    score_slack: Duration,
    cluster_slack: Duration,
    pub differences: Vec<Difference>,
    /// The largest difference of a sum, as a share of Σ|points|.
    pub worst: f64,
}

impl<'a> Comparison<'a> {
    pub fn of(
        recipient: RecipientId,
        stored: &Account,
        expected: &Account,
        rules: &'a Rules,
        scale: &'a Scale,
    ) -> Self {
        let points = expected.state.points;
        let slack = |half_life: Duration, threshold: f64| {
            let halves = (TIE * points / threshold.max(TIE)).min(1.0);
            half_life.mul_f64(halves * 4.0) + Duration::from_micros(2)
        };
        let mut comparison = Self {
            recipient,
            scale,
            points,
            score_slack: slack(scale.half_life, rules.score.warm),
            cluster_slack: slack(scale.affinity_half_life, rules.cluster.min_points),
            differences: Vec::new(),
            worst: 0.0,
        };
        comparison.entries(&stored.entries, &expected.entries);
        comparison.state(&stored.state, &expected.state);
        comparison.changes(&stored.changes, &expected.changes);
        comparison
    }

    fn entries(&mut self, stored: &[Entry], expected: &[Entry]) {
        let same = |a: &Entry, b: &Entry| {
            let close = |a: f64, b: f64| (a - b).abs() <= TIE * b.abs();
            a.action == b.action && a.points == b.points && close(a.f, b.f) && close(a.f7, b.f7) && close(a.fa, b.fa)
        };
        if stored.len() != expected.len() {
            self.differ("entries", &stored.len(), &expected.len());
        } else if let Some((a, b)) = stored.iter().zip(expected).find(|(a, b)| !same(a, b)) {
            self.differ("entries", a, b);
        }
    }

    fn state(&mut self, stored: &PersonState, expected: &PersonState) {
        match (stored.last, expected.last) {
            // Ends are computed, and differ as far as the sums do.
            (Some((a, 0)), Some((b, 0))) => {
                self.time("last", Some(a), Some(b), self.score_slack.max(self.cluster_slack));
            }
            (a, b) => self.exact("last", &a, &b),
        }
        let at = expected.last.or(stored.last).map_or(self.scale.landmark, |(at, _)| at);
        self.sum("f", stored.f, expected.f, self.scale.factor(at));
        self.sum("f7", stored.f7, expected.f7, self.scale.recent_factor(at));
        self.sum("points", stored.points, expected.points, 1.0);
        let categories: BTreeSet<_> = stored.affinities.keys().chain(expected.affinities.keys()).collect();
        for category in categories {
            let of = |state: &PersonState| state.affinities.get(category).copied().unwrap_or_default();
            self.sum("affinities", of(stored), of(expected), self.scale.affinity_factor(at));
        }
        self.exact("rose, cooled, entered", &counts(stored), &counts(expected));
        self.time("cools_at", stored.cools_at, expected.cools_at, self.score_slack);
        let cluster = |state: &PersonState| state.membership.as_ref().map(|m| m.cluster.clone());
        self.exact("cluster", &cluster(stored), &cluster(expected));
        let until = |state: &PersonState| state.membership.as_ref().map(|m| m.until);
        self.time("cluster_until", until(stored), until(expected), self.cluster_slack);
    }

    fn changes(&mut self, stored: &Changes, expected: &Changes) {
        let slack = self.score_slack;
        let same = stored.moments.len() == expected.moments.len()
            && stored.moments.iter().zip(&expected.moments).all(|(a, b)| {
                (a.kind, a.ordinal, &a.subject) == (b.kind, b.ordinal, &b.subject) && near(a.at, b.at, slack)
            });
        if !same {
            self.differ("moments", &stored.moments, &expected.moments);
        }
        let slack = self.cluster_slack;
        let same = stored.spans.len() == expected.spans.len()
            && stored.spans.iter().zip(&expected.spans).all(|(a, b)| {
                (a.ordinal, &a.cluster, a.from) == (b.ordinal, &b.cluster, b.from) && near(a.until, b.until, slack)
            });
        if !same {
            self.differ("spans", &stored.spans, &expected.spans);
        }
    }

    fn exact<T: PartialEq + Debug>(&mut self, what: &'static str, stored: &T, expected: &T) {
        if stored != expected {
            self.differ(what, stored, expected);
        }
    }

    fn sum(&mut self, what: &'static str, stored: f64, expected: f64, factor: f64) {
        let (stored, expected) = (stored / factor, expected / factor);
        if stored != expected {
            self.worst = self.worst.max((stored - expected).abs() / self.points.max(f64::MIN_POSITIVE));
        }
        if !within_promise(stored, expected, self.points) {
            self.differ(what, &stored, &expected);
        }
    }

    fn time(&mut self, what: &'static str, stored: Option<Micros>, expected: Option<Micros>, slack: Duration) {
        let same = match (stored, expected) {
            (Some(stored), Some(expected)) => near(stored, expected, slack),
            (stored, expected) => stored == expected,
        };
        if !same {
            self.differ(what, &stored, &expected);
        }
    }

    fn differ(&mut self, what: &'static str, stored: &dyn Debug, expected: &dyn Debug) {
        let (stored, expected) = (format!("{stored:?}"), format!("{expected:?}"));
        self.differences.push(Difference { recipient: self.recipient, what, stored, expected });
    }
}

fn counts(state: &PersonState) -> (i64, i64, i64) {
    (state.rose, state.cooled, state.entered)
}

fn near(a: Micros, b: Micros, slack: Duration) -> bool {
    a.max(b).since(a.min(b)) <= slack
}
