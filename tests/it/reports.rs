//! What reports and status say about rows made by hand.

use colloquy::args;
use colloquy::domain::consent::Salts;
use colloquy::domain::hit::Verdict;
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::message::MessageState;
use colloquy::domain::run::RunState;
use colloquy::domain::score::Scale;
use colloquy::domain::time::Micros;
use colloquy::store::reports::{ClusterSize, HitCount, Which, population, queue, runs_report};
use colloquy::store::subscriptions::{self, Origin};
use colloquy::store::{Session, Store, people};

use crate::support::on_both_engines;

const NOON: i64 = 1_790_000_000_000_000;
const HOUR: i64 = 3_600_000_000;

async fn run(session: &mut Session, id: i64, campaign: &str, state: &str) {
    session
        .execute("INSERT INTO versions (id, at, hash) VALUES (1, 1, 'h') ON CONFLICT DO NOTHING", args![])
        .await
        .unwrap();
    let sql = "INSERT INTO runs (id, campaign, topic, occasion, version_id, state, at, planned)
        VALUES ($1, $2, 'offers', $3, 1, $4, $5, 8)";
    session.execute(sql, args![id, campaign, id.to_string(), state, NOON]).await.unwrap();
}

async fn message(session: &mut Session, run: i64, who: i64, state: &str, code: Option<i64>, reply: &str) {
    // As the store writes them: what waits is due at some time, what is in hand is some node's.
    let due_at = ["waiting", "deferred"].contains(&state).then_some(1_i64);
    let node_id = ["claimed", "sending"].contains(&state).then_some(1_i64);
    let sql = "INSERT INTO messages (run_id, recipient_id, state, at, code, reply, due_at, node_id)
        VALUES ($1, $2, $3, 1, $4, $5, $6, $7)";
    session.execute(sql, args![run, who, state, code, reply, due_at, node_id]).await.unwrap();
}

/// A click on `url`, whose last part is the category, or an open when there is none.
async fn hit(session: &mut Session, run: i64, who: i64, url: &str, verdict: &str) {
    let id = uuid::Uuid::now_v7().as_bytes().to_vec();
    let kind = if url.is_empty() { "open" } else { "click" };
    let category = url.rsplit('/').next().unwrap_or_default();
    let sql = "INSERT INTO hits (id, at, kind, method, run_id, recipient_id, category, url, verdict)
        VALUES ($1, 1, $2, 'GET', $3, $4, $5, $6, $7)";
    let verdict = Some(verdict).filter(|v| !v.is_empty());
    session.execute(sql, args![id, kind, run, who, category, url, verdict]).await.unwrap();
}

async fn person(session: &mut Session, id: i64, tracking: bool) {
    let sql = "INSERT INTO recipients (id, address, domain, tracking, created_at) VALUES ($1, $2, 'x.example', $3, 1)";
    session.execute(sql, args![id, format!("p{id}@x.example"), tracking]).await.unwrap();
}

/// A person whose only points came at noon, and who is in a cluster for a day from then on.
async fn profile(session: &mut Session, id: i64, points: f64, cluster: Option<&str>) {
    person(session, id, true).await;
    let until = cluster.map(|_| NOON + 24 * HOUR);
    let sql = "INSERT INTO profiles (recipient_id, f, f7, fa, points, last_at, last_id, cluster, cluster_since,
        cluster_until, rose, cooled, entered) VALUES ($1, $2, $2, $2, $2, $3, 1, $4, $3, $5, 0, 0, 0)";
    session.execute(sql, args![id, points, NOON, cluster, until]).await.unwrap();
    let sql = "INSERT INTO score_entries (recipient_id, at, action_id, kind, points, f, f7, fa)
        VALUES ($1, $2, 1, 'click', $3, $3, $3, $3)";
    session.execute(sql, args![id, NOON, points]).await.unwrap();
    if let (Some(cluster), Some(until)) = (cluster, until) {
        let sql =
            "INSERT INTO cluster_spans (recipient_id, ordinal, cluster, from_at, until_at) VALUES ($1, 1, $2, $3, $4)";
        session.execute(sql, args![id, cluster, NOON, until]).await.unwrap();
    }
}

