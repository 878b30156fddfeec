//! The way of a hit: spool, main database, verdict, action, score.

use std::collections::BTreeMap;
use std::time::Duration;

use colloquy::args;
use colloquy::clock::Clock;
use colloquy::domain::consent::Salts;
use colloquy::domain::hit::{Hit, HitKind, HitMethod};
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::score::{ClusterRules, ScoreRules};
use colloquy::domain::time::Micros;
use colloquy::metrics::Metrics;
use colloquy::score::{self, Mode, Scorer};
use colloquy::store::spool::Spool;
use colloquy::store::subscriptions::{self, Origin};
use colloquy::store::{Store, hits};
use colloquy::track::{Forwarder, ForwarderOptions, Intake, Judge, JudgeOptions};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Database, on_both_engines};

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const RUN: RunId = RunId(7);
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

async fn person(store: &Store, tracking: bool) -> RecipientId {
    let mut session = store.write().await.unwrap();
    let sql = "INSERT INTO recipients (address, domain, tracking, created_at)
        VALUES ((SELECT 'p' || COUNT(*) || '@example.org' FROM recipients), 'example.org', $1, 1) RETURNING id";
    let (id,): (i64,) = session.one(sql, args![tracking]).await.unwrap();
    session.commit().await.unwrap();
    RecipientId(id)
}

/// The relay took the message at instant zero.
async fn accepted(store: &Store, recipient: RecipientId) {
    let mut session = store.write().await.unwrap();
    let sql = "INSERT INTO messages (run_id, recipient_id, state, at) VALUES ($1, $2, 'accepted', 0)";
    session.execute(sql, args![RUN, recipient]).await.unwrap();
    session.commit().await.unwrap();
}

fn click(recipient: RecipientId, at: i64, link: u16) -> Hit {
    Hit {
        at: Micros(at),
        kind: HitKind::Click,
        method: HitMethod::Get,
        run: RUN,
        recipient,
        link,
        item: 0,
        category: "trail".into(),
        url: format!("https://shop.example/{link}"),
        user_agent: BROWSER.into(),
        network: "192.0.2.0/24".into(),
    }
}

fn open(recipient: RecipientId, at: i64, user_agent: &str) -> Hit {
    let user_agent = user_agent.to_owned();
    Hit { kind: HitKind::Open, category: String::new(), url: String::new(), user_agent, ..click(recipient, at, 0) }
}

fn named(hits: impl IntoIterator<Item = Hit>) -> Vec<(Uuid, Hit)> {
    hits.into_iter().map(|hit| (Uuid::from_u128(rand_id()), hit)).collect()
}

fn rand_id() -> u128 {
    u128::from_be_bytes(colloquy::clock::secret())
}

async fn arrive(store: &Store, hits: impl IntoIterator<Item = Hit>) {
    let mut session = store.write().await.unwrap();
    hits::keep(&mut session, named(hits)).await.unwrap();
    session.commit().await.unwrap();
}

fn judge(store: &Store) -> Judge {
    Judge::new(store.clone(), Clock::system(), Metrics::new(), JudgeOptions::default())
}

async fn judge_all(store: &Store) {
    let judge = judge(store);
    while judge.step().await.unwrap() > 0 {}
}

async fn verdicts(store: &Store) -> Vec<(String, String)> {
    let sql = "SELECT COALESCE(verdict, 'none'), COALESCE(rule, '') FROM hits ORDER BY at, link, id";
    store.read().await.unwrap().all(sql, vec![]).await.unwrap()
}

async fn actions(store: &Store) -> Vec<(String, String, i64, bool)> {
    store.read().await.unwrap().all("SELECT key, kind, at, scored FROM actions ORDER BY key", vec![]).await.unwrap()
}

async fn count(store: &Store) -> i64 {
    store.read().await.unwrap().one::<(i64,)>("SELECT COUNT(*) FROM hits", vec![]).await.unwrap().0
}

async fn spool(db: &Database) -> Spool {
    Spool::open(&db.dir.path().join("spool.db")).await.unwrap()
}

fn forwarder(spool: &Spool, store: &Store) -> Forwarder {
    Forwarder::new(spool.clone(), store.clone(), Metrics::new(), ForwarderOptions::default())
}

