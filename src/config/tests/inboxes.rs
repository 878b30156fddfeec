//! `[inbox]`.

use std::time::Duration;

use super::*;
use crate::domain::mailbox::{MailboxUrl, Then};

const INBOX: &str = r#"[inbox]
listen = "127.0.0.1:2424"
addresses = ["fbl@news.example.org"]
[[inbox.mailbox]]
name = "bounces"
url = "imaps://imap.example.org/INBOX"
username = "bounces@example.org"
password_env = "BOUNCES_PASSWORD"
every = "5m"
then = "move:Handled"
[[inbox.mailbox]]
name = "local"
url = "maildir:mail"
"#;

fn read(inbox: &str) -> Result<Inbox, Vec<String>> {
    let read = machine(&files(inbox, CAMPAIGN), Reach::Services);
    read.map(|machine| machine.inbox).map_err(|Problems(found)| found.iter().map(shown).collect())
}

#[test]
fn without_the_section_nothing_listens_and_nothing_is_looked_into() {
    assert_eq!(read(""), Ok(Inbox::default()));
}

#[test]
fn mailboxes_are_read_with_their_defaults() {
    let inbox = read(INBOX).unwrap();
    assert_eq!(inbox.addresses, ["fbl@news.example.org"]);
    let [imap, local] = &inbox.mailboxes[..] else { panic!("two mailboxes") };
    assert_eq!((imap.every, &imap.then), (Duration::from_secs(300), &Then::Move("Handled".into())));
    assert_eq!(imap.password_env.as_deref(), Some("BOUNCES_PASSWORD"));
    assert_eq!((local.every, &local.then), (Duration::from_secs(60), &Then::Delete));
    assert_eq!(local.url, MailboxUrl::Maildir("mail".into()));
}

#[test]
fn every_mistake_is_told_with_its_place_and_its_remedy() {
    for (right, wrong, complaint) in [
        ("\"127.0.0.1:2424\"", "\"2424\"", "2:10 \"2424\": '2424' is not an address to listen on"),
        ("fbl@news.example.org", "fbl", "3:14"),
        ("\"local\"", "\"bounces\"", "12:8 \"bounces\": `bounces` is the name of another way in"),
        ("\"local\"", "\"pipe\"", "`pipe` is the name of another way in"),
        ("imaps:", "imap:", "6:7 \"imap://imap.example.org/INBOX\": a password is not sent in the clear"),
        ("password_env = \"BOUNCES_PASSWORD\"", "password = \"secret\"", "passwords do not belong into this file"),
        ("username = \"bounces@example.org\"\n", "", "`password_env` needs `username`"),
        (
            "username = \"bounces@example.org\"\npassword_env = \"BOUNCES_PASSWORD\"\n",
            "",
            "asks for a name and a password",
        ),
        ("\"move:Handled\"", "\"move:INBOX\"", "mails cannot move to where they are"),
        ("\"5m\"", "\"0s\"", "it must be longer than nothing"),
        ("maildir:mail\"", "maildir:mail\"\nthen = \"move:old\"", "in a Maildir mails move to cur"),
        ("maildir:mail\"", "maildir:mail\"\nusername = \"me\"\npassword_env = \"X\"", "a Maildir asks for no name"),
        ("then =", "than =", "did you mean `then`?"),
    ] {
        assert!(INBOX.contains(right), "{right}");
        let found = read(&INBOX.replace(right, wrong)).unwrap_err();
        assert!(found.iter().any(|problem| problem.contains(complaint)), "{wrong}: {found:#?}");
        assert!(!found.iter().any(|problem| problem.contains("secret (")), "{found:?}");
    }
}
