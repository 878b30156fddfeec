//! TLS before and after the greeting, against rustls in front of the catcher. The certificates are
//! for these tests alone.

use std::sync::Arc;

use colloquy::domain::outcome::Stage;
use secrecy::SecretString;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::*;

/// With the certificate of `localhost`.
pub fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("../tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../tls/server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Puts TLS in front of a plain server, before the greeting or by STARTTLS. Returns its port.
async fn secured(plain: u16, starttls: bool) -> u16 {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(client, plain, starttls));
        }
    });
    port
}

async fn serve(mut client: TcpStream, plain: u16, starttls: bool) -> std::io::Result<()> {
    let mut server = BufReader::new(TcpStream::connect(("127.0.0.1", plain)).await?);
    if starttls {
        client.write_all(b"220 front.invalid\r\n").await?;
        client.read_buf(&mut Vec::with_capacity(100)).await?;
        client.write_all(b"250-front.invalid\r\n250 STARTTLS\r\n").await?;
        client.read_buf(&mut Vec::with_capacity(100)).await?;
        client.write_all(b"220 go on\r\n").await?;
        server.read_line(&mut String::new()).await?;
    }
    let mut client = acceptor().accept(client).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

fn trusting() -> Options {
    Options { extra_roots: Some(include_bytes!("../tls/authority.pem").to_vec()), ..options() }
}

#[tokio::test]
async fn mail_goes_through_either_kind_of_tls() {
    for tls in [Tls::Implicit, Tls::Required, Tls::Opportunistic] {
        let mut peer = Peer::start(|_, _| None).await;
        let port = secured(peer.port, tls != Tls::Implicit).await;
        let mut session = Relay::new(smtp("localhost", port, tls), None, trusting()).unwrap().open().await.unwrap();
        for _ in 0..3 {
            assert_eq!(summary(&send(&mut session, "anna@example.org", &message(TEXT)).await), "accepted");
        }
        session.quit().await;
        assert_eq!(peer.caught().len(), 3, "{tls:?}");
    }
}

#[tokio::test]
async fn an_unproven_server_gets_neither_mail_nor_password_where_proof_is_asked() {
    let peer = Peer::start(|_, _| None).await;
    for tls in [Tls::Implicit, Tls::Required] {
        let port = secured(peer.port, tls == Tls::Required).await;
        let error = Relay::new(smtp("localhost", port, tls), None, options()).unwrap().open().await.err().unwrap();
        assert_eq!(error.stage, Stage::Tls, "{tls:?}");
    }
    let port = secured(peer.port, true).await;
    let mut config = smtp("localhost", port, Tls::Opportunistic);
    config.username = Some("colloquy".into());
    let relay = Relay::new(config, Some(SecretString::from("open sesame")), options()).unwrap();
    assert_eq!(relay.open().await.err().unwrap().stage, Stage::Tls);
}

#[tokio::test]
async fn without_a_password_an_unproven_server_is_better_than_no_encryption() {
    let mut peer = Peer::start(|_, _| None).await;
    let port = secured(peer.port, true).await;
    let relay = Relay::new(smtp("localhost", port, Tls::Opportunistic), None, options()).unwrap();
    let mut session = relay.open().await.unwrap();
    assert_eq!(summary(&send(&mut session, "anna@example.org", &message(TEXT)).await), "accepted");
    assert_eq!(peer.caught().len(), 1);
}

#[tokio::test]
async fn a_large_message_cut_off_under_tls_is_never_called_accepted_or_rejected() {
    let large = message(&"some text that fills the buffers between the two of us\r\n".repeat(400_000));
    let peer = Peer::start(at(Step::Text, Act::Close)).await;
    let port = secured(peer.port, false).await;
    let relay = Relay::new(smtp("localhost", port, Tls::Implicit), None, trusting()).unwrap();
    let outcome = send(&mut relay.open().await.unwrap(), "anna@example.org", &large).await;
    assert_eq!(summary(&outcome), "not_sent@data");
}
