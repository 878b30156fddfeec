//! The header of a message (RFC 5322): what is the same for all, and what is not.
//!
//! Every value passes through [`one_line`] or consists of characters chosen here, so that no value
//! can begin another field.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::notice::programme_name;
use crate::domain::campaign::Campaign;
use crate::domain::notice::NoticeKind;
use crate::domain::project::Sender;
use crate::domain::time::Micros;

/// Octets of a line that should not be exceeded (RFC 5322 §2.1.1).
const LINE: usize = 78;
/// Octets of a line of words before it is folded.
const FOLD: usize = 76;
/// Octets of text in an encoded word: with the field's name in front its line stays within 76 (RFC
/// 2047 §2).
const WORD: usize = 39;

/// Fields that every message of a campaign shares.
pub(super) struct Fixed {
    /// `From`.
    pub from: String,
    /// Where answers go, unless `rest` says so for all.
    pub answers: Answers,
    /// `Reply-To` if it is the same for all, `List-Id` (RFC 2919), `List-Unsubscribe-Post` (RFC 8058), `Feedback-ID`,
    /// `MIME-Version`; of a notice `Auto-Submitted` in place of lists.
    pub rest: String,
    /// The domain of From.
    pub domain: String,
    /// Whether these are of a notice, which is on no list.
    pub is_notice: bool,
}

/// Where answers to a message go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// To one address for all, if any.
    Together,
    /// To an address that is signed for the message.
    Signed,
    /// To who wrote what the notice passes on.
    Author,
}

impl Answers {
    fn of(campaign: &Campaign, sender: &Sender) -> Self {
        if campaign.topic.is_empty() {
            let passes_on = campaign.name == programme_name(NoticeKind::ForwardedReply);
            return if passes_on { Self::Author } else { Self::Together };
        }
        if sender.catches_replies && sender.bounce_domain.is_some() { Self::Signed } else { Self::Together }
    }
}

impl Fixed {
    /// Puts them together.
    pub fn new(campaign: &Campaign, sender: &Sender) -> Self {
        let domain = sender.from_domain().to_owned();
        let mut from = String::new();
        mailbox("From", &sender.from_name, &sender.from_address, &mut from);
        let mut rest = String::new();
        let answers = Answers::of(campaign, sender);
        if let Some(reply_to) = sender.reply_to.as_ref().filter(|_| answers == Answers::Together) {
            mailbox("Reply-To", "", reply_to, &mut rest);
        }
        if campaign.topic.is_empty() {
            // A notice (RFC 3834 §5).
            field("Auto-Submitted", "auto-generated", &mut rest);
            field("MIME-Version", "1.0", &mut rest);
            return Self { from, answers, rest, domain, is_notice: true };
        }
        // Names of topics and campaigns are made of characters that may stand here.
        let Campaign { name, topic, .. } = campaign;
        field("List-Id", &format!("<{topic}.{domain}>"), &mut rest);
        field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click", &mut rest);
        field("Feedback-ID", &format!("{name}:{topic}:m:{}", sender_id(&domain)), &mut rest);
        field("MIME-Version", "1.0", &mut rest);
        Self { from, answers, rest, domain, is_notice: false }
    }
}

/// Writes an unstructured field, folded, its value in encoded words (RFC 2047) where it is not plain
/// ASCII.
pub(super) fn unstructured(name: &str, value: &str, out: &mut String) {
    out.push_str(name);
    out.push(':');
    let mut column = name.len() + 1;
    let plain = value.is_ascii() && !value.contains("=?") && value.split(' ').all(|word| word.len() < 60);
    let words: Box<dyn Iterator<Item = Cow<'_, str>>> =
        if plain { Box::new(value.split(' ').map(Into::into)) } else { Box::new(encoded_words(value).map(Into::into)) };
    for word in words {
        if column + 1 + word.len() > FOLD && column > name.len() + 1 {
            out.push_str("\r\n");
            column = 0;
        }
        out.push(' ');
        out.push_str(&word);
        column += 1 + word.len();
    }
    out.push_str("\r\n");
}

