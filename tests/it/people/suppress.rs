//! Suppressing.

use colloquy::domain::time::Micros;
use colloquy::people::suppress::{self, Order};
use colloquy::store::suppressions;

use super::support::{address, file, key};
use crate::support::{Database, on_both_engines};

/// Taken, new, and the lines that were not.
async fn suppress(db: &Database, content: &str) -> (u64, u64, Vec<u64>) {
    let (key, mut lines) = (key(), Vec::new());
    let order = Order { reason: "asked", at: Micros(7), key: &key };
    let path = file(db, "list.txt", content);
    let (taken, added) = suppress::file(&db.store, &order, &path, |line, _| lines.push(line)).await.unwrap();
    (taken, added, lines)
}

on_both_engines! {
    async fn a_plain_list_and_a_table_are_both_understood(db) {
        assert_eq!(suppress(&db, "Anna@Example.org\n\nnobody\n\"bert@example.org\"\n").await, (2, 2, vec![3]));
        let table = "name;E-Mail;EMAIL\nAnna;x;anna@example.org\nCarl;x;carl@example.org\nDora;x\n\"\n";
        assert_eq!(suppress(&db, table).await, (2, 1, vec![4, 5]));
        assert_eq!(suppress(&db, "").await, (0, 0, vec![]));
        assert_eq!(suppress(&db, "\"broken@example.org\ndora@example.org\n").await, (1, 1, vec![1]));
        let mut session = db.store.read().await.unwrap();
        for who in ["anna@example.org", "ANNA@example.org", "bert@example.org", "carl@example.org"] {
            assert!(suppressions::contains(&mut session, &address(who).hash(&key())).await.unwrap(), "{who}");
        }
        assert_eq!(suppressions::count(&mut session).await.unwrap(), 4);
    }

    async fn a_suppression_can_be_taken_back(db) {
        suppress(&db, "anna@example.org").await;
        assert!(suppress::remove(&db.store, &key(), &address("anna@example.org")).await.unwrap());
        assert!(!suppress::remove(&db.store, &key(), &address("anna@example.org")).await.unwrap());
        assert_eq!(suppressions::count(&mut db.store.read().await.unwrap()).await.unwrap(), 0);
    }

    async fn a_table_without_addresses_is_refused(db) {
        let (key, path) = (key(), file(&db, "list.txt", "name,phone\nAnna,1\n"));
        let order = Order { reason: "asked", at: Micros(7), key: &key };
        let error = suppress::file(&db.store, &order, &path, |_, _| ()).await.unwrap_err();
        assert!(error.is_refusal() && error.to_string().contains("list.txt:1:"), "{error}");
    }
}

#[test]
fn a_word_that_stands_for_the_persons_own_decision_is_no_reason() {
    for (reason, hint) in [("erased", "joining anew"), ("Unsubscribed", "asked by phone"), (" ", "asked by phone")] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_colloquy"))
            .args(["suppress", "anna@example.org", "--reason", reason])
            .output()
            .unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && words.contains("--reason") && words.contains(hint), "{words}");
    }
}
