//! Opening an SMTP connection: connect, greet, secure, authenticate.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;

use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters};
use lettre::transport::smtp::commands::Ehlo;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::compat::FuturesAsyncReadCompatExt;

use super::answer::{self, Lost};
use super::features::Features;
use super::meter::{Meter, Metered};
use super::open::OpenError;
use super::{Options, Timeouts};
use crate::domain::outcome::{Stage, clean};
use crate::domain::relay::Tls;

/// An SMTP conversation past its opening. [`super::handover`] has the rest of it.
pub(super) struct Connection {
    pub(super) smtp: AsyncSmtpConnection,
    pub(super) features: Features,
    pub(super) meter: Meter,
    /// Whether nobody between can read along.
    pub(super) encrypted: bool,
    pub(super) timeouts: Timeouts,
    /// Whether another message can be offered.
    pub(super) usable: bool,
    /// Whether that message's `MAIL`, `RCPT` and `DATA` have been said already.
    pub(super) announced: bool,
}

/// Where to connect and as whom.
pub(super) struct Target<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) parameters: &'a TlsParameters,
    pub(super) credentials: Option<(&'a str, &'a SecretString)>,
}

impl Connection {
    /// Opens a connection up to the point where `MAIL` is next.
    pub(super) async fn open(target: Target<'_>, options: &Options) -> Result<Self, OpenError> {
        let timeouts = options.timeouts;
        let hello = ClientId::Domain(options.hello_name.clone());
        let (stream, peer) = connect(&target, &timeouts).await?;
        let meter = Meter::default();
        let mut transport: Box<dyn AsyncTokioStream> = Box::new(Metered::new(stream, peer, meter.clone()));
        let mut encrypted = false;
        if target.tls == Tls::Implicit {
            transport = encrypt(transport, peer, target.parameters, &timeouts).await?;
            encrypted = true;
        }
        let mut smtp = greet(transport, &hello, &meter, &timeouts).await?;
        if !encrypted && smtp.can_starttls() {
            let upgrade = timeout(timeouts.command + timeouts.tls, smtp.starttls(target.parameters.clone(), &hello));
            match upgrade.await {
                Ok(Ok(())) => encrypted = true,
                Ok(Err(error)) => return Err(refused(Stage::Tls, error)),
                Err(_) => return Err(OpenError::temporary(Stage::Tls, "the handshake did not end")),
            }
        } else if target.tls == Tls::Required {
            return Err(OpenError::permanent(Stage::Tls, "the server offers no STARTTLS, which the URL requires"));
        }
        if let Some((username, password)) = target.credentials {
            if !may_carry_password(encrypted, peer.ip()) {
                let words = "the server offers no STARTTLS, and a password is not sent in the clear";
                return Err(OpenError::permanent(Stage::Tls, words));
            }
            authenticate(&mut smtp, username, password, &timeouts).await?;
        }
        // lettre keeps only the extensions that it knows, so the question is asked once more.
        let lines = match timeout(timeouts.command, smtp.command(Ehlo::new(hello))).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(refused(Stage::Ehlo, error)),
            Err(_) => Err(lost(Stage::Ehlo, answer::too_late(timeouts.command))),
        }?;
        let features = Features::parse(lines.message().skip(1));
        Ok(Self { smtp, features, meter, encrypted, timeouts, usable: true, announced: false })
    }

    /// Says goodbye. Nothing depends on the answer.
    pub(super) async fn quit(mut self) {
        if self.usable && !self.announced {
            let _ = timeout(self.timeouts.quit, self.smtp.quit()).await;
        }
    }
}

async fn connect(target: &Target<'_>, timeouts: &Timeouts) -> Result<(TcpStream, SocketAddr), OpenError> {
    let failed = |error: std::io::Error| OpenError::temporary(Stage::Connect, clean(&error.to_string()));
    let stream = timeout(timeouts.connect, TcpStream::connect((target.host, target.port)))
        .await
        .map_err(|_| lost(Stage::Connect, answer::too_late(timeouts.connect)))?
        .map_err(failed)?;
    // Small commands must not wait for the acknowledgement of the ones before them.
    stream.set_nodelay(true).map_err(failed)?;
    let peer = stream.peer_addr().map_err(failed)?;
    Ok((stream, peer))
}

