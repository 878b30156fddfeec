//! A rate that yields: it halves when a receiver asks us to slow down, and rises again in steps.
//!
//! Times are counted from any start that the caller keeps to.

use std::time::Duration;

use super::rate::Rate;

/// Share of the full rate by which one step rises.
const STEP: f64 = 0.125;

/// Messages per second that are tried in any case, one a minute, so that an end is noticed.
const FLOOR: f64 = 1.0 / 60.0;

/// Refusals within this share of the quiet time after a fall answer what was under way before it.
const ECHO: f64 = 1.0 / 12.0;

/// Who is to slow down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The relay as a whole.
    Relay,
    /// The recipient's domain at that relay.
    Domain,
}

impl Scope {
    /// The word in rules and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Domain => "domain",
        }
    }
}

/// A rate below what it was when the first refusal came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slowing {
    full: f64,
    rate: f64,
    quiet: Duration,
    fell_at: Duration,
    /// Since when nothing was refused, or when it rose last.
    quiet_since: Duration,
}

impl Slowing {
    /// Falls from `full` messages per second. It rises by a step after each `quiet` time.
    #[must_use]
    pub fn begin(full: f64, quiet: Duration, now: Duration) -> Self {
        let full = full.max(FLOOR);
        Self { full, rate: (full / 2.0).max(FLOOR), quiet, fell_at: now, quiet_since: now }
    }

    /// Takes another refusal into account; tells whether the rate fell.
    pub fn refused(&mut self, now: Duration) -> bool {
        self.quiet_since = self.quiet_since.max(now);
        if now < self.fell_at + self.quiet.mul_f64(ECHO) {
            return false;
        }
        self.fell_at = now;
        let before = self.rate;
        self.rate = (before / 2.0).max(FLOOR);
        self.rate < before
    }

    /// Lets time pass; tells whether the rate rose.
    pub fn rest(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.quiet_since).as_secs_f64();
        let steps = (passed / self.quiet.as_secs_f64().max(f64::MIN_POSITIVE)).floor().min(1.0 / STEP);
        if steps < 1.0 {
            return false;
        }
        self.quiet_since = now;
        self.rate = (self.rate + steps * STEP * self.full).min(self.full);
        true
    }

    /// When it rises next, if nothing is refused.
    #[must_use]
    pub fn rises_at(&self) -> Duration {
        self.quiet_since + self.quiet
    }

    /// Messages per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.rate
    }

    /// Messages per second when it began.
    #[must_use]
    pub fn full(&self) -> f64 {
        self.full
    }

    /// Whether it has risen to where it fell from, so that it limits nothing any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.rate >= self.full
    }

    /// The rate as a limit, which allows no burst worth the name.
    #[must_use]
    pub fn limit(&self) -> Rate {
        let window = if self.rate < 0.1 { self.rate.recip() } else { 10.0 };
        // Conversion saturates.
        let count = (self.rate * window).round().max(1.0) as u32;
        Rate { count, per: Duration::from_secs_f64(window) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUIET: Duration = Duration::from_secs(60);

    #[test]
    fn it_halves_once_for_refusals_of_one_cause_and_rises_by_an_eighth_of_the_full_rate() {
        let at = Duration::from_secs;
        let mut slowing = Slowing::begin(80.0, QUIET, at(0));
        assert_eq!(slowing.per_second(), 40.0);
        assert!(!slowing.refused(at(4)), "what was under way");
        assert!(slowing.refused(at(5)));
        assert_eq!(slowing.per_second(), 20.0);
        assert!(!slowing.rest(at(64)) && slowing.rest(at(65)) && !slowing.rest(at(66)));
        assert_eq!(slowing.per_second(), 30.0);
        assert!(slowing.rest(at(65 + 5 * 60)));
        assert!(slowing.is_over() && slowing.per_second() == 80.0);
    }

    #[test]
    fn one_message_a_minute_is_always_tried() {
        let mut slowing = Slowing::begin(1_000.0, QUIET, Duration::ZERO);
        for minute in 1..100 {
            slowing.refused(QUIET * minute);
        }
        assert_eq!(slowing.limit(), Rate { count: 1, per: QUIET });
        assert!(!slowing.refused(QUIET * 200));
    }

    proptest! {
        #[test]
        fn whatever_happens_it_stays_in_bounds_falls_on_refusals_only_and_recovers(
            full in 0.001f64..100_000.0,
            quiet in 1u64..600,
            events in prop::collection::vec((any::<bool>(), 0u64..200_000), 0..60),
        ) {
            let quiet = Duration::from_secs(quiet);
            let mut now = Duration::ZERO;
            let mut slowing = Slowing::begin(full, quiet, now);
            let full = slowing.full();
            for (refused, pause) in events {
                now += Duration::from_millis(pause);
                let before = slowing.per_second();
                if refused {
                    let fell = slowing.refused(now);
                    prop_assert_eq!(fell, slowing.per_second() < before);
                    prop_assert!(slowing.per_second() >= before / 2.0);
                    prop_assert!(!slowing.rest(now), "a refusal begins the quiet time anew");
                } else {
                    let due = slowing.rises_at() <= now;
                    prop_assert_eq!(slowing.rest(now), due);
                    prop_assert!(slowing.per_second() >= before);
                }
                prop_assert!((FLOOR..=full.max(FLOOR)).contains(&slowing.per_second()));
                let limit = slowing.limit();
                let allowed = limit.per_second() / slowing.per_second();
                prop_assert!((0.66..=1.5).contains(&allowed), "{limit:?} for {}", slowing.per_second());
            }
            for _ in 0..8 {
                now += quiet;
                slowing.rest(now);
            }
            prop_assert!(slowing.is_over(), "eight quiet times heal everything");
        }
    }
}
