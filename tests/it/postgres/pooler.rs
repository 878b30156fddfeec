//! Through PgBouncer in transaction mode, with fewer connections to the server than we have to it.

use colloquy::args;
use colloquy::domain::id::RecipientId;
use colloquy::domain::message::MessageState;
use colloquy::domain::token::{Purpose, Token};
use colloquy::lifecycle::Stop;
use colloquy::send::Ended;
use colloquy::services::{Role, Services};
use colloquy::store::{EngineKind, Session};

use super::{BROWSER, at, holds, until};
use crate::http::{as_shown, get_from, post_to};
use crate::project::{Project, Settings};
use crate::support::cluster::Pooler;
use crate::support::{Database, database};

const PEOPLE: usize = 300;
const CONNECTIONS: u16 = 3;

/// A database that was made by the pooler's side door alone.
async fn pooled() -> (Pooler, Database) {
    let direct = database(EngineKind::Postgres).await;
    direct.store.close().await;
    let mut url = url::Url::parse(&direct.url).unwrap();
    let pooler = Pooler::start(url.port().unwrap(), CONNECTIONS).await;
    url.set_port(Some(pooler.port)).unwrap();
    let db = at(url.as_str(), Some(&direct.url)).await;
    (pooler, db)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loop_goes_round_through_a_pooler_with_few_connections() {
    let (_pooler, db) = pooled().await;
    let mut project = Project::new(db, Settings::default(), |_, _| None).await;
    project.import(PEOPLE).await;
    let app = project.app();
    let stop = Stop::default();
    let services = Services::start(app.site(), &Role::ALL, stop.clone()).await.unwrap();
    let (run, ended) = project.send().await;
    assert_eq!(ended, Ended::Done);
    assert_eq!(project.count(&run, MessageState::Accepted).await, PEOPLE as i64);
    holds(&mut project, PEOPLE, 0).await;

    let keys = app.secrets().unwrap().keyring();
    let web = services.web.unwrap();
    let link = |recipient, purpose| keys.sign(&Token { run: run.id, recipient, purpose });
    let url = "https://shop.example/run".to_owned();
    let click = Purpose::Click { link: 1, item: 0, category: "running".into(), url };
    let store = &project.db.store;
    // Who clicks at once is no person.
    let mut tx = store.write().await.unwrap();
    tx.change(PEOPLE as u64, "UPDATE messages SET at = at - 60000000", vec![]).await.unwrap();
    tx.commit().await.unwrap();
    let readers: Vec<_> = (1..=20).map(RecipientId).collect();
    let clicks = readers.iter().map(|&reader| {
        let at = format!("http://{web}/c/{}", link(reader, click.clone()));
        async move { get_from(&at, &[("User-Agent", BROWSER)]).await.status }
    });
    let answers = futures_util::future::join_all(clicks).await;
    assert!(answers.iter().all(|status| *status == 302), "{answers:?}");
    until(store, "hits", readers.len() as i64).await;
    until(store, "actions WHERE kind = 'click'", readers.len() as i64).await;
    until(store, "profiles", readers.len() as i64).await;

    let page = format!("http://{web}/u/{}", link(readers[0], Purpose::Unsubscribe));
    let form = as_shown("save=1&leave=topic&topic=news", &get_from(&page, &[]).await.text());
    assert_eq!(post_to(&page, &form).await.status, 200);
    until(store, "subscriptions WHERE subscribed", PEOPLE as i64 - 1).await;

    stop.soft.cancel();
    services.finished().await;
    assert_eq!(named(&mut store.read().await.unwrap()).await, 0, "a statement with a name stays at the server");
}

/// Statements with a name at the server that answers.
async fn named(session: &mut Session) -> i64 {
    session.one::<(i64,)>("SELECT COUNT(*) FROM pg_prepared_statements", vec![]).await.unwrap().0
}

#[tokio::test]
async fn statements_are_kept_prepared_where_no_pooler_is_between() {
    let db = database(EngineKind::Postgres).await;
    let mut session = db.store.read().await.unwrap();
    let before = named(&mut session).await;
    for _ in 0..3 {
        session.all::<(i64,)>("SELECT CAST(1 AS BIGINT)", vec![]).await.unwrap();
    }
    assert_eq!(named(&mut session).await, before + 1);
}

#[tokio::test]
async fn every_statement_is_valid_through_a_pooler() {
    let (_pooler, db) = pooled().await;
    let mut session = db.store.read().await.unwrap();
    for statement in colloquy::store::statements() {
        session.prepare(statement).await.unwrap_or_else(|e| panic!("{e}\n{statement}"));
    }
    assert_eq!(named(&mut session).await, 0);
}

/// Each takes and gives back the pooler's connections between its statements.
#[tokio::test(flavor = "multi_thread")]
async fn more_readers_than_connections_do_not_wait_for_one_another() {
    let (_pooler, db) = pooled().await;
    let mut readers = Vec::new();
    for _ in 0..3 * CONNECTIONS {
        readers.push(db.store.read().await.unwrap());
    }
    for round in 0..3_i64 {
        for (n, reader) in readers.iter_mut().enumerate() {
            let sql = "SELECT CAST($1 AS BIGINT) + $2";
            let (sum,): (i64,) = reader.one(sql, args![round, n as i64]).await.unwrap();
            assert_eq!(sum, round + n as i64);
        }
    }
}

#[tokio::test]
async fn a_reader_whose_statement_failed_goes_on() {
    let (_pooler, db) = pooled().await;
    let mut session = db.store.read().await.unwrap();
    assert!(session.execute("SELECT nothing", vec![]).await.is_err());
    assert_eq!(session.one::<(i64,)>("SELECT CAST(7 AS BIGINT)", vec![]).await.unwrap().0, 7);
}
