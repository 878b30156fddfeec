//! What has slowed itself down at one relay, and says so once per change.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::limiter::Limiter;
use crate::domain::slowing::Slowing;

/// The relay as a whole; no domain is called so.
pub(super) const WHOLE: &str = "";

/// More that is slow at once does not matter any more.
const MOST: usize = 1_000;

/// Something that has slowed down.
#[derive(Debug)]
pub(super) struct Slow {
    pub state: Slowing,
    pub limiter: Limiter,
    since: Instant,
    reason: String,
}

/// How fast something goes that has slowed down by itself, or that it does so no more.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// At which relay.
    pub relay: String,
    /// Which domain; none: the relay as a whole.
    pub domain: Option<String>,
    /// Messages per second now; none once it has recovered.
    pub per_second: Option<f64>,
    /// Messages per second before.
    pub full: f64,
    /// Whether it goes slower than when it was told last.
    pub fell: bool,
    /// For how long it has been slow.
    pub slow_for: Duration,
    /// What the receiver said, in codes.
    pub reason: String,
}

/// All that is slow at one relay.
#[derive(Debug, Default)]
pub(super) struct Slows {
    slow: BTreeMap<String, Slow>,
    /// With whether it fell.
    changed: BTreeMap<String, bool>,
    over: Vec<Change>,
}

impl Slows {
    pub(super) fn is_empty(&self) -> bool {
        self.slow.is_empty()
    }

    pub(super) fn get(&self, key: &str) -> Option<&Slow> {
        self.slow.get(key)
    }

    /// Takes a refusal into account. `full` is how fast it went before the first.
    pub(super) fn refused(
        &mut self,
        key: &str,
        full: f64,
        quiet: Duration,
        reason: String,
        now: Instant,
        start: Instant,
    ) {
        let at = now.saturating_duration_since(start);
        if let Some(slow) = self.slow.get_mut(key) {
            if slow.state.refused(at) {
                slow.reason = reason;
                slow.limiter.set(slow.state.limit());
                self.changed.insert(key.to_owned(), true);
            }
        } else if self.slow.len() < MOST {
            let state = Slowing::begin(full, quiet, at);
            let limiter = Limiter::new(state.limit(), start);
            self.slow.insert(key.to_owned(), Slow { state, limiter, since: now, reason });
            self.changed.insert(key.to_owned(), true);
        }
    }

    /// Lets what was quiet for long enough rise.
    pub(super) fn rest(&mut self, relay: &str, now: Instant, start: Instant) {
        let at = now.saturating_duration_since(start);
        let Self { slow, changed, over } = self;
        slow.retain(|key, slow| {
            if slow.state.rest(at) {
                slow.limiter.set(slow.state.limit());
                changed.insert(key.clone(), false);
            }
            let ends = slow.state.is_over();
            if ends {
                changed.remove(key);
                over.push(change(relay, key, slow, now, false));
            }
            !ends
        });
    }

    /// What has changed since this was asked last.
    pub(super) fn take_changes(&mut self, relay: &str, now: Instant) -> Vec<Change> {
        let mut changes = std::mem::take(&mut self.over);
        let changed = std::mem::take(&mut self.changed);
        changes
            .extend(changed.iter().filter_map(|(key, fell)| Some(change(relay, key, self.slow.get(key)?, now, *fell))));
        changes
    }
}

fn change(relay: &str, key: &str, slow: &Slow, now: Instant, fell: bool) -> Change {
    Change {
        relay: relay.to_owned(),
        domain: (key != WHOLE).then(|| key.to_owned()),
        per_second: (!slow.state.is_over()).then(|| slow.state.per_second()),
        full: slow.state.full(),
        fell,
        slow_for: now.saturating_duration_since(slow.since),
        reason: slow.reason.clone(),
    }
}
