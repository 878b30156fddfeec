//! What becomes of one person's actions.

use colloquy::args;
use colloquy::domain::consent::Salts;
use colloquy::domain::ledger::ScoreView;
use colloquy::domain::time::Micros;
use colloquy::score::{Error, Scorer};
use colloquy::store::score;
use colloquy::store::subscriptions::{self, Origin};

use super::support::*;
use crate::support::on_both_engines;

on_both_engines! {
    async fn clicks_become_score_affinity_cluster_and_moments(db) {
        let store = &db.store;
        let who = person(store, true).await;
        let click = |category, hour: i64| action(who, "click", Some(category), START + hour * HOUR);
        insert(store, &[click("running", 0), click("trail", 1), click("running", 2), click("running", 3)]).await;
        insert(store, &[action(who, "reply", None, START + 4 * HOUR)]).await;
        assert_eq!(score_at(store, START + DAY).await, 5);
        assert_eq!(score_at(store, START + DAY).await, 0);

        let now = view(store, who, START + DAY).await.unwrap();
        assert!((now.score - 40.0 * 0.5_f64.powf(1.0 / 30.0)).abs() < 0.2, "{now:?}");
        assert_eq!(now.cluster.as_deref(), Some("running"));
        let [(first, most), (second, least)] = &now.affinities[..] else { panic!("{now:?}") };
        assert_eq!((first.as_str(), second.as_str()), ("running", "trail"));
        assert!((most - 0.75).abs() < 0.001 && (most + least - 1.0).abs() < 1e-12);
        let rose = ("rose".to_owned(), 1, START + 4 * HOUR, "20".to_owned());
        let entered = ("cluster".to_owned(), 1, START + 3 * HOUR, "running".to_owned());
        assert_eq!(moments(store).await, [entered, rose]);
        let spans: Vec<(String, i64, i64)> =
            rows(store, "SELECT cluster, from_at, until_at FROM cluster_spans").await;
        assert_eq!(spans, [("running".to_owned(), START + 3 * HOUR, now.cluster_until.unwrap().0)]);
    }

    async fn the_past_is_as_it_was_seen_then(db) {
        let store = &db.store;
        let who = person(store, true).await;
        let mut seen = Vec::new();
        for day in 0..40 {
            let (kind, category) = [("click", Some("yoga")), ("click", Some("trail")), ("open", None)][day as usize % 3];
            insert(store, &[action(who, kind, category, START + day * DAY)]).await;
            score_at(store, START + day * DAY).await;
            seen.push((day, view(store, who, START + day * DAY + HOUR).await.unwrap()));
        }
        for (day, then) in seen {
            let now = view(store, who, START + day * DAY + HOUR).await.unwrap();
            assert_eq!(now.cluster, then.cluster, "day {day}");
            // What is promised: 1e-9 of all points, which are less than 150; and the end of a stay is
            // computed from sums, so that it may be off by as long as these take to fade by that much.
            let close = |a: f64, b: f64| (a - b).abs() < 1.5e-7;
            let same = close(now.score, then.score) && close(now.momentum.unwrap(), then.momentum.unwrap());
            let ends = |view: &ScoreView| view.cluster_until.map_or(0, |at| at.0);
            assert!(same && (ends(&now) - ends(&then)).abs() <= 1_000_000, "{now:?} {then:?}");
        }
        assert_eq!(view(store, who, START - 1).await, None);
    }

    async fn late_actions_end_in_the_same_rows_as_punctual_ones(db) {
        let store = &db.store;
        let (punctual, late) = (person(store, true).await, person(store, true).await);
        let story = [(0, "trail"), (1, "trail"), (2, "trail"), (3, "yoga"), (4, "yoga"), (9, "yoga"), (10, "yoga"), (11, "yoga")];
        for (day, category) in story {
            insert(store, &[action(punctual, "click", Some(category), START + day * DAY)]).await;
            score_at(store, START + 20 * DAY).await;
        }
        for n in [3, 7, 0, 5, 1, 6, 2, 4] {
            let (day, category) = story[n];
            insert(store, &[action(late, "click", Some(category), START + day * DAY)]).await;
            score_at(store, START + 20 * DAY).await;
        }
        type Profile = (f64, f64, f64, Option<i64>, Option<String>, Option<i64>);
        let profiles: Vec<Profile> =
            rows(store, "SELECT f, f7, fa, cools_at, cluster, cluster_until FROM profiles").await;
        assert_eq!(profiles.len(), 2);
        assert_eq!(profiles[0], profiles[1]);
        assert_eq!(profiles[0].4.as_deref(), Some("yoga"));
        let history = |who: i64| async move {
            let sql = "SELECT ordinal, cluster, from_at, until_at FROM cluster_spans WHERE recipient_id = $1 ORDER BY ordinal";
            let spans: Vec<(i64, String, i64, i64)> = store.read().await.unwrap().all(sql, args![who]).await.unwrap();
            let sql = "SELECT kind, ordinal, at FROM moments WHERE recipient_id = $1 ORDER BY kind, ordinal";
            let moments: Vec<(String, i64, i64)> = store.read().await.unwrap().all(sql, args![who]).await.unwrap();
            (spans, moments)
        };
        assert_eq!(history(punctual.0).await, history(late.0).await);
        assert_eq!(check_at(store, START + 20 * DAY).await.differences, []);
    }

    async fn an_action_that_is_moved_earlier_replaces_its_entry(db) {
        let store = &db.store;
        let who = person(store, true).await;
        insert(store, &[action(who, "reply", None, START), action(who, "open", None, START + DAY)]).await;
        score_at(store, START + 2 * DAY).await;
        execute(store, "UPDATE actions SET at = at - $1, scored = FALSE WHERE kind = 'open'", args![HOUR]).await;
        execute(store, "UPDATE actions SET at = at - $1, scored = FALSE WHERE kind = 'reply'", args![HOUR]).await;
        execute(store, "UPDATE actions SET revised = TRUE", vec![]).await;
        assert_eq!(check_at(store, START + 2 * DAY).await.differences, [], "what is about to be replayed is no damage");
        assert_eq!(score_at(store, START + 2 * DAY).await, 2);
        let entries: Vec<(i64, String)> = rows(store, "SELECT at, kind FROM score_entries ORDER BY at").await;
        assert_eq!(entries, [(START - HOUR, "reply".to_owned()), (START + 23 * HOUR, "open".to_owned())]);
        assert_eq!(check_at(store, START + 2 * DAY).await.differences, []);
    }

    async fn who_forbids_tracking_or_is_erased_never_scores(db) {
        let store = &db.store;
        let (untracked, erased) = (person(store, false).await, person(store, true).await);
        execute(store, "UPDATE recipients SET erased_at = 5 WHERE id = $1", args![erased]).await;
        insert(store, &[action(untracked, "reply", None, START), action(erased, "reply", None, START)]).await;
        assert_eq!(score_at(store, START + DAY).await, 2);
        execute(store, "UPDATE recipients SET tracking = TRUE, erased_at = NULL", vec![]).await;
        insert(store, &[action(untracked, "open", None, START + HOUR)]).await;
        score_at(store, START + DAY).await;
        let entries: Vec<(i64, String)> = rows(store, "SELECT recipient_id, kind FROM score_entries").await;
        assert_eq!(entries, [(untracked.0, "open".to_owned())]);
        assert_eq!(check_at(store, START + DAY).await.differences, [], "what was done untracked does not count later");
    }

    async fn who_withdraws_tracking_is_forgotten_for_good(db) {
        let store = &db.store;
        let who = person(store, true).await;
        let clicks: Vec<_> = (0..4).map(|n| action(who, "click", Some("yoga"), START + n)).collect();
        insert(store, &clicks).await;
        score_at(store, START + DAY).await;
        let origin = Origin { channel: "page", run: None, at: Micros(START + DAY), salts: Salts::new(&[7; 32]), shown: None };
        let mut session = store.write().await.unwrap();
        assert!(subscriptions::set_tracking(&mut session, who, false, &origin).await.unwrap());
        session.commit().await.unwrap();
        for sql in ["SELECT COUNT(*) FROM profiles", "SELECT COUNT(*) FROM score_entries", "SELECT COUNT(*) FROM affinities",
            "SELECT COUNT(*) FROM moments", "SELECT COUNT(*) FROM cluster_spans"] {
            assert_eq!(rows::<(i64,)>(store, sql).await, [(0,)], "{sql}");
        }
        execute(store, "UPDATE actions SET scored = FALSE", vec![]).await;
        let mut session = store.write().await.unwrap();
        assert!(subscriptions::set_tracking(&mut session, who, true, &origin).await.unwrap());
        session.commit().await.unwrap();
        score_at(store, START + DAY).await;
        assert_eq!(view(store, who, START + DAY).await, None);
        assert_eq!(check_at(store, START + DAY).await.people, 0);
    }

    async fn kinds_without_points_are_done_and_leave_no_entry(db) {
        let store = &db.store;
        let who = person(store, true).await;
        insert(store, &[action(who, "visit", Some("trail"), START)]).await;
        assert_eq!(score_at(store, START + DAY).await, 1);
        assert_eq!(view(store, who, START + DAY).await, None);
        assert_eq!(check_at(store, START + DAY).await.differences, []);
    }

    async fn what_lies_ahead_waits_for_its_time(db) {
        let store = &db.store;
        let who = person(store, true).await;
        insert(store, &[action(who, "reply", None, START + DAY)]).await;
        assert_eq!(score_at(store, START).await, 0);
        assert_eq!(score_at(store, START + DAY).await, 1);
    }

    async fn a_fall_is_recorded_once_it_has_passed_and_once_only(db) {
        let store = &db.store;
        let who = person(store, true).await;
        insert(store, &[action(who, "conversion", None, START)]).await;
        score_at(store, START).await;
        let cools = view(store, who, START).await.unwrap().cools_at.unwrap().0;
        score_at(store, cools - 1).await;
        assert_eq!(moments(store).await.len(), 1);
        score_at(store, cools).await;
        score_at(store, cools + DAY).await;
        let fell = ("cooled".to_owned(), 1, cools, "20".to_owned());
        assert_eq!(moments(store).await[0], fell);
        insert(store, &[action(who, "conversion", None, cools + DAY)]).await;
        score_at(store, cools + 2 * DAY).await;
        let kinds: Vec<_> = moments(store).await.into_iter().map(|(kind, ordinal, ..)| (kind, ordinal)).collect();
        assert_eq!(kinds, [("cooled".to_owned(), 1), ("rose".to_owned(), 1), ("rose".to_owned(), 2)]);
        assert_eq!(check_at(store, cools + 2 * DAY).await.differences, []);
    }

    async fn a_late_action_takes_a_fall_back_that_it_prevented(db) {
        let store = &db.store;
        let who = person(store, true).await;
        insert(store, &[action(who, "conversion", None, START)]).await;
        score_at(store, START).await;
        let cools = view(store, who, START).await.unwrap().cools_at.unwrap().0;
        score_at(store, cools + HOUR).await;
        assert_eq!(moments(store).await.len(), 2);
        insert(store, &[action(who, "conversion", None, cools - HOUR)]).await;
        score_at(store, cools + HOUR).await;
        assert_eq!(moments(store).await, [("rose".to_owned(), 1, START, "20".to_owned())]);
        assert_eq!(check_at(store, cools + HOUR).await.differences, []);
    }

    async fn changed_rules_score_nothing_before_a_rebuild(db) {
        let store = &db.store;
        let who = person(store, true).await;
        insert(store, &[action(who, "visit", None, START)]).await;
        let mut options = options();
        options.score.points.insert("visit".into(), 2.0);
        let clock = || colloquy::clock::Clock::fast(Micros(START + DAY), 0.0);
        let changed = Scorer::new(store.clone(), clock(), options.clone());
        insert(store, &[action(who, "open", None, START + HOUR)]).await;
        score_at(store, START + DAY).await;
        insert(store, &[action(who, "open", None, START + 2 * HOUR)]).await;
        let refused = changed.step().await.unwrap_err();
        assert!(matches!(refused, Error::RulesChanged), "{refused}");
        assert!(refused.to_string().contains("colloquy score rebuild"));
        changed.rebuild(colloquy::score::Mode::Rewrite, |_| {}).await.unwrap();
        assert_eq!(changed.drain().await.unwrap(), 1);
        let now = view(store, who, START + 2 * HOUR).await.unwrap();
        assert!((now.score - 4.0).abs() < 0.02, "two points and two opens: {now:?}");
    }

    async fn rules_may_change_while_nothing_was_scored(db) {
        let store = &db.store;
        person(store, true).await;
        let who = person(store, false).await;
        insert(store, &[action(who, "open", None, START)]).await;
        score_at(store, START).await;
        let mut options = options();
        options.score.warm = 7.0;
        insert(store, &[action(who, "open", None, START + 1)]).await;
        let changed = Scorer::new(store.clone(), colloquy::clock::Clock::fast(Micros(START + DAY), 0.0), options);
        assert_eq!(changed.drain().await.unwrap(), 1);
    }

    async fn the_landmark_moves_on_and_no_score_changes(db) {
        let store = &db.store;
        let who = person(store, true).await;
        let clicks: Vec<_> = (0..5).map(|n| action(who, "click", Some("yoga"), START + n * DAY)).collect();
        insert(store, &clicks).await;
        score_at(store, START + 5 * DAY).await;
        let before = view(store, who, START + 9 * DAY).await.unwrap();
        let landmark = || async {
            score::scale(&mut store.read().await.unwrap()).await.unwrap().unwrap().landmark
        };
        assert_eq!(landmark().await, Micros(START + 5 * DAY));
        let later = START + 4_000 * DAY;
        insert(store, &[action(who, "open", None, later)]).await;
        score_at(store, later).await;
        assert_eq!(landmark().await, Micros(later), "four hundred weeks are over");
        let after = view(store, who, START + 9 * DAY).await.unwrap();
        assert!((before.score - after.score).abs() < 26e-9, "of 26 points: {before:?} {after:?}");
        let report = check_at(store, later).await;
        assert_eq!(report.differences, []);
        assert!(report.worst < 1e-9, "{}", report.worst);
    }
}