/// The text on one line: control characters and runs of space become one space, the ends are cut.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty());
    let mut out = String::with_capacity(text.len());
    for word in words {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Writes a field whose value is one piece, folded before it where the line would be too long.
pub(super) fn field(name: &str, value: &str, out: &mut String) {
    let gap = if name.len() + 2 + value.len() > LINE { ":\r\n " } else { ": " };
    for part in [name, gap, value, "\r\n"] {
        out.push_str(part);
    }
}

/// Writes the ways to unsubscribe, the one of a click first (RFC 8058 §3.1).
pub(super) fn list_unsubscribe(https: &str, mailto: Option<&str>, out: &mut String) {
    const NAME: &str = "List-Unsubscribe";
    let gap = if NAME.len() + 5 + https.len() > LINE { ":\r\n <" } else { ": <" };
    for part in [NAME, gap, https, ">"] {
        out.push_str(part);
    }
    for part in mailto.map(|mailto| [",\r\n <", mailto, ">"]).into_iter().flatten() {
        out.push_str(part);
    }
    out.push_str("\r\n");
}

/// The `Date` field, in UTC: one for all messages of a second.
#[derive(Default)]
pub(super) struct DateField {
    second: i64,
    text: String,
}

impl DateField {
    /// The field of an instant.
    pub fn at(&mut self, at: Micros) -> &str {
        let second = at.0.div_euclid(1_000_000);
        if self.text.is_empty() || self.second != second {
            let time = jiff::Timestamp::from(at).to_zoned(jiff::tz::TimeZone::UTC);
            *self = Self { second, text: time.strftime("Date: %a, %d %b %Y %H:%M:%S +0000\r\n").to_string() };
        }
        &self.text
    }
}

/// Writes a field with one mailbox.
pub(super) fn mailbox(field: &str, name: &str, address: &str, out: &mut String) {
    let name = one_line(name);
    let address = address.replace(|c: char| c.is_control() || c.is_whitespace() || "<>".contains(c), "");
    if name.is_empty() {
        self::field(field, &address, out);
    } else if !name.is_ascii() || name.len() > FOLD / 2 {
        let words: Vec<String> = encoded_words(&name).collect();
        out.push_str(&format!("{field}: {}\r\n <{address}>\r\n", words.join("\r\n ")));
    } else {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        let gap = if field.len() + quoted.len() + address.len() + 7 > LINE { "\r\n " } else { " " };
        out.push_str(&format!("{field}: \"{quoted}\"{gap}<{address}>\r\n"));
    }
}

fn encoded_words(text: &str) -> impl Iterator<Item = String> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = rest.len().min(WORD);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (word, tail) = rest.split_at(end);
        rest = tail;
        Some(format!("=?utf-8?B?{}?=", STANDARD.encode(word)))
    })
}

/// Gmail's `SenderId`: 5 to 15 characters, the same for all of a sender's mail.
fn sender_id(domain: &str) -> String {
    let mut id: String = domain.chars().filter(char::is_ascii_alphanumeric).take(15).collect();
    while id.len() < 5 {
        id.push('0');
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(value: &str) -> String {
        let mut out = String::new();
        unstructured("Subject", value, &mut out);
        out
    }

    #[test]
    fn subjects_are_folded_and_encoded_where_needed() {
        assert_eq!(subject("Plain words"), "Subject: Plain words\r\n");
        assert_eq!(subject("Für dich"), "Subject: =?utf-8?B?RsO8ciBkaWNo?=\r\n");
        let long = "word ".repeat(60);
        assert!(subject(long.trim()).split("\r\n").all(|l| l.len() <= FOLD));
        let unbroken = subject(&"ü".repeat(300));
        assert!(unbroken.split("\r\n").all(|l| l.len() <= FOLD && l.is_ascii()));
        assert!(subject(&"x".repeat(2_000)).split("\r\n").all(|l| l.len() <= FOLD));
        assert!(subject("=?utf-8?q?faked?=").contains("=?utf-8?B?"));
    }

    #[test]
    fn a_date_is_of_its_second() {
        let mut date = DateField::default();
        for (at, written) in [
            (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (999_999, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (1_796_000_000_000_000, "Mon, 30 Nov 2026 00:53:20 +0000"),
            (-1, "Wed, 31 Dec 1969 23:59:59 +0000"),
        ] {
            assert_eq!(date.at(Micros(at)), format!("Date: {written}\r\n"));
        }
    }

    #[test]
    fn line_breaks_become_spaces() {
        assert_eq!(one_line(" a\r\nBcc: x@example.org\u{0}b\u{2028}c "), "a Bcc: x@example.org b c");
    }

    #[test]
    fn display_names_are_quoted_or_encoded() {
        let written = |name| {
            let mut out = String::new();
            mailbox("From", name, "a@b.example", &mut out);
            out
        };
        assert_eq!(written(""), "From: a@b.example\r\n");
        assert_eq!(written("A \"B\", C"), "From: \"A \\\"B\\\", C\" <a@b.example>\r\n");
        assert_eq!(written("Bücher"), "From: =?utf-8?B?QsO8Y2hlcg==?=\r\n <a@b.example>\r\n");
    }

    #[test]
    fn a_line_is_longer_than_78_octets_only_where_one_piece_is() {
        let long = format!("{}@{}.example", "a".repeat(40), "b".repeat(60));
        let mut out = String::new();
        mailbox("To", "", &long, &mut out);
        mailbox("Reply-To", "Somebody with a name", &long[..60], &mut out);
        field("List-Id", &format!("<{}>", "x".repeat(70)), &mut out);
        list_unsubscribe(&"u".repeat(70), Some(&"m".repeat(70)), &mut out);
        let lines: Vec<&str> = out.split("\r\n").collect();
        assert_eq!(lines[0], "To:");
        assert_eq!(lines.iter().filter(|line| line.len() > 78).collect::<Vec<_>>(), [&format!(" {long}")]);
        assert!(out.contains("\r\nList-Unsubscribe:\r\n <uuu") && out.contains("uuu>,\r\n <mmm"), "{out}");
    }

    #[test]
    fn a_sender_id_has_5_to_15_characters() {
        assert_eq!(sender_id("a.io"), "aio00");
        assert_eq!(sender_id("newsletter.alpenlauf.example"), "newsletteralpen");
    }
}
