//! PostgreSQL crashes at random instants and comes back, while everything that needs it goes on.

use std::time::Duration;

use colloquy::store::{EngineKind, Store};
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio_util::sync::CancellationToken;

use super::account;
use super::form::{Row, form, seeds};
use super::service::{ROLES, Service};
use crate::postgres::at;
use crate::support::cluster::Cluster;
use crate::support::process::Process;

/// Nobody who sends has died, so every answer is written once the database is back, and nothing is `unknown`.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_crashes_and_comes_back_costs_no_mail_no_hit_and_no_decision() {
    let cluster = Cluster::start();
    cluster.create("shop").await;
    let service = Service::of(at(&cluster.url("shop"), None).await, &[]).await;
    let mut row = Row::begin("PostgreSQL crashes and comes back", EngineKind::Postgres);
    for seed in seeds(1, 10) {
        println!("seed {seed}");
        play(&service, &cluster, seed, &mut row).await;
    }
}

/// One run, in which the database is away now and then.
async fn play(service: &Service, cluster: &Cluster, seed: u64, row: &mut Row) {
    let mut random = StdRng::seed_from_u64(seed);
    let run = service.begin("hello").await;
    // Who sends or scores does not begin without the database.
    let start = async |role: &&str| Process::started(service.directory(), &["run", "--role", role]).await;
    let mut processes = join_all(ROLES.iter().map(start)).await;
    let store = &service.project.db.store;
    let over = CancellationToken::new();
    let reading = tokio::spawn(service.readers(run, seed).ask(over.clone()));
    for _ in 0..form(3, 5) {
        service.act(&mut random).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(20..1_500))).await;
        cluster.crash();
        tokio::time::sleep(Duration::from_millis(random.random_range(20..2_500))).await;
        cluster.start_again();
        until_it_answers(store).await;
        row.times += 1;
        account::standing(&service.project, &service.journal).await;
        assert!(processes.iter_mut().all(Process::is_running), "one gave up");
    }
    over.cancel();
    let answered = reading.await.unwrap();
    assert_eq!(answered.unheard, 0, "tracker and pages always answer: {answered:?}");
    answered.arrive(store, seed).await;
    let account = service.settles(run, processes, (&answered, seed), row).await;
    assert_eq!(account.unknown, 0, "{account:?}");
    answered.tell();
}

/// A connection that was kept while the server ended says so to whoever uses it first.
async fn until_it_answers(store: &Store) {
    let ask = async || store.read().await?.one::<(i64,)>("SELECT COUNT(*) FROM runs", vec![]).await;
    while ask().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
