//! What a person decides: topics, tracking, a pause; and the ledger that proves it.

use colloquy::args;
use colloquy::domain::address::Address;
use colloquy::domain::consent::{self, Salts};
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::notice::NoticeKind;
use colloquy::domain::pace::{OwnLimit, Pace};
use colloquy::domain::time::Micros;
use colloquy::store::notices::{self, Data, NewNotice, Stamp};
use colloquy::store::subscriptions::{self, Origin};
use colloquy::store::{Session, Store, consents, erasure, nodes, recipients, suppressions};

use crate::support::{Database, on_both_engines, until_somebody_waits};

const FOREVER: Micros = Micros(i64::MAX);

async fn person(store: &Store, address: &str) -> RecipientId {
    let mut session = store.write().await.unwrap();
    let sql = "INSERT INTO recipients (address, domain, created_at) VALUES ($1, 'example.org', 1) RETURNING id";
    let (id,): (i64,) = session.one(sql, args![address]).await.unwrap();
    session.commit().await.unwrap();
    RecipientId(id)
}

fn origin(at: i64) -> Origin<'static> {
    Origin { channel: "preferences", run: Some(RunId(3)), at: Micros(at), salts: Salts::new(&[9; 32]), shown: None }
}

async fn verify(session: &mut Session, who: RecipientId) -> usize {
    let entries = consents::history(session, who, FOREVER).await.unwrap();
    consent::verify(entries.iter().map(|e| e.entry().unwrap())).unwrap();
    entries.len()
}

