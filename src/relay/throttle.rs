//! What limits the rate: per relay, per recipient domain at a relay, per campaign.
//!
//! A message passes all its limits or uses none of them. A limit of `N` in a time holds for every
//! window of that length, wherever it begins, and at least 97 % of it is used while there is work.
//!
//! A relay, or a domain at it, that asks for that slows down by itself and recovers; see
//! [`crate::domain::slowing`]. Only so many messages to one domain are in hand over at once, and while a
//! relay warms up only so many leave by day.
//!
//! Of all limits of a rate a node has the part that falls into its share, see [`crate::domain::share`].

mod budget;
mod hosts;
mod limiter;
mod pass;
mod recent;
mod relay;
mod shared;
mod sharing;
mod slow;
mod warming;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::budget::Slice;
pub use self::hosts::Found;
use self::hosts::Hosts;
use self::limiter::Limiter;
use self::pass::Taken;
pub use self::pass::{Freed, Hold, Pass};
use self::relay::{RelayLimits, Taking};
use self::sharing::Sharing;
pub use self::slow::Change;
use self::slow::WHOLE;
use crate::domain::rate::Rate;
use crate::domain::relay::RelayConfig;
use crate::domain::slowing::Scope;

/// Domains that have not been written to are forgotten this often.
const SWEEP: Duration = Duration::from_secs(60);

/// A domain whose places are all taken is never reckoned to be slower than this, per second.
const SLOWEST: f64 = 0.1;

/// Messages per second from which a relay or domain slows down that was not written to lately.
const UNSEEN: f64 = 1.0;

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
#[derive(Debug)]
pub struct Throttle {
    limits: Mutex<Limits>,
    /// Whether anything has slowed down or a recovery is to be told.
    slow: AtomicBool,
    /// Whether any relay warms up.
    warms: AtomicBool,
    /// Rings when slices of a day's amount are wanted.
    wanting: Notify,
    /// Rings when mail hosts are to be looked up.
    unresolved: Notify,
}

