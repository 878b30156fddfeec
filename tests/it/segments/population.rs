//! People with a history, in the database and in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use colloquy::args;
use colloquy::clock::Clock;
use colloquy::domain::consent::Salts;
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::ledger::ScoreView;
use colloquy::domain::project::{Attribute, AttributeType};
use colloquy::domain::run::RunState;
use colloquy::domain::score::{ClusterRules, ScoreRules};
use colloquy::domain::segment::{Catalog, Condition, Expr};
use colloquy::domain::time::Micros;
use colloquy::score::{Options, Scorer};
use colloquy::store::actions::{self, NewAction};
use colloquy::store::runs::{self, NewRun};
use colloquy::store::subscriptions::{self, Origin};
use colloquy::store::{Session, Store, score, versions};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Map, Value, json};

use super::naive;

pub const DAY: i64 = 86_400_000_000;
/// 2026-06-01.
pub const NOW: i64 = 1_780_272_000_000_000;
/// The past, the near past, the present, the future.
pub const MOMENTS: [i64; 4] = [NOW - 60 * DAY, NOW - 9 * DAY, NOW, NOW + 25 * DAY];
const PEOPLE: i64 = 120;
const RUNS: [(&str, &str); 3] = [("winter-sale", "offers"), ("spring", "offers"), ("letter", "news")];

pub struct Population {
    pub people: Vec<Person>,
    pub score: ScoreRules,
    pub cluster: ClusterRules,
    catalog: Catalog,
    /// Who is in which cluster at each of the moments, by replaying the ledger.
    clusters: BTreeMap<(i64, RecipientId), String>,
}

