//! Showing a person.

use colloquy::args;
use colloquy::clock::Clock;
use colloquy::domain::time::Micros;
use colloquy::people::import::Options;
use colloquy::store::person::{Person, known as show};

use super::support::{address, file, find, import_with, options, project};
use crate::support::{Database, on_both_engines};

const FOREVER: Micros = Micros(i64::MAX);

async fn at(db: &Database, at: Micros, until: Micros) -> Person {
    let rules = project();
    show(&db.store, (&rules.score, &rules.cluster), &address("anna@example.org"), at, until).await.unwrap().unwrap()
}

async fn mailed(db: &Database) -> Micros {
    let csv = file(db, "people.csv", "address,first_name\nanna@example.org,Anna\n");
    import_with(db, &Options { tracking: true, ..options(csv) }).await;
    let anna = find(db, "anna@example.org").await.unwrap();
    let (id, came) = (anna.id, anna.created_at.0);
    let mut session = db.store.write().await.unwrap();
    let sql = "INSERT INTO versions (id, at, hash) VALUES (1, 1, 'h')";
    session.execute(sql, vec![]).await.unwrap();
    let sql = "INSERT INTO runs (id, campaign, topic, occasion, version_id, state, at)
               VALUES (1, 'spring', 'offers', '1', 1, 'done', 1)";
    session.execute(sql, vec![]).await.unwrap();
    let sql = "INSERT INTO messages (run_id, recipient_id, state, first_at, at, reply) VALUES (1, $1, 'accepted', $2, $3, '250 ok')";
    session.execute(sql, args![id, came + 10, came + 30]).await.unwrap();
    let sql = "INSERT INTO hits (id, at, kind, method, run_id, recipient_id, url, verdict)
               VALUES ($1, $2, 'click', 'GET', 1, $3, 'https://x.example/', 'human')";
    session.execute(sql, args![vec![7_u8; 16], came + 40, id]).await.unwrap();
    let sql =
        "INSERT INTO actions (key, recipient_id, kind, category, at, run_id) VALUES ('c', $1, 'click', 'trail', $2, 1)";
    session.execute(sql, args![id, came + 40]).await.unwrap();
    session.commit().await.unwrap();
    Micros(came)
}

fn kinds(person: &Person) -> Vec<&'static str> {
    person.timeline.iter().map(|event| event.kind).collect()
}

on_both_engines! {
    async fn the_timeline_tells_the_whole_dialog_in_order(db) {
        let came = mailed(&db).await;
        let person = at(&db, Clock::system().now(), FOREVER).await;
        assert_eq!(kinds(&person), ["consent", "consent", "message", "hit", "action"]);
        let json = serde_json::to_value(&person).unwrap();
        for key in ["address", "attributes", "consents", "score", "momentum", "affinities", "cluster", "cluster_until",
            "cools_at", "timeline"] {
            assert!(json.get(key).is_some(), "{key}");
        }
        assert_eq!(json["attributes"]["first_name"], "Anna");
        assert_eq!(json["consents"][0]["topic"], "offers");
        assert_eq!(json["timeline"][2]["campaign"], "spring");
        assert_eq!(json["timeline"][2]["state"], "accepted");
        assert!(json["timeline"][0]["at"].as_str().unwrap() <= came.to_string().as_str(), "agreed to, and then taken in");
        let text = person.to_string();
        assert!(text.contains("topic offers: subscribed since"), "{text}");
        assert!(text.contains("action   click  trail  spring"), "{text}");
    }

    async fn mail_that_came_back_is_among_it_with_its_words_in_what_is_handed_out(db) {
        let came = mailed(&db).await;
        let anna = find(&db, "anna@example.org").await.unwrap();
        let mut session = db.store.write().await.unwrap();
        let sql = "INSERT INTO inbound (digest, way, arrived_at, size, raw, state, kind, effect, told, recipient_id)
            VALUES ($1, 'smtp', $2, 3, $3, 'handled', 'reply', 'replied', 'a rule', $4)";
        session.execute(sql, args![vec![1_u8; 32], came.0 + 50, b"Hi!".to_vec(), anna.id]).await.unwrap();
        session.commit().await.unwrap();
        let person = at(&db, Clock::system().now(), FOREVER).await;
        let mail = person.timeline.iter().find(|event| event.kind == "mail").unwrap();
        assert_eq!((&mail.details["mail"], &mail.details["content"]["raw"]), (&"reply".into(), &"Hi!".into()));
        let text = person.to_string();
        assert!(text.contains("mail     reply  smtp  replied") && !text.contains("Hi!"), "{text}");
    }

    async fn a_past_instant_shows_what_was_known_then(db) {
        let came = mailed(&db).await;
        let later = |by: i64| Micros(came.0 + by);
        let then = at(&db, later(20), later(20)).await;
        assert_eq!(kinds(&then), ["consent", "consent", "message"]);
        assert_eq!(then.timeline[2].details["state"], "sending");
        assert!(!then.timeline[2].details.contains_key("reply"));
        assert_eq!(at(&db, later(30), later(30)).await.timeline[2].details["state"], "accepted");
        let before = later(-3_600_000_000);
        assert!(kinds(&at(&db, before, before).await).is_empty());
    }

    async fn a_stranger_is_not_shown(db) {
        let rules = project();
        let nobody = show(&db.store, (&rules.score, &rules.cluster), &address("who@example.org"), FOREVER, FOREVER).await.unwrap();
        assert!(nobody.is_none());
    }
}
