//! `[[dkim]]`, and the files of its keys. Keys are read by whoever checks them or signs with them, never by loading a
//! project: a machine that does not send need not have them.

use std::io;
use std::path::Path;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::files::{PROJECT_FILE, ProjectFiles, stays_inside};
use super::problem::{Complaint, Problem, Problems};
use super::reader::{Doc, Section};
use super::{check, keys as described, private};
use crate::domain::alignment::signs_for;
use crate::domain::dkim::{Algorithm, DkimConfig, KeyFault, SigningKey};

pub(super) fn read(root: &Section<'_>) -> Vec<DkimConfig> {
    root.each("dkim", entry).into_iter().flatten().collect()
}

fn entry(section: &Section<'_>) -> Option<DkimConfig> {
    let domain = section.required("domain", "domain = \"example.org\"").and_then(|field| field.parsed(check::domain));
    let selector = section.required("selector", "selector = \"c1\"").and_then(|field| field.parsed(selector));
    let key_file = section.required("key_file", "key_file = \"config/dkim.pem\"").and_then(|field| {
        field.parsed(|text| match text {
            "" => Err("the path is empty"),
            text if text.starts_with('/') || stays_inside(text) => Ok(text.into()),
            _ => Err("the path leaves the project"),
        })
    });
    Some(DkimConfig { domain: domain?, selector: selector?, key_file: key_file? })
}

/// Warns when there are keys, and none of them signs the sender's mail.
pub(super) fn warn_unsigned(root: &Section<'_>, from_domain: &str, keys: &[DkimConfig]) {
    let Some(first) = keys.first().filter(|_| keys.iter().all(|key| !signs_for(&key.domain, from_domain))) else {
        return;
    };
    root.section("sender", |sender| {
        // They were read before.
        sender.pass_over_others();
        if let Some(from) = sender.field("from") {
            let complaint = Complaint::new(format!("no key of [[dkim]] signs mail from {from_domain}"));
            let hint = format!(
                "keys of {} sign for that domain and those below it; receivers want a signature that \
                                speaks for From: colloquy dkim new {from_domain}",
                first.domain
            );
            from.warn(complaint.hint(hint));
        }
    });
}

/// A selector: labels of DNS with dots between them (RFC 6376 §3.1).
///
/// # Errors
/// A complaint that shows what one looks like.
pub fn selector(text: &str) -> Result<String, Complaint> {
    let fits = text.len() <= 63 && text.split('.').all(|label| check::name(label).is_ok());
    let complaint = || Complaint::new(format!("'{text}' is not a selector"));
    fits.then(|| text.to_owned()).ok_or_else(|| complaint().hint("a DNS label such as c1 (RFC 6376 §3.1)"))
}

/// A domain that can sign, in lower-case A-labels.
///
/// # Errors
/// A complaint that shows what one looks like.
pub fn domain(text: &str) -> Result<String, Complaint> {
    check::domain(text)
}

/// Reads the keys of a project in `root`.
///
/// # Errors
/// What is wrong with any of the files, named by their paths; nothing of what they hold.
pub fn keys(root: &Path, configs: &[DkimConfig]) -> Result<Vec<(DkimConfig, SigningKey)>, Problems> {
    let mut problems = Vec::new();
    let mut keys = Vec::new();
    for config in configs {
        match key(&root.join(&config.key_file)) {
            Ok(key) => keys.push((config.clone(), key)),
            Err(complaint) => problems.push(Problem::about_file(&config.key_file.display().to_string(), complaint)),
        }
    }
    if problems.is_empty() { Ok(keys) } else { Err(Problems(problems)) }
}

/// What is wrong with the files of a project's keys, each at the line that names it. Files of an applied version name
/// keys that they do not hold, so that nothing can be said of them.
#[must_use]
pub fn problems(files: &ProjectFiles) -> Vec<Problem> {
    let ProjectFiles::Disk(directory) = files else { return Vec::new() };
    let Ok(Some(text)) = files.read(PROJECT_FILE) else { return Vec::new() };
    let doc = Doc::new(PROJECT_FILE, &text, described::PROJECT);
    doc.read_recovered(|root| {
        root.each("dkim", |section| {
            let config = entry(section);
            if let (Some(config), Some(field)) = (config, section.field("key_file"))
                && let Err(complaint) = key(&directory.join(&config.key_file))
            {
                field.error(complaint);
            }
        });
    });
    doc.into_problems()
}

fn key(path: &Path) -> Result<SigningKey, Complaint> {
    let missing = || {
        Complaint::new("there is no such key file")
            .hint("`colloquy dkim new DOMAIN` makes a key; DNS must know its record")
    };
    let text = private::read(path, "this key", missing)?;
    SigningKey::from_pem(&text).map_err(|fault| {
        Complaint::new(fault.to_string()).hint(match fault {
            KeyFault::Encrypted => "openssl pkey -in OLD -out NEW writes it without a passphrase",
            KeyFault::NotPem | KeyFault::Rsa | KeyFault::Unknown => "`colloquy dkim new DOMAIN` makes one that fits",
        })
    })
}

/// Makes a key and writes it as PKCS #8 in PEM to a new file with mode 0600.
///
/// # Errors
/// When the file exists or cannot be written, or the machine has no random numbers.
pub fn generate(algorithm: Algorithm, path: &Path) -> io::Result<SigningKey> {
    let der: Result<Pkcs8V1Der<'_>, _> = match algorithm {
        Algorithm::Rsa => RsaKeyPair::generate(KeySize::Rsa2048).and_then(|pair| pair.as_der()),
        Algorithm::Ed25519 => Ed25519KeyPair::generate().and_then(|pair| pair.as_der()),
    };
    let der = der.map_err(|_| io::Error::other("no key could be made"))?;
    let encoded = STANDARD.encode(der.as_ref());
    let lines: Vec<_> = encoded.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let key = SigningKey::from_pem(&pem).map_err(io::Error::other)?;
    private::write_new(path, &pem)?;
    Ok(key)
}