pub struct Person {
    pub id: RecipientId,
    pub address: String,
    pub created_at: i64,
    pub erased_at: Option<i64>,
    pub tracking: bool,
    pub attributes: Map<String, Value>,
    /// In the order of their ids.
    pub actions: Vec<NewAction>,
    /// Run, state, at.
    pub messages: Vec<(usize, &'static str, i64)>,
    /// Topic, joined, at; each a change, in order of time.
    pub decisions: Vec<(&'static str, bool, i64)>,
}

impl Population {
    pub async fn make(store: &Store, seed: u64) -> Self {
        let rng = &mut StdRng::seed_from_u64(seed);
        let days = |n: u64| Duration::from_secs(n * 86_400);
        let points = [("open", 1.0), ("click", 5.0), ("reply", 20.0), ("conversion", 50.0), ("unsubscribe", -20.0)];
        let mut population = Self {
            people: Vec::new(),
            score: ScoreRules {
                half_life: days(30),
                warm: 20.0,
                points: points.map(|(kind, points)| (kind.to_owned(), points)).into(),
            },
            cluster: ClusterRules { half_life: days(90), min_points: 8.0, min_share: 0.4, margin: 0.1, prior: 2.0 },
            catalog: Catalog {
                warm: 20.0,
                attributes: attributes(),
                lapses_after: Some(days(100)),
                ..Catalog::default()
            },
            clusters: BTreeMap::new(),
        };
        let warm = population.parse("score >= 20 and not cools(within = \"7d\")");
        population.catalog.segments.insert("warm".to_owned(), warm);

        let mut tx = store.write().await.unwrap();
        let runs = make_runs(&mut tx).await;
        for n in 0..PEOPLE {
            let person = person(&mut tx, rng, n, &runs).await;
            population.people.push(person);
        }
        tx.commit().await.unwrap();
        let options = Options {
            score: population.score.clone(),
            cluster: population.cluster.clone(),
            categories: vec!["running".into(), "trail".into()],
        };
        Scorer::new(store.clone(), Clock::fast(Micros(NOW), 1.0), options).drain().await.unwrap();
        let mut session = store.read().await.unwrap();
        for at in MOMENTS {
            for person in &population.people {
                let view = population.view(&mut session, person.id, Micros(at)).await;
                let cluster = view.and_then(|view| view.cluster);
                population.clusters.extend(cluster.map(|cluster| ((at, person.id), cluster)));
            }
        }
        population
    }

    pub fn parse(&self, text: &str) -> Condition {
        Condition::parse(text, &self.catalog).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// How many had joined by then.
    pub fn joined(&self, at: i64) -> usize {
        self.people.iter().filter(|p| p.erased_at.is_none() && p.created_at <= at).count()
    }

    pub async fn view(&self, session: &mut Session, who: RecipientId, at: Micros) -> Option<ScoreView> {
        score::profile_at(session, who, at, &self.score, &self.cluster).await.unwrap()
    }

    /// Whom a naive reading finds, at one of the moments.
    pub fn whom(&self, expr: &Expr, at: i64) -> BTreeSet<i64> {
        let there = self.people.iter().filter(|p| p.erased_at.is_none() && p.created_at <= at);
        let found = there.filter(|person| {
            let cluster = self.clusters.get(&(at, person.id)).cloned();
            naive::Reader { person, rules: &self.score, affinities: self.cluster.half_life, cluster, at }.holds(expr)
        });
        found.map(|person| person.id.0).collect()
    }
}

fn attributes() -> BTreeMap<String, Attribute> {
    [("age", AttributeType::Number), ("birthday", AttributeType::Date), ("vip", AttributeType::Bool)]
        .map(|(name, kind)| (name.to_owned(), Attribute { kind, ..Attribute::default() }))
        .into()
}

async fn make_runs(tx: &mut Session) -> Vec<RunId> {
    let version = versions::freeze(tx, &BTreeMap::from([("a".into(), "b".into())]), "hash", Micros(1)).await.unwrap();
    let mut ids = Vec::new();
    for (campaign, topic) in RUNS {
        let new = NewRun { campaign, topic, occasion: "1", version, state: RunState::Running, at: Micros(1) };
        assert!(runs::create(tx, new).await.unwrap());
        ids.push(runs::by_occasion(tx, campaign, "1").await.unwrap().unwrap().id);
    }
    ids
}

async fn person(tx: &mut Session, rng: &mut StdRng, n: i64, runs: &[RunId]) -> Person {
    let mut person = Person {
        id: RecipientId(0),
        address: format!("p{n}@example.org"),
        created_at: NOW - rng.random_range(1..400) * DAY,
        erased_at: rng.random_bool(0.05).then_some(NOW - DAY),
        tracking: rng.random_bool(0.85),
        attributes: random_attributes(rng),
        actions: Vec::new(),
        messages: Vec::new(),
        decisions: Vec::new(),
    };
    let sql = "INSERT INTO recipients (address, domain, attributes, tracking, created_at)
        VALUES ($1, 'example.org', $2, $3, $4) RETURNING id";
    let values = args![person.address.as_str(), person.attributes.clone(), person.tracking, person.created_at];
    let (id,): (i64,) = tx.one(sql, values).await.unwrap();
    person.id = RecipientId(id);
    act(rng, &mut person, runs);
    decide(tx, rng, &mut person).await;
    actions::insert(tx, &person.actions).await.unwrap();
    receive(tx, rng, &mut person, runs).await;
    if let Some(at) = person.erased_at {
        let sql = "UPDATE recipients SET address = NULL, erased_at = $1 WHERE id = $2";
        tx.change(1, sql, args![at, id]).await.unwrap();
    }
    person
}

fn random_attributes(rng: &mut StdRng) -> Map<String, Value> {
    let mut one = |name: &str, values: &[Value]| {
        let value = values.choose(rng).unwrap().clone();
        (!value.is_null()).then(|| (name.to_owned(), value))
    };
    let null = Value::Null;
    [
        one("country", &[json!("DE"), json!("AT"), json!("CH"), json!(""), json!(7), json!(true), null.clone()]),
        one("name", &[json!("O'Brien \"x\" \\ $1 ü"), json!("Anna"), null.clone()]),
        one("age", &[json!(30), json!(40.5), json!(41), json!(-2), json!("41"), json!(1e12), null.clone()]),
        one("birthday", &[json!("1990-06-14"), json!("1990-06-15"), json!("2001-01-01"), json!(1990), null.clone()]),
        one("vip", &[json!(true), json!(false), json!("true"), json!(1), null]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Some act a lot and some not at all; most have a favourite.
fn act(rng: &mut StdRng, person: &mut Person, runs: &[RunId]) {
    let favourite = *["running", "trail"].choose(rng).unwrap();
    for n in 0..rng.random_range(0..14_u32).saturating_sub(2) {
        let kind = *["open", "open", "click", "click", "click", "reply", "visit", "conversion"].choose(rng).unwrap();
        let category = match rng.random_range(0..6) {
            0 => None,
            1 => Some("trail"),
            2 => Some("running"),
            _ => Some(favourite),
        };
        person.actions.push(NewAction {
            key: format!("{}-{n}", person.id),
            recipient: person.id,
            kind: kind.to_owned(),
            category: category.map(str::to_owned),
            at: Micros(NOW - rng.random_range(1..150 * DAY)),
            run: rng.random_bool(0.7).then(|| *runs.choose(rng).unwrap()),
            url: None,
            words: None,
        });
    }
}

async fn decide(tx: &mut Session, rng: &mut StdRng, person: &mut Person) {
    for topic in ["offers", "news"] {
        let mut at = NOW - rng.random_range(30..200) * DAY;
        let mut subscribed = true;
        for _ in 0..rng.random_range(0..4) {
            let origin =
                Origin { channel: "page", run: None, at: Micros(at), salts: Salts::new(&[1; 32]), shown: None };
            let changed = if subscribed {
                subscriptions::join(tx, person.id, topic, &origin).await
            } else {
                // Leaving is an action, too.
                person.actions.push(NewAction {
                    key: format!("u:{}:{topic}:{at}", person.id),
                    recipient: person.id,
                    kind: "unsubscribe".to_owned(),
                    category: None,
                    at: Micros(at),
                    run: None,
                    url: None,
                    words: None,
                });
                subscriptions::leave(tx, person.id, topic, &origin).await
            };
            assert!(changed.unwrap());
            person.decisions.push((topic, subscribed, at));
            subscribed = !subscribed;
            at += rng.random_range(1..60) * DAY;
            if at > NOW {
                break;
            }
        }
    }
}

async fn receive(tx: &mut Session, rng: &mut StdRng, person: &mut Person, runs: &[RunId]) {
    for (run, id) in runs.iter().enumerate() {
        if rng.random_bool(0.4) {
            continue;
        }
        let state = *["accepted", "accepted", "accepted", "deferred", "skipped", "unknown"].choose(rng).unwrap();
        let at = NOW - rng.random_range(1..100 * DAY);
        let sql = "INSERT INTO messages (run_id, recipient_id, state, at) VALUES ($1, $2, $3, $4)";
        tx.change(1, sql, args![*id, person.id, state, at]).await.unwrap();
        person.messages.push((run, state, at));
    }
}

/// Campaign and topic of a run, by its place in the order.
pub fn run_of(place: usize) -> (&'static str, &'static str) {
    RUNS[place]
}