on_both_engines! {
    async fn joining_and_leaving_is_in_the_ledger_once_per_change(db) {
        let anna = person(&db.store, "anna@example.org").await;
        let mut session = db.store.write().await.unwrap();
        assert!(subscriptions::join(&mut session, anna, "offers", &origin(10)).await.unwrap());
        assert!(!subscriptions::join(&mut session, anna, "offers", &origin(11)).await.unwrap());
        assert!(subscriptions::leave(&mut session, anna, "offers", &origin(12)).await.unwrap());
        assert!(!subscriptions::leave(&mut session, anna, "offers", &origin(13)).await.unwrap());
        assert!(subscriptions::join(&mut session, anna, "news", &origin(14)).await.unwrap());
        assert!(subscriptions::set_tracking(&mut session, anna, true, &origin(15)).await.unwrap());
        assert!(!subscriptions::set_tracking(&mut session, anna, true, &origin(16)).await.unwrap());
        assert_eq!(subscriptions::leave_all(&mut session, anna, &origin(17)).await.unwrap(), 1);
        session.commit().await.unwrap();

        let mut session = db.store.read().await.unwrap();
        assert_eq!(verify(&mut session, anna).await, 5);
        let topics = subscriptions::of(&mut session, anna).await.unwrap();
        let topics: Vec<_> = topics.iter().map(|s| (s.topic.as_str(), s.subscribed, s.since)).collect();
        assert_eq!(topics, [("news", false, 17), ("offers", false, 12)]);
        let actions: Vec<(String, i64, Option<i64>)> =
            session.all("SELECT kind, at, run_id FROM actions ORDER BY id", vec![]).await.unwrap();
        assert_eq!(actions, [("unsubscribe".to_owned(), 12, Some(3)), ("unsubscribe".to_owned(), 17, Some(3))]);
    }

    async fn leaving_a_topic_never_joined_is_remembered(db) {
        let anna = person(&db.store, "anna@example.org").await;
        let mut session = db.store.write().await.unwrap();
        assert!(subscriptions::leave(&mut session, anna, "offers", &origin(5)).await.unwrap());
        assert_eq!(subscriptions::of(&mut session, anna).await.unwrap().len(), 1);
        assert_eq!(verify(&mut session, anna).await, 1);
    }

    async fn nobody_decides_for_a_stranger(db) {
        let mut session = db.store.write().await.unwrap();
        let nobody = RecipientId(77);
        assert!(!subscriptions::leave(&mut session, nobody, "offers", &origin(5)).await.unwrap());
        assert!(!subscriptions::join(&mut session, nobody, "offers", &origin(5)).await.unwrap());
        assert!(!subscriptions::set_tracking(&mut session, nobody, true, &origin(5)).await.unwrap());
        assert!(!subscriptions::set_pace(&mut session, nobody, Pace::PausedUntil(Micros(9)), &origin(5)).await.unwrap());
    }

    async fn a_limit_outlasts_a_pause_and_each_change_is_in_the_ledger_once(db) {
        let anna = person(&db.store, "anna@example.org").await;
        let mut session = db.store.write().await.unwrap();
        let weekly = OwnLimit { count: 1, days: 7 };
        for (at, pace, changes, limit, paused) in [
            (10, Pace::Any, false, None, None),
            (11, Pace::AtMost(weekly), true, Some(weekly), None),
            (12, Pace::AtMost(weekly), false, Some(weekly), None),
            (13, Pace::PausedUntil(Micros(99)), true, Some(weekly), Some(99)),
            (14, Pace::PausedUntil(Micros(99)), false, Some(weekly), Some(99)),
            (15, Pace::AtMost(weekly), true, Some(weekly), None),
            (16, Pace::PausedUntil(Micros(50)), true, Some(weekly), Some(50)),
            (60, Pace::AtMost(weekly), false, Some(weekly), Some(50)),
            (61, Pace::Any, true, None, None),
        ] {
            assert_eq!(subscriptions::set_pace(&mut session, anna, pace, &origin(at)).await.unwrap(), changes, "{at}");
            let found = recipients::by_id(&mut session, anna).await.unwrap().unwrap();
            assert_eq!((found.limit, found.paused_until), (limit, paused.map(Micros)), "{at}");
        }
        assert_eq!(verify(&mut session, anna).await, 5);
        let entries = consents::history(&mut session, anna, FOREVER).await.unwrap();
        let told = |payload: &str| serde_json::from_str::<serde_json::Value>(payload).unwrap();
        let told: Vec<_> = entries.iter().map(|e| (e.granted, told(e.payload.as_ref().unwrap())["pace"].clone())).collect();
        assert_eq!(told[0], (false, "at most 1 per 7d".into()));
        assert_eq!(told[1], (false, "paused until 1970-01-01T00:00:00.000099Z".into()));
        assert_eq!(told[4], (true, "as they come".into()));
        assert!(entries.iter().all(|entry| entry.purpose == "frequency"));
    }

    async fn suppressing_twice_counts_once_and_keeps_the_first_reason(db) {
        person(&db.store, "anna@example.org").await;
        let who: Vec<_> = ["anna@example.org", "bert@example.org", "carl@example.org"]
            .map(|a| (Address::parse(a).unwrap(), [a.as_bytes()[0]; 32]))
            .into();
        let mut session = db.store.write().await.unwrap();
        assert_eq!(suppressions::add(&mut session, &who[..1], Micros(1), "complaint").await.unwrap(), 1);
        assert_eq!(suppressions::add(&mut session, &who, Micros(2), "list").await.unwrap(), 2);
        assert_eq!(suppressions::count(&mut session).await.unwrap(), 3);
        assert!(suppressions::contains(&mut session, &who[1].1).await.unwrap());
        let reasons: Vec<(String,)> =
            session.all("SELECT reason FROM suppressions ORDER BY at, hash", vec![]).await.unwrap();
        assert_eq!(reasons.into_iter().map(|r| r.0).collect::<Vec<_>>(), ["complaint", "list", "list"]);
        assert!(suppressions::remove(&mut session, &who[1].1).await.unwrap());
        assert!(!suppressions::contains(&mut session, &who[1].1).await.unwrap());
    }

    async fn what_others_say_takes_the_place_of_a_persons_own_reason_and_stays(db) {
        let who: Vec<_> = ["anna@example.org", "bert@example.org", "carl@example.org", "dora@example.org"]
            .map(|a| (Address::parse(a).unwrap(), [a.as_bytes()[0]; 32]))
            .into();
        let mut session = db.store.write().await.unwrap();
        suppressions::add(&mut session, &who[..1], Micros(1), "erased").await.unwrap();
        suppressions::add(&mut session, &who[1..2], Micros(1), "unsubscribed").await.unwrap();
        suppressions::add(&mut session, &who[2..3], Micros(1), "moved").await.unwrap();
        let twice = [&who[..], &who[..]].concat();
        assert_eq!(suppressions::add(&mut session, &twice, Micros(2), "complaint").await.unwrap(), 1);
        assert_eq!(suppressions::add(&mut session, &who, Micros(3), "erased").await.unwrap(), 0);
        for (_, hash) in &who {
            suppressions::lift(&mut session, hash).await.unwrap();
        }
        let kept: Vec<(String, i64)> = session.all("SELECT reason, at FROM suppressions", vec![]).await.unwrap();
        assert_eq!(kept, vec![("complaint".to_owned(), 2); 4]);
    }
}

