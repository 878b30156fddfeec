//! Suppressing.

use std::path::Path;

use colloquy::domain::time::Micros;
use colloquy::people::suppress::{self, Order};
use colloquy::store::suppressions;

use super::support::{address, file, key};
use crate::support::program::{command, said};
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

    async fn comments_are_passed_over_and_addresses_that_begin_as_they_do_are_not(db) {
        let list = "# Robinson list, 2026; \"final\n\n #,\"x\nanna@example.org\n# bert@example.org\n#carl@example.org\n#";
        assert_eq!(suppress(&db, list).await, (2, 2, vec![]));
        let table = "# of 1 May, by Anna\nid;email\n#1;dora@example.org\n";
        assert_eq!(suppress(&db, table).await, (1, 1, vec![]));
        let mut session = db.store.read().await.unwrap();
        for (who, is) in [("anna", true), ("bert", false), ("#carl", true), ("carl", false), ("dora", true)] {
            let hash = address(&format!("{who}@example.org")).hash(&key());
            assert_eq!(suppressions::contains(&mut session, &hash).await.unwrap(), is, "{who}");
        }
        assert_eq!(suppress(&db, "# nothing yet\n").await, (0, 0, vec![]));
    }

    async fn no_row_hides_an_address_of_another_cell_or_line(db) {
        let list = "a@example.org;b@example.org\nc@example.org;Carl\n\"d@example.org\ne@example.org\"\nf@example.org\n";
        assert_eq!(suppress(&db, list).await, (2, 2, vec![1, 3, 4]));
        assert_eq!(suppress(&db, "g@example.org\nh@example.org;i@example.org\n").await, (1, 1, vec![2]));
        let table = "email;note\nj@example.org;met @ work\n\"k@example.org\nl@example.org;\"\"\nm@example.org;\"two\nlines\"\n";
        assert_eq!(suppress(&db, table).await, (3, 3, vec![3]));
    }

    async fn a_suppression_can_be_taken_back(db) {
        suppress(&db, "anna@example.org").await;
        assert!(suppress::remove(&db.store, &key(), &address("anna@example.org")).await.unwrap());
        assert!(!suppress::remove(&db.store, &key(), &address("anna@example.org")).await.unwrap());
        assert_eq!(suppressions::count(&mut db.store.read().await.unwrap()).await.unwrap(), 0);
    }

    async fn a_file_without_one_address_column_is_refused(db) {
        let key = key();
        let order = Order { reason: "asked", at: Micros(7), key: &key };
        for (content, complaint) in [
            (&b"name,phone\nAnna,1\n"[..], "list.txt:1: this is neither an address nor a header"),
            (b"# both\naddress,name,EMAIL\n", "list.txt:2: columns 1 and 3 both are the address"),
            (b"\xFF\xFEa\0@\0b\0.\0c\0h\0", "list.txt:1: the file is UTF-16"),
        ] {
            let path = file(&db, "list.txt", content);
            let error = suppress::file(&db.store, &order, &path, |_, _| ()).await.unwrap_err();
            assert!(error.is_refusal() && error.to_string().contains(complaint), "{error}");
        }
    }
}

/// `colloquy suppress WORDS` in a project.
fn told(project: &Path, words: &[&str]) -> (i32, String) {
    said(&command(&["-C", project.to_str().unwrap(), "suppress"]).args(words).output().unwrap())
}

#[test]
fn how_many_rows_were_taken_and_passed_over_is_always_said() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(said(&command(&["init", dir.path().to_str().unwrap()]).output().unwrap()).0, 0);
    let list = dir.path().join("list.txt");
    for (content, code, words) in [
        ("", 0, "0 suppressed, 0 were already, 0 passed over\n"),
        ("@\nanna\n", 1, "0 suppressed, 0 were already, 2 passed over\n"),
        ("anna@example.org\n@\n", 1, "1 suppressed, 0 were already, 1 passed over\n"),
        ("anna@example.org\n", 0, "0 suppressed, 1 was already, 0 passed over\n"),
    ] {
        std::fs::write(&list, content).unwrap();
        let (ended, said) = told(dir.path(), &["--file", list.to_str().unwrap(), "--reason", "asked"]);
        assert!(ended == code && said.contains(words), "{content:?}: {ended} {said}");
    }
    let (code, words) = told(dir.path(), &["--count"]);
    assert!(code == 0 && words.contains("1 address is suppressed\n"), "{words}");
    let (code, words) = told(dir.path(), &["bert@example.org", "--reason", "asked", "--count"]);
    assert!(code == 0 && words.contains("1 suppressed, 0 were already\n2 addresses are suppressed\n"), "{words}");
}

#[test]
fn usage_says_where_a_reason_is_needed() {
    let (_, help) = said(&command(&["suppress", "--help"]).output().unwrap());
    for usage in ["suppress <ADDRESS>... --reason <REASON>", "suppress --file <FILE> --reason <REASON>"] {
        assert!(help.contains(usage), "{help}");
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
