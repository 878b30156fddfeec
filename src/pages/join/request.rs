//! Somebody who asks to join, from the form or from the sender's own site, and what is done with that.

use std::time::Duration;

use serde_json::json;

use super::form::MOST;
use super::{Inner, Terms};
use crate::domain::address::Address;
use crate::domain::id::{JoinId, RecipientId, RunId};
use crate::domain::notice::NoticeKind;
use crate::domain::shown::Request;
use crate::domain::token::{Purpose, Token};
use crate::store::Result;
use crate::store::joins::{self, Asked, NewJoin};
use crate::store::notices::{self, Data, NewNotice};
use crate::store::recipients::Attributes;

/// The mail that asks is not of use much later.
const MAIL_WITHIN: Duration = Duration::from_secs(24 * 3_600);

/// Who asks for what, in which words.
pub(super) struct Asking {
    /// As it was typed.
    pub typed: String,
    pub address: Address,
    pub topics: Vec<String>,
    pub attributes: Attributes,
    pub tracking: bool,
    /// Of the page, and of the mail.
    pub language: String,
    pub wording_language: String,
    /// What was agreed to.
    pub wording: String,
    /// The same about tracking, if the box was ticked.
    pub tracking_wording: Option<String>,
    pub version: String,
    pub form_url: String,
    pub channel: &'static str,
    pub request: Request,
}

impl Inner {
    /// Writes the request down, and queues the one mail about it, in one transaction. What comes of it is said by
    /// mail alone.
    pub(super) async fn take(&self, terms: &Terms, asking: &Asking) -> Result<()> {
        let at = self.clock.now();
        let hash = asking.address.hash(&self.desk.hash_key);
        let mailbox = asking.address.without_detail().hash(&self.desk.hash_key);
        let proof = json!({
            "channel": asking.channel,
            "typed": asking.typed,
            "topics": asking.topics,
            "wording": asking.wording,
            "tracking_wording": asking.tracking_wording,
            "wording_version": asking.version,
            "language": asking.wording_language,
            "form_url": asking.form_url,
            "request": { "at": at.to_string(), "network": asking.request.network, "user_agent": asking.request.user_agent },
        });
        let new = NewJoin {
            address: &asking.address,
            hash: &hash,
            mailbox: &mailbox,
            topics: &asking.topics,
            tracking: asking.tracking,
            attributes: &asking.attributes,
            proof: &proof,
            at,
            expires_at: at.plus(terms.join.confirm_within),
        };
        let mut session = self.store.write().await?;
        let (join, kind, recipient, path) = match joins::ask(&mut session, &new).await? {
            Asked::Enough => return session.rollback().await,
            Asked::Confirm(join, recipient) => {
                (join, NoticeKind::Confirm, recipient, format!("/j/{}", self.confirmation(join)))
            }
            Asked::Already(join, recipient) => {
                let path = format!("/p/{}", self.preferences(recipient));
                (join, NoticeKind::AlreadySubscribed, Some(recipient), path)
            }
        };
        let hours = terms.join.confirm_within.as_secs() / 3_600;
        let data = Data::from_iter([
            ("url".to_owned(), format!("{}{path}", terms.base_url).into()),
            ("topics".to_owned(), self.titles(&asking.topics).into()),
            ("wording".to_owned(), asking.wording.as_str().into()),
            ("tracking_wording".to_owned(), asking.tracking_wording.as_deref().unwrap_or_default().into()),
            ("hours".to_owned(), hours.into()),
        ]);
        let notice = NewNotice {
            kind,
            recipient,
            address: &asking.address,
            hash: Some(&hash),
            language: &asking.language,
            data: &data,
            at,
            expires_at: at.plus(terms.join.confirm_within.min(MAIL_WITHIN)),
        };
        let notice = notices::queue(&mut session, &notice).await?;
        joins::set_notice(&mut session, join, notice).await?;
        session.commit().await
    }

    /// The token of a request's confirmation.
    fn confirmation(&self, join: JoinId) -> String {
        self.keys.sign(&Token { run: RunId::NOTICES, recipient: RecipientId(join.0), purpose: Purpose::Confirm })
    }
}

/// A value as it is kept: one line, not too long.
pub(super) fn text_of(value: &str) -> String {
    let words = value.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_line_of_bounded_length() {
        assert_eq!(text_of(" Anna\r\nBcc: x@example.org\u{0} Maria\t"), "Anna Bcc: x@example.org Maria");
        assert_eq!(text_of(&"ü".repeat(500)).chars().count(), MOST);
        assert_eq!(text_of("\u{2028}\n"), "");
    }
}
