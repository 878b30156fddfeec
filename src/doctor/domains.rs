//! SPF, DMARC, the way back of bounces, and whether what is signed and returned speaks for From.

use super::dns::{Dns, DnsFault};
use super::{Finding, Patient};
use crate::domain::alignment::signs_for;

/// Finds records that begin with this tag; receivers take none where there are several.
async fn records(dns: &Dns, name: &str, tag: &str) -> Result<Vec<String>, DnsFault> {
    let tagged = |text: &String| {
        let head = text.split([';', ' ']).next().unwrap_or_default();
        head.eq_ignore_ascii_case(tag)
    };
    Ok(dns.texts(name).await?.into_iter().filter(tagged).collect())
}

pub(super) async fn look(patient: &Patient<'_>, dns: &Dns) -> Vec<Finding> {
    let sender = &patient.loaded.project.sender;
    let from = sender.from_address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let bounce = sender.bounce_domain.as_deref().unwrap_or(from);
    let (spf, (dmarc, organisation), back) = tokio::join!(spf(dns, bounce), dmarc(dns, from), way_back(dns, bounce));
    let signing: Vec<_> = patient.loaded.settings.dkim.iter().map(|key| key.domain.as_str()).collect();
    vec![spf, dmarc, back, alignment(from, bounce, &signing, organisation.as_deref())]
}

/// The last directive decides for all who are not named (RFC 7208 §4.7).
async fn spf(dns: &Dns, domain: &str) -> Finding {
    let check = format!("SPF of {domain}");
    let publish = || format!("publish a TXT record at {domain} that names your relays: v=spf1 include:… -all");
    let found = match records(dns, domain, "v=spf1").await {
        Ok(found) => found,
        Err(fault) => return Finding::fail(check, fault.to_string(), "look at the machine's resolver, or use --dns"),
    };
    match &found[..] {
        [] => Finding::fail(check, "there is no record; receivers cannot tell whose servers may send", publish()),
        [one] => {
            let open = one.split_whitespace().any(|word| ["all", "+all", "?all"].contains(&word));
            match open {
                true => Finding::warn(check, one, "let it end with ~all or -all; as it is, everybody may send"),
                false => Finding::ok(check, one),
            }
        }
        several => Finding::fail(
            check,
            format!("there are {} records, which receivers take for an error (RFC 7208 §4.5)", several.len()),
            "put them together in one",
        ),
    }
}

/// The policy of a domain, or of the nearest one above it; and the domain that has it.
async fn dmarc(dns: &Dns, from: &str) -> (Finding, Option<String>) {
    let check = format!("DMARC of {from}");
    let mut domain = from;
    while domain.contains('.') {
        let found = match records(dns, &format!("_dmarc.{domain}"), "v=DMARC1").await {
            Ok(found) => found,
            Err(fault) => {
                return (Finding::fail(check, fault.to_string(), "look at the machine's resolver, or use --dns"), None);
            }
        };
        match &found[..] {
            [] => domain = domain.split_once('.').map_or("", |(_, above)| above),
            [one] => return (policy(check, one), Some(domain.to_owned())),
            _ => {
                let found = format!("there are several records at _dmarc.{domain}, so that none counts");
                return (Finding::fail(check, found, "keep one of them"), None);
            }
        }
    }
    let mend =
        format!("publish a TXT record at _dmarc.{from}: v=DMARC1; p=none; rua=mailto:…; large receivers want one");
    (Finding::fail(check, "there is no record", mend), None)
}

fn policy(check: String, record: &str) -> Finding {
    let tags = tags(record);
    let is = |name: &str, value: &str| tags.iter().any(|(n, v)| *n == name && v.eq_ignore_ascii_case(value));
    if !["none", "quarantine", "reject"].iter().any(|policy| is("p", policy)) {
        return Finding::fail(check, record, "write a policy: p=none, p=quarantine or p=reject");
    }
    if is("aspf", "s") || is("adkim", "s") {
        let mend = "with adkim=s or aspf=s a subdomain does not speak for From; leave them out unless you mean that";
        return Finding::warn(check, record, mend);
    }
    Finding::ok(check, record)
}

