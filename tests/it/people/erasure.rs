//! Erasing.

use colloquy::args;
use colloquy::domain::id::{NodeId, RecipientId, RunId};
use colloquy::domain::message::MessageState;
use colloquy::domain::time::Micros;
use colloquy::people::import::Options;
use colloquy::store::erasure::forget_address as erase;
use colloquy::store::marks::{self, Finish, Marks, MessageKey};
use colloquy::store::{EngineKind, Store};

use super::support::{address, file, find, import_with, key, ledger, options};
use crate::support::{Database, on_both_engines};

/// Every row of every table as text.
async fn dump(store: &Store) -> String {
    let tables = crate::support::dump::dump(store).await;
    tables.into_iter().flat_map(|(table, rows)| rows.into_iter().map(move |row| format!("{table}: {row}\n"))).collect()
}

/// Anna with something in every table that knows people, and her words everywhere.
async fn history(db: &Database) -> i64 {
    let csv = file(db, "people.csv", "address,first_name\nanna@anna-smith.example,Annabel\nbert@example.org,Bert\n");
    import_with(db, &Options { tracking: true, ..options(csv) }).await;
    let id = find(db, "anna@anna-smith.example").await.unwrap().id.0;
    let mut session = db.store.write().await.unwrap();
    for sql in [
        "INSERT INTO versions (id, at, hash) VALUES (1, 1, 'h')",
        "INSERT INTO runs (id, campaign, topic, occasion, version_id, state, at) VALUES (1, 'c', 'offers', '1', 1, 'done', 1)",
    ] {
        session.execute(sql, vec![]).await.unwrap();
    }
    for sql in [
        "INSERT INTO messages (run_id, recipient_id, state, at, reply)
         VALUES (1, $1, 'rejected', 5, '550 anna@anna-smith.example unknown')",
        "INSERT INTO attempts (run_id, recipient_id, attempt, at, relay, outcome, reply)
         VALUES (1, $1, 1, 5, 'main', 'deferred', '451 <anna@anna-smith.example>')",
        "INSERT INTO actions (key, recipient_id, kind, at, url) VALUES ('k', $1, 'click', 6, 'https://x.example/?u=Annabel')",
        "INSERT INTO score_entries (recipient_id, at, action_id, kind, points, f, f7, fa) VALUES ($1, 6, 1, 'click', 1, 1, 1, 1)",
        "INSERT INTO past_attributes (recipient_id, revision, until_at, attributes)
         SELECT id, 0, 6, attributes FROM recipients WHERE id = $1",
        "INSERT INTO affinities (recipient_id, category, fa) VALUES ($1, 'trail', 1)",
        "INSERT INTO cluster_spans (recipient_id, ordinal, cluster, from_at, until_at) VALUES ($1, 1, 'trail', 1, 2)",
        "INSERT INTO moments (recipient_id, kind, ordinal, at, subject) VALUES ($1, 'rose', 1, 6, '20')",
    ] {
        session.execute(sql, args![id]).await.unwrap();
    }
    let hit = "INSERT INTO hits (id, at, kind, method, run_id, recipient_id, url) VALUES ($1, 6, 'click', 'GET', 1, $2, 'Annabel')";
    session.execute(hit, args![vec![1_u8; 16], id]).await.unwrap();
    session.commit().await.unwrap();
    id
}

