//! Whether the database answers, fits this program, and keeps what it says it has kept.

use std::path::Path;

use super::{Finding, Patient};
use crate::domain::time::Micros;
use crate::store::durability::{Durability, durability, now};
use crate::store::{self, Place, Schema, Standing, Store, transfer};

/// Clocks further apart than this are worth a look.
const APART: f64 = 2.0;

/// What mends an embedded database.
const FILE: &str =
    "look at the file, its owner and rights, and the disk; a damaged one comes back by `colloquy restore`";

pub(super) async fn look(patient: &Patient<'_>) -> Vec<Finding> {
    let machine = &patient.loaded.settings.machine;
    let url = &machine.database_url;
    let absent = |file: &str| !patient.root.join(file.trim_start_matches("//")).exists();
    if url.strip_prefix("sqlite:").is_some_and(absent) {
        return vec![Finding::warn("database", "there is none yet", "`colloquy import` makes it")];
    }
    let place = Place { url, direct_url: machine.database_direct_url.as_deref() };
    let store = match Store::connect(place, &patient.root).await {
        Ok(store) => store,
        Err(error) => {
            let mend = if url.starts_with("sqlite:") {
                FILE
            } else {
                "look at [database] url, PGPASSWORD, and whether the server runs"
            };
            return vec![Finding::fail("database", error.to_string(), mend)];
        }
    };
    let found = asked(patient, &store).await;
    let mend = if url.starts_with("sqlite:") { FILE } else { "look at the server's log" };
    let failed = |error: store::Error| vec![Finding::fail("database", error.to_string(), mend)];
    let mut findings = found.unwrap_or_else(failed);
    findings.extend(servers(&store.servers().await));
    store.close().await;
    if let Some(direct) = place.direct_url {
        findings.push(beside_the_pooler(direct, &patient.root).await);
    }
    findings
}

/// Whether a failover has somewhere to go.
fn servers(all: &[(String, Standing)]) -> Vec<Finding> {
    if all.len() < 2 {
        return Vec::new();
    }
    let primaries = all.iter().filter(|(_, standing)| *standing == Standing::Primary).count();
    let finding = |(name, standing): &(String, Standing)| {
        let check = format!("server {name}");
        match standing {
            Standing::Primary if primaries > 1 => {
                Finding::fail(check, "takes writes, and so does another", "take the old primary out before it is used")
            }
            Standing::Primary => Finding::ok(check, "takes writes"),
            Standing::Standby => Finding::ok(check, "takes no writes, as a standby"),
            Standing::Away(why) => Finding::warn(check, why, "while it is away, a failover has one place less to go"),
        }
    };
    all.iter().map(finding).collect()
}

async fn beside_the_pooler(url: &str, root: &Path) -> Finding {
    let schema = async {
        let store = Store::connect(url, root).await?;
        let schema = store.schema().await;
        store.close().await;
        schema
    };
    match schema.await {
        Ok(_) => Finding::ok("direct_url", "answers"),
        Err(error) => {
            let mend = "it must lead to the servers behind the pooler, where the schema is brought up to date";
            Finding::fail("direct_url", error.to_string(), mend)
        }
    }
}

async fn asked(patient: &Patient<'_>, store: &Store) -> crate::store::Result<Vec<Finding>> {
    let mut findings = vec![match store.schema().await {
        Ok(Schema::Current) => match transfer::refuse(&mut store.read().await?).await {
            Ok(()) => Finding::ok("database", "answers, and its schema is this program's"),
            Err(error) => {
                let words = error.to_string();
                let (found, mend) = words.split_once("\n  hint: ").unwrap_or((&words, ""));
                Finding::fail("database", found, mend.to_owned())
            }
        },
        Ok(Schema::Newer) => Finding::fail(
            "database",
            "its schema is a newer program's",
            "start the newer program here, too; what runs already goes on",
        ),
        _ => Finding::fail(
            "database",
            "its schema is not this program's",
            "an older one is brought up to date by any command; a newer one needs the newer program",
        ),
    }];
    let mut session = store.read().await?;
    findings.push(match durability(&mut session).await? {
        Durability::Kept(words) => Finding::ok("durability", words),
        Durability::Risky { found, mend } => Finding::fail("durability", found, mend),
        Durability::Alone(words) => Finding::warn(
            "durability",
            words,
            "without a synchronous standby a failover may forget what was sent, and send it again",
        ),
    });
    let asked = patient.clock.now();
    if let Some(theirs) = now(&mut session).await? {
        let apart = Micros(theirs.outside(asked, patient.clock.now())).seconds_since(Micros(0));
        findings.push(match apart.abs() <= APART {
            true => Finding::ok("clock of the database", "agrees with this machine's"),
            false => Finding::fail(
                "clock of the database",
                format!("{apart:+.1} s against this machine's"),
                "let both machines follow NTP; nodes go by the database's",
            ),
        });
    }
    Ok(findings)
}
