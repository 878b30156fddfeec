//! The score equals the ledger: ten thousand actions in any order, and every kind of damage.

use std::collections::BTreeMap;

use colloquy::args;
use colloquy::clock::Clock;
use colloquy::domain::id::RecipientId;
use colloquy::domain::time::Micros;
use colloquy::score::{Error, Mode, Scorer};
use colloquy::store::actions::NewAction;
use colloquy::store::score::{self, Lock, Rebuild};
use colloquy::store::{Error as StoreError, Store};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};

use super::support::*;
use crate::support::on_both_engines;

/// Random actions of a year, in any order.
fn history(people: &[RecipientId], count: usize, random: &mut StdRng) -> Vec<NewAction> {
    let kinds = ["open", "open", "click", "click", "click", "reply", "unsubscribe", "visit"];
    let categories = [None, Some("running"), Some("running"), Some("trail"), Some("yoga")];
    let mut actions: Vec<_> = (0..count)
        .map(|n| {
            let who = *people.choose(random).unwrap();
            let kind = kinds.choose(random).unwrap();
            let at = START + random.random_range(0..365 * DAY);
            NewAction { key: format!("i:{n}"), ..action(who, kind, *categories.choose(random).unwrap(), at) }
        })
        .collect();
    actions.shuffle(random);
    actions
}

const END: i64 = START + 366 * DAY;

async fn scored_history(store: &Store, count: usize) -> Vec<NewAction> {
    let mut random = StdRng::seed_from_u64(20_261_121);
    let people = people(store, 300).await;
    let actions = history(&people, count, &mut random);
    for (n, part) in actions.chunks(count / 7).enumerate() {
        insert(store, part).await;
        score_at(store, START + (n as i64 + 1) * 45 * DAY).await;
    }
    score_at(store, END).await;
    actions
}

