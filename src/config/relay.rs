//! `[[relay]]`.

use std::collections::BTreeSet;

use super::check;
use super::problem::Complaint;
use super::reader::Section;
use crate::domain::rate::Rate;
use crate::domain::relay::{DEFAULT_CONNECTIONS, DEFAULT_QUIET, RelayConfig, RelayUrl};

pub(super) fn relays(root: &Section<'_>) -> Vec<RelayConfig> {
    let mut names = BTreeSet::new();
    let relays: Vec<_> = root.each("relay", |section| relay(section, &mut names));
    if relays.is_empty() && root.field("relay").is_none() {
        root.missing("relay", "[[relay]] with name = \"main\" and url = \"file:outbox\" below it");
    }
    relays.into_iter().flatten().collect()
}

fn relay(section: &Section<'_>, names: &mut BTreeSet<String>) -> Option<RelayConfig> {
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
    let (username, password_env) = credentials(section);
    let connections = section.field("connections").and_then(|field| field.count(1));
    let rate = section.parsed("rate", Rate::parse);
    let mut per_domain_default = None;
    let per_domain = section.section("per_domain", |limits| {
        per_domain_default = limits.parsed("default", Rate::parse);
        limits
            .other_fields()
            .into_iter()
            .filter_map(|field| {
                let domain = check::domain(field.key).map_err(|complaint| field.key_error(complaint)).ok();
                Some((domain?, field.parsed(Rate::parse)?))
            })
            .collect()
    });
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
        slow_down_quiet: quiet.unwrap_or(DEFAULT_QUIET),
        order: order.unwrap_or(1),
        weight: weight.unwrap_or(1),
    })
}

fn credentials(section: &Section<'_>) -> (Option<String>, Option<String>) {
    let username = section.field("username");
    let password = section.field("password_env");
    match (&username, &password) {
        (Some(field), None) => field.key_error(
            Complaint::new("`username` needs `password_env`")
                .hint("password_env = \"RELAY_PASSWORD\" names the environment variable that holds the password"),
        ),
        (None, Some(field)) => field.key_error(Complaint::new("`password_env` needs `username`")),
        _ => {}
    }
    if let Some(field) = section.field("password") {
        let complaint = Complaint::new("passwords do not belong into this file");
        field.key_error(complaint.hint("password_env = \"RELAY_PASSWORD\" names an environment variable instead"));
    }
    let password = password.and_then(|field| field.parsed(variable_name));
    (username.and_then(|field| Some(field.text()?.into())), password)
}

fn variable_name(text: &str) -> Result<String, Complaint> {
    let fits = !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let complaint = || Complaint::new("this is not the name of an environment variable");
    fits.then(|| text.into()).ok_or_else(|| complaint().hint("a name such as RELAY_PASSWORD, not the password itself"))
}
