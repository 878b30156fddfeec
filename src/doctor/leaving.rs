//! Whether SPF lets mail leave from the addresses that were named, or else from where relays listen. A relay may send from
//! other addresses than it listens on, so that of these it is only said what holds if it does not.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{MessageAuthenticator, SpfResult};
use tokio::time::timeout;

use super::dns::Dns;
use super::{Finding, Patient};
use crate::domain::relay::RelayUrl;

/// How long all look-ups for one address may take.
const PATIENCE: Duration = Duration::from_secs(12);

/// How an address is known.
#[derive(Clone, Copy)]
enum Known<'a> {
    /// Somebody says that mail leaves from it.
    Named,
    /// A relay of this name listens there.
    Relay(&'a str),
}

pub(super) async fn look(patient: &Patient<'_>, dns: &Dns) -> Vec<Finding> {
    let sender = &patient.loaded.project.sender;
    let domain = sender.bounce_domain.as_deref().unwrap_or(sender.from_domain());
    let Some(authenticator) = dns.authenticator() else { return Vec::new() };
    let mut addresses: Vec<_> = patient.leaves_from.iter().map(|address| (*address, Known::Named)).collect();
    if addresses.is_empty() {
        for relay in &patient.loaded.settings.relays {
            let RelayUrl::Smtp { host, .. } = &relay.url else { continue };
            let found = dns.addresses(host).await.unwrap_or_default();
            // What a relay on this machine sends from cannot be told from here.
            let elsewhere = found.into_iter().filter(|address| !address.is_loopback());
            addresses.extend(elsewhere.map(|address| (address, Known::Relay(&relay.name))));
        }
    }
    let each = addresses.into_iter().map(|(address, known)| evaluated(&authenticator, domain, address, known));
    join_all(each).await.into_iter().flatten().collect()
}

async fn evaluated(spf: &MessageAuthenticator, domain: &str, address: IpAddr, known: Known<'_>) -> Option<Finding> {
    let sender = format!("bounces@{domain}");
    let asked = spf.check_host(SpfParameters::verify_mail_from(address, domain, domain, &sender).into());
    let result = timeout(PATIENCE, asked).await.map_or(SpfResult::TempError, |output| output.result());
    judged(domain, address, known, result)
}

/// What a receiver would make of mail from there; nothing where there is no record, which is told elsewhere.
fn judged(domain: &str, address: IpAddr, known: Known<'_>, result: SpfResult) -> Option<Finding> {
    let check = format!("SPF for {address}");
    let here = match known {
        Known::Named => String::new(),
        Known::Relay(name) => format!("if relay {name} sends from where it listens, "),
    };
    let refused = match result {
        SpfResult::None => return None,
        SpfResult::Pass => return Some(Finding::ok(check, format!("{here}{domain} lets it send"))),
        SpfResult::TempError => {
            let found = "DNS did not answer all that the record asks";
            return Some(Finding::warn(check, found, "look at the resolver, and at the domains that the record names"));
        }
        SpfResult::PermError => {
            let found = format!("the record of {domain} cannot be evaluated, so that it speaks for nobody");
            let mend =
                "a misspelt word, an include: of a domain without record, or more than ten look-ups (RFC 7208 §4.6)";
            return Some(Finding::fail(check, found, mend));
        }
        SpfResult::Fail => "fail",
        SpfResult::SoftFail => "softfail",
        SpfResult::Neutral => "neutral",
    };
    let found = format!("{here}{domain} does not let it send: {refused}");
    Some(match known {
        Known::Named => {
            let kind = if address.is_ipv4() { "ip4" } else { "ip6" };
            Finding::fail(check, found, format!("add {kind}:{address} to the record, or the include: of its owner"))
        }
        Known::Relay(_) => Finding::warn(
            check,
            found,
            "ask its operator for the include: that the record needs; --leaves-from IP checks a certain address",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn what_is_not_certain_is_said_with_an_if_and_fails_nothing() {
        let address = "192.0.2.1".parse().unwrap();
        let finding = |known, result| judged("b.shop.example", address, known, result);
        let named = |result| finding(Known::Named, result).map(|found| found.level);
        let relay = |result| finding(Known::Relay("main"), result).map(|found| found.level);
        assert_eq!((named(SpfResult::Pass), relay(SpfResult::Pass)), (Some(Level::Ok), Some(Level::Ok)));
        for refused in [SpfResult::Fail, SpfResult::SoftFail, SpfResult::Neutral] {
            assert_eq!((named(refused), relay(refused)), (Some(Level::Fail), Some(Level::Warn)));
        }
        assert_eq!(relay(SpfResult::PermError), Some(Level::Fail));
        assert_eq!((relay(SpfResult::TempError), named(SpfResult::None)), (Some(Level::Warn), None));
        let words = finding(Known::Relay("main"), SpfResult::SoftFail).unwrap().found;
        assert_eq!(words, "if relay main sends from where it listens, b.shop.example does not let it send: softfail");
    }
}
