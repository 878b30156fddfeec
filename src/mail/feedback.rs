//! Feedback reports (RFC 5965, RFC 6591) and the common variants.

use super::address::{addresses, plain};
use super::classify::{Classified, Evidence, Recipient};
use super::fields::{self, Fields};
use super::letter::{Holds, Letter};
use crate::domain::inbound::{Consequence, Kind, Reason, Sign, sign};

/// What a feedback report says, when it is one.
pub(super) fn read(letter: &Letter<'_>) -> Option<Classified> {
    if let Some((media, fields)) = report(letter) {
        let named = ["original-rcpt-to", "removal-recipient", "original-recipient", "x-original-recipient"];
        let mut found: Vec<String> = Vec::new();
        for value in named.iter().flat_map(|name| fields.all(name)) {
            found.extend(addresses(value).map(|found| plain(found.address)));
        }
        if found.is_empty() {
            found = letter.returned_to();
        }
        let kind = fields.get("feedback-type").unwrap_or("abuse").trim().to_ascii_lowercase();
        return Some(complaint(found, &kind, &media, Evidence::new(&media, "feedback-report", &kind)));
    }
    let first: String =
        letter.all(Holds::Text).next().map(|part| part.text.chars().take(400).collect()).unwrap_or_default();
    let path = letter.header.get("return-path").unwrap_or_default();
    let line = [path, &letter.from, &letter.subject, &first].join(" | ").replace(['\r', '\n'], " ");
    let rule = sign(Sign::ComplaintWords, &line)?;
    let mut found = letter.returned_to();
    if found.is_empty() {
        found.extend(letter.to.iter().take(1).cloned());
    }
    Some(complaint(found, "abuse", "header", Evidence::new("header", rule, &letter.subject)))
}

/// The fields of the report: in a part of its own, or in one that has the wrong type.
fn report(letter: &Letter<'_>) -> Option<(String, Fields)> {
    let part = letter.all(Holds::Feedback).next().or_else(|| {
        let is_report =
            |text: &str| text.get(..2_000).unwrap_or(text).lines().any(|line| line.starts_with("Feedback-Type:"));
        letter.all(Holds::Text).find(|part| is_report(&part.text))
    })?;
    let mut all = Fields::default();
    fields::blocks(&part.text).into_iter().for_each(|block| all.extend(block));
    Some((part.media.clone(), all))
}

fn complaint(mut found: Vec<String>, kind: &str, part: &str, evidence: Evidence) -> Classified {
    let mut seen: Vec<String> = Vec::new();
    found.retain(|address| {
        let key = address.to_ascii_lowercase();
        let new = !seen.contains(&key);
        seen.push(key);
        new
    });
    let (reason, consequence) = match kind {
        // About the sender's signatures, not from the recipient.
        "auth-failure" | "dkim" | "dmarc" => (Reason::Authentication, Consequence::Block),
        // The recipient took it out of the spam folder.
        "not-spam" => (Reason::Unknown, Consequence::None),
        "virus" => (Reason::Content, Consequence::Block),
        _ => (Reason::Complaint, Consequence::Complaint),
    };
    let recipient = |address| Recipient {
        address,
        original: None,
        status: None,
        reply_code: None,
        reason,
        hard: false,
        consequence,
        evidence: Evidence::new(part, "feedback-type", kind),
    };
    let recipients = found.into_iter().map(recipient).collect();
    Classified { kind: Kind::Complaint, recipients, consequence, evidence }
}
