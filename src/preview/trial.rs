//! Test mails: the real templates, the real signature, the real relays, and nothing of it is kept or counted.

use std::fmt;

use crate::domain::address::{Address, AddressHash};
use crate::domain::id::RunId;
use crate::domain::outcome::Outcome;
use crate::domain::profile::Profile;
use crate::domain::time::Micros;
use crate::relay::{self, Message, Relay};
use crate::render::{Envelope, Mailing, Rendered, Scratch, Signer};
use crate::store::{self, Store, suppressions};

use super::throwaway_keys;

/// What test mails are made of and sent by.
pub struct Trial<'a> {
    /// The campaign, compiled.
    pub mailing: &'a Mailing,
    /// Whose mail it would be.
    pub profile: &'a Profile,
    /// The time for which it is rendered.
    pub at: Micros,
    /// Signs what goes out.
    pub signer: &'a Signer,
    /// Tried one after the other until one of them answers for the message.
    pub relays: &'a [Relay],
    /// Who is never mailed, by a test neither.
    pub store: Option<&'a Store>,
}

/// What became of one test mail.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A relay took it.
    Accepted {
        /// Which.
        relay: String,
        /// What it said.
        words: String,
    },
    /// It was not sent, or no relay is known to have taken it.
    Failed(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { relay, words } => write!(f, "accepted by {relay}: {words}"),
            Self::Failed(words) => f.write_str(words),
        }
    }
}

impl Trial<'_> {
    /// Sends the mail to one address; `id` names it in delivery reports.
    ///
    /// # Errors
    /// When the database refuses to say whether the address is suppressed.
    pub async fn send(&self, to: &Address, hash: &AddressHash, id: &str) -> store::Result<Verdict> {
        if let Some(store) = self.store
            && suppressions::contains(&mut store.read().await?, hash).await?
        {
            return Ok(Verdict::Failed("not sent: the address is suppressed, and is never mailed".into()));
        }
        let (message, return_path) = match self.message(to) {
            Ok(made) => made,
            Err(words) => return Ok(Verdict::Failed(format!("not sent: {words}"))),
        };
        let envelope = relay::Envelope { return_path: Some(&return_path), recipient: to, id };
        let mut failures = Vec::new();
        for relay in self.relays {
            match hand_over(relay, &envelope, message.clone()).await {
                Ok(verdict) => return Ok(verdict),
                Err(words) => failures.push(format!("{}: {words}", relay.config().name)),
            }
        }
        Ok(Verdict::Failed(format!("not sent: {}", failures.join("; "))))
    }

    /// The recipient's mail in the tester's name. Without tracking its links are plain and it has no pixel; its pages
    /// are signed by keys that nobody has, so that a tester leaves nothing in the recipient's name.
    fn message(&self, to: &Address) -> Result<(Message, Address), String> {
        let profile = Profile { address: to.clone(), tracking: false, ..self.profile.clone() };
        let envelope = Envelope { run: RunId(0), occasion: "test", at: self.at };
        let rendered = self.mailing.render(&profile, &envelope, &throwaway_keys(), &mut Scratch::default());
        let Rendered { bytes, return_path, .. } = rendered.map_err(|error| error.to_string())?;
        let signed = self.signer.sign(bytes, self.mailing.from_domain(), self.at).map_err(|error| error.to_string())?;
        Ok((Message::new(signed).map_err(|error| error.to_string())?, return_path))
    }
}

/// What the relay made of the message; the error when it certainly did not get it.
async fn hand_over(relay: &Relay, envelope: &relay::Envelope<'_>, message: Message) -> Result<Verdict, String> {
    let mut session = relay.open().await.map_err(|error| error.to_string())?;
    let outcome = match session.offer(envelope, message).await {
        Ok(offer) => offer.deliver(None).await,
        Err(outcome) => outcome,
    };
    session.quit().await;
    let name = relay.config().name.clone();
    Ok(match outcome {
        Outcome::Accepted { reply } => Verdict::Accepted { relay: name, words: reply.to_string() },
        Outcome::Deferred { stage, reply } => Verdict::Failed(format!("refused for now by {name} ({stage}): {reply}")),
        Outcome::Rejected { stage, reply } => Verdict::Failed(format!("rejected by {name} ({stage}): {reply}")),
        Outcome::NotSent { stage, words } => return Err(format!("{words} ({stage})")),
        Outcome::Unknown { words } => Verdict::Failed(format!("unknown whether {name} took it: {words}")),
    })
}
