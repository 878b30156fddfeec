//! Opening a session: what fails where, and whether trying again can help.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use colloquy::domain::outcome::Stage;
use colloquy::relay::Permanence::{self, Permanent, Temporary};
use colloquy::relay::RelayError;
use secrecy::SecretString;

use super::*;

async fn failure(step: Step, act: Act) -> (Stage, Permanence) {
    let peer = Peer::start(at(step, act.clone())).await;
    let mut options = options();
    if act == Act::Stall {
        match step {
            Step::Greeting => options.timeouts.greeting = Duration::from_millis(50),
            _ => {
                options.timeouts.greeting = Duration::from_secs(1);
                options.timeouts.command = Duration::from_millis(50);
            }
        }
    }
    let error = relay(peer.port, options).open().await.err().expect("it fails");
    (error.stage, error.permanence)
}

#[tokio::test]
async fn each_failure_has_its_stage_and_says_whether_to_try_again() {
    for (step, stage) in [(Step::Greeting, Stage::Greeting), (Step::Ehlo, Stage::Ehlo)] {
        for (act, permanence) in [
            (Act::SayAndClose("421 4.3.2 busy".into()), Temporary),
            (say("450 4.3.2 later"), Temporary),
            (say("554 5.7.1 you are not welcome"), Permanent),
            (say("\u{1}what?"), Temporary),
            (Act::Close, Temporary),
            (Act::Stall, Temporary),
        ] {
            let context = format!("{act:?} at {stage}");
            assert_eq!(failure(step, act).await, (stage, permanence), "{context}");
        }
    }
}

#[tokio::test]
async fn nobody_there_is_temporary() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let error = relay(port, options()).open().await.err().unwrap();
    assert_eq!((error.stage, error.permanence), (Stage::Connect, Temporary));
}

#[tokio::test]
async fn required_encryption_that_is_not_offered_sends_nothing() {
    let peer = Peer::start(|_, _| None).await;
    let relay = Relay::new(smtp("127.0.0.1", peer.port, Tls::Required), None, options()).unwrap();
    let error = relay.open().await.err().unwrap();
    assert_eq!((error.stage, error.permanence), (Stage::Tls, Permanent));
}

/// A server that knows one user by AUTH PLAIN or LOGIN.
async fn authenticating(mechanisms: &'static str) -> Peer {
    let (user, password) = (STANDARD.encode("colloquy"), STANDARD.encode("open sesame"));
    let plain = STANDARD.encode("\0colloquy\0open sesame");
    Peer::start(move |step, line| match step {
        Step::Ehlo => Some(say(&format!("250-catcher.invalid\r\n250 AUTH {mechanisms}"))),
        Step::Other if line == format!("AUTH PLAIN {plain}") => Some(say("235 2.7.0 welcome")),
        Step::Other if line == "AUTH LOGIN" => Some(say(&format!("334 {}", STANDARD.encode("Username:")))),
        Step::Other if line == user => Some(say(&format!("334 {}", STANDARD.encode("Password:")))),
        Step::Other if line == password => Some(say("235 2.7.0 welcome")),
        Step::Other => Some(say("535 5.7.8 wrong")),
        _ => None,
    })
    .await
}

async fn log_in(peer: &Peer, password: &str) -> Result<Session, colloquy::relay::OpenError> {
    let mut config = smtp("127.0.0.1", peer.port, Tls::Opportunistic);
    config.username = Some("colloquy".into());
    Relay::new(config, Some(SecretString::from(password)), options()).unwrap().open().await
}

#[tokio::test]
async fn a_password_opens_the_session_and_a_wrong_one_is_permanent() {
    for mechanisms in ["PLAIN LOGIN", "LOGIN", "CRAM-MD5 PLAIN"] {
        let peer = authenticating(mechanisms).await;
        let mut session = log_in(&peer, "open sesame").await.unwrap();
        assert_eq!(summary(&send(&mut session, "anna@example.org", &message(TEXT)).await), "accepted");
        let error = log_in(&peer, "guess").await.err().unwrap();
        assert_eq!((error.stage, error.permanence), (Stage::Auth, Permanent), "{mechanisms}");
        assert!(!format!("{error} {error:?}").contains("guess"));
    }
    let error = log_in(&authenticating("CRAM-MD5").await, "open sesame").await.err().unwrap();
    assert_eq!((error.stage, error.permanence), (Stage::Auth, Permanent));
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let mut config = smtp("127.0.0.1", 25, Tls::Opportunistic);
    config.username = Some("colloquy".into());
    assert!(matches!(Relay::new(config, None, options()), Err(RelayError::Credentials(_))));
    for name in ["", "a b", "a\r\nb", "müller.example"] {
        let config = smtp("127.0.0.1", 25, Tls::Opportunistic);
        assert!(matches!(Relay::new(config, None, Options::new(name)), Err(RelayError::HelloName(_))), "{name}");
    }
}
