//! Twenty people: five groups of excluded ones, and twelve who may be mailed.

use std::collections::BTreeMap;

use colloquy::args;
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::run::RunState;
use colloquy::domain::time::Micros;
use colloquy::store::runs::{self, NewRun};
use colloquy::store::{Session, Store, versions};
use serde_json::json;

pub const DAY: i64 = 86_400_000_000;
/// 2026-06-01.
pub const NOW: i64 = 1_780_272_000_000_000;

/// p1 to p20, with ids of the same number. Suppressed: 3 and, paused as well, 4. No consent: 5 and 6
/// never had one, 7 left. Paused: 8. At the cap: 19 and 20.
pub async fn people(store: &Store) {
    let mut tx = store.write().await.unwrap();
    for n in 1..=20 {
        person(&mut tx, n, if n % 3 == 0 { "example.org" } else { "gmail.com" }).await;
    }
    for n in [3, 4] {
        suppress(&mut tx, n).await;
    }
    let pause = "UPDATE recipients SET paused_until = $1 WHERE id IN (4, 8)";
    tx.change(2, pause, args![NOW + 3 * DAY]).await.unwrap();
    tx.change(2, "DELETE FROM subscriptions WHERE recipient_id IN (5, 6)", args![]).await.unwrap();
    tx.change(1, "UPDATE subscriptions SET subscribed = FALSE WHERE recipient_id = 7", args![]).await.unwrap();
    for (campaign, ago) in [("one", 2 * DAY), ("two", 3 * DAY)] {
        let run = run(&mut tx, campaign, "1", RunState::Done, NOW - ago).await;
        for n in [19, 20] {
            message(&mut tx, run, n, "accepted", NOW - ago).await;
        }
    }
    tx.commit().await.unwrap();
}

/// A subscriber of `news` who joined an hour ago.
pub async fn person(tx: &mut Session, n: i64, domain: &str) -> RecipientId {
    let sql = "INSERT INTO recipients (id, address, domain, address_hash, attributes, tracking, created_at)
        VALUES ($1, $2, $3, $4, $5, TRUE, $6)";
    let name = json!({"first_name": format!("P{n}")});
    let joined = NOW - 3_600_000_000;
    let values = args![n, format!("p{n}@{domain}"), domain, hash(n), name, joined];
    tx.change(1, sql, values).await.unwrap();
    let sql = "INSERT INTO subscriptions (recipient_id, topic, subscribed, since) VALUES ($1, 'news', TRUE, $2)";
    tx.change(1, sql, args![n, joined]).await.unwrap();
    RecipientId(n)
}

pub async fn suppress(tx: &mut Session, n: i64) {
    tx.change(1, "INSERT INTO suppressions (hash, at, reason) VALUES ($1, 1, 'asked')", args![hash(n)]).await.unwrap();
}

fn hash(n: i64) -> Vec<u8> {
    vec![n as u8; 32]
}

pub async fn run(tx: &mut Session, campaign: &str, occasion: &str, state: RunState, at: i64) -> RunId {
    let version = versions::freeze(tx, &BTreeMap::from([("a".into(), "b".into())]), "hash", Micros(1)).await.unwrap();
    let new = NewRun { campaign, topic: "news", occasion, version, state, at: Micros(at) };
    assert!(runs::create(tx, new).await.unwrap());
    runs::by_occasion(tx, campaign, occasion).await.unwrap().unwrap().id
}

pub async fn message(tx: &mut Session, run: RunId, n: i64, state: &str, at: i64) {
    let sql = "INSERT INTO messages (run_id, recipient_id, state, at) VALUES ($1, $2, $3, $4)";
    tx.change(1, sql, args![run, n, state, at]).await.unwrap();
}
