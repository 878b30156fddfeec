//! Notifications about deliveries that a provider mails as JSON (Amazon SES by way of SNS).

use serde_json::Value;

use super::classify::{Evidence, Recipient};
use super::letter::{Holds, Letter};
use crate::domain::inbound::{Account, Consequence, Kind, Reason, enhanced, judge, reply_code};

/// What a notification says, when the message is one.
pub(super) fn read(letter: &Letter<'_>) -> Option<(Kind, Vec<Recipient>, Evidence)> {
    let part = letter.all(Holds::Text).next()?;
    let text = part.text.trim_start();
    if !text.starts_with('{') || !text.contains("otificationType") && !text.contains("eventType") {
        return None;
    }
    // Long lines arrive broken by "!", line end and a space; other words may follow.
    let text = text.replace("!\r\n ", "").replace("!\n ", "").replace(['\r', '\n'], "");
    let outer = serde_json::Deserializer::from_str(&text).into_iter::<Value>().next()?.ok()?;
    let value = match outer.get("Message").and_then(Value::as_str) {
        Some(inner) => serde_json::from_str(inner).ok()?,
        None => outer,
    };
    let kind = value.get("notificationType").or(value.get("eventType"))?.as_str()?;
    let evidence = |rule| Evidence::new(&part.media, rule, kind);
    let list = |object: &str, name: &str| {
        value.get(object).and_then(|own| own.get(name)).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let word = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    match kind {
        "Bounce" => {
            let named = list("bounce", "bouncedRecipients");
            let recipients = named.iter().map(|own| {
                let words = format!("{} {}", word(own, "status"), word(own, "diagnosticCode"));
                let diagnostic = word(own, "diagnosticCode");
                let account = Account {
                    status: enhanced(&words),
                    reply: reply_code(&diagnostic),
                    words: if diagnostic.is_empty() { word(&value["bounce"], "bounceSubType") } else { diagnostic },
                    ..Account::default()
                };
                Recipient::judged(word(own, "emailAddress"), &account, &judge(&account), &part.media)
            });
            Some((Kind::Bounce, recipients.collect(), evidence("notification-bounce")))
        }
        "Complaint" => {
            let named = list("complaint", "complainedRecipients");
            let recipients = named.iter().map(|own| Recipient {
                address: word(own, "emailAddress"),
                original: None,
                status: None,
                reply_code: None,
                reason: Reason::Complaint,
                hard: false,
                consequence: Consequence::Complaint,
                evidence: evidence("notification-complaint"),
            });
            Some((Kind::Complaint, recipients.collect(), evidence("notification-complaint")))
        }
        "Delivery" => {
            let response = word(&value["delivery"], "smtpResponse");
            let named = list("delivery", "recipients");
            let recipients = named.iter().filter_map(|own| {
                let account = Account { status: enhanced("2.0.0"), words: response.clone(), ..Account::default() };
                Some(Recipient::judged(own.as_str()?.to_owned(), &account, &judge(&account), &part.media))
            });
            Some((Kind::Other, recipients.collect(), evidence("notification-delivery")))
        }
        _ => None,
    }
}
