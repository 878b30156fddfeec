//! How much to claim: five seconds of work at the rate that was seen.

use std::time::Duration;

use tokio::time::Instant;

const HOLD_SECONDS: f64 = 5.0;
const MOST: usize = 2_000;

/// Claims begin with this many, until a rate was seen.
const BEGIN: f64 = 200.0;

const INTERVAL: Duration = Duration::from_millis(200);

/// Messages per second as seen, and what follows from it.
pub(super) struct Pace {
    /// The limits' sum, per second.
    ceiling: f64,
    rate: f64,
    seen: Option<(u64, Instant)>,
}

impl Pace {
    /// Nothing seen yet; `ceiling` is what the limits allow, per second.
    pub fn new(ceiling: f64) -> Self {
        Self { ceiling, rate: (BEGIN / HOLD_SECONDS).min(ceiling), seen: None }
    }

    /// Takes the number of finished messages into account.
    pub fn measure(&mut self, outcomes: u64, now: Instant) {
        let Some((before, then)) = self.seen else {
            self.seen = Some((outcomes, now));
            return;
        };
        let passed = now - then;
        if passed < INTERVAL {
            return;
        }
        let rate = (outcomes - before) as f64 / passed.as_secs_f64();
        self.rate = (0.5 * self.rate + 0.5 * rate).max(0.2).min(self.ceiling);
        self.seen = Some((outcomes, now));
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
        let mut pace = Pace::new(f64::INFINITY);
        for second in 0..30u64 {
            pace.measure(second * 100, start + Duration::from_secs(second));
        }
        assert!((495..=500).contains(&pace.window()), "{}", pace.window());
        for second in 30..60u64 {
            pace.measure(second * 100_000, start + Duration::from_secs(second));
        }
        assert_eq!(pace.window(), MOST);
        assert_eq!(Pace::new(0.01).window(), 1);
    }
}
