//! Which mail host serves a domain, as far as it was looked up.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

/// Domains that are kept at most.
const KEPT: usize = 20_000;

/// What a look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The host that is preferred; none: the domain has no such record, or it could not be looked up.
    pub host: Option<String>,
    /// How long that may be believed.
    pub valid: Duration,
}

/// What is known, and what is to be looked up.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    known: HashMap<String, (Option<String>, Instant)>,
    asked: HashSet<String>,
    wanted: Vec<String>,
}

impl Hosts {
    /// The host of a domain. The outer `None` says that it is not known yet; then it is wanted. What
    /// is known for too long is believed until it was looked up again, so that nothing waits for it.
    pub(super) fn ask(&mut self, domain: &str, now: Instant) -> Option<Option<&str>> {
        let fresh = self.known.get(domain).is_some_and(|(_, until)| *until > now);
        if !fresh && self.asked.insert(domain.to_owned()) {
            self.wanted.push(domain.to_owned());
        }
        self.get(domain)
    }

    /// The same, and nothing is wanted.
    pub(super) fn get(&self, domain: &str) -> Option<Option<&str>> {
        self.known.get(domain).map(|(host, _)| host.as_deref())
    }

    /// Whether anything is to be looked up, be it again.
    pub(super) fn wants(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// What is to be looked up now.
    pub(super) fn take_wanted(&mut self) -> Vec<String> {
        std::mem::take(&mut self.wanted)
    }

    /// Notes what was found.
    pub(super) fn found(&mut self, domain: String, found: Found, now: Instant) {
        if self.known.len() >= KEPT && !self.known.contains_key(&domain) {
            self.known.retain(|_, (_, until)| *until > now);
            if self.known.len() >= KEPT {
                self.known.clear();
            }
        }
        self.asked.remove(&domain);
        self.known.insert(domain, (found.host, now + found.valid));
    }
}
