//! A mail as data for the page: everything but its HTML.

use mail_parser::{Message, MessageParser, MimeHeaders as _};
use serde_json::{Value, json};

use crate::render::Explained;

/// The HTML part after which Gmail cuts and shows a link to the rest, in octets.
const GMAIL_CLIP: usize = 102 * 1024;

/// What the tabs show.
pub(super) fn shown(mail: &Explained) -> Value {
    let bytes = &mail.message.bytes;
    let parsed = MessageParser::new().parse(bytes).unwrap_or_default();
    let links = mail
        .links
        .iter()
        .map(|link| json!({"number": link.number, "item": link.item, "url": link.url, "category": link.category}));
    json!({
        "subject": mail.subject,
        "from": mailbox(parsed.from()),
        "to": mailbox(parsed.to()),
        "text": mail.text,
        "source": String::from_utf8_lossy(bytes),
        "return_path": mail.message.return_path.as_str(),
        "headers": headers(&parsed),
        "links": links.collect::<Vec<_>>(),
        "offers": mail.offers.iter().map(|offer| json!({"category": offer.category, "title": offer.title})).collect::<Vec<_>>(),
        "size": {
            "message": bytes.len(),
            "html": mail.html.len(),
            "text": mail.text.len(),
            "clip": GMAIL_CLIP,
            "files": files(&parsed),
        },
    })
}

fn mailbox(address: Option<&mail_parser::Address<'_>>) -> String {
    let Some(first) = address.and_then(|address| address.first()) else { return String::new() };
    match (first.name(), first.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (_, address) => address.unwrap_or_default().to_owned(),
    }
}

/// Name and value as written; what is encoded, decoded beside it.
fn headers(message: &Message<'_>) -> Vec<Value> {
    let one = |(name, raw): (&str, &str)| {
        let decoded = raw.contains("=?").then(|| message.header(name).and_then(|value| value.as_text())).flatten();
        json!({"name": name, "value": raw.trim(), "decoded": decoded})
    };
    message.headers_raw().map(one).collect()
}

/// Pictures and attachments.
fn files(message: &Message<'_>) -> Vec<Value> {
    let one = |part: &mail_parser::MessagePart<'_>| json!({"name": part.attachment_name().or(part.content_id()), "size": part.contents().len()});
    message.attachments().map(one).collect()
}
