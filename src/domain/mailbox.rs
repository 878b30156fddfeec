//! Mailboxes that are read for what comes back.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::relay::host_and_port;

/// How often a mailbox is looked into where the file does not say it.
pub const DEFAULT_EVERY: Duration = Duration::from_secs(60);

/// One `[[inbox.mailbox]]`. The password itself is in the environment, never here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxConfig {
    /// Unique within the project; mails are listed under it.
    pub name: String,
    /// Where it is.
    pub url: MailboxUrl,
    /// Who logs in; goes with `password_env`, both or neither.
    pub username: Option<String>,
    /// The environment variable that holds the password.
    pub password_env: Option<String>,
    /// How often it is looked into.
    pub every: Duration,
    /// What becomes of a mail there once it is on disk here.
    pub then: Then,
}

/// What becomes of a mail in its mailbox once it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is removed.
    Delete,
    /// It goes to this folder.
    Move(String),
}

/// Where a mailbox is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxUrl {
    /// A folder at an IMAP server (RFC 3501).
    Imap(MailServer, String),
    /// A POP3 server (RFC 1939).
    Pop3(MailServer),
    /// A directory with `new`, `cur` and `tmp`; relative to the project.
    Maildir(PathBuf),
}

/// A server that is logged in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailServer {
    /// Host name or address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is secured.
    pub security: Security,
}

/// How a connection to a mailbox is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all; only on this machine.
    None,
    /// STARTTLS or STLS, before anything is told.
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
}

impl MailboxUrl {
    /// Reads `imaps://HOST[:PORT][/FOLDER]`, `imap+starttls://…`, `pop3s://HOST[:PORT]`, `pop3+starttls://…` or
    /// `maildir:DIR`; `imap://` and `pop3://` on this machine. The folder is written as its server calls it.
    ///
    /// # Errors
    /// A sentence that says what is wrong or expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(directory) = text.strip_prefix("maildir:") {
            let directory = directory.strip_prefix("//").unwrap_or(directory);
            if directory.is_empty() {
                return Err("the mailbox's URL names no directory, as in maildir:/var/mail/bounces".into());
            }
            return Ok(Self::Maildir(directory.into()));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("'{text}' is not a mailbox's URL"))?;
        let (is_imap, security, default_port) = match scheme {
            "imaps" => (true, Security::Implicit, 993),
            "imap+starttls" => (true, Security::StartTls, 143),
            "imap" => (true, Security::None, 143),
            "pop3s" => (false, Security::Implicit, 995),
            "pop3+starttls" => (false, Security::StartTls, 110),
            "pop3" => (false, Security::None, 110),
            _ => return Err(format!("a mailbox cannot be reached by '{scheme}'")),
        };
        let (authority, folder) = rest.split_once('/').unwrap_or((rest, ""));
        let holds_user = || String::from("a mailbox's URL holds no user or password");
        if authority.contains('@') {
            return Err(holds_user());
        }
        // A password that holds a slash ends before the `@`, and must not be quoted as a port.
        let quotable = |fault| if rest.contains('@') { holds_user() } else { fault };
        let (host, port) = host_and_port(authority, default_port).map_err(quotable)?;
        if security == Security::None && !is_here(&host) {
            return Err(format!("a password is not sent in the clear to {host}"));
        }
        let server = MailServer { host, port, security };
        if !is_imap {
            return if folder.is_empty() { Ok(Self::Pop3(server)) } else { Err("POP3 has no folders".into()) };
        }
        let folder = if folder.is_empty() { "INBOX" } else { folder };
        is_folder(folder).then(|| Self::Imap(server, folder.into())).ok_or_else(|| format!("'{folder}' is no folder"))
    }
}

