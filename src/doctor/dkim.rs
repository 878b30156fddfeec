//! Keys that sign: the files, and whether DNS publishes what verifies their signatures.

use super::dns::Dns;
use super::domains::tags;
use super::{Finding, Patient};
use crate::config;
use crate::domain::dkim::{DkimConfig, SigningKey};

pub(super) async fn look(patient: &Patient<'_>, dns: &Dns) -> Vec<Finding> {
    let mut findings = Vec::new();
    for config in &patient.loaded.settings.dkim {
        match config::dkim::keys(&patient.root, std::slice::from_ref(config)) {
            Ok(keys) => {
                for (config, key) in keys {
                    findings.push(published(dns, &config, &key).await);
                }
            }
            Err(problems) => findings.extend(problems.0.into_iter().map(|problem| {
                let mend = problem.hint.unwrap_or_else(|| "`colloquy dkim new DOMAIN` makes a key".to_owned());
                Finding::fail(format!("key file {}", problem.file), problem.message, mend)
            })),
        }
    }
    findings
}

async fn published(dns: &Dns, config: &DkimConfig, key: &SigningKey) -> Finding {
    let name = config.record_name();
    let check = format!("DKIM of {name}");
    let wanted = key.record();
    let mend = format!("publish a TXT record at {name}, as `colloquy dkim show` prints it");
    let found = match dns.texts(&name).await {
        Ok(found) => found,
        Err(fault) => return Finding::fail(check, fault.to_string(), "look at the machine's resolver, or use --dns"),
    };
    let part = |record: &str, name: &str| {
        let value = tags(record).into_iter().find(|(tag, _)| *tag == name).map(|(_, value)| value);
        value.map(|value| value.split_whitespace().collect::<String>())
    };
    match &found[..] {
        [] => Finding::fail(check, "there is no record, so that no signature can be verified", mend),
        [record] if part(record, "p").is_some_and(|key| key.is_empty()) => {
            Finding::fail(check, "the key is revoked: the record's p= is empty", mend)
        }
        [record] if part(record, "p") != part(&wanted, "p") => {
            Finding::fail(check, "the record has another key than the file", mend)
        }
        [record] if part(record, "t").is_some_and(|flags| flags.split(':').any(|flag| flag == "y")) => {
            Finding::warn(check, "the record says t=y: receivers take the signature for a test", "take t=y out")
        }
        [_] => Finding::ok(check, "the record has the key of the file"),
        _ => Finding::fail(check, "there are several records, of which receivers take any", "keep one of them"),
    }
}
