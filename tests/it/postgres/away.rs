//! The database is away in the middle of everything, and comes back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use colloquy::domain::id::RecipientId;
use colloquy::domain::token::{Purpose, Token};
use colloquy::lifecycle::Stop;
use colloquy::services::{Role, Services};

use super::{BROWSER, at, counter, holds, last_run, until, until_taken};
use crate::http::get_from;
use crate::peers::wait_for;
use crate::project::{Project, Settings};
use crate::support::Database;
use crate::support::cluster::{Cluster, Pooler};
use crate::support::ports::free_port;
use crate::support::process::Process;

const PEOPLE: usize = 1_500;
const CONNECTIONS: usize = 4;
const RELAY: &str = "connections = 4\nrate = \"400/s\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_waits_for_the_database_and_goes_on() {
    let cluster = Cluster::start();
    cluster.create("shop").await;
    let db = at(&cluster.url("shop"), None).await;
    sends_in_spite_of_it(&cluster, db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_waits_for_the_database_behind_a_pooler_and_goes_on() {
    let cluster = Cluster::start();
    cluster.create("shop").await;
    let pooler = Pooler::start(cluster.port, 3).await;
    let url = format!("postgres://postgres@127.0.0.1:{}/shop", pooler.port);
    let db = at(&url, Some(&cluster.url("shop"))).await;
    sends_in_spite_of_it(&cluster, db).await;
}

/// Sends, and takes the database away twice meanwhile.
async fn sends_in_spite_of_it(cluster: &Cluster, db: Database) {
    let (taken, script) = counter();
    let settings = Settings { relay: RELAY, ..Settings::default() };
    let mut project = Project::new(db, settings, script).await;
    project.import(PEOPLE).await;
    let mut sender = Process::start(project.db.dir.path(), &["send", "hello"]);
    for mails in [300, 800] {
        until_taken(&taken, mails).await;
        cluster.crash();
        let before = taken.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let after = taken.load(Ordering::SeqCst);
        assert!(after <= before + CONNECTIONS, "{before} mails became {after}: what cannot be recorded is not sent");
        assert!(sender.is_running(), "it waits");
        cluster.start_again();
    }
    assert_eq!(sender.end().await, 0);
    holds(&mut project, PEOPLE, 2 * CONNECTIONS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_outlives_the_database_and_goes_on() {
    const READERS: i64 = 20;
    let cluster = Cluster::start();
    cluster.create("shop").await;
    let (taken, script) = counter();
    let settings = Settings { relay: RELAY, ..Settings::default() };
    let mut project = Project::new(at(&cluster.url("shop"), None).await, settings, script).await;
    project.import(PEOPLE).await;
    let (app, store) = (project.app(), project.db.store.clone());
    let run = app.begin(&store, app.campaign("hello").unwrap(), true).await.unwrap();
    let stop = Stop::default();
    let services = Services::start(app.site(), &Role::ALL, stop.clone()).await.unwrap();
    let (web, console) = (services.web.unwrap(), services.console.unwrap());
    let finished = tokio::spawn(services.finished());
    until_taken(&taken, 300).await;
    cluster.crash();
    tokio::time::sleep(Duration::from_secs(3)).await;

    let keys = app.secrets().unwrap().keyring();
    let link = |kind, recipient, purpose| {
        let token = keys.sign(&Token { run: run.id, recipient, purpose });
        format!("http://{web}/{kind}/{token}")
    };
    for reader in (1..=READERS).map(RecipientId) {
        let pixel = get_from(&link('o', reader, Purpose::Open), &[("User-Agent", BROWSER)]).await;
        assert_eq!(pixel.status, 200, "the tracker needs no database");
    }
    let page = link('u', RecipientId(1), Purpose::Unsubscribe);
    let away = get_from(&page, &[]).await;
    assert_eq!((away.status, away.header("retry-after").is_some()), (503, true));
    assert_eq!(get_from(&format!("http://{console}/healthz"), &[]).await.status, 200);
    assert_eq!(get_from(&format!("http://{console}/readyz"), &[]).await.status, 503);
    assert!(!finished.is_finished());

    cluster.start_again();
    until(&store, "runs WHERE state = 'done'", 1).await;
    until(&store, "actions WHERE kind = 'open'", READERS).await;
    until(&store, "profiles", READERS).await;
    assert_eq!(get_from(&page, &[]).await.status, 200);
    assert_eq!(get_from(&format!("http://{console}/readyz"), &[]).await.status, 200);
    stop.soft.cancel();
    assert!(finished.await.unwrap());
    assert_eq!(last_run(&project).await.id, run.id);
    holds(&mut project, PEOPLE, CONNECTIONS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_answered_by_a_service_that_starts_without_the_database() {
    let cluster = Cluster::start();
    cluster.create("shop").await;
    let project = Project::new(at(&cluster.url("shop"), None).await, Settings::default(), |_, _| None).await;
    project.import(3).await;
    let (run, _) = project.send().await;
    let store = &project.db.store;
    let mut tx = store.write().await.unwrap();
    tx.change(3, "UPDATE messages SET at = at - 60000000", vec![]).await.unwrap();
    tx.commit().await.unwrap();
    cluster.crash();

    let port = free_port();
    let file = project.db.dir.path().join("config/colloquy.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let listens = format!("listen = \"127.0.0.1:{port}\"");
    std::fs::write(&file, config.replacen("listen = \"127.0.0.1:0\"", &listens, 1)).unwrap();
    let without = Process::start(project.db.dir.path(), &["run", "--role", "sender,scorer"]);
    assert_eq!(without.end().await, 1, "nobody is served by it");

    let mut service = Process::start(project.db.dir.path(), &["run"]);
    wait_for(port).await;
    let keys = project.app().secrets().unwrap().keyring();
    let link = |kind, purpose| {
        let token = keys.sign(&Token { run: run.id, recipient: RecipientId(1), purpose });
        format!("http://127.0.0.1:{port}/{kind}/{token}")
    };
    assert_eq!(get_from(&link('o', Purpose::Open), &[("User-Agent", BROWSER)]).await.status, 200);
    assert_eq!(get_from(&link('u', Purpose::Unsubscribe), &[]).await.status, 503);
    assert!(service.is_running());
    cluster.start_again();
    until(store, "actions WHERE kind = 'open'", 1).await;
    until(store, "profiles", 1).await;
    assert_eq!(get_from(&link('u', Purpose::Unsubscribe), &[]).await.status, 200);
}