/// TLS before the greeting (RFC 8314 §3.3).
async fn encrypt(
    transport: Box<dyn AsyncTokioStream>,
    peer: SocketAddr,
    parameters: &TlsParameters,
    timeouts: &Timeouts,
) -> Result<Box<dyn AsyncTokioStream>, OpenError> {
    #[expect(deprecated, reason = "lettre has no other way to put TLS on a socket that exists already")]
    let mut stream = lettre::transport::smtp::client::AsyncNetworkStream::use_existing_tokio1(transport);
    let upgrade = stream.upgrade_tls(parameters.clone());
    timeout(timeouts.tls, upgrade)
        .await
        .map_err(|_| lost(Stage::Tls, answer::too_late(timeouts.tls)))?
        .map_err(|error| refused(Stage::Tls, error))?;
    Ok(Box::new(Metered::new(stream.compat(), peer, Meter::default())))
}

/// Reads the greeting and says `EHLO`. lettre does both in one step; the meter tells them apart.
async fn greet(
    transport: Box<dyn AsyncTokioStream>,
    hello: &ClientId,
    meter: &Meter,
    timeouts: &Timeouts,
) -> Result<AsyncSmtpConnection, OpenError> {
    let before = meter.written();
    let stage = || if meter.written() == before { Stage::Greeting } else { Stage::Ehlo };
    let mut greeting = pin!(AsyncSmtpConnection::connect_with_transport(transport, hello));
    let result = match timeout(timeouts.greeting, &mut greeting).await {
        Ok(result) => result,
        Err(_) if stage() == Stage::Greeting => {
            return Err(lost(Stage::Greeting, answer::too_late(timeouts.greeting)));
        }
        Err(_) => match timeout(timeouts.command, greeting).await {
            Ok(result) => result,
            Err(_) => return Err(lost(Stage::Ehlo, answer::too_late(timeouts.command))),
        },
    };
    result.map_err(|error| refused(stage(), error))
}

async fn authenticate(
    smtp: &mut AsyncSmtpConnection,
    username: &str,
    password: &SecretString,
    timeouts: &Timeouts,
) -> Result<(), OpenError> {
    if smtp.server_info().get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
        return Err(OpenError::permanent(Stage::Auth, "the server offers neither AUTH PLAIN nor AUTH LOGIN"));
    }
    let credentials = Credentials::new(username.to_owned(), password.expose_secret().to_owned());
    let answer = answer::within(timeouts.command, smtp.auth(DEFAULT_MECHANISMS, &credentials)).await;
    OpenError::check(Stage::Auth, answer).map(drop)
}

/// In the clear a password stays on this machine.
fn may_carry_password(encrypted: bool, peer: IpAddr) -> bool {
    encrypted || peer.to_canonical().is_loopback()
}

fn lost(stage: Stage, lost: Lost) -> OpenError {
    OpenError::temporary(stage, lost.words)
}

/// The failure behind an error of lettre's.
fn refused(stage: Stage, error: lettre::transport::smtp::Error) -> OpenError {
    match answer::read(Err::<Response, _>(error)) {
        Ok(reply) => OpenError::refused(stage, reply),
        Err(Lost { words }) => OpenError::temporary(stage, words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_clear_stays_on_this_machine() {
        let may = |encrypted, peer: &str| may_carry_password(encrypted, peer.parse().unwrap());
        assert!(may(true, "192.0.2.1") && may(true, "2001:db8::1"));
        assert!(may(false, "127.0.0.1") && may(false, "::1") && may(false, "::ffff:127.0.0.1"));
        assert!(!may(false, "192.0.2.1") && !may(false, "10.0.0.1") && !may(false, "2001:db8::1"));
    }
}
