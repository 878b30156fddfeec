//! Looks at everything that mail depends on and that no config file can show: DNS, relays, mailboxes, database, disk,
//! clock, keys, and whether recipients reach us. Each finding says how to mend what it found. Nothing is changed anywhere.

mod database;
mod disk;
mod dkim;
mod dns;
mod domains;
mod leaving;
mod machine;
mod mailboxes;
mod relays;
mod web;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use serde::Serialize;

use crate::clock::Clock;
use crate::config::Loaded;
use crate::domain::token::Keyring;
use crate::mailbox::Mailbox;
use crate::relay::Relay;

pub use dns::{Dns, DnsFault};

/// How long any one check may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Warn,
    /// Mail, or what comes back, suffers.
    Fail,
}

/// What one check found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at.
    pub check: String,
    /// What is there.
    pub found: String,
    /// What to do about it; none when it is as it should be.
    pub mend: Option<String>,
}

impl Finding {
    fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { level: Level::Ok, check: check.into(), found: found.into(), mend: None }
    }

    fn warn(check: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Warn, check: check.into(), found: found.into(), mend: Some(mend.into()) }
    }

    fn fail(check: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Fail, ..Self::warn(check, found, mend) }
    }
}

/// What is looked at.
pub struct Patient<'a> {
    /// The project's directory.
    pub root: PathBuf,
    /// What its files say.
    pub loaded: &'a Loaded,
    /// The keys that sign links, or why they cannot be read.
    pub keyring: Result<Keyring, String>,
    /// Each relay by its name, ready, or why it cannot be.
    pub relays: Vec<(String, Result<Relay, String>)>,
    /// Each mailbox by its name, ready, or why it cannot be.
    pub mailboxes: Vec<(String, Result<Mailbox, String>)>,
    /// The time.
    pub clock: Clock,
    /// The server to ask instead of the system's.
    pub dns: Option<SocketAddr>,
    /// Addresses that mail is known to leave from.
    pub leaves_from: Vec<IpAddr>,
}

/// Runs all checks at once; findings come in the same order each time.
pub async fn examine(patient: &Patient<'_>) -> Vec<Finding> {
    let dns = Dns::new(patient.dns);
    let dns = &dns;
    let checks: [(&str, BoxFuture<'_, Vec<Finding>>); 9] = [
        ("database", Box::pin(database::look(patient))),
        ("machine", Box::pin(machine::look(patient))),
        ("disk", Box::pin(disk::look(patient))),
        ("relays", Box::pin(relays::look(patient, dns))),
        ("mailboxes", Box::pin(mailboxes::look(patient))),
        ("dkim", Box::pin(dkim::look(patient, dns))),
        ("domains", Box::pin(domains::look(patient, dns))),
        ("SPF", Box::pin(leaving::look(patient, dns))),
        ("base_url", Box::pin(web::look(patient, dns))),
    ];
    let bounded = checks.map(|(name, check)| async move {
        tokio::time::timeout(PATIENCE, check).await.unwrap_or_else(|_| {
            let found = format!("no answer within {} seconds", PATIENCE.as_secs());
            vec![Finding::fail(name, found, "look whether a firewall swallows what this machine asks")]
        })
    });
    join_all(bounded).await.into_iter().flatten().collect()
}
