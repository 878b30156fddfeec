//! Replies of servers, reports and ordinary mail written for these tests, held against the whole classification.

use super::super::classify;
use crate::domain::inbound::{Consequence, Kind};

const REPLIES: &str = include_str!("replies.txt");
const REPORTS: &str = include_str!("reports.txt");
const ORDINARY: &str = include_str!("ordinary.txt");

/// What is wrong with the recipient, if anything.
fn wrong(message: &str, expected: &str, address: &str) -> Option<String> {
    let found = classify(message.as_bytes());
    let Some(own) = found.recipients.iter().find(|own| own.address == address) else {
        return Some(format!("{address} is not named, but {:?}", found.recipients));
    };
    let right = match expected {
        "dead" => own.consequence == Consequence::Dead && own.hard,
        "hard" => own.hard,
        "soft" => !own.hard && own.consequence != Consequence::Dead,
        word => own.consequence.as_str() == word,
    };
    (!right).then(|| {
        let (reason, consequence, evidence) = (own.reason.as_str(), own.consequence.as_str(), &own.evidence);
        format!("{expected} is {reason}, {consequence} by {}: {}", evidence.rule, evidence.words)
    })
}

/// A reply in the reports of Postfix, Exim and sendmail.
fn reported(step: &str, reply: &str) -> [(&'static str, String); 3] {
    let (postfix, exim, sendmail) = match step {
        "connect" => ("refused to talk to me", "after initial connection", "EHLO b.example.com"),
        "mail" => ("said", "after MAIL FROM:<b+1@b.example.com>", "MAIL From:<b+1@b.example.com>"),
        "rcpt" => ("said", "after RCPT TO:<anna@example.org>", "RCPT To:<anna@example.org>"),
        _ => ("said", "after end of data", "DATA"),
    };
    let answered = match step {
        "connect" => "",
        "mail" => " (in reply to MAIL FROM command)",
        "rcpt" => " (in reply to RCPT TO command)",
        _ => " (in reply to end of DATA command)",
    };
    let status = reply.split_whitespace().nth(1).filter(|word| word.split('.').count() == 3 && !word.contains(':'));
    let joined = reply.get(4..9).filter(|word| word.split('.').count() == 3 && reply.as_bytes()[3] == b'-');
    let status = status
        .or(joined)
        .map_or_else(|| format!("{}.0.0", &reply[..1]), |word| word.trim_start_matches('#').to_owned());
    let told = format!("host mx.example.org[192.0.2.1] {postfix}: {reply}{answered}");
    let report = format!(
        "From: MAILER-DAEMON@mx.example.net (Mail Delivery System)\nSubject: Undelivered Mail Returned to Sender\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n--x\n\n<anna@example.org>: {told}\n\n--x\n\
         Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; anna@example.org\n\
         Action: failed\nStatus: {status}\nRemote-MTA: dns; mx.example.org\nDiagnostic-Code: smtp; {reply}\n\n--x--\n"
    );
    let exim = format!(
        "From: Mail Delivery System <Mailer-Daemon@mx.example.net>\nX-Failed-Recipients: anna@example.org\n\
         Subject: Mail delivery failed: returning message to sender\n\nThe following address(es) failed:\n\n  anna@example.org\n    \
         host mx.example.org [192.0.2.1]\n    SMTP error from remote mail server {exim}:\n    {reply}\n\n\
         ------ This is a copy of your message, including all the headers. ------\n"
    );
    let sendmail = format!(
        "From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>\nSubject: Returned mail: see transcript for details\n\n   \
         ----- The following addresses had permanent fatal errors -----\n<anna@example.org>\n\n   ----- Transcript of session follows -----\n\
         ... while talking to mx.example.org.:\n>>> {sendmail}\n<<< {reply}\n554 5.0.0 Service unavailable\n"
    );
    [("Postfix", report), ("Exim", exim), ("sendmail", sendmail)]
}

#[test]
fn what_servers_answer_has_the_consequence_that_it_should() {
    let mut faults = Vec::new();
    let mut all = 0;
    for line in REPLIES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (head, reply) = line.split_once(" | ").expect("expectation and step, then the reply");
        let (expected, step) = head.split_once(' ').expect("an expectation and a step");
        for (server, message) in reported(step.trim(), reply) {
            all += 1;
            faults.extend(
                wrong(&message, expected, "anna@example.org").map(|wrong| format!("{server}, {step}: {wrong}")),
            );
        }
    }
    assert!(faults.is_empty(), "{} of {all} are wrong\n{}", faults.len(), faults.join("\n"));
}

/// Each message with the words of the line before it.
fn messages(list: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    list.split("\n=== ").skip(1).map(|message| message.split_once('\n').expect("a line of expectations and a message"))
}

#[test]
fn reports_in_the_habits_of_servers_name_whom_they_are_about_and_what_follows() {
    let mut faults = Vec::new();
    let mut all = 0;
    for (head, message) in messages(REPORTS) {
        all += 1;
        let (kind, recipients) = head.split_once(" | ").expect("a kind, then recipients");
        let found = classify(message.as_bytes());
        let expected: Vec<_> = recipients.split(", ").filter_map(|one| one.split_once(' ')).collect();
        let begin: String = message.chars().take(700).collect();
        if found.kind.as_str() != kind || found.recipients.len() != expected.len() {
            faults.push(format!("--- {kind} of {} is {found:?}\n{begin}", expected.len()));
        } else if let Some(wrong) = expected.iter().find_map(|(address, expected)| wrong(message, expected, address)) {
            faults.push(format!("--- {wrong}\n{begin}"));
        }
    }
    assert!(faults.is_empty(), "{} of {all} are wrong\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn ordinary_mail_and_automatic_answers_are_no_reports() {
    let mut faults = Vec::new();
    let mut all = 0;
    for (kind, message) in messages(ORDINARY) {
        all += 1;
        let found = classify(message.as_bytes());
        let right = match kind {
            "no report" => matches!(found.kind, Kind::Reply | Kind::Other | Kind::AutoReply | Kind::Unsubscribe),
            kind => found.kind.as_str() == kind,
        };
        if !right || found.recipients.iter().any(|own| own.consequence != Consequence::None) {
            let begin: String = message.chars().take(150).collect();
            faults.push(format!("--- {kind} is {} by {:?}\n{begin}", found.kind.as_str(), found.evidence));
        }
    }
    assert!(faults.is_empty(), "{} of {all} are wrong\n{}", faults.len(), faults.join("\n"));
}
