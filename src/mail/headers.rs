//! The header of a message: who writes, to whom, in answer to what, and whether a program does.

use mail_parser::MessageParser;

use super::address::addresses;
use super::classify::{message, within};
use super::fields;
use super::letter::{header_text, mailboxes};
use crate::domain::outcome::clean;

/// So many ids and addresses of one field are kept.
const MOST: usize = 20;

/// A longer id or address is none (bytes).
const MOST_LENGTH: usize = 512;

/// What the header says. Texts are decoded, one line, and cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// The first address of From.
    pub from: Option<String>,
    /// The name beside it.
    pub from_name: String,
    /// The subject.
    pub subject: String,
    /// Message-ID, without brackets.
    pub message_id: Option<String>,
    /// Ids in In-Reply-To, without brackets.
    pub in_reply_to: Vec<String>,
    /// Ids in References, without brackets; the latest where there are too many.
    pub references: Vec<String>,
    /// Auto-Submitted, in lower case.
    pub auto_submitted: Option<String>,
    /// Precedence, in lower case.
    pub precedence: Option<String>,
    /// Whether there is a List-Id.
    pub is_list: bool,
    /// The address in Return-Path, empty for `<>`; `None` without such a field.
    pub return_path: Option<String>,
    /// Addresses that the message may have been sent to, the surest first: Delivered-To, X-Original-To, Envelope-To,
    /// X-Envelope-To, Original-Recipient, To, Cc.
    pub envelope_recipients: Vec<String>,
}

/// Reads the header of a message. Any bytes are one.
#[must_use]
pub fn headers(raw: &[u8]) -> Headers {
    let raw = message(within(raw));
    let fields = fields::header(&header_text(&raw));
    let parsed = MessageParser::default().parse_headers(raw.as_ref());
    let read = |address: Option<&mail_parser::Address<'_>>| address.map(mailboxes).unwrap_or_default();
    let (from, to, cc) = parsed
        .as_ref()
        .map_or_else(Default::default, |message| (read(message.from()), read(message.to()), read(message.cc())));
    let (from_name, from) = from.into_iter().find(|(_, address)| is_short(address)).unzip();
    let word = |name| fields.get(name).map(|value| clean(value).to_ascii_lowercase());
    let first = |name| fields.get(name).and_then(|value| ids(value).into_iter().next());
    let all = |name| fields.get(name).map(ids).unwrap_or_default();
    let mut references = all("references");
    references.drain(..references.len().saturating_sub(MOST));
    let mut in_reply_to = all("in-reply-to");
    in_reply_to.truncate(MOST);
    let mut envelope_recipients: Vec<String> = Vec::new();
    let mut add = |address: &str| {
        if is_short(address) && !envelope_recipients.iter().any(|own| own.eq_ignore_ascii_case(address)) {
            envelope_recipients.push(address.to_owned());
        }
    };
    for name in ["delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "original-recipient"] {
        fields.all(name).flat_map(addresses).take(MOST).for_each(|found| add(found.address));
    }
    to.iter().chain(&cc).for_each(|(_, address)| add(address));
    Headers {
        from,
        from_name: clean(&from_name.unwrap_or_default()),
        subject: clean(parsed.as_ref().and_then(|message| message.subject()).unwrap_or_default()),
        message_id: first("message-id"),
        in_reply_to,
        references,
        auto_submitted: word("auto-submitted"),
        precedence: word("precedence"),
        is_list: fields.get("list-id").is_some(),
        return_path: fields.get("return-path").map(|value| {
            let address = addresses(value).next().map(|found| found.address.to_owned());
            address.filter(|address| is_short(address)).unwrap_or_default()
        }),
        envelope_recipients,
    }
}

/// Ids between angle brackets; where there is none, one that stands bare.
fn ids(value: &str) -> Vec<String> {
    let is_id = |id: &&str| is_short(id) && !id.contains(char::is_whitespace);
    let bracketed: Vec<String> = value
        .split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>'))
        .map(|(id, _)| id.trim())
        .filter(is_id)
        .map(str::to_owned)
        .collect();
    match bracketed.is_empty() {
        true => Some(value.trim()).filter(is_id).map(str::to_owned).into_iter().collect(),
        false => bracketed,
    }
}

fn is_short(text: &str) -> bool {
    !text.is_empty() && text.len() <= MOST_LENGTH && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_who_answers_what() {
        let found = headers(
            b"Return-Path: <anna@example.org>\r\nDelivered-To: reply+1@b.example.com\r\n\
              X-Original-To: reply+1@b.example.com\r\n\
              From: =?utf-8?q?Anna_M=C3=BCller?= <anna@example.org>\r\n\
              To: \"News, daily\" <news@example.com>, Reply <Reply+1@b.example.com>\r\nCc: bert@example.org\r\n\
              Subject: =?utf-8?q?Re:_Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?q?_an_alle?=\r\nMessage-ID: <3@example.org>\r\n\
              In-Reply-To: <2@example.com>\r\nReferences: <1@example.com>\r\n\t<2@example.com>\r\n\r\nThanks\r\n",
        );
        let expected = Headers {
            from: Some("anna@example.org".into()),
            from_name: "Anna Müller".into(),
            subject: "Re: Grüße an alle".into(),
            message_id: Some("3@example.org".into()),
            in_reply_to: vec!["2@example.com".into()],
            references: vec!["1@example.com".into(), "2@example.com".into()],
            return_path: Some("anna@example.org".into()),
            envelope_recipients: ["reply+1@b.example.com", "news@example.com", "bert@example.org"]
                .map(String::from)
                .into(),
            ..Headers::default()
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_header_says_what_a_program_sent() {
        let found = headers(
            b"From daemon Mon Jan  1 00:00:00 2024\nReturn-Path: <>\nAuto-Submitted: Auto-Replied (vacation)\n\
              Precedence: BULK\nList-Id: <news.example.com>\nMessage-ID: 1@example.org\n\n",
        );
        assert_eq!(found.return_path.as_deref(), Some(""));
        assert_eq!(found.auto_submitted.as_deref(), Some("auto-replied (vacation)"));
        assert_eq!(found.precedence.as_deref(), Some("bulk"));
        assert_eq!(found.message_id.as_deref(), Some("1@example.org"));
        assert!(found.is_list && found.from.is_none() && found.envelope_recipients.is_empty());
    }

    #[test]
    fn many_ids_and_addresses_are_cut_and_the_latest_references_are_kept() {
        let many = |text: &str| (0..300).map(|n| format!("<{n}{text}>, ")).collect::<String>();
        let found = headers(
            format!(
                "To: {}\nCc: {}\nDelivered-To: {}\nReferences: {}\nIn-Reply-To: {}\nSubject: {}\n\n",
                many("@to.example"),
                many("@cc.example"),
                many("@own.example"),
                many("@r"),
                many("@i"),
                "long ".repeat(9_000)
            )
            .as_bytes(),
        );
        assert_eq!(found.envelope_recipients.len(), 60);
        assert_eq!((found.references.len(), found.in_reply_to.len()), (20, 20));
        assert_eq!(found.references.last().map(String::as_str), Some("299@r"));
        assert!(found.subject.len() < 600);
    }

    #[test]
    fn any_bytes_have_headers() {
        for raw in [&b""[..], b"\0", b":", b"From:\xff<\xff@\xff>\r\r", b"Message-ID: <a\x01b>\nTo: <\n", b"\n\n"] {
            let found = headers(raw);
            assert_eq!(found.message_id, None);
        }
    }
}