fn counts(messages: i64, total: i64) -> HitCount {
    HitCount { messages, total }
}

async fn report(store: &Store, run: i64) -> colloquy::store::reports::RunReport {
    let mut reports = runs_report(&mut store.read().await.unwrap(), Which::Run(RunId(run))).await.unwrap();
    assert_eq!(reports.len(), 1);
    reports.remove(0)
}

on_both_engines! {
    async fn every_message_stands_under_its_state_with_code_and_reason(db) {
        let mut session = db.store.write().await.unwrap();
        run(&mut session, 1, "spring", "running").await;
        run(&mut session, 2, "other", "running").await;
        let states = ["waiting", "claimed", "sending", "accepted", "accepted", "unknown"];
        for (who, state) in (1..).zip(states) {
            message(&mut session, 1, who, state, Some(250), "").await;
        }
        message(&mut session, 1, 10, "rejected", Some(550), "no").await;
        message(&mut session, 1, 11, "rejected", Some(550), "nobody p11@x.example").await;
        message(&mut session, 1, 12, "deferred", None, "timed out").await;
        message(&mut session, 1, 13, "skipped", None, "no_consent").await;
        message(&mut session, 2, 14, "accepted", None, "").await;
        let sql = "INSERT INTO run_exclusions (run_id, reason, people) VALUES (1, 'suppressed', 4)";
        session.execute(sql, args![]).await.unwrap();
        session.commit().await.unwrap();

        let report = report(&db.store, 1).await;
        assert_eq!(report.messages.total(), 10);
        for state in MessageState::ALL {
            let expected = if matches!(state, MessageState::Accepted | MessageState::Rejected) { 2 } else { 1 };
            assert_eq!(report.messages.get(state), expected, "{state:?}");
        }
        let codes: Vec<_> = report.codes.iter().map(|c| (c.state.as_str(), c.code, c.messages)).collect();
        assert_eq!(codes, [("rejected", Some(550), 2), ("deferred", None, 1)]);
        assert_eq!(report.skipped_because.get("no_consent"), Some(&1));
        assert_eq!(report.excluded.get("suppressed"), Some(&4));
        assert!(!serde_json::to_string(&report).unwrap().contains("p11@"), "a relay's words reached the report");
    }

    async fn who_left_is_counted_once_and_by_the_reason_that_was_told_soon_after(db) {
        let mut session = db.store.write().await.unwrap();
        run(&mut session, 1, "spring", "running").await;
        let origin = |run, at| Origin { channel: "page", run: Some(RunId(run)), at: Micros(at), salts: Salts::new(&[9; 32]), shown: None };
        for id in 1..=5 {
            person(&mut session, id, true).await;
            let who = RecipientId(id);
            for topic in ["news", "offers"] {
                subscriptions::join(&mut session, who, topic, &origin(1, 1)).await.unwrap();
            }
        }
        let (who, left) = (RecipientId, HOUR);
        subscriptions::leave_all(&mut session, who(1), &origin(1, left)).await.unwrap();
        subscriptions::leave(&mut session, who(2), "news", &origin(1, left)).await.unwrap();
        subscriptions::leave(&mut session, who(3), "news", &origin(1, left)).await.unwrap();
        subscriptions::leave(&mut session, who(4), "news", &origin(2, left)).await.unwrap();
        for (id, run, why, words, since, kept) in [
            (1, 1, Some("too_many"), Some("Every day!"), 0, true),
            (1, 1, Some("other"), None, 0, false),
            (2, 1, None, Some("no reason"), 0, true),
            (3, 1, Some("too_many"), None, left, false),
            (4, 1, Some("too_many"), None, 0, false),
            (5, 1, Some("too_many"), None, 0, false),
            (77, 1, Some("too_many"), None, 0, false),
        ] {
            let explained = subscriptions::explain(&mut session, (who(id), RunId(run)), (why, words), Micros(since)).await;
            assert_eq!(explained.unwrap(), kept, "{id} in {run}");
        }
        session.commit().await.unwrap();
        let report = report(&db.store, 1).await;
        assert_eq!(report.unsubscribed.people, 3);
        assert_eq!(report.unsubscribed.why, [("too_many".to_owned(), 1)].into());
        let told = people::timeline(&mut db.store.read().await.unwrap(), who(1), Micros(i64::MAX)).await.unwrap();
        let told: Vec<_> = told.iter().filter(|event| event.kind == "action").collect();
        assert_eq!(told.len(), 2);
        assert!(told.iter().all(|event| event.details["why"] == "too_many" && event.details["words"] == "Every day!"));
    }

    async fn hits_count_once_per_message_and_in_total_by_verdict(db) {
        let mut session = db.store.write().await.unwrap();
        run(&mut session, 1, "spring", "done").await;
        for (who, verdict) in [(1, "human"), (1, "human"), (2, "human"), (2, "proxy"), (3, "machine"), (4, "")] {
            hit(&mut session, 1, who, "", verdict).await;
        }
        hit(&mut session, 1, 1, "https://x.example/a", "unknown").await;
        session.commit().await.unwrap();

        let report = report(&db.store, 1).await;
        assert_eq!(report.opens.human, counts(2, 3));
        assert_eq!(report.opens.proxy, counts(1, 1));
        assert_eq!(report.opens.machine, counts(1, 1));
        assert_eq!(report.opens.get(None), counts(1, 1));
        assert_eq!(report.opens.get(Some(Verdict::Unknown)), counts(0, 0));
        assert_eq!(report.clicks.unknown, counts(1, 1));
    }

    async fn the_link_that_most_people_followed_comes_first(db) {
        let mut session = db.store.write().await.unwrap();
        run(&mut session, 1, "spring", "done").await;
        for who in 1..=9 {
            hit(&mut session, 1, who, "https://x.example/scanned", "machine").await;
        }
        for who in 1..=2 {
            hit(&mut session, 1, who, "https://x.example/trail", "human").await;
        }
        hit(&mut session, 1, 2, "https://x.example/trail", "human").await;
        hit(&mut session, 1, 3, "https://x.example/", "human").await;
        session.commit().await.unwrap();

        let links = report(&db.store, 1).await.links;
        let urls: Vec<_> = links.iter().map(|l| (l.url.as_str(), l.category.as_deref(), l.clicks.human.messages)).collect();
        assert_eq!(urls, [
            ("https://x.example/trail", Some("trail"), 2),
            ("https://x.example/", None, 1),
            ("https://x.example/scanned", Some("scanned"), 0),
        ]);
        assert_eq!(links[0].clicks.human.total, 3);
        assert_eq!(links[2].clicks.machine.messages, 9);
    }

    async fn links_with_a_persons_data_do_not_fill_the_report(db) {
        let mut session = db.store.write().await.unwrap();
        run(&mut session, 1, "spring", "done").await;
        for who in 1..=150 {
            hit(&mut session, 1, who, &format!("https://x.example/{who}/a"), "human").await;
        }
        session.commit().await.unwrap();
        assert_eq!(report(&db.store, 1).await.links.len(), 100);
    }

    async fn clusters_are_those_of_the_runs_instant(db) {
        let mut session = db.store.write().await.unwrap();
        run(&mut session, 1, "spring", "done").await;
        for who in 1..=3 {
            message(&mut session, 1, who, "accepted", None, "").await;
        }
        message(&mut session, 1, 4, "rejected", None, "").await;
        profile(&mut session, 1, 20.0, Some("trail")).await;
        profile(&mut session, 2, 20.0, Some("trail")).await;
        // Entered after the run's instant: it does not count.
        let late = "INSERT INTO cluster_spans (recipient_id, ordinal, cluster, from_at, until_at) VALUES (3, 1, 'trail', $1, $2)";
        session.execute(late, args![NOON + 1, NOON + HOUR]).await.unwrap();
        hit(&mut session, 1, 1, "https://x.example/trail", "human").await;
        hit(&mut session, 1, 2, "https://x.example/trail", "machine").await;
        hit(&mut session, 1, 3, "https://x.example/trail", "human").await;
        session.commit().await.unwrap();

        let clusters = report(&db.store, 1).await.clusters;
        let seen: Vec<_> = clusters
            .iter()
            .map(|c| (c.cluster.as_deref(), c.accepted, c.clicked.get("trail").copied()))
            .collect();
        assert_eq!(seen, [(Some("trail"), 2, Some(1)), (None, 1, Some(1))]);
    }

    async fn a_status_has_every_open_run_and_the_last_ten(db) {
        let mut session = db.store.write().await.unwrap();
        run(&mut session, 1, "old", "paused").await;
        for id in 2..=15 {
            run(&mut session, id, "spring", "done").await;
        }
        hit(&mut session, 15, 1, "https://x.example/a", "human").await;
        session.commit().await.unwrap();

        let mut session = db.store.read().await.unwrap();
        let status = runs_report(&mut session, Which::Status).await.unwrap();
        let runs: Vec<_> = status.iter().map(|r| r.run.0).collect();
        assert_eq!(runs, [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 1]);
        assert_eq!((status[10].state, status[0].clicks.human.messages), (RunState::Paused, 1));
        assert!(status[0].links.is_empty());

        let of_old = runs_report(&mut session, Which::Campaign("old")).await.unwrap();
        assert_eq!(of_old.iter().map(|r| r.run.0).collect::<Vec<_>>(), [1]);
        assert!(runs_report(&mut session, Which::Campaign("none")).await.unwrap().is_empty());
    }

    async fn the_queue_has_what_is_not_final_in_open_runs(db) {
        let mut session = db.store.write().await.unwrap();
        run(&mut session, 1, "spring", "running").await;
        run(&mut session, 2, "spring", "cancelled").await;
        let states = ["waiting", "waiting", "deferred", "claimed", "sending", "accepted", "skipped"];
        for (who, state) in (1..).zip(states) {
            message(&mut session, 1, who, state, None, "").await;
        }
        session.commit().await.unwrap();

        let queue = queue(&mut db.store.read().await.unwrap()).await.unwrap();
        let messages: Vec<_> = queue.messages.iter().map(|(s, n)| (s.as_str(), *n)).collect();
        assert_eq!(messages, [("waiting", 2), ("claimed", 1), ("sending", 1), ("deferred", 1)]);
        let runs: Vec<_> = queue.runs.iter().map(|(s, n)| (s.as_str(), *n)).collect();
        assert_eq!(runs, [("scheduled", 0), ("running", 1), ("paused", 0)]);
    }

    async fn a_population_is_judged_at_its_instant(db) {
        let day = std::time::Duration::from_secs(86_400);
        let scale = Scale { landmark: Micros(NOON), half_life: day, affinity_half_life: day };
        let mut session = db.store.write().await.unwrap();
        for id in 1..=20 {
            profile(&mut session, id, id as f64, (id > 15).then_some("trail")).await;
        }
        person(&mut session, 21, false).await;
        session.commit().await.unwrap();

        let mut session = db.store.read().await.unwrap();
        let at_noon = population(&mut session, Some(&scale), 11.0, Micros(NOON)).await.unwrap();
        assert_eq!((at_noon.recipients, at_noon.tracked, at_noon.scored, at_noon.warm), (21, 20, 20, 10));
        assert_eq!(at_noon.deciles, [2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0]);
        let size = |cluster: Option<&str>, recipients| ClusterSize { cluster: cluster.map(str::to_owned), recipients };
        assert_eq!(at_noon.clusters, [size(Some("trail"), 5), size(None, 16)]);

        let next_day = population(&mut session, Some(&scale), 10.0, Micros(NOON).plus(day)).await.unwrap();
        assert_eq!((next_day.deciles.last(), next_day.warm), (Some(&10.0), 1));
        assert_eq!(next_day.clusters, [size(None, 21)]);

        let before = population(&mut session, Some(&scale), 10.0, Micros(NOON - 1)).await.unwrap();
        assert_eq!((before.scored, before.deciles.len(), before.recipients), (0, 0, 21));
        let unscored = population(&mut session, None, 10.0, Micros(NOON)).await.unwrap();
        assert_eq!(unscored.clusters, [size(None, 21)]);
    }
}
