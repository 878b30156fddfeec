//! A node that is frozen for longer than its lease lasts, and thawed when others have its work.

use std::time::Duration;

use colloquy::demo::catcher::{Act, Step};
use colloquy::domain::id::NodeId;
use colloquy::domain::time::Micros;
use colloquy::store::{EngineKind, Store, nodes, recipients};
use tokio::time::Instant;

use super::account;
use super::form::{Row, form, seeds};
use super::kills::until_done;
use super::sink::{Journal, sink};
use crate::hours::apply;
use crate::mailing::people;
use crate::project::{Project, Settings};
use crate::support::process::Process;
use crate::support::{Database, database, on_both_engines};

const PEOPLE: usize = 600;
pub const CONNECTIONS: usize = 4;

/// A project that is applied, whose relay takes a while to answer: a node is on the wire with a message on each connection.
pub async fn behind_a_slow_relay(db: Database) -> (Project, Journal) {
    let (catcher, journal) = sink(db.dir.path(), "slow");
    let slowly = |step, _: &str| {
        let answer = Act::Say("250 2.0.0 taken".into());
        (step == Step::Dot).then(|| Act::After(Duration::from_millis(60), Box::new(answer)))
    };
    let project = Project::before(db, Settings::default(), catcher.with_script(slowly)).await;
    project.import(PEOPLE).await;
    let app = project.app();
    apply(&app, &project.db.store, app.clock.now()).await;
    (project, journal)
}

pub async fn nodes(store: &Store) -> Vec<NodeId> {
    nodes::all(&mut store.write().await.unwrap()).await.unwrap().into_iter().map(|node| node.id).collect()
}

pub async fn until<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    while !holds().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Freezes a node. On SQLite one that holds the writer would hold up everybody until it is thawed.
pub async fn freeze(node: &Process, store: &Store) {
    loop {
        node.signal("STOP").await;
        let writer = tokio::time::timeout(Duration::from_secs(2), store.write()).await;
        if store.kind() == EngineKind::Postgres || writer.is_ok() {
            return;
        }
        node.signal("CONT").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

on_both_engines! {
    async fn a_frozen_node_is_fenced_and_what_it_was_told_meanwhile_counts(db) {
        let mut row = Row::begin("a node is frozen beyond its lease", db.store.kind());
        let (project, journal) = behind_a_slow_relay(db).await;
        let (app, store) = (project.app(), project.db.store.clone());
        let start = || Process::start(project.db.dir.path(), &["run", "--role", "sender"]);
        for seed in seeds(1, 3) {
            let run = app.begin(&store, app.campaign("hello").unwrap(), true).await.unwrap();
            let before = journal.taken();
            let first = start();
            until(async || journal.taken() >= before + 20 + 7 * seed as usize % 50).await;
            let node = nodes(&store).await[0];
            freeze(&first, &store).await;
            let frozen = Instant::now();
            let second = start();
            until(async || !nodes(&store).await.contains(&node)).await;
            println!("seed {seed}: taken over after {:?}", frozen.elapsed());
            until_done(&store, run.id).await;
            let unknown = account::settled(&project, &journal, run.id).await.unknown;
            assert!(unknown <= CONNECTIONS, "{unknown} unknown");
            tokio::time::sleep_until(frozen + form(Duration::ZERO, Duration::from_secs(120))).await;

            first.signal("CONT").await;
            assert_ne!(first.end().await, 0, "its lease is lost, and it says so");
            assert!(second.stop().await, "it ended badly");
            let account = account::settled(&project, &journal, run.id).await;
            assert_eq!((account.accepted, account.open), (PEOPLE, 0), "the answers that waited count: {account:?}");
            row.times += 1;
            row.messages += account.messages;
        }
    }
}

/// As a frozen process does.
#[tokio::test]
async fn who_falls_silent_in_a_transaction_gives_up_what_it_has_locked() {
    let db = database(EngineKind::Postgres).await;
    let who = people(&db.store, 1, Micros(1)).await[0];
    let mut silent = db.store.write().await.unwrap();
    assert!(recipients::lock(&mut silent, who).await.unwrap().is_some());
    let mut other = db.store.write().await.unwrap();
    assert!(recipients::lock(&mut other, who).await.unwrap().is_some());
    other.commit().await.unwrap();
    let error = silent.commit().await.unwrap_err();
    assert!(error.may_pass(), "{error}");
}

/// Whoever waits for the leases cannot watch them.
#[tokio::test]
async fn who_falls_silent_over_the_leases_gives_them_up_sooner_than_anything_else() {
    let db = database(EngineKind::Postgres).await;
    let who = people(&db.store, 1, Micros(1)).await[0];
    let mut silent = db.store.write().await.unwrap();
    assert!(recipients::lock(&mut silent, who).await.unwrap().is_some());
    let mut keeper = db.store.write().await.unwrap();
    nodes::all(&mut keeper).await.unwrap();
    let (mut patient, mut watcher) = (db.store.write().await.unwrap(), db.store.write().await.unwrap());
    tokio::select! {
        biased;
        _ = recipients::lock(&mut patient, who) => panic!("a recipient comes free before the leases"),
        all = nodes::all(&mut watcher) => assert!(all.is_ok()),
    }
    assert!(keeper.commit().await.unwrap_err().may_pass());
    silent.commit().await.unwrap();
}
