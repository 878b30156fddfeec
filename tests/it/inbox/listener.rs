//! The listener, as mail servers and others talk to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use colloquy::clock::Clock;
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::mail_path::{MailPath, MailUse};
use colloquy::domain::token::Keyring;
use colloquy::inbox::lmtp::{self, Limits};
use colloquy::inbox::{Addresses, Intake, MOST_KEPT};
use colloquy::metrics::Metrics;
use colloquy::store::{EngineKind, Store};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::kept;
use crate::support::{database, on_both_engines};

struct Listener {
    at: SocketAddr,
    signed: String,
    metrics: Metrics,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

async fn listen(store: &Store, limits: Limits) -> Listener {
    let keyring = Arc::new(Keyring::new([(1, [7; 32].as_slice())]));
    let path = MailPath { purpose: MailUse::Bounce, run: RunId(1), recipient: RecipientId(2) };
    let signed = format!("{}@b.shop.example", path.sign(&keyring));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let addresses = Addresses::new(keyring, &["fbl@shop.example".to_owned()], || Some("b.shop.example".to_owned()));
    let (metrics, stop) = (Metrics::new(), CancellationToken::new());
    let intake = Intake::new(store.clone(), Clock::system(), metrics.clone());
    let options = lmtp::Options { name: "inbox.example".to_owned(), addresses, limits };
    let serving = tokio::spawn(lmtp::serve(listener, options, intake, metrics.clone(), stop.clone()));
    Listener { at, signed, metrics, stop, serving }
}

struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(at: SocketAddr) -> Self {
        let mut client = Self(BufReader::new(TcpStream::connect(at).await.unwrap()));
        assert!(client.answer().await.starts_with("220 "));
        client
    }

    /// The last line of the next answer; empty at the end.
    async fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    async fn write(&mut self, octets: &[u8]) {
        self.0.get_mut().write_all(octets).await.unwrap();
    }

    /// Says lines, and expects an answer to each that begins so.
    async fn says(&mut self, talk: &[(&str, &str)]) {
        for (line, expected) in talk {
            self.write(format!("{line}\r\n").as_bytes()).await;
            let answer = self.answer().await;
            assert!(answer.starts_with(expected), "{line}: {answer}");
        }
    }
}

