//! A node's part of all limits, and what it may do while nodes come and go.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::limiter::Limiter;
use super::{Limits, Throttle};
use crate::domain::group::Group;
use crate::domain::rate::Rate;
use crate::domain::relay::RelayConfig;
use crate::domain::share::Share;

/// A limit is silent for two turns after its part has changed, and never for longer than this.
///
/// A window then holds no more than all parts allowed while it lasted: what may begin such a window early is taken
/// from its end. Minutes are exact so; a window of hours may hold one message more for each change in it.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// What a node holds of all limits.
#[derive(Debug)]
pub(super) struct Sharing {
    share: Share,
    /// It holds until then; none: for ever.
    until: Option<Instant>,
    /// When its part changed last, if others may have used what it has now.
    changed: Option<Instant>,
    /// What all nodes may do together, as the files say.
    relays: HashMap<String, RelayConfig>,
    campaigns: HashMap<String, Rate>,
}

impl Default for Sharing {
    fn default() -> Self {
        let (relays, campaigns) = Default::default();
        Self { share: Share::WHOLE, until: None, changed: None, relays, campaigns }
    }
}

impl Sharing {
    /// Whether anything may pass now.
    pub(super) fn holds(&self, now: Instant) -> bool {
        !self.share.is_none() && self.until.is_none_or(|until| now < until)
    }

    /// Sets or lifts a limit.
    pub(super) fn set(&self, limiter: &mut Option<Limiter>, rate: Option<Rate>, start: Instant) {
        match (limiter.as_mut(), rate) {
            (Some(limiter), Some(rate)) => self.set_to(limiter, rate),
            (_, rate) => {
                *limiter = rate.map(|rate| Limiter::new(rate, start));
                limiter.iter().for_each(|limiter| self.settle(limiter));
            }
        }
    }

    /// Changes a limit.
    pub(super) fn set_to(&self, limiter: &mut Limiter, rate: Rate) {
        if limiter.rate() != rate {
            limiter.set(rate);
            self.settle(limiter);
        }
    }

    /// Keeps a limit silent that has another part than before, or may have one.
    pub(super) fn settle(&self, limiter: &Limiter) {
        let Rate { count, per } = limiter.rate();
        let (Some(changed), Some(turn)) = (self.changed, per.checked_div(count)) else { return };
        let silence = LONGEST_SILENCE.min(2 * turn);
        limiter.hold_until(changed + silence);
    }

    /// This node's part of what a file says of a relay. Places and amounts of days are not divided here.
    fn of_relay(&self, config: &RelayConfig) -> RelayConfig {
        let of = |rate: &Rate| self.share.of_rate(*rate);
        let of_group = |group: &Group| Group { rate: group.rate.as_ref().map(of), ..group.clone() };
        RelayConfig {
            rate: config.rate.as_ref().map(of),
            per_domain_default: config.per_domain_default.as_ref().map(of),
            per_domain: config.per_domain.iter().map(|(domain, rate)| (domain.clone(), of(rate))).collect(),
            groups: config.groups.iter().map(|(name, group)| (name.clone(), of_group(group))).collect(),
            ..config.clone()
        }
    }
}

impl Limits {
    pub(super) fn set_relay(&mut self, config: &RelayConfig) {
        self.divide_relay(config);
        self.sharing.relays.insert(config.name.clone(), config.clone());
    }

    pub(super) fn set_campaign(&mut self, campaign: &str, rate: Option<Rate>) {
        self.divide_campaign(campaign, rate);
        match rate {
            Some(rate) => drop(self.sharing.campaigns.insert(campaign.to_owned(), rate)),
            None => drop(self.sharing.campaigns.remove(campaign)),
        }
    }

    fn divide_relay(&mut self, config: &RelayConfig) {
        let of_node = self.sharing.of_relay(config);
        self.relays.entry(config.name.clone()).or_default().set(&of_node, self.start, &self.sharing);
    }

    fn divide_campaign(&mut self, campaign: &str, rate: Option<Rate>) {
        let mut limiter = self.campaigns.remove(campaign);
        self.sharing.set(&mut limiter, rate.map(|rate| self.sharing.share.of_rate(rate)), self.start);
        if let Some(limiter) = limiter {
            self.campaigns.insert(campaign.to_owned(), limiter);
        }
    }

    /// Divides all limits anew.
    fn divide(&mut self) {
        let relays = std::mem::take(&mut self.sharing.relays);
        let campaigns = std::mem::take(&mut self.sharing.campaigns);
        relays.values().for_each(|config| self.divide_relay(config));
        campaigns.iter().for_each(|(name, rate)| self.divide_campaign(name, Some(*rate)));
        (self.sharing.relays, self.sharing.campaigns) = (relays, campaigns);
    }
}

impl Throttle {
    /// Takes on a part of all limits, which holds `until` then unless it is renewed. `alone` says that nobody else can
    /// have used any of it.
    pub fn set_share(&self, share: Share, until: Instant, alone: bool) {
        let mut limits = self.lock();
        let now = Instant::now();
        let held = limits.sharing.holds(now);
        let before = std::mem::replace(&mut limits.sharing.share, share);
        limits.sharing.until = Some(until);
        if share != before {
            limits.sharing.changed = (!alone).then_some(now);
            // Nothing passes without a share, whatever the limits say.
            if !share.is_none() {
                limits.divide();
            }
        }
        if !held {
            limits.relays.values().for_each(|relay| relay.freed.note());
        }
    }

    /// Whether this node has a part of all limits now.
    #[must_use]
    pub fn holds_share(&self) -> bool {
        self.lock().sharing.holds(Instant::now())
    }

    /// Whether this node has a part of what a relay takes.
    #[must_use]
    pub fn shares_in(&self, relay: &str) -> bool {
        let limits = self.lock();
        let total = limits.relays.get(relay).and_then(|relay| relay.total.as_ref());
        limits.sharing.holds(Instant::now()) && total.is_none_or(|limiter| limiter.rate().count > 0)
    }

    /// This node's part of a relay's limit.
    #[must_use]
    pub fn relay_rate(&self, relay: &str) -> Option<Rate> {
        self.lock().relays.get(relay)?.total.as_ref().map(Limiter::rate)
    }

    /// This node's part of a campaign's limit.
    #[must_use]
    pub fn campaign_rate(&self, campaign: &str) -> Option<Rate> {
        self.lock().campaigns.get(campaign).map(Limiter::rate)
    }
}