on_both_engines! {
    async fn after_ten_thousand_actions_in_any_order_a_check_finds_nothing(db) {
        let actions = scored_history(&db.store, 10_000).await;
        let report = check_at(&db.store, END).await;
        assert_eq!((report.people, report.differing), (300, 0), "{:?}", report.differences);
        assert!(report.worst <= 1e-9, "{}", report.worst);

        let mut naive: BTreeMap<RecipientId, (f64, f64)> = BTreeMap::new();
        for action in &actions {
            let Some(points) = options().score.points.get(&action.kind).copied() else { continue };
            let age = (END - action.at.0) as f64 / (30 * DAY) as f64;
            let (sum, absolute) = naive.entry(action.recipient).or_default();
            *sum += points * (-age).exp2();
            *absolute += points.abs();
        }
        for (who, (expected, points)) in naive {
            let score = view(&db.store, who, END).await.unwrap().score;
            assert!((score - expected).abs() <= 1e-9 * points, "{score} is not {expected}");
        }
    }

    async fn every_kind_of_damage_is_found_and_a_rebuild_repairs_it(db) {
        let store = &db.store;
        scored_history(store, 1_000).await;
        let some = "(SELECT MIN(recipient_id) FROM cluster_spans)";
        for (what, damage) in [
            ("f", "UPDATE profiles SET f = f * 1.0001 WHERE recipient_id ="),
            ("f7", "UPDATE profiles SET f7 = f7 * 1.001 WHERE recipient_id ="),
            ("affinities", "DELETE FROM affinities WHERE recipient_id ="),
            ("cluster", "UPDATE profiles SET cluster = 'x', cluster_since = 0, cluster_until = 9000000000000000 WHERE recipient_id ="),
            ("rose, cooled, entered", "UPDATE profiles SET entered = entered + 1 WHERE recipient_id ="),
            ("entries", "UPDATE score_entries SET points = points + 1 WHERE recipient_id ="),
            ("entries", "DELETE FROM score_entries WHERE recipient_id ="),
            ("moments", "DELETE FROM moments WHERE recipient_id ="),
            ("spans", "UPDATE cluster_spans SET until_at = until_at + 60000000 WHERE recipient_id ="),
            ("last", "DELETE FROM profiles WHERE recipient_id ="),
        ] {
            assert!(execute(store, &format!("{damage} {some}"), vec![]).await > 0, "{damage}");
            let report = check_at(store, END).await;
            assert_eq!(report.differing, 1, "{damage}: {:?}", report.differences);
            assert!(report.differences.iter().any(|d| d.what == what), "{damage}: {:?}", report.differences);
            scorer_at(store, END).rebuild(Mode::Rewrite, |_| {}).await.unwrap();
            assert_eq!(check_at(store, END).await.differences, [], "after {damage}");
        }
    }

    async fn a_check_by_a_clock_that_is_slow_finds_nothing(db) {
        let who = person(&db.store, true).await;
        insert(&db.store, &[action(who, "conversion", None, START)]).await;
        score_at(&db.store, START + 100 * DAY).await;
        assert_eq!(moments(&db.store).await.len(), 2);
        assert_eq!(check_at(&db.store, START + DAY).await.differences, []);
    }

    async fn a_profile_of_somebody_who_forbids_tracking_is_a_difference(db) {
        let store = &db.store;
        let who = person(store, true).await;
        insert(store, &[action(who, "reply", None, START)]).await;
        score_at(store, START).await;
        execute(store, "UPDATE recipients SET tracking = FALSE", vec![]).await;
        assert_eq!(check_at(store, START).await.differing, 1);
        scorer_at(store, START).rebuild(Mode::Rewrite, |_| {}).await.unwrap();
        assert_eq!(view(store, who, START).await, None);
    }

    async fn a_rebuild_renews_the_population_and_takes_other_half_lives(db) {
        let store = &db.store;
        scored_history(store, 1_000).await;
        let mut options = options();
        options.score.half_life *= 2;
        options.score.points.insert("visit".into(), 3.0);
        let changed = Scorer::new(store.clone(), Clock::fast(Micros(END), 0.0), options);
        let report = changed.rebuild(Mode::Rewrite, |_| {}).await.unwrap();
        assert_eq!(report.differing, report.people);
        assert_eq!(changed.rebuild(Mode::Check, |_| {}).await.unwrap().differences, []);
        let facts = score::facts(&mut store.read().await.unwrap(), Lock::None).await.unwrap().unwrap();
        assert!((facts.population.values().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(facts.population["running"] > 1.5 * facts.population["trail"], "{:?}", facts.population);
        assert_eq!(facts.rebuild, None);
    }

    async fn an_interrupted_rebuild_keeps_everybody_out_until_it_is_run_again(db) {
        let store = &db.store;
        scored_history(store, 1_000).await;
        let mut session = store.write().await.unwrap();
        let mut facts = score::facts(&mut session, Lock::Exclusive).await.unwrap().unwrap();
        facts.rebuild = Some(Rebuild { token: "lost".into(), rescales: true });
        score::save_facts(&mut session, &facts).await.unwrap();
        session.execute("UPDATE profiles SET f = f * 2 WHERE recipient_id < $1", args![99_i64]).await.unwrap();
        session.commit().await.unwrap();
        insert(store, &[action(RecipientId(1), "open", None, END)]).await;
        let scorer = scorer_at(store, END);
        assert!(matches!(scorer.step().await, Err(Error::Rebuilding)));
        assert!(matches!(scorer.rebuild(Mode::Check, |_| {}).await, Err(Error::Rebuilding)));
        assert!(matches!(score::scale(&mut store.read().await.unwrap()).await, Err(StoreError::Rebuilding)));
        scorer.rebuild(Mode::Rewrite, |_| {}).await.unwrap();
        assert_eq!(scorer.drain().await.unwrap(), 1);
        assert_eq!(check_at(store, END).await.differences, []);
    }
}
