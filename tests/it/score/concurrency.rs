//! Several scorers, a rebuild beside them, and a service that stops.

use colloquy::metrics::Metrics;
use colloquy::score::{Error, Mode};
use tokio_util::sync::CancellationToken;

use super::support::*;
use crate::support::on_both_engines;

on_both_engines! {
    async fn two_scorers_at_once_score_every_action_once(db) {
        let store = &db.store;
        let people = people(store, 50).await;
        let actions: Vec<_> =
            (0..4_000).map(|n| action(people[n as usize % 50], "click", Some("yoga"), START + n * 1_000)).collect();
        insert(store, &actions).await;
        let scorers: Vec<_> = (0..2).map(|_| {
            let scorer = scorer_at(store, START + DAY);
            tokio::spawn(async move { scorer.drain().await.unwrap() })
        }).collect();
        let mut scored = 0;
        for scorer in scorers {
            scored += scorer.await.unwrap();
        }
        // One may have found all people held by the other, and stopped.
        scored += score_at(store, START + DAY).await;
        assert_eq!(scored, 4_000);
        assert_eq!(rows::<(i64,)>(store, "SELECT COUNT(*) FROM score_entries").await, [(4_000,)]);
        assert_eq!(check_at(store, START + DAY).await.differences, []);
    }

    async fn a_rebuild_beside_a_scorer_leaves_no_difference(db) {
        let store = &db.store;
        let people = people(store, 50).await;
        for round in 0..6 {
            let actions: Vec<_> = (0..500)
                .map(|n| action(people[n as usize % 50], "click", Some("trail"), START + (round * 500 + n) * 1_000))
                .collect();
            insert(store, &actions).await;
            let scorer = scorer_at(store, START + DAY);
            let scoring = tokio::spawn(async move { scorer.drain().await });
            let rebuilding = scorer_at(store, START + DAY);
            rebuilding.rebuild(Mode::Rewrite, |_| {}).await.unwrap();
            assert!(matches!(scoring.await.unwrap(), Ok(_) | Err(Error::Rebuilding)));
        }
        score_at(store, START + DAY).await;
        assert_eq!(rows::<(i64,)>(store, "SELECT COUNT(*) FROM score_entries").await, [(3_000,)]);
        assert_eq!(check_at(store, START + DAY).await.differences, []);
    }

    async fn the_service_scores_what_comes_in_and_stops_when_asked(db) {
        let store = &db.store;
        let who = person(store, true).await;
        let (stop, metrics) = (CancellationToken::new(), Metrics::new());
        let service = tokio::spawn(scorer_at(store, START + DAY).run(metrics.clone(), stop.clone()));
        insert(store, &[action(who, "reply", None, START)]).await;
        while view(store, who, START + DAY).await.is_none() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        service.await.unwrap();
        assert!(metrics.encode().contains("scored_actions_total 1"), "{}", metrics.encode());
    }
}
