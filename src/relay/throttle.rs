//! What limits the rate: per relay, per recipient domain at a relay, per campaign.
//!
//! A message passes all its limits or uses none of them. A limit of `N` in a time holds for every
//! window of that length, wherever it begins, and at least 97 % of it is used while there is work.

mod limiter;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use self::limiter::Limiter;
use crate::domain::rate::Rate;
use crate::domain::relay::RelayConfig;

/// Domains that have not been written to are forgotten this often.
const SWEEP: Duration = Duration::from_secs(60);

/// Whose limits a message must pass.
#[derive(Clone, Copy, Debug)]
pub struct Passage<'a> {
    /// The relay that shall take it.
    pub relay: &'a str,
    /// The recipient's domain, in lower-case A-labels.
    pub domain: &'a str,
    /// The campaign it belongs to; notices have none.
    pub campaign: Option<&'a str>,
}

/// How many times a limit made a message wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// The limit of a relay.
    pub relay: u64,
    /// The limit of a recipient domain.
    pub domain: u64,
    /// The limit of a campaign.
    pub campaign: u64,
}

/// All limits of a process.
pub struct Throttle(Mutex<Limits>);

struct Limits {
    /// Every limiter counts from here.
    start: Instant,
    relays: HashMap<String, RelayLimits>,
    campaigns: HashMap<String, Limiter>,
    waits: Waits,
    swept: Instant,
}

#[derive(Default)]
struct RelayLimits {
    total: Option<Limiter>,
    domain_default: Option<Rate>,
    domain_rates: BTreeMap<String, Rate>,
    domains: HashMap<String, Limiter>,
}

impl RelayLimits {
    fn domain_rate(&self, domain: &str) -> Option<Rate> {
        self.domain_rates.get(domain).copied().or(self.domain_default)
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

impl Throttle {
    /// No limits yet.
    #[must_use]
    pub fn new() -> Self {
        let start = Instant::now();
        Self(Mutex::new(Limits {
            start,
            relays: HashMap::new(),
            campaigns: HashMap::new(),
            waits: Waits::default(),
            swept: start,
        }))
    }

    /// Sets the limits of a relay, now or at any later time. What was used of the old ones counts.
    pub fn set_relay(&self, config: &RelayConfig) {
        let mut limits = self.lock();
        let start = limits.start;
        let relay = limits.relays.entry(config.name.clone()).or_default();
        set(&mut relay.total, config.rate, start);
        relay.domain_default = config.per_domain_default;
        relay.domain_rates.clone_from(&config.per_domain);
        let mut domains = std::mem::take(&mut relay.domains);
        domains.retain(|domain, limiter| relay.domain_rate(domain).map(|rate| limiter.set(rate)).is_some());
        relay.domains = domains;
    }

    /// Sets or lifts the limit of a campaign, now or at any later time.
    pub fn set_campaign(&self, campaign: &str, rate: Option<Rate>) {
        let mut limits = self.lock();
        let start = limits.start;
        let mut limiter = limits.campaigns.remove(campaign);
        set(&mut limiter, rate, start);
        if let Some(limiter) = limiter {
            limits.campaigns.insert(campaign.to_owned(), limiter);
        }
    }

    /// Lets one message pass now.
    ///
    /// # Errors
    /// When to ask again: before that it cannot pass, and then it can unless others were faster.
    pub fn try_admit(&self, passage: Passage<'_>) -> Result<(), Instant> {
        let mut limits = self.lock();
        let now = Instant::now();
        limits.sweep(now);
        limits.try_admit(passage, now)
    }

    /// Waits until one message passes. Dropping the future uses nothing.
    pub async fn admit(&self, passage: Passage<'_>) {
        while let Err(again) = self.try_admit(passage) {
            tokio::time::sleep_until(again).await;
        }
    }

    /// How many times a limit said "later", by the one that lay furthest ahead.
    #[must_use]
    pub fn waits(&self) -> Waits {
        self.lock().waits
    }

    fn lock(&self) -> MutexGuard<'_, Limits> {
        // Nothing under the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limits {
    fn try_admit(&mut self, passage: Passage<'_>, now: Instant) -> Result<(), Instant> {
        let mut total = None;
        let mut domain = None;
        if let Some(relay) = self.relays.get_mut(passage.relay) {
            if let Some(rate) = relay.domain_rate(passage.domain)
                && !relay.domains.contains_key(passage.domain)
            {
                relay.domains.insert(passage.domain.to_owned(), Limiter::new(rate, self.start));
            }
            total = relay.total.as_ref();
            domain = relay.domains.get(passage.domain);
        }
        let campaign = passage.campaign.and_then(|name| self.campaigns.get(name));
        let waits = &mut self.waits;
        let asked = [(total, &mut waits.relay), (domain, &mut waits.domain), (campaign, &mut waits.campaign)];
        let latest = asked
            .into_iter()
            .filter_map(|(limiter, waits)| Some((limiter?.propose(now).err()?, waits)))
            .max_by_key(|(again, _)| *again);
        if let Some((again, waits)) = latest {
            *waits += 1;
            return Err(again);
        }
        [total, domain, campaign].into_iter().flatten().for_each(Limiter::commit);
        Ok(())
    }

    /// Forgets domains whose limit stands as if it had never been used.
    fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        for relay in self.relays.values_mut() {
            relay.domains.retain(|_, limiter| !limiter.is_idle(now));
        }
    }
}

fn set(limiter: &mut Option<Limiter>, rate: Option<Rate>, start: Instant) {
    match (limiter.as_mut(), rate) {
        (Some(limiter), Some(rate)) => limiter.set(rate),
        (_, rate) => *limiter = rate.map(|rate| Limiter::new(rate, start)),
    }
}

#[cfg(test)]
mod tests;