/// On PostgreSQL whoever claims holds the recipient's row; a decision waits for it, and never overtakes it.
#[tokio::test]
async fn a_decision_waits_for_whoever_holds_the_row() {
    let Database { store, .. } = crate::support::database(colloquy::store::EngineKind::Postgres).await;
    let anna = person(&store, "anna@example.org").await;
    let mut claim = store.write().await.unwrap();
    recipients::lock(&mut claim, anna).await.unwrap().unwrap();
    let mut impatient = store.write().await.unwrap();
    impatient.execute("SET LOCAL lock_timeout = 50", vec![]).await.unwrap();
    assert!(subscriptions::leave(&mut impatient, anna, "offers", &origin(5)).await.is_err());
    impatient.rollback().await.unwrap();
    claim.commit().await.unwrap();
    let mut session = store.write().await.unwrap();
    assert!(subscriptions::leave(&mut session, anna, "offers", &origin(5)).await.unwrap());
}

/// Both lock the recipient first and notices then.
#[tokio::test]
async fn claiming_notices_and_erasing_at_once_do_not_lock_each_other_out() {
    let Database { store, .. } = &crate::support::database(colloquy::store::EngineKind::Postgres).await;
    let anna = person(store, "anna@example.org").await;
    let address = Address::parse("anna@example.org").unwrap();
    let new = NewNotice {
        kind: NoticeKind::FreshLink,
        recipient: Some(anna),
        address: &address,
        hash: None,
        language: "en",
        data: &Data::new(),
        at: Micros(1),
        expires_at: Micros(99),
    };
    let mut session = store.write().await.unwrap();
    notices::queue(&mut session, &new).await.unwrap();
    let node = nodes::register(&mut session, "one", Micros(1)).await.unwrap();
    session.commit().await.unwrap();

    let mut erasing = store.write().await.unwrap();
    recipients::lock(&mut erasing, anna).await.unwrap().unwrap();
    let claim = async {
        let mut claiming = store.write().await.unwrap();
        let claim = notices::claim(&mut claiming, node, Micros(2), 9, |_| Some(Stamp::default())).await.unwrap();
        claiming.commit().await.unwrap();
        claim
    };
    let erase = async {
        until_somebody_waits(store).await;
        erasure::erase(&mut erasing, anna, &address.hash(&crate::support::suppression_key()), Micros(2)).await.unwrap();
        erasing.commit().await.unwrap();
    };
    let (claim, ()) = tokio::join!(claim, erase);
    assert!(claim.taken.is_empty());
    let fate: (String, Option<String>) =
        store.read().await.unwrap().one("SELECT state, reply FROM notices", vec![]).await.unwrap();
    assert_eq!(fate, ("skipped".to_owned(), Some("erased".to_owned())));
}
