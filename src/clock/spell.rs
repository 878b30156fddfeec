//! What the log is told of something that is tried again and again, and fails for a while.

use std::time::Duration;

use tokio::time::Instant;

/// For so long the log hears nothing more of it.
const QUIET: Duration = Duration::from_secs(60);

/// A spell of failures. The log is told of the first, of one a minute while they last, and of their end. What comes and
/// goes is told once a minute, too. True time, also beside a fast clock.
#[derive(Debug, Default)]
pub struct Spell {
    told: Option<Instant>,
    open: bool,
}

impl Spell {
    /// It failed; whether the log is told.
    #[must_use]
    pub fn failed(&mut self) -> bool {
        let tells = self.told.is_none_or(|told| told.elapsed() >= QUIET);
        if tells {
            *self = Self { told: Some(Instant::now()), open: true };
        }
        tells
    }

    /// It succeeded; whether the log, which was told of a failure, is told that this is over.
    #[must_use]
    pub fn ended(&mut self) -> bool {
        std::mem::take(&mut self.open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these tries, one every quarter of a second, the log is told of.
    async fn told(spell: &mut Spell, tries: usize, fails: impl Fn(usize) -> bool) -> Vec<(usize, &'static str)> {
        let mut told = Vec::new();
        for n in 0..tries {
            if fails(n) {
                told.extend(spell.failed().then_some((n, "failed")));
            } else {
                told.extend(spell.ended().then_some((n, "ended")));
            }
            tokio::time::advance(Duration::from_millis(250)).await;
        }
        told
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_lasts_is_told_at_once_then_every_minute_and_its_end_once() {
        let found = told(&mut Spell::default(), 1_000, |n| (100..600).contains(&n)).await;
        assert_eq!(found, [(100, "failed"), (340, "failed"), (580, "failed"), (600, "ended")]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_comes_and_goes_is_told_once_a_minute() {
        let found = told(&mut Spell::default(), 480, |n| n % 2 == 0).await;
        assert_eq!(found, [(0, "failed"), (1, "ended"), (240, "failed"), (241, "ended")]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_fails_is_never_told() {
        assert_eq!(told(&mut Spell::default(), 10, |_| false).await, []);
    }
}
