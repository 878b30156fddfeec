//! The arithmetic of fading: what a forward-decayed sum is worth at an instant.

use std::time::Duration;

use super::{ClusterRules, ScoreRules};
use crate::domain::time::Micros;

/// Relative slack of comparisons with a threshold. Four clicks of five points at one instant are
/// twenty points, although their decayed sum may round to a little less.
pub const TIE: f64 = 1e-9;

/// The half-life of the recent score that momentum compares with the long one.
const RECENT: Duration = Duration::from_secs(7 * 86_400);

/// Exponents end here: below lies nothing that counts, above nothing that a double can hold.
const MAX_EXPONENT: f64 = 1_000.0;

/// When (t - landmark) has grown to so many half-lives, the landmark moves on.
const REBASE_AT: f64 = 400.0;

/// How stored sums are to be read. A sum `F = Σ pᵢ · 2^((tᵢ - L)/h)` is worth
/// `F · 2^-((t - L)/h)` points at the instant `t`, for whatever `t` from its last action on
/// (forward decay: Cormode, Shkapenyuk, Srivastava, Xu, ICDE 2009).
///
/// A double adds with a relative error of 2⁻⁵³, and an exponent up to 500 adds less than 2⁻⁴³, so
/// that a sum of *n* entries is right within `(n · 2⁻⁵³ + 2⁻⁴³) · Σ|pᵢ|`: a plain sum stays inside
/// the promised `1e-9 · Σ|pᵢ|` for millions of actions of one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// The instant *L* that sums refer to.
    pub landmark: Micros,
    /// Time in which a score halves.
    pub half_life: Duration,
    /// Time in which affinities halve.
    pub affinity_half_life: Duration,
}

impl Scale {
    /// A scale under the rules; the landmark may be any instant that is not far from those asked for.
    #[must_use]
    pub fn of(score: &ScoreRules, cluster: &ClusterRules, landmark: Micros) -> Self {
        Self { landmark, half_life: score.half_life, affinity_half_life: cluster.half_life }
    }

    /// `2^((t - L)/h)`: an action's points times this are its share of `profiles.f`, and
    /// `score(t) >= x` is `f >= x · factor(t)`.
    #[must_use]
    pub fn factor(&self, t: Micros) -> f64 {
        self.power(t, self.half_life)
    }

    /// The same for `f7`, the score with a half-life of seven days.
    #[must_use]
    pub fn recent_factor(&self, t: Micros) -> f64 {
        self.power(t, RECENT)
    }

    /// The same for `fa`, the affinities.
    #[must_use]
    pub fn affinity_factor(&self, t: Micros) -> f64 {
        self.power(t, self.affinity_half_life)
    }

    /// `momentum(t) = f7 / f · momentum_factor(t)`; see [`Self::momentum`].
    #[must_use]
    pub fn momentum_factor(&self, t: Micros) -> f64 {
        let exponent = exponent(t, self.landmark, self.half_life) - exponent(t, self.landmark, RECENT);
        exponent.clamp(-MAX_EXPONENT, MAX_EXPONENT).exp2() * (micros(self.half_life) / micros(RECENT))
    }

    /// The score at `t` of a person whose last action is not later than `t`.
    #[must_use]
    pub fn score(&self, f: f64, t: Micros) -> f64 {
        f / self.factor(t)
    }

    /// The recent score over the long one, each per day of half-life; above 1 is warming up. There
    /// is none without a score above zero.
    #[must_use]
    pub fn momentum(&self, f: f64, f7: f64, t: Micros) -> Option<f64> {
        (f > 0.0).then(|| f7 / f * self.momentum_factor(t))
    }

    /// The first instant at which a score that is worth `score` at `t` is below `threshold`, if
    /// nothing happens: `t + h · log2(score/threshold)`. None when it never will be.
    #[must_use]
    pub fn score_falls_below(&self, threshold: f64, score: f64, t: Micros) -> Option<Micros> {
        falls_below(threshold, score, t, self.half_life)
    }

    /// The same for an affinity.
    #[must_use]
    pub fn affinity_falls_below(&self, threshold: f64, points: f64, t: Micros) -> Option<Micros> {
        falls_below(threshold, points, t, self.affinity_half_life)
    }

    /// Whether the landmark lies so far back that sums at `now` should be moved to a later one.
    #[must_use]
    pub fn is_stale(&self, now: Micros) -> bool {
        let shortest = self.half_life.min(self.affinity_half_life).min(RECENT);
        exponent(now, self.landmark, shortest) >= REBASE_AT
    }

    /// What `f`, `f7` and `fa` are to be multiplied by, so that they refer to the landmark `to`.
    #[must_use]
    pub fn rebase(&self, to: Micros) -> (Self, [f64; 3]) {
        let factors = [1.0 / self.factor(to), 1.0 / self.recent_factor(to), 1.0 / self.affinity_factor(to)];
        (Self { landmark: to, ..*self }, factors)
    }

