//! Questions to DNS. That there is no such record is an answer, too.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{RData, RecordType};
use mail_auth::MessageAuthenticator;

/// Why DNS did not answer.
#[derive(Debug, thiserror::Error)]
#[error("DNS does not answer: {0}")]
pub struct DnsFault(String);

/// Asks the system's servers, or one of its own.
pub struct Dns(Result<TokioResolver, String>);

impl Dns {
    /// Over the system's servers, or over `server` alone.
    #[must_use]
    pub fn new(server: Option<SocketAddr>) -> Self {
        let mut options = ResolverOpts::default();
        options.timeout = Duration::from_secs(3);
        options.attempts = 2;
        let builder = match server {
            None => match TokioResolver::builder_tokio() {
                Ok(builder) => builder,
                Err(error) => return Self(Err(error.to_string())),
            },
            Some(server) => {
                options.use_hosts_file = ResolveHosts::Never;
                let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
                (udp.port, tcp.port) = (server.port(), server.port());
                let server = NameServerConfig::new(server.ip(), true, vec![udp, tcp]);
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        Self(builder.with_options(options).build().map_err(|error| error.to_string()))
    }

    /// What evaluates SPF by the same servers; none where there are none.
    #[must_use]
    pub fn authenticator(&self) -> Option<MessageAuthenticator> {
        self.0.as_ref().ok().map(|resolver| MessageAuthenticator(resolver.clone()))
    }

    /// The texts at a name, each with its strings joined (RFC 7208 §3.3).
    ///
    /// # Errors
    /// When no server answers.
    pub async fn texts(&self, name: &str) -> Result<Vec<String>, DnsFault> {
        let records = self.ask(name, RecordType::TXT).await?;
        let text = |data: RData| match data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        };
        Ok(records.into_iter().filter_map(text).collect())
    }

    /// The hosts that take mail for a domain, the preferred first; a lone `.` says that none does (RFC 7505).
    ///
    /// # Errors
    /// When no server answers.
    pub async fn mail_hosts(&self, domain: &str) -> Result<Vec<String>, DnsFault> {
        let records = self.ask(domain, RecordType::MX).await?;
        let mut hosts: Vec<_> = records
            .into_iter()
            .filter_map(|data| match data {
                RData::MX(mx) => Some((mx.preference, plain(&mx.exchange.to_ascii()))),
                _ => None,
            })
            .collect();
        hosts.sort();
        Ok(hosts.into_iter().map(|(_, host)| host).collect())
    }

    /// The addresses of a host; an address stands for itself.
    ///
    /// # Errors
    /// When no server answers.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsFault> {
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return Ok(vec![address]);
        }
        let mut found = self.ask(host, RecordType::A).await?;
        found.extend(self.ask(host, RecordType::AAAA).await?);
        let address = |data: RData| match data {
            RData::A(address) => Some(address.0.into()),
            RData::AAAA(address) => Some(address.0.into()),
            _ => None,
        };
        Ok(found.into_iter().filter_map(address).collect())
    }

    /// The names of an address.
    ///
    /// # Errors
    /// When no server answers.
    pub async fn names(&self, address: IpAddr) -> Result<Vec<String>, DnsFault> {
        let resolver = self.0.as_ref().map_err(|error| DnsFault(error.clone()))?;
        let records = answers(resolver.reverse_lookup(address).await)?;
        let name = |data: RData| match data {
            RData::PTR(name) => Some(plain(&name.0.to_ascii())),
            _ => None,
        };
        Ok(records.into_iter().filter_map(name).collect())
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, DnsFault> {
        let resolver = self.0.as_ref().map_err(|error| DnsFault(error.clone()))?;
        // The dot at the end keeps the machine's search domains out.
        answers(resolver.lookup(format!("{}.", name.trim_end_matches('.')), kind).await)
    }
}

fn answers(found: Result<hickory_resolver::lookup::Lookup, NetError>) -> Result<Vec<RData>, DnsFault> {
    match found {
        Ok(found) => Ok(found.answers().iter().map(|record| record.data.clone()).collect()),
        Err(NetError::Dns(DnsError::NoRecordsFound(_))) => Ok(Vec::new()),
        Err(error) => Err(DnsFault(error.to_string())),
    }
}

fn plain(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    if name == "." { name } else { name.trim_end_matches('.').to_owned() }
}