async fn set_tracking(store: &Store, who: RecipientId, granted: bool, at: Micros) {
    let origin = Origin { channel: "page", run: None, at, salts: Salts::new(&[9; 32]), shown: None };
    let mut session = store.write().await.unwrap();
    assert!(subscriptions::set_tracking(&mut session, who, granted, &origin).await.unwrap());
    session.commit().await.unwrap();
}

fn scorer(store: &Store) -> Scorer {
    let points = BTreeMap::from([("open".into(), 1.0), ("click".into(), 5.0)]);
    let half_life = Duration::from_secs(30 * 86_400);
    let score = ScoreRules { half_life, warm: 20.0, points };
    let cluster = ClusterRules { half_life, min_points: 4.0, min_share: 0.5, margin: 0.1, prior: 1.0 };
    let options = score::Options { score, cluster, categories: vec!["trail".into(), "running".into()] };
    Scorer::new(store.clone(), Clock::system(), options)
}

on_both_engines! {
    async fn a_batch_that_was_written_but_not_forgotten_is_forwarded_once(db) {
        let (spool, anna) = (spool(&db).await, person(&db.store, true).await);
        spool.add(&named((1..=3).map(|n| click(anna, n * DAY, 1)))).await.unwrap();
        // The forwarder dies between the two: the main database has the hits, the spool still does.
        let batch = spool.batch(10).await.unwrap();
        let mut session = db.store.write().await.unwrap();
        let hits = batch.iter().take(2).map(|s| (s.id, s.hit.clone())).collect();
        assert_eq!(hits::keep(&mut session, hits).await.unwrap(), 2);
        session.commit().await.unwrap();

        let mut forwarder = forwarder(&spool, &db.store);
        assert_eq!(forwarder.step().await.unwrap(), 3);
        assert_eq!(forwarder.step().await.unwrap(), 0);
        assert_eq!((count(&db.store).await, spool.depth().await.unwrap()), (3, 0));
    }

    async fn more_than_a_batch_arrives_whole(db) {
        let (spool, anna) = (spool(&db).await, person(&db.store, true).await);
        for _ in 0..3 {
            spool.add(&named((0..500).map(|n| click(anna, n, 1)))).await.unwrap();
        }
        let mut forwarder = forwarder(&spool, &db.store);
        while forwarder.step().await.unwrap() > 0 {}
        assert_eq!((count(&db.store).await, spool.depth().await.unwrap()), (1_500, 0));
    }

    async fn hits_wait_in_the_spool_while_the_database_is_away(db) {
        let (spool, anna) = (spool(&db).await, person(&db.store, true).await);
        spool.add(&named([click(anna, DAY, 1)])).await.unwrap();
        let away = Store::open(&db.url, db.dir.path()).await.unwrap();
        away.close().await;
        assert!(forwarder(&spool, &away).step().await.is_err());
        assert_eq!(spool.depth().await.unwrap(), 1);
        forwarder(&spool, &db.store).step().await.unwrap();
        assert_eq!((count(&db.store).await, spool.depth().await.unwrap()), (1, 0));
    }

    async fn stragglers_of_people_without_consent_are_dropped_and_their_next_hits_not_stored(db) {
        let (spool, anna) = (spool(&db).await, person(&db.store, true).await);
        let (otto, nobody) = (person(&db.store, false).await, RecipientId(99_999));
        spool.add(&named([click(anna, DAY, 1), click(otto, DAY, 1), click(nobody, DAY, 1)])).await.unwrap();
        forwarder(&spool, &db.store).step().await.unwrap();
        assert_eq!((count(&db.store).await, spool.depth().await.unwrap()), (1, 0));
        assert_eq!(spool.add(&named([click(otto, DAY, 1), click(nobody, DAY, 1)])).await.unwrap(), 0);
    }

    async fn a_withdrawal_reaches_the_spool_and_a_new_consent_lifts_it(db) {
        let (spool, anna) = (spool(&db).await, person(&db.store, true).await);
        let otto = person(&db.store, true).await;
        let mut forwarder = forwarder(&spool, &db.store);
        set_tracking(&db.store, anna, false, Micros(10)).await;
        forwarder.refresh().await.unwrap();
        assert_eq!(spool.add(&named([click(anna, DAY, 1), click(otto, DAY, 1)])).await.unwrap(), 1);
        // This one commits later although its instant is earlier.
        set_tracking(&db.store, otto, false, Micros(5)).await;
        forwarder.refresh().await.unwrap();
        assert_eq!(spool.add(&named([click(otto, DAY, 1)])).await.unwrap(), 0);
        set_tracking(&db.store, anna, true, Micros(20)).await;
        forwarder.refresh().await.unwrap();
        assert_eq!(spool.silenced(RecipientId(0), 10).await.unwrap(), [otto]);
        assert_eq!(spool.add(&named([click(anna, DAY, 1)])).await.unwrap(), 1);
    }

    async fn hits_are_judged_by_what_is_known_of_them(db) {
        let anna = person(&db.store, true).await;
        accepted(&db.store, anna).await;
        let script = Hit { user_agent: "python-requests/2.31".into(), ..click(anna, 5 * DAY, 4) };
        let head = Hit { method: HitMethod::Head, ..click(anna, 6 * DAY, 5) };
        arrive(&db.store, [
            click(anna, 9 * SECOND, 1),
            open(anna, 10 * SECOND, BROWSER),
            open(anna, DAY, "Mozilla/5.0"),
            open(anna, 2 * DAY, ""),
            click(anna, 3 * DAY, 3),
            script,
            head,
        ]).await;
        judge_all(&db.store).await;
        let expected = [
            ("machine", "too-soon"), ("human", "agent-person"), ("proxy", "apple-mpp"), ("unknown", "agent-missing"),
            ("human", "agent-person"), ("machine", "library"), ("machine", "method"),
        ];
        assert_eq!(verdicts(&db.store).await, expected.map(|(v, r)| (v.to_owned(), r.to_owned())));
        assert_eq!(actions(&db.store).await, [
            (format!("c:7:{anna}:3:0"), "click".to_owned(), 3 * DAY, false),
            (format!("o:7:{anna}"), "open".to_owned(), 10 * SECOND, false),
        ]);
    }

    async fn a_hit_is_judged_only_after_it_has_settled(db) {
        let anna = person(&db.store, true).await;
        let future = Clock::system().now().plus(Duration::from_secs(3_600));
        arrive(&db.store, [click(anna, future.0, 1)]).await;
        assert_eq!(judge(&db.store).step().await.unwrap(), 0);
        assert_eq!(verdicts(&db.store).await[0].0, "none");
    }

    async fn nobody_without_tracking_gets_an_action(db) {
        let anna = person(&db.store, true).await;
        arrive(&db.store, [click(anna, DAY, 1)]).await;
        set_tracking(&db.store, anna, false, Micros(10)).await;
        judge_all(&db.store).await;
        assert_eq!(verdicts(&db.store).await[0].0, "human");
        assert!(actions(&db.store).await.is_empty());
    }

    async fn an_earlier_hit_that_comes_late_moves_its_action(db) {
        let anna = person(&db.store, true).await;
        let scorer = scorer(&db.store);
        arrive(&db.store, [click(anna, 5 * DAY, 1), click(anna, 6 * DAY, 1)]).await;
        judge_all(&db.store).await;
        scorer.drain().await.unwrap();
        assert_eq!(actions(&db.store).await, [(format!("c:7:{anna}:1:0"), "click".to_owned(), 5 * DAY, true)]);
        arrive(&db.store, [click(anna, 4 * DAY, 1)]).await;
        judge_all(&db.store).await;
        assert_eq!(actions(&db.store).await, [(format!("c:7:{anna}:1:0"), "click".to_owned(), 4 * DAY, false)]);
        scorer.drain().await.unwrap();
        assert_eq!(scorer.rebuild(Mode::Check, |_| {}).await.unwrap().differing, 0);
    }

    async fn a_late_hit_that_makes_a_burst_takes_the_points_back(db) {
        let (anna, otto) = (person(&db.store, true).await, person(&db.store, true).await);
        let emma = person(&db.store, true).await;
        let scorer = scorer(&db.store);
        arrive(&db.store, [
            click(anna, DAY, 1), click(anna, DAY + SECOND, 2), click(anna, 9 * DAY, 2), click(otto, DAY, 1),
            click(emma, DAY, 1), click(emma, DAY + SECOND, 2),
        ]).await;
        judge_all(&db.store).await;
        scorer.drain().await.unwrap();
        assert!(verdicts(&db.store).await.iter().all(|(verdict, _)| verdict == "human"));

        arrive(&db.store, [click(anna, DAY + 2 * SECOND, 3), click(emma, DAY + 2 * SECOND, 3)]).await;
        judge_all(&db.store).await;
        assert_eq!(actions(&db.store).await, [
            (format!("c:7:{anna}:1:0"), "void".to_owned(), DAY, false),
            (format!("c:7:{anna}:2:0"), "click".to_owned(), 9 * DAY, false),
            (format!("c:7:{otto}:1:0"), "click".to_owned(), DAY, true),
            (format!("c:7:{emma}:1:0"), "void".to_owned(), DAY, false),
            (format!("c:7:{emma}:2:0"), "void".to_owned(), DAY + SECOND, false),
        ]);
        scorer.drain().await.unwrap();
        let report = scorer.rebuild(Mode::Check, |_| {}).await.unwrap();
        assert_eq!((report.people, report.differing), (2, 0));
        let entries: Vec<(i64, i64)> = db.store.read().await.unwrap()
            .all("SELECT recipient_id, at FROM score_entries ORDER BY at", vec![]).await.unwrap();
        assert_eq!(entries, [(otto.0, DAY), (anna.0, 9 * DAY)]);
    }

    async fn judging_a_run_again_changes_nothing_until_the_evidence_does(db) {
        let anna = person(&db.store, true).await;
        arrive(&db.store, [click(anna, 5 * SECOND, 1), open(anna, DAY, BROWSER)]).await;
        judge_all(&db.store).await;
        let before = (verdicts(&db.store).await, actions(&db.store).await);
        assert_eq!(judge(&db.store).rejudge(RUN).await.unwrap(), 0);
        assert_eq!((verdicts(&db.store).await, actions(&db.store).await), before);

        // Now it turns out when the relay took the message.
        accepted(&db.store, anna).await;
        assert_eq!(judge(&db.store).rejudge(RUN).await.unwrap(), 1);
        assert_eq!(verdicts(&db.store).await[0], ("machine".to_owned(), "too-soon".to_owned()));
        assert_eq!(actions(&db.store).await[0], (format!("c:7:{anna}:1:0"), "void".to_owned(), 5 * SECOND, false));
    }

    async fn a_message_that_is_hammered_does_not_keep_the_judge_from_others(db) {
        let (anna, otto) = (person(&db.store, true).await, person(&db.store, true).await);
        for _ in 0..3 {
            arrive(&db.store, (0..400).map(|n| click(anna, n * SECOND, 1))).await;
        }
        arrive(&db.store, [click(otto, DAY, 1)]).await;
        judge_all(&db.store).await;
        let all = verdicts(&db.store).await;
        assert_eq!(all.iter().filter(|(_, rule)| rule == "flood").count(), 1_200);
        assert_eq!(actions(&db.store).await.len(), 1);
    }

    async fn a_hit_finds_its_way_through_the_running_services(db) {
        let (spool, anna) = (spool(&db).await, person(&db.store, true).await);
        let metrics = Metrics::new();
        let shutdown = CancellationToken::new();
        let (intake, _) = Intake::spawn(spool.clone(), metrics.clone());
        let forwarding = tokio::spawn(forwarder(&spool, &db.store).run(intake.arrived(), shutdown.clone()));
        let options = JudgeOptions { poll: Duration::from_millis(20), ..JudgeOptions::default() };
        let judging = Judge::new(db.store.clone(), Clock::system(), metrics.clone(), options);
        let judging = tokio::spawn(judging.run(shutdown.clone()));
        intake.take(click(anna, DAY, 1)).await.unwrap();
        while actions(&db.store).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        shutdown.cancel();
        forwarding.await.unwrap();
        judging.await.unwrap();
        assert!(metrics.encode().contains(r#"colloquy_verdicts_total{kind="click",verdict="human"} 1"#));
    }
}
