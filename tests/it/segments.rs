//! Conditions on both engines, against a naive reading of the same tree over the same people.

mod naive;
mod population;

use std::collections::BTreeSet;

use colloquy::args;
use colloquy::domain::id::RecipientId;
use colloquy::domain::segment::{Condition, Expr};
use colloquy::domain::time::Micros;
use colloquy::store::audience::{self, Audience};
use colloquy::store::{Session, profiles, score};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::support::on_both_engines;
use population::{MOMENTS, NOW, Population};

/// Leaves of the grammar; each finds some and misses some of the people at one of the moments.
const TESTS: &[&str] = &[
    "score >= 20",
    "score < 5",
    "score != 0",
    "score > -3",
    "score <= 0",
    "score = 0",
    "momentum > 1",
    "momentum <= 1",
    "affinity(\"running\") >= 0.5",
    "affinity(\"trail\") = 0",
    "affinity(\"trail\") < 0.3",
    "cluster = \"running\"",
    "cluster != \"running\"",
    "cluster in [\"running\", \"trail\"]",
    "cluster not in [\"trail\"]",
    "cluster = none",
    "cluster != none",
    "attr.country = \"DE\"",
    "attr.country != \"DE\"",
    "attr.country in [\"AT\", \"CH\", \"\"]",
    "attr.country not in [\"AT\", \"CH\"]",
    "attr.country = none",
    "attr.name = \"O'Brien \\\"x\\\" \\\\ $1 ü\"",
    "attr.age >= 40",
    "attr.age < 40.5",
    "attr.age in [30, 40.5]",
    "attr.age != none",
    "attr.birthday < \"1990-06-15\"",
    "attr.birthday >= \"1990-06-15\"",
    "attr.vip = true",
    "attr.vip != true",
    "attr.vip = none",
    "opened()",
    "opened(\"winter-sale\")",
    "clicked(within = \"14d\")",
    "clicked(\"spring\", category = \"trail\")",
    "clicked(topic = \"news\")",
    "clicked(since = \"2026-03-01\", before = \"2026-05-10\")",
    "replied()",
    "did(\"visit\", category = \"running\", within = \"60d\")",
    "did(\"conversion\")",
    "did(\"unsubscribe\")",
    "received(within = \"30d\")",
    "received(\"winter-sale\")",
    "received(topic = \"offers\", before = \"2026-05-01\")",
    "subscribed(\"offers\")",
    "subscribed(\"news\", longer_than = \"60d\")",
    "subscribed(within = \"45d\")",
    "subscribed(\"offers\", since = \"2026-04-01\")",
    "cools(within = \"14d\")",
    "cools(below = 5, within = \"30d\")",
    "consent_lapses(within = \"60d\")",
    "consent_lapses(topic = \"news\", within = \"95d\")",
    "rose(within = \"30d\")",
    "rose()",
    "segment(\"warm\")",
];

async fn found(session: &mut Session, condition: &Condition, at: i64) -> BTreeSet<i64> {
    let scale = score::scale(session).await.unwrap().unwrap();
    let audience = Audience {
        condition: Some(condition),
        at: Micros(at),
        joined_by: Micros(at),
        scale: &scale,
        zones: None,
        resend: None,
    };
    let mut people = BTreeSet::new();
    let mut after = RecipientId(0);
    loop {
        let page = audience::page(session, &audience, after, 37).await.unwrap();
        assert!(page.is_sorted() && page.len() <= 37);
        let Some(last) = page.last() else { break };
        after = *last;
        people.extend(page.iter().map(|id| id.0));
    }
    assert_eq!(audience::count_after(session, &audience, RecipientId(0)).await.unwrap(), people.len() as i64);
    people
}

/// A condition made of a few tests, as deep as chance has it.
fn compose(rng: &mut StdRng, depth: u32) -> String {
    match rng.random_range(0..if depth == 0 { 1 } else { 4 }) {
        0 => (*TESTS.choose(rng).unwrap()).to_owned(),
        1 => format!("not ({})", compose(rng, depth - 1)),
        word => {
            let word = if word == 2 { " and " } else { " or " };
            let parts: Vec<_> = (0..rng.random_range(2..4)).map(|_| format!("({})", compose(rng, depth - 1))).collect();
            parts.join(word)
        }
    }
}

