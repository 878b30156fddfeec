//! Messages that are announced in the breath that ends the one before.

use super::*;

/// Hands messages over one after the other, each announcing the next; ends when the session does.
async fn chain(session: &mut Session, locals: &[&str]) -> Vec<String> {
    let addresses: Vec<_> =
        locals.iter().map(|local| Address::parse(&format!("{local}@example.org")).unwrap()).collect();
    let envelopes = addresses.iter().map(|recipient| Envelope { return_path: None, recipient, id: "1-2" });
    let envelopes: Vec<_> = envelopes.collect();
    let text = message(TEXT);
    let mut outcomes = Vec::new();
    for (n, envelope) in envelopes.iter().enumerate() {
        let next = envelopes.get(n + 1).map(|envelope| (envelope, &text));
        let outcome = match session.offer(envelope, text.clone()).await {
            Ok(offer) => offer.deliver(next).await,
            Err(outcome) => outcome,
        };
        outcomes.push(summary(&outcome));
    }
    outcomes
}

#[tokio::test]
async fn each_message_keeps_its_own_outcome() {
    for pipelining in [true, false] {
        let mut peer = Peer::start(move |step, line| match step {
            Step::Ehlo if !pipelining => Some(say("250 catcher.invalid")),
            Step::Rcpt if line.contains("nobody@") => Some(say("550 5.1.1 no such user")),
            Step::Rcpt if line.contains("later@") => Some(say("451 4.7.1 greylisted")),
            _ => None,
        })
        .await;
        let mut session = peer.session(options()).await;
        let outcomes = chain(&mut session, &["a", "nobody", "b", "c", "later", "d"]).await;
        let expected = ["accepted", "rejected@rcpt", "accepted", "accepted", "deferred@rcpt", "accepted"];
        assert_eq!(outcomes, expected, "pipelining {pipelining}");
        let caught = peer.caught();
        let recipients: Vec<_> = caught.iter().flat_map(|mail| &mail.recipients).collect();
        assert_eq!(recipients, ["a@example.org", "b@example.org", "c@example.org", "d@example.org"]);
        assert!(caught.iter().all(|mail| mail.message == TEXT.as_bytes()));
        session.quit().await;
    }
}

#[tokio::test]
async fn a_refused_text_leaves_the_announced_message_alone() {
    let turns = std::sync::atomic::AtomicUsize::new(0);
    let first = move || turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
    let mut peer = Peer::start(move |step, _| (step == Step::Dot && first()).then(|| say("554 5.7.1 spam"))).await;
    let mut session = peer.session(options()).await;
    assert_eq!(chain(&mut session, &["a", "b"]).await, ["rejected@dot", "accepted"]);
    assert_eq!(peer.caught().len(), 1);
}

#[tokio::test]
async fn what_was_announced_when_the_connection_broke_was_not_sent() {
    for (act, first) in [(Act::Close, "unknown"), (Act::SayAndClose("421 4.3.2 closing".into()), "deferred@dot")] {
        let mut peer = Peer::start(at(Step::Dot, act)).await;
        let mut session = peer.session(options()).await;
        assert_eq!(chain(&mut session, &["a", "b"]).await, [first, "not_sent@mail"]);
        assert!(!session.is_usable());
        assert_eq!(peer.caught().len(), 0);
    }
}

#[tokio::test]
async fn a_session_that_ends_after_an_announcement_sends_nothing_more() {
    let mut peer = Peer::start(|_, _| None).await;
    let mut session = peer.session(options()).await;
    let (a, b) = (Address::parse("a@example.org").unwrap(), Address::parse("b@example.org").unwrap());
    let envelope = |recipient| Envelope { return_path: None, recipient, id: "1-2" };
    let (text, first, second) = (message(TEXT), envelope(&a), envelope(&b));
    let offer = session.offer(&first, text.clone()).await.unwrap();
    assert_eq!(summary(&offer.deliver(Some((&second, &text))).await), "accepted");
    session.quit().await;
    assert_eq!(peer.caught().len(), 1);
}
