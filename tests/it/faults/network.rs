//! The way between nodes and PostgreSQL is cut at random instants, loudly or silently, in one direction or both.

use std::path::Path;
use std::time::Duration;

use colloquy::args;
use colloquy::store::{EngineKind, Store};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::account;
use super::form::{Row, seeds};
use super::frozen::{nodes, until};
use super::kills::until_done;
use super::service::Service;
use super::sink::sink;
use crate::postgres::at;
use crate::project::{Project, Settings};
use crate::support::cluster::Cluster;
use crate::support::network::{Cut, Network};
use crate::support::process::Process;

/// So that a run lasts for longer than a link is cut.
const RELAY: &str = "connections = 4\nrate = \"80/s\"";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "only root may lay networks; scripts/faults runs it"]
async fn nodes_that_lose_sight_of_the_database_send_nothing_twice_and_keep_every_hit() {
    let network = Network::lay().await;
    let cluster = Cluster::start_at(network.database());
    cluster.create("shop").await;
    let db = at(&cluster.url("shop"), None).await;
    let (catcher, journal) = sink(db.dir.path(), "network");
    let relay = TcpListener::bind(network.relay()).await.unwrap();
    let settings = Settings { relay: RELAY, ..Settings::default() };
    let project = Project::before_at(relay, db, settings, catcher).await;
    let service = Service::over(project, journal, network.web(), &[]).await;
    let mut row = Row::begin("nodes are cut off from PostgreSQL", EngineKind::Postgres);
    for seed in seeds(4, 16) {
        play(&service, &network, seed, &mut row).await;
    }
}

/// Else a few cuts would leave it none for anybody.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "only root may lay networks; scripts/faults runs it"]
async fn the_database_gives_up_connections_of_whom_it_has_lost_sight_and_takes_them_in_again() {
    let network = Network::lay().await;
    let cluster = Cluster::start_at(network.database());
    cluster.create("shop").await;
    let project = Project::new(at(&cluster.url("shop"), None).await, Settings::default(), |_, _| None).await;
    let store = &project.db.store;
    let sender = inside(&network, project.db.dir.path(), "sender");
    until(async || !nodes(store).await.is_empty()).await;
    assert_ne!(connections(store, &network).await, 0);
    network.cut(Cut::Both, until(async || connections(store, &network).await == 0)).await;
    until(async || connections(store, &network).await > 0).await;
    assert!(sender.stop().await, "it ended badly");
}

/// How many connections the database keeps to those inside.
async fn connections(store: &Store, network: &Network) -> i64 {
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE host(client_addr) = $1";
    store.read().await.unwrap().one::<(i64,)>(sql, args![network.inside().to_string()]).await.unwrap().0
}

/// A part of the service that is seen by the database from inside the network.
fn inside(network: &Network, directory: &Path, role: &str) -> Process {
    let mut command = network.command(env!("CARGO_BIN_EXE_colloquy"));
    Process::of(command.arg("-C").arg(directory).args(["run", "--role", role]))
}

/// One run by two senders, one of which is cut off for a while, with tracker, pages and scorer.
async fn play(service: &Service, network: &Network, seed: u64, row: &mut Row) {
    let mut random = StdRng::seed_from_u64(seed);
    let cut = Cut::ALL[seed as usize % Cut::ALL.len()];
    let store = &service.project.db.store;
    let run = service.begin("hello").await;
    let inside = |role| inside(network, service.directory(), role);
    let cut_off = inside("sender");
    until(async || !nodes(store).await.is_empty()).await;
    let node = nodes(store).await[0];
    let others = vec![service.start("sender"), inside("tracker,pages"), inside("scorer")];
    service.answers().await;
    let over = CancellationToken::new();
    let reading = tokio::spawn(service.readers(run, seed).ask(over.clone()));
    sleep(Duration::from_millis(random.random_range(2_000..6_000))).await;

    // From a hiccup to beyond the lease.
    let lasts = Duration::from_millis(random.random_range(1_000..14_000));
    let meanwhile = async {
        let began = Instant::now();
        let mut buried = None;
        while began.elapsed() < lasts {
            account::standing(&service.project, &service.journal).await;
            service.act(&mut random).await;
            if buried.is_none() && !nodes(store).await.contains(&node) {
                buried = Some(began.elapsed());
            }
            sleep(Duration::from_millis(100)).await;
        }
        (began.elapsed(), buried)
    };
    let (lasted, buried) = network.cut(cut, meanwhile).await;
    row.times += 1;
    println!("seed {seed}: {cut:?} for {lasted:?}, taken over after {buried:?}");
    sleep(Duration::from_secs(2)).await;

    over.cancel();
    let answered = reading.await.unwrap();
    assert_eq!(answered.unheard, 0, "tracker and pages always answer: {answered:?}");
    answered.arrive(store, seed).await;
    until_done(store, run).await;
    if nodes(store).await.contains(&node) {
        assert!(cut_off.stop().await, "it ended badly");
    } else {
        assert_ne!(cut_off.end().await, 0, "its lease is lost, and it says so");
    }
    until_nothing_waits(store).await;
    let account = service.settles(run, others, (&answered, seed), row).await;
    assert_eq!(account.unknown, 0, "whoever was cut off knows what it was told: {account:?}");
    answered.tell();
}

/// What was taken back after the run was over is skipped.
async fn until_nothing_waits(store: &Store) {
    let sql = "SELECT COUNT(*) FROM messages WHERE state = 'waiting'";
    while store.read().await.unwrap().one::<(i64,)>(sql, args![]).await.unwrap().0 > 0 {
        sleep(Duration::from_millis(50)).await;
    }
}
