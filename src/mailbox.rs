//! Mailboxes that are read: IMAP, POP3, Maildir; and the lines of which mail on the wire is made.
//!
//! Each mail is handed to a [`Sink`], and removed only after the sink says that it has it. A crash in between brings it
//! again, with the same octets.

mod imap;
mod link;
mod maildir;
mod pop3;
pub mod tls;
mod trouble;
pub mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

pub use self::trouble::Trouble;
use crate::domain::mailbox::{MailboxConfig, MailboxUrl};

/// Takes the mails of a mailbox.
pub trait Sink: Sync {
    /// Takes one: the first octets of it, and how many it has. Once this returns it may be removed.
    ///
    /// # Errors
    /// What went wrong, in words that may stand in a log; then no more mails are brought.
    fn take(&self, head: &[u8], size: u64) -> impl Future<Output = Result<(), String>> + Send;
}

/// What came of looking into a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Mails that were taken, and are gone from there.
    pub taken: u64,
    /// Mails that could not be read and are still there.
    pub unreadable: u64,
}

/// A mailbox, ready to be looked into.
pub struct Mailbox {
    config: MailboxConfig,
    place: Place,
    /// Of each mail so many octets are brought.
    most: usize,
    stop: CancellationToken,
}

enum Place {
    Imap(Access, String),
    Pop3(Access),
    Maildir(PathBuf),
}

/// How a server lets us in.
struct Access {
    server: crate::domain::mailbox::MailServer,
    username: String,
    password: SecretString,
    tls: TlsConnector,
}

/// What a mailbox needs beside its configuration.
pub struct Options<'a> {
    /// Where a relative Maildir is.
    pub root: &'a Path,
    /// The password, where there is one.
    pub password: Option<SecretString>,
    /// Certificate authorities to trust beside those of the system, as PEM.
    pub extra_roots: Option<&'a [u8]>,
    /// Of each mail so many octets are brought.
    pub most: usize,
    /// Looking ends early by it.
    pub stop: CancellationToken,
}

impl Mailbox {
    /// Prepares a mailbox.
    ///
    /// # Errors
    /// When its name or password cannot be said, or the certificates do not work.
    pub fn new(config: MailboxConfig, options: Options<'_>) -> Result<Self, Trouble> {
        let access = |server| -> Result<Access, Trouble> {
            let password = options.password.clone().unwrap_or_else(|| String::new().into());
            let username = config.username.clone().unwrap_or_default();
            if [&*username, password.expose_secret()].iter().any(|text| text.contains(char::is_control)) {
                return Err(Trouble::Unspeakable);
            }
            Ok(Access { server, username, password, tls: tls::connector(options.extra_roots)? })
        };
        let place = match config.url.clone() {
            MailboxUrl::Imap(server, folder) => Place::Imap(access(server)?, folder),
            MailboxUrl::Pop3(server) => Place::Pop3(access(server)?),
            MailboxUrl::Maildir(directory) => Place::Maildir(options.root.join(directory)),
        };
        Ok(Self { place, config, most: options.most, stop: options.stop })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// How often it is looked into.
    #[must_use]
    pub fn every(&self) -> Duration {
        self.config.every
    }

    /// Hands every mail to the sink, and removes or moves it then.
    ///
    /// # Errors
    /// What went wrong. What was handed over until then may come again.
    pub async fn look(&self, sink: &impl Sink) -> Result<Looked, Trouble> {
        let then = &self.config.then;
        match &self.place {
            Place::Imap(access, folder) => imap::look(access, folder, then, self.most, &self.stop, sink).await,
            Place::Pop3(access) => pop3::look(access, self.most, &self.stop, sink).await,
            Place::Maildir(directory) => maildir::look(directory, then, self.most, &self.stop, sink).await,
        }
    }

    /// Goes in and comes out again. How many mails are there, where that is told.
    ///
    /// # Errors
    /// What went wrong.
    pub async fn knock(&self) -> Result<Option<u64>, Trouble> {
        match &self.place {
            Place::Imap(access, folder) => imap::knock(access, folder, &self.config.then, &self.stop).await.map(Some),
            Place::Pop3(access) => pop3::knock(access, &self.stop).await.map(Some),
            Place::Maildir(directory) => maildir::knock(directory).map(|()| None),
        }
    }

    /// Is told of what arrives, where the mailbox is a directory that can be watched; for as long as the watch is kept.
    #[must_use]
    pub fn watch(&self) -> (Arc<Notify>, Option<notify::RecommendedWatcher>) {
        let arrived = Arc::new(Notify::new());
        let watcher = match &self.place {
            Place::Maildir(directory) => maildir::watch(directory, Arc::clone(&arrived)),
            _ => None,
        };
        (arrived, watcher)
    }
}
