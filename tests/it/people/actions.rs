//! Importing actions.

use colloquy::clock::Clock;
use colloquy::people::actions::{Summary, import as import_actions};
use colloquy::people::import::Options;

use super::support::{file, import_with, options, project};
use crate::support::{Database, on_both_engines};

async fn import(db: &Database, content: &str) -> Summary {
    let path = file(db, "actions.csv", content);
    import_actions(&db.store, &project(), &Clock::system(), &path, |_| ()).await.unwrap()
}

async fn with_people(db: &Database) {
    let tracked = file(db, "tracked.csv", "address\nanna@example.org\nbert@example.org\n");
    import_with(db, &Options { tracking: true, ..options(tracked) }).await;
    import_with(db, &options(file(db, "other.csv", "address\nprivate@example.org\n"))).await;
}

async fn stored(db: &Database) -> Vec<(String, String, Option<String>, i64)> {
    let sql = "SELECT key, kind, category, at FROM actions WHERE NOT scored ORDER BY at";
    db.store.read().await.unwrap().all(sql, vec![]).await.unwrap()
}

on_both_engines! {
    async fn actions_keep_their_own_times_in_any_order(db) {
        with_people(&db).await;
        let summary = import(&db, "at;id;address;kind;category;till\n\
            2026-03-01T10:00:00.123456+02:00;o-2;anna@EXAMPLE.org;conversion;trail;7\n\
            2024-02-29T00:00:00Z;o-1;bert@example.org;call;;\n").await;
        assert_eq!((summary.new, summary.known, summary.rejects.rows), (2, 0, 0));
        let expected = [
            ("i:o-1".to_owned(), "call".to_owned(), None, 1_709_164_800_000_000),
            ("i:o-2".to_owned(), "conversion".to_owned(), Some("trail".to_owned()), 1_772_352_000_123_456),
        ];
        assert_eq!(stored(&db).await, expected);
    }

    async fn an_action_is_known_by_its_id(db) {
        with_people(&db).await;
        let header = "id,address,kind,category,at\n";
        let first = "1,anna@example.org,conversion,trail,2026-01-01T00:00:00Z\n";
        let again = "1,bert@example.org,call,running,2025-01-01T00:00:00Z\n";
        let second = "2,bert@example.org,call,running,2025-01-01T00:00:00Z\n";
        assert_eq!(import(&db, &format!("{header}{first}{again}")).await.known, 1);
        let summary = import(&db, &format!("{header}{again}{second}{first}")).await;
        assert_eq!((summary.new, summary.known), (1, 2));
        assert_eq!(stored(&db).await.len(), 2);
        assert_eq!(stored(&db).await[1].1, "conversion");
    }

    async fn rows_that_mean_nothing_are_kept_aside_with_their_reason(db) {
        with_people(&db).await;
        let summary = import(&db, "id,address,kind,category,at\n\
            1,nobody@example.org,call,,2026-01-01T00:00:00Z\n\
            2,private@example.org,call,,2026-01-01T00:00:00Z\n\
            3,anna@example.org,call,trial,2026-01-01T00:00:00Z\n\
            4,anna@example.org,call,,2026-01-01\n\
            5,anna@example.org,call,,9999-01-01T00:00:00Z\n\
            ,anna@example.org,call,,2026-01-01T00:00:00Z\n\
            7,anna@example.org,,,2026-01-01T00:00:00Z\n\
            8,anna,call,,2026-01-01T00:00:00Z\n\
            9,anna@example.org,call,,2026-01-01T00:00:00Z\n\
            10,anna@example.org,void,,2026-01-01T00:00:00Z\n").await;
        assert_eq!((summary.new, summary.rejects.rows), (1, 9));
        let rejected = std::fs::read_to_string(summary.rejects.file.unwrap()).unwrap();
        for (id, reason) in [
            ("1", "no recipient has this address"),
            ("2", "has not agreed to tracking"),
            ("3", "there is no category 'trial'; colloquy.toml has running, trail"),
            ("4", "is not an RFC 3339 time"),
            ("5", "lies in the future"),
            ("", "the id is empty"),
            ("7", "the kind is empty"),
            ("8", "has no @"),
            ("10", "the kind `void` is ours"),
        ] {
            let row = rejected.lines().find(|l| l.contains(&format!("\",{id},anna")) || l.contains(&format!("\",{id},no")) || l.contains(&format!("\",{id},pr")));
            assert!(row.is_some_and(|row| row.contains(reason)), "{id}: {rejected}");
        }
    }

    async fn more_rows_than_a_batch_all_arrive(db) {
        with_people(&db).await;
        let mut csv = String::from("id,address,kind,at\n");
        for n in 0..2_345 {
            csv += &format!("{n},anna@example.org,call,2026-01-01T00:00:00.{n:06}Z\n");
        }
        assert_eq!(import(&db, &csv).await.new, 2_345);
        assert_eq!(import(&db, &csv).await.known, 2_345);
    }
}

#[tokio::test]
async fn a_file_with_a_needed_column_missing_or_twice_is_refused() {
    let db = crate::support::database(colloquy::store::EngineKind::Sqlite).await;
    for (header, complaint) in [
        ("id,address,kind,category\n", "actions.csv:1: there is no column `at`"),
        ("id,kind,at\n", "actions.csv:1: there is no column `address`"),
        ("id,EMail,kind,at,Address\n", "actions.csv:1: columns 2 and 5 both are the address"),
    ] {
        let path = file(&db, "actions.csv", header);
        let error = import_actions(&db.store, &project(), &Clock::system(), &path, |_| ()).await.unwrap_err();
        assert!(error.is_refusal() && error.to_string().contains(complaint), "{error}");
    }
}
