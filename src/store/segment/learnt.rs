//! Score, momentum, affinity, cluster. `profiles` holds what is known after a person's last action.
//! For an instant before that action the ledger answers, so that any instant is judged as it was.

use std::time::Duration;

use super::Writer;
use crate::domain::segment::{Measure, Op, Period};
use crate::store::any;

/// A forward-decayed sum (`f` or `f7`) at the instant of the placeholder `at`, over `r` and `p`.
pub(in crate::store) fn sum_at(column: &str, at: &str) -> String {
    format!(
        "COALESCE(CASE WHEN p.last_at > {at} THEN (SELECT SUM(e.{column}) FROM score_entries e
            WHERE e.recipient_id = r.id AND e.at <= {at}) ELSE p.{column} END, 0.0)"
    )
}

/// The cluster at the instant of the placeholder `at`, over `r` and `p`; NULL for none.
pub(in crate::store) fn cluster_at(at: &str) -> String {
    format!(
        "CASE WHEN p.last_at > {at} THEN (SELECT c.cluster FROM cluster_spans c WHERE c.recipient_id = r.id
            AND c.from_at <= {at} AND c.until_at > {at} ORDER BY c.ordinal DESC LIMIT 1)
         WHEN p.cluster_until > {at} THEN p.cluster END"
    )
}

impl Writer<'_> {
    pub(super) fn measure(&mut self, measure: &Measure, op: Op, value: f64) -> String {
        match measure {
            Measure::Score => {
                let sum = self.sum("f");
                let with = value * self.scale.factor(self.at);
                format!("({})", self.close(&sum, op, with))
            }
            Measure::Momentum => {
                let (long, recent) = (self.sum("f"), self.sum("f7"));
                let ratio = format!("CASE WHEN {long} > 0 THEN {recent} / {long} END");
                let with = value / self.scale.momentum_factor(self.at);
                format!("COALESCE({}, FALSE)", self.close(&format!("({ratio})"), op, with))
            }
            Measure::Affinity(category) => {
                let share = self.share(category);
                format!("({})", self.close(&share, op, value))
            }
        }
    }

    pub(super) fn cluster(&mut self) -> String {
        self.uses_profiles = true;
        let at = self.at();
        format!("({})", cluster_at(&at))
    }

    pub(super) fn cools(&mut self, below: f64, within: Duration) -> String {
        let sum = self.sum("f");
        let now = below * self.scale.factor(self.at);
        let then = below * self.scale.factor(self.at.plus(within));
        format!("({} AND {})", self.close(&sum, Op::Ge, now), self.close(&sum, Op::Lt, then))
    }

    pub(super) fn rose(&mut self, period: &Period) -> String {
        let when = self.when("o.at", period);
        any(&format!("SELECT 1 FROM moments o WHERE o.recipient_id = r.id AND o.kind = 'rose' AND {when}"))
    }

    fn sum(&mut self, column: &str) -> String {
        self.uses_profiles = true;
        let at = self.at();
        sum_at(column, &at)
    }

    /// A category's share of all points above zero; all fade alike, so that sums can be compared.
    fn share(&mut self, category: &str) -> String {
        self.uses_profiles = true;
        let at = self.at();
        let category = self.bind(category);
        format!(
            "COALESCE(CASE WHEN p.last_at > {at} THEN (
                SELECT SUM(CASE WHEN x.category = {category} THEN x.fa ELSE 0.0 END) / SUM(x.fa) FROM (
                    SELECT e.category, SUM(e.fa) AS fa FROM score_entries e
                    WHERE e.recipient_id = r.id AND e.at <= {at} AND e.category IS NOT NULL
                    GROUP BY e.category HAVING SUM(e.fa) > 0) x)
             WHEN p.fa > 0 THEN (SELECT a.fa / p.fa FROM affinities a
                WHERE a.recipient_id = r.id AND a.category = {category} AND a.fa > 0) END, 0.0)"
        )
    }
}