#[derive(Debug)]
struct Limits {
    /// Every limiter counts from here.
    start: Instant,
    relays: HashMap<String, RelayLimits>,
    campaigns: HashMap<String, Limiter>,
    sharing: Sharing,
    hosts: Hosts,
    waits: Waits,
    swept: Instant,
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
        let (relays, campaigns, sharing, hosts, waits) = Default::default();
        Self {
            limits: Mutex::new(Limits { start, relays, campaigns, sharing, hosts, waits, swept: start }),
            slow: AtomicBool::new(false),
            warms: AtomicBool::new(false),
            wanting: Notify::new(),
            unresolved: Notify::new(),
        }
    }

    /// Sets the limits of a relay, now or at any later time. What was used of the old ones counts.
    pub fn set_relay(&self, config: &RelayConfig) {
        let mut limits = self.lock();
        limits.set_relay(config);
        let warms = limits.relays.values().any(|relay| relay.warm_up.is_some());
        self.warms.store(warms, Ordering::Relaxed);
    }

    /// Sets or lifts the limit of a campaign, now or at any later time.
    pub fn set_campaign(&self, campaign: &str, rate: Option<Rate>) {
        self.lock().set_campaign(campaign, rate);
    }

    /// Lets one message pass now.
    ///
    /// # Errors
    /// When or after what to ask again.
    pub fn try_admit(self: &Arc<Self>, passage: Passage<'_>) -> Result<Pass, Hold> {
        let mut limits = self.lock();
        let now = Instant::now();
        limits.sweep(now);
        let admitted = limits.try_admit(passage, now, true);
        if limits.hosts.wants() {
            self.unresolved.notify_one();
        }
        match admitted {
            Ok((taking, _)) if taking == Taking::default() => Ok(Pass::default()),
            Ok((taking, key)) => Ok(Pass::of(Taken {
                relay: passage.relay.to_owned(),
                key: key.into_owned(),
                taking,
                throttle: Arc::clone(self),
            })),
            Err(hold) => {
                if hold == Hold::Freed {
                    self.wanting.notify_one();
                }
                Err(hold)
            }
        }
    }

    /// Takes back what a message took that is no longer in hand over.
    fn give_back(&self, taken: &Taken) {
        if let Some(relay) = self.lock().relays.get_mut(&taken.relay) {
            relay.give_back(&taken.key, taken.taking);
        }
    }

    /// What rings when something is freed at a relay.
    #[must_use]
    pub fn freed(&self, relay: &str) -> Arc<Freed> {
        Arc::clone(&self.lock().relays.entry(relay.to_owned()).or_default().freed)
    }

    /// Messages per second to a domain all of whose places are taken now.
    #[must_use]
    pub fn full(&self, relay: &str, domain: &str) -> Option<f64> {
        let limits = self.lock();
        let relay = limits.relays.get(relay)?;
        let key = relay.known_key(domain, &limits.hosts);
        relay.is_full(&key).then(|| relay.recent.per_second(Some(&key), Instant::now()).max(SLOWEST))
    }

    /// What the limits of a domain are kept under, as far as it is known by now.
    #[must_use]
    pub fn key(&self, relay: &str, domain: &str) -> String {
        let limits = self.lock();
        let key = limits.relays.get(relay).map(|relay| relay.known_key(domain, &limits.hosts).into_owned());
        key.unwrap_or_else(|| domain.to_owned())
    }

    /// This node's part of the limit of a domain, or of what it shares its limits with.
    #[must_use]
    pub fn domain_rate(&self, relay: &str, domain: &str) -> Option<Rate> {
        let limits = self.lock();
        let relay = limits.relays.get(relay)?;
        relay.domain_rate(&relay.known_key(domain, &limits.hosts))
    }

    /// Waits until mail hosts are to be looked up; one task waits.
    pub async fn unresolved(&self) {
        self.unresolved.notified().await;
    }

    /// The domains whose mail hosts are to be looked up now.
    #[must_use]
    pub fn take_unresolved(&self) -> Vec<String> {
        self.lock().hosts.take_wanted()
    }

    /// Notes which host serves a domain, and lets its messages go on.
    pub fn found(&self, domain: String, found: Found) {
        let mut limits = self.lock();
        limits.hosts.found(domain, found, Instant::now());
        limits.relays.values().for_each(|relay| relay.freed.note());
    }

    /// How long one message would have to wait for limits of a rate now. Uses nothing.
    #[must_use]
    pub fn wait(&self, passage: Passage<'_>) -> Duration {
        let now = Instant::now();
        match self.lock().try_admit(passage, now, false) {
            Err(Hold::Until(again)) => again - now,
            _ => Duration::ZERO,
        }
    }

    /// Takes into account that a receiver asked for less, in these codes.
    pub fn refused(&self, relay: &str, domain: &str, scope: Scope, reason: String) {
        let mut limits = self.lock();
        let (now, start) = (Instant::now(), limits.start);
        let Limits { relays, hosts, .. } = &mut *limits;
        let Some(of) = relays.get_mut(relay) else { return };
        let shared = of.known_key(domain, hosts);
        let domain: &str = &shared;
        let (key, limit, seen) = match scope {
            Scope::Relay => (WHOLE, of.total.as_ref().map(Limiter::rate), of.recent.per_second(None, now)),
            Scope::Domain => (domain, of.domain_rate(domain), of.recent.per_second(Some(domain), now)),
        };
        let seen = if seen > 0.0 { seen } else { UNSEEN };
        let full = limit.filter(|limit| limit.count > 0).map_or(seen, |limit| seen.min(limit.per_second()));
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
        let relay = limits.relays.get(relay)?;
        let key = domain.map_or(Cow::Borrowed(WHOLE), |domain| relay.known_key(domain, &limits.hosts));
        let slow = relay.slows.get(&key)?;
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
    fn try_admit<'p>(
        &mut self,
        passage: Passage<'p>,
        now: Instant,
        takes: bool,
    ) -> Result<(Taking, Cow<'p, str>), Hold> {
        if !self.sharing.holds(now) {
            return Err(Hold::Freed);
        }
        let mut key = Cow::Borrowed(passage.domain);
        let (mut total, mut domain, mut slow) = (None, None, [None; 2]);
        let mut relay = self.relays.get_mut(passage.relay);
        if let Some(relay) = relay.as_deref_mut() {
            key = relay.key(passage.domain, &mut self.hosts, now).ok_or(Hold::Freed)?;
            if let Err(hold) = relay.ask(&key) {
                self.waits.domain += u64::from(takes);
                return Err(hold);
            }
            if let Some(rate) = relay.domain_rate(&key)
                && !relay.domains.contains_key(&*key)
            {
                let limiter = Limiter::new(rate, self.start);
                self.sharing.settle(&limiter);
                relay.domains.insert(key.to_string(), limiter);
            }
            total = relay.total.as_ref();
            domain = relay.domains.get(&*key);
            if !relay.slows.is_empty() {
                slow = [WHOLE, &key].map(|key| relay.slows.get(key).map(|slow| &slow.limiter));
            }
        }
        let campaign = passage.campaign.and_then(|name| self.campaigns.get(name));
        if [total, domain, campaign].into_iter().flatten().any(|limiter| limiter.rate().count == 0) {
            return Err(Hold::Spent);
        }
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
            return Err(Hold::Until(again));
        }
        if !takes {
            return Ok((Taking::default(), key));
        }
        [total, domain, campaign, whole, part].into_iter().flatten().for_each(Limiter::commit);
        let taking = relay.map_or_else(Taking::default, |relay| relay.take(&key, now));
        Ok((taking, key))
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

#[cfg(test)]
mod tests;