on_both_engines! {
    async fn nothing_tells_who_an_erased_person_was(db) {
        let id = history(&db).await;
        let before = dump(&db.store).await;
        assert!(before.contains("anna-smith") && before.contains("Annabel"));
        let anna = address("anna@anna-smith.example");
        assert!(erase(&db.store, &key(), &anna, Micros(9)).await.unwrap());
        assert!(!erase(&db.store, &key(), &anna, Micros(10)).await.unwrap());

        let after = dump(&db.store).await;
        assert!(!after.contains("anna"), "{after}");
        assert!(!after.contains("Annabel"), "{after}");
        let mut session = db.store.read().await.unwrap();
        let tables = ["subscriptions", "hits", "actions", "score_entries", "affinities", "cluster_spans", "moments"];
        for table in tables.into_iter().chain(["past_attributes"]) {
            let sql = format!("SELECT COUNT(*) FROM {table} WHERE recipient_id = $1");
            assert_eq!(session.one::<(i64,)>(sql, args![id]).await.unwrap().0, 0, "{table}");
        }
        let kept: (String,) = session.one("SELECT state FROM messages WHERE recipient_id = $1", args![id]).await.unwrap();
        assert_eq!(kept.0, "rejected");
        assert!(after.contains("bert@example.org") && after.contains("Bert"));
    }

    async fn the_chain_of_an_erased_person_still_verifies(db) {
        let id = history(&db).await;
        let before = ledger(&db, RecipientId(id)).await;
        erase(&db.store, &key(), &address("anna@anna-smith.example"), Micros(9)).await.unwrap();
        assert_eq!(ledger(&db, RecipientId(id)).await, before);
    }

    async fn an_erased_person_is_not_imported_again(db) {
        history(&db).await;
        erase(&db.store, &key(), &address("anna@anna-smith.example"), Micros(9)).await.unwrap();
        let csv = file(&db, "people.csv", "address\nanna@anna-smith.example\n");
        assert_eq!(import_with(&db, &options(csv)).await.tally.suppressed, 1);
        assert!(find(&db, "anna@anna-smith.example").await.is_none());
    }

    async fn an_answer_that_comes_after_the_erasure_brings_no_words_back(db) {
        let id = history(&db).await;
        let node = NodeId(7);
        let mut session = db.store.write().await.unwrap();
        for sql in [
            "INSERT INTO runs (id, campaign, topic, occasion, version_id, state, at) VALUES (2, 'c', 'offers', '2', 1, 'running', 1)",
            "INSERT INTO runs (id, campaign, topic, occasion, version_id, state, at) VALUES (3, 'c', 'offers', '3', 1, 'running', 1)",
        ] {
            session.execute(sql, vec![]).await.unwrap();
        }
        for run in [2_i64, 3] {
            let sql = "INSERT INTO messages (run_id, recipient_id, state, node_id, attempt, at) VALUES ($1, $2, 'sending', 7, 1, 8)";
            session.execute(sql, args![run, id]).await.unwrap();
        }
        session.commit().await.unwrap();
        erase(&db.store, &key(), &address("anna@anna-smith.example"), Micros(9)).await.unwrap();
        let late = |run, state| Finish {
            message: MessageKey { run: RunId(run), recipient: RecipientId(id) },
            attempt: 1,
            at: Micros(10),
            relay: "main".into(),
            state,
            code: Some(550),
            reply: "<anna@anna-smith.example> answered".to_owned(),
            due_at: None,
        };
        let finish = &[late(2, MessageState::Accepted), late(3, MessageState::Rejected)];
        marks::write(&db.store, node, Micros(10), Marks { finish, ..Marks::default() }).await.unwrap();
        let after = dump(&db.store).await;
        assert!(!after.contains("anna"), "{after}");
        let states = "SELECT state FROM messages WHERE run_id > 1 ORDER BY run_id";
        let states: Vec<(String,)> = db.store.read().await.unwrap().all(states, vec![]).await.unwrap();
        assert_eq!(states, [("accepted".to_owned(),), ("rejected".to_owned(),)]);
    }

    async fn why_messages_were_skipped_stays_without_values(db) {
        let id = history(&db).await;
        let mut session = db.store.write().await.unwrap();
        for (run, reason) in [(2_i64, "frequency_cap"), (3, "render: Annabel is not a number")] {
            let sql = "INSERT INTO messages (run_id, recipient_id, state, at, reply) VALUES ($1, $2, 'skipped', 8, $3)";
            session.execute(sql, args![run, id, reason]).await.unwrap();
        }
        session.commit().await.unwrap();
        erase(&db.store, &key(), &address("anna@anna-smith.example"), Micros(9)).await.unwrap();
        let reasons = "SELECT reply FROM messages WHERE state = 'skipped' ORDER BY run_id";
        let reasons: Vec<(String,)> = db.store.read().await.unwrap().all(reasons, vec![]).await.unwrap();
        assert_eq!(reasons, [("frequency_cap".to_owned(),), ("render".to_owned(),)]);
    }

    async fn a_stranger_can_be_erased_and_is_then_suppressed(db) {
        assert!(!erase(&db.store, &key(), &address("who@example.org"), Micros(9)).await.unwrap());
        let csv = file(&db, "people.csv", "address\nwho@example.org\n");
        assert_eq!(import_with(&db, &options(csv)).await.tally.suppressed, 1);
    }
}

/// SQLite keeps what was deleted in its files until something else is written there.
#[tokio::test]
async fn no_file_of_the_database_holds_an_erased_address() {
    let db = crate::support::database(EngineKind::Sqlite).await;
    history(&db).await;
    erase(&db.store, &key(), &address("anna@anna-smith.example"), Micros(9)).await.unwrap();
    for entry in std::fs::read_dir(db.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "csv") {
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains("anna-smith"), "{}", path.display());
    }
}
