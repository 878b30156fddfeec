//! Time and randomness enter the house here, and nowhere else.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::time::Instant;

use crate::domain::time::Micros;

/// A clock, cheap to clone; all clones agree.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    System,
    Fast { origin: Micros, started: Instant, factor: f64 },
}

impl Clock {
    /// The machine's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Kind::System))
    }

    /// A clock that starts now at `origin` and runs `factor` times as fast; for demonstrations.
    #[must_use]
    pub fn fast(origin: Micros, factor: f64) -> Self {
        Self(Arc::new(Kind::Fast { origin, started: Instant::now(), factor }))
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Micros {
        match &*self.0 {
            Kind::System => system_now(),
            Kind::Fast { origin, started, factor } => origin.plus(started.elapsed().mul_f64(*factor)),
        }
    }

    /// Waits until this clock has moved on by `d`.
    pub async fn sleep(&self, d: Duration) {
        match &*self.0 {
            Kind::System => tokio::time::sleep(d).await,
            Kind::Fast { factor, .. } => tokio::time::sleep(d.div_f64(*factor)).await,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
fn system_now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A generator seeded by the machine, for jitter and sampling; never for secrets.
#[must_use]
pub fn random() -> StdRng {
    let mut seed = [0; 32];
    // A machine without entropy does not get this far: its keys come from the same source.
    let _ = aws_lc_rs::rand::fill(&mut seed);
    StdRng::from_seed(seed)
}

/// Octets fit for keys and salts.
///
/// # Panics
/// When the machine has no source of entropy.
#[must_use]
pub fn secret<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the machine has a source of entropy");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fast_clock_passes_a_day_in_a_second() {
        let clock = Clock::fast(Micros(0), 86_400.0);
        clock.sleep(Duration::from_secs(86_400)).await;
        let day = clock.now().seconds_since(Micros(0)) / 86_400.0;
        assert!((day - 1.0).abs() < 0.01, "{day}");
    }
}
