//! Maildirs that are looked into.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Mutex;

use colloquy::clock::Clock;
use colloquy::domain::mailbox::{DEFAULT_EVERY, MailboxConfig, MailboxUrl, Then};
use colloquy::inbox::{Arrival, Intake, MOST_KEPT, Taken};
use colloquy::mailbox::{Looked, Mailbox, Options, Sink, Trouble};
use colloquy::metrics::Metrics;
use tokio_util::sync::CancellationToken;

use super::kept;
use crate::support::on_both_engines;

/// Keeps what it is given.
#[derive(Default)]
pub struct Basket(pub Mutex<Vec<(Vec<u8>, u64)>>);

impl Sink for Basket {
    async fn take(&self, head: &[u8], size: u64) -> Result<(), String> {
        self.0.lock().unwrap().push((head.to_vec(), size));
        Ok(())
    }
}

impl Basket {
    /// The mails, sorted.
    pub fn mails(&self) -> Vec<Vec<u8>> {
        let mut mails: Vec<_> = self.0.lock().unwrap().iter().map(|(head, _)| head.clone()).collect();
        mails.sort();
        mails
    }
}

/// Takes mails in, and breaks off behind each, as a crash would before it is removed.
pub struct Crashing(pub Intake, pub Mutex<Vec<Taken>>);

impl Crashing {
    pub fn new(store: &colloquy::store::Store) -> Self {
        Self(Intake::new(store.clone(), Clock::system(), Metrics::new()), Mutex::default())
    }
}

impl Sink for Crashing {
    async fn take(&self, raw: &[u8], size: u64) -> Result<(), String> {
        let arrival = Arrival { way: "bounces", sender: None, recipient: None, raw, size };
        let taken = self.0.take(arrival).await.unwrap();
        self.1.lock().unwrap().push(taken);
        if taken == Taken::New { Err("crash".to_owned()) } else { Ok(()) }
    }
}

/// A Maildir with nothing in it.
pub fn maildir(at: &Path) {
    for part in ["new", "cur", "tmp"] {
        fs::create_dir_all(at.join(part)).unwrap();
    }
}

fn mailbox(at: &Path, then: Then) -> Mailbox {
    let config = MailboxConfig {
        name: "bounces".to_owned(),
        url: MailboxUrl::Maildir(at.to_owned()),
        username: None,
        password_env: None,
        every: DEFAULT_EVERY,
        then,
    };
    let stop = CancellationToken::new();
    Mailbox::new(config, Options { root: at, password: None, extra_roots: None, most: MOST_KEPT, stop }).unwrap()
}

fn names(at: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn mails_are_taken_as_they_are_and_nothing_else_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    maildir(dir.path());
    let (new, secret) = (dir.path().join("new"), dir.path().join("secret"));
    fs::write(dir.path().join("tmp/1.half"), "half").unwrap();
    fs::write(dir.path().join("cur/1.seen:2,S"), "seen").unwrap();
    fs::write(&secret, "elsewhere").unwrap();
    symlink(&secret, new.join("2.link")).unwrap();
    fs::create_dir(new.join("3.directory")).unwrap();
    let odd = b"From: a\n\n\0\r\xff.\n.\n".to_vec();
    fs::write(new.join("4.odd"), &odd).unwrap();
    fs::write(new.join("5.empty"), "").unwrap();
    let basket = Basket::default();
    let looked = mailbox(dir.path(), Then::Delete).look(&basket).await.unwrap();
    assert_eq!(looked, Looked { taken: 2, unreadable: 2 });
    assert_eq!(basket.mails(), [Vec::new(), odd]);
    assert_eq!(names(&new), ["2.link", "3.directory"]);
    assert_eq!((names(&dir.path().join("tmp")).len(), names(&dir.path().join("cur")).len()), (1, 1));
    assert_eq!(fs::read(secret).unwrap(), b"elsewhere");
}

#[tokio::test]
async fn mails_that_are_to_be_kept_there_move_to_cur() {
    let dir = tempfile::tempdir().unwrap();
    maildir(dir.path());
    fs::write(dir.path().join("new/1.a"), "a").unwrap();
    let basket = Basket::default();
    let mailbox = mailbox(dir.path(), Then::Move("cur".to_owned()));
    for _ in 0..2 {
        mailbox.look(&basket).await.unwrap();
    }
    assert_eq!(basket.mails(), [b"a"]);
    assert_eq!(names(&dir.path().join("cur")), ["1.a:2,S"]);
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_trouble_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let trouble = mailbox(&dir.path().join("none"), Then::Delete).look(&Basket::default()).await;
    assert!(matches!(trouble, Err(Trouble::Directory(_))));
}

#[tokio::test]
async fn a_hundred_thousand_mails_are_taken_one_by_one() {
    struct Count(Mutex<u64>);
    impl Sink for Count {
        async fn take(&self, _: &[u8], size: u64) -> Result<(), String> {
            *self.0.lock().unwrap() += size;
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    maildir(dir.path());
    for n in 0..100_000 {
        fs::write(dir.path().join(format!("new/{n}.mail")), "a").unwrap();
    }
    let count = Count(Mutex::new(0));
    let looked = mailbox(dir.path(), Then::Delete).look(&count).await.unwrap();
    assert_eq!((looked.taken, *count.0.lock().unwrap()), (100_000, 100_000));
    assert_eq!(names(&dir.path().join("new")), [""; 0]);
}

on_both_engines! {
    async fn a_crash_before_a_mail_is_removed_brings_it_again_and_it_is_kept_once(db) {
        let dir = tempfile::tempdir().unwrap();
        maildir(dir.path());
        for n in 0..3 {
            fs::write(dir.path().join(format!("new/{n}.a")), format!("mail {n}")).unwrap();
        }
        let sink = Crashing::new(&db.store);
        let mailbox = mailbox(dir.path(), Then::Delete);
        for _ in 0..3 {
            assert!(matches!(mailbox.look(&sink).await, Err(Trouble::Sink(_))));
        }
        assert_eq!(mailbox.look(&sink).await.unwrap().taken + 2, 3, "the last; the others were removed meanwhile");
        assert_eq!(names(&dir.path().join("new")), [""; 0]);
        assert_eq!(kept(&db.store).await.len(), 3);
    }
}
