//! `kill -9` at any moment of taking mail in: nothing is lost, and nothing is there twice.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use colloquy::args;
use colloquy::store::Store;

use super::maildir::maildir;
use crate::project::{Settings, write_project};
use crate::support::on_both_engines;

/// Mails that were taken in, and how many different ones.
async fn counts(store: &Store) -> (i64, i64) {
    let sql = "SELECT COUNT(*), COUNT(DISTINCT digest) FROM inbound";
    store.read().await.unwrap().one(sql, args![]).await.unwrap()
}

fn start(dir: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_colloquy"))
        .arg("-C")
        .arg(dir)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

on_both_engines! {
    async fn a_pipe_that_is_killed_and_called_again_takes_each_mail_once(db) {
        write_project(db.dir.path(), &db.url, "file:outbox", &Settings::default());
        let mut killed = 0;
        for n in 0..30u64 {
            let mail = format!("From: a\n\nmail {n}\n");
            let mut tries = 0;
            loop {
                let mut child = start(db.dir.path(), &["inbox", "accept", "--recipient", "b-x@b.example"]);
                let _ = child.stdin.take().unwrap().write_all(mail.as_bytes());
                if tries < 2 {
                    tokio::time::sleep(Duration::from_millis(5 * ((7 * n + 11 * tries) % 60))).await;
                    let _ = child.kill();
                }
                tries += 1;
                if child.wait().unwrap().success() {
                    break;
                }
                killed += 1;
            }
        }
        assert!(killed > 0, "none was killed in time");
        assert_eq!(counts(&db.store).await, (30, 30));
    }

    async fn a_service_that_is_killed_while_it_empties_a_maildir_takes_each_mail_once(db) {
        const MAILS: usize = 1_500;
        write_project(db.dir.path(), &db.url, "file:outbox", &Settings::default());
        let file = db.dir.path().join("config/colloquy.toml");
        let config = fs::read_to_string(&file).unwrap();
        let inbox = "[[inbox.mailbox]]\nname = \"bounces\"\nurl = \"maildir:mail\"\nevery = \"1s\"\n";
        fs::write(&file, format!("{config}{inbox}")).unwrap();
        let new = db.dir.path().join("mail/new");
        maildir(&db.dir.path().join("mail"));
        let left = || fs::read_dir(&new).unwrap().count();
        for n in 0..MAILS {
            fs::write(new.join(format!("{n}.mail")), format!("From: a\n\nmail {n}\n")).unwrap();
        }
        for goal in [MAILS - 50, MAILS - 300, MAILS - 700] {
            let mut child = start(db.dir.path(), &["run", "--role", "inbox"]);
            while left() > goal {
                assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            let (rows, different) = counts(&db.store).await;
            let gone = (MAILS - left()) as i64;
            assert!(rows == different && (gone..=gone + 1).contains(&rows), "{rows} rows, {gone} gone");
        }
        let mut child = start(db.dir.path(), &["run", "--role", "inbox"]);
        for _ in 0..1_200 {
            if left() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // What arrives while it runs is told by the watch or found by the next look.
        fs::write(db.dir.path().join("mail/tmp/late"), "From: a\n\nlate\n").unwrap();
        fs::rename(db.dir.path().join("mail/tmp/late"), new.join("late.mail")).unwrap();
        for _ in 0..1_200 {
            if left() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(counts(&db.store).await, (MAILS as i64 + 1, MAILS as i64 + 1));
    }
}
