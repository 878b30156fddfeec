//! How a loop waits between its steps.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Spell;

/// The longest pause after repeated failures.
const LONGEST: Duration = Duration::from_secs(5);

/// Pauses of a polling loop: a fixed one while all is well, growing ones while steps fail.
#[derive(Debug)]
pub(super) struct Pace {
    idle: Duration,
    failures: u32,
    spell: Spell,
}

impl Pace {
    pub(super) fn new(idle: Duration) -> Self {
        Self { idle, failures: 0, spell: Spell::default() }
    }

    /// Takes note of a step: whether there may be more to do at once, or why it failed. Waits, and
    /// says whether to go on.
    pub(super) async fn after<E: std::fmt::Display>(
        &mut self,
        step: Result<bool, E>,
        what: &'static str,
        shutdown: &CancellationToken,
    ) -> bool {
        let pause = match step {
            Ok(more) => {
                self.failures = 0;
                if self.spell.ended() {
                    tracing::info!("{what} goes on");
                }
                if more { Duration::ZERO } else { self.idle }
            }
            Err(error) => {
                self.failures += 1;
                let pause = self.backoff();
                if self.spell.failed() {
                    tracing::warn!(%error, failures = self.failures, ?pause, "{what} failed and tries again");
                }
                pause
            }
        };
        if pause.is_zero() {
            return !shutdown.is_cancelled();
        }
        tokio::select! {
            () = shutdown.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    fn backoff(&self) -> Duration {
        self.idle.max(Duration::from_millis(100)).saturating_mul(1 << self.failures.min(10)).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_failures_up_to_a_bound() {
        let mut pace = Pace::new(Duration::from_millis(250));
        let mut last = Duration::ZERO;
        for failures in 1..40 {
            pace.failures = failures;
            assert!(pace.backoff() >= last && pace.backoff() <= LONGEST);
            last = pace.backoff();
        }
        assert_eq!(last, LONGEST);
    }
}