on_both_engines! {
    async fn by_lmtp_each_recipient_is_answered_once_its_mail_is_on_disk(db) {
        let listener = listen(&db.store, Limits::default()).await;
        let mut client = Client::connect(listener.at).await;
        let (to, shouted) = (format!("RCPT TO:<{}>", listener.signed), listener.signed.to_uppercase());
        client.says(&[
            ("LHLO mx.example", "250 "),
            ("MAIL FROM:<> SIZE=1000 BODY=8BITMIME", "250 2.1.0"),
            (&to, "250 2.1.5"),
            ("RCPT TO:<anna@example.org>", "550 5.1.1"),
            ("RCPT TO:<fbl@shop.example>", "250 2.1.5"),
            ("DATA", "354 "),
        ]).await;
        client.write(b"Subject: a\r\n\r\n..b\0\r\xff\r\n.\r\n").await;
        assert!(client.answer().await.starts_with("250 "));
        assert_eq!(kept(&db.store).await.len(), 2, "both, as the other is answered next");
        assert!(client.answer().await.starts_with("250 "));
        // The same mail again, as after an answer that was lost: nothing new.
        client.says(&[("MAIL FROM:<>", "250"), (&format!("RCPT TO:<{shouted}>"), "250"), ("DATA", "354 ")]).await;
        client.write(b"Subject: a\r\n\r\n..b\0\r\xff\r\n.\r\n").await;
        assert!(client.answer().await.starts_with("250 "));
        client.says(&[("QUIT", "221 "), ]).await;
        let kept = kept(&db.store).await;
        let recipients: Vec<_> = kept.iter().map(|mail| mail.recipient.as_deref().unwrap()).collect();
        assert_eq!(recipients, [&listener.signed, "fbl@shop.example"]);
        assert!(kept.iter().all(|mail| mail.way == "lmtp" && mail.sender.as_deref() == Some("")));
        assert!(kept.iter().all(|mail| mail.raw.as_deref() == Some(b"Subject: a\r\n\r\n.b\0\r\xff\r\n")));
        let text = listener.metrics.encode();
        for line in [
            "colloquy_inbox_taken_total{way=\"lmtp\",fate=\"new\"} 2",
            "colloquy_inbox_taken_total{way=\"lmtp\",fate=\"known\"} 1",
            "colloquy_inbox_refused_total 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }

    async fn while_a_mail_cannot_be_kept_its_server_is_told_to_keep_it(db) {
        let listener = listen(&db.store, Limits::default()).await;
        let rename = async |from: &str, to: &str| {
            let sql = format!("ALTER TABLE {from} RENAME TO {to}");
            let mut tx = db.store.write().await.unwrap();
            tx.execute(sql, vec![]).await.unwrap();
            tx.commit().await.unwrap();
        };
        let to = format!("RCPT TO:<{}>", listener.signed);
        for (hello, answers) in [("LHLO x", 2), ("EHLO x", 1)] {
            let mut client = Client::connect(listener.at).await;
            client.says(&[(hello, "250 ")]).await;
            for (table, other, expected) in [("inbound", "away", "451 "), ("away", "inbound", "250 ")] {
                rename(table, other).await;
                client.says(&[
                    ("MAIL FROM:<>", "250"), (&to, "250"), ("RCPT TO:<postmaster>", "250"), ("DATA", "354"), ("a\r\n.", expected),
                ]).await;
                for _ in 1..answers {
                    assert!(client.answer().await.starts_with(expected));
                }
            }
            client.says(&[("QUIT", "221")]).await;
        }
        assert_eq!(kept(&db.store).await.len(), 2, "for two recipients, by both languages the same mail");
    }
}

#[tokio::test]
async fn by_smtp_one_answer_stands_for_all_recipients_and_commands_may_come_together() {
    let db = database(EngineKind::Sqlite).await;
    let listener = listen(&db.store, Limits::default()).await;
    let mut client = Client::connect(listener.at).await;
    let signed = &listener.signed;
    let talk = format!(
        "EHLO mx.example\r\nMAIL FROM:<mx@example.org>\r\nRCPT TO:<{signed}>\r\nRCPT TO:<abuse@b.shop.example>\r\nDATA\r\n"
    );
    client.write(talk.as_bytes()).await;
    for expected in ["250 ", "250 2.1.0", "250 2.1.5", "250 2.1.5", "354 "] {
        let answer = client.answer().await;
        assert!(answer.starts_with(expected), "{answer}");
    }
    client.write(b"a\r\n.\r\nNOOP\r\nRSET\r\nVRFY x\r\nHELO y\r\nQUIT\r\n").await;
    for expected in ["250 2.6.0", "250 2.0.0 nothing", "250 2.0.0", "252 ", "250 inbox.example", "221 "] {
        let answer = client.answer().await;
        assert!(answer.starts_with(expected), "{answer}");
    }
    assert_eq!(client.answer().await, "", "the conversation is over");
    let kept = kept(&db.store).await;
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|mail| mail.way == "smtp" && mail.sender.as_deref() == Some("mx@example.org")));
}

#[tokio::test]
async fn nothing_is_taken_for_others_and_nothing_out_of_turn() {
    let db = database(EngineKind::Sqlite).await;
    let listener = listen(&db.store, Limits::default()).await;
    let mut client = Client::connect(listener.at).await;
    let to = format!("RCPT TO:<{}>", listener.signed);
    client
        .says(&[
            ("MAIL FROM:<>", "503"),
            ("EHLO x", "250"),
            (&to, "503"),
            ("DATA", "503"),
            ("MAIL FROM:<anna@example.org>", "250"),
            ("MAIL FROM:<anna@example.org>", "503"),
            ("RCPT TO:<bert@example.net>", "550 5.1.1"),
            ("RCPT TO:<@shop.example:bert@example.net>", "550 5.1.1"),
            ("RCPT TO:<bert%example.net@b.shop.example>", "550 5.1.1"),
            ("DATA", "503"),
            ("STARTTLS", "502"),
            ("AUTH PLAIN AGEAYg==", "502"),
            ("BDAT 1 LAST", "502"),
            ("GET / HTTP/1.1", "500"),
        ])
        .await;
    // Whoever tries too much is left.
    for _ in 0..20 {
        client.write(b"RCPT TO:<eve@example.net>\r\n").await;
    }
    let mut rest = String::new();
    let _ = client.0.read_to_string(&mut rest).await;
    assert!(rest.ends_with("421 4.7.0 too many mistakes\r\n"), "{rest}");
    assert_eq!(kept(&db.store).await, []);
}