impl Then {
    /// Reads `delete` or `move:FOLDER`, as far as a mailbox of this kind can do it.
    ///
    /// # Errors
    /// A sentence that says what is expected.
    pub fn parse(text: &str, at: &MailboxUrl) -> Result<Self, String> {
        match (text.strip_prefix("move:"), at) {
            (None, _) if text == "delete" => Ok(Self::Delete),
            (None, _) => Err(format!("'{text}' says neither delete nor where to move mails")),
            (Some(_), MailboxUrl::Pop3(_)) => Err("POP3 can only delete".into()),
            (Some("cur"), MailboxUrl::Maildir(_)) => Ok(Self::Move("cur".into())),
            (Some(_), MailboxUrl::Maildir(_)) => Err("in a Maildir mails move to cur, and nowhere else".into()),
            (Some(folder), MailboxUrl::Imap(_, from)) if folder == from => {
                Err("mails cannot move to where they are".into())
            }
            (Some(folder), MailboxUrl::Imap(..)) if is_folder(folder) => Ok(Self::Move(folder.into())),
            (Some(folder), _) => Err(format!("'{folder}' is no folder")),
        }
    }
}

/// Other letters are written in an encoding of IMAP's own (RFC 3501 §5.1.3), which a server shows.
fn is_folder(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(|b| (b' '..=b'~').contains(&b))
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(host: &str, port: u16, security: Security) -> MailServer {
        MailServer { host: host.into(), port, security }
    }

    #[test]
    fn the_scheme_chooses_protocol_security_and_port() {
        let imap = |host: &str, port, security, folder: &str| {
            Ok(MailboxUrl::Imap(server(host, port, security), folder.to_owned()))
        };
        assert_eq!(MailboxUrl::parse("imaps://Imap.Example"), imap("imap.example", 993, Security::Implicit, "INBOX"));
        assert_eq!(
            MailboxUrl::parse("imap+starttls://imap.example:1143/INBOX/Came back"),
            imap("imap.example", 1143, Security::StartTls, "INBOX/Came back")
        );
        assert_eq!(MailboxUrl::parse("imap://[::1]/"), imap("::1", 143, Security::None, "INBOX"));
        let pop3 = |port, security| Ok(MailboxUrl::Pop3(server("localhost", port, security)));
        assert_eq!(MailboxUrl::parse("pop3s://localhost"), pop3(995, Security::Implicit));
        assert_eq!(MailboxUrl::parse("pop3+starttls://localhost/"), pop3(110, Security::StartTls));
        assert_eq!(MailboxUrl::parse("pop3://localhost:1110"), pop3(1110, Security::None));
        assert_eq!(MailboxUrl::parse("maildir:/var/mail/b"), Ok(MailboxUrl::Maildir("/var/mail/b".into())));
        assert_eq!(MailboxUrl::parse("maildir:///var/mail/b"), Ok(MailboxUrl::Maildir("/var/mail/b".into())));
    }

    #[test]
    fn what_is_no_mailbox_or_would_show_a_password_is_refused() {
        for bad in [
            "",
            "imap.example",
            "https://imap.example",
            "imaps://",
            "imaps://me:secret@imap.example",
            "imap://imap.example",
            "pop3://192.0.2.1",
            "pop3s://pop.example/INBOX",
            "imaps://imap.example:0",
            "imaps://imap.example/Zurück",
            "imaps://imap.example/a\r\nb",
            "maildir:",
        ] {
            assert!(MailboxUrl::parse(bad).is_err(), "{bad} was taken");
        }
        assert!(!MailboxUrl::parse("imaps://me:s3/cret@imap.example").unwrap_err().contains("s3"));
    }

    #[test]
    fn mails_go_where_their_mailbox_can_put_them() {
        let [imap, pop3, maildir] =
            ["imaps://h/INBOX", "pop3s://h", "maildir:m"].map(|url| MailboxUrl::parse(url).unwrap());
        for at in [&imap, &pop3, &maildir] {
            assert_eq!(Then::parse("delete", at), Ok(Then::Delete));
            for bad in ["", "keep", "move:", "move:INBOX", "move:a\nb"] {
                assert!(Then::parse(bad, at).is_err(), "{bad} was taken");
            }
        }
        assert_eq!(Then::parse("move:Handled", &imap), Ok(Then::Move("Handled".into())));
        assert_eq!(Then::parse("move:cur", &maildir), Ok(Then::Move("cur".into())));
        assert!(Then::parse("move:Handled", &pop3).is_err() && Then::parse("move:Handled", &maildir).is_err());
    }
}
