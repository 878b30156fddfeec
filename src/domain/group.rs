//! Recipient domains that share limits at a relay: groups that the file names, and those that share a
//! mail host.

use super::rate::Rate;

/// Domains that the file puts together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// These domains, in lower-case A-labels.
    pub domains: Vec<String>,
    /// Whatever domain is served by such a host: names, or `*.example.org` for all hosts below one.
    pub hosts: Vec<String>,
    /// Limit over all of them.
    pub rate: Option<Rate>,
    /// Most messages that are handed over at once to all of them.
    pub connections: Option<u16>,
}

impl Group {
    /// Whether a mail host is one of the group's.
    #[must_use]
    pub fn has_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| match pattern.strip_prefix('*') {
            Some(end) => host.len() > end.len() && host.ends_with(end),
            None => pattern == host,
        })
    }
}

/// What the limits of a named group are kept under. No domain is called so, for the colon.
#[must_use]
pub fn group_key(name: &str) -> String {
    format!("group:{name}")
}

/// What the limits of domains are kept under that share a mail host.
#[must_use]
pub fn host_key(host: &str) -> String {
    format!("mx:{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_hosts_below_a_name() {
        let hosts = vec!["*.google.com".to_owned(), "mx.example.org".to_owned()];
        let group = Group { hosts, ..Group::default() };
        assert!(group.has_host("aspmx.l.google.com") && group.has_host("mx.example.org"));
        assert!(
            !group.has_host("google.com") && !group.has_host("evilgoogle.com") && !group.has_host("a.mx.example.org")
        );
    }
}
