//! How much to claim: five seconds of work at the rate that was seen.

use std::time::Duration;

use tokio::time::Instant;

const HOLD_SECONDS: f64 = 5.0;
const MOST: usize = 2_000;

/// Claims begin with this many, until a rate was seen.
const BEGIN: f64 = 200.0;

/// The rate never falls below this, so that it can rise again.
const LEAST: f64 = 0.2;

const INTERVAL: Duration = Duration::from_millis(200);

/// Messages per second as seen, and what follows from it.
pub(super) struct Pace {
    rate: f64,
    seen: Option<(u64, Instant)>,
}

impl Pace {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self { rate: BEGIN / HOLD_SECONDS, seen: None }
    }

    /// Takes the number of messages that are done with into account. `ceiling` is what the limits allow at present,
    /// per second.
    pub fn measure(&mut self, done: u64, ceiling: f64, now: Instant) {
        self.rate = self.rate.min(ceiling);
        let Some((before, then)) = self.seen else {
            self.seen = Some((done, now));
            return;
        };
        let passed = now - then;
        if passed < INTERVAL {
            return;
        }
        let rate = (done - before) as f64 / passed.as_secs_f64();
        self.rate = (0.5 * self.rate + 0.5 * rate).max(LEAST).min(ceiling);
        self.seen = Some((done, now));
    }

    /// Messages to have in hand at most.
    pub fn window(&self) -> usize {
        ((self.rate * HOLD_SECONDS) as usize).clamp(1, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_window_is_five_seconds_of_the_rate_seen_and_bounded() {
        let start = Instant::now();
        let mut pace = Pace::new();
        for second in 0..30u64 {
            pace.measure(second * 100, f64::INFINITY, start + Duration::from_secs(second));
        }
        assert!((495..=500).contains(&pace.window()), "{}", pace.window());
        for second in 30..60u64 {
            pace.measure(second * 100_000, f64::INFINITY, start + Duration::from_secs(second));
        }
        assert_eq!(pace.window(), MOST);
        pace.measure(6_000_000, 0.01, start + Duration::from_secs(60));
        assert_eq!(pace.window(), 1, "a limit holds from the moment on at which it is set");
    }
}
