//! What is said depends on what the server offers.

use std::sync::{Arc, Mutex};

use super::*;

/// Sends one message to a server that offers these extensions; says what came of it and which
/// MAIL and RCPT the server heard.
async fn heard(extensions: &[&'static str], recipient: &str, text: &str) -> (Outcome, Vec<String>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let (log, offers) = (Arc::clone(&lines), [&["catcher.invalid"], extensions].concat());
    let peer = Peer::start(move |step, line| {
        if matches!(step, Step::Mail | Step::Rcpt) {
            log.lock().unwrap().push(line.to_owned());
        }
        (step == Step::Ehlo).then(|| {
            let (last, first) = offers.split_last().unwrap();
            let first: String = first.iter().map(|offer| format!("250-{offer}\r\n")).collect();
            say(&format!("{first}250 {last}"))
        })
    })
    .await;
    let outcome = send(&mut peer.session(options()).await, recipient, &message(text)).await;
    let lines = lines.lock().unwrap().clone();
    (outcome, lines)
}

#[tokio::test]
async fn a_plain_server_hears_no_parameters() {
    let (outcome, lines) = heard(&[], "anna@example.org", TEXT).await;
    assert_eq!(summary(&outcome), "accepted");
    assert_eq!(lines, ["MAIL FROM:<b@b.example>", "RCPT TO:<anna@example.org>"]);
}

#[tokio::test]
async fn what_is_offered_is_used() {
    let offered = ["PIPELINING", "SIZE 1000", "8BITMIME", "SMTPUTF8", "DSN"];
    let (outcome, lines) = heard(&offered, "änna@example.org", "Subject: grüezi\r\n\r\n.x\r\n").await;
    assert_eq!(summary(&outcome), "accepted");
    assert_eq!(
        lines,
        [
            "MAIL FROM:<b@b.example> SIZE=24 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=1-2",
            "RCPT TO:<änna@example.org> NOTIFY=FAILURE,DELAY"
        ]
    );
}

#[tokio::test]
async fn reports_name_the_recipient_as_it_was_addressed() {
    let (_, lines) = heard(&["catcher", "DSN"], "anna+x=y@example.org", TEXT).await;
    assert_eq!(lines[1], "RCPT TO:<anna+x=y@example.org> NOTIFY=FAILURE,DELAY ORCPT=rfc822;anna+2Bx+3Dy@example.org");
}

#[tokio::test]
async fn what_the_server_cannot_take_is_refused_without_asking_it() {
    for (extensions, recipient, text, status) in [
        (["8BITMIME", "X"], "änna@example.org", TEXT.to_owned(), "5.6.7"),
        (["SMTPUTF8", "X"], "anna@example.org", "Subject: grüezi\r\n\r\n".to_owned(), "5.6.3"),
        (["SIZE 30", "X"], "anna@example.org", "x".repeat(31), "5.3.4"),
    ] {
        let (outcome, lines) = heard(&extensions, recipient, &text).await;
        let Outcome::Rejected { reply, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(reply.enhanced.unwrap().to_string(), status);
        assert!(lines.is_empty(), "{lines:?}");
    }
}

#[tokio::test]
async fn an_address_cannot_smuggle_a_command() {
    let peer = Peer::start(|_, _| None).await;
    let mut session = peer.session(options()).await;
    let recipient = Address::from_normalised("a>\r\nRSET\r\nx@example.org".into());
    let envelope = Envelope { return_path: None, recipient: &recipient, id: "1-2" };
    let message = message(TEXT);
    let outcome = session.offer(&envelope, message).await.err().unwrap();
    assert_eq!(summary(&outcome), "rejected@mail");
}
