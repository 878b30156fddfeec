//! Which domains share their limits at a relay.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::domain::group::{Group, group_key, host_key};
use crate::domain::relay::RelayConfig;

/// What the file says about it; by default every domain stands for itself.
#[derive(Debug, Default)]
pub(super) struct Shared {
    by_host: bool,
    groups: BTreeMap<String, Group>,
    /// Domains with a limit of their own, which they share with nobody.
    alone: BTreeSet<String>,
}

impl Shared {
    pub(super) fn new(config: &RelayConfig) -> Self {
        let warm = config.warm_up.iter().flat_map(|warm_up| warm_up.per_domain.keys());
        let alone = config.per_domain.keys().chain(config.connections_per_domain.keys()).chain(warm);
        Self { by_host: config.share_limits_by_mx, groups: config.groups.clone(), alone: alone.cloned().collect() }
    }

    /// What the limits of a domain are kept under. `host` looks its mail host up, where that is needed,
    /// and is `None` while it does; that there is no host to be found is `Some(None)`.
    pub(super) fn key<'d>(
        &self,
        domain: &'d str,
        host: impl FnOnce(&str) -> Option<Option<String>>,
    ) -> Option<Cow<'d, str>> {
        let itself = Cow::Borrowed(domain);
        if !self.by_host && self.groups.is_empty() || self.alone.contains(domain) {
            return Some(itself);
        }
        if let Some((name, _)) = self.groups.iter().find(|(_, group)| group.domains.iter().any(|of| of == domain)) {
            return Some(group_key(name).into());
        }
        if !self.by_host && self.groups.values().all(|group| group.hosts.is_empty()) {
            return Some(itself);
        }
        let Some(host) = host(domain)? else { return Some(itself) };
        let group = self.groups.iter().find(|(_, group)| group.has_host(&host));
        Some(match group {
            Some((name, _)) => group_key(name).into(),
            None if self.by_host => host_key(&host).into(),
            None => itself,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rate::Rate;
    use crate::domain::relay::RelayUrl;

    #[test]
    fn a_limit_of_its_own_comes_before_a_group_and_a_group_before_the_host() {
        let mut config = RelayConfig::new("main", RelayUrl::File("outbox".into()));
        config.share_limits_by_mx = true;
        config.per_domain.insert("own.example".into(), Rate::parse("1/s").unwrap());
        let (domains, hosts) = (vec!["gmail.com".to_owned()], vec!["*.google.com".to_owned()]);
        config.groups.insert("google".into(), Group { domains, hosts, ..Group::default() });
        let shared = Shared::new(&config);
        let key = |domain, host: Option<&str>| shared.key(domain, |_| Some(host.map(Into::into))).unwrap().into_owned();
        assert_eq!(key("own.example", Some("mx.google.com")), "own.example");
        assert_eq!(key("gmail.com", None), "group:google");
        assert_eq!(key("shop.example", Some("aspmx.l.google.com")), "group:google");
        assert_eq!(key("shop.example", Some("mx.host.example")), "mx:mx.host.example");
        assert_eq!(key("shop.example", None), "shop.example");
        assert_eq!(shared.key("new.example", |_| None), None, "it is being looked up");
    }
}
