//! What the throttle and whoever draws the amounts of days tell each other.

use std::sync::atomic::Ordering;

use super::Throttle;
use super::budget::{ALL, Slice};
use crate::domain::time::Micros;
use crate::domain::warm_up::{Day, WarmUp};

impl Throttle {
    /// The warm-ups of all relays that have one.
    #[must_use]
    pub fn warm_ups(&self) -> Vec<(String, WarmUp)> {
        if !self.warms.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let limits = self.lock();
        let warm = limits.relays.iter().filter_map(|(name, relay)| Some((name, relay.warm_up.as_ref()?)));
        warm.map(|(name, budgets)| (name.clone(), budgets.config.clone())).collect()
    }

    /// Begins a day of a relay's warm-up; answers with the slices that are wanted.
    pub fn begin_day(&self, relay: &str, day: Day) -> Vec<Slice> {
        let mut limits = self.lock();
        let Some(limits) = limits.relays.get_mut(relay) else { return Vec::new() };
        let Some(budgets) = &mut limits.warm_up else { return Vec::new() };
        if budgets.begin(day) {
            limits.freed.note();
        }
        budgets.wanted(relay)
    }

    /// Takes a slice of a day's amount that was drawn; an empty one says that it is used up.
    pub fn grant(&self, day: Day, slice: &Slice) {
        if let Some(relay) = self.lock().relays.get_mut(&slice.relay)
            && let Some(budgets) = &mut relay.warm_up
        {
            budgets.grant(day.number, slice.domain.as_deref().unwrap_or(ALL), slice.messages);
            relay.freed.note();
        }
    }

    /// Takes what is left of the slices, to be given back: in the order in which all nodes lock the rows.
    #[must_use]
    pub fn take_unused(&self) -> Vec<(Day, Slice)> {
        let mut limits = self.lock();
        let warm = limits.relays.iter_mut().filter_map(|(name, relay)| Some((name, relay.warm_up.as_mut()?)));
        let mut unused: Vec<_> = warm.flat_map(|(name, budgets)| budgets.take_unused(name)).collect();
        unused.sort_unstable_by(|(_, a), (_, b)| (&a.relay, &a.domain).cmp(&(&b.relay, &b.domain)));
        unused
    }

    /// Until when a relay hands nothing more over, or nothing to a domain, because the day's amount
    /// is used up.
    #[must_use]
    pub fn spent_until(&self, relay: &str, domain: Option<&str>) -> Option<Micros> {
        if !self.warms.load(Ordering::Relaxed) {
            return None;
        }
        let limits = self.lock();
        let relay = limits.relays.get(relay)?;
        let key = domain.map(|domain| relay.known_key(domain, &limits.hosts));
        relay.warm_up.as_ref()?.spent_until(key.as_deref())
    }

    /// Waits until slices are wanted; one task waits.
    pub async fn wanting(&self) {
        self.wanting.notified().await;
    }
}
