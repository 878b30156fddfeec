//! Relays: servers that take our mail, or a directory that stands in for one.
//!
//! A [`Relay`] opens [`Session`]s. A session takes a message in two steps, so that the caller can
//! make the state `sending` durable in between:
//!
//! ```text
//! let offer = session.offer(&envelope, message).await?;    // MAIL, RCPT, DATA; nothing is out yet
//! …mark the message as sending…
//! let outcome = offer.deliver(None).await;                 // the text, the final dot, the answer
//! ```
//!
//! What limits the rate is in [`throttle`]; when to try again is in [`crate::domain::retry`].

mod answer;
mod connection;
mod exchange;
mod features;
mod handover;
mod message;
mod meter;
mod open;
mod outbox;
mod plea;
mod session;
pub mod throttle;

use std::path::PathBuf;
use std::time::Duration;

use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use secrecy::SecretString;

pub use self::exchange::Exchanges;
pub use self::message::{Envelope, MalformedMessage, Message};
pub use self::open::{OpenError, Permanence};
pub use self::plea::plea;
pub use self::session::{Offer, Session};
use crate::domain::relay::{RelayConfig, RelayUrl, Tls};

/// Longest waits for a relay; the defaults are those of RFC 5321 §4.5.3.2.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// TCP connect, for all addresses of the host together.
    pub connect: Duration,
    /// The handshake of TLS.
    pub tls: Duration,
    /// The greeting.
    pub greeting: Duration,
    /// The answers to `EHLO`, `AUTH` and `RSET`.
    pub command: Duration,
    /// The answer to `MAIL`.
    pub mail: Duration,
    /// The answer to `RCPT`.
    pub rcpt: Duration,
    /// The answer to `DATA`.
    pub data: Duration,
    /// Writing the message's text.
    pub block: Duration,
    /// The answer to the final dot. Short ones make duplicates: the server may have taken the mail.
    pub dot: Duration,
    /// The answer to `QUIT`, on which nothing depends.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            connect: Duration::from_secs(30),
            tls: minutes(1),
            greeting: minutes(5),
            command: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            block: minutes(3),
            dot: minutes(10),
            quit: Duration::from_secs(5),
        }
    }
}

/// What a relay needs beside its configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// Our name in `EHLO`: a domain, or an address literal such as `[192.0.2.1]` (RFC 5321 §4.1.4).
    pub hello_name: String,
    /// Longest waits.
    pub timeouts: Timeouts,
    /// Certificate authorities to trust beside those of the system, as PEM.
    pub extra_roots: Option<Vec<u8>>,
}

impl Options {
    /// The RFC's timeouts and the system's certificate authorities.
    #[must_use]
    pub fn new(hello_name: impl Into<String>) -> Self {
        Self { hello_name: hello_name.into(), timeouts: Timeouts::default(), extra_roots: None }
    }
}

/// Why a relay cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// `hello_name` is neither a domain nor an address literal.
    #[error("'{0}' cannot be said in EHLO; use a host name such as mail.example.org")]
    HelloName(String),
    /// A user without a password, or a password without a user.
    #[error("relay '{0}' needs both a username and a password; is the variable of password_env set?")]
    Credentials(String),
    /// The TLS settings or certificates do not work.
    #[error("relay '{relay}' cannot be reached by TLS: {words}")]
    Tls {
        /// The relay's name.
        relay: String,
        /// What the TLS library says.
        words: String,
    },
}

/// A relay that is ready to be used: certificates are loaded, credentials at hand.
pub struct Relay {
    config: RelayConfig,
    password: Option<SecretString>,
    options: Options,
    route: Route,
}

/// Where the mail goes.
enum Route {
    File(PathBuf),
    Smtp { host: String, port: u16, tls: Tls, parameters: TlsParameters },
}

impl Relay {
    /// Prepares a relay. A `file:` directory is used as it stands in `config`, so the caller makes
    /// it absolute.
    ///
    /// # Errors
    /// When the settings contradict each other.
    pub fn new(config: RelayConfig, password: Option<SecretString>, options: Options) -> Result<Self, RelayError> {
        if !is_hello_name(&options.hello_name) {
            return Err(RelayError::HelloName(options.hello_name));
        }
        if config.username.is_some() != password.is_some() {
            return Err(RelayError::Credentials(config.name));
        }
        let route = match config.url.clone() {
            RelayUrl::File(directory) => Route::File(directory),
            RelayUrl::Smtp { host, port, tls } => {
                // Encrypting to an unproven peer is better than not encrypting (RFC 7435), but no
                // password goes to it.
                let any_peer = tls == Tls::Opportunistic && password.is_none();
                let parameters = tls_parameters(&host, any_peer, options.extra_roots.as_deref())
                    .map_err(|error| RelayError::Tls { relay: config.name.clone(), words: error.to_string() })?;
                Route::Smtp { host, port, tls, parameters }
            }
        };
        Ok(Self { config, password, options, route })
    }

    /// As configured.
    #[must_use]
    pub fn config(&self) -> &RelayConfig {
        &self.config
    }

    /// Whether the other relay is reached, greeted and limited in the same way.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.config == other.config && self.options.hello_name == other.options.hello_name
    }

    /// Opens a session: connects, greets, secures, authenticates.
    ///
    /// # Errors
    /// Where and why it failed, and whether trying again can help.
    pub async fn open(&self) -> Result<Session, OpenError> {
        Session::open(self).await
    }
}

fn is_hello_name(name: &str) -> bool {
    let literal = name.starts_with('[') && name.ends_with(']');
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b) || literal && b"[]:".contains(&b);
    (1..=255).contains(&name.len()) && name.bytes().all(allowed)
}

fn tls_parameters(
    host: &str,
    any_peer: bool,
    extra_roots: Option<&[u8]>,
) -> Result<TlsParameters, lettre::transport::smtp::Error> {
    let mut builder = TlsParameters::builder(host.to_owned())
        .dangerous_accept_invalid_certs(any_peer)
        .dangerous_accept_invalid_hostnames(any_peer);
    if any_peer {
        // Whoever believes everybody need not read whom to believe.
        builder = builder.certificate_store(CertificateStore::None);
    }
    for root in extra_roots.map(Certificate::from_pem).transpose()?.into_iter() {
        builder = builder.add_root_certificate(root);
    }
    builder.build()
}