    fn power(&self, t: Micros, half_life: Duration) -> f64 {
        exponent(t, self.landmark, half_life).clamp(-MAX_EXPONENT, MAX_EXPONENT).exp2()
    }
}

/// Half-lives from `landmark` to `t`.
fn exponent(t: Micros, landmark: Micros, half_life: Duration) -> f64 {
    t.0.saturating_sub(landmark.0) as f64 / micros(half_life)
}

/// At least one, so that nothing is divided by zero.
fn micros(d: Duration) -> f64 {
    (d.as_micros() as f64).max(1.0)
}

fn falls_below(threshold: f64, value: f64, t: Micros, half_life: Duration) -> Option<Micros> {
    if threshold <= 0.0 {
        return None;
    }
    if value < threshold * (1.0 - TIE) {
        return Some(t);
    }
    // Conversion saturates: what lasts longer than the range of time lasts to its end.
    let lasts = (micros(half_life) * (value / threshold).log2()).max(0.0) as i64;
    Some(Micros(t.0.saturating_add(lasts).saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn days(n: u64) -> Duration {
        Duration::from_secs(n * 86_400)
    }

    fn scale() -> Scale {
        Scale { landmark: Micros(1_700_000_000_000_000), half_life: days(30), affinity_half_life: days(90) }
    }

    #[test]
    fn twenty_points_are_ten_after_a_half_life() {
        let at = Micros(scale().landmark.0 + 11 * DAY);
        let f = 20.0 * scale().factor(at);
        assert!((scale().score(f, at.plus(days(30))) - 10.0).abs() < 1e-12);
    }

    #[test]
    fn points_per_day_that_never_change_have_a_momentum_near_one() {
        let (mut f, mut f7) = (0.0, 0.0);
        let start = scale().landmark;
        for day in 0..400 {
            let at = start.plus(days(day));
            f += scale().factor(at);
            f7 += scale().recent_factor(at);
        }
        let momentum = scale().momentum(f, f7, start.plus(days(399))).unwrap();
        assert!((momentum - 1.0).abs() < 0.05, "{momentum}");
        assert_eq!(scale().momentum(0.0, 0.0, start), None);
    }

    #[test]
    fn times_far_from_the_landmark_stay_finite() {
        for at in [Micros(i64::MIN), Micros(0), Micros(i64::MAX)] {
            let s = scale();
            for factor in [s.factor(at), s.recent_factor(at), s.affinity_factor(at), s.momentum_factor(at)] {
                assert!(factor.is_finite() && factor > 0.0, "{factor} at {at:?}");
            }
        }
    }

    #[test]
    fn a_score_below_a_threshold_of_zero_never_comes_by_fading() {
        assert_eq!(scale().score_falls_below(0.0, 3.0, Micros(5)), None);
        assert_eq!(scale().score_falls_below(20.0, 3.0, Micros(5)), Some(Micros(5)));
        assert_eq!(scale().score_falls_below(20.0, 20.0, Micros(5)), Some(Micros(6)));
    }

    proptest! {
        #[test]
        fn falls_below_names_the_microsecond(
            score in 20.0..1e6_f64, threshold in 0.1..20.0_f64, after in 0..3_000 * DAY,
        ) {
            let t = Micros(scale().landmark.0 + after);
            let f = score * scale().factor(t);
            let falls = scale().score_falls_below(threshold, score, t).unwrap();
            let then = scale().score(f, falls);
            prop_assert!((then - threshold).abs() <= threshold * 1e-10, "{then} is not {threshold}");
            prop_assert!(scale().score(f, Micros(falls.0 - 1_000_000)) > threshold);
            prop_assert!(scale().score(f, Micros(falls.0 + 1_000_000)) < threshold);
        }

        #[test]
        fn a_rebase_changes_no_score(points in -100.0..100.0_f64, at in 0..3_000 * DAY, to in 0..3_000 * DAY) {
            let (old, at) = (scale(), Micros(scale().landmark.0 + at));
            let (new, [c, c7, ca]) = old.rebase(Micros(old.landmark.0 + to));
            let later = at.plus(days(40));
            for (before, after) in [
                (old.score(points * old.factor(at), later), new.score(points * old.factor(at) * c, later)),
                (points * old.recent_factor(at) / old.recent_factor(later), points * old.recent_factor(at) * c7 / new.recent_factor(later)),
                (points * old.affinity_factor(at) / old.affinity_factor(later), points * old.affinity_factor(at) * ca / new.affinity_factor(later)),
            ] {
                prop_assert!((before - after).abs() <= 1e-11 * points.abs());
            }
        }
    }
}
