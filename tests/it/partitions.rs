//! On PostgreSQL messages stand apart by runs, and hits by months.

use std::collections::BTreeMap;
use std::time::Duration;

use colloquy::args;
use colloquy::clock::Clock;
use colloquy::domain::hit::{Hit, HitKind, HitMethod};
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::retention::Retention;
use colloquy::domain::time::Micros;
use colloquy::metrics::Metrics;
use colloquy::people::retention::Janitor;
use colloquy::send::Ended;
use colloquy::store::reports::{Which, runs_report};
use colloquy::store::{EngineKind, Store, hits, partitions};
use colloquy::track::{Judge, JudgeOptions};
use tokio_util::sync::CancellationToken;

use crate::project::{Project, Settings};
use crate::support::{Database, database};

const DAY: Duration = Duration::from_secs(86_400);

fn at(text: &str) -> Micros {
    Micros::parse_rfc3339(text).unwrap()
}

/// How many rows of a table stand in which of its partitions; all partitions are there.
async fn spread(store: &Store, table: &str) -> BTreeMap<String, i64> {
    let mut session = store.read().await.unwrap();
    let sql = "SELECT CAST(c.relname AS TEXT) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass($1)";
    let mut rows = BTreeMap::new();
    for (name,) in session.all::<(String,)>(sql, args![table]).await.unwrap() {
        let (count,) = session.one::<(i64,)>(format!("SELECT COUNT(*) FROM {name}"), vec![]).await.unwrap();
        rows.insert(name, count);
    }
    rows
}

fn rows<const N: usize>(expected: [(&str, i64); N]) -> BTreeMap<String, i64> {
    expected.map(|(name, count)| (name.to_owned(), count)).into()
}

/// A run that was sent to three people, in a database whose months begin with `now`.
async fn sent() -> Project {
    let project = Project::new(database(EngineKind::Postgres).await, Settings::default(), |_, _| None).await;
    project.import_addresses((0..3).map(|n| format!("p{n}@example.org"))).await;
    assert_eq!(project.send().await.1, Ended::Done);
    project
}

async fn open(store: &Store, recipient: i64, at: Micros) {
    let id = uuid::Builder::from_unix_timestamp_millis(at.0.unsigned_abs() / 1_000, &colloquy::clock::secret());
    let hit = Hit {
        at,
        kind: HitKind::Open,
        method: HitMethod::Get,
        run: RunId(1),
        recipient: RecipientId(recipient),
        link: 0,
        item: 0,
        category: String::new(),
        url: String::new(),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0".to_owned(),
        network: "192.0.2.0/24".to_owned(),
    };
    let mut session = store.write().await.unwrap();
    assert_eq!(hits::keep(&mut session, vec![(id.into_uuid(), hit)]).await.unwrap(), 1);
    session.commit().await.unwrap();
}

async fn report(store: &Store) -> serde_json::Value {
    let reports = runs_report(&mut store.read().await.unwrap(), Which::Run(RunId(1))).await.unwrap();
    serde_json::json!([reports[0].opens, reports[0].clicks])
}

#[tokio::test]
async fn each_run_finds_its_partition_made() {
    let project = sent().await;
    let store = &project.db.store;
    let ahead = rows([("messages_1_65", 3), ("messages_65_129", 0), ("messages_rest", 0)]);
    assert_eq!(spread(store, "messages").await, ahead);
    let now = Clock::system().now();
    assert_eq!(partitions::prepare(store, now).await.unwrap(), 0);
    let mut session = store.write().await.unwrap();
    session.execute("UPDATE runs SET planned = 3", vec![]).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(partitions::prepare(store, now).await.unwrap(), 1, "wider, since runs are known to be small");
    assert_eq!(partitions::prepare(store, now).await.unwrap(), 0);
    assert_eq!(spread(store, "messages").await.len(), 4);
    assert_eq!(spread(store, "hits").await.len(), 4);
}

