//! When a deferred message is tried again (RFC 5321 §4.5.4.1).

use std::time::Duration;

use super::time::Micros;

/// A message that is still deferred so long after its first attempt is given up.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(5 * 86_400);

/// Share by which jitter lengthens a pause at most, so that a burst does not return as a burst.
const SPREAD: f64 = 0.2;

/// Pauses in minutes: a few quick ones for greylisting, then at least 30 minutes.
const PAUSES: [u64; 7] = [1, 5, 15, 30, 60, 120, 240];

/// The pause after the attempt of this number, from 1. `jitter` is a random number in `0..1`; it
/// only ever lengthens the pause.
#[must_use]
pub fn next_attempt(attempt: u32, jitter: f64) -> Duration {
    let step = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
    let jitter = if jitter > 0.0 { jitter.min(1.0) } else { 0.0 };
    Duration::from_secs(PAUSES[step] * 60).mul_f64(1.0 + SPREAD * jitter)
}

/// When a message is tried again whose attempt of this number has just been deferred; `None` once
/// that would be later than [`GIVE_UP_AFTER`].
#[must_use]
pub fn due_again(first_attempt: Micros, now: Micros, attempt: u32, jitter: f64) -> Option<Micros> {
    let due = now.plus(next_attempt(attempt, jitter));
    (due <= first_attempt.plus(GIVE_UP_AFTER)).then_some(due)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn quick_tries_come_first_and_later_ones_are_at_least_half_an_hour_apart() {
        let pauses: Vec<Duration> = (0..100).map(|attempt| next_attempt(attempt, 0.0)).collect();
        assert_eq!(pauses[..4], [MINUTE, MINUTE, 5 * MINUTE, 15 * MINUTE]);
        assert!(pauses[4..].iter().all(|pause| *pause >= 30 * MINUTE));
        assert!(pauses.is_sorted());
        assert_eq!(next_attempt(u32::MAX, 0.0), 240 * MINUTE);
    }

    #[test]
    fn jitter_only_lengthens_and_by_a_fifth_at_most() {
        assert_eq!(next_attempt(4, 1.0), 36 * MINUTE);
        assert_eq!(next_attempt(4, f64::INFINITY), 36 * MINUTE);
        assert_eq!(next_attempt(4, -1.0), 30 * MINUTE);
        assert_eq!(next_attempt(4, f64::NAN), 30 * MINUTE);
    }

    #[test]
    fn a_message_is_given_up_after_five_days() {
        let first = Micros(0);
        let mut now = first;
        let mut attempts = 1;
        while let Some(due) = due_again(first, now, attempts, 0.5) {
            (now, attempts) = (due, attempts + 1);
        }
        assert!(now <= first.plus(GIVE_UP_AFTER) && now > first.plus(4 * GIVE_UP_AFTER / 5), "ended at {now}");
        assert!((25..=40).contains(&attempts), "{attempts} attempts");
    }
}
