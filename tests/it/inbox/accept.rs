//! `colloquy inbox accept` as a mail server calls it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use colloquy::inbox::MOST_KEPT;

use super::kept;
use crate::project::{Settings, write_project};
use crate::support::{Database, on_both_engines};

pub const LETTER: &[u8] = b"From: Anna <anna@example.org>\nSubject: Lunch?\n\nAt noon.\0\r \xff\n";

/// Calls it in a project's directory.
pub fn accept(dir: &Path, arguments: &[&str], mail: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_colloquy"));
    super::fed(command.arg("-C").arg(dir).args(["inbox", "accept"]).args(arguments), mail)
}

/// A project over this database whose files are at hand.
fn project(db: &Database) {
    write_project(db.dir.path(), &db.url, "file:outbox", &Settings::default());
}

on_both_engines! {
    async fn a_mail_from_a_pipe_is_on_disk_as_it_came_and_once(db) {
        project(&db);
        let envelope = ["--sender", "", "--recipient", "b-x@b.example", "u-y@b.example"];
        for _ in 0..2 {
            let done = accept(db.dir.path(), &envelope, LETTER);
            assert!(done.status.success() && done.stdout.is_empty() && done.stderr.is_empty(), "{done:?}");
        }
        assert!(accept(db.dir.path(), &[], LETTER).status.success());
        let kept = kept(&db.store).await;
        let recipients: Vec<_> = kept.iter().map(|mail| mail.recipient.as_deref()).collect();
        assert_eq!(recipients, [Some("b-x@b.example"), Some("u-y@b.example"), None], "for each recipient once");
        assert!(kept.iter().all(|mail| mail.way == "pipe" && mail.raw.as_deref() == Some(LETTER)));
        assert_eq!((kept[0].sender.as_deref(), kept[2].sender.as_deref()), (Some(""), None));
    }

    async fn of_a_huge_mail_the_head_is_kept_and_the_size_is_told(db) {
        project(&db);
        let mut huge = LETTER.to_vec();
        huge.resize(50 << 20, b'x');
        assert!(accept(db.dir.path(), &[], &huge).status.success());
        let kept = kept(&db.store).await;
        assert_eq!((kept.len(), kept[0].size), (1, 50 << 20));
        assert_eq!(kept[0].raw.as_deref(), Some(&huge[..MOST_KEPT]));
    }
}

on_both_engines! {
    async fn whatever_is_wrong_the_mail_server_is_told_to_try_again(db) {
        project(&db);
        let dir = db.dir.path();
        let code = |arguments: &[&str]| {
            let done = accept(dir, arguments, LETTER);
            assert!(done.stdout.is_empty() && !done.stderr.is_empty());
            done.status.code()
        };
        assert_eq!(code(&["--recipent", "b-x@b.example"]), Some(75), "wrong usage");
        assert_eq!(code(&["--sender"]), Some(75));
        let file = dir.join("config/colloquy.toml");
        let right = fs::read_to_string(&file).unwrap();
        fs::write(&file, right.replace(&db.url, "sqlite:no/such/directory.db")).unwrap();
        assert_eq!(code(&[]), Some(75), "the database is away");
        fs::write(&file, right.replace("[database]", "[databse]")).unwrap();
        assert_eq!(code(&[]), Some(75), "a mistake in the file");
        fs::remove_file(&file).unwrap();
        assert_eq!(code(&[]), Some(75), "no project");
        fs::write(&file, right).unwrap();
        assert_eq!(kept(&db.store).await, []);
        assert!(accept(dir, &[], LETTER).status.success());
    }
}