on_both_engines! {
    async fn every_test_finds_at_every_moment_whom_a_naive_reading_finds(db) {
        let population = Population::make(&db.store, 11).await;
        let mut session = db.store.read().await.unwrap();
        for text in TESTS {
            let condition = population.parse(text);
            let mut telling = false;
            for at in MOMENTS {
                let expected = population.whom(&condition.expr, at);
                let joined = population.joined(at);
                assert_eq!(found(&mut session, &condition, at).await, expected, "{text} at {}", Micros(at));
                telling |= !expected.is_empty() && expected.len() < joined;
                let opposite = Condition { text: String::new(), expr: Expr::Not(Box::new(condition.expr.clone())) };
                let others = found(&mut session, &opposite, at).await;
                assert!(others.is_disjoint(&expected), "{text}");
                assert_eq!(others.len() + expected.len(), joined, "not ({text}) at {}", Micros(at));
            }
            assert!(telling, "{text} tells nobody apart");
        }
    }

    async fn composed_conditions_find_whom_a_naive_reading_finds(db) {
        let population = Population::make(&db.store, 12).await;
        let mut session = db.store.read().await.unwrap();
        let mut rng = StdRng::seed_from_u64(5);
        for _ in 0..60 {
            let text = compose(&mut rng, 3);
            let condition = population.parse(&text);
            let at = *MOMENTS.choose(&mut rng).unwrap();
            let expected = population.whom(&condition.expr, at);
            assert_eq!(found(&mut session, &condition, at).await, expected, "{text} at {}", Micros(at));
        }
    }

    async fn profiles_of_a_page_are_those_that_the_ledger_gives(db) {
        let population = Population::make(&db.store, 13).await;
        let mut session = db.store.read().await.unwrap();
        let scale = score::scale(&mut session).await.unwrap().unwrap();
        let mut ids: Vec<RecipientId> = population.people.iter().map(|p| p.id).collect();
        ids.reverse();
        ids.push(RecipientId(1_000_000));
        let mut clusters = 0;
        for at in MOMENTS.map(Micros) {
            let page = profiles::profiles_at(&mut session, &ids, at, &scale, true).await.unwrap();
            let expected = population.people.iter().rev().filter(|p| p.erased_at.is_none());
            assert_eq!(page.len(), expected.clone().count());
            for (profile, person) in page.iter().zip(expected) {
                assert_eq!((profile.recipient, profile.tracking), (person.id, person.tracking));
                assert_eq!(profile.address.as_str(), person.address);
                assert_eq!(profile.attributes, person.attributes);
                let view = population.view(&mut session, person.id, at).await;
                let view = view.as_ref();
                assert!((profile.score - view.map_or(0.0, |v| v.score)).abs() < 1e-9);
                assert_eq!(profile.cluster, view.and_then(|v| v.cluster.clone()));
                clusters += usize::from(profile.cluster.is_some());
                let shares = view.map_or(&[][..], |v| &v.affinities);
                assert_eq!(profile.affinities.len(), shares.len());
                for ((category, share), (other, expected)) in profile.affinities.iter().zip(shares) {
                    assert!(category == other && (share - expected).abs() < 1e-9, "{category} {share} {expected}");
                }
            }
            let plain = profiles::profiles_at(&mut session, &ids, at, &scale, false).await.unwrap();
            assert!(plain.iter().all(|p| p.affinities.is_empty()) && plain.len() == page.len());
        }
        assert!(clusters > 10, "only {clusters} clusters");
    }

    async fn values_that_look_like_sql_find_nobody_and_harm_nothing(db) {
        let population = Population::make(&db.store, 14).await;
        let mut session = db.store.read().await.unwrap();
        for value in ["'; DROP TABLE recipients; --", "' OR '1'='1", "$1", "%", "\\' OR 1=1 --"] {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            for text in ["attr.country = Q", "attr.country in [Q]", "did(Q)", "opened(Q)", "subscribed(Q)", "cluster = Q"] {
                let condition = population.parse(&text.replace('Q', &format!("\"{quoted}\"")));
                assert!(found(&mut session, &condition, NOW).await.is_empty(), "{value}");
            }
        }
        let (people,): (i64,) = session.one("SELECT COUNT(*) FROM recipients", args![]).await.unwrap();
        assert_eq!(people, population.people.len() as i64);
    }

    async fn the_largest_condition_that_is_taken_runs(db) {
        let population = Population::make(&db.store, 15).await;
        let mut session = db.store.read().await.unwrap();
        let wide = vec!["momentum > 1"; 299].join(" or ");
        let deep = format!("{}momentum > 1", "not ".repeat(63));
        let values = vec!["1"; 4_000].join(",");
        for text in [wide, deep, format!("attr.age in [{values}]")] {
            let condition = population.parse(&text);
            found(&mut session, &condition, NOW).await;
        }
    }
}
