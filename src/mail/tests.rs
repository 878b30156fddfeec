//! Reports written for these tests, in the habits of real servers, and bytes that no server writes.

mod written;

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::domain::inbound::{Consequence, Kind, Reason};

/// A report with a part for programs.
fn report(fields: &str) -> String {
    format!(
        "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example.net\r\nTo: bounce+1@b.example.com\r\n\
         Subject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"x\"\r\n\r\n\
         --x\r\nContent-Type: text/plain\r\n\r\nYour message could not be delivered.\r\n\r\n\
         --x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n{fields}\r\n\
         --x\r\nContent-Type: message/rfc822\r\n\r\nFrom: news@example.com\r\nTo: anna@example.org\r\n\r\nHello\r\n--x--\r\n"
    )
}

/// A report in words alone.
fn told(from: &str, subject: &str, words: &str) -> String {
    format!("From: {from}\nTo: bounce+1@b.example.com\nSubject: {subject}\n\n{words}")
}

/// Address, reason, hard and consequence of each recipient.
fn outcome(message: &str) -> (Kind, Vec<(String, &'static str, bool, Consequence)>) {
    let found = classify(message.as_bytes());
    let recipients = found.recipients.into_iter().map(|r| (r.address, r.reason.as_str(), r.hard, r.consequence));
    (found.kind, recipients.collect())
}

fn one(
    address: &str,
    reason: Reason,
    hard: bool,
    consequence: Consequence,
) -> Vec<(String, &'static str, bool, Consequence)> {
    vec![(address.to_owned(), reason.as_str(), hard, consequence)]
}

#[test]
fn a_standard_report_names_address_status_and_reason() {
    let message = report(
        "Final-Recipient: rfc822; anna@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 <anna@example.org>: Recipient address rejected:\r\n User unknown\r\n",
    );
    let found = classify(message.as_bytes());
    assert_eq!(
        outcome(&message),
        (Kind::Bounce, one("anna@example.org", Reason::UserUnknown, true, Consequence::Dead))
    );
    assert_eq!(
        (found.recipients[0].reply_code, found.recipients[0].status.unwrap().to_string()),
        (Some(550), "5.1.1".into())
    );
    assert_eq!(found.recipients[0].evidence.part, "message/delivery-status");
}

#[test]
fn what_may_pass_and_what_lies_with_the_sender_is_never_dead() {
    for (status, words, reason, consequence) in [
        ("5.2.2", "552 5.2.2 <anna@example.org>: mailbox full", Reason::MailboxFull, Consequence::Retry),
        ("5.1.1", "450 4.1.1 <anna@example.org>: user unknown, try later", Reason::Unconfirmed, Consequence::Retry),
        ("4.1.1", "450 4.1.1 <anna@example.org>: user unknown, unverified", Reason::Temporary, Consequence::Retry),
        ("5.7.26", "550 5.7.26 unauthenticated email from example.com", Reason::Authentication, Consequence::Block),
        ("5.7.1", "554 5.7.1 blocked using bl.example.net", Reason::Reputation, Consequence::Block),
        ("5.7.1", "550 5.7.1 <anna@example.org>: Relaying denied", Reason::Relaying, Consequence::Block),
        ("5.6.0", "554 rejected as spam", Reason::Content, Consequence::Block),
        ("4.7.0", "421 4.7.0 too many connections from your IP", Reason::Rate, Consequence::Block),
        ("5.1.8", "501 5.1.8 sender address rejected: domain not found", Reason::Policy, Consequence::Block),
        ("5.0.0", "550 unknown user anna@example.org", Reason::Unconfirmed, Consequence::None),
        ("5.4.7", "message expired", Reason::Expired, Consequence::Retry),
        ("5.3.4", "552 message too big", Reason::TooBig, Consequence::None),
    ] {
        let fields = format!(
            "Final-Recipient: rfc822; anna@example.org\r\nAction: failed\r\nStatus: {status}\r\nDiagnostic-Code: smtp; {words}\r\n"
        );
        let (_, found) = outcome(&report(&fields));
        let expected = if status == "4.1.1" { None } else { Some(reason.as_str()) };
        assert!(expected.is_none_or(|reason| found[0].1 == reason), "{words}: {found:?}");
        assert_eq!(found[0].3, consequence, "{words}: {found:?}");
    }
}

#[test]
fn a_delay_is_no_bounce() {
    let message = report(
        "Final-Recipient: rfc822; anna@example.org\r\nAction: delayed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 user unknown\r\n",
    );
    let (kind, found) = outcome(&message);
    assert_eq!((kind, found[0].2, found[0].3), (Kind::Delay, false, Consequence::Retry));
}

#[test]
fn each_recipient_of_a_report_is_judged_alone() {
    let message = report(
        "Final-Recipient: rfc822; anna@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n\
         Final-Recipient: rfc822; bert@example.org\r\nAction: failed\r\nStatus: 5.2.2\r\n\r\n\
         Final-Recipient: rfc822; cleo@example.org\r\nAction: relayed\r\nStatus: 2.1.5\r\n",
    );
    let (kind, found) = outcome(&message);
    let found: Vec<_> = found.iter().map(|(address, reason, ..)| (address.as_str(), *reason)).collect();
    assert_eq!(
        (kind, found),
        (Kind::Bounce, vec![("anna@example.org", "user-unknown"), ("bert@example.org", "mailbox-full")])
    );
}

#[test]
fn a_report_that_came_back_itself_is_read_too() {
    let inner = report("Final-Recipient: rfc822; anna@example.org\r\nAction: failed\r\nStatus: 5.2.2\r\n");
    let outer = report("Final-Recipient: rfc822; bert@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n");
    let outer = outer.replace("\"x\"", "\"outer\"").replace("--x", "--outer");
    let (kind, found) = outcome(&outer.replace("From: news@example.com\r\n", &inner));
    let found: Vec<_> = found.iter().map(|(address, reason, ..)| (address.as_str(), *reason)).collect();
    assert_eq!(kind, Kind::Bounce);
    assert_eq!(found, [("bert@example.org", "user-unknown"), ("anna@example.org", "mailbox-full")]);
}

#[test]
fn a_forwarded_address_is_named_with_the_one_that_was_mailed() {
    let message = report(
        "Original-Recipient: rfc822; anna@example.org\r\nFinal-Recipient: rfc822; a.new@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n",
    );
    let found = &classify(message.as_bytes()).recipients[0];
    assert_eq!((found.address.as_str(), found.original.as_deref()), ("a.new@example.net", Some("anna@example.org")));
}

#[test]
fn reports_in_words_are_read_in_the_habits_of_servers() {
    for (name, from, subject, words, reason, consequence) in [
        (
            "qmail",
            "MAILER-DAEMON@mx.example.net",
            "failure notice",
            "Hi. This is the qmail-send program at mx.example.net.\n\n<anna@example.org>:\n192.0.2.1 does not like recipient.\n\
          Remote host said: 550 5.1.1 no such user\nGiving up on 192.0.2.1.\n\n--- Below this line is a copy of the message.\n\nReturn-Path: <x@y.example>\n",
            Reason::UserUnknown,
            Consequence::Dead,
        ),
        (
            "Exim",
            "Mail Delivery System <Mailer-Daemon@mx.example.net>",
            "Mail delivery failed: returning message to sender",
            "A message that you sent could not be delivered to one or more of its\nrecipients. The following address(es) failed:\n\n  \
          anna@example.org\n    host mx.example.org [192.0.2.1]\n    SMTP error from remote mail server after RCPT TO:<anna@example.org>:\n    \
          550 no such user\n\n------ This is a copy of the message, including all the headers. ------\n",
            Reason::UserUnknown,
            Consequence::Dead,
        ),
        (
            "Exim, after the content",
            "Mailer-Daemon@mx.example.net",
            "Mail delivery failed",
            "could not be delivered:\n\n  anna@example.org\n    SMTP error from remote mail server after end of data:\n    550 no such user\n",
            Reason::Unconfirmed,
            Consequence::None,
        ),
        (
            "IMail",
            "Postmaster <postmaster@example.org>",
            "Undeliverable Mail",
            "Invalid final delivery userid: anna@example.org\n\n\nOriginal message follows.\n\nTo: other@example.org\n",
            Reason::UserUnknown,
            Consequence::Dead,
        ),
        (
            "a full box in German",
            "MAILER-DAEMON@mx.example.net",
            "Unzustellbar: Neues",
            "Ihre Nachricht konnte nicht zugestellt werden:\n\n<anna@example.org>: Das Postfach des Empfängers ist voll\n",
            Reason::MailboxFull,
            Consequence::Retry,
        ),
        (
            "MailEnable",
            "Delivery Subsystem <postmaster@example.net>",
            "Message Delivery Failure",
            "The following recipient(s) could not be reached:\n\n\tRecipient: [SMTP:anna@example.org]\n\tReason: Remote SMTP Server Returned: 554 blocked as spam\n",
            Reason::Content,
            Consequence::Block,
        ),
        (
            "no daemon, a name server's words",
            "MAILER-DAEMON <>",
            "Mail delivery failed",
            "There was an error delivering your mail to <anna@example.org>.\n\nDNS lookup failure: host example.org not found\n\nMessage headers follow.\n",
            Reason::HostUnknown,
            Consequence::Dead,
        ),
    ] {
        let (kind, found) = outcome(&told(from, subject, words));
        let hard = consequence == Consequence::Dead;
        assert_eq!((kind, found), (Kind::Bounce, one("anna@example.org", reason, hard, consequence)), "{name}");
    }
}

#[test]
fn the_header_of_exim_names_the_address() {
    let message = "From: Mailer-Daemon@mx.example.net\nX-Failed-Recipients: anna@example.org,\n bert@example.org\nAuto-Submitted: auto-replied\n\
                   Subject: Mail delivery failed\n\n  anna@example.org\n    Unrouteable address\n\n  bert@example.org\n    mailbox is full\n";
    let (kind, found) = outcome(message);
    let found: Vec<_> = found.iter().map(|(address, reason, ..)| (address.as_str(), *reason)).collect();
    assert_eq!(
        (kind, found),
        (Kind::Bounce, vec![("anna@example.org", "host-unknown"), ("bert@example.org", "mailbox-full")])
    );
}

#[test]
fn feedback_is_a_complaint_unless_it_is_about_signatures() {
    for (kind, reason, consequence) in [
        ("abuse", Reason::Complaint, Consequence::Complaint),
        ("opt-out", Reason::Complaint, Consequence::Complaint),
        ("auth-failure", Reason::Authentication, Consequence::Block),
        ("not-spam", Reason::Unknown, Consequence::None),
    ] {
        let message = format!(
            "From: fbl@example.net\nSubject: FW: news\nContent-Type: multipart/report; report-type=feedback-report; boundary=x\n\n\
             --x\n\nreport\n--x\nContent-Type: message/feedback-report\n\nFeedback-Type: {kind}\nVersion: 1\n\
             Original-Rcpt-To: <anna@example.org>\n\n--x--\n"
        );
        assert_eq!(outcome(&message), (Kind::Complaint, one("anna@example.org", reason, false, consequence)));
    }
}

#[test]
fn a_notification_in_json_is_a_report() {
    let message = told(
        "no-reply@sns.example.com",
        "Notification",
        "{\"notificationType\":\"Bounce\",\"bounce\":{\"bouncedRecipients\":\
        [{\"emailAddress\":\"anna@example.org\",\"status\":\"5.1.1\",\"diagnosticCode\":\"smtp; 550 5.1.1 user unknown\"}]}}",
    );
    assert_eq!(
        outcome(&message),
        (Kind::Bounce, one("anna@example.org", Reason::UserUnknown, true, Consequence::Dead))
    );
}

#[test]
fn what_programs_answer_is_told_from_what_people_write() {
    for (header, words, kind) in [
        ("Subject: Out of Office\nAuto-Submitted: auto-replied", "Back on Monday. User unknown.", Kind::AutoReply),
        ("Subject: Abwesenheitsnotiz: Neues", "Ich bin im Urlaub.", Kind::AutoReply),
        ("Subject: Re: news\nX-Autoreply: yes", "thanks", Kind::AutoReply),
        ("Subject: My new email address", "Please note.", Kind::AutoReply),
        ("Subject: unsubscribe", "", Kind::Unsubscribe),
        ("Subject: Re: news\nIn-Reply-To: <1@example.com>", "STOP", Kind::Unsubscribe),
        (
            "Subject: Re: news\nIn-Reply-To: <1@example.com>",
            "Stop by when you are in town, I have a mailbox.",
            Kind::Reply,
        ),
        (
            "Subject: Re: Undelivered Mail Returned to Sender",
            "Did you see this?\n> <bert@example.org>: 550 5.1.1 user unknown",
            Kind::Reply,
        ),
        ("Subject: Fwd: failure notice", "<bert@example.org>:\n550 5.1.1 user unknown", Kind::Other),
        ("Subject: Lunch?", "The delivery to bert@example.org failed, user unknown. Call him.", Kind::Other),
    ] {
        let message = format!("From: Anna <anna@example.org>\nTo: service@example.com\n{header}\n\n{words}\n");
        let (found, recipients) = outcome(&message);
        assert_eq!(found, kind, "{header}");
        assert!(recipients.iter().all(|(.., consequence)| *consequence == Consequence::None), "{header}");
    }
}

#[test]
fn bad_line_ends_charsets_and_zeros_are_read_all_the_same() {
    let message =
        told("MAILER-DAEMON@mx.example.net", "failure notice", "<anna@example.org>:\n550 5.1.1 no such user\n");
    let expected = outcome(&message);
    assert_eq!(expected.1.len(), 1);
    assert_eq!(outcome(&message.replace('\n', "\r")), expected, "bare CR");
    assert_eq!(outcome(&message.replace('\n', "\r\n")), expected, "CR LF");
    assert_eq!(outcome(&message.replace("no such", "no\0such").replace("5.1.1", "5.1.1\0")).0, Kind::Bounce, "NUL");
    assert_eq!(
        outcome(&message.replace("Subject:", "Content-Type: text/plain; charset=x-nonsense\nSubject:")),
        expected
    );
    assert_eq!(outcome(&format!("From daemon Mon Jan  1 00:00:00 2024\n{message}")), expected, "from a mail folder");
}

#[test]
fn a_truncated_report_still_names_whom_it_got_to() {
    let message = report("Final-Recipient: rfc822; anna@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n");
    let end = message.find("Status: 5.1.1").unwrap() + 13;
    assert_eq!(outcome(&message[..end]).1, one("anna@example.org", Reason::UserUnknown, true, Consequence::Dead));
    for end in 0..message.len() {
        let _ = classify(&message.as_bytes()[..end]);
    }
}

#[test]
fn a_thousand_parts_inside_one_another_and_fifty_megabytes_are_read() {
    for inner in ["multipart/mixed; boundary=\"b{}\"", "message/rfc822"] {
        let mut message = String::from("From: MAILER-DAEMON@mx.example.net\n");
        for depth in 0..1_000 {
            let kind = inner.replace("{}", &depth.to_string());
            let begin = if inner.contains("{}") { format!("--b{depth}\n") } else { String::new() };
            write!(message, "Content-Type: {kind}\n\n{begin}").unwrap();
        }
        message.push_str("Content-Type: text/plain\n\n<anna@example.org>: 550 5.1.1 user unknown\n");
        assert!(classify(message.as_bytes()).recipients.iter().all(|own| own.consequence != Consequence::Dead));
    }
    let mut huge =
        report("Final-Recipient: rfc822; anna@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n").into_bytes();
    huge.resize(50 << 20, b'@');
    assert_eq!(classify(&huge).recipients.len(), 1);
    huge.fill(b'@');
    assert_eq!(classify(&huge).kind, Kind::Other);
}

#[test]
fn messages_inside_a_part_that_has_ended_are_read() {
    let message = "Content-Type: multipart/mixed; boundary=\"b\"\n\nwords --b--\nContent-Type: message/rfc822\n\n\
                   To: a --b\nContent-Type: message/rfc822\n\nTo: b\n\nNews\n\n--b--\n";
    assert_eq!(classify(message.as_bytes()).kind, Kind::Other);
}

#[test]
fn addresses_without_end_or_with_control_characters_are_none() {
    for address in
        [format!("{}@example.org", "a".repeat(100)) + &".example".repeat(60), "\u{7f}anna@example.org\u{1}".into()]
    {
        for message in [
            report(&format!("Final-Recipient: rfc822; {address}\r\nAction: failed\r\nStatus: 5.1.1\r\n")),
            format!("From: {address}\nSubject: Out of Office\n\nback soon\n"),
            told("MAILER-DAEMON@mx.example.net", "failure notice", &format!("<{address}>:\n550 5.1.1 no such user\n")),
        ] {
            for own in classify(message.as_bytes()).recipients {
                assert!(own.address.len() <= 320 && !own.address.contains(char::is_control), "{own:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_classified(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = classify(&bytes);
    }

    #[test]
    fn a_report_with_bytes_changed_is_classified(at in prop::collection::vec((0..900usize, any::<u8>()), 1..30)) {
        let mut bytes = report("Final-Recipient: rfc822; \"a b\"@example.org\r\nAction: failed\r\nDiagnostic-Code: smtp; 550-5.1.1 nö\r\n").into_bytes();
        for (at, byte) in at {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let _ = classify(&bytes);
    }

    #[test]
    fn words_of_any_kind_are_classified(words in "(<?[a-z\"'=@.ü\u{0}]{1,12}@?[a-z.-]{0,8}>?[: \n]{1,2}([245][0-9]{2}[ -])?([245]\\.[0-9]\\.[0-9]{1,3})?){0,40}") {
        let _ = classify(told("MAILER-DAEMON@mx.example.net", "failure notice", &words).as_bytes());
    }
}
