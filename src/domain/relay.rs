//! Relays as configured: whom our mail is handed to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::group::Group;
use super::rate::Rate;
use super::warm_up::WarmUp;

/// Connections to a relay where the file names none.
pub const DEFAULT_CONNECTIONS: u16 = 10;

/// Time without a refusal after which what has slowed down rises, where the file names none.
pub const DEFAULT_QUIET: Duration = Duration::from_secs(60);

/// One `[[relay]]`. The password itself is in the environment, never here.
#[derive(Clone, Debug, PartialEq)]
pub struct RelayConfig {
    /// Unique within the project.
    pub name: String,
    /// Where it is and how it is spoken to.
    pub url: RelayUrl,
    /// Name for AUTH (RFC 4954); goes with `password_env`, both or neither.
    pub username: Option<String>,
    /// The environment variable that holds the password.
    pub password_env: Option<String>,
    /// Most connections that are open at once, at least one.
    pub connections: u16,
    /// Limit over all domains.
    pub rate: Option<Rate>,
    /// Limit of each recipient domain that `per_domain` does not name.
    pub per_domain_default: Option<Rate>,
    /// Limits by recipient domain, in lower-case A-labels.
    pub per_domain: BTreeMap<String, Rate>,
    /// Most messages that are handed over at once to each domain that `connections_per_domain` does
    /// not name, at least one.
    pub connections_per_domain_default: Option<u16>,
    /// The same by recipient domain, in lower-case A-labels.
    pub connections_per_domain: BTreeMap<String, u16>,
    /// Whether domains that no limit and no group names share their limits by their mail host.
    pub share_limits_by_mx: bool,
    /// Domains that share limits, by the group's name.
    pub groups: BTreeMap<String, Group>,
    /// What has slowed itself down rises by a step each time nothing was refused for so long.
    pub slow_down_quiet: Duration,
    /// How much may be handed over by day while the relay is new.
    pub warm_up: Option<WarmUp>,
    /// Relays of a lower order are used first; the next order only while none of these takes mail.
    pub order: u32,
    /// Share of the mail among relays of the same order, at least one.
    pub weight: u32,
}

impl RelayConfig {
    /// A relay of which the file says nothing but its name and where it is.
    #[must_use]
    pub fn new(name: impl Into<String>, url: RelayUrl) -> Self {
        Self {
            name: name.into(),
            url,
            username: None,
            password_env: None,
            connections: DEFAULT_CONNECTIONS,
            rate: None,
            per_domain_default: None,
            per_domain: BTreeMap::new(),
            connections_per_domain_default: None,
            connections_per_domain: BTreeMap::new(),
            share_limits_by_mx: false,
            groups: BTreeMap::new(),
            slow_down_quiet: DEFAULT_QUIET,
            warm_up: None,
            order: 1,
            weight: 1,
        }
    }

    /// The limit for one recipient domain: its own, that of the group that names it, or the default of
    /// each.
    #[must_use]
    pub fn domain_rate(&self, domain: &str) -> Option<Rate> {
        let own = self.per_domain.get(domain).copied();
        let grouped = || self.groups.values().find(|group| group.domains.iter().any(|of| of == domain))?.rate;
        own.or_else(grouped).or(self.per_domain_default)
    }

    /// The name of the group whose limits a domain shares, as far as the group names domains. Who has a limit of its own
    /// shares none.
    #[must_use]
    pub fn group_of(&self, domain: &str) -> Option<&str> {
        let warm = || self.warm_up.as_ref().is_some_and(|warm_up| warm_up.per_domain.contains_key(domain));
        if self.per_domain.contains_key(domain) || self.connections_per_domain.contains_key(domain) || warm() {
            return None;
        }
        let (name, _) = self.groups.iter().find(|(_, group)| group.domains.iter().any(|of| of == domain))?;
        Some(name)
    }

    /// Whether any domain has a limit of messages at once.
    #[must_use]
    pub fn limits_places(&self) -> bool {
        let of_group = || self.groups.values().any(|group| group.connections.is_some());
        self.connections_per_domain_default.is_some() || !self.connections_per_domain.is_empty() || of_group()
    }

    /// Whether domains may share limits.
    #[must_use]
    pub fn shares_limits(&self) -> bool {
        self.share_limits_by_mx || !self.groups.is_empty()
    }
}

/// Where a relay is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayUrl {
    /// `file:DIR`: one `.eml` file for each message; relative to the project.
    File(PathBuf),
    /// A submission server.
    Smtp {
        /// Host name or address; an IPv6 address without brackets.
        host: String,
        /// TCP port.
        port: u16,
        /// How the connection is secured.
        tls: Tls,
    },
}

