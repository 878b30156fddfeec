//! `colloquy test`: real mails that count nowhere.

use std::process::Command;

use colloquy::demo::catcher::{Act, Step};
use colloquy::store::{Store, suppressions};
use mail_parser::MessageParser;

use crate::project::{Project, Settings};
use crate::support::on_both_engines;

/// Runs `colloquy test hello` with further words: its exit code, and what it says.
async fn test(project: &Project, words: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_colloquy"));
    command.arg("-C").arg(project.db.dir.path()).args(["test", "hello"]).args(words).env("RUST_LOG", "warn");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// Everything that a run, a message or a score would have left behind.
async fn traces(store: &Store) -> Vec<i64> {
    let mut session = store.read().await.unwrap();
    let mut counts = Vec::new();
    for table in ["runs", "messages", "versions", "actions", "hits", "score_entries", "recipients"] {
        counts.push(session.one::<(i64,)>(format!("SELECT COUNT(*) FROM {table}"), vec![]).await.unwrap().0);
    }
    counts
}

on_both_engines! {
    async fn a_test_mail_is_real_and_leaves_no_trace(db) {
        let mut project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import(3).await;
        let before = traces(&project.db.store).await;
        let (code, words) = test(&project, &["--to", "me@tester.example", "you@tester.example", "--as", "a2@example.org"]).await;
        assert_eq!(code, 0, "{words}");
        assert!(words.contains("me@tester.example  accepted by catcher: 250"), "{words}");
        assert!(words.contains("you@tester.example  accepted by catcher: 250"), "{words}");
        let mail = project.caught.recv().await.unwrap();
        assert_eq!(mail.recipients, ["me@tester.example"]);
        let parsed = MessageParser::new().parse(&mail.message).unwrap();
        assert_eq!(parsed.subject(), Some("[Test] Hello Anna 2"));
        assert_eq!(parsed.to().unwrap().first().unwrap().address(), Some("me@tester.example"));
        let html = parsed.body_html(0).unwrap();
        assert!(html.contains("href=\"https://shop.example/run\""), "its links are plain: {html}");
        assert!(!html.contains("/o/") && !html.contains("/c/"), "nothing in it is tracked: {html}");
        let keys = project.app().secrets().unwrap().keyring();
        let token = html.split("/u/").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(keys.verify(token), None, "it can unsubscribe nobody");
        assert_eq!(project.caught.recv().await.unwrap().recipients, ["you@tester.example"]);
        assert_eq!(traces(&project.db.store).await, before);

        let (code, words) = test(&project, &["--to", "me@tester.example", "--unmarked"]).await;
        assert_eq!(code, 0, "{words}");
        let mail = project.caught.recv().await.unwrap();
        assert_eq!(MessageParser::new().parse(&mail.message).unwrap().subject(), Some("Hello Anna 0"));
    }

    async fn each_address_has_its_own_outcome_and_one_failure_ends_with_1(db) {
        let script = |step, line: &str| match (step, line) {
            (Step::Rcpt, line) if line.contains("nobody@") => Some(Act::Say("550 5.1.1 no such user".into())),
            _ => None,
        };
        let mut project = Project::new(db, Settings::default(), script).await;
        project.import(1).await;
        let suppressed = "never@tester.example";
        let address = colloquy::domain::address::Address::parse(suppressed).unwrap();
        let hash = address.hash(&project.app().secrets().unwrap().suppression_key());
        let mut tx = project.db.store.write().await.unwrap();
        suppressions::add(&mut tx, &[(address, hash)], colloquy::domain::time::Micros(0), "complaint").await.unwrap();
        tx.commit().await.unwrap();
        let (code, words) = test(&project, &["--to", "nobody@tester.example,Never@tester.example,me@tester.example"]).await;
        assert_eq!(code, 1, "{words}");
        assert!(words.contains("nobody@tester.example  rejected by catcher (rcpt): 550 5.1.1 no such user"), "{words}");
        assert!(words.contains("Never@tester.example  not sent: the address is suppressed"), "{words}");
        assert!(words.contains("me@tester.example  accepted by catcher"), "{words}");
        assert_eq!(project.caught.recv().await.unwrap().recipients, ["me@tester.example"]);
        assert!(project.caught.try_recv().is_err(), "nothing else was sent");

        let (code, words) = test(&project, &["--to", "me@tester.example", "not-an-address"]).await;
        assert_eq!(code, 2, "{words}");
        assert!(project.caught.try_recv().is_err(), "nothing is sent when one of them is no address");
    }
}
