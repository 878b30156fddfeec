//! `colloquy inbox classify` as a user calls it.

use std::process::{Command, Output};

use serde_json::Value;

const REPORT: &str = "From: MAILER-DAEMON@mx.example.net\nTo: b@b.example.com\nSubject: Undelivered Mail Returned to Sender\n\
    Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n--x\n\nSorry.\n--x\n\
    Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n\
    Final-Recipient: rfc822; anna@example.org\nAction: failed\nStatus: 5.1.1\n\
    Diagnostic-Code: smtp; 550 5.1.1 User unknown\n\n--x--\n";

const LETTER: &str = "From: Anna <anna@example.org>\nSubject: Lunch?\n\nAt noon.\n";

fn classify(arguments: &[&str], input: &str) -> Output {
    super::fed(
        Command::new(env!("CARGO_BIN_EXE_colloquy")).args(["inbox", "classify"]).args(arguments),
        input.as_bytes(),
    )
}

#[test]
fn each_message_is_an_object_with_its_evidence() {
    let dir = tempfile::tempdir().unwrap();
    let (report, letter) = (dir.path().join("report.eml"), dir.path().join("letter.eml"));
    std::fs::write(&report, REPORT).unwrap();
    std::fs::write(&letter, LETTER).unwrap();
    let found = classify(&["--json", report.to_str().unwrap(), letter.to_str().unwrap()], "");
    assert!(found.status.success());
    let lines: Vec<Value> =
        String::from_utf8(found.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["file"], report.to_str().unwrap());
    assert_eq!(lines[0]["kind"], "bounce");
    let recipient = &lines[0]["recipients"][0];
    assert_eq!(recipient["address"], "anna@example.org");
    assert_eq!((&recipient["status"], &recipient["reply_code"]), (&"5.1.1".into(), &550.into()));
    assert_eq!((&recipient["reason"], &recipient["hard"]), (&"user-unknown".into(), &true.into()));
    assert_eq!(recipient["consequence"], "dead");
    assert_eq!(recipient["evidence"]["part"], "message/delivery-status");
    assert_eq!(recipient["evidence"]["rule"], "status-and-words");
    assert_eq!(lines[1]["kind"], "other");
    assert_eq!(lines[1]["recipients"], Value::Array(Vec::new()));
}

#[test]
fn standard_input_is_a_message_and_people_read_the_reason() {
    let found = classify(&["-"], REPORT);
    let text = String::from_utf8(found.stdout).unwrap();
    assert!(text.starts_with("-: bounce\n"), "{text}");
    assert!(text.contains("anna@example.org: 550 5.1.1 user-unknown, hard: dead\n"), "{text}");
    assert!(text.contains("by status-and-words in message/delivery-status: smtp; 550 5.1.1 User unknown"), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_rest_is_classified() {
    let dir = tempfile::tempdir().unwrap();
    let letter = dir.path().join("letter.eml");
    std::fs::write(&letter, LETTER).unwrap();
    let missing = dir.path().join("missing.eml");
    let found =
        classify(&["--json", missing.to_str().unwrap(), dir.path().to_str().unwrap(), letter.to_str().unwrap()], "");
    assert_eq!(found.status.code(), Some(1));
    assert_eq!(String::from_utf8(found.stdout).unwrap().lines().count(), 1);
    let errors = String::from_utf8(found.stderr).unwrap();
    assert!(errors.contains("missing.eml: No such file"), "{errors}");
    assert_eq!(errors.lines().count(), 2, "{errors}");
}