/// The `name=value` pairs of a record.
pub(super) fn tags(record: &str) -> Vec<(&str, &str)> {
    record.split(';').filter_map(|tag| tag.split_once('=')).map(|(name, value)| (name.trim(), value.trim())).collect()
}

/// Bounces come back to the domain of the return path.
async fn way_back(dns: &Dns, domain: &str) -> Finding {
    let check = format!("MX of {domain}");
    let mend = format!("publish an MX record at {domain} that names the host which takes your bounces");
    let hosts = match dns.mail_hosts(domain).await {
        Ok(hosts) => hosts,
        Err(fault) => return Finding::fail(check, fault.to_string(), "look at the machine's resolver, or use --dns"),
    };
    if hosts.is_empty() {
        return Finding::fail(check, "there is no record; bounces would get lost", mend);
    }
    if hosts == ["."] {
        return Finding::fail(check, "the domain takes no mail (RFC 7505); bounces would get lost", mend);
    }
    for host in &hosts {
        if dns.addresses(host).await.is_ok_and(|found| found.is_empty()) {
            return Finding::fail(check, format!("{host} has no address"), format!("publish an address of {host}"));
        }
    }
    Finding::ok(check, hosts.join(", "))
}

/// DMARC's relaxed alignment: related by name, or both within the domain that has the policy. Of the keys only
/// those count that mail from there is signed with.
fn alignment(from: &str, bounce: &str, signing: &[&str], organisation: Option<&str>) -> Finding {
    let below = |domain: &str, above: &str| {
        domain.strip_suffix(above).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let speaks = |domain: &str| {
        let within = organisation.is_some_and(|top| below(domain, top) && below(from, top));
        within || below(domain, from) || below(from, domain)
    };
    let signed = signing.iter().any(|domain| signs_for(domain, from));
    let check = "alignment";
    match (signed, speaks(bounce)) {
        (true, true) => Finding::ok(check, format!("DKIM and return path speak for {from}")),
        (true, false) => Finding::warn(
            check,
            format!("the return path's domain {bounce} does not speak for {from}"),
            format!("set [sender] bounce_domain to a domain below {from}"),
        ),
        (false, true) if signing.is_empty() => Finding::warn(
            check,
            format!("the return path speaks for {from}; mail is not signed here"),
            "let the relay sign, or `colloquy dkim new` makes a key: a forwarded mail has nothing but its signature",
        ),
        (false, true) => {
            Finding::warn(check, format!("no key of [[dkim]] speaks for {from}"), format!("colloquy dkim new {from}"))
        }
        (false, false) => Finding::fail(
            check,
            format!("neither a key nor the return path's domain {bounce} speaks for {from}: DMARC fails"),
            format!("colloquy dkim new {from}, and a bounce_domain below {from}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn what_speaks_for_from_is_related_to_it() {
        let level = |bounce, signing: &[&str], top| alignment("news.shop.example", bounce, signing, top).level;
        assert_eq!(level("b.news.shop.example", &["shop.example"], None), Level::Ok);
        assert_eq!(level("b.shop.example", &["shop.example"], Some("shop.example")), Level::Ok);
        assert_eq!(level("b.shop.example", &["shop.example"], None), Level::Warn, "a sibling, as far as is known");
        assert_eq!(level("shop.example", &["other.example"], None), Level::Warn);
        assert_eq!(level("shop.example", &[], None), Level::Warn);
        assert_eq!(level("shop.example", &["mail.news.shop.example"], None), Level::Warn, "mail is not signed with it");
        assert_eq!(level("shop.example", &["mail.shop.example"], Some("shop.example")), Level::Warn);
        assert_eq!(level("other.example", &["ashop.example"], Some("shop.example")), Level::Fail);
    }

    #[test]
    fn a_policy_needs_its_word() {
        let level = |record: &str| policy("DMARC".into(), record).level;
        assert_eq!(level("v=DMARC1; p=none; rua=mailto:d@shop.example"), Level::Ok);
        assert_eq!(level("v=DMARC1;p=reject;adkim=s"), Level::Warn);
        assert_eq!(level("v=DMARC1; rua=mailto:d@shop.example"), Level::Fail);
    }
}
