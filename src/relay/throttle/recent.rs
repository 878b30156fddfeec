//! What was let through lately: how fast a relay, or a domain at it, was written to.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// Not longer than this.
const SPAN: Duration = Duration::from_secs(60);

/// Messages of so long are counted together; a shorter span says too little, too.
const SECOND: Duration = Duration::from_secs(1);

/// Keys that are told apart at most. Others seem to be written to not at all, until one of these has not come for a minute.
const KEYS: usize = 65_536;

/// The messages of the last minute, counted by second and key.
#[derive(Debug, Default)]
pub(super) struct Recent {
    seconds: VecDeque<Second>,
    /// By key the seconds in which it came, with its messages. Most come again and again: each stands here once.
    keys: HashMap<String, VecDeque<(u32, u32)>>,
}

#[derive(Debug)]
struct Second {
    number: u32,
    start: Instant,
    all: u32,
}

impl Recent {
    /// Counts one.
    pub(super) fn add(&mut self, key: &str, now: Instant) {
        if self.seconds.back().is_none_or(|last| now.saturating_duration_since(last.start) >= SECOND) {
            self.begin_second(now);
        }
        let Some(second) = self.seconds.back_mut() else { return };
        second.all += 1;
        if let Some(counts) = self.keys.get_mut(key) {
            match counts.back_mut() {
                Some((number, count)) if *number == second.number => *count += 1,
                _ => counts.push_back((second.number, 1)),
            }
        } else if self.keys.len() < KEYS {
            self.keys.insert(key.to_owned(), [(second.number, 1)].into());
        }
    }

    /// Forgets what is older than a minute, and who has not come since.
    fn begin_second(&mut self, now: Instant) {
        let number = self.seconds.back().map_or(0, |last| last.number + 1);
        self.seconds.retain(|second| now.saturating_duration_since(second.start) <= SPAN);
        self.seconds.push_back(Second { number, start: now, all: 0 });
        let first = self.seconds[0].number;
        self.keys.retain(|_, counts| {
            while counts.front().is_some_and(|(number, _)| *number < first) {
                counts.pop_front();
            }
            !counts.is_empty()
        });
    }

    /// Messages per second of one key, or of all.
    pub(super) fn per_second(&self, key: Option<&str>, now: Instant) -> f64 {
        let young = || self.seconds.iter().filter(|second| now.saturating_duration_since(second.start) <= SPAN);
        let Some(first) = young().next() else { return 0.0 };
        let count: u32 = match key {
            None => young().map(|second| second.all).sum(),
            Some(key) => {
                let counts = self.keys.get(key).into_iter().flatten();
                counts.filter(|(number, _)| *number >= first.number).map(|(_, count)| count).sum()
            }
        };
        f64::from(count) / now.saturating_duration_since(first.start).max(SECOND).as_secs_f64()
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

    #[tokio::test(start_paused = true)]
    async fn who_has_not_come_for_a_minute_makes_room() {
        let mut recent = Recent::default();
        for n in 0..2 * KEYS {
            recent.add(&format!("{n}.example"), Instant::now());
        }
        assert_eq!(recent.keys.len(), KEYS);
        assert_eq!(recent.per_second(None, Instant::now()), 2.0 * KEYS as f64, "those without a place count for all");
        for _ in 0..200 {
            tokio::time::advance(SECOND).await;
            recent.add("a.example", Instant::now());
            recent.add("a.example", Instant::now());
        }
        let now = Instant::now();
        assert_eq!((recent.keys.len(), recent.seconds.len(), recent.keys["a.example"].len()), (1, 61, 61));
        assert_eq!(recent.per_second(Some("a.example"), now), recent.per_second(None, now));
        assert_eq!(recent.per_second(Some("0.example"), now), 0.0);
        tokio::time::advance(SPAN / 2).await;
        let now = Instant::now();
        assert_eq!(recent.per_second(Some("a.example"), now), recent.per_second(None, now));
    }
}
