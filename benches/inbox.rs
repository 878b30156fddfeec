//! How many returned messages a second one core classifies, and how long the worst one takes.

use std::time::Instant;

use colloquy::mail::classify;

use crate::support::{Figure, Target, median};

const MESSAGES: usize = 40_000;
const ROUNDS: usize = 3;

pub fn run() -> Vec<Figure> {
    let reports = reports();
    let round = || {
        let begun = Instant::now();
        let found = (0..MESSAGES).filter(|n| !classify(&reports[n % reports.len()]).recipients.is_empty()).count();
        assert_eq!(found, MESSAGES, "every report names its recipient");
        let rate = MESSAGES as f64 / begun.elapsed().as_secs_f64();
        println!("  {rate:>7.0} reports/s");
        rate
    };
    let rates = (0..ROUNDS).map(|_| round()).collect();
    let worst = hostile().into_iter().map(|(name, raw)| {
        let begun = Instant::now();
        let _ = classify(&raw);
        let took = begun.elapsed().as_secs_f64() * 1_000.0;
        println!("  {took:>7.1} ms for {name}");
        took
    });
    let worst = worst.fold(0.0, f64::max);
    vec![
        Figure {
            name: "inbox, messages/s on one core".into(),
            value: median(rates),
            target: Target::AtLeast(10_000.0),
        },
        Figure { name: "inbox, ms for the worst message".into(), value: worst, target: Target::AtMost(50.0) },
    ]
}

/// Reports in the habits of several servers, each with a copy of the mail.
fn reports() -> Vec<Vec<u8>> {
    let copy =
        format!("From: news@example.com\nTo: anna@example.org\nSubject: News\n\n{}\n", "All the news. ".repeat(200));
    let head = "Return-Path: <>\nReceived: from mx.example.net by b.example.com; Mon, 1 Jan 2024 00:00:00 +0000\n";
    let words = [
        "<anna@example.org>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 no such user\nGiving up on 192.0.2.1.",
        "  anna@example.org\n    SMTP error from remote mail server after RCPT TO:<anna@example.org>:\n    host mx [192.0.2.1]: 552 mailbox full",
        "<anna@example.org>: host mx.example.org[192.0.2.1] said: 554 5.7.1 blocked using bl.example.net (in reply to RCPT TO command)",
    ];
    let told = words.iter().map(|words| {
        format!("{head}From: MAILER-DAEMON@mx.example.net\nSubject: failure notice\n\nYour message could not be delivered.\n\n{words}\n\n--- Below this line is a copy of the message.\n\n{copy}")
    });
    let standard = words.iter().zip(["5.1.1", "5.2.2", "5.7.1"]).map(|(words, status)| {
        let code = words.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        format!(
            "{head}From: postmaster@mx.example.net\nSubject: Undeliverable: News\nContent-Type: multipart/report; report-type=delivery-status; boundary=x\n\n\
             --x\n\nYour message could not be delivered.\n\n{words}\n--x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n\
             Final-Recipient: rfc822; anna@example.org\nAction: failed\nStatus: {status}\nDiagnostic-Code: smtp; {code}\n\n--x\nContent-Type: message/rfc822\n\n{copy}--x--\n"
        )
    });
    told.chain(standard).map(String::into_bytes).collect()
}

/// Messages made to take long.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let head = "From: MAILER-DAEMON@mx.example.net\nSubject: failure notice\n";
    let parts: String =
        (0..1_000).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
    let inside = "Content-Type: message/rfc822\n\n".repeat(1_000);
    let fill = |begin: &str, with: &str| format!("{head}{begin}{}", with.repeat((50 << 20) / with.len())).into_bytes();
    vec![
        ("1,000 parts inside one another", format!("{head}{parts}\n<anna@example.org>:\n550 no\n").into_bytes()),
        ("1,000 messages inside one another", format!("{head}{inside}\n<anna@example.org>:\n550 no\n").into_bytes()),
        ("50 MB of addresses", fill("\n", "<anna@example.org>: ")),
        ("50 MB of lines", fill("\n", "550 user host domain unknown mailbox full --- \n")),
        ("50 MB of one line", fill("\n", "a")),
        (
            "50 MB of fields",
            fill("Content-Type: message/delivery-status\n\n", "Final-Recipient: rfc822; a@example.org\n\n"),
        ),
        ("50 MB of base64", fill("Content-Transfer-Encoding: base64\n\n", "YWFhYWFhYWFhYWFh\n")),
        ("50 MB of header", fill("", "X-Failed-Recipients: anna@example.org\n")),
        ("50 MB of zeros", fill("\n", "\0")),
        ("50 MB of bare CR", fill("\r", "anna@example.org\r")),
    ]
}
