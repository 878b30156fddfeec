//! Answers go to whoever reads them.

use std::time::Duration;

use serde_json::Value;
use tracing::warn;

use super::apply::Applying;
use crate::domain::inbound::Found;
use crate::domain::mail_path::MailUse;
use crate::domain::notice::NoticeKind;
use crate::domain::time::Micros;
use crate::store::notices::{self, Data, MAX_DATA, NewNotice};
use crate::store::recipients::Recipient;
use crate::store::{Result, Session};

/// So long it is tried.
const WITHIN: Duration = Duration::from_secs(5 * 86_400);
/// Answers of one person that are passed on in [`PERIOD`]: whoever answers automatically without saying so must not fill
/// a mailbox.
const MOST: i64 = 20;
const PERIOD: Duration = Duration::from_secs(3_600);

/// Passes on what came to an address of ours; what came to another mailbox is read there.
pub(super) async fn forward(tx: &mut Session, mail: &Applying<'_>, person: &Recipient, at: Micros) -> Result<()> {
    let came_to_us =
        matches!(mail.read.signed.map(|whose| whose.found), Some(Found::Signed(MailUse::Reply | MailUse::Bounce)));
    let Some(reply_to) = mail.rules.reply_to.as_ref().filter(|_| came_to_us) else { return Ok(()) };
    let now = mail.parts.clock.now();
    let kind = NoticeKind::ForwardedReply;
    if notices::recent(tx, kind, person.id, now.minus(PERIOD)).await? >= MOST {
        warn!(
            mail = mail.mail.id,
            recipient = person.id.0,
            "so many answers in an hour are not passed on; this one is kept"
        );
        return Ok(());
    }
    let new = NewNotice {
        kind,
        recipient: Some(person.id),
        address: reply_to,
        hash: Some(&reply_to.hash(&mail.parts.suppression_key)),
        language: &mail.rules.locale,
        data: &fitting(data(mail, person)),
        at,
        expires_at: now.plus(WITHIN),
    };
    notices::queue(tx, &new).await.map(drop)
}

/// Cuts the text until a notice can carry it; the mail itself is kept.
fn fitting(mut data: Data) -> Data {
    while serde_json::to_string(&data).map_or(0, |json| json.len()) > MAX_DATA {
        let text = data.get("text").and_then(Value::as_str).unwrap_or_default();
        let shorter: String = text.chars().take(text.chars().count() / 2).collect();
        let is_empty = shorter.is_empty();
        data.insert("text".to_owned(), shorter.into());
        if is_empty {
            break;
        }
    }
    data
}

fn data(mail: &Applying<'_>, person: &Recipient) -> Data {
    let headers = &mail.read.headers;
    let address = person.address.as_ref().map(ToString::to_string).unwrap_or_default();
    let from = headers.from.clone().unwrap_or_else(|| address.clone());
    let text = mail.read.text.as_deref().unwrap_or_default();
    let value = |text: &str| Value::from(text.replace(|c: char| c.is_control() && c != '\n', ""));
    Data::from_iter([
        ("from".to_owned(), value(&from)),
        ("name".to_owned(), value(&headers.from_name)),
        ("recipient".to_owned(), value(&address)),
        ("title".to_owned(), value(&headers.subject)),
        ("text".to_owned(), value(text)),
        ("mail".to_owned(), mail.mail.id.into()),
    ])
}
