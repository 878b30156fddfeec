//! A small SMTP server that takes every mail and delivers none, for demonstration and development.
//!
//! It speaks RFC 5321 with PIPELINING, 8BITMIME, SMTPUTF8 and SIZE. A [`Script`] makes it refuse,
//! fall silent or break off, so that every outcome can be staged.

mod conversation;
mod lines;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::conversation::Conversation;

/// Most octets of a message.
pub const MAX_MESSAGE: usize = 32 << 20;

/// A mail that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    /// The return path, empty for mail that must not be answered.
    pub return_path: String,
    /// The recipients.
    pub recipients: Vec<String>,
    /// The message with CRLF line ends, dots unstuffed.
    pub message: Vec<u8>,
}

/// A moment at which a script may interfere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A client has connected.
    Greeting,
    /// `EHLO` or `HELO`.
    Ehlo,
    /// `MAIL`.
    Mail,
    /// `RCPT`.
    Rcpt,
    /// `DATA`.
    Data,
    /// `DATA` was answered by 354; the text comes next.
    Text,
    /// The final dot has come.
    Dot,
    /// `RSET`.
    Rset,
    /// `QUIT`.
    Quit,
    /// Any other line.
    Other,
}

/// What a script does instead of the usual answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Says this, as it stands; a line end is added. The first digit decides how it goes on: a mail
    /// whose final dot is not answered by 2yz is not taken.
    Say(String),
    /// Says this and closes the connection.
    SayAndClose(String),
    /// Closes the connection without a word.
    Close,
    /// Neither reads nor answers any more, but keeps the connection.
    Stall,
    /// Waits, and then does this.
    After(Duration, Box<Act>),
    /// At the final dot: takes the mail, and then does this instead of saying so.
    Take(Box<Act>),
}

impl Act {
    /// Whether a mail is taken whose final dot is answered by this.
    fn takes(&self) -> bool {
        match self {
            Self::Say(words) | Self::SayAndClose(words) => words.starts_with('2'),
            Self::After(_, act) => act.takes(),
            Self::Take(_) => true,
            Self::Close | Self::Stall => false,
        }
    }
}

/// Keeps a mail; `false` when it cannot.
type Keep = Arc<dyn Fn(Caught) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// Decides, by step and line as received, whether something else than usual happens.
pub type Script = Arc<dyn Fn(Step, &str) -> Option<Act> + Send + Sync>;

/// The server.
#[derive(Clone)]
pub struct Catcher {
    keep: Keep,
    script: Script,
}

impl fmt::Debug for Catcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catcher").finish_non_exhaustive()
    }
}

impl Catcher {
    /// A server that hands each mail to `mails` before it says that it has taken it.
    #[must_use]
    pub fn new(mails: mpsc::Sender<Caught>) -> Self {
        Self::that_keeps(move |mail| {
            let mails = mails.clone();
            async move { mails.send(mail).await.is_ok() }
        })
    }

    /// A server that says that it has taken a mail once `keep` has answered `true`.
    #[must_use]
    pub fn that_keeps<F: Future<Output = bool> + Send + 'static>(
        keep: impl Fn(Caught) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { keep: Arc::new(move |mail| Box::pin(keep(mail))), script: Arc::new(|_, _| None) }
    }

    /// Interferes by this script.
    #[must_use]
    pub fn with_script(mut self, script: impl Fn(Step, &str) -> Option<Act> + Send + Sync + 'static) -> Self {
        self.script = Arc::new(script);
        self
    }

    /// Serves until `shutdown`; conversations are broken off then.
    pub async fn run(self, listener: TcpListener, shutdown: CancellationToken) {
        let tasks = TaskTracker::new();
        while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, _)) => {
                    let (catcher, shutdown) = (self.clone(), shutdown.clone());
                    tasks.spawn(async move {
                        let conversation = Conversation::new(stream, catcher);
                        if let Some(Err(error)) = shutdown.run_until_cancelled(conversation.run()).await {
                            tracing::debug!(%error, "a conversation broke off");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the mail catcher could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        tasks.close();
        tasks.wait().await;
    }
}