#[tokio::test]
async fn ten_nodes_that_make_partitions_at_once_make_each_once() {
    let Database { store, .. } = database(EngineKind::Postgres).await;
    let now = at("2026-11-15T00:00:00Z");
    let all = (0..10).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { partitions::prepare(&store, now).await.unwrap() })
    });
    let mut made = 0;
    for node in all.collect::<Vec<_>>() {
        made += node.await.unwrap();
    }
    // Whoever finds another at it leaves it to that one.
    made += partitions::prepare(&store, now).await.unwrap();
    assert_eq!(made, 4);
    let months = rows([("hits_2026_11", 0), ("hits_2026_12", 0), ("hits_2027_01", 0), ("hits_rest", 0)]);
    assert_eq!(spread(&store, "hits").await, months);
}

#[tokio::test]
async fn what_comes_before_its_partition_is_kept_with_the_rest() {
    let Database { store, .. } = database(EngineKind::Postgres).await;
    let mut session = store.write().await.unwrap();
    let sql = "INSERT INTO messages (run_id, recipient_id, state, at) VALUES (7, 1, 'accepted', 0)";
    session.execute(sql, vec![]).await.unwrap();
    session.commit().await.unwrap();
    partitions::prepare(&store, at("2026-11-15T00:00:00Z")).await.unwrap();
    assert_eq!(spread(&store, "messages").await, rows([("messages_8_72", 0), ("messages_rest", 1)]));
}

#[tokio::test]
async fn a_month_of_hits_goes_as_a_whole_once_all_its_hits_were_counted() {
    let project = sent().await;
    let store = &project.db.store;
    let judge = |now| Judge::new(store.clone(), Clock::stepped(now), Metrics::new(), JudgeOptions::default());
    let november = at("2026-11-01T00:00:00Z");
    partitions::prepare(store, november).await.unwrap();
    for (who, when) in [(1, "2026-11-03T10:00:00Z"), (2, "2026-11-30T23:00:00Z"), (2, "2026-12-01T01:00:00Z")] {
        open(store, who, at(when)).await;
    }
    judge(at("2026-12-02T00:00:00Z")).step().await.unwrap();
    open(store, 3, at("2026-12-03T10:00:00Z")).await;
    let before = report(store).await;
    let spread_before = spread(store, "hits").await;
    assert_eq!((spread_before["hits_2026_11"], spread_before["hits_2026_12"]), (2, 2));

    let going = CancellationToken::new();
    let periods = Retention { hits: DAY * 30, ..Retention::default() };
    let round = async |now: &str| {
        let janitor = Janitor::new(store.clone(), Clock::stepped(at(now)), Metrics::new());
        janitor.round(&periods, &going).await.unwrap().hits
    };
    // The run is of today, and its hits of some other time.
    let mut session = store.write().await.unwrap();
    session.execute("UPDATE runs SET at = $1", args![november]).await.unwrap();
    session.commit().await.unwrap();

    assert_eq!(round("2026-12-31T00:30:00Z").await, 1, "of the one who was hit in November alone");
    assert_eq!(report(store).await, before);
    let left = spread(store, "hits").await;
    assert!(!left.contains_key("hits_2026_11"), "{left:?}");
    assert_eq!((left["hits_2026_12"], left["hits_rest"]), (2, 1), "what is kept moves to the rest");

    assert_eq!(round("2027-02-01T00:00:00Z").await, 2);
    let left = spread(store, "hits").await;
    assert_eq!((left["hits_2026_12"], left["hits_rest"]), (1, 0), "nobody has judged it, so it stays");
    assert_eq!(report(store).await, before);
    judge(at("2027-02-02T00:00:00Z")).step().await.unwrap();
    let before = report(store).await;
    assert_eq!(round("2027-02-03T00:00:00Z").await, 1);
    assert!(!spread(store, "hits").await.contains_key("hits_2026_12"));
    assert_eq!(report(store).await, before);
}
