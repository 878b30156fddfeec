//! `[[relay]]`.

use std::collections::{BTreeMap, BTreeSet};

use super::check;
use super::problem::Complaint;
use super::reader::Section;
use super::value::Field;
use crate::domain::group::Group;
use crate::domain::rate::Rate;
use crate::domain::relay::{DEFAULT_CONNECTIONS, DEFAULT_QUIET, RelayConfig, RelayUrl};
use crate::domain::warm_up::WarmUp;

/// All relays; their days begin in `zone`.
pub(super) fn relays(root: &Section<'_>, zone: &str) -> Vec<RelayConfig> {
    let mut names = BTreeSet::new();
    let relays: Vec<_> = root.each("relay", |section| relay(section, &mut names, zone));
    if relays.is_empty() && root.field("relay").is_none() {
        root.missing("relay", "[[relay]] with name = \"main\" and url = \"file:outbox\" below it");
    }
    relays.into_iter().flatten().collect()
}

fn relay(section: &Section<'_>, names: &mut BTreeSet<String>, zone: &str) -> Option<RelayConfig> {
    let name = section.required("name", "name = \"main\"").and_then(|field| {
        let text = field.parsed(|text| check::name(text).map(|()| text))?;
        if !names.insert(text.into()) {
            let complaint = Complaint::new(format!("there is another relay named `{text}`"));
            field.error(complaint.hint("name each relay differently"));
        }
        Some(text)
    });
    let url = section.required("url", "url = \"smtp://relay.example.org:587\" or url = \"file:outbox\"");
    let url = url.and_then(|field| {
        let hint = "smtp://HOST:PORT, smtp+starttls://HOST:PORT, smtps://HOST:PORT or file:DIR";
        field.parsed(|text| RelayUrl::parse(text).map_err(|fault| Complaint::new(fault).hint(hint)))
    });
    let (username, password_env) = credentials(section, "RELAY_PASSWORD");
    let connections = section.field("connections").and_then(|field| field.count(1));
    let rate = section.parsed("rate", Rate::parse);
    let (per_domain_default, per_domain) = by_domain(section, "per_domain", |field| field.parsed(Rate::parse));
    let (connections_per_domain_default, connections_per_domain) =
        by_domain(section, "connections_per_domain", |field| field.count(1));
    let share_limits_by_mx = section.field("share_limits_by_mx").and_then(|field| field.boolean()).unwrap_or(false);
    let named: BTreeSet<String> = per_domain.keys().chain(connections_per_domain.keys()).cloned().collect();
    let groups = section.section("group", |groups| {
        groups.fields().into_iter().map(|field| (field.key.to_owned(), group(&field, &named))).collect()
    });
    let warm_up = section.field("warm_up").and_then(|field| field.section(|section| warm_up(section, zone)));
    let quiet = section.section("slow_down", |slow_down| slow_down.parsed("quiet", check::span));
    let order = section.field("order").and_then(|field| field.count(0));
    let weight = section.field("weight").and_then(|field| field.count(1));
    Some(RelayConfig {
        name: name?.into(),
        url: url?,
        username,
        password_env,
        connections: connections.unwrap_or(DEFAULT_CONNECTIONS),
        rate,
        per_domain_default,
        per_domain,
        connections_per_domain_default,
        connections_per_domain,
        share_limits_by_mx,
        groups,
        slow_down_quiet: quiet.unwrap_or(DEFAULT_QUIET),
        warm_up,
        order: order.unwrap_or(1),
        weight: weight.unwrap_or(1),
    })
}

/// A section with a value for each domain, and perhaps a default.
fn by_domain<T>(
    section: &Section<'_>,
    key: &'static str,
    read: impl Fn(&Field<'_>) -> Option<T>,
) -> (Option<T>, BTreeMap<String, T>) {
    section.section(key, |limits| {
        let default = limits.field("default").and_then(|field| read(&field));
        (default, named(limits.other_fields(), read))
    })
}

/// Values under the names of domains.
fn named<T>(fields: Vec<Field<'_>>, read: impl Fn(&Field<'_>) -> Option<T>) -> BTreeMap<String, T> {
    let one = |field: Field<'_>| {
        let domain = check::domain(field.key).map_err(|complaint| field.key_error(complaint)).ok();
        Some((domain?, read(&field)?))
    };
    fields.into_iter().filter_map(one).collect()
}