#[tokio::test]
async fn no_mail_hides_in_another_and_lines_that_end_otherwise_are_refused() {
    let db = database(EngineKind::Sqlite).await;
    let listener = listen(&db.store, Limits::default()).await;
    let to = format!("RCPT TO:<{}>", listener.signed);
    let start: [(&str, &str); 4] = [("EHLO x", "250"), ("MAIL FROM:<>", "250"), (&to, "250"), ("DATA", "354")];
    let hidden = "a\n.\nMAIL FROM:<eve@example.net>\r.\rb\n.\r\nRCPT TO:<c>\r\n.\nd\r.\r\ne\r\n";
    let mut client = Client::connect(listener.at).await;
    client.says(&start).await;
    client.says(&[(&format!("{hidden}."), "250 "), ("NOOP", "250")]).await;
    let kept = kept(&db.store).await;
    assert_eq!(kept.len(), 1);
    // A dot that begins a line is the sender's to double; what it does not double is taken away (RFC 5321 §4.5.2).
    assert_eq!(kept[0].raw.as_deref(), Some(hidden.replace("\r\n.\nd", "\r\n\nd").as_bytes()));
    for line in ["NOOP\n", "MAIL FROM:<>\rRCPT TO:<a>\n", "NOOP\rNOOP\r\n"] {
        let mut client = Client::connect(listener.at).await;
        client.write(line.as_bytes()).await;
        let answer = client.answer().await;
        assert!(answer.starts_with("521 "), "{answer}");
        assert_eq!(client.answer().await, "");
    }
    let mut client = Client::connect(listener.at).await;
    client.says(&[(&"x".repeat(100_000), "500 "), ("NOOP", "250")]).await;
}

#[tokio::test]
async fn of_a_huge_mail_the_head_is_kept_though_many_come_at_once() {
    let db = database(EngineKind::Sqlite).await;
    let listener = listen(&db.store, Limits { large: 1, ..Limits::default() }).await;
    let bring = async |n: u8| {
        let mut client = Client::connect(listener.at).await;
        let to = format!("RCPT TO:<{}>", listener.signed);
        client.says(&[("LHLO x", "250"), ("MAIL FROM:<>", "250"), (&to, "250"), ("DATA", "354")]).await;
        let mut huge = vec![b'0' + n; 50 << 20];
        huge.extend_from_slice(b"\r\n.\r\n");
        client.write(&huge).await;
        assert!(client.answer().await.starts_with("250 "));
    };
    tokio::join!(bring(0), bring(1), bring(2));
    let kept = kept(&db.store).await;
    assert_eq!(kept.len(), 3);
    for mail in kept {
        assert_eq!(mail.size, (50 << 20) + 2);
        let raw = mail.raw.unwrap();
        assert!(raw.len() == MOST_KEPT && raw.iter().all(|octet| *octet == raw[0]), "no octet of another");
    }
}

#[tokio::test]
async fn who_is_silent_is_left_and_a_place_is_free_again() {
    let db = database(EngineKind::Sqlite).await;
    let limits = Limits { connections: 1, silence: Duration::from_millis(200), ..Limits::default() };
    let listener = listen(&db.store, limits).await;
    let mut silent = Client::connect(listener.at).await;
    // It is answered only when the first has gone.
    let mut waiting = Client::connect(listener.at).await;
    assert!(silent.answer().await.starts_with("421 "));
    waiting.says(&[("EHLO x", "250"), ("QUIT", "221")]).await;
    assert_eq!(kept(&db.store).await, []);
}

#[tokio::test]
async fn a_stop_lets_a_mail_end_that_is_being_read_and_takes_no_more() {
    let db = database(EngineKind::Sqlite).await;
    let listener = listen(&db.store, Limits::default()).await;
    let (mut busy, mut idle) = (Client::connect(listener.at).await, Client::connect(listener.at).await);
    let to = format!("RCPT TO:<{}>", listener.signed);
    busy.says(&[("LHLO x", "250"), ("MAIL FROM:<>", "250"), (&to, "250"), ("DATA", "354")]).await;
    busy.write(b"half").await;
    listener.stop.cancel();
    assert!(idle.answer().await.starts_with("421 "));
    busy.says(&[(" a mail\r\n.", "250 ")]).await;
    assert!(busy.answer().await.starts_with("421 "));
    listener.serving.await.unwrap();
    assert!(TcpStream::connect(listener.at).await.is_err());
    assert_eq!(kept(&db.store).await.len(), 1);
}
