//! What the tests about people share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::hmac;
use colloquy::clock::Clock;
use colloquy::domain::address::Address;
use colloquy::domain::consent;
use colloquy::domain::id::RecipientId;
use colloquy::domain::project::{Attribute, AttributeType, Choices, Project, Sender};
use colloquy::domain::score::{ClusterRules, ScoreRules};
use colloquy::domain::time::Micros;
use colloquy::people::import::{self, Options, Summary};
use colloquy::store::recipients::Recipient;
use colloquy::store::{consents, recipients};

use crate::support::Database;

pub fn key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &[5; 32])
}

pub fn project() -> Project {
    let titles = |names: &[&str]| names.iter().map(|&n| (n.to_owned(), n.to_uppercase())).collect();
    let attribute = |kind| Attribute { kind, ..Attribute::default() };
    let day = Duration::from_secs(86_400);
    Project {
        sender: Sender {
            from_name: "Alpenlauf".into(),
            from_address: "news@alpenlauf.example".into(),
            reply_to: None,
            catches_replies: false,
            postal_address: None,
            imprint_url: None,
            bounce_domain: Some("b.alpenlauf.example".into()),
            locale: "en".into(),
            timezone: "UTC".into(),
        },
        topics: titles(&["news", "offers"]),
        categories: titles(&["running", "trail"]),
        score: ScoreRules { half_life: 30 * day, warm: 20.0, points: BTreeMap::from([("click".into(), 5.0)]) },
        cluster: ClusterRules { half_life: 90 * day, min_points: 10.0, min_share: 0.5, margin: 0.1, prior: 5.0 },
        frequency_cap: None,
        pause_at_rejections: None,
        returns: colloquy::domain::returns::ReturnLimits::default(),
        blackout: Vec::new(),
        retention: colloquy::domain::retention::Retention::default(),
        segments: BTreeMap::new(),
        attributes: BTreeMap::from([
            ("age".into(), attribute(AttributeType::Number)),
            ("birthday".into(), attribute(AttributeType::Date)),
            ("member".into(), attribute(AttributeType::Bool)),
        ]),
        choices: Choices::default(),
        base_url: "https://t.alpenlauf.example".into(),
    }
}

pub fn file(db: &Database, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = db.dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

pub fn options(file: PathBuf) -> Options {
    Options { file, topic: "offers".into(), source: "fair 2026".into(), tracking: false, dry_run: false }
}

pub async fn import_with(db: &Database, options: &Options) -> Summary {
    import::run(&db.store, &project(), &key(), &Clock::system(), options, |_| ()).await.unwrap()
}

pub async fn import(db: &Database, content: &str) -> Summary {
    import_with(db, &options(file(db, "people.csv", content))).await
}

pub fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub async fn find(db: &Database, text: &str) -> Option<Recipient> {
    recipients::find(&mut db.store.read().await.unwrap(), &address(text)).await.unwrap()
}

/// Verifies a person's chain; its entries as (purpose, topic, granted).
pub async fn ledger(db: &Database, who: RecipientId) -> Vec<(String, String, bool)> {
    let mut session = db.store.read().await.unwrap();
    let entries = consents::history(&mut session, who, Micros(i64::MAX)).await.unwrap();
    consent::verify(entries.iter().map(|e| e.entry().unwrap())).unwrap();
    entries.into_iter().map(|e| (e.purpose, e.topic, e.granted)).collect()
}
