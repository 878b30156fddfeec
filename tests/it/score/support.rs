//! People, actions, and a scorer whose clock stands still.

use std::time::Duration;

use colloquy::args;
use colloquy::clock::Clock;
use colloquy::domain::id::RecipientId;
use colloquy::domain::ledger::ScoreView;
use colloquy::domain::score::{ClusterRules, ScoreRules};
use colloquy::domain::time::Micros;
use colloquy::score::{Mode, Options, Report, Scorer};
use colloquy::store::actions::{self, NewAction};
use colloquy::store::{Row, Store, Value, score};

pub const HOUR: i64 = 3_600_000_000;
pub const DAY: i64 = 24 * HOUR;
pub const START: i64 = 1_764_547_200_000_000;

pub fn options() -> Options {
    let days = |n: u64| Duration::from_secs(n * 86_400);
    let points = [("open", 1.0), ("click", 5.0), ("reply", 20.0), ("conversion", 50.0), ("unsubscribe", -20.0)];
    Options {
        score: ScoreRules {
            half_life: days(30),
            warm: 20.0,
            points: points.into_iter().map(|(kind, points)| (kind.to_owned(), points)).collect(),
        },
        cluster: ClusterRules { half_life: days(90), min_points: 10.0, min_share: 0.5, margin: 0.1, prior: 5.0 },
        categories: ["running", "trail", "yoga"].map(str::to_owned).into(),
    }
}

/// A scorer at an instant.
pub fn scorer_at(store: &Store, at: i64) -> Scorer {
    Scorer::new(store.clone(), Clock::fast(Micros(at), 0.0), options())
}

/// Scores all that waits at an instant.
pub async fn score_at(store: &Store, at: i64) -> usize {
    scorer_at(store, at).drain().await.unwrap()
}

pub async fn check_at(store: &Store, at: i64) -> Report {
    scorer_at(store, at).rebuild(Mode::Check, |_| {}).await.unwrap()
}

pub async fn person(store: &Store, tracking: bool) -> RecipientId {
    let sql = "INSERT INTO recipients (address, domain, tracking, created_at)
               SELECT 'p' || COUNT(*) || '@example.org', 'example.org', CAST($1 AS BOOLEAN), 0 FROM recipients RETURNING id";
    let mut session = store.write().await.unwrap();
    let (id,): (i64,) = session.one(sql, args![tracking]).await.unwrap();
    session.commit().await.unwrap();
    RecipientId(id)
}

pub async fn people(store: &Store, count: usize) -> Vec<RecipientId> {
    let mut people = Vec::new();
    for _ in 0..count {
        people.push(person(store, true).await);
    }
    people
}

/// An action that is told by its instant.
pub fn action(recipient: RecipientId, kind: &str, category: Option<&str>, at: i64) -> NewAction {
    NewAction {
        key: format!("i:{recipient}:{kind}:{at}"),
        recipient,
        kind: kind.to_owned(),
        category: category.map(str::to_owned),
        at: Micros(at),
        run: None,
        url: None,
        words: None,
    }
}

pub async fn insert(store: &Store, new: &[NewAction]) {
    let mut session = store.write().await.unwrap();
    actions::insert(&mut session, new).await.unwrap();
    session.commit().await.unwrap();
}

pub async fn execute(store: &Store, sql: &str, args: Vec<Value>) -> u64 {
    let mut session = store.write().await.unwrap();
    let changed = session.execute(sql.to_owned(), args).await.unwrap();
    session.commit().await.unwrap();
    changed
}

pub async fn rows<T: Row>(store: &Store, sql: &'static str) -> Vec<T> {
    store.read().await.unwrap().all(sql, vec![]).await.unwrap()
}

pub async fn view(store: &Store, recipient: RecipientId, at: i64) -> Option<ScoreView> {
    let options = options();
    let mut session = store.read().await.unwrap();
    score::profile_at(&mut session, recipient, Micros(at), &options.score, &options.cluster).await.unwrap()
}

pub async fn moments(store: &Store) -> Vec<(String, i64, i64, String)> {
    rows(store, "SELECT kind, ordinal, at, subject FROM moments ORDER BY recipient_id, kind, ordinal").await
}
