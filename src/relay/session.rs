//! A session with a relay, whatever its kind, and the offer of one message in it.

use super::connection::{Connection, Target};
use super::message::{Envelope, Message};
use super::open::OpenError;
use super::outbox::Outbox;
use super::{Relay, Route};
use crate::domain::outcome::Outcome;

/// An open session. It takes one message at a time.
pub struct Session(Kind);

enum Kind {
    Smtp(Box<Connection>),
    File(Outbox),
}

impl Session {
    pub(super) async fn open(relay: &Relay) -> Result<Self, OpenError> {
        match &relay.route {
            Route::Smtp { host, port, tls, parameters } => {
                let credentials = relay.config.username.as_deref().zip(relay.password.as_ref());
                let target = Target { host, port: *port, tls: *tls, parameters, credentials };
                let connection = Connection::open(target, &relay.options).await?;
                Ok(Self(Kind::Smtp(Box::new(connection))))
            }
            Route::File(directory) => Ok(Self(Kind::File(Outbox::open(directory).await?))),
        }
    }

    /// Whether nobody between can read along.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        match &self.0 {
            Kind::Smtp(connection) => connection.encrypted,
            Kind::File(_) => true,
        }
    }

    /// Whether another message can be offered. If not, open another session.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        match &self.0 {
            Kind::Smtp(connection) => connection.usable,
            Kind::File(_) => true,
        }
    }

    /// Whether it helps to know the message after the one that is delivered; see
    /// [`Offer::deliver`].
    #[must_use]
    pub fn looks_ahead(&self) -> bool {
        match &self.0 {
            Kind::Smtp(connection) => connection.features.pipelining,
            Kind::File(_) => false,
        }
    }

    /// Offers a message. Nothing of its text leaves before [`Offer::deliver`].
    ///
    /// # Errors
    /// The attempt's outcome when it ends here: `Deferred`, `Rejected` or `NotSent`, never
    /// `Accepted` or `Unknown`.
    pub async fn offer<'a>(&'a mut self, envelope: &'a Envelope<'a>, message: Message) -> Result<Offer<'a>, Outcome> {
        if let Kind::Smtp(connection) = &mut self.0 {
            connection.offer(envelope, &message).await?;
        }
        Ok(Offer { session: self, envelope, message })
    }

    /// Ends the session politely. Dropping it ends it, too.
    pub async fn quit(self) {
        if let Kind::Smtp(connection) = self.0 {
            connection.quit().await;
        }
    }
}

/// A message that the relay waits for. Dropping it sends nothing and leaves the session unusable.
#[must_use = "the relay waits for the message"]
pub struct Offer<'a> {
    session: &'a mut Session,
    envelope: &'a Envelope<'a>,
    message: Message,
}

impl Offer<'_> {
    /// Sends the message. Once this is polled the message may be out: a caller that drops the
    /// future must take its fate as unknown. `next` is the message that the caller will offer
    /// next in this session, if it knows: where the relay takes that, it is announced in the same
    /// breath, and then no other may be offered.
    pub async fn deliver(self, next: Option<(&Envelope<'_>, &Message)>) -> Outcome {
        match &mut self.session.0 {
            Kind::Smtp(connection) => connection.deliver(self.message, next).await,
            Kind::File(outbox) => outbox.put(self.envelope, &self.message).await,
        }
    }
}
