//! What limits the rate: per relay, per recipient domain at a relay, per campaign.
//!
//! A message passes all its limits or uses none of them. A limit of `N` in a time holds for every
//! window of that length, wherever it begins, and at least 97 % of it is used while there is work.
//!
//! A relay, or a domain at it, that asks for that slows down by itself and recovers; see
//! [`crate::domain::slowing`].

mod limiter;
mod recent;
mod slow;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use self::limiter::Limiter;
use self::recent::Recent;
pub use self::slow::Change;
use self::slow::{Slows, WHOLE};
use crate::domain::rate::Rate;
use crate::domain::relay::{DEFAULT_QUIET, RelayConfig};
use crate::domain::slowing::Scope;

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
pub struct Throttle {
    limits: Mutex<Limits>,
    /// Whether anything has slowed down or a recovery is to be told.
    slow: AtomicBool,
}

struct Limits {
    /// Every limiter counts from here.
    start: Instant,
    relays: HashMap<String, RelayLimits>,
    campaigns: HashMap<String, Limiter>,
    waits: Waits,
    swept: Instant,
}

struct RelayLimits {
    total: Option<Limiter>,
    domain_default: Option<Rate>,
    domain_rates: BTreeMap<String, Rate>,
    domains: HashMap<String, Limiter>,
    recent: Recent,
    slows: Slows,
    quiet: Duration,
}

impl Default for RelayLimits {
    fn default() -> Self {
        let (total, domain_default, domain_rates, domains, recent, slows) = Default::default();
        Self { total, domain_default, domain_rates, domains, recent, slows, quiet: DEFAULT_QUIET }
    }
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
        let (relays, campaigns, waits) = Default::default();
        Self {
            limits: Mutex::new(Limits { start, relays, campaigns, waits, swept: start }),
            slow: AtomicBool::new(false),
        }
    }

    /// Sets the limits of a relay, now or at any later time. What was used of the old ones counts.
    pub fn set_relay(&self, config: &RelayConfig) {
        let mut limits = self.lock();
        let start = limits.start;
        let relay = limits.relays.entry(config.name.clone()).or_default();
        set(&mut relay.total, config.rate, start);
        relay.quiet = config.slow_down_quiet;
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
        limits.try_admit(passage, now, true)
    }

    /// How long one message would have to wait now. Uses nothing.
    #[must_use]
    pub fn wait(&self, passage: Passage<'_>) -> Duration {
        let now = Instant::now();
        self.lock().try_admit(passage, now, false).map_or_else(|again| again - now, |()| Duration::ZERO)
    }

    /// Waits until one message passes. Dropping the future uses nothing.
    pub async fn admit(&self, passage: Passage<'_>) {
        while let Err(again) = self.try_admit(passage) {
            tokio::time::sleep_until(again).await;
        }
    }

    /// Takes into account that a receiver asked for less, in these codes.
    pub fn refused(&self, relay: &str, domain: &str, scope: Scope, reason: String) {
        let mut limits = self.lock();
        let (now, start) = (Instant::now(), limits.start);
        let Some(of) = limits.relays.get_mut(relay) else { return };
        let (key, limit, seen) = match scope {
            Scope::Relay => (WHOLE, of.total.as_ref().map(Limiter::rate), of.recent.per_second(None, now)),
            Scope::Domain => (domain, of.domain_rate(domain), of.recent.per_second(Some(domain), now)),
        };
        let full = limit.map_or(seen, |limit| seen.min(limit.per_second()));
        of.slows.refused(key, full, of.quiet, reason, now, start);
        self.slow.store(true, Ordering::Relaxed);
    }

    /// What has slowed down or risen again since this was asked last. Somebody must ask now and then.
    pub fn changes(&self) -> Vec<Change> {
        if !self.slow.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut limits = self.lock();
        let (now, start) = (Instant::now(), limits.start);
        let mut changes = Vec::new();
        let mut slow = false;
        for (name, relay) in &mut limits.relays {
            relay.slows.rest(name, now, start);
            changes.extend(relay.slows.take_changes(name, now));
            slow |= !relay.slows.is_empty();
        }
        self.slow.store(slow, Ordering::Relaxed);
        changes
    }

    /// Messages per second to which a relay, or a domain at it, has slowed down.
    #[must_use]
    pub fn slowed_to(&self, relay: &str, domain: Option<&str>) -> Option<f64> {
        if !self.slow.load(Ordering::Relaxed) {
            return None;
        }
        let limits = self.lock();
        let slow = limits.relays.get(relay)?.slows.get(domain.unwrap_or(WHOLE))?;
        Some(slow.state.per_second())
    }

    /// How many times a limit said "later", by the one that lay furthest ahead.
    #[must_use]
    pub fn waits(&self) -> Waits {
        self.lock().waits
    }

    fn lock(&self) -> MutexGuard<'_, Limits> {
        // Nothing under the lock can panic half-way through a change.
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limits {
    /// Asks all limits, and `takes` from them when all let the message pass.
    fn try_admit(&mut self, passage: Passage<'_>, now: Instant, takes: bool) -> Result<(), Instant> {
        let (mut total, mut domain, mut slow) = (None, None, [None; 2]);
        let mut relay = self.relays.get_mut(passage.relay);
        if let Some(relay) = relay.as_deref_mut() {
            if let Some(rate) = relay.domain_rate(passage.domain)
                && !relay.domains.contains_key(passage.domain)
            {
                relay.domains.insert(passage.domain.to_owned(), Limiter::new(rate, self.start));
            }
            total = relay.total.as_ref();
            domain = relay.domains.get(passage.domain);
            if !relay.slows.is_empty() {
                slow = [WHOLE, passage.domain].map(|key| relay.slows.get(key).map(|slow| &slow.limiter));
            }
        }
        let campaign = passage.campaign.and_then(|name| self.campaigns.get(name));
        let Waits { relay: at_relay, domain: at_domain, campaign: at_campaign } = &mut self.waits;
        let [whole, part] = slow;
        let later = |limiter: Option<&Limiter>| limiter?.propose(now).err();
        let latest = [
            (later(total).max(later(whole)), at_relay),
            (later(domain).max(later(part)), at_domain),
            (later(campaign), at_campaign),
        ];
        let latest =
            latest.into_iter().filter_map(|(again, waits)| Some((again?, waits))).max_by_key(|(again, _)| *again);
        if let Some((again, waits)) = latest {
            *waits += u64::from(takes);
            return Err(again);
        }
        if !takes {
            return Ok(());
        }
        [total, domain, campaign, whole, part].into_iter().flatten().for_each(Limiter::commit);
        if let Some(relay) = relay {
            relay.recent.add(passage.domain, now);
        }
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
