//! A message taken apart: what its readers need of it, decoded.

use std::borrow::Cow;

use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders as _, PartType};

use super::fields::{self, Fields};

/// Of a text, so much is read (bytes).
pub(super) const MOST_TEXT: usize = 64 << 10;

/// Parts beyond this number are not looked at.
const MOST_PARTS: usize = 64;

/// What a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// Words for people.
    Text,
    /// Words for people, marked up.
    Html,
    /// `message/delivery-status` (RFC 3464).
    DeliveryStatus,
    /// `message/feedback-report` (RFC 5965).
    Feedback,
    /// `message/disposition-notification` (RFC 8098).
    Disposition,
    /// The returned message, or its header.
    Returned,
}

/// A part that says something.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) holds: Holds,
    /// Its media type.
    pub(super) media: String,
    pub(super) text: Cow<'a, str>,
}

/// The message.
#[derive(Debug, Default)]
pub(super) struct Letter<'a> {
    pub(super) header: Fields,
    /// `name <address>` of From.
    pub(super) from: String,
    /// Addresses of From.
    pub(super) senders: Vec<String>,
    /// Addresses of To.
    pub(super) to: Vec<String>,
    pub(super) subject: String,
    pub(super) parts: Vec<Part<'a>>,
}

impl<'a> Letter<'a> {
    /// Takes a message apart. Bytes that are no message come out as one without content.
    pub(super) fn read(raw: &'a [u8]) -> Self {
        let Some(message) = MessageParser::default().parse(raw).filter(|message| !message.parts.is_empty()) else {
            return Self::default();
        };
        let header = fields::header(&header_text(raw));
        let from = message.from().map(mailboxes).unwrap_or_default();
        let to = message.to().map(mailboxes).unwrap_or_default();
        let raw_from = header.get("from").unwrap_or_default();
        Self {
            from: from.first().map_or_else(|| raw_from.to_owned(), |(name, address)| format!("{name} <{address}>")),
            senders: from.into_iter().map(|(_, address)| address).collect(),
            to: to.into_iter().map(|(_, address)| address).collect(),
            subject: message.subject().unwrap_or_default().chars().take(400).collect(),
            parts: parts(message),
            header,
        }
    }

    /// Parts of this kind.
    pub(super) fn all(&self, holds: Holds) -> impl Iterator<Item = &Part<'a>> {
        self.parts.iter().filter(move |part| part.holds == holds)
    }

    /// Addresses that the message is not about: its own sender and receiver.
    pub(super) fn is_own(&self, address: &str) -> bool {
        self.to.iter().chain(&self.senders).any(|own| own.eq_ignore_ascii_case(address))
    }

    /// Whom the returned message was for, by its header.
    pub(super) fn returned_to(&self) -> Vec<String> {
        const FIELDS: [&str; 5] =
            ["x-hmxmroriginalrecipient", "x-envelope-to", "x-apparently-to", "to", "delivered-to"];
        let mut found = Vec::new();
        for returned in self.all(Holds::Returned) {
            let header = fields::header(&returned.text);
            for value in FIELDS.iter().flat_map(|name| header.all(name).take(1)) {
                found.extend(
                    super::address::addresses(value).take(20).map(|found| super::address::plain(found.address)),
                );
                if !found.is_empty() {
                    return found;
                }
            }
        }
        found
    }
}

fn parts(message: Message<'_>) -> Vec<Part<'_>> {
    let whole = message.raw_message.clone();
    let has_plain =
        message.parts.iter().any(|part| matches!(&part.body, PartType::Text(text) if !text.trim().is_empty()));
    let mut parts = Vec::new();
    for part in message.parts.into_iter().take(MOST_PARTS * 4) {
        if parts.len() >= MOST_PARTS {
            break;
        }
        let media = media(&part);
        let holds = match media.as_str() {
            "message/delivery-status" | "message/global-delivery-status" => Some(Holds::DeliveryStatus),
            "message/feedback-report" => Some(Holds::Feedback),
            "message/disposition-notification" => Some(Holds::Disposition),
            "text/rfc822-headers" | "text/rfc822-header" | "message/rfc822-headers" | "message/global-headers" => {
                Some(Holds::Returned)
            }
            _ => None,
        };
        let text = match (part.body, holds) {
            (PartType::Text(text), holds) => Some((holds.unwrap_or(Holds::Text), short(text))),
            (PartType::Html(html), None) if !has_plain => {
                let html = short(html);
                Some((Holds::Html, Cow::Owned(mail_parser::decoders::html::html_to_text(&html))))
            }
            (PartType::Binary(bytes) | PartType::InlineBinary(bytes), Some(holds)) => Some((holds, lossy(bytes))),
            // Parts that never begin: what should hold them holds the text itself.
            (PartType::Binary(bytes) | PartType::InlineBinary(bytes), None) if media.starts_with("multipart/") => {
                Some((Holds::Text, lossy(bytes)))
            }
            (PartType::Message(_), _) => {
                let raw = whole.get(part.offset_body as usize..part.offset_end as usize).unwrap_or_default();
                Some((Holds::Returned, lossy(Cow::Owned(cut(raw).to_vec()))))
            }
            _ => None,
        };
        parts.extend(text.map(|(holds, text)| Part { holds, media, text }));
    }
    parts
}

fn media(part: &MessagePart<'_>) -> String {
    part.content_type().map_or_else(
        || "text/plain".to_owned(),
        |kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()).to_ascii_lowercase(),
    )
}

/// Names and addresses of a field.
pub(super) fn mailboxes(address: &Address<'_>) -> Vec<(String, String)> {
    let text = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or_default().to_owned();
    address.iter().take(20).map(|own| (text(&own.name), text(&own.address))).collect()
}

/// The header of a message, as it is written.
pub(super) fn header_text(raw: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(cut(raw.get(..header_end(raw)).unwrap_or_default()))
}

/// Where the header ends: at the first empty line.
fn header_end(raw: &[u8]) -> usize {
    let ends = [&b"\n\n"[..], b"\n\r\n", b"\r\r"].map(|end| memchr::memmem::find(raw, end));
    ends.into_iter().flatten().min().unwrap_or(raw.len())
}

fn cut(bytes: &[u8]) -> &[u8] {
    bytes.get(..MOST_TEXT).unwrap_or(bytes)
}

fn lossy(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(cut(bytes)),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(cut(&bytes)).into_owned()),
    }
}

/// At most [`MOST_TEXT`] of a text.
pub(super) fn short(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() <= MOST_TEXT {
        return text;
    }
    let end = (0..=MOST_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}
