//! Looks up which host takes a domain's mail (MX, RFC 5321 §5.1).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use tokio::time::Instant;

use super::throttle::Found;

/// A look-up takes no longer; then the domain stands for itself for a while.
const PATIENCE: Duration = Duration::from_secs(3);

/// What was found is believed at least and at most so long, whatever its own time says.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3_600);

/// How long a failure is believed.
const FAILED: Duration = Duration::from_secs(300);

/// After so many look-ups in a row that failed for want of an answer nobody is asked for a while, so that
/// an outage of the name servers holds nothing up.
const FAILURES: u32 = 32;
const REST: Duration = Duration::from_secs(30);

/// Asks name servers. By default there is none, and every domain stands for itself.
#[derive(Default)]
pub struct Exchanges {
    resolver: Option<TokioResolver>,
    failures: AtomicU32,
    rests_until: Mutex<Option<Instant>>,
}

impl Exchanges {
    /// Asks these servers, or those of the system when there are none. Where the system names none
    /// either, every domain stands for itself.
    #[must_use]
    pub fn new(servers: &[SocketAddr]) -> Self {
        let builder = if servers.is_empty() {
            TokioResolver::builder_tokio().ok()
        } else {
            let servers = servers.iter().map(name_server).collect();
            let config = ResolverConfig::from_name_servers(servers);
            Some(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
        };
        Self { resolver: builder.and_then(|builder| builder.build().ok()), ..Self::default() }
    }

    /// The host that is preferred for a domain; of several equal ones the first by name.
    pub async fn find(&self, domain: &str) -> Found {
        let failed = Found { host: None, valid: FAILED };
        let Some(resolver) = self.resolver.as_ref().filter(|_| !self.rests()) else { return failed };
        let answer = tokio::time::timeout(PATIENCE, resolver.mx_lookup(format!("{domain}."))).await;
        self.note(answer.is_ok());
        let Ok(Ok(lookup)) = answer else { return failed };
        let hosts = lookup.answers().iter().filter_map(|record| match &record.data {
            RData::MX(mx) => {
                let host = mx.exchange.to_ascii().trim_end_matches('.').to_ascii_lowercase();
                Some((mx.preference, host, record.ttl))
            }
            _ => None,
        });
        // An empty name says that the domain takes no mail (RFC 7505).
        let Some((_, host, ttl)) = hosts.filter(|(_, host, _)| !host.is_empty()).min() else { return failed };
        Found { host: Some(host), valid: Duration::from_secs(ttl.into()).clamp(SHORTEST, LONGEST) }
    }
}

impl Exchanges {
    fn rests(&self) -> bool {
        let until = *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn note(&self, answered: bool) {
        if answered {
            self.failures.store(0, Ordering::Relaxed);
        } else if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES {
            let until = Some(Instant::now() + REST);
            *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        }
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}
