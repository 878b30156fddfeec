//! Stage by stage: what the server does and what becomes of the message.

use std::time::Duration;

use super::*;

const BRIEF: Duration = Duration::from_millis(50);

/// A server without PIPELINING.
fn one_by_one(step: Step, act: Act) -> impl Fn(Step, &str) -> Option<Act> + Send + Sync + 'static {
    move |now, line| match now {
        Step::Ehlo => Some(say("250 catcher.invalid")),
        now => at(step, act.clone())(now, line),
    }
}

/// Sends one message while the server acts like this at one step; says what came of it, whether
/// the session can go on, and what the server took.
async fn staged(step: Step, act: Act, pipelining: bool) -> (String, bool, usize) {
    let mut peer = if pipelining {
        Peer::start(at(step, act.clone())).await
    } else {
        Peer::start(one_by_one(step, act.clone())).await
    };
    let mut options = options();
    if act == Act::Stall {
        match step {
            Step::Mail => options.timeouts.mail = BRIEF,
            Step::Rcpt => options.timeouts.rcpt = BRIEF,
            Step::Data => options.timeouts.data = BRIEF,
            _ => (options.timeouts.block, options.timeouts.dot) = (BRIEF, BRIEF),
        }
    }
    let mut session = peer.session(options).await;
    let outcome = send(&mut session, "anna@example.org", &message(TEXT)).await;
    (summary(&outcome), session.is_usable(), peer.caught().len())
}

#[tokio::test]
async fn each_answer_at_each_stage_has_its_outcome() {
    let stages = [(Step::Mail, "mail"), (Step::Rcpt, "rcpt"), (Step::Data, "data"), (Step::Dot, "dot")];
    for pipelining in [true, false] {
        for (step, name) in stages {
            for (act, outcome, usable) in [
                (say("450 4.2.0 later"), "deferred", true),
                (say("452-4.2.2 quite\r\n452 4.2.2 full"), "deferred", true),
                (say("550 5.1.1 no"), "rejected", true),
                (Act::SayAndClose("421 4.3.2 closing".into()), "deferred", false),
            ] {
                let context = format!("{act:?} at {name}, pipelining {pipelining}");
                let expected = (format!("{outcome}@{name}"), usable, 0);
                assert_eq!(staged(step, act, pipelining).await, expected, "{context}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_lost_before_the_final_dot_was_not_sent_and_after_it_is_unknown() {
    let stages = [(Step::Mail, "mail"), (Step::Rcpt, "rcpt"), (Step::Data, "data"), (Step::Dot, "dot")];
    for pipelining in [true, false] {
        for (step, name) in stages {
            for act in [
                Act::Close,
                Act::Stall,
                say("\u{1}what?"),
                say("999 odd"),
                Act::SayAndClose("250-cut off".into()),
                say("334 what now"),
            ] {
                let context = format!("{act:?} at {name}, pipelining {pipelining}");
                let expected = if step == Step::Dot { "unknown".to_owned() } else { format!("not_sent@{name}") };
                let (outcome, usable, caught) = staged(step, act, pipelining).await;
                assert_eq!((outcome, usable), (expected, false), "{context}");
                assert!(step == Step::Dot || caught == 0, "{context}");
            }
        }
    }
}

#[tokio::test]
async fn a_message_whose_end_never_left_was_not_sent() {
    let large = message(&"some text that fills the buffers between the two of us\r\n".repeat(400_000));
    for act in [Act::Stall, Act::Close] {
        let peer = Peer::start(at(Step::Text, act)).await;
        let mut options = options();
        options.timeouts.block = BRIEF;
        let mut session = peer.session(options).await;
        let outcome = send(&mut session, "anna@example.org", &large).await;
        assert_eq!((summary(&outcome).as_str(), session.is_usable()), ("not_sent@data", false));
    }
}

#[tokio::test]
async fn one_session_takes_message_after_message_whatever_became_of_the_last() {
    let mut peer = Peer::start(|step, line| match step {
        Step::Rcpt if line.contains("later@") => Some(say("451 4.7.1 greylisted")),
        Step::Rcpt if line.contains("nobody@") => Some(say("550 5.1.1 no such user")),
        _ => None,
    })
    .await;
    let mut session = peer.session(options()).await;
    let mut outcomes = Vec::new();
    for local in ["a", "nobody", "b", "later", "nobody", "c"] {
        outcomes.push(summary(&send(&mut session, &format!("{local}@example.org"), &message(TEXT)).await));
    }
    let expected = ["accepted", "rejected@rcpt", "accepted", "deferred@rcpt", "rejected@rcpt", "accepted"];
    assert_eq!(outcomes, expected);
    let caught = peer.caught();
    let recipients: Vec<_> = caught.iter().flat_map(|mail| &mail.recipients).collect();
    assert_eq!(recipients, ["a@example.org", "b@example.org", "c@example.org"]);
    assert!(caught.iter().all(|mail| mail.message == TEXT.as_bytes() && mail.return_path == "b@b.example"));
    session.quit().await;
}

#[tokio::test]
async fn a_go_ahead_without_a_recipient_is_answered_by_an_empty_message_to_nobody() {
    let mut peer = Peer::start(|step, line| match step {
        Step::Rcpt if line.contains("nobody@") => Some(say("550 5.1.1 no such user")),
        Step::Data => Some(say("354 go on")),
        _ => None,
    })
    .await;
    let mut session = peer.session(options()).await;
    let outcome = send(&mut session, "nobody@example.org", &message(TEXT)).await;
    assert_eq!((summary(&outcome).as_str(), session.is_usable()), ("rejected@rcpt", true));
    let outcome = send(&mut session, "anna@example.org", &message(TEXT)).await;
    assert_eq!(summary(&outcome), "accepted");
    let caught = peer.caught();
    assert_eq!((&*caught[0].message, caught[0].recipients.len()), (&b""[..], 0));
    assert_eq!((&*caught[1].message, caught[1].recipients.len()), (TEXT.as_bytes(), 1));
}

#[tokio::test]
async fn a_recipient_never_gets_an_empty_message_when_the_sender_is_refused() {
    let mut peer = Peer::start(|step, _| match step {
        Step::Mail => Some(say("550 5.7.1 not you")),
        Step::Rcpt => Some(say("250 fine")),
        Step::Data => Some(say("354 go on")),
        _ => None,
    })
    .await;
    let mut session = peer.session(options()).await;
    let outcome = send(&mut session, "anna@example.org", &message(TEXT)).await;
    assert_eq!((summary(&outcome).as_str(), session.is_usable()), ("rejected@mail", false));
    assert_eq!(peer.caught(), []);
}

#[tokio::test]
async fn an_offer_that_is_dropped_sends_nothing_and_ends_the_session() {
    let mut peer = Peer::start(|_, _| None).await;
    let mut session = peer.session(options()).await;
    let recipient = Address::parse("anna@example.org").unwrap();
    let envelope = Envelope { return_path: None, recipient: &recipient, id: "1-2" };
    let message = message(TEXT);
    drop(session.offer(&envelope, message.clone()).await.unwrap());
    assert!(!session.is_usable());
    let again = send(&mut session, "anna@example.org", &message).await;
    assert_eq!(summary(&again), "not_sent@mail");
    assert_eq!(peer.caught(), []);
}
