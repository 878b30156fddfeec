//! `[inbox]`: the ways in for mail that comes back.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::check;
use super::problem::Complaint;
use super::reader::Section;
use super::relay::credentials;
use crate::domain::mailbox::{DEFAULT_EVERY, MailboxConfig, MailboxUrl, Then};

/// What mails list as the way by which they came, besides the names of mailboxes.
const WAYS: [&str; 3] = ["pipe", "smtp", "lmtp"];

/// Where mail comes in, besides the pipe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inbox {
    /// Where LMTP and SMTP are spoken, if they are.
    pub listen: Option<SocketAddr>,
    /// Addresses that are taken there besides our own.
    pub addresses: Vec<String>,
    /// What is looked into.
    pub mailboxes: Vec<MailboxConfig>,
}

/// Reads the section.
pub(super) fn read(section: &Section<'_>) -> Inbox {
    let addresses = section.field("addresses").map(|field| field.list(check::address));
    let mut names = BTreeSet::new();
    let mailboxes = section.each("mailbox", |mailbox| read_mailbox(mailbox, &mut names));
    Inbox {
        listen: section.parsed("listen", check::listen),
        addresses: addresses.unwrap_or_default(),
        mailboxes: mailboxes.into_iter().flatten().collect(),
    }
}

fn read_mailbox(section: &Section<'_>, names: &mut BTreeSet<String>) -> Option<MailboxConfig> {
    let name = section.required("name", "name = \"bounces\"").and_then(|field| {
        let text = field.parsed(|text| check::name(text).map(|()| text))?;
        if WAYS.contains(&text) || !names.insert(text.into()) {
            let complaint = Complaint::new(format!("`{text}` is the name of another way in"));
            field.error(complaint.hint("name each mailbox differently, and none pipe, smtp or lmtp"));
        }
        Some(text)
    });
    let url =
        section.required("url", "url = \"imaps://imap.example.org/INBOX\" or url = \"maildir:/var/mail/bounces\"");
    let url = url.and_then(|field| {
        let hint = "imaps://HOST/FOLDER, imap+starttls://HOST/FOLDER, pop3s://HOST, pop3+starttls://HOST or maildir:DIR; \
            imap:// and pop3:// on this machine";
        let url = field.parsed(|text| MailboxUrl::parse(text).map_err(|fault| Complaint::new(fault).hint(hint)))?;
        Some((field, url))
    });
    let (username, password_env) = credentials(section, "BOUNCES_PASSWORD");
    match &url {
        Some((_, MailboxUrl::Maildir(_))) => {
            if let Some(field) = section.field("username") {
                field.key_error(Complaint::new("a Maildir asks for no name").hint("take `username` away"));
            }
        }
        Some((field, _)) if section.field("username").is_none() && section.field("password_env").is_none() => {
            field.error(
                Complaint::new("this mailbox asks for a name and a password")
                    .hint("add username = \"bounces@example.org\" and password_env = \"BOUNCES_PASSWORD\""),
            );
        }
        _ => {}
    }
    let every = section.parsed("every", check::span);
    let then = section.field("then").and_then(|field| {
        let hint = "delete; move:FOLDER by IMAP; move:cur in a Maildir";
        let (_, url) = url.as_ref()?;
        field.parsed(|text| Then::parse(text, url).map_err(|fault| Complaint::new(fault).hint(hint)))
    });
    Some(MailboxConfig {
        name: name?.into(),
        url: url?.1,
        username,
        password_env,
        every: every.unwrap_or(DEFAULT_EVERY),
        then: then.unwrap_or(Then::Delete),
    })
}
