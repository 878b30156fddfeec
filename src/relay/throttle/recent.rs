//! What was let through lately: how fast a relay, or a domain at it, was written to.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// Not longer than this.
const SPAN: Duration = Duration::from_secs(60);

/// Messages of so long are counted together; a shorter span says too little, too.
const SECOND: Duration = Duration::from_secs(1);

/// Keys of one second that are told apart at most.
const KEYS: usize = 4_096;

/// The messages of the last minute, counted by second and key.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Second>);

#[derive(Debug)]
struct Second {
    start: Instant,
    all: u64,
    keys: HashMap<String, u64>,
}

impl Recent {
    /// Counts one.
    pub(super) fn add(&mut self, key: &str, now: Instant) {
        if self.0.back().is_none_or(|last| now.saturating_duration_since(last.start) >= SECOND) {
            while self.0.front().is_some_and(|first| now.saturating_duration_since(first.start) > SPAN) {
                self.0.pop_front();
            }
            self.0.push_back(Second { start: now, all: 0, keys: HashMap::new() });
        }
        let Some(second) = self.0.back_mut() else { return };
        second.all += 1;
        if let Some(count) = second.keys.get_mut(key) {
            *count += 1;
        } else if second.keys.len() < KEYS {
            second.keys.insert(key.to_owned(), 1);
        }
    }

    /// Messages per second of one key, or of all.
    pub(super) fn per_second(&self, key: Option<&str>, now: Instant) -> f64 {
        let young = || self.0.iter().filter(|second| now.saturating_duration_since(second.start) <= SPAN);
        let Some(first) = young().next() else { return 0.0 };
        let of = |second: &Second| key.map_or(second.all, |key| second.keys.get(key).copied().unwrap_or(0));
        let count: u64 = young().map(of).sum();
        count as f64 / now.saturating_duration_since(first.start).max(SECOND).as_secs_f64()
    }
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
        for n in 0..20_000 {
            recent.add(if n % 2 == 0 { "a.example" } else { "b.example" }, Instant::now());
            tokio::time::advance(Duration::from_micros(500)).await;
        }
        let seen = recent.per_second(Some("a.example"), Instant::now());
        assert!((500.0..520.0).contains(&seen), "{seen}: ten slow seconds and ten at a thousand");
    }
}
