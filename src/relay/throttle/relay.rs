//! The limits of one relay, and what has been used of them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::budget::Budgets;
use super::hosts::Hosts;
use super::limiter::Limiter;
use super::pass::{Freed, Hold};
use super::recent::Recent;
use super::shared::Shared;
use super::sharing::Sharing;
use super::slow::Slows;
use crate::domain::group::group_key;
use crate::domain::rate::Rate;
use crate::domain::relay::{DEFAULT_QUIET, RelayConfig};

/// What a message takes with it beside its part of the rates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taking {
    /// A place at the domain.
    pub place: bool,
    /// A part of this day's amount.
    pub day: Option<i64>,
}

#[derive(Debug)]
pub(super) struct RelayLimits {
    pub total: Option<Limiter>,
    domain_default: Option<Rate>,
    domain_rates: BTreeMap<String, Rate>,
    pub domains: HashMap<String, Limiter>,
    place_default: Option<u16>,
    place_counts: BTreeMap<String, u16>,
    /// Messages in hand over, by domains that have a limit of these.
    places: HashMap<String, u16>,
    pub recent: Recent,
    pub slows: Slows,
    pub quiet: Duration,
    pub warm_up: Option<Budgets>,
    shared: Shared,
    pub freed: Arc<Freed>,
}

impl Default for RelayLimits {
    fn default() -> Self {
        let (total, domain_default, domain_rates, domains) = Default::default();
        let (place_default, place_counts, places) = Default::default();
        let (recent, slows, warm_up, shared, freed) = Default::default();
        Self {
            total,
            domain_default,
            domain_rates,
            domains,
            place_default,
            place_counts,
            places,
            recent,
            slows,
            quiet: DEFAULT_QUIET,
            warm_up,
            shared,
            freed,
        }
    }
}

impl RelayLimits {
    /// Takes on what the file says. What was used of the old limits counts, but for slices of a
    /// warm-up that is another one now, which are void.
    pub(super) fn set(&mut self, config: &RelayConfig, start: Instant, sharing: &Sharing) {
        sharing.set(&mut self.total, config.rate, start);
        self.quiet = config.slow_down_quiet;
        self.domain_default = config.per_domain_default;
        self.domain_rates.clone_from(&config.per_domain);
        self.place_default = config.connections_per_domain_default;
        self.place_counts.clone_from(&config.connections_per_domain);
        if self.warm_up.as_ref().map(|budgets| &budgets.config) != config.warm_up.as_ref() {
            self.warm_up = config.warm_up.clone().map(Budgets::new);
        }
        self.shared = Shared::new(config);
        for (name, group) in &config.groups {
            let key = group_key(name);
            if let Some(rate) = group.rate {
                self.domain_rates.insert(key.clone(), rate);
            }
            if let Some(most) = group.connections {
                self.place_counts.insert(key, most);
            }
        }
        let mut domains = std::mem::take(&mut self.domains);
        domains.retain(|domain, limiter| self.domain_rate(domain).map(|rate| sharing.set_to(limiter, rate)).is_some());
        self.domains = domains;
        // Whatever waits asks anew.
        self.freed.note();
    }

    /// What the limits of a domain are kept under; `None` while its mail host is being looked up.
    pub(super) fn key<'d>(&self, domain: &'d str, hosts: &mut Hosts, now: Instant) -> Option<Cow<'d, str>> {
        self.shared.key(domain, |domain| hosts.ask(domain, now).map(|host| host.map(Into::into)))
    }

    /// The same, for limits that were used already.
    pub(super) fn known_key<'d>(&self, domain: &'d str, hosts: &Hosts) -> Cow<'d, str> {
        let key = self.shared.key(domain, |domain| hosts.get(domain).map(|host| host.map(Into::into)));
        key.unwrap_or(Cow::Borrowed(domain))
    }

    pub(super) fn domain_rate(&self, domain: &str) -> Option<Rate> {
        self.domain_rates.get(domain).copied().or(self.domain_default)
    }

    fn place_limit(&self, domain: &str) -> Option<u16> {
        self.place_counts.get(domain).copied().or(self.place_default)
    }

    /// Whether all places at a domain are taken.
    pub(super) fn is_full(&self, domain: &str) -> bool {
        self.place_limit(domain).is_some_and(|most| self.places.get(domain).is_some_and(|taken| *taken >= most))
    }

    /// Asks what is no rate; what was granted is taken by [`Self::take`].
    pub(super) fn ask(&mut self, domain: &str) -> Result<(), Hold> {
        self.warm_up.as_mut().map_or(Ok(()), |budgets| budgets.ask(domain))?;
        if self.is_full(domain) { Err(Hold::Freed) } else { Ok(()) }
    }

    /// Takes what was asked for.
    pub(super) fn take(&mut self, domain: &str, now: Instant) -> Taking {
        self.recent.add(domain, now);
        let place = self.place_limit(domain).is_some();
        if place {
            *self.places.entry(domain.to_owned()).or_default() += 1;
        }
        let day = self.warm_up.as_mut().and_then(|budgets| {
            budgets.take(domain);
            budgets.number()
        });
        Taking { place, day }
    }

    /// Takes back what a message took.
    pub(super) fn give_back(&mut self, domain: &str, taking: Taking) {
        if taking.place
            && let Some(taken) = self.places.get_mut(domain)
        {
            *taken -= 1;
            if *taken == 0 {
                self.places.remove(domain);
            }
            self.freed.note();
        }
        if let Some(budgets) = &mut self.warm_up
            && taking.day.is_some()
            && taking.day == budgets.number()
        {
            budgets.give_back(domain);
            self.freed.note();
        }
    }
}