/// How a connection to a relay is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// `smtp://`: STARTTLS (RFC 3207) when it is offered.
    Opportunistic,
    /// `smtp+starttls://`: STARTTLS, or no mail.
    Required,
    /// `smtps://`: TLS from the first byte (RFC 8314).
    Implicit,
}

impl RelayUrl {
    /// Reads `smtp://HOST[:PORT]`, `smtp+starttls://HOST[:PORT]`, `smtps://HOST[:PORT]` or `file:DIR`.
    ///
    /// # Errors
    /// A sentence that says what is wrong or expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(directory) = text.strip_prefix("file:") {
            let directory = directory.strip_prefix("//").unwrap_or(directory);
            if directory.is_empty() {
                return Err("the relay's URL names no directory, as in file:outbox".into());
            }
            return Ok(Self::File(directory.into()));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("'{text}' is not a relay's URL"))?;
        let (tls, default_port) = match scheme {
            "smtp" => (Tls::Opportunistic, 587),
            "smtp+starttls" => (Tls::Required, 587),
            "smtps" => (Tls::Implicit, 465),
            _ => return Err(format!("a relay cannot be reached by '{scheme}'")),
        };
        if rest.contains('@') {
            return Err("a relay's URL holds no user or password".into());
        }
        let (host, port) = host_and_port(rest.strip_suffix('/').unwrap_or(rest), default_port)?;
        Ok(Self::Smtp { host, port, tls })
    }
}

/// Reads `HOST[:PORT]`; an IPv6 address loses its brackets.
pub(super) fn host_and_port(authority: &str, default_port: u16) -> Result<(String, u16), String> {
    let (host, port) = split_port(authority)?;
    let port = match port {
        Some(digits) => digits
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| format!("'{digits}' is not a port between 1 and 65535"))?,
        None => default_port,
    };
    Ok((host.to_ascii_lowercase(), port))
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), String> {
    let no_host = || format!("'{authority}' is not a host name or address");
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(no_host)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| no_host())?;
        return match after.strip_prefix(':') {
            port @ Some(_) => Ok((host, port)),
            None if after.is_empty() => Ok((host, None)),
            None => Err(no_host()),
        };
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if host.len() > 253 || !host.strip_suffix('.').unwrap_or(host).split('.').all(label_ok) {
        return Err(no_host());
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smtp(host: &str, port: u16, tls: Tls) -> Result<RelayUrl, String> {
        Ok(RelayUrl::Smtp { host: host.into(), port, tls })
    }

    #[test]
    fn the_scheme_chooses_tls_and_the_default_port() {
        assert_eq!(RelayUrl::parse("smtp://Relay.Example"), smtp("relay.example", 587, Tls::Opportunistic));
        assert_eq!(RelayUrl::parse("smtp+starttls://r.example/"), smtp("r.example", 587, Tls::Required));
        assert_eq!(RelayUrl::parse("smtps://r.example"), smtp("r.example", 465, Tls::Implicit));
        assert_eq!(RelayUrl::parse("smtp://localhost:2525"), smtp("localhost", 2525, Tls::Opportunistic));
        assert_eq!(RelayUrl::parse("smtp://[::1]:2525"), smtp("::1", 2525, Tls::Opportunistic));
        assert_eq!(RelayUrl::parse("file:outbox"), Ok(RelayUrl::File("outbox".into())));
        assert_eq!(RelayUrl::parse("file:///var/out"), Ok(RelayUrl::File("/var/out".into())));
    }

    #[test]
    fn what_is_no_relay_is_refused() {
        for bad in [
            "",
            "relay.example",
            "http://relay.example",
            "smtp://",
            "smtp://user:secret@relay.example",
            "smtp://relay.example:0",
            "smtp://relay.example:65536",
            "smtp://relay.example:",
            "smtp://a b",
            "smtp://relay.example/path",
            "smtp://[relay]:25",
            "smtp://[::1]25",
            "file:",
            "file://",
        ] {
            assert!(RelayUrl::parse(bad).is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn a_domain_without_a_limit_of_its_own_gets_the_default() {
        let rate = |text| Rate::parse(text).unwrap();
        let relay = RelayConfig {
            per_domain_default: Some(rate("20/s")),
            per_domain: BTreeMap::from([("gmail.com".into(), rate("50/s"))]),
            ..RelayConfig::new("main", RelayUrl::File("outbox".into()))
        };
        assert_eq!(relay.domain_rate("gmail.com"), Some(rate("50/s")));
        assert_eq!(relay.domain_rate("example.org"), Some(rate("20/s")));
    }
}
