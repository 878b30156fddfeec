//! Sending again: to those who did not click, to unknown and to failed ones, each with a plan first.

use std::process::Stdio;

use colloquy::args;
use colloquy::demo::catcher::{Act, Step};
use colloquy::domain::id::RunId;
use colloquy::domain::message::MessageState;
use colloquy::store::runs::{self, Run};
use serde_json::Value;
use tokio::process::Command;

use crate::project::{Project, Settings};
use crate::support::on_both_engines;

/// Runs the program with nobody at the terminal: its exit code, and what it says.
async fn colloquy(project: &Project, words: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_colloquy"));
    command.arg("-C").arg(project.db.dir.path()).args(words).env("RUST_LOG", "warn").stdin(Stdio::null());
    let output = command.output().await.unwrap();
    let words = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(words).unwrap())
}

/// A person's action on a run's mail, as the judge writes it.
async fn act(project: &Project, run: RunId, address: &str, kind: &str) {
    let sql = "INSERT INTO actions (key, recipient_id, kind, at, run_id)
        SELECT $1, id, $2, created_at, $3 FROM recipients WHERE address = $4";
    let mut tx = project.db.store.write().await.unwrap();
    tx.change(1, sql, args![format!("{kind}:{address}"), kind, run, address]).await.unwrap();
    tx.commit().await.unwrap();
}

async fn run(project: &Project, number: i64) -> Run {
    runs::by_id(&mut project.db.store.read().await.unwrap(), RunId(number)).await.unwrap().unwrap()
}

fn addresses(numbers: &[usize]) -> Vec<String> {
    numbers.iter().map(|n| format!("a{n}@example.org")).collect()
}

on_both_engines! {
    async fn who_did_not_click_gets_it_once_more_and_only_when_that_was_said(db) {
        let mut project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import(8).await;
        let (first, _) = project.send().await;
        project.drain();
        act(&project, first.id, "a1@example.org", "click").await;
        act(&project, first.id, "a2@example.org", "open").await;
        assert_eq!(colloquy(&project, &["suppress", "a3@example.org", "--reason", "complaint"]).await.0, 0);
        let resend = ["resend", "hello", "--to", "not-clicked", "--subject", "Still here, {{first_name}}"];

        let (code, words) = colloquy(&project, &[&resend[..], &["--json"]].concat()).await;
        assert_eq!(code, 0, "{words}");
        let plan: Value = serde_json::from_str(&words).unwrap();
        assert_eq!((&plan["audience"], &plan["messages"]), (&Value::from(7), &Value::from(6)), "{plan}");
        assert_eq!(plan["occasion"], "resend:1:not-clicked");
        assert_eq!(plan["excluded"]["suppressed"], 1);
        let (code, words) = colloquy(&project, &resend).await;
        assert_eq!(code, 2, "{words}");
        assert!(words.contains("nobody can be asked whether to send 6 messages"), "{words}");
        assert_eq!(project.drain().len(), 0);

        let (code, words) = colloquy(&project, &[&resend[..], &["--yes"]].concat()).await;
        assert_eq!(code, 0, "{words}");
        let mut caught = Vec::new();
        while let Ok(mail) = project.caught.try_recv() {
            let text = String::from_utf8(mail.message).unwrap();
            assert!(text.contains("Subject: Still here, Anna"), "{text}");
            caught.extend(mail.recipients);
        }
        caught.sort();
        assert_eq!(caught, addresses(&[0, 2, 4, 5, 6, 7]));
        let second = run(&project, 2).await;
        assert_eq!(second.occasion, "resend:1:not-clicked");
        assert_eq!(project.count(&second, MessageState::Accepted).await, 6);

        let (code, words) = colloquy(&project, &[&resend[..], &["--yes"]].concat()).await;
        assert_eq!(code, 2, "{words}");
        assert!(words.contains("this was resent before: run 2 (resend:1:not-clicked) is done"), "{words}");
        let (code, words) = colloquy(&project, &[&resend[..], &["--yes", "--again"]].concat()).await;
        assert_eq!(code, 0, "{words}");
        assert_eq!((run(&project, 3).await.occasion.as_str(), project.drain().len()), ("resend:1:not-clicked:2", 6));
    }

    async fn who_opened_is_not_among_those_who_did_not_open(db) {
        let mut project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import(4).await;
        let (first, _) = project.send().await;
        project.drain();
        act(&project, first.id, "a0@example.org", "open").await;
        act(&project, first.id, "a1@example.org", "click").await;
        let (code, words) = colloquy(&project, &["resend", "hello", "--to", "not-opened", "--yes"]).await;
        assert_eq!(code, 0, "{words}");
        assert_eq!(project.drain(), addresses(&[2, 3]));
    }

    async fn unknown_and_failed_ones_of_a_run_are_sent_again_with_a_warning(db) {
        let first_time = std::sync::atomic::AtomicUsize::new(0);
        let script = move |step, line: &str| {
            let early = first_time.load(std::sync::atomic::Ordering::SeqCst) < 5;
            match step {
                Step::Rcpt => {
                    first_time.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    (early && line.contains("a1@")).then(|| Act::Say("550 5.7.1 not today".into()))
                }
                Step::Dot if early || first_time.load(std::sync::atomic::Ordering::SeqCst) == 5 => Some(Act::Close),
                _ => None,
            }
        };
        let settings = Settings { relay: "connections = 1", ..Settings::default() };
        let mut project = Project::new(db, settings, script).await;
        project.import(5).await;
        let (first, _) = project.send().await;
        assert_eq!(project.count(&first, MessageState::Unknown).await, 4);
        assert_eq!(project.count(&first, MessageState::Rejected).await, 1);

        let (code, words) = colloquy(&project, &["resend", "hello", "--to", "unknown", "--plan"]).await;
        assert_eq!(code, 0, "{words}");
        assert!(words.contains("warning: some of these get it twice"), "{words}");
        assert_eq!(project.drain().len(), 0);
        let (code, words) = colloquy(&project, &["resend", "hello", "--to", "failed", "--yes"]).await;
        assert_eq!(code, 0, "{words}");
        assert_eq!(project.drain(), addresses(&[1]));
        let (code, words) = colloquy(&project, &["resend", "hello", "--to", "unknown", "--run", "1", "--yes"]).await;
        assert_eq!(code, 0, "{words}");
        assert_eq!(project.drain(), addresses(&[0, 2, 3, 4]));
        assert_eq!(project.count(&first, MessageState::Unknown).await, 4, "the first run stays as it was");
    }

    async fn what_cannot_be_sent_again_is_refused_with_a_hint(db) {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import(2).await;
        for (words, why) in [
            (&["resend", "hello", "--to", "failed"][..], "'hello' has no run that was sent"),
            (&["resend", "helo", "--to", "failed"], "did you mean `hello`?"),
            (&["resend", "hello", "--to", "clicked"], "'clicked' is none of not-clicked, not-opened, unknown, failed"),
            (&["resend", "hello", "--to", "failed", "--subject", " "], "--subject must be one line"),
            (&["resend", "hello", "--to", "failed", "--subject", "{{#if"], "invalid handlebars syntax"),
        ] {
            let (code, said) = colloquy(&project, words).await;
            assert_eq!(code, 2, "{said}");
            assert!(said.contains(why), "{said}");
        }
        let app = project.app();
        app.begin(&project.db.store, app.campaign("hello").unwrap(), false).await.unwrap();
        let (code, said) = colloquy(&project, &["resend", "hello", "--to", "failed"]).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("run 1 of 'hello' is not over, it is running"), "{said}");
    }
}
