//! What was let through lately: how fast a relay, or a domain at it, was written to.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use tokio::time::Instant;

/// So many messages are remembered.
const KEPT: usize = 256;

/// Not longer than this.
const SPAN: Duration = Duration::from_secs(60);

/// A short span says too little.
const LEAST: Duration = Duration::from_secs(1);

/// The last messages, by a number for their key.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<(Instant, u64)>);

impl Recent {
    /// Remembers one.
    pub(super) fn add(&mut self, key: &str, now: Instant) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back((now, number(key)));
    }

    /// Messages per second of one key, or of all.
    pub(super) fn per_second(&self, key: Option<&str>, now: Instant) -> f64 {
        let key = key.map(number);
        let young = || self.0.iter().filter(|(at, _)| now.saturating_duration_since(*at) <= SPAN);
        let Some((first, _)) = young().next() else { return 0.0 };
        let count = young().filter(|(_, of)| key.is_none_or(|key| key == *of)).count();
        count as f64 / now.saturating_duration_since(*first).max(LEAST).as_secs_f64()
    }
}

fn number(key: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_minute_counts_by_key() {
        let mut recent = Recent::default();
        recent.add("old.example", Instant::now());
        tokio::time::advance(2 * SPAN).await;
        for n in 0..100 {
            recent.add(if n % 4 == 0 { "a.example" } else { "b.example" }, Instant::now());
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        let now = Instant::now();
        assert_eq!(recent.per_second(None, now).round(), 10.0);
        assert_eq!(recent.per_second(Some("a.example"), now), 2.5);
        assert_eq!(recent.per_second(Some("old.example"), now), 0.0);
    }
}
