//! The ledger of permissions: checked as a whole, and printed for one person.

use std::process::Command;

use colloquy::args;
use colloquy::domain::address::Address;
use colloquy::domain::consent::{Purpose, Salts};
use colloquy::domain::id::RecipientId;
use colloquy::people::proof::proof;
use colloquy::people::verify::{Broken, Checked, verify};
use colloquy::store::Store;
use colloquy::store::consents::{self, NewConsent};
use colloquy::store::erasure::forget_address;
use colloquy::store::recipients;
use serde_json::json;

use crate::project::{Project, Settings};
use crate::support::on_both_engines;

async fn change(store: &Store, sql: &'static str) {
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.execute(sql, vec![]).await.unwrap(), 1, "{sql}");
    tx.commit().await.unwrap();
}

async fn check(store: &Store, only: Option<i64>) -> (Checked, Vec<(i64, Option<i64>, String)>) {
    let mut found = Vec::new();
    let broken = |b: Broken| found.push((b.recipient.0, b.entry, b.fault));
    let checked = verify(store, only.map(RecipientId), broken, |_| {}).await.unwrap();
    (checked, found)
}

/// Runs the program on a project; its exit code and its standard output.
fn colloquy(project: &Project, arguments: &[&str]) -> (Option<i32>, String) {
    let directory = project.db.dir.path().to_str().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_colloquy"));
    let output = command.args(["-C", directory]).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

on_both_engines! {
    async fn every_chain_is_checked_and_the_first_fault_of_each_person_is_told(db) {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import(3_000).await;
        let store = &project.db.store;
        let (clean, found) = check(store, None).await;
        assert_eq!((clean, found.len()), (Checked { people: 3_000, entries: 6_000, broken: 0 }, 0));
        let key = project.app().secrets().unwrap().suppression_key();
        let erased = Address::parse("a7@example.org").unwrap();
        assert!(forget_address(store, &key, &erased, project.app().clock.now()).await.unwrap());
        assert_eq!(check(store, None).await.0.broken, 0, "an erased person's chain still holds");

        change(store, "UPDATE consents SET granted = FALSE WHERE recipient_id = 10 AND purpose = 'tracking'").await;
        change(store, "UPDATE consents SET payload = '{}' WHERE recipient_id = 20 AND seq = 1").await;
        change(store, "DELETE FROM consents WHERE recipient_id = 30 AND seq = 1").await;
        change(store, "UPDATE consents SET topic = 'offers' WHERE recipient_id = 2500 AND topic = 'news'").await;
        change(store, "DELETE FROM consents WHERE recipient_id = 2600 AND topic = 'news'").await;
        change(store, "UPDATE subscriptions SET topic = 'events' WHERE recipient_id = 2700").await;
        change(store, "UPDATE consents SET payload = NULL, salt = NULL WHERE recipient_id = 40 AND seq = 1").await;
        change(store, "UPDATE consents SET salt = NULL WHERE recipient_id = 50 AND seq = 1").await;
        change(store, "DELETE FROM consents WHERE recipient_id = 60 AND purpose = 'tracking'").await;
        let (checked, found) = check(store, None).await;
        let told: Vec<_> = found.iter().filter_map(|(id, entry, _)| entry.map(|entry| (*id, entry))).collect();
        assert!([20, 30, 40, 50].iter().all(|id| told.contains(&(*id, 1))), "{found:?}");
        let whose = |with: bool| {
            let all = found.iter().filter(|(_, entry, _)| entry.is_some() == with).map(|(id, ..)| *id);
            all.collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(whose(true), [10, 20, 30, 40, 50, 2500, 2600].into());
        assert!(whose(false).is_superset(&[60, 2500, 2600, 2700].into()), "{found:?}");
        assert_eq!(checked.broken as usize, found.len());
        assert_eq!(check(store, Some(11)).await.0, Checked { people: 1, entries: 2, broken: 0 });
        assert_eq!(check(store, Some(20)).await.0.broken, 1);
    }

    async fn the_command_ends_with_1_when_a_chain_is_broken_and_names_no_address(db) {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import(5).await;
        assert_eq!(colloquy(&project, &["consent", "verify"]), (Some(0), "5 people, 10 entries: all hold\n".into()));
        change(&project.db.store, "UPDATE consents SET at = at + 1 WHERE recipient_id = 3 AND seq = 2").await;
        let (code, words) = colloquy(&project, &["consent", "verify"]);
        assert_eq!((code, words.as_str()), (Some(1), "recipient 3: entry 2: the chain is broken\n5 people, 10 entries: 1 are broken\n"));
        let (code, json) = colloquy(&project, &["consent", "verify", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((code, &json["broken"], &json["faults"][0]["recipient"]), (Some(1), &1.into(), &3.into()));
        assert_eq!(colloquy(&project, &["consent", "verify", "a0@example.org"]).0, Some(0));
        assert_eq!(colloquy(&project, &["consent", "verify", "nobody@example.org"]).0, Some(1));
        assert_eq!(colloquy(&project, &["consent", "verify", "nobody"]).0, Some(2));
    }

    async fn the_printed_lines_run_in_a_shell_whatever_strangers_have_typed(db) {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import_addresses(["o'brien@example.org".to_owned()].into_iter()).await;
        let address = Address::parse("o'brien@example.org").unwrap();
        let mut tx = project.db.store.write().await.unwrap();
        let recipient = recipients::find(&mut tx, &address).await.unwrap().unwrap().id;
        let payload = json!({"address": address.as_str(), "user_agent": "x';touch pwned;'\u{9b}2J\u{7f}", "topics": ["\u{9b}2J"]});
        let (at, purpose, granted) = (project.app().clock.now(), Purpose::Contact, true);
        let new = NewConsent { recipient, at, purpose, topic: "news", granted, payload: &payload };
        consents::append(&mut tx, &Salts::new(&[9; 32]), &new).await.unwrap();
        tx.commit().await.unwrap();

        let (code, text) = colloquy(&project, &["consent", "proof", address.as_str()]);
        assert!(code == Some(0) && !text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        let shown = |name: &str| -> Vec<&str> {
            let of = |line| str::strip_prefix(line, "  ")?.strip_prefix(name)?.strip_prefix(' ').map(str::trim);
            text.lines().filter_map(of).collect()
        };
        let recipes: Vec<&str> = text.lines().filter_map(|line| Some(&line[line.find("printf")?..])).collect();
        assert_eq!((recipes.len(), shown("payload").len()), (2, 3), "{text}");
        let mut sums = Vec::new();
        for recipe in &recipes {
            for ((opened, sealed), payload) in shown("opened").iter().zip(shown("sealed")).zip(shown("payload")) {
                let line = recipe.replace("OPENED", opened).replace("SEALED", sealed).replace("PAYLOAD", payload);
                let output = Command::new("sh").current_dir(project.db.dir.path()).args(["-c", &line]).output().unwrap();
                assert!(output.status.success() && output.stderr.is_empty(), "{line}: {output:?}");
                sums.push(String::from_utf8(output.stdout).unwrap()[..64].to_uppercase());
            }
        }
        assert_eq!(sums, [shown("commitment"), shown("link")].concat());
        assert!(!project.db.dir.path().join("pwned").exists());
        let (_, printed) = colloquy(&project, &["consent", "proof", address.as_str(), "--json"]);
        assert!(!printed.contains(|c: char| c.is_control() && c != '\n'), "{printed:?}");
        let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!((&printed["entries"][2]["proof"], &printed["holds"]), (&payload, &true.into()));
    }

    async fn a_printed_proof_can_be_verified_with_nothing_but_sha256sum(db) {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import(1).await;
        let address = Address::parse("a0@example.org").unwrap();
        let now = project.app().clock.now();
        let proof = proof(&project.db.store, &address, now).await.unwrap().unwrap();
        assert_eq!((proof.holds, proof.entries.len(), proof.subscribed.as_slice()), (true, 2, &["news".to_owned()][..]));
        let sum = |hex: &str| {
            let script = format!("printf %s {hex} | basenc --base16 --decode | sha256sum");
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            String::from_utf8(output.stdout).unwrap()[..64].to_uppercase()
        };
        let hex = |text: &str| text.bytes().map(|b| format!("{b:02X}")).collect::<String>();
        let mut previous = "00".repeat(32);
        for entry in &proof.entries {
            assert_eq!(sum(&format!("{}{}", entry.salt, hex(&entry.payload))), entry.commitment);
            let terms = format!(
                "{previous}{}{:016X}{:016X}01{}00{}",
                entry.commitment, entry.seq, entry.at_micros, hex(&entry.purpose), hex(&entry.topic)
            );
            assert_eq!(entry.chained, terms, "as the explanation says");
            assert_eq!(sum(&entry.chained), entry.link);
            previous.clone_from(&entry.link);
        }
        let text = proof.to_string();
        for part in ["Chain        2 entries, holds", "Entry 1: agrees to be mailed about 'news'", "Entry 2: agrees to tracking",
            "source       test", "basenc --base16 --decode | sha256sum"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        let (code, printed) = colloquy(&project, &["consent", "proof", "a0@example.org", "--json"]);
        let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!((code, &printed["entries"]), (Some(0), &serde_json::to_value(&proof.entries).unwrap()));
        assert_eq!(colloquy(&project, &["consent", "proof", "b0@example.org"]).0, Some(1));

        let mut tx = project.db.store.write().await.unwrap();
        tx.execute("UPDATE consents SET granted = $1 WHERE seq = 2", args![false]).await.unwrap();
        tx.commit().await.unwrap();
        let (code, text) = colloquy(&project, &["consent", "proof", "a0@example.org"]);
        assert!(code == Some(1) && text.contains("IS BROKEN: entry 2: the chain is broken"), "{text}");
    }
}
