//! Every way in which handing a message over can end, staged by the scripted catcher.

mod ahead;
mod opening;
mod outbox;
mod outcomes;
mod parameters;
pub mod tls;

use colloquy::demo::catcher::{Act, Catcher, Caught, Step};
use colloquy::domain::address::Address;
use colloquy::domain::outcome::Outcome;
use colloquy::domain::relay::{RelayConfig, RelayUrl, Tls};
use colloquy::relay::{Envelope, Message, Options, Relay, Session};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

const TEXT: &str = "Subject: x\r\n\r\n.hello\r\n.\r\n";

/// A running catcher, gone with the test.
struct Peer {
    port: u16,
    mails: mpsc::Receiver<Caught>,
    _running: DropGuard,
}

impl Peer {
    async fn start(script: impl Fn(Step, &str) -> Option<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, mails) = mpsc::channel(100);
        let shutdown = CancellationToken::new();
        tokio::spawn(Catcher::new(sender).with_script(script).run(listener, shutdown.clone()));
        Self { port, mails, _running: shutdown.drop_guard() }
    }

    async fn session(&self, options: Options) -> Session {
        relay(self.port, options).open().await.unwrap()
    }

    /// What has been taken so far.
    fn caught(&mut self) -> Vec<Caught> {
        std::iter::from_fn(|| self.mails.try_recv().ok()).collect()
    }
}

fn config(url: RelayUrl) -> RelayConfig {
    RelayConfig { connections: 1, ..RelayConfig::new("test", url) }
}

fn smtp(host: &str, port: u16, tls: Tls) -> RelayConfig {
    config(RelayUrl::Smtp { host: host.into(), port, tls })
}

fn relay(port: u16, options: Options) -> Relay {
    Relay::new(smtp("127.0.0.1", port, Tls::Opportunistic), None, options).unwrap()
}

fn options() -> Options {
    Options::new("client.example")
}

fn message(text: &str) -> Message {
    Message::new(text.as_bytes().to_vec()).unwrap()
}

/// Hands one message over as the sender does.
async fn send(session: &mut Session, recipient: &str, message: &Message) -> Outcome {
    let (return_path, recipient) = (Address::parse("b@b.example").unwrap(), Address::parse(recipient).unwrap());
    let envelope = Envelope { return_path: Some(&return_path), recipient: &recipient, id: "1-2" };
    match session.offer(&envelope, message.clone()).await {
        Ok(offer) => offer.deliver(None).await,
        Err(outcome) => outcome,
    }
}

/// The outcome's kind and stage: `deferred@rcpt`.
fn summary(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Deferred { stage, .. } | Outcome::Rejected { stage, .. } | Outcome::NotSent { stage, .. } => {
            format!("{}@{stage}", outcome.as_str())
        }
        Outcome::Accepted { .. } | Outcome::Unknown { .. } => outcome.as_str().to_owned(),
    }
}

fn say(words: &str) -> Act {
    Act::Say(words.into())
}

/// Acts at one step and leaves the others alone.
fn at(step: Step, act: Act) -> impl Fn(Step, &str) -> Option<Act> + Send + Sync + 'static {
    move |now, _| (now == step).then(|| act.clone())
}