/// Domains that share limits; none of them may have a limit of its own in `named`.
fn group(field: &Field<'_>, named: &BTreeSet<String>) -> Group {
    check::name(field.key).unwrap_or_else(|complaint| field.key_error(complaint));
    field.section(|section| {
        let list = |key, read: &dyn Fn(&str) -> Result<String, Complaint>| {
            let field: Option<Field<'_>> = section.field(key);
            let one = |field: &Field<'_>, text: &str| read(text).map_err(|complaint| field.error(complaint)).ok();
            let texts = field.as_ref().and_then(|field| Some(field.texts()?.into_iter().map(|text| one(field, text))));
            texts.into_iter().flatten().flatten().collect::<Vec<String>>()
        };
        let alone = |text: &str| {
            let domain = check::domain(text)?;
            let complaint = || Complaint::new(format!("`{domain}` has a limit of its own at this relay"));
            let hint = "take it out of the group, or out of per_domain and connections_per_domain";
            if named.contains(&domain) { Err(complaint().hint(hint)) } else { Ok(domain) }
        };
        let (domains, hosts) = (list("domains", &alone), list("mx", &host_pattern));
        if section.field("domains").is_none() && section.field("mx").is_none() {
            section.missing("domains", "domains = [\"example.org\"], or mx = [\"*.example.org\"] for mail hosts");
        }
        let rate = section.parsed("rate", Rate::parse);
        let connections = section.field("connections").and_then(|field| field.count(1));
        Group { domains, hosts, rate, connections }
    })
}

/// A mail host, or `*.` and what it ends in.
fn host_pattern(text: &str) -> Result<String, Complaint> {
    let host = text.strip_prefix("*.").unwrap_or(text);
    let complaint =
        |_| Complaint::new(format!("'{text}' is not a mail host")).hint("as in mx.example.org or *.example.org");
    let host = check::domain(host).map_err(complaint)?;
    Ok(if text.starts_with("*.") { format!("*.{host}") } else { host })
}

fn days(field: &Field<'_>) -> Option<Vec<u32>> {
    field.counts()
}

fn warm_up(section: &Section<'_>, zone: &str) -> Option<WarmUp> {
    let start = section.required("start", "start = 2026-12-01, the day on which the relay begins");
    let start = start.and_then(|field| field.date());
    let table = section.field("table").map(|field| days(&field));
    let per_domain = section.section("per_domain", |domains| named(domains.fields(), days));
    if table.is_none() && per_domain.is_empty() {
        section.missing("table", "table = [200, 500, 1000], the messages of the first, second and third day");
    }
    Some(WarmUp { start: start?, zone: zone.to_owned(), table: table.flatten().unwrap_or_default(), per_domain })
}

/// Who logs in, and the variable that holds the password; `example` is how such a one is called.
pub(super) fn credentials(section: &Section<'_>, example: &str) -> (Option<String>, Option<String>) {
    let username = section.field("username");
    let password = section.field("password_env");
    match (&username, &password) {
        (Some(field), None) => field.key_error(
            Complaint::new("`username` needs `password_env`")
                .hint(format!("password_env = \"{example}\" names the environment variable that holds the password")),
        ),
        (None, Some(field)) => field.key_error(Complaint::new("`password_env` needs `username`")),
        _ => {}
    }
    if let Some(field) = section.field("password") {
        let complaint = Complaint::new("passwords do not belong into this file");
        field.key_error(complaint.hint(format!("password_env = \"{example}\" names an environment variable instead")));
    }
    let password = password.and_then(|field| field.parsed(|text| variable_name(text, example)));
    (username.and_then(|field| Some(field.text()?.into())), password)
}

fn variable_name(text: &str, example: &str) -> Result<String, Complaint> {
    let fits = !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let complaint = || Complaint::new("this is not the name of an environment variable");
    fits.then(|| text.into())
        .ok_or_else(|| complaint().hint(format!("a name such as {example}, not the password itself")))
}
