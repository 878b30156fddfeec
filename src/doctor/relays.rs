//! Whether each relay takes our connection, our name, our password, and knows itself in DNS.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::dns::Dns;
use super::{Finding, Patient};
use crate::domain::outcome::Stage;
use crate::domain::relay::RelayUrl;
use crate::relay::{OpenError, Relay};

/// How long a relay may take to be ready for a message, and DNS to tell its name.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) async fn look(patient: &Patient<'_>, dns: &Dns) -> Vec<Finding> {
    let each = patient.relays.iter().map(|(name, relay)| async move {
        let check = format!("relay {name}");
        match relay {
            Ok(relay) => opened(check, relay, dns).await,
            Err(words) => vec![Finding::fail(check, words, "set the variable where colloquy runs")],
        }
    });
    join_all(each).await.into_iter().flatten().collect()
}

async fn opened(check: String, relay: &Relay, dns: &Dns) -> Vec<Finding> {
    let config = relay.config();
    let RelayUrl::Smtp { host, port, .. } = &config.url else {
        return vec![Finding::ok(check, "writes files, sends nothing")];
    };
    let (session, named) = tokio::join!(timeout(PATIENCE, relay.open()), timeout(PATIENCE, reverse(dns, host)));
    let named = named.unwrap_or_else(|_| {
        let found = format!("DNS does not answer within {} seconds", PATIENCE.as_secs());
        Some(Finding::warn(format!("PTR of {host}"), found, "look at the machine's resolver, or use --dns"))
    });
    let session = match session {
        Ok(Ok(session)) => session,
        Ok(Err(error)) => {
            let mend = mend(&error, config.password_env.as_deref(), host, *port);
            return vec![Finding::fail(check, format!("{}: {}", error.stage, error.words), mend)];
        }
        Err(_) => {
            let found = format!("{host}:{port} does not answer within {} seconds", PATIENCE.as_secs());
            return vec![Finding::fail(check, found, "look at the host, the port, and firewalls between")];
        }
    };
    let encrypted = session.is_encrypted();
    session.quit().await;
    let login = if config.username.is_some() { ", takes our login" } else { "" };
    let finding = if encrypted {
        Finding::ok(check, format!("{host}:{port} answers, encrypts{login}"))
    } else if is_here(host) {
        Finding::ok(check, format!("{host}:{port} answers{login}; nothing is encrypted on this machine"))
    } else {
        let mend = "let the relay offer STARTTLS, and write smtp+starttls:// to insist on it";
        Finding::warn(check, format!("{host}:{port} answers{login}, and does not encrypt"), mend)
    };
    [Some(finding), named].into_iter().flatten().collect()
}

fn mend(error: &OpenError, password_env: Option<&str>, host: &str, port: u16) -> String {
    match error.stage {
        Stage::Connect => format!("look at {host}, port {port}, and firewalls between"),
        Stage::Tls => "look at the relay's certificate: its name, its date, who signed it".to_owned(),
        Stage::Auth => {
            format!("look at username, and at the password in {}", password_env.unwrap_or("the environment"))
        }
        _ => "ask the relay's operator why it does not take our greeting".to_owned(),
    }
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Receivers want a sending host whose address leads to a name that leads back (RFC 1912 §2.1). A relay may send from
/// other addresses than it listens on, so that it is only warned about.
async fn reverse(dns: &Dns, host: &str) -> Option<Finding> {
    let addresses = dns.addresses(host).await.ok()?;
    let check = format!("PTR of {host}");
    for address in addresses.iter().filter(|address| !address.is_loopback()) {
        let names = dns.names(*address).await.ok()?;
        let mut back = false;
        for name in &names {
            back |= dns.addresses(name).await.is_ok_and(|found| found.contains(address));
        }
        if !back {
            let found = match &names[..] {
                [] => format!("{address} has no name"),
                names => format!("{address} is {}, which does not lead back", names.join(", ")),
            };
            let mend = "if mail leaves from this address, let its owner publish a PTR record that fits";
            return Some(Finding::warn(check, found, mend));
        }
    }
    let first = addresses.iter().find(|address| !address.is_loopback())?;
    Some(Finding::ok(check, format!("{first} has a name that leads back")))
}
